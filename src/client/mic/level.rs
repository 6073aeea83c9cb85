//! How loud it is, for a meter.

use crate::audio::to_f32;

/// What is shown for digital silence, whose level has no number.
const SILENCE: f32 = -100.0;

/// How loud a stretch of audio is, in dB below full scale: 0 is as loud as 16 bits can be, -100 is silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// The loudest sample. At 0 the microphone is too loud, and what was said is distorted.
    pub(crate) peak: f32,
    /// The mean power. A sine of full scale has -3 dB.
    pub(crate) rms: f32,
}

/// Measures a chunk.
pub(crate) fn level(samples: &[i16]) -> Level {
    let peak = samples.iter().map(|&sample| to_f32(sample).abs()).fold(0.0, f32::max);
    let energy: f64 = samples.iter().map(|&sample| f64::from(to_f32(sample)).powi(2)).sum();
    let power = energy / samples.len().max(1) as f64;
    Level { peak: decibels(peak), rms: decibels(power.sqrt() as f32) }
}

fn decibels(amplitude: f32) -> f32 {
    (20.0 * amplitude.log10()).max(SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_below_full_scale() {
        assert_eq!(level(&[]), Level { peak: SILENCE, rms: SILENCE });
        assert_eq!(level(&[0; 100]), Level { peak: SILENCE, rms: SILENCE });
        assert_eq!(level(&[i16::MIN; 100]), Level { peak: 0.0, rms: 0.0 });
        let sine: Vec<i16> = (0..1_600).map(|at| ((at as f32 * 0.1).sin() * 3_276.8) as i16).collect();
        let Level { peak, rms } = level(&sine);
        assert!((peak + 20.0).abs() < 0.1 && (rms + 23.0).abs() < 0.1, "{peak} {rms}");
    }
}
