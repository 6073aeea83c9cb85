//! Writes Opus in Ogg (RFC 7845): mono, for speech, while the audio is still being made.
//!
//! The same samples give the same bytes, in whatever pieces they come. Memory does not grow with the length of the
//! audio. What is decoded is exactly as long as what came in: the decoder is told how much to leave out at both ends.

use std::mem;

use ogg::{PacketWriteEndInfo, PacketWriter};
use opusic_c::{Application, Bitrate, Channels, ErrorCode, SampleRate, Signal};

use crate::error::{Error, Kind, Result};

/// The rates that Opus takes, in Hz. Audio at another rate is brought to one of them first.
pub(crate) const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// Positions in an Ogg Opus stream are counted at this rate, whatever the audio had.
const GRANULE_RATE: u32 = 48_000;

/// Frames of 20 ms: shorter ones cost more bits, longer ones gain speech next to nothing.
const FRAMES_PER_SECOND: u32 = 50;

const GRANULES_PER_FRAME: u64 = (GRANULE_RATE / FRAMES_PER_SECOND) as u64;

/// Frames in a page. A listener hears the first sound after a fifth of a second of audio; the headers of the pages take
/// 1 kbit/s then.
const FRAMES_PER_PAGE: u64 = 10;

/// The most bytes of a packet with one frame in it: 1275, and one that says what it is.
const MAX_PACKET_BYTES: usize = 1_276;

/// Tells streams apart that are woven together. Ours stands alone; a fixed number keeps the bytes the same.
const SERIAL: u32 = 0x7370_6368;

/// Mono Ogg Opus as it is made: what each call gives, in order.
pub(crate) struct Encoder {
    rate: u32,
    codec: opusic_c::Encoder,
    /// Holds the pages that have not been given yet.
    pages: PacketWriter<'static, Vec<u8>>,
    /// Samples that do not fill a frame yet. The codec wants the bits of an `i16` as a `u16`.
    pending: Vec<u16>,
    /// Samples that came in.
    samples: u64,
    /// Frames that were encoded.
    frames: u64,
    /// What the codec puts in front of the audio, in granules.
    pre_skip: u16,
}

impl Encoder {
    /// An encoder for audio at `rate` Hz, which must be one of [`RATES`].
    pub(crate) fn try_new(rate: u32) -> Result<Self> {
        let Some((name, bitrate)) = codec_settings(rate) else {
            let message = format!("Opus is not written at {rate} Hz; choose 8000, 12000, 16000, 24000 or 48000");
            return Err(Error::new(Kind::Unsupported, message));
        };
        let mut codec = opusic_c::Encoder::new(Channels::Mono, name, Application::Voip).map_err(broken)?;
        codec.set_signal(Signal::Voice).map_err(broken)?;
        codec.set_bitrate(Bitrate::Value(bitrate)).map_err(broken)?;
        let look_ahead = codec.get_look_ahead().map_err(broken)?;
        let pre_skip = u16::try_from(look_ahead * (GRANULE_RATE / rate)).map_err(unpaged)?;
        let pages = PacketWriter::new(Vec::new());
        let mut encoder = Self { rate, codec, pages, pending: Vec::new(), samples: 0, frames: 0, pre_skip };
        let (head, tags) = (encoder.head(), tags());
        encoder.page(head, PacketWriteEndInfo::EndPage, 0)?;
        encoder.page(tags, PacketWriteEndInfo::EndPage, 0)?;
        Ok(encoder)
    }

    /// Appends samples, and gives the pages that are complete now; there may be none. The first call gives the header
    /// pages, even without samples.
    pub(crate) fn push(&mut self, samples: &[i16]) -> Result<Vec<u8>> {
        let mut rest = samples;
        while !rest.is_empty() {
            let room = self.frame_samples() - self.pending.len();
            let (taken, after) = rest.split_at(room.min(rest.len()));
            rest = after;
            self.pending.extend(taken.iter().map(|sample| sample.cast_unsigned()));
            self.samples += taken.len() as u64;
            if taken.len() == room {
                let is_page_full = (self.frames + 1).is_multiple_of(FRAMES_PER_PAGE);
                let end = if is_page_full { PacketWriteEndInfo::EndPage } else { PacketWriteEndInfo::NormalPacket };
                self.encode(end, (self.frames + 1) * GRANULES_PER_FRAME)?;
            }
        }
        Ok(mem::take(self.pages.inner_mut()))
    }

