//! What a file is, and who takes it apart: its first bytes decide, never its name.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::{Error as Fault, Result as Outcome};
use symphonia::core::formats::probe::{Hint, Probe, ProbeOptions};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource as _, MediaSourceStream, ReadBytes, ReadOnlySource, SeekBuffered};
use symphonia::default::formats::{AdtsReader, MpaReader};
use symphonia::default::{register_enabled_codecs, register_enabled_formats};
use symphonia_adapter_libopus::OpusDecoder;

use crate::error::{Error, Kind, Result};

use super::mp4;
use super::raw::RawFormat;
use super::riff::{self, Wave};
use super::source::{Failure, unreadable};

/// How far into a file its format may begin, in bytes. Enough for the padding that some programs put in front of MP3,
/// and too little to find something that looks like MP3 in every large file.
const PROBE_BYTES: u32 = 4_096;

/// How Matroska and WebM begin.
const EBML: &[u8; 4] = b"\x1a\x45\xdf\xa3";

/// The usual codecs, and Opus, which symphonia leaves to others.
static CODECS: LazyLock<CodecRegistry> = LazyLock::new(|| {
    let mut codecs = CodecRegistry::new();
    register_enabled_codecs(&mut codecs);
    codecs.register_audio_decoder::<OpusDecoder>();
    codecs
});

/// Who cuts the input into packets.
pub(super) enum Packets {
    Wave(Box<Wave>),
    /// A reader for another format, and the track that is played.
    Format(Box<dyn FormatReader>, u32),
}

/// An input whose header has been read.
pub(super) struct Container {
    pub(super) packets: Packets,
    pub(super) params: AudioCodecParameters,
    /// Frames that the header promises.
    pub(super) announced: Option<u64>,
    /// Frames that the length of the file has room for.
    pub(super) available: Option<u64>,
    /// Seconds of sound before the recording begins.
    pub(super) lead: f64,
    /// The first bytes leave no doubt about the format.
    pub(super) is_named: bool,
}

impl Container {
    /// Reads the header of bare samples, which have none.
    pub(super) fn raw(stream: MediaSourceStream<'static>, format: RawFormat, name: &str) -> Result<Self> {
        Ok(Self::wave(Wave::raw(stream, format, name)?))
    }

    /// Finds out what this is, and reads its header. `failure` knows what was wrong with the input itself.
    pub(super) fn open(mut stream: MediaSourceStream<'static>, failure: &Failure, name: &str) -> Result<Self> {
        let head = match read_head(&mut stream) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(not_understood(name)),
            Err(error) => return Err(failure.instead_of(unreadable(name, error), name)),
        };
        if head.is_empty() {
            return Err(Error::new(Kind::InvalidInput, format!("{name} is empty")));
        }
        if riff::is_wave(&head) {
            let wave = Wave::open(stream, &head, name).map_err(|error| failure.instead_of(error, name))?;
            return Ok(Self::wave(wave));
        }
        let is_mp4 = is_mp4(&head);
        // The index of an M4A may lie behind its audio, where a pipe cannot go first.
        let is_piped_mp4 = is_mp4 && !stream.is_seekable();
        let is_named = is_named(&head);
        let mut index = mp4::Index { is_there: true, ..mp4::Index::default() };
        if is_mp4 && stream.is_seekable() {
            index = mp4::look(&mut stream).map_err(|error| unreadable(name, error))?;
        }
        // A reader that could seek would look for the end of these, and give up a whole file for the end that it lacks.
        if index.is_cut_behind || [EBML, b"FORM"].iter().any(|name| head.starts_with(*name)) {
            stream = MediaSourceStream::new(Box::new(ReadOnlySource::new(stream)), Default::default());
        }
        let reader = guarded(|| probe(stream, is_named)).map_err(|fault| match (failure.take(), &fault) {
            (Some(error), _) => unreadable(name, error),
            (None, _) if is_piped_mp4 => {
                let message = format!("{name} is an M4A that cannot be read from a pipe; save it to a file first");
                Error::new(Kind::InvalidInput, message)
            }
            (None, _) if !index.is_there => {
                let message = format!("{name} has no index: it was cut short, or is still being recorded");
                Error::new(Kind::InvalidInput, message)
            }
            (None, fault) => explain(name, fault),
        })?;
        let (track, params, announced) = audio_track(&*reader, name)?;
        let packets = Packets::Format(reader, track);
        Ok(Self { packets, params, announced, available: None, lead: index.lead, is_named })
    }

    fn wave(wave: Wave) -> Self {
        let (announced, available, params) = (wave.announced(), wave.available(), wave.params().clone());
        let packets = Packets::Wave(Box::new(wave));
        Self { packets, params, announced, available, lead: 0.0, is_named: true }
    }
}

