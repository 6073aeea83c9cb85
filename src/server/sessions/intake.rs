//! Audio as a client sends it, on its way to 16 kHz. What comes out is a function of the audio before it, and of no more
//! of that than the log keeps: so a session can be restored in its middle, to the bit.

use crate::{
    audio::{self, resample::Resampler},
    error::Result,
    server::sessions::config::scale,
    speech::Samples,
};

/// Audio of one session on its way in.
pub(super) struct Intake {
    rate: u32,
    resampler: Resampler,
    /// Samples of the input that are still to be passed over: a resampler goes on at its own blocks.
    unfed: usize,
    /// Samples of the output that are known already.
    known: usize,
}

impl Intake {
    /// For audio of this rate, from its start.
    ///
    /// # Errors
    /// `InvalidInput` for a rate that cannot be.
    pub(super) fn try_new(rate: u32) -> Result<Self> {
        Ok(Self { rate, resampler: Resampler::try_new(rate, Samples::RATE)?, unfed: 0, known: 0 })
    }

    /// Goes on with a session whose audio is at hand from `start` on, in the client's clock; gives the position of the
    /// first sample at 16 kHz that comes of it, and those samples.
    ///
    /// # Errors
    /// As [`Intake::try_new`].
    pub(super) fn restore(rate: u32, start: i64, audio: &[i16]) -> Result<(Self, Samples, Vec<i16>)> {
        let position = u64::try_from(start).unwrap_or(0);
        let (resampler, fed, given) = Resampler::resume(rate, Samples::RATE, position)?;
        let unfed = usize::try_from(fed - position).unwrap_or(usize::MAX);
        let mut intake = Self { rate, resampler, unfed, known: 0 };
        let samples = intake.push(audio)?;
        Ok((intake, Samples(i64::try_from(given).unwrap_or(i64::MAX)), samples))
    }

    /// From where on the client's audio must be kept, so that the session can be restored from `needed` on.
    pub(super) fn keep_from(&self, needed: Samples) -> i64 {
        let memory = i64::try_from(self.resampler.memory()).unwrap_or(i64::MAX);
        (scale(needed.0, Samples::RATE, self.rate) - memory).max(0)
    }

    /// Passes over output that was decided before the audio that it comes of was lost.
    pub(super) fn skip(&mut self, samples: usize) {
        self.known = samples;
    }

    /// What is new of the output.
    fn fresh(&mut self, mut output: Vec<i16>) -> Vec<i16> {
        let known = self.known.min(output.len());
        self.known -= known;
        output.drain(..known);
        output
    }

    /// Takes what comes next; gives what is certain by now.
    ///
    /// # Errors
    /// `Internal` where the resampler fails.
    pub(super) fn push(&mut self, samples: &[i16]) -> Result<Vec<i16>> {
        let unfed = self.unfed.min(samples.len());
        self.unfed -= unfed;
        let samples = samples.get(unfed..).unwrap_or_default();
        if self.rate == Samples::RATE {
            return Ok(self.fresh(samples.to_vec()));
        }
        let samples: Vec<f32> = samples.iter().copied().map(audio::to_f32).collect();
        let output = self.resampler.push(&samples)?.into_iter().map(audio::to_i16).collect();
        Ok(self.fresh(output))
    }

    /// Gives what is left at the end.
    ///
    /// # Errors
    /// `Internal` where the resampler fails.
    pub(super) fn finish(&mut self) -> Result<Vec<i16>> {
        let fresh = Resampler::try_new(self.rate, Samples::RATE)?;
        let resampler = std::mem::replace(&mut self.resampler, fresh);
        let output = resampler.finish()?.into_iter().map(audio::to_i16).collect();
        Ok(self.fresh(output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decided_is_not_heard_again() {
        let audio: Vec<i16> = (0..32_000).map(|n| ((n * 7919) % 30_011 - 15_000) as i16).collect();
        let mut intake = Intake::try_new(8_000).expect("a rate");
        let mut whole = intake.push(&audio).expect("it works");
        whole.extend(intake.finish().expect("it works"));
        // Everything is decided, the tail of the resampler too, which comes out at the end only.
        let start = intake.keep_from(Samples(whole.len() as i64));
        let (mut restored, first, heard) = Intake::restore(8_000, start, &audio[start as usize..]).expect("a rate");
        restored.skip(whole.len() - first.0 as usize - heard.len());
        assert!(restored.finish().expect("it works").is_empty());
        // Without audio at hand, the next is fed at the right place all the same.
        let (mut late, first, heard) = Intake::restore(8_000, 10_001, &[]).expect("a rate");
        assert!(heard.is_empty());
        let mut rest = late.push(&audio[10_001..]).expect("it works");
        rest.extend(late.finish().expect("it works"));
        assert_eq!(rest, whole[first.0 as usize..]);
    }

    #[test]
    fn a_session_is_restored_to_the_bit() {
        for rate in [8_000, 16_000, 44_100, 48_000] {
            let audio: Vec<i16> = (0..rate as i32 * 4).map(|n| ((n * 7919) % 30_011 - 15_000) as i16).collect();
            let mut intake = Intake::try_new(rate).expect("a rate");
            let mut whole = intake.push(&audio).expect("it works");
            whole.extend(intake.finish().expect("it works"));
            assert_eq!(whole.len(), 64_000);
            let needed = Samples(40_000);
            let start = intake.keep_from(needed);
            let (mut restored, first, mut rest) =
                Intake::restore(rate, start, &audio[start as usize..]).expect("a rate");
            assert!(first <= needed, "{rate} Hz: {first:?}");
            rest.extend(restored.finish().expect("it works"));
            assert_eq!(rest, whole[first.0 as usize..], "{rate} Hz");
        }
    }
}
