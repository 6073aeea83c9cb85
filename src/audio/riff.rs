//! Takes WAV apart: finds the format and the samples in RIFF, RF64 and Wave64 files, in files and in pipes.
//!
//! A reader of our own stands here because the usual one trusts the lengths in the header, and those of a recording
//! that was streamed or cut short are wrong. It trusts none of them: it allocates by what it reads, and decodes to
//! the end of what is there. Samples are not decoded here; packets go to the same decoders as those of other formats.

use std::io::{self, Read};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known as codec;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadBytes, SeekBuffered};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};

use crate::error::{Error, Kind, Result};

use super::raw::RawFormat;
use super::resample::RATES;
use super::source::unreadable;

/// The most channels that are mixed down; studio formats end at 24.
pub(super) const MAX_CHANNELS: usize = 32;

/// Lengths from here on are what programs write when they cannot know better (0x7FFFF000, 0x7FFFFFFF, 0x80000000,
/// 0xFFFFFFFF and their like, less a header), or files over 2 GiB: too unsure to call a shorter file truncated.
const DOUBTFUL_LENGTH: u64 = 0x7fff_0000;

/// Lengths that are written for "unknown" only.
const UNKNOWN_LENGTHS: [u64; 3] = [0x7fff_f000, 0x7fff_ffff, 0x8000_0000];

/// 0xFFFFFFFF, or that less a header.
const NEARLY_ALL_ONES: u64 = 0xffff_f000;

/// The bytes of a format chunk that mean something here.
const FORMAT_BYTES: usize = 40;

/// The ways to write the same chunks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dress {
    /// 32-bit lengths.
    Riff,
    /// 32-bit lengths, with a `ds64` chunk for those that do not fit.
    Rf64,
    /// Names of 16 bytes, lengths of 64 bits that count the head of the chunk.
    Wave64,
}

/// A name, and the bytes that follow it.
struct Chunk {
    id: [u8; 4],
    length: u64,
}

/// What the format chunk says.
struct Format {
    tag: u16,
    channels: u16,
    rate: u32,
    block_bytes: u16,
    bits: u16,
}

/// How samples lie in the file.
#[derive(Clone, Copy)]
struct Layout {
    codec: AudioCodecId,
    /// The bytes that belong together: one frame, or a block of ADPCM.
    block_bytes: u64,
    frames_per_block: u64,
}

/// The samples of a WAV file, in packets of about 20 ms.
pub(super) struct Wave {
    stream: MediaSourceStream<'static>,
    params: AudioCodecParameters,
    layout: Layout,
    blocks_per_packet: u64,
    /// Bytes of samples still to come; None to the end of the stream.
    left: Option<u64>,
    /// Frames that the header promises, when it can be believed.
    announced: Option<u64>,
    /// Frames that the length of the file has room for, when it has one.
    available: Option<u64>,
    position: u64,
}

/// Tells from the first 16 bytes whether this is WAV of any dress.
pub(super) fn is_wave(head: &[u8]) -> bool {
    dress(head).is_some()
}

fn dress(head: &[u8]) -> Option<Dress> {
    match (head.get(0..4)?, head.get(8..12)) {
        (b"RIFF", Some(b"WAVE")) => Some(Dress::Riff),
        (b"RF64" | b"BW64", Some(b"WAVE")) => Some(Dress::Rf64),
        // All of the name that fits into the four bytes and the fixed tail of its GUID.
        (b"riff", Some(b"\xa5\xd6\x28\xdb")) => Some(Dress::Wave64),
        _ => None,
    }
}

