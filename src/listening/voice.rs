//! Tells speech from other sound: the probability of speech, frame by frame.
//!
//! Two judges must agree. The first is earshot, a small recurrent net in pure Rust (<https://docs.rs/earshot>). It knows
//! the sound of speech, but takes a loud and steady noise, a fan say, for speech as long as it lasts. The second, the
//! [`Floor`], knows only what stands out: who speaks pauses, so sound that has not been softer for seconds is noise.
//!
//! Three promises. The probabilities do not depend on how the audio was cut up, to the bit: frames lie on a grid. They
//! do not depend on the machine: the arithmetic is plain, and earshot's feature `libm` brings its own logarithm. And
//! they depend on a bounded stretch of audio, so a session that is restored from its middle goes on as if nothing had
//! been. A recurrent net remembers without bound; so on a second grid a fresh one takes over, which has listened in for
//! [`WARM_UP`] before.
//!
//! What is made of the probabilities, where speech starts and ends, is not decided here.

use super::detector::Detector;
use crate::speech::Samples;
use earshot::Detector as Net;
use std::{collections::VecDeque, fmt, mem};

/// Length of a frame, in samples: one decision. On an absolute grid from position 0. The net was trained on 16 ms.
const FRAME: usize = 256;

/// A frame, as a distance.
const STEP: i64 = FRAME as i64;

/// How often a fresh net takes over, in samples: every 8.192 s.
const PERIOD: i64 = 512 * STEP;

/// How long a fresh net listens in before it takes over, in samples: 4.096 s. Then it differs from one that has heard all by
/// 0.02 on average. At least what the [`Floor`] remembers.
const WARM_UP: i64 = 256 * STEP;

/// No probability depends on audio farther back than this from its frame's start. A multiple of [`FRAME`]. A frame just
/// before the next take-over looks back the farthest.
const MEMORY: Samples = Samples(WARM_UP + PERIOD - STEP);

/// Gives the probability of speech for every frame of a stream.
pub(crate) struct VoiceDetector {
    /// The net that decides.
    current: Box<Net>,
    /// The net that takes over at the next point of the grid, once it listens in.
    next: Option<Box<Net>>,
    floor: Floor,
    /// Where the next frame starts. A multiple of [`FRAME`].
    position: i64,
    /// Samples from `position` on that do not fill a frame yet.
    pending: Vec<i16>,
}

impl Detector for VoiceDetector {
    const FRAME: usize = FRAME;
    const MEMORY: Samples = MEMORY;

    fn at(position: Samples, before: &[i16]) -> Self {
        let position = position.0;
        debug_assert!(position >= 0 && position % STEP == 0, "{position} is not the start of a frame");
        // Where the net began that decides the frame at `position`.
        let begin = (position - position % PERIOD - WARM_UP).max(0);
        let wanted = usize::try_from(position - begin).unwrap_or(0);
        debug_assert!(before.len() >= wanted, "{} samples are not enough for {position}", before.len());
        // With too little audio it hears what there is, in whole frames.
        let length = wanted.min(before.len() - before.len() % FRAME);
        let mut detector = Self::starting(position - length as i64);
        detector.push(&before[before.len() - length..], &mut Vec::new());
        detector
    }

    fn push(&mut self, samples: &[i16], probabilities: &mut Vec<f32>) {
        let mut pending = mem::take(&mut self.pending);
        pending.extend_from_slice(samples);
        let (frames, rest) = pending.as_chunks::<FRAME>();
        let used = pending.len() - rest.len();
        probabilities.extend(frames.iter().map(|frame| self.decide(frame)));
        pending.drain(..used);
        self.pending = pending;
    }

    fn finish(&mut self) -> Option<f32> {
        if self.pending.is_empty() {
            return None;
        }
        let mut frame = [0; FRAME];
        frame[..self.pending.len()].copy_from_slice(&self.pending);
        self.pending.clear();
        Some(self.decide(&frame))
    }
}

impl VoiceDetector {
    /// A detector that has heard nothing, for the frame at `position`.
    fn starting(position: i64) -> Self {
        Self { current: Net::default_boxed(), next: None, floor: Floor::default(), position, pending: Vec::new() }
    }

    /// The probability of speech in the next frame.
    fn decide(&mut self, frame: &[i16; FRAME]) -> f32 {
        let phase = self.position % PERIOD;
        if phase == 0
            && let Some(next) = self.next.take()
        {
            self.current = next;
        }
        if phase == PERIOD - WARM_UP {
            self.next = Some(Net::default_boxed());
        }
        if let Some(next) = &mut self.next {
            next.predict_i16(frame);
        }
        self.position += STEP;
        self.current.predict_i16(frame) * self.floor.stands_out(frame)
    }
}