    /// Gives the last pages.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>> {
        let end = u64::from(self.pre_skip) + self.samples * u64::from(GRANULE_RATE / self.rate);
        // The codec is late by the pre-skip, so silence has to push the last samples out. Some of them always are still
        // inside, even if the audio fills its frames: the packet that ends the stream is always made here.
        loop {
            self.pending.resize(self.frame_samples(), 0);
            let position = (self.frames + 1) * GRANULES_PER_FRAME;
            if position >= end {
                // A position within the last frame makes decoders leave out the rest of it.
                self.encode(PacketWriteEndInfo::EndStream, end)?;
                return Ok(mem::take(self.pages.inner_mut()));
            }
            self.encode(PacketWriteEndInfo::NormalPacket, position)?;
        }
    }

    fn frame_samples(&self) -> usize {
        (self.rate / FRAMES_PER_SECOND) as usize
    }

    /// Encodes the frame that is pending. `position` is where the audio is after it, in granules.
    fn encode(&mut self, end: PacketWriteEndInfo, position: u64) -> Result<()> {
        let mut packet = vec![0; MAX_PACKET_BYTES];
        let count = self.codec.encode_to_slice(&self.pending, &mut packet).map_err(broken)?;
        packet.truncate(count);
        self.pending.clear();
        self.frames += 1;
        self.page(packet, end, position)
    }

    fn page(&mut self, packet: Vec<u8>, end: PacketWriteEndInfo, position: u64) -> Result<()> {
        self.pages.write_packet(packet, SERIAL, end, position).map_err(unpaged)
    }

    /// The first packet: what the stream is.
    fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead".to_vec();
        // Version 1, one channel.
        head.extend([1, 1]);
        head.extend(self.pre_skip.to_le_bytes());
        head.extend(self.rate.to_le_bytes());
        // No gain, and the usual order of channels.
        head.extend([0, 0, 0]);
        head
    }
}

/// The second packet: who made the stream. No time and no chance in it, so that the bytes stay the same.
fn tags() -> Vec<u8> {
    const PROGRAM: &str = concat!("ENCODER=", env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    let vendor = opusic_c::version();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor.as_bytes());
    // One comment follows.
    tags.extend(1_u32.to_le_bytes());
    tags.extend((PROGRAM.len() as u32).to_le_bytes());
    tags.extend(PROGRAM.as_bytes());
    tags
}

/// Gives the codec's name for a rate, and the bits a second that speech gets there.
///
/// RFC 6716 (2.1.1) calls 8-12 kbit/s the sweet spot for narrowband speech, 16-20 for wideband and 28-40 for fullband.
/// These are at the upper end or a little above it: such a file is small either way, and may well be encoded again, or
/// transcribed.
fn codec_settings(rate: u32) -> Option<(SampleRate, u32)> {
    match rate {
        8_000 => Some((SampleRate::Hz8000, 16_000)),
        12_000 => Some((SampleRate::Hz12000, 20_000)),
        16_000 => Some((SampleRate::Hz16000, 24_000)),
        24_000 => Some((SampleRate::Hz24000, 32_000)),
        48_000 => Some((SampleRate::Hz48000, 32_000)),
        _ => None,
    }
}

fn broken(code: ErrorCode) -> Error {
    Error::new(Kind::Internal, "the Opus encoder failed; please report this").because(code.message())
}