/// Looks at the first 16 bytes, or as many as there are, past the tags that MP3 files carry in front.
fn read_head(stream: &mut MediaSourceStream<'static>) -> io::Result<Vec<u8>> {
    loop {
        let mut head = [0; 16];
        let mut count = 0;
        while count < head.len() {
            match stream.read(&mut head[count..])? {
                0 => break,
                read => count += read,
            }
        }
        stream.seek_buffered_rev(count);
        if count < head.len() || !head.starts_with(b"ID3") {
            return Ok(head[..count].to_vec());
        }
        // Ten bytes, then a length of 7 bits a byte, then perhaps a copy of the ten bytes.
        let length = head[6..10].iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7f));
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        stream.ignore_bytes(10 + length + footer)?;
    }
}

/// Tells whether these are the first bytes of a container that says what it is. MP3 and AAC do not: they may begin
/// anywhere, and anything may look like them.
fn is_named(head: &[u8]) -> bool {
    is_mp4(head) || [b"fLaC", b"OggS", b"FORM", b"caff", EBML].iter().any(|name| head.starts_with(*name))
}

/// MP4 in all its names: M4A, MOV, 3GP.
fn is_mp4(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip"))
}

/// Finds the reader for a format other than WAV.
fn probe(stream: MediaSourceStream<'static>, is_named: bool) -> Outcome<Box<dyn FormatReader>> {
    let mut probe = Probe::new_with_options(&ProbeOptions { max_probe_depth: PROBE_BYTES, ..ProbeOptions::default() });
    if is_named {
        register_enabled_formats(&mut probe);
    } else {
        probe.register_format::<AdtsReader<'_>>();
        probe.register_format::<MpaReader<'_>>();
    }
    probe.probe(&Hint::new(), stream, Default::default(), Default::default())
}

/// Gives the track that is played: its number, its parameters, and its frames as announced.
pub(super) fn audio_track(reader: &dyn FormatReader, name: &str) -> Result<(u32, AudioCodecParameters, Option<u64>)> {
    let track = reader.default_track(TrackType::Audio);
    let params = track.and_then(|track| Some((track, track.codec_params.as_ref()?.audio()?)));
    let Some((track, params)) = params else {
        let is_silent = !reader.tracks().iter().any(|track| track.track_type() == Some(TrackType::Audio));
        let what = if is_silent { "has no sound in it" } else { "has sound in a form that is not understood" };
        return Err(Error::new(Kind::InvalidInput, format!("{name} {what}")));
    };
    // Files that are written in fragments announce nothing, as a zero.
    Ok((track.id, params.clone(), track.num_frames.filter(|&frames| frames > 0)))
}

pub(super) fn open_codec(params: &AudioCodecParameters, name: &str) -> Result<Box<dyn AudioDecoder>> {
    let channels = params.channels.as_ref().map_or(1, |channels| channels.count());
    if channels == 0 || channels > riff::MAX_CHANNELS {
        let message = format!("{name} has {channels} channels; 1 to {} are read", riff::MAX_CHANNELS);
        return Err(Error::new(Kind::InvalidInput, message));
    }
    let codec = guarded(|| CODECS.make_audio_decoder(params, &AudioDecoderOptions::default()));
    codec.map_err(|fault| {
        let message = format!("{name} is encoded in a way that is not understood; convert it to WAV first");
        tracing::debug!(%fault, "No decoder.");
        Error::new(Kind::InvalidInput, message)
    })
}

/// Runs a decoder of untrusted input. A bug in it that panics is a fault of this packet, not the end of the program.
pub(super) fn guarded<T>(run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Fault::DecodeError("the decoder panicked")))
}

pub(super) fn not_understood(name: &str) -> Error {
    let message =
        format!("{name} is not an audio file that is understood; it can be WAV, AIFF, FLAC, MP3, OGG, M4A or WebM");
    Error::new(Kind::InvalidInput, message)
}

/// Turns what a reader says about a file into words.
pub(super) fn explain(name: &str, fault: &Fault) -> Error {
    match fault {
        Fault::Unsupported(_) => not_understood(name),
        Fault::IoError(_) => {
            let message = format!("{name} ends within its header; it was cut short, record or copy it again");
            Error::new(Kind::InvalidInput, message)
        }
        fault => Error::new(Kind::InvalidInput, format!("{name} is damaged")).because(fault.to_string()),
    }
}
