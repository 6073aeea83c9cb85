//! Writes FLAC: mono, 16 bit, without loss, while the audio is still being made.
//!
//! Knows no files: it gives bytes, and at the end a second header for those who can go back and put it over the first.
//! Memory does not grow with the length of the audio. Every sample comes back exactly.

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr, ChannelAssignment, Frame, FrameHeader, FrameOffset, StreamInfo, SubFrame, Verbatim};
use flacenc::config;
use flacenc::error::{Verified, Verify};
use flacenc::source::{Context, Fill, FrameBuf};

use crate::error::{Error, Kind, Result};

/// Samples in a block. Speech of espeak-ng takes 1 to 3 % less than in the 4096 of the reference encoder, at every rate
/// from 8 to 48 kHz, and a listener waits half as long: for a quarter of a second of audio at 8 kHz, an eighth at 16.
const BLOCK_SAMPLES: u16 = 2_048;

const BITS_PER_SAMPLE: usize = 16;

const BYTES_PER_SAMPLE: usize = BITS_PER_SAMPLE / 8;

/// The highest rate that flacenc takes, in Hz. For those above we write the headers of the frames.
const FLACENC_MAX_RATE: u32 = 96_000;

/// The bytes of a header: its name, four for the kind and length of the only block of metadata, and the block.
const HEADER_BYTES: usize = 4 + 4 + 34;

/// The most samples that a header can count; those of a longer stream it must call unknown.
const MAX_COUNTED_SAMPLES: u64 = (1 << 36) - 1;

/// Mono 16-bit FLAC as it is made: first [`Encoder::header`], then what each call gives, in order.
pub(crate) struct Encoder {
    rate: u32,
    config: Verified<config::Encoder>,
    info: StreamInfo,
    /// The block that is encoded, and the count and checksum of all audio up to its end.
    block: (FrameBuf, Context),
    /// Samples that do not fill a block yet, as bytes.
    pending: Vec<u8>,
    /// The bytes of the smallest and of the largest frame so far.
    frame_bytes: Option<(usize, usize)>,
}

impl Encoder {
    /// An encoder for audio at `rate` Hz.
    ///
    /// # Errors
    /// `Unsupported` for a rate below 8 kHz or above 192 kHz, and for one above 96 kHz that is not in tens: a frame has
    /// no way to name it.
    pub(crate) fn try_new(rate: u32) -> Result<Self> {
        let is_in_tens = rate <= FLACENC_MAX_RATE || rate.is_multiple_of(10);
        if !(8_000..=192_000).contains(&rate) || !is_in_tens {
            let message = format!("FLAC is not written at {rate} Hz; choose a rate from 8000 to 192000, such as 48000");
            return Err(Error::new(Kind::Unsupported, message));
        }
        let config = config::Encoder::default().into_verified().map_err(|(_, error)| broken(error))?;
        let info = StreamInfo::new(rate.min(FLACENC_MAX_RATE) as usize, 1, BITS_PER_SAMPLE).map_err(broken)?;
        let buffer = FrameBuf::with_size(1, usize::from(BLOCK_SAMPLES)).map_err(broken)?;
        let block = (buffer, Context::new(BITS_PER_SAMPLE, 1));
        Ok(Self { rate, config, info, block, pending: Vec::new(), frame_bytes: None })
    }

    /// The header of a stream whose end is not known yet. Zeros stand for "unknown"; every decoder reads on to the end.
    pub(crate) fn header(&self) -> Vec<u8> {
        self.header_of(0, (0, 0), [0; 16])
    }

    /// Appends samples, and gives the frames that are complete now; there may be none.
    pub(crate) fn push(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        let mut output = Vec::new();
        let mut rest = samples;
        while !rest.is_empty() {
            let room = usize::from(BLOCK_SAMPLES) - self.pending.len() / BYTES_PER_SAMPLE;
            let (taken, after) = rest.split_at(room.min(rest.len()));
            rest = after;
            self.pending.extend(taken.iter().flat_map(|sample| sample.to_le_bytes()));
            if taken.len() == room {
                output.append(&mut self.encode()?);
            }
        }
        Ok(output)
    }

