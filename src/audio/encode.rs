//! Writes audio files while the audio is still being made: bytes as they come, and at the end a better header for those
//! who can go back and put it over the first.

use super::{bytes_to_i16, flac, ogg_opus, wav};
use crate::error::{Error, Kind, Result};

/// What audio is written as. Always mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Wav,
    /// WAV that may become longer than 4 GiB, for those who can go back.
    LongWav,
    /// Bare samples.
    Pcm,
    /// Bare samples: 32-bit floats little-endian, as they come.
    Floats,
    Flac,
    OggOpus,
}

impl Container {
    /// The bytes of a sample that the encoder takes.
    pub(crate) fn sample_bytes(self) -> usize {
        match self {
            Self::Floats => 4,
            Self::Wav | Self::LongWav | Self::Pcm | Self::Flac | Self::OggOpus => 2,
        }
    }
}

/// One file on its way.
pub(crate) enum Encoder {
    /// What comes is what is written.
    Bare,
    Wav {
        rate: u32,
        /// Bytes of samples so far.
        written: u32,
    },
    LongWav {
        rate: u32,
        /// Bytes of samples so far.
        written: u64,
    },
    Flac(Box<flac::Encoder>),
    OggOpus(Box<ogg_opus::Encoder>),
}

impl Encoder {
    /// For samples at `rate` Hz, of 16 bits but for [`Container::Floats`].
    ///
    /// # Errors
    /// `Unsupported` for a rate that the container cannot hold.
    pub(crate) fn try_new(container: Container, rate: u32) -> Result<Self> {
        Ok(match container {
            Container::Pcm | Container::Floats => Self::Bare,
            Container::Wav => Self::Wav { rate, written: 0 },
            Container::LongWav => Self::LongWav { rate, written: 0 },
            Container::Flac => Self::Flac(Box::new(flac::Encoder::try_new(rate)?)),
            Container::OggOpus => Self::OggOpus(Box::new(ogg_opus::Encoder::try_new(rate)?)),
        })
    }

    /// What stands in front: the header of a stream whose end is not known yet.
    ///
    /// # Errors
    /// What the encoder says.
    pub(crate) fn begin(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Bare => Ok(Vec::new()),
            Self::Wav { rate, .. } => Ok(wav::header(*rate, None).to_vec()),
            Self::LongWav { rate, .. } => Ok(wav::long_header(*rate, None)),
            Self::Flac(flac) => Ok(flac.header()),
            Self::OggOpus(opus) => opus.push(&[]),
        }
    }

    /// Appends samples, little-endian, and gives what is complete now; it may be nothing.
    ///
    /// # Errors
    /// `Unsupported` for more than the container can hold.
    pub(crate) fn push(&mut self, samples: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Bare => Ok(samples.to_vec()),
            Self::Wav { written, .. } => {
                let more = u32::try_from(samples.len()).ok().and_then(|bytes| written.checked_add(bytes));
                *written = more.filter(|&bytes| bytes <= wav::MAX_DATA_BYTES).ok_or_else(too_long)?;
                Ok(samples.to_vec())
            }
            Self::LongWav { written, .. } => {
                *written += samples.len() as u64;
                Ok(samples.to_vec())
            }
            Self::Flac(flac) => flac.push(&bytes_to_i16(samples)),
            Self::OggOpus(opus) => opus.push(&bytes_to_i16(samples)),
        }
    }

    /// Gives the last bytes, and the header that knows the length, if it is another than the first; both are of the same
    /// length.
    ///
    /// # Errors
    /// What the encoder says.
    pub(crate) fn finish(self) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        match self {
            Self::Bare => Ok((Vec::new(), None)),
            Self::Wav { rate, written } => Ok((Vec::new(), Some(wav::header(rate, Some(written)).to_vec()))),
            Self::LongWav { rate, written } => Ok((Vec::new(), Some(wav::long_header(rate, Some(written))))),
            Self::Flac(flac) => flac.finish().map(|(last, header)| (last, Some(header))),
            Self::OggOpus(opus) => Ok((opus.finish()?, None)),
        }
    }
}

fn too_long() -> Error {
    let message = "the audio would pass 4 GiB, the most that a WAV file can hold; split it, or give `--format flac`";
    Error::new(Kind::Unsupported, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::decode::{Decoder, Source};
    use crate::audio::i16_to_bytes;

    fn encode(container: Container, rate: u32, samples: &[i16], goes_back: bool) -> Vec<u8> {
        let mut encoder = Encoder::try_new(container, rate).expect("a rate that it knows");
        let mut file = encoder.begin().expect("a header");
        for piece in samples.chunks(700) {
            file.extend(encoder.push(&i16_to_bytes(piece)).expect("bytes"));
        }
        let (last, header) = encoder.finish().expect("an end");
        file.extend(last);
        if let Some(header) = header.filter(|_| goes_back) {
            file[..header.len()].copy_from_slice(&header);
        }
        file
    }

    #[test]
    fn what_is_written_is_read_back() {
        let samples: Vec<i16> =
            (0..16_000).map(|at| (f64::from(at) * 0.17).sin() * 9e3).map(|value| value as i16).collect();
        for container in [Container::Wav, Container::LongWav, Container::Flac, Container::OggOpus] {
            for goes_back in [false, true] {
                let file = encode(container, 16_000, &samples, goes_back);
                let mut decoder = Decoder::open(Source::Bytes(file), "`x`").expect("it is understood");
                let mut heard = Vec::new();
                while let Some(block) = decoder.next().expect("it is whole") {
                    heard.extend(block);
                }
                assert_eq!(decoder.verdict().expect("nothing is wrong"), [""; 0], "{container:?}");
                assert_eq!(heard.len(), samples.len(), "{container:?}");
                let error: f32 = heard.iter().zip(&samples).map(|(a, b)| (a - f32::from(*b) / 32_768.0).abs()).sum();
                // Opus keeps what is heard, not the phase; the mean of the tone itself is 0.175.
                let mean = error / samples.len() as f32;
                assert!(mean < if container == Container::OggOpus { 0.09 } else { 1e-9 }, "{container:?}: {mean}");
            }
        }
    }

    #[test]
    fn a_complete_wav_equals_what_memory_would_hold() {
        let file = encode(Container::Wav, 22_050, &[1, 2, -3], true);
        assert_eq!(file, wav::from_samples(22_050, &[1, 2, -3]));
        assert_eq!(encode(Container::Pcm, 22_050, &[1, -1], true), [1, 0, 255, 255]);
        assert_eq!(encode(Container::Floats, 22_050, &[1, -1], true), [1, 0, 255, 255]);
    }

    #[test]
    fn four_gibibytes_are_the_end_of_wav() {
        let mut encoder = Encoder::Wav { rate: 16_000, written: wav::MAX_DATA_BYTES - 4 };
        encoder.push(&[0; 4]).expect("room for two samples");
        let error = encoder.push(&[0; 2]).expect_err("no room");
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().contains("4 GiB"));
    }
}
