//! Frames as somebody who listens would wait for them.

use std::time::{Duration, Instant};

/// What a frame lasts.
const LENGTH: Duration = Duration::from_millis(20);

/// How far frames are ahead of the listener, where a session says nothing else.
const LOOKAHEAD: Duration = Duration::from_millis(100);

/// A frame that comes later than this is late.
const LATE: Duration = Duration::from_millis(5);

/// How a frame came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Arrival {
    /// More than 5 ms after it was due.
    pub(crate) is_late: bool,
    /// After the time at which it should be heard: the listener has heard a silence.
    pub(crate) is_missed: bool,
}

/// Who listens to an utterance.
///
/// Its first frame is heard when it comes, and frame i behind it 20 ms × i later; it is due 100 ms before that, but not
/// before the first. Where a frame comes after the time at which it should be heard, the listener hears a silence, and
/// all that follows is due later by that: as the server has it, too, so that one gap does not count a thousand times.
#[derive(Default)]
pub(crate) struct Listener {
    /// When the first is heard, silences counted in.
    start: Option<Instant>,
    frames: u32,
}

impl Listener {
    /// A frame has come.
    pub(crate) fn hears(&mut self, now: Instant) -> Arrival {
        let start = *self.start.get_or_insert(now);
        let heard = start + LENGTH * self.frames;
        let due = heard.checked_sub(LOOKAHEAD).map_or(start, |due| due.max(start));
        let is_missed = now > heard;
        if is_missed {
            self.start = Some(start + (now - heard));
        }
        self.frames += 1;
        Arrival { is_late: now > due + LATE, is_missed }
    }
}
