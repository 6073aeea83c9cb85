//! The header of WAV: mono, 16 bit.

use crate::audio::i16_to_bytes;

/// The bytes of a header before the samples.
pub(crate) const HEADER_BYTES: usize = 44;

/// The bytes of the header that its first length counts: all but the eight in front of it.
const COUNTED_HEADER_BYTES: u32 = 36;

/// The most data that a WAV file can announce, in bytes: whole samples, and its lengths have 32 bits.
pub(crate) const MAX_DATA_BYTES: u32 = (u32::MAX - COUNTED_HEADER_BYTES) & !1;

/// The same of one whose header has room for longer ones.
const MAX_LONG_DATA_BYTES: u32 = MAX_DATA_BYTES - LONG_LENGTHS_BYTES as u32;

/// The data length of a stream whose end is not known yet.
const STREAMED_DATA_BYTES: u32 = 0x7fff_f000;

/// Builds the header of a mono 16-bit file at `rate` Hz with `data_bytes` bytes of samples.
///
/// None is for a stream whose length is not known when the header must leave. It then announces 0x7FFFF000 bytes, as
/// sox does in the same place: sox takes this very number for "unknown", Python's `wave`, ffmpeg and players read to
/// the end of what is there, and hound, which refuses a length that is not whole samples (so 0xFFFFFFFF would not
/// do), takes it too. A zero would be read as an empty file.
pub(crate) fn header(rate: u32, data_bytes: Option<u32>) -> [u8; HEADER_BYTES] {
    let data_bytes = data_bytes.unwrap_or(STREAMED_DATA_BYTES);
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&data_bytes.saturating_add(COUNTED_HEADER_BYTES).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16_u32.to_le_bytes());
    // PCM, one channel.
    header[20..22].copy_from_slice(&1_u16.to_le_bytes());
    header[22..24].copy_from_slice(&1_u16.to_le_bytes());
    header[24..28].copy_from_slice(&rate.to_le_bytes());
    // Bytes a second, bytes a frame, bits a sample.
    header[28..32].copy_from_slice(&rate.saturating_mul(2).to_le_bytes());
    header[32..34].copy_from_slice(&2_u16.to_le_bytes());
    header[34..36].copy_from_slice(&16_u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data_bytes.to_le_bytes());
    header
}

/// The bytes that a chunk of long lengths takes, its name and length included: three lengths and an empty table.
const LONG_LENGTHS_BYTES: usize = 8 + 28;

/// Builds the header of a file that may become longer than 4 GiB, as EBU Tech 3306 has it: it has room for lengths of 64
/// bits, which is filled ("RF64", `ds64`) only where they are needed. None is for a length that is not known yet.
pub(crate) fn long_header(rate: u32, data_bytes: Option<u64>) -> Vec<u8> {
    let short = data_bytes.and_then(|bytes| u32::try_from(bytes).ok()).filter(|bytes| *bytes <= MAX_LONG_DATA_BYTES);
    let mut lengths = [0; LONG_LENGTHS_BYTES];
    lengths[4..8].copy_from_slice(&28_u32.to_le_bytes());
    let mut plain = header(rate, short);
    match (data_bytes, short) {
        (Some(data_bytes), None) => {
            plain[0..4].copy_from_slice(b"RF64");
            plain[4..8].fill(0xff);
            plain[40..44].fill(0xff);
            lengths[0..4].copy_from_slice(b"ds64");
            let all = data_bytes + u64::from(COUNTED_HEADER_BYTES) + LONG_LENGTHS_BYTES as u64;
            lengths[8..16].copy_from_slice(&all.to_le_bytes());
            lengths[16..24].copy_from_slice(&data_bytes.to_le_bytes());
            lengths[24..32].copy_from_slice(&(data_bytes / 2).to_le_bytes());
        }
        (_, short) => {
            let all = short.unwrap_or(STREAMED_DATA_BYTES) + COUNTED_HEADER_BYTES + LONG_LENGTHS_BYTES as u32;
            plain[4..8].copy_from_slice(&all.to_le_bytes());
            lengths[0..4].copy_from_slice(b"JUNK");
        }
    }
    [&plain[..12], &lengths, &plain[12..]].concat()
}

/// Builds a complete file in memory. More than 4 GiB of samples get the header of a stream.
pub(crate) fn from_samples(rate: u32, samples: &[i16]) -> Vec<u8> {
    let data_bytes = u32::try_from(samples.len() * 2).ok().filter(|&bytes| bytes <= MAX_DATA_BYTES);
    let mut file = header(rate, data_bytes).to_vec();
    file.extend(i16_to_bytes(samples));
    file
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_complete_file_reads_back() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        let file = from_samples(22_050, &samples);
        assert_eq!(file.len(), 54);
        let mut reader = hound::WavReader::new(Cursor::new(&file)).unwrap();
        assert_eq!(reader.spec().sample_rate, 22_050);
        assert_eq!(reader.spec().channels, 1);
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), samples);
        assert_eq!(from_samples(8_000, &[]).len(), HEADER_BYTES);
    }

    #[test]
    fn a_long_header_says_what_the_short_one_says() {
        for bytes in [Some(6), None] {
            let mut file = long_header(16_000, bytes);
            assert_eq!((&file[..4], &file[12..16], file.len()), (&b"RIFF"[..], &b"JUNK"[..], 80));
            file.extend(i16_to_bytes(&[5, 6, 7]));
            let mut reader = hound::WavReader::new(Cursor::new(&file)).unwrap();
            assert_eq!(reader.spec().sample_rate, 16_000);
            assert_eq!(reader.samples::<i16>().map_while(Result::ok).collect::<Vec<_>>(), [5, 6, 7]);
        }
        let number = |header: &[u8], at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        for (bytes, is_long) in [(u64::from(MAX_LONG_DATA_BYTES), false), (1 << 32, true), (6_000_000_000, true)] {
            let header = long_header(22_050, Some(bytes));
            assert_eq!((header.len(), header.starts_with(b"RF64")), (80, is_long), "{bytes}");
            if is_long {
                assert_eq!(
                    (&header[12..16], number(&header, 20), number(&header, 28)),
                    (&b"ds64"[..], bytes + 72, bytes)
                );
                assert_eq!((number(&header, 36), &header[76..80]), (bytes / 2, &[0xff; 4][..]));
            } else {
                assert_eq!(header[4..8], u32::try_from(bytes + 72).unwrap().to_le_bytes());
                assert_eq!(header[76..80], u32::try_from(bytes).unwrap().to_le_bytes());
            }
        }
    }

    #[test]
    fn a_streamed_header_reads_to_the_end() {
        let mut file = header(16_000, None).to_vec();
        file.extend(i16_to_bytes(&[5, 6, 7]));
        let mut reader = hound::WavReader::new(Cursor::new(&file)).unwrap();
        let samples: Vec<_> = reader.samples::<i16>().map_while(Result::ok).collect();
        assert_eq!(samples, [5, 6, 7]);
    }
}
