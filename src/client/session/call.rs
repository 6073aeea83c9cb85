//! A session on a server, and one utterance of it. Every wait for the server has an end.

use super::manner::Manner;
use crate::{
    client::{Connection, failure::gone},
    error::{Error, Kind, Result},
    proto::spoken::{AudioFrame, ControlCommand, ControlRequest, EndSessionRequest, TextChunk},
};
use bytes::Bytes;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;
use tonic::{Response, Streaming};

/// Hz, of all that is heard.
pub(super) const RATE: u32 = 48_000;

/// Bytes of a frame: 20 ms.
const FRAME: usize = 1_920;

/// How long a session may take to begin. Its model may have to be loaded first.
const OPENING: Duration = Duration::from_secs(150);

/// How long a command may take until it is answered: it is at once, by a server that is well.
const COMMAND: Duration = Duration::from_secs(3);

/// How long anything else may take until it is answered.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a server may be silent before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// How long the end may take. A session that was not ended ends with its connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// Text of one message, in bytes: far below what the contract takes.
const PIECE: usize = 32 * 1024;

/// A session. Cheap to clone.
#[derive(Clone)]
pub(super) struct Session {
    connection: Connection,
    id: String,
    manner: Manner,
}

/// One text on its way.
pub(super) struct Utterance {
    connection: Connection,
    frames: Streaming<AudioFrame>,
    /// Frames that have come.
    count: i64,
    /// The last has come.
    is_over: bool,
}

/// What is heard of a text.
pub(super) enum Heard {
    /// 20 ms: 16 bits little-endian.
    Sound(Bytes),
    /// All of it was heard.
    Over,
    /// Nothing, for some seconds.
    Nothing,
}

impl Session {
    /// Begins one.
    ///
    /// # Errors
    /// What is wrong with the manner, or with the moment.
    pub(super) async fn begin(connection: Connection, manner: Manner) -> Result<Self> {
        let id = new_id()?;
        let request = manner.request(id.clone())?;
        let mut client = connection.spoken();
        let starting = connection.answer(client.start_session(connection.request(request)));
        let started = in_time(OPENING, starting).await?.into_inner();
        if !started.success {
            // The contract has no kinds for it: it is the model that is wrong.
            return Err(Error::invalid(started.message));
        }
        Ok(Self { connection, id, manner })
    }

    /// What the server knows it by.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How it speaks.
    pub(super) fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Begins to say a text. Where the session has expired meanwhile, another one takes its place.
    ///
    /// # Errors
    /// What is wrong with the text, or what the server says.
    pub(super) async fn say(mut self, text: String) -> Result<(Self, Utterance)> {
        let opened = self.open(&text).await;
        match opened {
            Err(error) if error.kind() == Kind::NotFound => {
                tracing::info!(session = self.id, "Session has expired; beginning another one.");
                self = Self::begin(self.connection, self.manner).await?;
            }
            // A call that was given up may still be there.
            Err(error) if error.kind() == Kind::InUse => {
                self.control(ControlCommand::Stop).await?;
            }
            opened => return opened.map(|utterance| (self, utterance)),
        }
        let utterance = self.open(&text).await?;
        Ok((self, utterance))
    }

    async fn open(&self, text: &str) -> Result<Utterance> {
        let chunks = tokio_stream::iter(chunks(&self.id, text));
        let mut client = self.connection.spoken();
        let opening = self.connection.answer(client.synthesize(self.connection.request(chunks)));
        let frames = in_time(ANSWER, opening).await?.into_inner();
        Ok(Utterance { connection: self.connection.clone(), frames, count: 0, is_over: false })
    }

    /// Commands it; says when that took effect, in milliseconds since 1970. One that has expired is silent already.
    ///
    /// # Errors
    /// What the server says.
    pub(super) async fn control(&self, command: ControlCommand) -> Result<i64> {
        let request = ControlRequest { session_id: self.id.clone(), command: command.into() };
        let mut client = self.connection.spoken();
        let answering = self.connection.answer(client.control(self.connection.request(request)));
        match in_time(COMMAND, answering).await.map(Response::into_inner) {
            Ok(answer) if answer.success => Ok(answer.timestamp_ms),
            Ok(answer) => Err(Error::new(Kind::Internal, answer.message)),
            Err(error) if error.kind() == Kind::NotFound => Ok(now()),
            Err(error) => Err(error),
        }
    }

