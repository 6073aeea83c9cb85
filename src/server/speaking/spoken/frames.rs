//! Samples become frames of one size.

use bytes::{Bytes, BytesMut};
use std::time::Duration;

/// Samples a second, of every frame.
pub(crate) const RATE: u32 = 48_000;

/// What a frame lasts.
pub(crate) const LENGTH: Duration = Duration::from_millis(20);

/// Bytes of a frame: 960 samples of 16 bits.
pub(crate) const BYTES: usize = 1_920;

/// Audio that waits to be cut: 16 bits little-endian, mono, 48,000 Hz.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    waiting: BytesMut,
}

impl Frames {
    /// Takes audio, in pieces of any length.
    pub(super) fn push(&mut self, audio: &[u8]) {
        self.waiting.extend_from_slice(audio);
    }

    /// The next whole frame.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        (self.waiting.len() >= BYTES).then(|| self.waiting.split_to(BYTES).freeze())
    }

    /// What is left at the end of an utterance, filled up with silence.
    pub(super) fn take_last(&mut self) -> Option<Bytes> {
        if self.waiting.is_empty() || self.waiting.len() >= BYTES {
            return self.take();
        }
        self.waiting.resize(BYTES, 0);
        self.take()
    }

    /// Whether a whole frame is there.
    pub(super) fn has_one(&self) -> bool {
        self.waiting.len() >= BYTES
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long what waits will last.
    pub(super) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.waiting.len() as f64 / 2.0 / f64::from(RATE))
    }

    /// Forgets all of it.
    pub(super) fn clear(&mut self) {
        self.waiting = BytesMut::new();
    }
}