fn unpaged(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Internal, "the pages of an Ogg Opus stream could not be made; please report this").because(error)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;
    use std::io::Cursor;

    use ogg::PacketReader;
    use symphonia::core::codecs::audio::AudioDecoderOptions;
    use symphonia::core::codecs::registry::RegisterableAudioDecoder;
    use symphonia::core::formats::{FormatOptions, FormatReader};
    use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
    use symphonia::default::formats::OggReader;
    use symphonia_adapter_libopus::OpusDecoder;

    use super::*;

    /// Something like a voice, as a function of time in seconds: harmonics below 3.2 kHz of a pitch that glides, in
    /// syllables.
    fn voice(time: f64) -> f64 {
        let phase = TAU * (180.0 * time + 12.0 * (time * 2.0).sin());
        let syllable = (TAU * 2.0 * time).sin().abs();
        let tone: f64 = (1..16).map(|n| (phase * f64::from(n)).sin() / f64::from(n)).sum();
        tone * syllable * 0.3
    }

    fn samples(rate: u32, count: usize) -> Vec<i16> {
        (0..count).map(|i| (voice(i as f64 / f64::from(rate)) * 32_767.0) as i16).collect()
    }

    fn encode(rate: u32, samples: &[i16], piece: usize) -> Vec<u8> {
        let mut encoder = Encoder::try_new(rate).unwrap();
        let mut file = encoder.push(&[]).unwrap();
        assert!(file.starts_with(b"OggS"));
        for piece in samples.chunks(piece) {
            file.extend(encoder.push(piece).unwrap());
        }
        file.extend(encoder.finish().unwrap());
        file
    }

    /// Decodes to 48 kHz.
    fn decode(file: &[u8]) -> Vec<f32> {
        let source = Box::new(Cursor::new(file.to_vec()));
        let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
        let mut reader = OggReader::try_new(stream, FormatOptions::default()).unwrap();
        let params = reader.tracks()[0].codec_params.as_ref().unwrap().audio().unwrap().clone();
        let mut decoder = OpusDecoder::try_registry_new(&params, &AudioDecoderOptions::default()).unwrap();
        let (mut samples, mut block) = (Vec::new(), Vec::new());
        while let Some(packet) = reader.next_packet().unwrap() {
            decoder.decode(&packet).unwrap().copy_to_vec_interleaved(&mut block);
            samples.append(&mut block);
        }
        samples
    }

    /// How alike two signals are if the first comes `late` samples late: 1 for the same, 0 for strangers.
    fn likeness(decoded: &[f32], original: &[f32], late: i32) -> f32 {
        let start = |late: i32| usize::try_from(late).unwrap_or(0);
        // Every fifth pair is enough, and quicker.
        let pairs = decoded[start(late)..].iter().zip(&original[start(-late)..]).step_by(5);
        let sums = pairs.fold([0.0; 3], |[ab, aa, bb], (a, b)| [ab + a * b, aa + a * a, bb + b * b]);
        sums[0] / (sums[1] * sums[2]).sqrt()
    }

    #[test]
    fn what_is_decoded_is_as_long_as_what_came_in() {
        for rate in RATES {
            let (frame, second) = (rate as usize / 50, rate as usize);
            for count in [0, 1, frame / 2, frame - 1, frame, frame + 1, 10 * frame, 10 * frame - 1, second + 7] {
                let decoded = decode(&encode(rate, &samples(rate, count), 1_000));
                assert_eq!(decoded.len(), count * 48_000 / second, "{count} samples at {rate} Hz");
            }
        }
    }

    #[test]
    fn the_voice_comes_back_in_its_place() {
        let original: Vec<f32> = (0..48_000).map(|i| voice(f64::from(i) / 48_000.0) as f32).collect();
        for rate in RATES {
            let decoded = decode(&encode(rate, &samples(rate, rate as usize), 4_000));
            let like = |late: &i32| likeness(&decoded, &original, *late);
            let best = (-480..=480).max_by(|a, b| like(a).total_cmp(&like(b))).unwrap();
            assert!(best.abs() <= 8, "{best} samples late at {rate} Hz");
            // Opus keeps what is heard, not the shape of the wave.
            assert!(like(&0) > 0.85, "{} alike at {rate} Hz", like(&0));
        }
    }

    #[test]
    fn pages_leave_five_times_a_second_and_their_positions_are_right() {
        let rate = 24_000;
        let mut encoder = Encoder::try_new(rate).unwrap();
        let mut file = Vec::new();
        let mut silent = 0;
        for piece in samples(rate, 61_234).chunks(480) {
            let bytes = encoder.push(piece).unwrap();
            silent = if bytes.is_empty() { silent + 1 } else { 0 };
            assert!(silent < 10);
            file.extend(bytes);
        }
        file.extend(encoder.finish().unwrap());
        let mut reader = PacketReader::new(Cursor::new(&file));
        let head = reader.read_packet_expected().unwrap();
        assert!(head.first_in_stream() && head.last_in_page());
        assert_eq!(head.data[..19], *b"OpusHead\x01\x01\x38\x01\xc0\x5d\0\0\0\0\0");
        let tags = reader.read_packet_expected().unwrap();
        assert!(tags.data.starts_with(b"OpusTags") && tags.last_in_page());
        let mut count = 0;
        while let Some(packet) = reader.read_packet().unwrap() {
            count += 1;
            if packet.last_in_stream() {
                assert_eq!(packet.absgp_page(), 61_234 * 2 + 312);
                assert!(packet.absgp_page() > (count - 1) * 960 && packet.absgp_page() <= count * 960);
            } else if packet.last_in_page() {
                assert_eq!(packet.absgp_page(), count * 960);
            }
        }
        assert_eq!(count, 128);
    }

    #[test]
    fn the_same_samples_give_the_same_bytes() {
        let samples = samples(16_000, 20_000);
        let file = encode(16_000, &samples, 1);
        assert_eq!(encode(16_000, &samples, 321), file);
        assert_eq!(encode(16_000, &samples, 20_000), file);
    }

    #[test]
    fn an_encoder_that_got_nothing_still_ends_its_stream() {
        let file = Encoder::try_new(48_000).unwrap().finish().unwrap();
        let mut reader = PacketReader::new(Cursor::new(&file));
        reader.read_packet_expected().unwrap();
        reader.read_packet_expected().unwrap();
        let packet = reader.read_packet_expected().unwrap();
        assert!(packet.last_in_stream());
        assert_eq!(packet.absgp_page(), 312);
        assert!(decode(&file).is_empty());
    }

    #[test]
    fn a_rate_that_opus_does_not_take_is_refused() {
        for rate in [0, 11_025, 22_050, 44_100, 96_000] {
            let error = Encoder::try_new(rate).err().unwrap();
            assert_eq!(error.kind(), Kind::Unsupported);
            assert!(error.to_string().contains("choose 8000"));
        }
    }
}
