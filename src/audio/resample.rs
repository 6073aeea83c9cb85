//! Changes the rate of mono audio, block by block.
//!
//! Three promises: the output is in step with the input (the delay of the filter is taken off), it has exactly
//! `round(n * to / from)` samples for `n` that went in, and it does not depend on how the input was cut up,
//! to the bit. The last holds because the transform sees blocks that are cut by position, never by call.

use std::ops::RangeInclusive;

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use crate::error::{Error, Kind, Result};

/// The rates that are taken, in Hz: from less than any recorder uses to twice what the best run at. They bound what a
/// wrong header can make us allocate.
pub(crate) const RATES: RangeInclusive<u32> = 1_000..=768_000;

/// The length of a block on the slower side, in samples, at least. It sets both the sharpness of the filter (flat
/// to 97 % of what the slower rate can carry) and how late audio comes out: 48 ms at 16 kHz.
const BLOCK: u64 = 512;

/// A mono stream on its way from one rate to another.
pub(crate) struct Resampler {
    /// None when both rates are the same: then samples pass untouched.
    conversion: Option<Conversion>,
}

/// What a change of rate needs to remember.
struct Conversion {
    fft: Fft<f32>,
    from: u64,
    to: u64,
    /// Input that does not fill a block yet.
    pending: Vec<f32>,
    /// Samples that came in.
    taken: u64,
    /// Samples that went out.
    given: u64,
    /// Output samples still to be dropped at the start: the delay of the filter.
    delay: usize,
    /// One block of output.
    scratch: Vec<f32>,
}

impl Resampler {
    /// Prepares to go from one rate to another, both in Hz.
    pub(crate) fn try_new(from: u32, to: u32) -> Result<Self> {
        for rate in [from, to] {
            if !RATES.contains(&rate) {
                let (lowest, highest) = (RATES.start(), RATES.end());
                let message = format!("a sample rate of {rate} Hz is out of range; {lowest} to {highest} Hz are taken");
                return Err(Error::new(Kind::InvalidInput, message));
            }
        }
        if from == to {
            return Ok(Self { conversion: None });
        }
        Ok(Self { conversion: Some(Conversion::try_new(from, to)?) })
    }

    /// Prepares to go on in the middle of a stream, of which the input from `start` on is at hand. Says from where on it
    /// is to be fed, which is at or a little behind `start`, and the position of the first sample that comes out; from
    /// there on the output is that of the whole stream, to the bit.
    pub(crate) fn resume(from: u32, to: u32, start: u64) -> Result<(Self, u64, u64)> {
        let mut resampler = Self::try_new(from, to)?;
        let (fed, given) = match &mut resampler.conversion {
            Some(conversion) if start > 0 => conversion.resume(start),
            _ => (start, start),
        };
        Ok((resampler, fed, given))
    }

    /// How much input before a position must be at hand, at least, to go on there.
    pub(crate) fn memory(&self) -> u64 {
        self.conversion.as_ref().map_or(0, |conversion| 4 * conversion.fft.input_frames_max() as u64)
    }

    /// Takes samples at the first rate and gives those at the second that are certain by now: none, or some blocks.
    pub(crate) fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        match &mut self.conversion {
            None => Ok(samples.to_vec()),
            Some(conversion) => conversion.push(samples),
        }
    }

    /// Gives what is left once the input has ended.
    pub(crate) fn finish(self) -> Result<Vec<f32>> {
        match self.conversion {
            None => Ok(Vec::new()),
            Some(conversion) => conversion.finish(),
        }
    }
}

impl Conversion {
    fn try_new(from: u32, to: u32) -> Result<Self> {
        let (from, to) = (u64::from(from), u64::from(to));
        // Blocks must be a multiple of `unit` on the input side to be whole on the output side.
        let unit = from / gcd(from, to);
        // An even number of units puts the middle of the filter on a sample of either side: its delay is whole.
        let step = if unit <= 2 * BLOCK { 2 * unit } else { unit };
        let block = BLOCK.max(BLOCK * from / to).next_multiple_of(step);
        let block = usize::try_from(block).map_err(broken)?;
        let fft = Fft::new(from as usize, to as usize, block, 1, FixedSync::Both).map_err(broken)?;
        let (mut delay, scratch) = (fft.output_delay(), vec![0.0; fft.output_frames_max()]);
        let mut pending = Vec::new();
        // A long block of an awkward rate (44,101 Hz) is not doubled, it is late enough. Silence in front of the input
        // makes its delay whole: one block.
        if !block.is_multiple_of(2) || !scratch.len().is_multiple_of(2) {
            pending.resize(block - block / 2, 0.0);
            delay = scratch.len();
        }
        Ok(Self { fft, from, to, pending, taken: 0, given: 0, delay, scratch })
    }

