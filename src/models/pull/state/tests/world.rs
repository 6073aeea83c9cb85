//! A small model of a server, a disk and others with the lock, all of which misbehave.

use super::{
    super::*,
    stories::{Answer, Story, Word},
};

pub(super) struct Stream {
    /// The byte of the file that comes next.
    pub(super) position: u64,
    pub(super) left: Vec<u8>,
    pub(super) is_error: bool,
    pub(super) total: Option<u64>,
}

pub(super) struct World {
    pub(super) story: Story,
    pub(super) disk: Vec<u8>,
    pub(super) blob: bool,
    pub(super) is_locked: bool,
    /// It has been, and what is there was measured.
    pub(super) was_locked: bool,
    /// What is there could not be deleted.
    pub(super) cannot_discard: bool,
    pub(super) stream: Option<Stream>,
    pub(super) piece: Vec<u8>,
    /// What is on disk may be thrown away.
    pub(super) excuse: Option<&'static str>,
    pub(super) verdict: Option<Verdict>,
    pub(super) announced_size: Option<u64>,
    pub(super) gets: u64,
    /// Waits since the file was last longer than ever before.
    pub(super) waits: u32,
    pub(super) furthest: usize,
    pub(super) asked_to_wait: Option<u64>,
}

#[derive(Debug)]
pub(super) enum End {
    Done,
    Failed(Failure),
}

pub(super) fn no(message: &str) -> Error {
    Error::new(Kind::Unavailable, message)
}

impl World {
    pub(super) fn new(story: Story) -> Self {
        let disk = story.before.clone();
        let other = story.other.clone();
        let mut world = Self {
            disk,
            blob: false,
            is_locked: false,
            was_locked: false,
            cannot_discard: false,
            stream: None,
            piece: Vec::new(),
            excuse: None,
            verdict: None,
            announced_size: None,
            gets: 0,
            waits: 0,
            furthest: 0,
            asked_to_wait: None,
            story,
        };
        if let Some(other) = other {
            world.disk = world.story.file.iter().copied().take(other.leaves).collect();
        }
        world
    }

    pub(super) fn can_resume(&self) -> bool {
        self.story.has_digest || self.story.has_etag
    }

    fn size(&self) -> u64 {
        self.story.file.len() as u64
    }

    fn busy(&mut self, after: u64) -> Refusal {
        self.asked_to_wait = Some(after);
        Refusal::Passing { error: no("later"), after: (after > 0).then(|| Duration::from_secs(after)) }
    }

    fn ask(&mut self) -> Event {
        let word = if self.story.words.is_empty() { Word::Good } else { self.story.words.remove(0) };
        match word {
            Word::Busy(after) => return Event::Refused(self.busy(after)),
            Word::Never => return Event::Refused(Refusal::Final(no("never"))),
            Word::Changed(file) => {
                self.story.file = file;
                // Another digest, or another ETag, is another unfinished file.
                self.disk.clear();
                self.blob = false;
            }
            Word::Good => {}
        }
        (self.furthest, self.waits) = (0, 0);
        self.announced_size = self.story.tells_size.then(|| self.size());
        Event::Announced(Facts { size: self.announced_size, can_resume: self.can_resume() })
    }

    fn get(&mut self, from: u64) -> Event {
        assert_eq!(from, self.disk.len() as u64, "a request begins where the file ends");
        assert!(from == 0 || self.can_resume(), "pieces are of one file");
        self.gets += 1;
        let answer =
            if self.story.answers.is_empty() { self.story.at_last.clone() } else { self.story.answers.remove(0) };
        let size = self.size();
        if from > size {
            self.excuse = Some("416");
            return Event::Refused(Refusal::NoSuchRange);
        }
        let rest = self.story.file.get(from as usize..).unwrap_or_default().to_vec();
        let (mut start, mut total, mut left, mut is_error) = (from, Some(size), rest, false);
        match answer {
            Answer::Good => {}
            Answer::Broken { after, is_error: broke } => {
                left.truncate(after as usize);
                is_error = broke;
            }
            Answer::Whole { after } => {
                (start, left) = (0, self.story.file.iter().copied().take(after as usize).collect());
                is_error = true;
                self.excuse = Some("200");
            }
            Answer::WrongRange { start: wrong } => {
                start = wrong;
                left = self.story.file.iter().copied().skip(wrong as usize).collect();
                self.excuse = Some("wrong range");
            }
            Answer::OutOfRange => {
                self.excuse = Some("416");
                return Event::Refused(Refusal::NoSuchRange);
            }
            Answer::Others => left.iter_mut().for_each(|byte| *byte ^= 1),
            Answer::Longer => {
                left.push(0);
                total = None;
            }
            Answer::OtherTotal(other) => total = Some(other),
            Answer::NoTotal => total = None,
            Answer::Busy(after) => return Event::Refused(self.busy(after)),
            Answer::Never => return Event::Refused(Refusal::Final(no("never"))),
        }
        self.stream = Some(Stream { position: start, left, is_error, total });
        Event::Opened { start, total }
    }

