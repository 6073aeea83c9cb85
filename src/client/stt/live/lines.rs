//! What is written of what is told: events as JSON lines, or a transcript in any other shape, from its finals. Pure.

use crate::{
    client::{
        json::rounded,
        stt::{
            format::{Ending, Entry, Format, Heading, SegmentEntry, Shape, VERSION, Wish, line},
            live::told::{Ended, Listening, Told},
        },
    },
    error::Result,
    proto::v1,
    speech::{self, Samples, Segment},
};
use serde::Serialize;

/// What writes.
pub(super) struct Lines {
    face: Face,
    /// What is heard, as the user named it.
    file: String,
    /// Where the part that is heard begins.
    offset: Samples,
    language: String,
}

enum Face {
    Events,
    /// A line for each final.
    Text,
    /// Written at its end, also where that is none.
    Document(Box<dyn Shape>),
    Shape(Box<dyn Shape>),
}

/// A line of `--format jsonl`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    Ready {
        version: u32,
        file: &'a str,
        session: &'a str,
        model: &'a str,
        epoch: i64,
    },
    SpeechStarted {
        utterance: i64,
        #[serde(flatten)]
        at: At,
    },
    Partial {
        utterance: i64,
        epoch: i64,
        #[serde(flatten)]
        span: Span,
        text: &'a str,
        confirmed: usize,
    },
    Final {
        seq: i64,
        utterance: i64,
        #[serde(flatten)]
        span: Span,
        text: &'a str,
        language: &'a str,
        confidence: f64,
        segments: Vec<SegmentEntry>,
    },
    SpeechEnded {
        utterance: i64,
        #[serde(flatten)]
        at: At,
    },
    Silence {
        #[serde(flatten)]
        at: At,
    },
    Gap {
        #[serde(flatten)]
        span: Span,
        reason: &'a str,
    },
    Resumed {
        session: &'a str,
        model: &'a str,
        epoch: i64,
        #[serde(flatten)]
        at: At,
    },
    Done {
        reason: &'static str,
        duration: f64,
        finals: i64,
        gaps: i64,
        language: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        warnings: &'a [String],
    },
}

#[derive(Serialize)]
struct At {
    at: f64,
    at_sample: i64,
}

#[derive(Serialize)]
struct Span {
    start: f64,
    end: f64,
    start_sample: i64,
    end_sample: i64,
}

impl Lines {
    /// In the shape that is wished, for what begins at `offset` of what the user named.
    pub(super) fn new(wish: &Wish, file: String, offset: Samples) -> Self {
        let face = match wish.format {
            Format::Jsonl => Face::Events,
            Format::Text => Face::Text,
            Format::Json => Face::Document(wish.shape()),
            _ => Face::Shape(wish.shape()),
        };
        Self { face, file, offset, language: String::new() }
    }

    /// What is written of something that was told, perhaps nothing.
    pub(super) fn told(&mut self, told: &Told) -> Result<String> {
        if let (Told::Final(said), true) = (told, self.language.is_empty()) {
            self.language.clone_from(&said.language);
        }
        match &mut self.face {
            Face::Events => self.event(told),
            Face::Text => Ok(match told {
                Told::Final(said) if !said.text.is_empty() => one_line(&said.text) + "\n",
                _ => String::new(),
            }),
            Face::Document(shape) | Face::Shape(shape) => match told {
                Told::Ready(listening) => {
                    let model = listening.model.clone();
                    shape.begin(&Heading { file: self.file.clone(), model, offset: self.offset.seconds() })
                }
                Told::Final(said) => {
                    let entry = |segment| Entry { segment, channel: None };
                    let mut text = String::new();
                    for segment in segments(said, self.offset) {
                        text += &shape.entry(entry(segment))?;
                    }
                    Ok(text)
                }
                _ => Ok(String::new()),
            },
        }
    }