    /// Goes to the first block that begins at `start` or behind it. The transform remembers one block: the output of the
    /// first is not whole, and is dropped.
    fn resume(&mut self, start: u64) -> (u64, u64) {
        let padding = self.pending.len() as u64;
        let (block, room) = (self.fft.input_frames_max() as u64, self.scratch.len() as u64);
        let number = (start + padding).div_ceil(block);
        self.pending.clear();
        self.taken = number * block - padding;
        // The delay is at most one block, which is dropped at the start of a stream as well.
        self.given = (number + 1) * room - self.delay as u64;
        self.delay = self.scratch.len();
        (self.taken, self.given)
    }

    fn push(&mut self, samples: &[f32]) -> Result<Vec<f32>> {
        self.taken += samples.len() as u64;
        self.pending.extend_from_slice(samples);
        let block = self.fft.input_frames_next();
        let mut output = Vec::new();
        let mut used = 0;
        while self.pending.len() - used >= block {
            self.convert(used, &mut output)?;
            used += block;
        }
        self.pending.drain(..used);
        self.given += output.len() as u64;
        Ok(output)
    }

    fn finish(mut self) -> Result<Vec<f32>> {
        // One that was resumed at the very end has nothing to give.
        let left = usize::try_from(self.due().saturating_sub(self.given)).map_err(broken)?;
        let block = self.fft.input_frames_next();
        let mut output = Vec::new();
        while output.len() < left {
            self.pending.resize(block, 0.0);
            self.convert(0, &mut output)?;
            self.pending.clear();
        }
        output.truncate(left);
        Ok(output)
    }

    /// How many samples belong to all that was taken. Never less than was given: blocks come out late.
    fn due(&self) -> u64 {
        let exact = u128::from(self.taken) * u128::from(self.to);
        let rounded = (exact + u128::from(self.from) / 2) / u128::from(self.from);
        u64::try_from(rounded).unwrap_or(u64::MAX)
    }

    /// Sends the block of pending input that starts at `start` through the filter.
    fn convert(&mut self, start: usize, output: &mut Vec<f32>) -> Result<()> {
        let (block, room) = (self.fft.input_frames_next(), self.scratch.len());
        let input = SequentialSlice::new(&self.pending[start..start + block], 1, block).map_err(broken)?;
        let mut converted = SequentialSlice::new_mut(&mut self.scratch, 1, room).map_err(broken)?;
        let (_, count) = self.fft.process_into_buffer(&input, &mut converted, None).map_err(broken)?;
        let skipped = self.delay.min(count);
        self.delay -= skipped;
        output.extend_from_slice(&self.scratch[skipped..count]);
        Ok(())
    }
}

