//! Bare samples without a header: how they are named, and how they lie.

use std::fmt;
use std::str::FromStr;

use symphonia::core::codecs::audio::AudioCodecId;
use symphonia::core::codecs::audio::well_known as codec;

use super::resample::RATES;
use super::riff::MAX_CHANNELS;

/// How bare samples are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawFormat {
    /// Frames a second.
    pub(crate) rate: u32,
    pub(crate) encoding: Encoding,
    pub(crate) channels: u16,
}

/// How one sample is written; the names are those of ffmpeg and sox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    U8,
    S8,
    S16Le,
    S16Be,
    S24Le,
    S24Be,
    S32Le,
    S32Be,
    F32Le,
    F32Be,
    F64Le,
    F64Be,
    Alaw,
    Mulaw,
}

/// Each encoding, its name, symphonia's name of it, and the bytes of a sample.
const ENCODINGS: [(Encoding, &str, AudioCodecId, u64); 14] = [
    (Encoding::U8, "u8", codec::CODEC_ID_PCM_U8, 1),
    (Encoding::S8, "s8", codec::CODEC_ID_PCM_S8, 1),
    (Encoding::S16Le, "s16le", codec::CODEC_ID_PCM_S16LE, 2),
    (Encoding::S16Be, "s16be", codec::CODEC_ID_PCM_S16BE, 2),
    (Encoding::S24Le, "s24le", codec::CODEC_ID_PCM_S24LE, 3),
    (Encoding::S24Be, "s24be", codec::CODEC_ID_PCM_S24BE, 3),
    (Encoding::S32Le, "s32le", codec::CODEC_ID_PCM_S32LE, 4),
    (Encoding::S32Be, "s32be", codec::CODEC_ID_PCM_S32BE, 4),
    (Encoding::F32Le, "f32le", codec::CODEC_ID_PCM_F32LE, 4),
    (Encoding::F32Be, "f32be", codec::CODEC_ID_PCM_F32BE, 4),
    (Encoding::F64Le, "f64le", codec::CODEC_ID_PCM_F64LE, 8),
    (Encoding::F64Be, "f64be", codec::CODEC_ID_PCM_F64BE, 8),
    (Encoding::Alaw, "alaw", codec::CODEC_ID_PCM_ALAW, 1),
    (Encoding::Mulaw, "mulaw", codec::CODEC_ID_PCM_MULAW, 1),
];

impl Encoding {
    /// The codec that reads it, and the bytes of one sample.
    pub(super) fn codec(self) -> (AudioCodecId, u64) {
        let found = ENCODINGS.iter().find(|(encoding, ..)| *encoding == self);
        found.map_or((codec::CODEC_ID_PCM_S16LE, 2), |&(_, _, codec, bytes)| (codec, bytes))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = ENCODINGS.iter().find(|(encoding, ..)| encoding == self);
        f.write_str(found.map_or("", |(_, name, ..)| name))
    }
}

impl FromStr for RawFormat {
    type Err = String;

    /// Reads `RATE[,FORMAT][,CHANNELS]`, as `16000`, `8000,mulaw` or `44100,s16le,2`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',').map(str::trim);
        let rate = parts.next().unwrap_or_default();
        let rate: u32 =
            rate.parse().map_err(|_| format!("`{rate}` is no sample rate; give RATE[,FORMAT][,CHANNELS]"))?;
        if !RATES.contains(&rate) {
            return Err(format!("the rate must be {} to {} Hz", RATES.start(), RATES.end()));
        }
        let (mut encoding, mut channels) = (None, None);
        for part in parts {
            let lower = part.to_ascii_lowercase();
            let named = ENCODINGS.iter().find(|(_, name, ..)| *name == lower || *name == format!("{lower}le"));
            match (named, part.parse::<u16>()) {
                (Some((found, ..)), _) if encoding.is_none() && channels.is_none() => encoding = Some(*found),
                (None, Ok(count)) if channels.is_none() && (1..=MAX_CHANNELS as u16).contains(&count) => {
                    channels = Some(count);
                }
                (None, Ok(_)) if channels.is_none() => return Err(format!("1 to {MAX_CHANNELS} channels are read")),
                (None, Err(_)) if encoding.is_none() => {
                    let names: Vec<&str> = ENCODINGS.iter().map(|(_, name, ..)| *name).collect();
                    return Err(format!("`{part}` is no format; it can be {}", names.join(", ")));
                }
                _ => return Err("give RATE[,FORMAT][,CHANNELS], such as 44100,s16le,2".to_owned()),
            }
        }
        Ok(Self { rate, encoding: encoding.unwrap_or(Encoding::S16Le), channels: channels.unwrap_or(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let format = |rate, encoding, channels| Ok(RawFormat { rate, encoding, channels });
        assert_eq!("16000".parse(), format(16_000, Encoding::S16Le, 1));
        assert_eq!("8000,mulaw".parse(), format(8_000, Encoding::Mulaw, 1));
        assert_eq!("44100, s24be, 2".parse(), format(44_100, Encoding::S24Be, 2));
        assert_eq!("48000,2".parse(), format(48_000, Encoding::S16Le, 2));
        assert_eq!("48000,F32".parse(), format(48_000, Encoding::F32Le, 1));
        for wrong in ["", "fast", "10", "16000,", "16000,s17", "16000,0", "16000,33", "16000,2,s16le", "1,2,3,4"] {
            assert!(wrong.parse::<RawFormat>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_encoding_has_a_row() {
        for (encoding, name, codec, bytes) in ENCODINGS {
            assert_eq!((encoding.to_string().as_str(), encoding.codec()), (name, (codec, bytes)));
        }
    }
}
