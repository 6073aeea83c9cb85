//! Audio as samples: reading files and pipes, changing the rate, writing WAV.
//!
//! Inside the program a sample is `f32` in -1.0..=1.0, mono; on the wire and in files that we write it is
//! signed 16 bit, little-endian. This module knows no devices and no engines.

mod channels;
mod container;
pub(crate) mod decode;
pub(crate) mod encode;
mod flac;
mod mp4;
pub(crate) mod ogg_opus;
pub(crate) mod raw;
pub(crate) mod resample;
mod riff;
mod source;
pub(crate) mod stretch;
pub(crate) mod wav;

/// The rate of audio that recognisers take, in Hz.
pub(crate) const RECOGNITION_RATE: u32 = crate::speech::Samples::RATE;

/// One step of 16-bit audio is 1/32768, both ways, so that 16-bit audio survives the detour through `f32` unchanged.
const FULL_SCALE: f32 = 32_768.0;

/// Rounds a sample to 16 bits: what is beyond ±1.0 is clamped, what is not a number is silence.
pub(crate) fn to_i16(sample: f32) -> i16 {
    // `as` saturates, and takes NaN to 0.
    (sample * FULL_SCALE).round() as i16
}

/// Widens a 16-bit sample to -1.0..1.0.
pub(crate) fn to_f32(sample: i16) -> f32 {
    f32::from(sample) / FULL_SCALE
}

/// Reads little-endian 16-bit samples; half a sample at the end is dropped.
pub(crate) fn bytes_to_i16(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect()
}

/// Writes 16-bit samples as little-endian bytes, two for each.
pub(crate) fn i16_to_bytes(samples: &[i16]) -> Vec<u8> {
    // Into place, which compilers turn into one copy; to collect them byte by byte takes many times as long.
    let mut bytes = vec![0; samples.len() * 2];
    for (pair, sample) in bytes.as_chunks_mut().0.iter_mut().zip(samples) {
        *pair = sample.to_le_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_survive_the_detour_through_floats() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(to_i16(to_f32(sample)), sample);
        }
    }

    #[test]
    fn what_no_sample_can_hold_is_clamped() {
        assert_eq!(to_i16(1.0), i16::MAX);
        assert_eq!(to_i16(7.5), i16::MAX);
        assert_eq!(to_i16(f32::INFINITY), i16::MAX);
        assert_eq!(to_i16(-1.0), i16::MIN);
        assert_eq!(to_i16(f32::NEG_INFINITY), i16::MIN);
        assert_eq!(to_i16(f32::NAN), 0);
        assert_eq!(to_i16(0.6 / 32_768.0), 1);
        assert_eq!(to_i16(-0.6 / 32_768.0), -1);
    }

    #[test]
    fn bytes_are_little_endian_and_half_a_sample_is_dropped() {
        assert_eq!(i16_to_bytes(&[1, -2]), [1, 0, 0xfe, 0xff]);
        assert_eq!(bytes_to_i16(&[1, 0, 0xfe, 0xff, 9]), [1, -2]);
        assert!(bytes_to_i16(&[7]).is_empty());
    }
}