    /// Gives the last frame, and a header that knows the length and the checksum: it is as long as the first one, to be
    /// written over it where the output can go back.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, Vec<u8>)> {
        let last = if self.pending.is_empty() { Vec::new() } else { self.encode()? };
        let context = &self.block.1;
        let total = u64::try_from(context.total_samples()).unwrap_or(u64::MAX);
        let counted = if total > MAX_COUNTED_SAMPLES { 0 } else { total };
        let header = self.header_of(counted, self.frame_bytes.unwrap_or_default(), context.md5_digest());
        Ok((last, header))
    }

    /// Encodes what is pending as one frame.
    fn encode(&mut self) -> Result<Vec<u8>> {
        self.block.fill_le_bytes(&self.pending, BYTES_PER_SAMPLE).map_err(broken)?;
        let (buffer, context) = &self.block;
        let number = context.current_frame_number().unwrap_or(0);
        let frame = flacenc::encode_fixed_size_frame(&self.config, buffer, number, &self.info).map_err(|error| {
            // The number of a frame has 31 bits, which is years of audio.
            let message = "the audio is longer than a FLAC stream can count; start another file";
            Error::new(Kind::Unsupported, message).because(error.to_string())
        })?;
        let frame = self.with_true_rate(frame, number)?;
        let mut bytes = written(&frame)?;
        // An upper bound of what a frame takes that says the samples one by one. flacenc chooses by estimates, which
        // noise at full scale proves wrong: its frame may be larger than that.
        if bytes.len() > self.pending.len() + 32 {
            bytes = written(&self.verbatim(number)?)?;
        }
        self.pending.clear();
        let (least, most) = self.frame_bytes.unwrap_or((bytes.len(), bytes.len()));
        self.frame_bytes = Some((least.min(bytes.len()), most.max(bytes.len())));
        Ok(bytes)
    }

    /// Puts the rate into a frame that flacenc made for another one.
    fn with_true_rate(&self, frame: Frame, number: usize) -> Result<Frame> {
        if self.rate <= FLACENC_MAX_RATE {
            return Ok(frame);
        }
        let header = self.frame_header(number)?;
        Frame::new(header, frame.into_parts().1.into_iter()).map_err(broken)
    }

    /// A frame of what is pending that is not packed at all.
    fn verbatim(&self, number: usize) -> Result<Frame> {
        let pairs = self.pending.as_chunks().0.iter();
        let samples: Vec<i32> = pairs.map(|&pair| i16::from_le_bytes(pair).into()).collect();
        let samples = Verbatim::new(&samples, BITS_PER_SAMPLE).map_err(broken)?;
        Frame::new(self.frame_header(number)?, std::iter::once(SubFrame::from(samples))).map_err(broken)
    }

    fn frame_header(&self, number: usize) -> Result<FrameHeader> {
        let number = FrameOffset::Frame(u32::try_from(number).map_err(broken)?);
        let samples = self.pending.len() / BYTES_PER_SAMPLE;
        FrameHeader::new(samples, ChannelAssignment::Independent(1), BITS_PER_SAMPLE, self.rate as usize, number)
            .map_err(broken)
    }

    fn header_of(&self, samples: u64, frame_bytes: (usize, usize), checksum: [u8; 16]) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend(b"fLaC");
        // The last block of metadata, of kind 0, and its 34 bytes.
        header.extend([0x80, 0, 0, 34]);
        // The smallest and the largest block; the last one does not count.
        header.extend(BLOCK_SAMPLES.to_be_bytes());
        header.extend(BLOCK_SAMPLES.to_be_bytes());
        for bytes in [frame_bytes.0, frame_bytes.1] {
            // 24 bits. A frame has at most a little more than two bytes for each sample of a block.
            let [_, bytes @ ..] = u32::try_from(bytes).unwrap_or(0).to_be_bytes();
            header.extend(bytes);
        }
        // 20 bits of rate, 3 of channels less one, 5 of bits a sample less one, 36 of length.
        let format = u64::from(self.rate) << 44 | (BITS_PER_SAMPLE as u64 - 1) << 36 | samples;
        header.extend(format.to_be_bytes());
        header.extend(checksum);
        header
    }
}