/// A failure that no input can cause.
fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Internal, "the resampler failed").because(error)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    const USUAL: [u32; 14] = [
        8_000, 11_025, 12_000, 16_000, 22_050, 22_255, 24_000, 32_000, 44_100, 44_101, 48_000, 88_200, 96_000, 192_000,
    ];

    fn resample(from: u32, to: u32, samples: &[f32]) -> Vec<f32> {
        let mut resampler = Resampler::try_new(from, to).unwrap();
        let mut output = resampler.push(samples).unwrap();
        output.extend(resampler.finish().unwrap());
        output
    }

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<f32> {
        (0..count).map(|at| (0.5 * (TAU * hertz * at as f64 / f64::from(rate)).sin()) as f32).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_stream_goes_on_in_its_middle(
            rate in proptest::sample::select(USUAL.to_vec()),
            start in 0usize..60_000,
            length in 0usize..100_000,
        ) {
            let samples: Vec<f32> = (0..length).map(|n| ((n * 7919) % 997) as f32 / 997.0 - 0.5).collect();
            let whole = resample(rate, 16_000, &samples);
            let (mut resampler, fed, given) = Resampler::resume(rate, 16_000, start as u64).unwrap();
            prop_assert!(fed >= start as u64 && fed - start as u64 <= resampler.memory());
            // Who has `memory` before a position can go on at it.
            prop_assert!((given * u64::from(rate)).div_ceil(16_000) <= start as u64 + resampler.memory());
            if fed as usize <= length {
                let mut output = resampler.push(&samples[fed as usize..]).unwrap();
                output.extend(resampler.finish().unwrap());
                let rest = whole.get(given as usize..).unwrap_or_default();
                prop_assert_eq!(output.map_bits(), rest.to_vec().map_bits());
            }
        }
    }

    #[test]
    fn the_same_rate_changes_nothing() {
        let odd = [0.1, -0.0, f32::NAN, 3.0, f32::MIN_POSITIVE];
        let output = resample(16_000, 16_000, &odd);
        assert_eq!(output.map_bits(), odd.to_vec().map_bits());
    }

    #[test]
    fn rates_out_of_range_are_refused() {
        for (from, to) in [(0, 16_000), (16_000, 0), (999, 16_000), (768_001, 16_000), (16_000, u32::MAX)] {
            assert_eq!(Resampler::try_new(from, to).err().unwrap().kind(), Kind::InvalidInput);
        }
    }

    #[test]
    fn an_impulse_stays_in_its_place() {
        for from in USUAL {
            let at = from as usize / 2;
            let mut samples = vec![0.0; from as usize];
            samples[at] = 1.0;
            let output = resample(from, 16_000, &samples);
            let peak = (0..output.len()).max_by(|&a, &b| output[a].abs().total_cmp(&output[b].abs())).unwrap();
            let due = at as f64 * 16_000.0 / f64::from(from);
            assert!((peak as f64 - due).abs() <= 1.0, "{from} Hz: {peak} for {due}");
        }
    }

    #[test]
    fn a_tone_keeps_phase_and_level() {
        for from in USUAL {
            for to in [8_000, 16_000, 22_050, 48_000] {
                let output = resample(from, to, &tone(from, 997.0, from as usize));
                let wanted = tone(to, 997.0, to as usize);
                assert_eq!(output.len(), wanted.len());
                let inner = to as usize / 10..to as usize * 9 / 10;
                let worst = inner.map(|at| (output[at] - wanted[at]).abs()).fold(0.0, f32::max);
                assert!(worst < 1e-4, "{from} to {to}: off by {worst}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_gone() {
        let output = resample(48_000, 16_000, &tone(48_000, 10_000.0, 48_000));
        let worst = output[1_600..14_400].iter().fold(0.0_f32, |worst, sample| worst.max(sample.abs()));
        assert!(worst < 1e-3, "{worst}");
    }

    #[test]
    fn the_length_is_exact() {
        for from in USUAL {
            for count in [0_usize, 1, 2, 3, 159, 160, 1_763, 1_764, 1_765, 10_007] {
                let due = (count as f64 * 16_000.0 / f64::from(from)).round() as usize;
                assert_eq!(resample(from, 16_000, &vec![0.25; count]).len(), due, "{count} at {from} Hz");
            }
        }
    }

    #[test]
    fn the_worst_ratio_still_works() {
        let output = resample(767_957, 16_000, &tone(767_957, 997.0, 767_957));
        assert_eq!(output.len(), 16_000);
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u32>;
    }

    impl MapBits for Vec<f32> {
        fn map_bits(&self) -> Vec<u32> {
            self.iter().map(|sample| sample.to_bits()).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn how_the_input_is_cut_does_not_matter(
            from in prop::sample::select(&USUAL[..9]),
            to in prop::sample::select(&USUAL[..9]),
            samples in prop::collection::vec(-1.0_f32..1.0, 0..6_000),
            cuts in prop::collection::vec(0_usize..2_500, 1..40),
        ) {
            let whole = resample(from, to, &samples);
            let mut resampler = Resampler::try_new(from, to).unwrap();
            let (mut output, mut rest) = (Vec::new(), &samples[..]);
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                output.extend(resampler.push(head).unwrap());
                rest = tail;
            }
            output.extend(resampler.push(rest).unwrap());
            output.extend(resampler.finish().unwrap());
            prop_assert_eq!(output.map_bits(), whole.map_bits());
        }
    }
}