    /// What is written at the end, where all went well.
    pub(super) fn end(&mut self, ended: &Ended, warnings: Vec<String>) -> Result<String> {
        let duration = Samples(ended.audio_end).seconds();
        match &mut self.face {
            Face::Events => line(&Event::Done {
                reason: reason(ended.reason),
                duration: rounded(duration),
                finals: ended.finals,
                gaps: ended.gaps,
                language: &self.language,
                warnings: &warnings,
            }),
            Face::Text => Ok(String::new()),
            Face::Document(shape) | Face::Shape(shape) => {
                shape.end(&Ending { language: self.language.clone(), duration, warnings })
            }
        }
    }

    /// What is written where it broke off: what would otherwise be written at its end.
    pub(super) fn broken(&mut self, heard: Samples, error: String) -> Result<String> {
        let Face::Document(shape) = &mut self.face else { return Ok(String::new()) };
        shape.end(&Ending { language: self.language.clone(), duration: heard.seconds(), warnings: vec![error] })
    }

    fn event(&self, told: &Told) -> Result<String> {
        let at = |at: i64| At { at: self.seconds(at), at_sample: at + self.offset.0 };
        let span = |start: i64, end: i64| Span {
            start: self.seconds(start),
            end: self.seconds(end),
            start_sample: start + self.offset.0,
            end_sample: end + self.offset.0,
        };
        line(&match told {
            Told::Ready(Listening { session, model, epoch, .. }) => {
                Event::Ready { version: VERSION, file: &self.file, session, model, epoch: *epoch }
            }
            Told::Resumed(Listening { session, model, epoch, at: from }) => {
                Event::Resumed { session, model, epoch: *epoch, at: at(*from) }
            }
            Told::Started { utterance, at: from } => Event::SpeechStarted { utterance: *utterance, at: at(*from) },
            Told::Ended { utterance, at: to } => Event::SpeechEnded { utterance: *utterance, at: at(*to) },
            Told::Silence { at: to } => Event::Silence { at: at(*to) },
            Told::Gap { start, end, reason } => Event::Gap { span: span(*start, *end), reason },
            Told::Partial(partial) => Event::Partial {
                utterance: partial.utterance_id,
                epoch: partial.epoch,
                span: span(partial.audio_start, partial.audio_end),
                text: &partial.text,
                confirmed: confirmed(partial),
            },
            Told::Final(said) => Event::Final {
                seq: said.seq,
                utterance: said.utterance_id,
                span: span(said.audio_start, said.audio_end),
                text: &said.text,
                language: &said.language,
                confidence: rounded(said.confidence.into()),
                segments: segments(said, self.offset)
                    .into_iter()
                    .map(|segment| SegmentEntry::from(Entry { segment, channel: None }))
                    .collect(),
            },
            Told::Away(_) => return Ok(String::new()),
        })
    }

    fn seconds(&self, at: i64) -> f64 {
        rounded((Samples(at) + self.offset).seconds())
    }
}

/// How many characters of a partial are sure. A server's word for more than there are is not handed on.
pub(super) fn confirmed(partial: &v1::Partial) -> usize {
    usize::try_from(partial.confirmed).unwrap_or(0).min(partial.text.chars().count())
}

/// The segments of a final; one where the server names none.
fn segments(said: &v1::Final, offset: Samples) -> Vec<Segment> {
    if said.segments.is_empty() && !said.text.is_empty() {
        let (start, end) = (Samples(said.audio_start), Samples(said.audio_end));
        let whole = Segment { start, end, text: said.text.clone(), confidence: said.confidence, ..Segment::default() };
        return vec![whole.shifted(offset)];
    }
    said.segments.iter().map(|segment| Segment::from(segment.clone()).shifted(offset)).collect()
}

/// A text without what ends a line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    text.lines().map(str::trim).filter(|piece| !piece.is_empty()).for_each(|piece| speech::append(&mut line, piece));
    line
}