    /// Sees whether the server is there, and keeps a session that pauses from being taken for forgotten.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn look(&self, is_paused: bool) -> Result<()> {
        if is_paused {
            return self.control(ControlCommand::Pause).await.map(drop);
        }
        if self.connection.answers().await { Ok(()) } else { Err(gone("it is silent")) }
    }

    /// Ends it.
    pub(super) async fn end(self) {
        let request = EndSessionRequest { session_id: self.id };
        let mut client = self.connection.spoken();
        // Where it cannot be told, it ends with the connection.
        drop(timeout(FAREWELL, client.end_session(self.connection.request(request))).await);
    }
}

impl Utterance {
    /// What comes next. May be dropped while it waits.
    ///
    /// # Errors
    /// What the server says; `Internal` where it breaks its promise.
    pub(super) async fn next(&mut self) -> Result<Heard> {
        loop {
            let Ok(frame) = timeout(SILENCE, self.connection.answer(self.frames.message())).await else {
                return Ok(Heard::Nothing);
            };
            let Some(frame) = frame? else {
                let message = "the server broke off in the middle of a line; try again";
                return if self.is_over { Ok(Heard::Over) } else { Err(Error::new(Kind::Unavailable, message)) };
            };
            self.count += 1;
            let is_sound = frame.audio_data.len() == FRAME;
            let is_right = !self.is_over && frame.sequence_number == self.count && frame.sample_rate == RATE as i32;
            match (frame.is_final, is_sound) {
                (false, true) if is_right => return Ok(Heard::Sound(frame.audio_data)),
                // The end of the call follows at once.
                (true, false) if is_right && frame.audio_data.is_empty() => self.is_over = true,
                _ => return Err(Error::new(Kind::Internal, "the server sent a frame that cannot be")),
            }
        }
    }
}

/// Waits for an answer, but not for ever.
async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(gone(format!("no answer for {} s", limit.as_secs()))))
}

/// A name that no other session has.
fn new_id() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no random numbers").because(cause))?;
    Ok(format!("speechctl-{:016x}", u64::from_le_bytes(bytes)))
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A text as messages, cut between characters.
fn chunks(session: &str, text: &str) -> Vec<TextChunk> {
    let (mut chunks, mut rest) = (Vec::new(), text);
    loop {
        let (piece, later) = rest.split_at(rest.floor_char_boundary(PIECE));
        let sequence_number = i64::try_from(chunks.len()).unwrap_or(i64::MAX - 1) + 1;
        let (session_id, text) = (session.to_owned(), piece.to_owned());
        chunks.push(TextChunk { session_id, text, is_final: later.is_empty(), sequence_number });
        if later.is_empty() {
            return chunks;
        }
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_ends_once() {
        for text in ["", "Hello.", &"ü€🙂".repeat(20_000), &"a".repeat(PIECE), &"a".repeat(PIECE + 1)] {
            let chunks = chunks("a", text);
            assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>(), text);
            assert!(chunks.iter().all(|chunk| chunk.text.len() <= PIECE && chunk.session_id == "a"));
            let numbers: Vec<i64> = chunks.iter().map(|chunk| chunk.sequence_number).collect();
            assert!(numbers.iter().zip(1..).all(|(number, expected)| *number == expected), "{numbers:?}");
            let finals = chunks.iter().filter(|chunk| chunk.is_final).count();
            assert!(finals == 1 && chunks.last().is_some_and(|chunk| chunk.is_final));
            assert_eq!(chunks.len(), text.len().div_ceil(PIECE).max(1));
        }
    }

    #[test]
    fn no_two_sessions_have_one_name() {
        let [one, other] = [(); 2].map(|()| new_id().expect("there is chance"));
        assert!(one != other && one.starts_with("speechctl-") && one.len() == 26, "{one}");
    }
}
