//! The promise: what is heard is written down once, whatever happens to connections and servers. Pure: events and the
//! time come in, what is to be done comes out.
//!
//! The audio is kept until the server has decided it. When a connection breaks, the session is resumed: the server says
//! from which sample on it wants to hear again, and gives the finals that were lost on the way; those that the user has
//! are left out. When the server does not know the session any more, a new one begins with all audio that is kept, and
//! its clock is put behind that of the last.
//!
//! No limit is silent: of audio that had to be let go of before the server took it, the user is told.

mod listening;
mod sending;

use super::{
    absence::Absence,
    kept::Kept,
    timeline::Timeline,
    told::{Ended, Told},
    utterances::Utterances,
};
use crate::{
    error::{Error, Kind},
    proto::v1::{self, streaming_recognize_response::Event as Said},
};
use std::{collections::VecDeque, ops::Range, time::Duration};

/// What is given; sizes are in samples.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The name that the user wants for the session; the server's choice where it is empty.
    pub(super) session: String,
    /// How much audio is kept.
    pub(super) capacity: i64,
    /// How much is let go of at once where it is more.
    pub(super) step: i64,
    /// How much decided silence is kept all the same, for the endpointing of a session that begins anew.
    pub(super) margin: i64,
    /// How often the server is asked to tell how far it is.
    pub(super) marker: i64,
    /// The largest chunk, both of what is heard and of what is sent.
    pub(super) chunk: i64,
    pub(super) give_up_after: Duration,
    /// How long the server may take once the user wants an end.
    pub(super) last_words: Duration,
}

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    /// Audio was heard.
    Heard(Vec<i16>),
    /// No more will be.
    Over,
    /// The user wants an end. The source is about to say [`Event::Over`].
    Stop,
    /// The server said something.
    Said(Said),
    /// The server is there, though it has nothing to say.
    Alive,
    /// The connection was lost, or could not be had. `chance` (0 to 1) spreads the next tries of many clients.
    Lost { error: Error, chance: f64 },
    /// It may be time for something.
    Tick,
}

/// What is to be done, in this order.
#[derive(Debug)]
pub(super) enum Effect {
    Connect(Opening),
    HangUp,
    Tell(Told),
    End(Result<Ended, Error>),
}

/// How to open a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Opening {
    pub(super) session: String,
    pub(super) resume: Option<v1::Resume>,
    /// Somebody has spoken in a session before it.
    pub(super) has_spoken: bool,
}

/// The state of it all.
#[derive(Debug)]
pub(super) struct Journal {
    rules: Rules,
    kept: Kept,
    /// Up to here all is decided. Beyond what is kept only where audio had to be let go of.
    decided: i64,
    timeline: Timeline,
    utterances: Utterances,
    /// The last final that the user has, and how far the server was told so.
    last_seq: i64,
    written: i64,
    /// Finals that are not written yet, and where their audio ends.
    unwritten: VecDeque<(i64, i64)>,
    acknowledged: i64,
    gaps: i64,
    /// What the user was told to be lost, where it is not decided yet; in order.
    lost: Vec<Range<i64>>,
    /// The session and its key, once the server has given them.
    session: Option<(String, String)>,
    /// The server was told in this session that no more audio comes.
    is_end_given: bool,
    /// Sessions that may have the user's name on the server.
    openings: u32,
    has_begun: bool,
    link: Link,
    absence: Absence,
    is_over: bool,
    stop_by: Option<Duration>,
}

#[derive(Debug)]
enum Link {
    Waiting { until: Duration, error: Option<Error> },
    Opening,
    Open(Sending),
    Done,
}

/// How far the audio is sent.
#[derive(Debug)]
struct Sending {
    cursor: i64,
    /// Where the server was last asked how far it is.
    marked: i64,
    is_end_sent: bool,
    paused_until: Duration,
}

