//! Decodes files and pipes to 16 kHz mono, a block at a time.
//!
//! What a file is, its first bytes decide, never its name. Memory does not grow with the length of the input. The
//! input is not trusted: what is wrong with it becomes an error or a count, never a panic or a loop without an end.
//! Channels are mixed by their mean; samples that are not numbers become silence, those beyond full scale are clamped.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::probe::{Hint, Probe, ProbeOptions};
use symphonia::core::formats::well_known::{FORMAT_ID_AIFF, FORMAT_ID_FLAC};
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadBytes, SeekBuffered};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{AdtsReader, MpaReader};
use symphonia::default::{get_codecs, register_enabled_formats};

use crate::error::{Error, Kind, Result};

use super::RECOGNITION_RATE;
use super::resample::Resampler;
use super::riff::{self, Wave};
use super::source::{Failure, unreadable};

pub(crate) use super::source::Source;

/// How far into a file its format may begin, in bytes. Enough for the padding that some programs put in front of MP3,
/// and too little to find something that looks like MP3 in every large file.
const PROBE_BYTES: u32 = 4_096;

/// Faults in a row, without any audio between them, after which a file is given up.
const MAX_FAULTS: u32 = 256;

/// A file of an inexact format (MP3, AAC) is truncated if it is shorter than it says by more than this, in seconds:
/// such formats round to frames, and some encoders count their padding.
const INEXACT_SECONDS: f64 = 0.5;

/// A recording that ended before its header said so. Both are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Truncation {
    pub(crate) announced: f64,
    pub(crate) found: f64,
}

/// Encoded audio that is read block by block as 16 kHz mono.
pub(crate) struct Decoder {
    name: String,
    packets: Packets,
    codec: Box<dyn AudioDecoder>,
    rate: u32,
    channels: usize,
    /// Seconds that the header promises.
    announced: Option<f64>,
    /// Seconds that the length of the file has room for.
    available: Option<f64>,
    /// Seconds that were decoded.
    found: f64,
    /// From `rate` to 16 kHz; None before the first block and after the last.
    resampler: Option<Resampler>,
    interleaved: Vec<f32>,
    failure: Failure,
    /// Packets that could not be decoded, in all and since the last that could.
    damaged: u64,
    faults: u32,
    /// The first bytes leave no doubt about the format.
    is_named: bool,
    is_finished: bool,
}

/// Who cuts the input into packets.
enum Packets {
    Wave(Box<Wave>),
    /// A reader for another format, and the track that is played.
    Format(Box<dyn FormatReader>, u32),
}

impl Decoder {
    /// Reads the header. `name` is what messages call the input: "`talk.wav`", "standard input".
    pub(crate) fn open(source: Source, name: &str) -> Result<Self> {
        let failure = Failure::default();
        let mut stream = source.into_stream(failure.clone());
        let head = match read_head(&mut stream) {
            Ok(head) => head,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(not_understood(name)),
            Err(error) => return Err(failure.instead_of(unreadable(name, error), name)),
        };
        if head.is_empty() {
            return Err(Error::new(Kind::InvalidInput, format!("{name} is empty")));
        }
        let (packets, params, announced, available) = if riff::is_wave(&head) {
            let wave = Wave::open(stream, &head, name).map_err(|error| failure.instead_of(error, name))?;
            let (announced, available, params) = (wave.announced(), wave.available(), wave.params().clone());
            (Packets::Wave(Box::new(wave)), params, announced, available)
        } else {
            // The index of an M4A may lie behind its audio, where a pipe cannot go first.
            let is_piped_m4a = head.get(4..8) == Some(b"ftyp") && !stream.is_seekable();
            let reader = guarded(|| probe(stream, is_named(&head))).map_err(|fault| match failure.take() {
                Some(error) => unreadable(name, error),
                None if is_piped_m4a => {
                    let message = format!("{name} is an M4A that cannot be read from a pipe; save it to a file first");
                    Error::new(Kind::InvalidInput, message)
                }
                None => explain(name, &fault),
            })?;
            let (track, params, announced) = audio_track(&*reader, name)?;
            (Packets::Format(reader, track), params, announced, None)
        };
        let rate = params.sample_rate.unwrap_or(0);
        if params.sample_rate.is_some() {
            riff::check_rate(rate, name)?;
        }
        let codec = open_codec(&params, name)?;
        let seconds = |frames: u64| frames as f64 / f64::from(rate);
        Ok(Self {
            name: name.to_owned(),
            packets,
            codec,
            rate,
            channels: params.channels.as_ref().map_or(0, |channels| channels.count()),
            announced: announced.filter(|_| rate > 0).map(seconds),
            available: available.filter(|_| rate > 0).map(seconds),
            found: 0.0,
            resampler: None,
            interleaved: Vec::new(),
            failure,
            damaged: 0,
            faults: 0,
            is_named: riff::is_wave(&head) || is_named(&head),
            is_finished: false,
        })
    }