/// Follows how loud the background is: as loud as the softest moment of the last seconds.
#[derive(Debug, Default)]
struct Floor {
    /// The power of the last frames, at most [`Floor::SMOOTH`] of them.
    powers: VecDeque<u64>,
    /// The loudness of the last frames, at most [`Floor::WINDOW`] of them: sums over `powers`.
    levels: VecDeque<u64>,
}

impl Floor {
    /// Frames that make a level, 128 ms. One frame of noise is up and down by some decibels, the sum of these is not.
    const SMOOTH: usize = 8;

    /// Frames that are searched for the softest, 3.968 s.
    const WINDOW: usize = 248;

    /// Frames in which a level counts after it has gone down, 208 ms: it bridges the stop in the middle of a word.
    const BRIDGE: usize = 13;

    /// Times the floor, in power, up to which all is background: 3 dB.
    const BACKGROUND: f32 = 2.0;

    /// Times the floor, in power, from which on all stands out: 5 dB. Speech does that, at a signal to noise of 5 dB.
    const FOREGROUND: f32 = 3.2;

    /// The softest floor, as a level: noise of 3 out of 32,768. Digital silence is no measure.
    const SOFTEST: u64 = 9 * (FRAME * Self::SMOOTH) as u64;

    /// How much the sound up to and with this frame stands out, 0.0 to 1.0. Always 1.0 in the first seconds, when
    /// there is nothing to compare with yet.
    fn stands_out(&mut self, frame: &[i16; FRAME]) -> f32 {
        let power = frame.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
        keep(&mut self.powers, power, Self::SMOOTH);
        if self.powers.len() == Self::SMOOTH {
            keep(&mut self.levels, self.powers.iter().sum(), Self::WINDOW);
        }
        if self.levels.len() < Self::WINDOW {
            return 1.0;
        }
        let floor = self.levels.iter().copied().min().unwrap_or(0).max(Self::SOFTEST);
        let level = self.levels.iter().rev().take(Self::BRIDGE).copied().max().unwrap_or(0);
        let ratio = level as f32 / floor as f32;
        ((ratio - Self::BACKGROUND) / (Self::FOREGROUND - Self::BACKGROUND)).clamp(0.0, 1.0)
    }
}

/// Adds a value and lets the oldest go once there are more than `most`.
fn keep(values: &mut VecDeque<u64>, value: u64, most: usize) {
    if values.len() == most {
        values.pop_front();
    }
    values.push_back(value);
}

