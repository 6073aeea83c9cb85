//! Cuts a recording of any length into windows that an engine can see. Pure.
//!
//! As whisper.cpp does it in memory: a window of 30 s is decoded, what is certain of it is taken, and the next window
//! begins where that ended. So memory and the loss by a death are bounded, and no word is cut.

use crate::speech::Samples;

/// The length of a window: what Whisper's encoder sees.
pub(super) const WINDOW: usize = 30 * Samples::RATE as usize;

/// The least that a window must decide. An engine that decides nothing would see the same audio for ever.
const LEAST: usize = Samples::RATE as usize;

/// The recording, as far as it is not decided.
#[derive(Debug, Default)]
pub(super) struct Windows {
    undecided: Vec<i16>,
    start: Samples,
    is_whole: bool,
    is_done: bool,
}

/// A window to decode.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// Where it starts in the recording.
    pub(super) start: Samples,
    /// Its audio, 16 kHz mono.
    pub(super) samples: Vec<i16>,
    /// Whether the recording goes on behind it.
    pub(super) more_follows: bool,
}

impl Windows {
    /// Takes more audio.
    pub(super) fn push(&mut self, samples: &[i16]) {
        self.undecided.extend_from_slice(samples);
    }

    /// Whether there is room for what may be read ahead, while a window is decoded.
    pub(super) fn has_room(&self) -> bool {
        !self.is_whole && self.undecided.len() < 2 * WINDOW
    }

    /// Takes note that no more comes.
    pub(super) fn finish(&mut self) {
        self.is_whole = true;
    }

    /// How much of the recording has arrived.
    pub(super) fn received(&self) -> Samples {
        Samples(self.start.0 + self.undecided.len() as i64)
    }

    /// The next window, once there is enough audio for it.
    pub(super) fn next(&self) -> Option<Window> {
        let more_follows = self.undecided.len() > WINDOW;
        if self.is_done || !(more_follows || self.is_whole) {
            return None;
        }
        let samples = self.undecided.get(..WINDOW).unwrap_or(&self.undecided).to_vec();
        Some(Window { start: self.start, samples, more_follows })
    }

    /// Whether everything is decided.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes note of how far the window that [`Windows::next`] gave is decided, and says up to where the recording is.
    pub(super) fn decide(&mut self, window: &Window, decided: Samples) -> Samples {
        let length = window.samples.len();
        let decided = if window.more_follows {
            match usize::try_from(decided.0).unwrap_or(0) {
                0 => LEAST.min(length),
                decided => decided.min(length),
            }
        } else {
            self.is_done = true;
            length
        };
        self.undecided.drain(..decided);
        self.start = self.start + Samples(decided as i64);
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_recording_without_audio_has_one_empty_window() {
        let mut windows = Windows::default();
        assert_eq!(windows.next(), None);
        windows.finish();
        let window = windows.next().expect("the only one");
        assert!(window.samples.is_empty() && !window.more_follows);
        windows.decide(&window, Samples(0));
        assert!(windows.is_done() && windows.next().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// However the audio arrives and whatever the engine decides, every sample is decided once, in order.
        #[test]
        fn every_sample_is_decided_once(
            length in 0usize..2_000_000,
            chunk in 1usize..700_000,
            decisions in proptest::collection::vec(-10i64..600_000, 1..8),
        ) {
            let recording: Vec<i16> = (0..length).map(|n| n as i16).collect();
            let mut windows = Windows::default();
            let mut decisions = decisions.into_iter().cycle();
            let mut chunks = recording.chunks(chunk);
            let mut up_to = 0;
            while !windows.is_done() {
                let Some(window) = windows.next() else {
                    match chunks.next() {
                        Some(chunk) => windows.push(chunk),
                        None => windows.finish(),
                    }
                    continue;
                };
                prop_assert_eq!(window.start.0 as usize, up_to);
                prop_assert!(window.samples.len() <= WINDOW);
                prop_assert_eq!(&recording[up_to..up_to + window.samples.len()], &window.samples[..]);
                let decided = windows.decide(&window, Samples(decisions.next().expect("cycle"))).0 as usize;
                prop_assert!(decided > up_to || !window.more_follows);
                up_to = decided;
            }
            prop_assert_eq!(up_to, length);
        }
    }
}
