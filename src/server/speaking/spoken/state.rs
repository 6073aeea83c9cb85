//! The rules of an utterance: text, audio, commands and the clock go in; sentences and frames are asked for.
//!
//! What leaves is a function of the text alone: sentences are cut where their ends are, whatever the pieces they came
//! in, and audio follows audio to the sample. Commands and the clock decide when a frame leaves, and STOP how many do.

use super::{
    frames::Frames,
    pace::{Pace, Time},
    text::Text,
};
use crate::{error::Result, sentence::Sentence};
use bytes::Bytes;
use std::time::Duration;

/// A sentence is made once what is there lasts less than this: long enough for an engine to begin with the next.
const LOW: Duration = Duration::from_secs(2);

/// Audio that may wait. A sentence lasts less as a rule, and so is made in one go, and its worker is free again.
const FULL: Duration = Duration::from_secs(30);

/// How an utterance is to be spoken.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// How far frames may be ahead of the listener; `None` where nobody listens in real time.
    pub(crate) lookahead: Option<Duration>,
    /// After how long without new text the rest is spoken; `None` = never.
    pub(crate) flush_after: Option<Duration>,
    /// BCP 47: where sentences end depends on it.
    pub(crate) language: String,
}

/// What happens to an utterance.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// The caller has written.
    Text { text: &'a str, number: i64, is_final: bool },
    /// The caller will write no more.
    Closed,
    /// The engine has made audio of the sentence in work.
    Audio(&'a [u8]),
    /// The engine has made all of the sentence in work.
    Spoken,
    /// Nothing is to leave for now.
    Pause,
    /// It goes on where it paused.
    Resume,
    /// What has not left is dropped.
    Stop,
    /// Time has passed.
    Tick,
}

/// What the reader gets when it asks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// A frame of sound.
    Frame {
        /// Counted from 1.
        number: i64,
        /// 1,920 bytes.
        audio: Bytes,
        /// How long it should have been gone, by our own fault.
        late: Duration,
    },
    /// The empty frame behind the last.
    Last {
        /// Counted on from the frames of sound.
        number: i64,
    },
    /// Nothing yet; ask again at this time, if there is one, or when something happens.
    Wait(Option<Time>),
    /// All is said.
    Over,
}

/// One utterance, from its first word to its last frame.
#[derive(Debug)]
pub(crate) struct Utterance {
    text: Text,
    /// Sentences that were given to be spoken.
    begun: u64,
    /// Whether one of them is being made.
    in_work: bool,
    frames: Frames,
    pace: Pace,
    /// Since when the reader waits for the frame that is next; `None` where it does not.
    asked: Option<Time>,
    /// Whether the caller has let us wait for text since the last frame.
    was_dry: bool,
    is_stopped: bool,
    has_ended: bool,
}

impl Utterance {
    /// An utterance without a word yet, of a session that may be pausing.
    pub(crate) fn new(rules: &Rules, is_paused: bool) -> Self {
        let mut pace = Pace::new(rules.lookahead);
        if is_paused {
            pace.pause(Time::ZERO);
        }
        Self {
            text: Text::new(&rules.language, rules.flush_after),
            begun: 0,
            in_work: false,
            frames: Frames::default(),
            pace,
            asked: None,
            was_dry: false,
            is_stopped: false,
            has_ended: false,
        }
    }

    /// Something happens.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field, for text that makes no sense.
    pub(crate) fn on(&mut self, now: Time, event: Event<'_>) -> Result<()> {
        match event {
            // Whoever wrote it could not know that it will not be spoken.
            Event::Text { .. } | Event::Audio(_) if self.is_stopped => {}
            Event::Text { text, number, is_final } => self.text.push(now, text, number, is_final)?,
            Event::Closed => self.text.end(),
            Event::Audio(audio) if self.in_work => self.frames.push(audio),
            Event::Audio(_) => {}
            Event::Spoken => self.in_work = false,
            Event::Pause => self.pace.pause(now),
            Event::Resume => self.pace.resume(now),
            Event::Stop => self.stop(),
            Event::Tick => self.text.tick(now),
        }
        Ok(())
    }

