//! When a frame may go: the clock of somebody who listens.

use super::frames;
use std::time::Duration;

/// A point in time, counted from the beginning of the session.
pub(crate) type Time = Duration;

/// The play-out clock of an utterance.
///
/// Frame n is heard at `start + n × 20 ms` and may go `lookahead` earlier. Where a frame goes later than it should be
/// heard (its text came late, or its reader stood still), the listener has heard a silence, and the clock is put back by
/// it: the frames behind it do not come in a rush.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// How far frames may be ahead of the listener; `None` where nobody listens in real time.
    lookahead: Option<Duration>,
    /// When frame 0 is heard, once it is gone.
    start: Option<Time>,
    /// Frames that are gone.
    gone: u64,
    /// Since when the listener pauses.
    paused: Option<Time>,
}

impl Pace {
    pub(super) fn new(lookahead: Option<Duration>) -> Self {
        Self { lookahead, start: None, gone: 0, paused: None }
    }

    /// Frames that are gone.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// Whether the listener pauses.
    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Whether frames wait for their time.
    pub(super) fn is_paced(&self) -> bool {
        self.lookahead.is_some() && self.start.is_some()
    }

    /// When the next frame may go.
    pub(super) fn due(&self) -> Time {
        match (self.lookahead, self.start) {
            (Some(lookahead), Some(_)) => self.heard().saturating_sub(lookahead),
            _ => Time::ZERO,
        }
    }

    /// The next frame goes.
    pub(super) fn go(&mut self, now: Time) {
        let heard = self.heard();
        match self.start {
            None => self.start = Some(now),
            Some(start) if now > heard => self.start = Some(start + (now - heard)),
            Some(_) => {}
        }
        self.gone += 1;
    }

    /// The listener pauses.
    pub(super) fn pause(&mut self, now: Time) {
        self.paused.get_or_insert(now);
    }

    /// The listener goes on: it has heard nothing meanwhile.
    pub(super) fn resume(&mut self, now: Time) {
        if let Some(paused) = self.paused.take() {
            self.start = self.start.map(|start| start + now.saturating_sub(paused));
        }
    }

    /// When the next frame is heard.
    fn heard(&self) -> Time {
        let frames = u32::try_from(self.gone).unwrap_or(u32::MAX);
        self.start.unwrap_or_default() + frames::LENGTH * frames
    }
}