impl Wave {
    /// Reads up to the first sample. `head` is what [`is_wave`] has seen; the stream stands in front of it.
    pub(super) fn open(mut stream: MediaSourceStream<'static>, head: &[u8], name: &str) -> Result<Self> {
        let dress = dress(head).expect("the caller has asked `is_wave`");
        let (format, length) = read_chunks(&mut stream, dress).map_err(|error| cut_header(name, error))?;
        let format = format.ok_or_else(|| wrong(name, "has no format chunk in front of its samples"))?;
        let layout = format.layout(name)?;
        let room =
            (stream.is_seekable().then(|| stream.byte_len()).flatten()).map(|bytes| bytes.saturating_sub(stream.pos()));
        let announced = length.filter(|&length| length < DOUBTFUL_LENGTH || dress != Dress::Riff);
        Ok(Self::new(stream, &layout, (format.rate, format.channels), length).announcing(announced, room))
    }

    /// Bare samples, from the first byte on.
    pub(super) fn raw(stream: MediaSourceStream<'static>, format: RawFormat, name: &str) -> Result<Self> {
        check_rate(format.rate, name)?;
        let (codec, bytes) = format.encoding.codec();
        let layout = Layout { codec, block_bytes: bytes * u64::from(format.channels), frames_per_block: 1 };
        let room = stream.is_seekable().then(|| stream.byte_len()).flatten();
        Ok(Self::new(stream, &layout, (format.rate, format.channels), None).announcing(None, room))
    }

    fn new(
        stream: MediaSourceStream<'static>,
        layout: &Layout,
        (rate, channels): (u32, u16),
        length: Option<u64>,
    ) -> Self {
        let mut params = AudioCodecParameters::new();
        let blocks_per_packet = (u64::from(rate) / 50 / layout.frames_per_block).max(1);
        params
            .for_codec(layout.codec)
            .with_sample_rate(rate)
            .with_channels(Channels::Discrete(channels))
            .with_frames_per_block(layout.frames_per_block)
            .with_max_frames_per_packet(blocks_per_packet * layout.frames_per_block);
        Self {
            stream,
            params,
            layout: *layout,
            blocks_per_packet,
            left: length,
            announced: None,
            available: None,
            position: 0,
        }
    }

    /// Notes the bytes of samples that the header promises, and those that there is room for in the file.
    fn announcing(mut self, announced: Option<u64>, room: Option<u64>) -> Self {
        let layout = self.layout;
        let frames = |bytes: u64| (bytes / layout.block_bytes).saturating_mul(layout.frames_per_block);
        self.announced = announced.map(frames);
        self.available = room.map(|room| frames(self.left.unwrap_or(u64::MAX).min(room)));
        self
    }

    pub(super) fn params(&self) -> &AudioCodecParameters {
        &self.params
    }

    /// The frames that the header promises; None when it does not know.
    pub(super) fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// The frames that are there, by the length of the file; None for a pipe.
    pub(super) fn available(&self) -> Option<u64> {
        self.available
    }

