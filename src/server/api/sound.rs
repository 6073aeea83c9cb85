//! Speech on its way to a caller: samples as the encoding that was asked for, and marks.

use super::respond::Outlet;
use crate::{
    audio::{
        self,
        encode::{Container, Encoder},
        ogg_opus,
    },
    error::{Error, Kind, Result},
    proto::v1::{self as pb, OutputEncoding, synthesize_response::Event},
    server::speaking::{Listener, SpeechMark},
    speech::MarkKind,
};
use bytes::Bytes;
use std::collections::VecDeque;

/// The most bytes of samples in a message: a second or two. Even.
const MAX_PIECE: usize = 128 * 1024;

/// A caller who listens over the wire, by messages that carry these events.
pub(super) struct Caller<T> {
    encoding: OutputEncoding,
    out: Outlet<T>,
    encoder: Option<Encoder>,
    /// Given, and not taken yet: little more than what one piece of audio makes.
    waiting: VecDeque<T>,
    rate: u32,
    /// Samples given in all.
    samples: i64,
    /// Those that were given before this passage.
    before: i64,
}

impl<T: From<Event> + Send> Caller<T> {
    /// A caller who wants this encoding.
    pub(super) fn new(encoding: OutputEncoding, out: Outlet<T>) -> Self {
        Self { encoding, out, encoder: None, waiting: VecDeque::new(), rate: 0, samples: 0, before: 0 }
    }

    /// From here on, marks count from the samples of another passage.
    pub(super) fn begin_passage(&mut self) {
        self.before = self.samples;
    }

    /// Samples given so far.
    pub(super) fn samples(&self) -> i64 {
        self.samples
    }

    /// Says something else, after all that was given before.
    pub(super) fn say(&mut self, message: T) {
        self.waiting.push_back(message);
    }

    /// Ends the audio, and waits until all is taken.
    ///
    /// # Errors
    /// What the encoder says; as [`Outlet::send`].
    pub(super) async fn finish(&mut self) -> Result<()> {
        if let Some(encoder) = self.encoder.take() {
            let (last, _) = encoder.finish()?;
            self.bytes(last);
        }
        self.deliver().await
    }

    /// Takes samples of a message.
    fn piece(&mut self, audio: Bytes) -> Result<()> {
        self.samples += (audio.len() / 2) as i64;
        match (&mut self.encoder, self.encoding) {
            (Some(encoder), _) => {
                let bytes = encoder.push(&audio)?;
                self.bytes(bytes);
            }
            (None, OutputEncoding::Float32) => {
                let samples = audio::bytes_to_i16(&audio).into_iter().map(audio::to_f32);
                self.bytes(samples.flat_map(f32::to_le_bytes).collect());
            }
            (None, _) => self.waiting.push_back(Event::Audio(audio).into()),
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.waiting.push_back(Event::Audio(bytes.into()).into());
        }
    }
}

impl<T: From<Event> + Send> Listener for Caller<T> {
    fn format(&mut self, sample_rate: u32, voice: &str) -> Result<()> {
        if self.rate == sample_rate {
            return Ok(());
        }
        if self.rate != 0 {
            let message = format!("the voice went from {} Hz to {sample_rate} Hz in the middle of a text", self.rate);
            return Err(Error::new(Kind::Internal, message));
        }
        self.rate = sample_rate;
        let format = pb::AudioFormat {
            encoding: self.encoding.into(),
            sample_rate_hertz: i32::try_from(sample_rate).unwrap_or(0),
            channels: 1,
            voice: voice.to_owned(),
        };
        self.waiting.push_back(Event::Format(format).into());
        let container = match self.encoding {
            OutputEncoding::Unspecified | OutputEncoding::Pcm16 | OutputEncoding::Float32 => return Ok(()),
            OutputEncoding::Wav => Container::Wav,
            OutputEncoding::Flac => Container::Flac,
            OutputEncoding::OggOpus => Container::OggOpus,
        };
        let encoder = self.encoder.insert(Encoder::try_new(container, sample_rate)?);
        let header = encoder.begin()?;
        self.bytes(header);
        Ok(())
    }

    fn audio(&mut self, mut audio: Bytes) -> Result<()> {
        // An engine elsewhere may give all in one piece: more than the message that a client takes.
        while audio.len() > MAX_PIECE {
            let piece = audio.split_to(MAX_PIECE);
            self.piece(piece)?;
        }
        self.piece(audio)
    }
    fn mark(&mut self, mark: SpeechMark) {
        let kind = match mark.kind {
            MarkKind::Sentence => pb::SpeechMarkKind::Sentence,
            MarkKind::Word => pb::SpeechMarkKind::Word,
            MarkKind::Named => pb::SpeechMarkKind::Named,
        };
        let number = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let mark = pb::SpeechMark {
            kind: kind.into(),
            sample: self.before.saturating_add(number(mark.sample)),
            text_start: number(mark.text.start),
            text_end: number(mark.text.end),
            name: mark.name,
        };
        self.waiting.push_back(Event::Mark(mark).into());
    }

    async fn deliver(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            let room = self.out.room().await?;
            let Some(message) = self.waiting.pop_front() else { break };
            room.take(message);
        }
        Ok(())
    }
}

impl From<Event> for pb::SynthesizeResponse {
    fn from(event: Event) -> Self {
        Self { event: Some(event) }
    }
}

impl From<Event> for pb::StreamingSynthesizeResponse {
    fn from(event: Event) -> Self {
        use pb::streaming_synthesize_response::Event as Streamed;
        Self {
            event: Some(match event {
                Event::Format(format) => Streamed::Format(format),
                Event::Audio(audio) => Streamed::Audio(audio),
                Event::Mark(mark) => Streamed::Mark(mark),
            }),
        }
    }
}

/// The encoding that is asked for, and the rate to make the audio at, Hz: 0 for the voice's own.
///
/// # Errors
/// `InvalidInput` for an encoding that does not exist, or a rate that it cannot hold.
pub(super) fn encoding(request: &pb::SynthesizeRequest) -> Result<(OutputEncoding, u32)> {
    let encoding = OutputEncoding::try_from(request.encoding).map_err(|_| {
        let message = format!("encoding {} does not exist", request.encoding);
        Error::invalid(message).in_field("encoding")
    })?;
    // What is negative is out of range, and said to be so where ranges are checked.
    let rate = u32::try_from(request.sample_rate_hertz).unwrap_or(u32::MAX);
    match (encoding, rate) {
        (OutputEncoding::Unspecified, _) => Ok((OutputEncoding::Pcm16, rate)),
        // The highest of the few that Opus knows loses nothing.
        (OutputEncoding::OggOpus, 0) => Ok((encoding, 48_000)),
        (OutputEncoding::OggOpus, _) if !ogg_opus::RATES.contains(&rate) => {
            let rates = ogg_opus::RATES.map(|rate| rate.to_string()).join(", ");
            Err(Error::invalid(format!("{rate} Hz: Opus knows {rates}")).in_field("sample_rate_hertz"))
        }
        _ => Ok((encoding, rate)),
    }
}