    /// The sentence to be made now, and how many went before it. [`Event::Spoken`] tells that it is made.
    pub(crate) fn next_sentence(&mut self) -> Option<(u64, Sentence)> {
        if !self.wants_work() {
            return None;
        }
        let sentence = self.text.next()?;
        self.in_work = true;
        self.begun += 1;
        Some((self.begun - 1, sentence))
    }

    /// Whether a sentence is to be made now.
    pub(crate) fn wants_work(&self) -> bool {
        !self.in_work && !self.text.is_empty() && self.frames.length() < LOW
    }

    /// The reader has room for a frame.
    pub(crate) fn next_frame(&mut self, now: Time) -> Next {
        if self.has_ended {
            return Next::Over;
        }
        if self.is_over() {
            self.has_ended = true;
            return Next::Last { number: self.number() };
        }
        if self.pace.is_paused() {
            self.asked = None;
            return Next::Wait(None);
        }
        let is_whole = self.frames.has_one() || (self.is_said() && !self.frames.is_empty());
        if !is_whole {
            // Who had nothing to say is not late with the first that is said then.
            self.was_dry |= !self.in_work && self.text.is_empty();
            self.asked.get_or_insert(now);
            return Next::Wait(None);
        }
        let due = self.pace.due();
        if due > now {
            self.asked.get_or_insert(now);
            return Next::Wait(Some(due));
        }
        let late = self.late(now, due);
        let Some(audio) = self.frames.take_last() else { return Next::Wait(None) };
        let number = self.number();
        self.pace.go(now);
        (self.asked, self.was_dry) = (None, false);
        Next::Frame { number, audio, late }
    }

    /// When a look at the clock is due.
    pub(crate) fn tick_at(&self) -> Option<Time> {
        self.text.flush_at()
    }

    /// Whether more text may be read.
    pub(crate) fn has_room_for_text(&self) -> bool {
        self.text.has_room()
    }

    /// Whether more audio may be made.
    pub(crate) fn has_room_for_audio(&self) -> bool {
        self.frames.length() < FULL
    }

    /// No more can be made: what is there is heard, and nothing after it.
    pub(crate) fn break_off(&mut self) {
        self.text.drop_all();
        self.in_work = false;
    }

    /// Whether its sound is held back.
    pub(crate) fn is_held(&self) -> bool {
        self.is_stopped || self.pace.is_paused()
    }

    /// Whether it pauses.
    pub(crate) fn is_paused(&self) -> bool {
        self.pace.is_paused()
    }

    /// Whether nothing is to be said before more is written.
    pub(crate) fn waits_for_text(&self) -> bool {
        !self.text.is_over() && self.text.is_empty() && !self.in_work && !self.frames.has_one()
    }

    /// Whether no sound has gone yet.
    pub(crate) fn has_said_nothing(&self) -> bool {
        self.pace.gone() == 0
    }

    /// Whether it was stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    fn stop(&mut self) {
        self.break_off();
        self.frames.clear();
        self.is_stopped = true;
    }

    /// Whether no more audio will come.
    pub(crate) fn is_said(&self) -> bool {
        self.text.is_over() && !self.in_work
    }

    fn is_over(&self) -> bool {
        self.is_said() && self.frames.is_empty()
    }

    /// The number of the next frame.
    fn number(&self) -> i64 {
        i64::try_from(self.pace.gone()).unwrap_or(i64::MAX - 1) + 1
    }

    /// How long the next frame should have been gone. Who did not ask has not waited, and the first is never late.
    fn late(&self, now: Time, due: Time) -> Duration {
        match self.asked {
            Some(asked) if self.pace.is_paced() && !self.was_dry => now.saturating_sub(due.max(asked)),
            _ => Duration::ZERO,
        }
    }
}