    /// Reads the next packet. What does not fill a block at the end is dropped.
    pub(super) fn next(&mut self) -> io::Result<Option<Packet>> {
        let full = self.blocks_per_packet * self.layout.block_bytes;
        let wanted = self.left.map_or(full, |left| left.min(full));
        let mut data = vec![0; usize::try_from(wanted).map_err(io::Error::other)?];
        let mut filled = 0;
        while filled < data.len() {
            match self.stream.read(&mut data[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let blocks = filled as u64 / self.layout.block_bytes;
        if blocks == 0 {
            return Ok(None);
        }
        data.truncate((blocks * self.layout.block_bytes) as usize);
        self.left = self.left.map(|left| left - filled as u64);
        let frames = blocks * self.layout.frames_per_block;
        let start = Timestamp::try_from(self.position).map_err(io::Error::other)?;
        self.position += frames;
        Ok(Some(Packet::new(0, start, Duration::from(frames), data)))
    }
}

/// Walks over the chunks to the first sample. Gives the format, and the bytes of samples if they can be known.
fn read_chunks(stream: &mut MediaSourceStream<'static>, dress: Dress) -> io::Result<(Option<Format>, Option<u64>)> {
    let (mut format, mut long_length) = (None, None);
    let whole = read_top(stream, dress)?;
    loop {
        let chunk = read_chunk(stream, dress)?;
        let start = stream.pos();
        match &chunk.id {
            b"data" => {
                let long_length = long_length.filter(|_| chunk.length >= u64::from(u32::MAX));
                return Ok((format, data_length(stream, dress, long_length.unwrap_or(chunk.length), whole)?));
            }
            b"ds64" if dress == Dress::Rf64 => {
                stream.read_u64()?;
                long_length = Some(stream.read_u64()?);
            }
            b"fmt " => format = Some(Format::read(stream, chunk.length)?),
            _ => {}
        }
        let padded = chunk.length.saturating_add(match dress {
            Dress::Wave64 => chunk.length.wrapping_neg() % 8,
            Dress::Riff | Dress::Rf64 => chunk.length % 2,
        });
        skip(stream, padded.saturating_sub(stream.pos() - start))?;
    }
}

/// Passes the head of the file. Gives the bytes that it claims to have in all.
fn read_top(stream: &mut MediaSourceStream<'static>, dress: Dress) -> io::Result<u64> {
    match dress {
        Dress::Riff | Dress::Rf64 => {
            stream.read_quad_bytes()?;
            let length = u64::from(stream.read_u32()?) + 8;
            stream.read_quad_bytes()?;
            Ok(length)
        }
        Dress::Wave64 => {
            skip(stream, 16)?;
            let length = stream.read_u64()?;
            skip(stream, 16)?;
            Ok(length)
        }
    }
}

fn read_chunk(stream: &mut MediaSourceStream<'static>, dress: Dress) -> io::Result<Chunk> {
    let id = stream.read_quad_bytes()?;
    let length = match dress {
        Dress::Riff | Dress::Rf64 => u64::from(stream.read_u32()?),
        Dress::Wave64 => {
            skip(stream, 12)?;
            stream.read_u64()?.saturating_sub(24)
        }
    };
    Ok(Chunk { id, length })
}

/// Decides how far the samples go: None is to the end of the stream.
fn data_length(
    stream: &mut MediaSourceStream<'static>,
    dress: Dress,
    length: u64,
    whole: u64,
) -> io::Result<Option<u64>> {
    let is_unknown = match dress {
        Dress::Riff => UNKNOWN_LENGTHS.contains(&length) || length >= NEARLY_ALL_ONES,
        // Wave64 knows no "unknown"; programs write something near the largest number, with or without its sign.
        Dress::Rf64 | Dress::Wave64 => length == u64::from(u32::MAX) || length > 1 << 60,
    };
    if is_unknown {
        return Ok(None);
    }
    if length > 0 {
        return Ok(Some(length));
    }
    // Zero is both "nothing was recorded" and "not known yet". It is the former if the file goes on with a chunk.
    let more = whole > stream.pos() && whole < DOUBTFUL_LENGTH;
    let mut next = [0; 4];
    let count = stream.read(&mut next)?;
    stream.seek_buffered_rev(count);
    let is_name = count == next.len() && next.iter().all(|byte| (b' '..=b'~').contains(byte));
    Ok((more && is_name).then_some(0))
}

/// Passes over bytes. More than any file has is the same as the end of this one.
fn skip(stream: &mut MediaSourceStream<'static>, count: u64) -> io::Result<()> {
    if count > 1 << 60 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.ignore_bytes(count)
}

impl Format {
    fn read(stream: &mut MediaSourceStream<'static>, length: u64) -> io::Result<Self> {
        let mut bytes = [0; FORMAT_BYTES];
        let count = usize::try_from(length).map_or(FORMAT_BYTES, |length| length.min(FORMAT_BYTES));
        ReadBytes::read_buf_exact(stream, &mut bytes[..count])?;
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let tag = match short(0) {
            // The real format is the start of a GUID.
            0xfffe => short(24),
            tag => tag,
        };
        let rate = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        Ok(Self { tag, channels: short(2), rate, block_bytes: short(12), bits: short(14) })
    }

    /// Checks the format, and finds the codec that reads it.
    fn layout(&self, name: &str) -> Result<Layout> {
        let channels = u64::from(self.channels);
        if channels == 0 {
            return Err(wrong(name, "has no channels by its header"));
        }
        if usize::from(self.channels) > MAX_CHANNELS {
            return Err(wrong(name, &format!("has {channels} channels; up to {MAX_CHANNELS} are read")));
        }
        check_rate(self.rate, name)?;
        let (codec, bytes) = match (self.tag, self.bits) {
            (1, 1..=32) => match self.container() {
                1 => (codec::CODEC_ID_PCM_U8, 1),
                2 => (codec::CODEC_ID_PCM_S16LE, 2),
                3 => (codec::CODEC_ID_PCM_S24LE, 3),
                _ => (codec::CODEC_ID_PCM_S32LE, 4),
            },
            (3, 32) => (codec::CODEC_ID_PCM_F32LE, 4),
            (3, 64) => (codec::CODEC_ID_PCM_F64LE, 8),
            (6, 8) => (codec::CODEC_ID_PCM_ALAW, 1),
            (7, 8) => (codec::CODEC_ID_PCM_MULAW, 1),
            (2, 4) => return self.adpcm_layout(codec::CODEC_ID_ADPCM_MS, 7, 2, name),
            (0x11, 4) => return self.adpcm_layout(codec::CODEC_ID_ADPCM_IMA_WAV, 4, 1, name),
            (1 | 2 | 3 | 6 | 7 | 0x11, bits) => {
                return Err(wrong(name, &format!("has samples of {bits} bits, which its format does not know")));
            }
            (tag, _) => {
                return Err(wrong(name, &format!("holds WAV format {tag:#06x}, which is not read; convert it to PCM")));
            }
        };
        Ok(Layout { codec, block_bytes: bytes * channels, frames_per_block: 1 })
    }

    /// The bytes of one sample of PCM. Samples of odd widths lie at the upper end of theirs, so the width of the
    /// container is all that matters: it may be wider than the bits need, but not narrower.
    fn container(&self) -> u16 {
        let needed = self.bits.div_ceil(8);
        let stated = self.block_bytes / self.channels;
        let usable = self.block_bytes.is_multiple_of(self.channels) && (needed..=4).contains(&stated);
        if usable { stated } else { needed }
    }

    /// ADPCM comes in blocks: a head for each channel that holds `head_frames` samples, then 4 bits a sample.
    fn adpcm_layout(&self, codec: AudioCodecId, head_bytes: u64, head_frames: u64, name: &str) -> Result<Layout> {
        let (channels, block_bytes) = (u64::from(self.channels), u64::from(self.block_bytes));
        if channels > 2 {
            return Err(wrong(name, &format!("has {channels} channels of ADPCM; one or two are read")));
        }
        let Some(packed) = block_bytes.checked_sub(head_bytes * channels) else {
            return Err(wrong(name, &format!("has ADPCM blocks of {block_bytes} bytes, which is too few")));
        };
        Ok(Layout { codec, block_bytes, frames_per_block: packed * 2 / channels + head_frames })
    }
}

/// Refuses rates that no recorder uses, and that would make the resampler huge.
pub(super) fn check_rate(rate: u32, name: &str) -> Result<()> {
    if !RATES.contains(&rate) {
        let (lowest, highest) = (RATES.start(), RATES.end());
        return Err(wrong(name, &format!("has a sample rate of {rate} Hz; {lowest} to {highest} Hz are read")));
    }
    Ok(())
}

fn cut_header(name: &str, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            wrong(name, "ends within its header; it was cut short, record or copy it again")
        }
        _ => unreadable(name, error),
    }
}

fn wrong(name: &str, what: &str) -> Error {
    Error::new(Kind::InvalidInput, format!("{name} {what}"))
}
