//! WAV files of every dress.

use hound::{SampleFormat, WavSpec, WavWriter};
use std::{io::Cursor, path::Path};

/// The samples of a 16-bit mono WAV file.
pub(crate) fn read(path: &Path) -> (u32, Vec<i16>) {
    let mut reader = hound::WavReader::open(path).expect("a WAV file");
    let rate = reader.spec().sample_rate;
    (rate, reader.samples::<i16>().map(|sample| sample.expect("a sample")).collect())
}

/// The samples of bare 16-bit PCM.
pub(crate) fn of_pcm(pcm: &[u8]) -> Vec<i16> {
    pcm.chunks(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// Encodes samples in -1..1, the same on every channel.
pub(crate) fn encode(samples: &[f32], rate: u32, channels: u16, bits: u16, format: SampleFormat) -> Vec<u8> {
    let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("a writer");
    for sample in samples {
        for _ in 0..channels {
            match format {
                SampleFormat::Float => writer.write_sample(*sample).expect("it is written"),
                SampleFormat::Int => {
                    let full = (1i64 << (bits - 1)) as f32;
                    let value = (sample * full).clamp(-full, full - 1.0) as i32;
                    writer.write_sample(value).expect("it is written");
                }
            }
        }
    }
    writer.finalize().expect("it is whole");
    file.into_inner()
}

/// 16-bit mono samples at 16 kHz as a file.
pub(crate) fn mono16(samples: &[i16]) -> Vec<u8> {
    let floats: Vec<f32> = samples.iter().map(|sample| f32::from(*sample) / 32768.0).collect();
    encode(&floats, 16_000, 1, 16, SampleFormat::Int)
}

/// `seconds` of audio in which each second begins with its own number, counted from 1: what the mock engine tells.
pub(crate) fn numbered(seconds: usize) -> Vec<i16> {
    (0..seconds * 16_000).map(|n| if n % 16_000 == 0 { (n / 16_000 + 1) as i16 } else { (n % 251) as i16 }).collect()
}

/// What the mock engine makes of 16-bit samples: the first sample of each second, and its CRC-32.
pub(crate) fn mock_transcript(samples: &[i16]) -> String {
    let mut lines = String::new();
    for second in samples.chunks(16_000) {
        let bytes: Vec<u8> = second.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        lines.push_str(&format!("{}:{:08x}\n", second[0], crc32fast::hash(&bytes)));
    }
    lines
}