impl Journal {
    /// Nothing was heard yet. The first tick connects.
    pub(super) fn new(rules: Rules) -> Self {
        let absence = Absence::new(rules.give_up_after);
        Self {
            rules,
            kept: Kept::default(),
            decided: 0,
            timeline: Timeline::default(),
            utterances: Utterances::default(),
            last_seq: 0,
            written: 0,
            unwritten: VecDeque::new(),
            acknowledged: 0,
            gaps: 0,
            lost: Vec::new(),
            session: None,
            is_end_given: false,
            openings: 0,
            has_begun: false,
            link: Link::Waiting { until: Duration::ZERO, error: None },
            absence,
            is_over: false,
            stop_by: None,
        }
    }

    /// Whether there is room for another chunk. A source that cannot wait is heard all the same.
    pub(super) fn has_room(&self) -> bool {
        self.kept.len() + self.rules.chunk <= self.rules.capacity
    }

    /// Whether the server has ever listened.
    pub(super) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// How much was heard.
    pub(super) fn heard(&self) -> i64 {
        self.kept.end()
    }

    /// The name of the session.
    pub(super) fn session(&self) -> &str {
        self.session.as_ref().map_or(&self.rules.session, |(name, _)| name)
    }

    /// What was heard and is not decided: where it begins, and its samples.
    pub(super) fn undecided(&self) -> (i64, Vec<i16>) {
        (self.kept.start(), self.kept.read(self.kept.start(), self.kept.len()))
    }

    /// A final was written, so that the server need not keep it.
    pub(super) fn note_written(&mut self, seq: i64) {
        self.written = self.written.max(seq);
        while let Some(&(first, audio_end)) = self.unwritten.front()
            && first <= seq
        {
            self.unwritten.pop_front();
            self.decide(audio_end);
        }
    }