impl fmt::Debug for VoiceDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (position, pending) = (Samples(self.position), self.pending.len());
        f.debug_struct("VoiceDetector").field("position", &position).field("pending", &pending).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    const SECOND: usize = 16_000;

    /// Noise from a generator of the simplest sort, as loud as `peak`.
    fn noise(length: usize, peak: i16) -> Vec<i16> {
        let mut state = 1_u32;
        let sample = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 - 32_768) as f32 / 32_768.0 * f32::from(peak)
        };
        (0..length).map(sample).map(|sample| sample as i16).collect()
    }

    /// Something like "yayaya" for `length` samples: a voice of about 120 Hz, and a mouth that opens and closes.
    fn speech(length: usize) -> Vec<i16> {
        let mut phase = 0.0_f32;
        let sample = |at: usize| {
            let time = at as f32 / SECOND as f32;
            phase += (120.0 + 15.0 * (TAU * 1.3 * time).sin()) / SECOND as f32;
            let open = 0.5 - 0.5 * (TAU * 4.0 * time).cos();
            let formants = [(300.0 + 450.0 * open, 1.0), (2_200.0 - 1_000.0 * open, 0.5), (2_800.0, 0.25)];
            let harmonic = |n: usize| {
                let hertz = 120.0 * n as f32;
                let gain: f32 = formants.iter().map(|(at, gain)| gain / (1.0 + ((hertz - at) / 80.0).powi(2))).sum();
                gain * (TAU * phase * n as f32).sin()
            };
            (4_000.0 * open * (1..32).map(harmonic).sum::<f32>()) as i16
        };
        (0..length).map(sample).collect()
    }

    /// Speech in a little noise, with pauses: something new at every position.
    static RECORDING: LazyLock<Vec<i16>> = LazyLock::new(|| {
        let voice = speech(30 * SECOND).into_iter().zip(noise(30 * SECOND, 60)).enumerate();
        voice.map(|(at, (voice, noise))| if at / (3 * SECOND) % 3 == 1 { noise } else { voice + noise }).collect()
    });

    /// What is heard in the whole recording.
    static WHOLE: LazyLock<Vec<u32>> = LazyLock::new(|| hear(VoiceDetector::starting(0), &RECORDING));

    fn hear(mut detector: VoiceDetector, samples: &[i16]) -> Vec<u32> {
        let mut probabilities = Vec::new();
        detector.push(samples, &mut probabilities);
        probabilities.extend(detector.finish());
        probabilities.iter().map(|probability| probability.to_bits()).collect()
    }

    fn mean(samples: &[i16]) -> f32 {
        let probabilities = hear(VoiceDetector::starting(0), samples);
        assert_eq!(probabilities.len(), samples.len().div_ceil(FRAME));
        probabilities.iter().map(|&bits| f32::from_bits(bits)).sum::<f32>() / probabilities.len() as f32
    }

    #[test]
    fn silence_and_noise_are_no_speech() {
        for (name, samples) in [("silence", vec![0; 20 * SECOND]), ("noise", noise(20 * SECOND, 300))] {
            let mean = mean(&samples);
            assert!(mean < 0.2, "{name}: {mean}");
        }
    }

    #[test]
    fn loud_steady_noise_is_no_speech_for_long() {
        let fan: Vec<i16> = noise(20 * SECOND, 30_000).chunks(16).map(|part| part[0]).collect();
        let fan: Vec<i16> = fan.iter().flat_map(|&sample| [sample; 16]).collect();
        let heard = hear(VoiceDetector::starting(0), &fan);
        let late = heard[heard.len() / 2..].iter().map(|&bits| f32::from_bits(bits));
        assert!(late.fold(0.0, f32::max) < 0.5);
    }

    #[test]
    fn speech_is_speech() {
        let mean = mean(&speech(4 * SECOND));
        assert!(mean > 0.6, "{mean}");
    }

    #[test]
    fn speech_stands_out_of_noise() {
        let quiet = noise(8 * SECOND, 1_000);
        let voice: Vec<i16> = speech(SECOND).iter().zip(&quiet).map(|(voice, noise)| voice + noise).collect();
        let probabilities = hear(VoiceDetector::starting(0), &[&quiet[..], &voice].concat());
        let most = probabilities[500..].iter().map(|&bits| f32::from_bits(bits)).fold(0.0, f32::max);
        assert!(most > 0.6, "{most}");
    }

    #[test]
    fn the_end_is_filled_up_with_silence() {
        let samples = RECORDING[..SECOND + 100].to_vec();
        let mut filled = samples.clone();
        filled.resize(samples.len().next_multiple_of(FRAME), 0);
        assert_eq!(hear(VoiceDetector::starting(0), &samples), hear(VoiceDetector::starting(0), &filled));
        assert_eq!(VoiceDetector::starting(0).finish(), None);
    }

    /// Restores a detector that is shown `shown` samples before `position`, and compares what it hears in the next 10 s.
    fn restored_goes_on(position: usize, shown: usize) {
        let before = &RECORDING[position.saturating_sub(shown)..position];
        let after = &RECORDING[position..RECORDING.len().min(position + 625 * FRAME)];
        let restored = hear(VoiceDetector::at(Samples(position as i64), before), after);
        let first = position / FRAME;
        assert!(restored == WHOLE[first..first + restored.len()], "{position} after {shown}");
    }

    #[test]
    fn a_restored_detector_goes_on_around_the_grid() {
        let period = PERIOD as usize;
        for grid in [period, 2 * period, 3 * period] {
            for position in [grid - WARM_UP as usize, grid - FRAME, grid, grid + FRAME] {
                restored_goes_on(position, MEMORY.0 as usize);
            }
        }
    }

    /// How the text of a log would show it; and it may go to another thread.
    #[test]
    fn it_is_debug_and_send() {
        fn is_send(detector: impl Send + fmt::Debug) -> String {
            format!("{detector:?}")
        }
        assert!(is_send(VoiceDetector::starting(0)).starts_with("VoiceDetector { position: Samples(0), pending: 0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn how_the_audio_is_cut_does_not_matter(
            length in 0_usize..16 * SECOND,
            cuts in prop::collection::vec(0_usize..40_000, 0..20),
        ) {
            let samples = &RECORDING[..length];
            let (mut detector, mut pieces, mut rest) = (VoiceDetector::starting(0), Vec::new(), samples);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                detector.push(head, &mut pieces);
                rest = tail;
            }
            let mut bits: Vec<u32> = pieces.iter().map(|probability| probability.to_bits()).collect();
            bits.extend(hear(detector, rest));
            prop_assert_eq!(bits, hear(VoiceDetector::starting(0), samples));
        }

        /// What lies farther back than MEMORY could be anything: it is not even shown.
        #[test]
        fn a_restored_detector_goes_on(frame in 0_usize..1_700, more in 0_usize..2 * SECOND) {
            restored_goes_on(frame * FRAME, MEMORY.0 as usize);
            restored_goes_on(frame * FRAME, MEMORY.0 as usize + more);
        }
    }
}