    fn read(&mut self) -> Event {
        let stream = self.stream.as_mut().expect("nothing is read without an answer");
        // The first answer tells what the announcement did not.
        self.announced_size = self.announced_size.or(stream.total);
        if stream.left.is_empty() {
            return if stream.is_error { Event::Cut(no("cut")) } else { Event::End };
        }
        let count = self.story.piece.min(stream.left.len());
        self.piece = stream.left.drain(..count).collect();
        if self.announced_size.is_some_and(|size| (self.disk.len() + count) as u64 > size) {
            self.excuse = Some("too long");
        }
        Event::Bytes(count as u64)
    }

    fn append(&mut self) -> Option<Event> {
        let stream = self.stream.as_mut().expect("nothing is written without an answer");
        assert_eq!(stream.position, self.disk.len() as u64, "each byte goes where it belongs");
        stream.position += self.piece.len() as u64;
        let room = (self.story.room as usize).saturating_sub(self.disk.len());
        let count = room.min(self.piece.len());
        self.disk.extend(self.piece.iter().take(count));
        if self.disk.len() > self.furthest {
            (self.furthest, self.waits) = (self.disk.len(), 0);
        }
        self.verdict = None;
        (count < self.piece.len()).then(|| Event::Local(Error::new(Kind::Io, "the disk is full")))
    }

    fn check(&mut self) -> Event {
        if let Some(size) = self.announced_size {
            assert_eq!(self.disk.len() as u64, size, "only what is whole is checked");
        }
        let is_right = !self.story.has_digest || self.disk == self.story.file;
        let verdict = if is_right { Verdict::Right } else { Verdict::Wrong };
        if !is_right {
            self.excuse = Some("wrong");
            (self.furthest, self.waits) = (0, 0);
        }
        self.verdict = Some(verdict);
        Event::Checked(verdict)
    }

    fn lock(&mut self) -> Event {
        assert!(!self.is_locked);
        match &mut self.story.other {
            Some(other) if other.looks > 0 => {
                other.looks -= 1;
                if other.looks == 0 && other.is_done {
                    self.blob = true;
                    self.disk.clear();
                }
                Event::Held
            }
            _ => {
                self.is_locked = true;
                Event::Taken
            }
        }
    }

    fn measure(&mut self) -> Event {
        if self.blob {
            self.excuse = Some("there is a blob");
            return Event::Blob;
        }
        let is_too_long = self.announced_size.is_some_and(|size| self.disk.len() as u64 > size);
        if is_too_long || !self.can_resume() {
            self.excuse = Some("not a part of it");
        } else {
            self.furthest = self.disk.len();
        }
        Event::Partial(self.disk.len() as u64)
    }

    fn wait(&mut self, pause: Duration, is_ours: bool) {
        assert!(pause <= LONGEST_WAIT && pause > Duration::ZERO);
        match self.asked_to_wait.take().filter(|after| *after > 0) {
            Some(after) => assert_eq!((pause, is_ours), (Duration::from_secs(after), false)),
            None => assert!(is_ours && pause <= LONGEST_PAUSE),
        }
        self.waits += 1;
        assert!(self.waits < MOST_FAILURES, "six failures without a new byte are enough");
        if !self.can_resume() {
            self.excuse = Some("not a part of it");
        }
    }