    /// Gives the next block, 16 kHz mono in -1.0..=1.0 and not empty; None at the end. Blocks until it is read.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<f32>>> {
        while !self.is_finished {
            let block = match self.next_packet() {
                Ok(Some(packet)) => self.decode(&packet),
                Ok(None) => self.finish(),
                Err(error) => Err(error),
            };
            match block {
                Ok(block) if block.is_empty() => {}
                Ok(block) => return Ok(Some(block)),
                Err(error) => {
                    self.is_finished = true;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// The rate of the input, in Hz; 0 if only its first block will tell.
    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// The channels of the input; 0 if only its first block will tell.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// How long the audio will be, in seconds, as far as the header and the length of the file tell.
    pub(crate) fn duration_hint(&self) -> Option<f64> {
        match (self.announced, self.available) {
            (Some(announced), Some(available)) => Some(announced.min(available)),
            (announced, available) => announced.or(available),
        }
    }

    /// Tells, once [`Decoder::next`] has given None, whether the header had announced more.
    pub(crate) fn truncated(&self) -> Option<Truncation> {
        let announced = self.announced.filter(|_| self.is_finished)?;
        let tolerated = match &self.packets {
            Packets::Format(reader, _) if ![FORMAT_ID_FLAC, FORMAT_ID_AIFF].contains(&reader.format_info().format) => {
                INEXACT_SECONDS
            }
            // Less than a frame at any rate.
            _ => 1e-6,
        };
        (announced - self.found > tolerated).then_some(Truncation { announced, found: self.found })
    }

    /// The packets that were left out because they were damaged.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Reads the next packet of the track that is played.
    fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            let packet = match &mut self.packets {
                Packets::Wave(wave) => wave.next().map_err(Fault::IoError),
                Packets::Format(reader, _) => guarded(|| reader.next_packet()),
            };
            let fault = match (packet, &self.packets) {
                (Ok(Some(packet)), Packets::Format(_, track)) if packet.track_id != *track => continue,
                (Ok(packet), _) => {
                    return self.failure.take().map_or(Ok(packet), |error| Err(unreadable(&self.name, error)));
                }
                (Err(fault), _) => fault,
            };
            if let Some(error) = self.failure.take() {
                return Err(unreadable(&self.name, error));
            }
            match fault {
                // The last packet was cut off: that is the end.
                Fault::IoError(_) => return Ok(None),
                Fault::ResetRequired => {
                    self.reopen_track()?;
                    self.note_fault()?;
                }
                Fault::DecodeError(_) => self.note_fault()?,
                fault => return Err(explain(&self.name, &fault)),
            }
        }
    }

    /// Decodes a packet to a block at 16 kHz, which is empty while the resampler waits for more.
    fn decode(&mut self, packet: &Packet) -> Result<Vec<f32>> {
        let (rate, channels) = match guarded(|| self.codec.decode(packet)) {
            Ok(buffer) => {
                buffer.copy_to_vec_interleaved(&mut self.interleaved);
                (buffer.spec().rate(), buffer.spec().channels().count())
            }
            Err(fault) => {
                if matches!(fault, Fault::ResetRequired) {
                    self.codec.reset();
                }
                self.note_fault()?;
                return Ok(Vec::new());
            }
        };
        if channels == 0 || self.interleaved.is_empty() {
            return Ok(Vec::new());
        }
        self.faults = 0;
        self.channels = channels;
        // The rate may change where files were joined; what was heard at the old rate is brought to its end first.
        let mut output = Vec::new();
        if rate != self.rate {
            riff::check_rate(rate, &self.name)?;
            if let Some(resampler) = self.resampler.take() {
                output = resampler.finish()?;
            }
            self.rate = rate;
        }
        self.found += (self.interleaved.len() / channels) as f64 / f64::from(rate);
        let mono = mix(&self.interleaved, channels);
        let mut resampler = match self.resampler.take() {
            Some(resampler) => resampler,
            None => Resampler::try_new(rate, RECOGNITION_RATE)?,
        };
        let block = resampler.push(&mono)?;
        self.resampler = Some(resampler);
        output.extend(block);
        Ok(output)
    }

    /// Gives what the resampler still holds, and ends the audio.
    fn finish(&mut self) -> Result<Vec<f32>> {
        self.is_finished = true;
        if self.damaged > 0 && self.found == 0.0 {
            return Err(self.given_up());
        }
        self.resampler.take().map_or_else(|| Ok(Vec::new()), Resampler::finish)
    }

    /// Counts a packet that is left out. Too many in a row are not audio.
    fn note_fault(&mut self) -> Result<()> {
        self.damaged += 1;
        self.faults += 1;
        if self.faults > MAX_FAULTS { Err(self.given_up()) } else { Ok(()) }
    }

    fn given_up(&self) -> Error {
        // Something that merely looked like audio at its start.
        if self.found == 0.0 && !self.is_named {
            return not_understood(&self.name);
        }
        let message = format!("{} is damaged after {:.1} s and cannot be read on", self.name, self.found);
        Error::new(Kind::InvalidInput, message)
    }

    /// Finds the audio again where one recording follows another in the same file.
    fn reopen_track(&mut self) -> Result<()> {
        if let Packets::Format(reader, track) = &mut self.packets {
            let (id, params, _) = audio_track(&**reader, &self.name)?;
            (*track, self.codec) = (id, open_codec(&params, &self.name)?);
        }
        Ok(())
    }
}

/// Takes the mean of the channels of each frame.
fn mix(interleaved: &[f32], channels: usize) -> Vec<f32> {
    let clean = |sample: &f32| if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) };
    if channels == 1 {
        return interleaved.iter().map(clean).collect();
    }
    let share = 1.0 / channels as f32;
    interleaved.chunks_exact(channels).map(|frame| frame.iter().map(clean).sum::<f32>() * share).collect()
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
    let is_mp4 = matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip"));
    is_mp4 || [b"fLaC", b"OggS", b"FORM"].iter().any(|name| head.starts_with(*name))
}

