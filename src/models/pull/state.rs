//! The rules of pulling one file, as a state machine: what comes of each answer, each failure and each byte. No clock, no
//! file and no socket is in it; `fetch` carries its effects out and hands in what came of them.
//!
//! Effects are carried out in their order. The last one of a row brings the next event; one before it brings an event
//! only when it fails, and what stands behind it is then left out. The machine ends with `Done` or `Fail`, and has let go
//! of the lock before either. It ends for every server: each failure counts until a byte has come that none brought before.

use super::steps::{Effect, Event, Facts, Failure, Verdict};
use crate::{
    error::{Error, Kind},
    models::hub::Refusal,
};
use std::time::Duration;

/// Failures in a row, after which it is given up.
pub(super) const MOST_FAILURES: u32 = 6;

/// The pause after the first failure. Each further one doubles it, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A server that asks for a longer wait than this is not waited for: the caller is told the time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Asking,
    Known,
    Locking,
    Measuring,
    ReadingBack,
    /// `is_open`: the answer is there already, and only told the size.
    Spacing {
        is_open: bool,
    },
    Opening,
    Reading,
    Checking,
    Discarding,
    Settling,
    Ended,
}

/// One file on its way.
#[derive(Debug)]
pub(super) struct Machine {
    state: State,
    size: Option<u64>,
    can_resume: bool,
    /// Bytes in the unfinished file.
    on_disk: u64,
    /// The most that was ever there: only what goes beyond is progress, or a server without ranges that breaks each time
    /// would be asked for ever.
    furthest: u64,
    /// Failures since the last progress.
    failures: u32,
    /// Whether the file is put together of several answers, or was there before.
    is_pieced: bool,
    has_begun: bool,
    is_locked: bool,
    /// Why what has come is being deleted; without it that is in favour of a file that is there.
    refusal: Option<Failure>,
    /// Whether it is being deleted because the file has changed: then all begins anew.
    asks_again: bool,
    // What is done once only.
    was_asked_again: bool,
    was_started_over: bool,
    was_out_of_range: bool,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self {
            state: State::Idle,
            size: None,
            can_resume: false,
            on_disk: 0,
            furthest: 0,
            failures: 0,
            is_pieced: false,
            has_begun: false,
            is_locked: false,
            refusal: None,
            asks_again: false,
            was_asked_again: false,
            was_started_over: false,
            was_out_of_range: false,
        }
    }

    /// Bytes that are on disk, as far as the machine knows.
    pub(super) fn on_disk(&self) -> u64 {
        self.on_disk
    }

    /// Whether what is on disk will be gone on with.
    pub(super) fn can_resume(&self) -> bool {
        self.can_resume
    }

    /// How long the file is, if anybody has said it.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    /// What is to be done after this.
    pub(super) fn on(&mut self, event: Event) -> Vec<Effect> {
        match (self.state, event) {
            (State::Ended, _) => Vec::new(),
            (_, Event::Local(error)) => self.fail(Failure::Local(error)),
            (State::Idle, Event::Start) => self.next(State::Asking, Effect::Ask),
            (State::Asking, Event::Announced(facts)) => self.announced(facts),
            (State::Asking | State::Opening, Event::Refused(refusal)) => self.refused(refusal),
            (State::Known, Event::Go) => {
                self.has_begun = true;
                self.next(State::Locking, Effect::Lock)
            }
            (State::Locking, Event::Held) => vec![Effect::Watch, Effect::Lock],
            (State::Locking, Event::Taken) => {
                self.is_locked = true;
                self.next(State::Measuring, Effect::Measure)
            }
            // What is unfinished beside a whole file would take its place.
            (State::Measuring, Event::Blob) => self.next(State::Discarding, Effect::Discard),
            (State::Measuring, Event::Partial(length)) => self.measured(length),
            (State::ReadingBack, Event::ReadBack) => self.space(),
            (State::Spacing { is_open: false }, Event::Room) => self.get(Vec::new()),
            (State::Spacing { is_open: true }, Event::Room) => self.next(State::Reading, Effect::Read),
            (State::Spacing { .. }, Event::NoRoom { has }) => {
                let wants = self.size.unwrap_or(0).saturating_sub(self.on_disk);
                self.fail(Failure::NoRoom { wants, has })
            }
            (State::Opening, Event::Opened { start, total }) => self.opened(start, total),
            (State::Reading, Event::Bytes(count)) => self.came(count),
            (State::Reading, Event::End) if self.size.is_none_or(|size| size == self.on_disk) => self.check(),
            (State::Reading, Event::End) => {
                self.again(Error::new(Kind::Unavailable, "the answer ended too early"), None)
            }
            (State::Reading, Event::Cut(_)) if self.size == Some(self.on_disk) => self.check(),
            (State::Reading, Event::Cut(error)) => self.again(error, None),
            (State::Checking, Event::Checked(verdict)) => self.checked(verdict),
            (State::Discarding, Event::Discarded) => match self.refusal.take() {
                Some(failure) => self.fail(failure),
                None if self.asks_again => self.ask_again(),
                None => self.next(State::Settling, Effect::Settle),
            },
            (State::Settling, Event::Settled) => {
                self.state = State::Ended;
                vec![Effect::Unlock, Effect::Done]
            }
            _ => self.fail(Failure::Bug),
        }
    }

    fn next(&mut self, state: State, effect: Effect) -> Vec<Effect> {
        self.after(Vec::new(), state, effect)
    }

    fn after(&mut self, mut effects: Vec<Effect>, state: State, effect: Effect) -> Vec<Effect> {
        self.state = state;
        effects.push(effect);
        effects
    }

    /// A new announcement is a new file: nothing that was learnt about the one before holds.
    fn announced(&mut self, facts: Facts) -> Vec<Effect> {
        let before = (self.has_begun, self.was_asked_again);
        *self = Self { size: facts.size, can_resume: facts.can_resume, ..Self::new() };
        (self.has_begun, self.was_asked_again) = before;
        match self.has_begun {
            true => self.next(State::Locking, Effect::Lock),
            false => self.next(State::Known, Effect::Known),
        }
    }

    fn refused(&mut self, refusal: Refusal) -> Vec<Effect> {
        match refusal {
            Refusal::Final(error) => self.fail(Failure::Origin(error)),
            Refusal::Passing { error, after } => self.again(error, after),
            Refusal::NoSuchRange if self.on_disk > 0 => {
                let cut = self.cut();
                self.get(cut)
            }
            Refusal::NoSuchRange => self.fail(Failure::Odd),
        }
    }

    fn measured(&mut self, length: u64) -> Vec<Effect> {
        self.on_disk = length;
        self.furthest = length;
        self.is_pieced = length > 0;
        let is_too_long = self.size.is_some_and(|size| length > size);
        if length > 0 && (is_too_long || !self.can_resume) {
            let mut effects = self.cut();
            self.furthest = 0;
            effects.extend(self.space());
            return effects;
        }
        match length {
            0 => self.space(),
            _ => self.next(State::ReadingBack, Effect::ReadBack),
        }
    }

    fn space(&mut self) -> Vec<Effect> {
        match self.size {
            Some(size) if size == self.on_disk => self.check(),
            Some(size) => {
                self.next(State::Spacing { is_open: false }, Effect::Space(size.saturating_sub(self.on_disk)))
            }
            None => self.get(Vec::new()),
        }
    }

    fn get(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        self.is_pieced |= self.on_disk > 0;
        let from = self.on_disk;
        self.after(effects, State::Opening, Effect::Get(from))
    }

    /// The file is empty again.
    fn cut(&mut self) -> Vec<Effect> {
        self.on_disk = 0;
        self.is_pieced = false;
        vec![Effect::Cut]
    }

    fn opened(&mut self, start: u64, total: Option<u64>) -> Vec<Effect> {
        if let Some(found) = total.filter(|&total| self.size.map_or(total < start, |size| size != total)) {
            return self.changed(found);
        }
        let mut effects = Vec::new();
        if start != self.on_disk {
            if start == 0 {
                // The server knows no ranges: all of it comes once more.
                effects = self.cut();
            } else if self.on_disk > 0 && !self.was_out_of_range {
                self.was_out_of_range = true;
                let cut = self.cut();
                return self.get(cut);
            } else {
                return self.fail(Failure::Odd);
            }
        }
        match (self.size, total) {
            (None, Some(total)) => {
                self.size = Some(total);
                let wants = total.saturating_sub(self.on_disk);
                self.after(effects, State::Spacing { is_open: true }, Effect::Space(wants))
            }
            _ => self.after(effects, State::Reading, Effect::Read),
        }
    }

    /// An answer is about a file of another length: the file is another by now, or this is not the server. What is there
    /// and can be gone on with is kept: the page of a hotel's network is no reason to throw gigabytes away.
    fn changed(&mut self, found: u64) -> Vec<Effect> {
        if self.was_asked_again {
            return self.fail(Failure::WrongSize { found });
        }
        self.was_asked_again = true;
        if self.can_resume {
            return self.ask_again();
        }
        // By itself, not in a row with the unlocking: where it fails, the lock is still held.
        self.on_disk = 0;
        self.asks_again = true;
        self.next(State::Discarding, Effect::Discard)
    }

    fn ask_again(&mut self) -> Vec<Effect> {
        let unlock = self.unlock();
        self.after(unlock, State::Asking, Effect::Ask)
    }

    fn came(&mut self, count: u64) -> Vec<Effect> {
        let length = self.on_disk.saturating_add(count);
        if self.size.is_some_and(|size| length > size) {
            return self.refuse(Failure::WrongSize { found: length });
        }
        self.on_disk = length;
        if length > self.furthest {
            self.furthest = length;
            self.failures = 0;
        }
        self.after(vec![Effect::Append], State::Reading, Effect::Read)
    }

    /// The same once more after a pause: the question, or the request from where the file ends now.
    fn again(&mut self, error: Error, after: Option<Duration>) -> Vec<Effect> {
        self.failures += 1;
        if let Some(after) = after.filter(|after| *after > LONGEST_WAIT) {
            return self.fail(Failure::TooLong(error, after));
        }
        if self.failures >= MOST_FAILURES {
            return self.fail(Failure::Origin(error));
        }
        let asked_for = after.filter(|after| !after.is_zero());
        let pause = asked_for.unwrap_or_else(|| pause(self.failures - 1));
        let mut effects = vec![Effect::Wait { pause, is_ours: asked_for.is_none(), error }];
        if self.state == State::Asking {
            return self.after(effects, State::Asking, Effect::Ask);
        }
        if self.on_disk > 0 && !self.can_resume {
            effects.extend(self.cut());
        }
        self.get(effects)
    }

    fn check(&mut self) -> Vec<Effect> {
        self.next(State::Checking, Effect::Check)
    }

    fn checked(&mut self, verdict: Verdict) -> Vec<Effect> {
        match verdict {
            Verdict::Right => self.next(State::Settling, Effect::Settle),
            // A power cut may have left holes, or a piece was of another file.
            Verdict::Wrong if self.is_pieced && !self.was_started_over => {
                self.was_started_over = true;
                (self.furthest, self.failures) = (0, 0);
                let mut effects = self.cut();
                effects.extend(self.space());
                effects
            }
            Verdict::Wrong => self.refuse(Failure::WrongDigest),
            Verdict::NotWhatItWas => self.refuse(Failure::NotWhatItWas),
        }
    }

    fn unlock(&mut self) -> Vec<Effect> {
        match std::mem::take(&mut self.is_locked) {
            true => vec![Effect::Unlock],
            false => Vec::new(),
        }
    }

    /// What has come is worth nothing.
    fn refuse(&mut self, failure: Failure) -> Vec<Effect> {
        self.on_disk = 0;
        self.refusal = Some(failure);
        self.next(State::Discarding, Effect::Discard)
    }

    /// The end. What nobody can go on with is not left lying about.
    fn fail(&mut self, failure: Failure) -> Vec<Effect> {
        if self.is_locked && !self.can_resume && self.state != State::Discarding {
            return self.refuse(failure);
        }
        let unlock = self.unlock();
        self.after(unlock, State::Ended, Effect::Fail(failure))
    }
}

/// How long to wait after so many failures before this one.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