    fn throw_away(&mut self) {
        let is_kept = self.can_resume() && self.excuse.is_none();
        assert!(self.disk.is_empty() || !is_kept, "what is there is kept");
        self.excuse = None;
        self.disk.clear();
        self.verdict = None;
    }

    fn carry_out(&mut self, effect: Effect) -> Result<Option<Event>, End> {
        let wants_lock = matches!(
            effect,
            Effect::Measure
                | Effect::ReadBack
                | Effect::Space(_)
                | Effect::Get(_)
                | Effect::Read
                | Effect::Append
                | Effect::Cut
                | Effect::Discard
                | Effect::Check
                | Effect::Settle
        );
        assert!(!wants_lock || self.is_locked, "{effect:?} without the lock");
        Ok(Some(match effect {
            Effect::Ask => self.ask(),
            Effect::Known => Event::Go,
            Effect::Lock => self.lock(),
            Effect::Unlock => {
                assert!(std::mem::take(&mut self.is_locked), "a lock is let go of once");
                self.stream = None;
                return Ok(None);
            }
            Effect::Watch => return Ok(None),
            Effect::Wait { pause, is_ours, .. } => {
                self.wait(pause, is_ours);
                return Ok(None);
            }
            Effect::Measure => {
                self.was_locked = true;
                self.measure()
            }
            Effect::ReadBack => Event::ReadBack,
            Effect::Space(wants) => {
                let has = self.story.room.saturating_sub(self.disk.len() as u64);
                if self.story.tells_room && has < wants { Event::NoRoom { has } } else { Event::Room }
            }
            Effect::Get(from) => self.get(from),
            Effect::Read => self.read(),
            Effect::Append => return Ok(self.append()),
            Effect::Cut => {
                self.throw_away();
                return Ok(None);
            }
            Effect::Discard => {
                self.throw_away();
                Event::Discarded
            }
            Effect::Check => self.check(),
            Effect::Settle => {
                assert!(self.blob || self.verdict == Some(Verdict::Right), "only what is right gets its place");
                Event::Settled
            }
            Effect::Done => return Err(End::Done),
            Effect::Fail(failure) => return Err(End::Failed(failure)),
        }))
    }

    /// From the first question to the end, by all the laws.
    pub(super) fn run(&mut self) -> End {
        let mut machine = Machine::new();
        let mut event = Event::Start;
        let mut steps = 0;
        loop {
            let effects = machine.on(event);
            let mut next = None;
            let count = effects.len();
            for (place, effect) in effects.into_iter().enumerate() {
                steps += 1;
                assert!(steps < 10_000, "it goes on for ever");
                let is_end = matches!(effect, Effect::Done | Effect::Fail(_));
                if steps >= self.story.gives_up && !is_end && !matches!(effect, Effect::Unlock) {
                    self.story.gives_up = usize::MAX;
                    self.cannot_discard |= matches!(effect, Effect::Cut | Effect::Discard);
                    self.excuse = None;
                    next = Some(Event::Local(Error::new(Kind::Cancelled, "given up")));
                    break;
                }
                match self.carry_out(effect) {
                    Ok(Some(event)) => {
                        let is_failure = matches!(event, Event::Local(_));
                        assert!(is_failure || place + 1 == count, "only the last effect of a row brings an event");
                        next = Some(event);
                        if is_failure {
                            break;
                        }
                    }
                    Ok(None) => {}
                    Err(end) => {
                        assert!(!self.is_locked, "the lock is let go of");
                        assert_eq!(place + 1, count);
                        assert!(machine.on(Event::Start).is_empty(), "the end is the end");
                        return end;
                    }
                }
            }
            assert!(
                matches!(next, Some(Event::Local(_)))
                    || machine.on_disk() == self.disk.len() as u64
                    || self.is_pending(&next)
            );
            event = next.expect("a row brings an event");
        }
    }

    /// Whether the machine has yet to hear how much there is.
    fn is_pending(&self, next: &Option<Event>) -> bool {
        !self.is_locked || matches!(next, Some(Event::Taken | Event::Partial(_) | Event::Blob | Event::Settled))
    }
}
