//! Decodes files and pipes to 16 kHz, a block at a time.
//!
//! Memory does not grow with the length of the input. The input is not trusted: what is wrong with it becomes an error
//! or a count, never a panic or a loop without an end. Samples that are not numbers become silence, those beyond full
//! scale are clamped.

use symphonia::core::codecs::audio::AudioDecoder;
use symphonia::core::errors::Error as Fault;
use symphonia::core::formats::well_known::{FORMAT_ID_AIFF, FORMAT_ID_FLAC};
use symphonia::core::packet::Packet;

use crate::error::{Error, Kind, Result};

use super::RECOGNITION_RATE;
use super::channels::{check_channel, give, join};
use super::container::{Container, Packets, audio_track, explain, guarded, not_understood, open_codec};
use super::raw::RawFormat;
use super::resample::Resampler;
use super::riff;
use super::source::{Budget, Failure, Growth, unreadable};

pub(crate) use super::channels::{Block, Channels};
pub(crate) use super::source::Source;

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

/// What of a recording is wanted, and how it is to be read. By default all of it, as one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Part {
    /// Bare samples; otherwise the input says itself what it is.
    pub(crate) raw: Option<RawFormat>,
    pub(crate) channels: Channels,
    /// Seconds to leave out at the start.
    pub(crate) from: f64,
    /// Seconds to give from there; `None` to the end.
    pub(crate) length: Option<f64>,
}

/// Encoded audio that is read block by block at 16 kHz.
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
    part: Part,
    /// From `rate` to 16 kHz, one for each channel that is given; none before the first block and after the last.
    resamplers: Vec<Resampler>,
    interleaved: Vec<f32>,
    failure: Failure,
    budget: Budget,
    growth: Growth,
    /// Packets that could not be decoded, in all and since the last that could.
    damaged: u64,
    faults: u32,
    /// The first bytes leave no doubt about the format.
    is_named: bool,
    is_finished: bool,
    /// The part ended before the recording did.
    has_enough: bool,
}

impl Decoder {
    /// Reads the header. `name` is what messages call the input: "`talk.wav`", "standard input".
    pub(crate) fn open(source: Source, name: &str) -> Result<Self> {
        Self::open_part(source, Part::default(), name)
    }

    /// Reads the header, to give a part of the recording.
    pub(crate) fn open_part(source: Source, part: Part, name: &str) -> Result<Self> {
        let failure = Failure::default();
        let growth = Growth::of(&source);
        let budget = Budget::new();
        let stream = source.into_stream(failure.clone(), budget.clone());
        let container = match part.raw {
            Some(format) => Container::raw(stream, format, name)?,
            None => Container::open(stream, &failure, name).map_err(|error| match budget.is_spent() {
                true => Budget::overdrawn(name),
                false => error,
            })?,
        };
        let rate = container.params.sample_rate.unwrap_or(0);
        if container.params.sample_rate.is_some() {
            riff::check_rate(rate, name)?;
        }
        let codec = open_codec(&container.params, name)?;
        let channels = container.params.channels.as_ref().map_or(0, |channels| channels.count());
        if channels > 0 {
            check_channel(part.channels, channels, name)?;
        }
        let seconds = |frames: u64| frames as f64 / f64::from(rate);
        Ok(Self {
            name: name.to_owned(),
            packets: container.packets,
            codec,
            rate,
            channels,
            announced: container.announced.filter(|_| rate > 0).map(|frames| seconds(frames) - container.lead),
            available: container.available.filter(|_| rate > 0).map(seconds),
            // What comes before the recording begins is left out like what comes before the part.
            found: -container.lead,
            part,
            resamplers: Vec::new(),
            interleaved: Vec::new(),
            failure,
            budget,
            growth,
            damaged: 0,
            faults: 0,
            is_named: container.is_named,
            is_finished: false,
            has_enough: false,
        })
    }