    /// When a tick is due at the latest.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        let link = match &self.link {
            Link::Waiting { until, .. } => Some(*until),
            Link::Open(sending) => Some(sending.paused_until).filter(|until| !until.is_zero()),
            Link::Opening | Link::Done => None,
        };
        let absence = if let Link::Open(_) = self.link { None } else { self.absence.ends_at() };
        [link, absence, self.stop_by].into_iter().flatten().min()
    }

    /// Takes in what happened.
    pub(super) fn on(&mut self, event: Event, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Link::Done = self.link {
            return effects;
        }
        match event {
            Event::Heard(samples) => self.hear(&samples, &mut effects),
            Event::Over => self.is_over = true,
            Event::Stop => self.stop_by = Some(now + self.rules.last_words),
            Event::Said(said) => self.take(said, now, &mut effects),
            Event::Alive => self.absence.end(),
            Event::Lost { error, chance } => self.lose(error, chance, now, &mut effects),
            Event::Tick => self.tick(now, &mut effects),
        }
        effects
    }

    fn hear(&mut self, samples: &[i16], effects: &mut Vec<Effect>) {
        self.kept.push(samples);
        let surplus = self.kept.len() - self.rules.capacity;
        if surplus <= 0 {
            return;
        }
        self.kept.release(self.kept.start() + surplus.max(self.rules.step));
        // What the server has is no loss yet, nor what it may turn out to have.
        if let Link::Open(sending) = &self.link {
            let cursor = sending.cursor;
            self.tell_loss(cursor, effects);
        }
    }

    /// Tells of audio from a position on that is not kept any more, and was not decided either; of none twice.
    fn tell_loss(&mut self, from: i64, effects: &mut Vec<Effect>) {
        let (mut start, end) = (from.max(self.decided), self.kept.start());
        self.lost.retain(|range| range.end > self.decided);
        let mut known: Vec<Range<i64>> = Vec::new();
        for range in self.lost.drain(..).chain(std::iter::once(end..end)) {
            let news = start..range.start.min(end);
            start = start.max(range.end);
            for range in [news.clone(), range].into_iter().filter(|range| !range.is_empty()) {
                match known.last_mut() {
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => known.push(range),
                }
            }
            if !news.is_empty() {
                self.gaps += 1;
                let reason = "the server did not take the audio in time, and there was no room to keep more".to_owned();
                effects.push(Effect::Tell(Told::Gap { start: news.start, end: news.end, reason }));
            }
        }
        self.lost = known;
    }

    fn tick(&mut self, now: Duration, effects: &mut Vec<Effect>) {
        if self.stop_by.is_some_and(|by| by <= now) {
            let waited = self.rules.last_words.as_secs();
            let message = format!("the server did not finish within {waited} s");
            return self.fail(Error::new(Kind::Unavailable, message), effects);
        }
        if let Link::Open(sending) = &mut self.link {
            if sending.paused_until <= now {
                sending.paused_until = Duration::ZERO;
            }
            return;
        }
        if self.absence.ends_at().is_some_and(|end| end <= now) {
            return self.give_up(effects);
        }
        if let Link::Waiting { until, .. } = &self.link
            && *until <= now
        {
            self.link = Link::Opening;
            effects.push(Effect::Connect(self.opening()));
        }
    }

    fn opening(&self) -> Opening {
        let has_spoken = self.last_seq > 0;
        if let Some((name, key)) = &self.session {
            let resume = v1::Resume { last_seq: self.timeline.server_seq(self.last_seq), resume_key: key.clone() };
            return Opening { session: name.clone(), resume: Some(resume), has_spoken };
        }
        let session = match (self.openings, self.rules.session.as_str()) {
            (0, name) => name.to_owned(),
            (_, "") => String::new(),
            // One of that name may be there, whose key was lost on the way.
            (count, name) => {
                let suffix = format!("-{}", count + 1);
                name.chars().take(64 - suffix.len()).chain(suffix.chars()).collect()
            }
        };
        Opening { session, resume: None, has_spoken }
    }

    fn lose(&mut self, error: Error, chance: f64, now: Duration, effects: &mut Vec<Effect>) {
        let is_session = self.session.is_some();
        match error.kind() {
            // Gone from the server, with all that it knew of it. What it has not decided is kept here. What is not found
            // once the session is there is something else: the model, which no other session has either.
            Kind::NotFound if is_session && matches!(self.link, Link::Opening) => self.forget(effects),
            Kind::DataLoss if is_session => self.forget(effects),
            Kind::Unavailable => {
                if let (Link::Opening, false) = (&self.link, is_session) {
                    self.openings += 1;
                }
            }
            Kind::Busy if self.has_begun || error.details().retry_after.is_some() => {}
            _ => return self.fail(error, effects),
        }
        self.retry(error, chance, now, effects);
    }

    /// Waits before the next try.
    fn retry(&mut self, error: Error, chance: f64, now: Duration, effects: &mut Vec<Effect>) {
        if self.absence.begin(now) {
            effects.push(Effect::Tell(Told::Away(error.to_string())));
        }
        let told = error.details().retry_after.unwrap_or_default();
        let until = now + self.absence.next_wait(chance).max(told);
        let is_hopeless = self.absence.ends_at().is_some_and(|end| end <= now || end < now + told);
        effects.push(Effect::HangUp);
        self.link = Link::Waiting { until, error: Some(error) };
        if is_hopeless {
            self.give_up(effects);
        }
    }

    fn give_up(&mut self, effects: &mut Vec<Effect>) {
        let last = match &mut self.link {
            Link::Waiting { error, .. } => error.take(),
            _ => None,
        };
        let limit = self.absence.limit().as_secs_f64();
        let error = match last {
            Some(error) if !self.has_begun => error,
            last => {
                let error = Error::new(Kind::Unavailable, format!("the server did not come back within {limit} s"));
                match last {
                    Some(last) => error.because(last.to_string()),
                    None => error,
                }
            }
        };
        self.fail(error, effects);
    }

    /// The server knows the session no more: the next one begins with what is kept.
    fn forget(&mut self, effects: &mut Vec<Effect>) {
        self.tell_loss(self.decided, effects);
        let start = self.kept.start();
        effects.extend(self.utterances.close(start).into_iter().map(Effect::Tell));
        self.timeline.renew(start, self.last_seq);
        self.session = None;
        self.is_end_given = false;
        self.openings += 1;
    }

    fn fail(&mut self, error: Error, effects: &mut Vec<Effect>) {
        self.tell_loss(self.decided, effects);
        self.finish(Err(error), effects);
    }

    fn finish(&mut self, end: Result<Ended, Error>, effects: &mut Vec<Effect>) {
        self.link = Link::Done;
        effects.push(Effect::HangUp);
        effects.push(Effect::End(end));
    }
}

#[cfg(test)]
mod tests;
