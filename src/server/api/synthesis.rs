//! Speaking over the wire: what is asked for, and texts that are spoken while they are written.

use super::{
    first, no_config,
    respond::Outlet,
    second_config,
    sound::{self, Caller},
};
use crate::{
    error::{Error, Kind, Result},
    lexicon::Lexicon,
    models::Paths,
    proto::v1::{
        self as pb, OutputEncoding, streaming_synthesize_request::Message, streaming_synthesize_response::Event,
        synthesize_request::Input,
    },
    sentence::{Sentence, Splitter},
    server::speaking::{Cast, Line, Listener, MAX_TEXT, Speaker, Style, Words},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tonic::Streaming;

/// How long a caller may write nothing, while nothing is being spoken.
const SILENCE: Duration = Duration::from_secs(3600);

/// Text that waits to be spoken, bytes. More is not read.
const AHEAD: usize = 64 * 1024;

/// Flushes that wait to be answered.
const MAX_FLUSHES: usize = 1024;

/// Text that one passage takes, bytes: what has come by then is spoken in one go.
const PASSAGE: usize = 16 * 1024;

/// The longest name of a flush or a cancel, bytes.
const MAX_ID: usize = 256;

/// The most that pronunciations may take, bytes.
const MAX_LEXICON: usize = 1 << 20;

/// What a request asks for, read but not checked; and the encoding.
///
/// # Errors
/// `InvalidInput`, naming the field, for what cannot be read.
pub(super) fn read(mut request: pb::SynthesizeRequest) -> Result<(Words, Style, OutputEncoding)> {
    let words = match request.input.take() {
        Some(Input::Text(text)) => Words::Text(text),
        Some(Input::Ssml(document)) => Words::Ssml(document),
        None => Words::Text(String::new()),
    };
    let (style, encoding) = style(request)?;
    if matches!(words, Words::Ssml(_)) && !style.lexicon.is_empty() {
        return Err(Error::invalid("a lexicon is for plain text; SSML has <phoneme> and <sub>").in_field("lexicon"));
    }
    Ok((words, style, encoding))
}

fn style(request: pb::SynthesizeRequest) -> Result<(Style, OutputEncoding)> {
    let (encoding, sample_rate) = sound::encoding(&request)?;
    if request.lexicon.len() > MAX_LEXICON {
        return Err(Error::invalid("the lexicon is larger than 1 MiB").in_field("lexicon"));
    }
    let lexicon = Lexicon::parse(&request.lexicon, "the lexicon").map_err(|error| error.in_field("lexicon"))?;
    let silence = request.sentence_silence.map(|silence| silence.seconds as f32 + silence.nanos as f32 / 1e9);
    let or_one = |value: f32| if value == 0.0 { 1.0 } else { value };
    let style = Style {
        voice: request.voice,
        region: request.region,
        speaker: request.speaker,
        speed: or_one(request.speed),
        pitch: or_one(request.pitch),
        volume: request.volume.unwrap_or(1.0),
        sample_rate,
        seed: request.seed.unwrap_or(0),
        length_scale: request.length_scale,
        noise_scale: request.noise_scale,
        noise_w: request.noise_w,
        sentence_silence: silence,
        normalize: request.normalize,
        marks: request.marks,
        lexicon: Arc::new(lexicon),
    };
    Ok((style, encoding))
}

/// What was written, and is not spoken yet.
enum Written {
    /// A sentence.
    Line(Line),
    /// All before it is to be told as spoken.
    Flush(String),
}

/// The text of a call.
struct Manuscript {
    splitter: Splitter,
    style: Style,
    language: String,
    waiting: VecDeque<Written>,
    /// Bytes of the sentences that wait.
    bytes: usize,
    flushes: usize,
    /// Sentences that were given out.
    before: u64,
    has_ended: bool,
}

/// What a message asks for at once.
enum Wish {
    Nothing,
    /// What waits is dropped, and what is being spoken broken off; answered under this name.
    Cancel(String),
}

impl Manuscript {
    fn new(style: Style, language: String) -> Self {
        let splitter = Splitter::new(&language);
        Self { splitter, style, language, waiting: VecDeque::new(), bytes: 0, flushes: 0, before: 0, has_ended: false }
    }

    /// Whether more may be read.
    fn has_room(&self) -> bool {
        !self.has_ended && self.bytes < AHEAD && self.flushes < MAX_FLUSHES
    }

    /// Takes note of a message; `None` is the end of them.
    fn read(&mut self, message: Option<pb::StreamingSynthesizeRequest>) -> Result<Wish> {
        let Some(message) = message else {
            self.end();
            return Ok(Wish::Nothing);
        };
        match message.message {
            Some(Message::Text(text)) => {
                if text.len() > MAX_TEXT || text.contains('\0') {
                    let message = format!("a piece of text has at most {MAX_TEXT} bytes, none of them NUL");
                    return Err(Error::invalid(message).in_field("text"));
                }
                let sentences = self.splitter.push(&text);
                self.take(sentences);
            }
            Some(Message::Flush(flush)) => {
                let sentences = self.splitter.flush();
                self.take(sentences);
                self.waiting.push_back(Written::Flush(checked(flush.id, "flush.id")?));
                self.flushes += 1;
            }
            Some(Message::Cancel(cancel)) => {
                let id = checked(cancel.id, "cancel.id")?;
                // Positions in the text go on from where they are.
                let dropped = self.splitter.flush();
                tracing::debug!(sentences = dropped.len() + self.waiting.len(), "Text was cancelled.");
                self.waiting.clear();
                (self.bytes, self.flushes) = (0, 0);
                return Ok(Wish::Cancel(id));
            }
            Some(Message::End(_)) => self.end(),
            Some(Message::Config(_)) => {
                return Err(second_config());
            }
            None => return Err(Error::invalid("a message that says nothing").in_field("message")),
        }
        Ok(Wish::Nothing)
    }

    fn end(&mut self) {
        let sentences = self.splitter.flush();
        self.take(sentences);
        self.has_ended = true;
    }

    fn take(&mut self, sentences: Vec<Sentence>) {
        for sentence in sentences {
            let line = Line::new(sentence, &self.style.lexicon, &self.language);
            self.bytes += line.length();
            self.waiting.push_back(Written::Line(line));
        }
    }

    /// The sentences to speak next, up to a flush; none where one is next, or nothing waits.
    fn next_lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        while bytes < PASSAGE && matches!(self.waiting.front(), Some(Written::Line(_))) {
            if let Some(Written::Line(line)) = self.waiting.pop_front() {
                bytes += line.length();
                lines.push(line);
            }
        }
        self.bytes -= bytes;
        lines
    }

    /// The flush that everything before has been spoken for.
    fn next_flush(&mut self) -> Option<String> {
        match self.waiting.pop_front() {
            Some(Written::Flush(id)) => {
                self.flushes -= 1;
                Some(id)
            }
            Some(line) => {
                self.waiting.push_front(line);
                None
            }
            None => None,
        }
    }
}