/// Finds the reader for a format other than WAV.
fn probe(stream: MediaSourceStream<'static>, is_named: bool) -> symphonia::core::errors::Result<Box<dyn FormatReader>> {
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
fn audio_track(reader: &dyn FormatReader, name: &str) -> Result<(u32, AudioCodecParameters, Option<u64>)> {
    let track = reader.default_track(TrackType::Audio);
    let params = track.and_then(|track| Some((track, track.codec_params.as_ref()?.audio()?)));
    let Some((track, params)) = params else {
        return Err(Error::new(Kind::InvalidInput, format!("{name} has no audio in it that is understood")));
    };
    // Files that are written in fragments announce nothing, as a zero.
    Ok((track.id, params.clone(), track.num_frames.filter(|&frames| frames > 0)))
}

fn open_codec(params: &AudioCodecParameters, name: &str) -> Result<Box<dyn AudioDecoder>> {
    let channels = params.channels.as_ref().map_or(1, |channels| channels.count());
    if channels == 0 || channels > riff::MAX_CHANNELS {
        let message = format!("{name} has {channels} channels; 1 to {} are read", riff::MAX_CHANNELS);
        return Err(Error::new(Kind::InvalidInput, message));
    }
    let codec = guarded(|| get_codecs().make_audio_decoder(params, &AudioDecoderOptions::default()));
    codec.map_err(|fault| {
        let message = format!("{name} is encoded in a way that is not understood; convert it to WAV first");
        Error::new(Kind::InvalidInput, message).because(fault)
    })
}

/// Runs a decoder of untrusted input. A bug in it that panics is a fault of this packet, not the end of the program.
fn guarded<T>(run: impl FnOnce() -> symphonia::core::errors::Result<T>) -> symphonia::core::errors::Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(Fault::DecodeError("the decoder panicked")))
}

fn not_understood(name: &str) -> Error {
    let message = format!("{name} is not an audio file that is understood; it can be WAV, AIFF, FLAC, MP3, OGG or M4A");
    Error::new(Kind::InvalidInput, message)
}

/// Turns what a reader says about a file into words.
fn explain(name: &str, fault: &Fault) -> Error {
    match fault {
        Fault::Unsupported(_) => not_understood(name),
        Fault::IoError(_) => {
            let message = format!("{name} ends within its header; it was cut short, record or copy it again");
            Error::new(Kind::InvalidInput, message)
        }
        fault => Error::new(Kind::InvalidInput, format!("{name} is damaged")).because(fault.to_string()),
    }
}

#[cfg(test)]
mod tests;