    /// Gives the next block of the first channel that is given, not empty; None at the end. Blocks until it is read.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<f32>>> {
        Ok(self.next_block()?.map(|mut block| block.swap_remove(0)))
    }

    /// Gives the next block, not empty; None at the end. Blocks until it is read.
    pub(crate) fn next_block(&mut self) -> Result<Option<Block>> {
        while !self.is_finished {
            let block = match self.next_packet() {
                Ok(Some(packet)) => self.decode(&packet),
                Ok(None) => self.finish(),
                Err(error) => Err(error),
            };
            match block {
                Ok(block) if block.first().is_none_or(Vec::is_empty) => {}
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

    /// How long the audio that is given will be, in seconds, as far as the header and the length of the file tell.
    pub(crate) fn duration_hint(&self) -> Option<f64> {
        let whole = match (self.announced, self.available) {
            (Some(announced), Some(available)) => Some(announced.min(available)),
            (announced, available) => announced.or(available),
        };
        let rest = whole.map(|whole| (whole - self.part.from).max(0.0));
        match (rest, self.part.length) {
            (Some(rest), Some(length)) => Some(rest.min(length)),
            (rest, length) => rest.or(length),
        }
    }

    /// Tells, once [`Decoder::next`] has given None, whether the header had announced more.
    pub(crate) fn truncated(&self) -> Option<Truncation> {
        let announced = self.announced.filter(|_| self.is_finished && !self.has_enough)?;
        let tolerated = match &self.packets {
            Packets::Format(reader, _) if ![FORMAT_ID_FLAC, FORMAT_ID_AIFF].contains(&reader.format_info().format) => {
                INEXACT_SECONDS
            }
            // Less than a frame at any rate.
            _ => 1e-6,
        };
        (announced - self.found > tolerated).then_some(Truncation { announced, found: self.found })
    }

    /// What is to be said of a recording that was read to its end, as sentences.
    ///
    /// # Errors
    /// `InvalidInput` where a header announces audio and none is there, or nothing is where the part begins.
    pub(crate) fn verdict(&self) -> Result<Vec<String>> {
        let name = &self.name;
        let mut warnings = Vec::new();
        if let Some(Truncation { announced, found }) = self.truncated() {
            if found <= 0.0 {
                let message = format!("{name} is cut short: its header announces {announced:.1} s, none is there");
                return Err(Error::invalid(message));
            }
            warnings.push(format!("{name} ends early: its header announces {announced:.1} s, {found:.1} s are there"));
        }
        if self.part.from > 0.0 && self.found <= self.part.from {
            let message = format!("{name} is {:.1} s long; nothing of it is after {:.1} s", self.found, self.part.from);
            return Err(Error::invalid(message));
        }
        if self.damaged > 0 {
            warnings.push(format!("{name} is damaged: {} pieces of it are left out", self.damaged));
        }
        if !self.has_enough && self.growth.is_seen() {
            warnings.push(format!("{name} is still being written: what came after {:.1} s is left out", self.found));
        }
        Ok(warnings)
    }

    /// Reads the next packet of the track that is played.
    fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            self.budget.renew();
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
            if self.budget.is_spent() {
                return Err(Budget::overdrawn(&self.name));
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
    fn decode(&mut self, packet: &Packet) -> Result<Block> {
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
                return Ok(Block::new());
            }
        };
        if channels == 0 || self.interleaved.is_empty() {
            return Ok(Block::new());
        }
        self.faults = 0;
        let output = self.adapt(rate, channels)?;
        let frames = self.interleaved.len() / channels;
        let wanted = self.wanted(frames);
        self.found += frames as f64 / f64::from(rate);
        let wanted = wanted.start * channels..wanted.end * channels;
        let audio = self.interleaved.get(wanted).unwrap_or_default();
        let given = give(audio, channels, self.part.channels);
        let block = self.resamplers.iter_mut().zip(&given).map(|(resampler, samples)| resampler.push(samples));
        let block = join(output, block.collect::<Result<Block>>()?);
        if self.has_enough { Ok(join(block, self.finish()?)) } else { Ok(block) }
    }

    /// Prepares for audio of this rate and these channels, which may change where files were joined; what was heard
    /// before is brought to its end first.
    fn adapt(&mut self, rate: u32, channels: usize) -> Result<Block> {
        let mut output = Block::new();
        if channels != self.channels || self.resamplers.is_empty() {
            check_channel(self.part.channels, channels, &self.name)?;
            if self.part.channels == Channels::Each && !self.resamplers.is_empty() {
                let (name, before) = (&self.name, self.channels);
                let message = format!("{name} goes from {before} channels to {channels}; transcribe it as a mix");
                return Err(Error::invalid(message));
            }
            self.channels = channels;
        }
        if rate != self.rate || self.resamplers.is_empty() {
            riff::check_rate(rate, &self.name)?;
            output = self.resamplers.drain(..).map(Resampler::finish).collect::<Result<Block>>()?;
            self.rate = rate;
            let count = if self.part.channels == Channels::Each { channels } else { 1 };
            for _ in 0..count {
                self.resamplers.push(Resampler::try_new(rate, RECOGNITION_RATE)?);
            }
        }
        Ok(output)
    }

    /// The frames of the next so many that are part of what is wanted. Notes where they are the last of it.
    fn wanted(&mut self, frames: usize) -> std::ops::Range<usize> {
        let place = |seconds: f64| ((seconds - self.found) * f64::from(self.rate)).round().clamp(0.0, frames as f64);
        let start = place(self.part.from) as usize;
        let end = self.part.length.map_or(frames, |length| place(self.part.from + length) as usize);
        self.has_enough = end < frames;
        start..end.max(start)
    }

    /// Gives what the resamplers still hold, and ends the audio.
    fn finish(&mut self) -> Result<Block> {
        self.is_finished = true;
        if self.damaged > 0 && self.found <= 0.0 {
            return Err(self.given_up());
        }
        self.resamplers.drain(..).map(Resampler::finish).collect()
    }

    /// Counts a packet that is left out. Too many in a row are not audio.
    fn note_fault(&mut self) -> Result<()> {
        self.damaged += 1;
        self.faults += 1;
        if self.faults > MAX_FAULTS { Err(self.given_up()) } else { Ok(()) }
    }

    fn given_up(&self) -> Error {
        // Something that merely looked like audio at its start.
        if self.found <= 0.0 && !self.is_named {
            return not_understood(&self.name);
        }
        let message = format!("{} is damaged after {:.1} s and cannot be read on", self.name, self.found.max(0.0));
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

#[cfg(test)]
mod tests;