/// Writes a frame to memory.
fn written(frame: &Frame) -> Result<Vec<u8>> {
    let mut sink = ByteSink::new();
    frame.write(&mut sink).map_err(|error| broken(format!("{error:?}")))?;
    Ok(sink.into_inner())
}

/// What cannot happen with samples of 16 bits and a block of this size.
fn broken(error: impl std::fmt::Display) -> Error {
    Error::new(Kind::Internal, "the FLAC encoder failed; please report this").because(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
    use symphonia::core::formats::{FormatOptions, FormatReader};
    use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
    use symphonia::default::codecs::FlacDecoder;
    use symphonia::default::formats::FlacReader;

    use super::*;

    /// Numbers without a pattern, the same in every run.
    fn noise(seed: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(seed), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
            .map(|x| x >> 16)
            .skip(1)
    }

    fn hum(count: usize) -> Vec<i16> {
        let wave = |i: usize| (i as f64 * 0.05).sin() * 9_000.0 + (i as f64 * 0.31).sin() * 2_500.0;
        (0..count).zip(noise(7)).map(|(i, noise)| wave(i) as i16 + (noise % 64) as i16).collect()
    }

    /// Encodes in pieces of `piece` samples; gives the file as a stream leaves it, and as a seekable file is mended.
    fn encode(rate: u32, samples: &[i16], piece: usize) -> (Vec<u8>, Vec<u8>) {
        let mut encoder = Encoder::try_new(rate).unwrap();
        let mut stream = encoder.header();
        for piece in samples.chunks(piece) {
            stream.extend(encoder.push(piece).unwrap());
            assert!(encoder.pending.len() < 2 * usize::from(BLOCK_SAMPLES));
        }
        let (last, header) = encoder.finish().unwrap();
        stream.extend(last);
        assert_eq!(header.len(), HEADER_BYTES);
        let mut file = stream.clone();
        file[..header.len()].copy_from_slice(&header);
        (stream, file)
    }

    /// Decodes; gives the rate, the samples and what the decoder says of the checksum.
    fn decode(file: &[u8]) -> (u32, Vec<i16>, Option<bool>) {
        let source = Box::new(Cursor::new(file.to_vec()));
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let mut reader = FlacReader::try_new(stream, FormatOptions::default()).unwrap();
        let params = reader.tracks()[0].codec_params.as_ref().unwrap().audio().unwrap().clone();
        let mut decoder = FlacDecoder::try_new(&params, &AudioDecoderOptions::default().verify(true)).unwrap();
        let (mut samples, mut block) = (Vec::new(), Vec::<i16>::new());
        while let Some(packet) = reader.next_packet().unwrap() {
            decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut block);
            samples.append(&mut block);
        }
        (params.sample_rate.unwrap(), samples, decoder.finalize().verify_ok)
    }

    #[test]
    fn every_sample_comes_back() {
        let block = usize::from(BLOCK_SAMPLES);
        for count in [1, 2, 15, 63, 64, 255, 256, 257, block - 1, block, block + 1, 3 * block, 50_000] {
            let samples = hum(count);
            for piece in [1, 777, 100_000] {
                let (stream, file) = encode(22_050, &samples, piece);
                assert!(decode(&stream).1 == samples, "{count} samples as a stream");
                let (rate, decoded, is_right) = decode(&file);
                assert!(decoded == samples, "{count} samples as a file");
                assert_eq!(rate, 22_050);
                assert_eq!(is_right, Some(true));
            }
        }
    }

    #[test]
    fn all_kinds_of_signal_come_back_and_none_grows() {
        let count = 20_000;
        let extreme = |x: u32| if x.is_multiple_of(2) { i16::MIN } else { i16::MAX };
        let signals: [Vec<i16>; 8] = [
            vec![0; count],
            vec![i16::MIN; count],
            noise(1).take(count).map(|x| x as i16).collect(),
            noise(2).take(count).map(extreme).collect(),
            (0..count as u32).map(extreme).collect(),
            (0..count as u32).map(|i| extreme(i / 300)).collect(),
            (0..count).map(|i| if i % 997 == 0 { i16::MAX } else { 0 }).collect(),
            (0..count).map(|i| ((i as f64 * 0.2).sin() * 32_767.0) as i16).collect(),
        ];
        for (number, samples) in signals.iter().enumerate() {
            let (_, file) = encode(16_000, samples, 1_000);
            let (_, decoded, is_right) = decode(&file);
            assert!(decoded == *samples && is_right == Some(true), "signal {number}");
            assert!(file.len() < samples.len() * 2 + 300, "signal {number} takes {} bytes", file.len());
        }
    }

    #[test]
    fn noise_after_a_loud_tone_does_not_grow() {
        // flacenc alone makes 8951 bytes of the worst of these, and the samples themselves take 8192.
        for quiet in (0..2_048).step_by(32) {
            let tone = (0..quiet).map(|i| ((i as f64 * 0.01).sin() * 32_767.0) as i16);
            let noise = noise(quiet).map(|x| if x.is_multiple_of(2) { i16::MIN } else { i16::MAX });
            let samples: Vec<i16> = tone.chain(noise).take(4_096).collect();
            let (_, file) = encode(16_000, &samples, 10_000);
            assert!(file.len() < samples.len() * 2 + 100, "{quiet}: {} bytes", file.len());
            assert!(decode(&file).1 == samples);
        }
    }

    #[test]
    fn random_pieces_of_random_signals_come_back() {
        let mut numbers = noise(99);
        let mut next = || numbers.next().unwrap();
        for round in 0..200 {
            let (count, gain, slope) = (next() as usize % 9_000, 1 << (next() % 17), next() % 5);
            let mut level = 0_i32;
            let samples: Vec<i16> = (0..count)
                .map(|_| {
                    level = level * slope as i32 / 4 + (next() as i32 - 32_768) * gain / 65_536;
                    level.clamp(-32_768, 32_767) as i16
                })
                .collect();
            let (_, file) = encode(8_000 + next(), &samples, 1 + next() as usize % 5_000);
            let (_, decoded, is_right) = decode(&file);
            assert!(decoded == samples && is_right == Some(true), "round {round}");
        }
    }

    #[test]
    fn rates_that_have_no_short_name_are_kept() {
        let samples = hum(5_000);
        for rate in
            [8_000, 8_001, 11_025, 12_000, 12_345, 65_535, 65_537, 88_200, 95_999, 96_000, 100_010, 176_400, 192_000]
        {
            let (found, decoded, _) = decode(&encode(rate, &samples, 4_000).0);
            assert_eq!(found, rate);
            assert!(decoded == samples, "{rate} Hz");
        }
        for rate in [0, 7_999, 96_001, 192_001, u32::MAX] {
            let error = Encoder::try_new(rate).err().unwrap();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.to_string().contains("choose a rate"));
        }
    }

    #[test]
    fn no_samples_make_a_header_and_nothing_else() {
        // `flac -t` accepts it; symphonia takes any FLAC without a frame for one that was cut short.
        let (stream, file) = encode(16_000, &[], 1);
        assert_eq!((stream.len(), file.len()), (HEADER_BYTES, HEADER_BYTES));
        // The checksum of nothing.
        assert_eq!(file[26..30], [0xd4, 0x1d, 0x8c, 0xd9]);
    }

    #[test]
    fn only_the_header_knows_the_end() {
        let (stream, file) = encode(24_000, &hum(10_000), 10_000);
        assert_eq!(stream[HEADER_BYTES..], file[HEADER_BYTES..]);
        // Frame sizes, length and checksum are unknown in a stream.
        assert!(stream[12..18].iter().chain(&stream[22..42]).all(|&byte| byte == 0));
        assert_eq!(file[22..26], 10_000_u32.to_be_bytes());
        assert_eq!(encode(24_000, &hum(10_000), 33), (stream, file));
    }
}