fn reason(reason: v1::session_done::Reason) -> &'static str {
    match reason {
        v1::session_done::Reason::NoSpeech => "no_speech",
        v1::session_done::Reason::SpeechEnded => "speech_ended",
        _ => "end_of_audio",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::stt::format::Limits;

    fn lines(format: Format) -> Lines {
        let wish = Wish { format, words: false, limits: Limits::default() };
        Lines::new(&wish, "talk.wav".to_owned(), Samples(16_000))
    }

    fn story() -> Vec<Told> {
        let listening = Listening { session: "s".to_owned(), model: "m".to_owned(), epoch: 1, at: 0 };
        let said = v1::Final {
            seq: 1,
            utterance_id: 1,
            audio_start: 8_000,
            audio_end: 24_000,
            text: "turn it\non".to_owned(),
            segments: Vec::new(),
            language: "en".to_owned(),
            confidence: 0.5,
        };
        let partial = v1::Partial {
            utterance_id: 1,
            epoch: 1,
            audio_start: 8_000,
            audio_end: 16_000,
            text: "tür".to_owned(),
            confirmed: 9,
            segments: Vec::new(),
        };
        vec![
            Told::Ready(listening.clone()),
            Told::Started { utterance: 1, at: 8_000 },
            Told::Partial(partial),
            Told::Final(said),
            Told::Ended { utterance: 1, at: 24_000 },
            Told::Silence { at: 32_000 },
            Told::Away("gone".to_owned()),
            Told::Resumed(Listening { epoch: 2, at: 32_000, ..listening }),
            Told::Gap { start: 32_000, end: 48_000, reason: "it died".to_owned() },
        ]
    }

    fn told(format: Format) -> String {
        let mut lines = lines(format);
        let mut text: String = story().iter().map(|told| lines.told(told).unwrap()).collect();
        let ended = Ended { reason: v1::session_done::Reason::EndOfAudio, audio_end: 48_000, finals: 1, gaps: 1 };
        text += &lines.end(&ended, Vec::new()).unwrap();
        text
    }

    #[test]
    fn events_are_lines() {
        assert_eq!(
            told(Format::Jsonl),
            r#"{"type":"ready","version":1,"file":"talk.wav","session":"s","model":"m","epoch":1}
{"type":"speech_started","utterance":1,"at":1.5,"at_sample":24000}
{"type":"partial","utterance":1,"epoch":1,"start":1.5,"end":2.0,"start_sample":24000,"end_sample":32000,"text":"tür","confirmed":3}
{"type":"final","seq":1,"utterance":1,"start":1.5,"end":2.5,"start_sample":24000,"end_sample":40000,"text":"turn it\non","language":"en","confidence":0.5,"segments":[{"start":1.5,"end":2.5,"text":"turn it\non","confidence":0.5,"no_speech_probability":0.0}]}
{"type":"speech_ended","utterance":1,"at":2.5,"at_sample":40000}
{"type":"silence","at":3.0,"at_sample":48000}
{"type":"resumed","session":"s","model":"m","epoch":2,"at":3.0,"at_sample":48000}
{"type":"gap","start":3.0,"end":4.0,"start_sample":48000,"end_sample":64000,"reason":"it died"}
{"type":"done","reason":"end_of_audio","duration":3.0,"finals":1,"gaps":1,"language":"en"}
"#
        );
    }

    #[test]
    fn other_shapes_are_made_of_finals() {
        assert_eq!(told(Format::Text), "turn it on\n");
        assert_eq!(told(Format::Tsv), "start\tend\ttext\n1500\t2500\tturn it on\n");
        assert!(told(Format::Json).contains(r#""duration": 3.0"#));
    }

    #[test]
    fn a_document_is_written_also_where_it_broke_off() {
        let mut broken = lines(Format::Json);
        story().iter().for_each(|told| assert_eq!(broken.told(told).unwrap(), ""));
        let document = broken.broken(Samples(32_000), "it broke".to_owned()).unwrap();
        assert!(document.contains("turn it") && document.contains("it broke"), "{document}");
        assert_eq!(lines(Format::Srt).broken(Samples(0), String::new()).unwrap(), "");
    }
}