fn checked(id: String, field: &str) -> Result<String> {
    if id.len() > MAX_ID {
        return Err(Error::invalid(format!("the id has more than {MAX_ID} bytes")).in_field(field));
    }
    Ok(id)
}

/// Speaks a text while it is being written, until its end.
///
/// # Errors
/// `InvalidInput` for messages that make no sense, what the voice refuses, or what came of an engine's deaths.
pub(super) async fn converse(
    speaker: Speaker,
    mut messages: Streaming<pb::StreamingSynthesizeRequest>,
    paths: Paths,
    deadline: Option<Instant>,
    out: Outlet<pb::StreamingSynthesizeResponse>,
) -> Result<()> {
    let (style, encoding) = config(&mut messages).await?;
    style.check()?;
    let style = speaker.styled(style);
    let cast = speaker.cast(&style, paths, deadline).await?;
    let mut manuscript = Manuscript::new(style, cast.language());
    let mut caller = Caller::new(encoding, out);
    loop {
        let lines = manuscript.next_lines();
        if !lines.is_empty() {
            let cancelled = passage(&speaker, &cast, lines, &mut manuscript, &mut messages, deadline, &mut caller);
            if let Some(id) = cancelled.await? {
                tell_cancelled(&mut caller, id).await?;
            }
            continue;
        }
        if let Some(id) = manuscript.next_flush() {
            let samples = caller.samples();
            caller.say(pb::StreamingSynthesizeResponse { event: Some(Event::Flushed(pb::Flushed { id, samples })) });
            caller.deliver().await?;
            continue;
        }
        if manuscript.has_ended {
            break;
        }
        let message = timeout(SILENCE, messages.message()).await.map_err(|_| {
            Error::new(Kind::Deadline, "no text has come for an hour; end a text that is not written any more")
        })?;
        if let Wish::Cancel(id) = manuscript.read(message?)? {
            tell_cancelled(&mut caller, id).await?;
        }
    }
    caller.finish().await?;
    let done = pb::SynthesisDone { samples: caller.samples() };
    caller.say(pb::StreamingSynthesizeResponse { event: Some(Event::Done(done)) });
    caller.deliver().await
}

/// Speaks what is there, and meanwhile reads what comes; the name of the cancel that broke it off, if one did.
async fn passage(
    speaker: &Speaker,
    cast: &Cast,
    lines: Vec<Line>,
    manuscript: &mut Manuscript,
    messages: &mut Streaming<pb::StreamingSynthesizeRequest>,
    deadline: Option<Instant>,
    caller: &mut Caller<pb::StreamingSynthesizeResponse>,
) -> Result<Option<String>> {
    let before = manuscript.before;
    manuscript.before += lines.len() as u64;
    caller.begin_passage();
    let style = manuscript.style.clone();
    let mut speaking = std::pin::pin!(speaker.go_on(cast, &style, lines, before, deadline, caller));
    loop {
        tokio::select! {
            spoken = &mut speaking => return spoken.map(|()| None),
            message = messages.message(), if manuscript.has_room() => {
                if let Wish::Cancel(id) = manuscript.read(message?)? {
                    return Ok(Some(id));
                }
            }
        }
    }
}

async fn tell_cancelled(caller: &mut Caller<pb::StreamingSynthesizeResponse>, id: String) -> Result<()> {
    let samples = caller.samples();
    caller.say(pb::StreamingSynthesizeResponse { event: Some(Event::Cancelled(pb::Cancelled { id, samples })) });
    caller.deliver().await
}

async fn config(messages: &mut Streaming<pb::StreamingSynthesizeRequest>) -> Result<(Style, OutputEncoding)> {
    let Some(Message::Config(config)) = first(messages).await?.and_then(|message| message.message) else {
        return Err(no_config());
    };
    if config.input.is_some() {
        return Err(Error::invalid("the config holds no text; send it in messages of its own").in_field("config"));
    }
    style(config)
}
