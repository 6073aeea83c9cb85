//! One text, spoken: the text out, its audio and marks back.

use super::{
    listener::Listener,
    marks::Window,
    text::{Flow, Text},
};
use crate::{
    client::{Connection, is_unknown_call},
    error::{Error, Kind, Result},
    proto::v1::{
        EndOfText, SpeechMark, SpeechMarkKind, StreamingSynthesizeRequest, SynthesizeRequest,
        streaming_synthesize_request::Message, streaming_synthesize_response::Event as StreamEvent,
        synthesize_request::Input, synthesize_response::Event,
    },
};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

/// How far the text may run ahead of what is spoken, in bytes.
const AHEAD: u64 = 64 * 1024;

/// After so long without a word from the server, it is given more text than [`AHEAD`]: it may not see the end of a
/// sentence yet, or be one that tells none.
const QUIET: Duration = Duration::from_secs(2);

/// Has a text spoken. `request` says how.
///
/// # Errors
/// What is wrong with the text, what the server says, or what the listener says.
pub(super) async fn speak(
    connection: &Connection,
    request: SynthesizeRequest,
    text: Text,
    is_ssml: bool,
    listener: &mut Listener,
) -> Result<()> {
    let (text, skipped) = match text {
        Text::Whole(text) => (text, 0),
        Text::Flowing(flow) => match as_it_comes(connection, request.clone(), flow, listener).await? {
            Outcome::Done => return Ok(()),
            Outcome::Unknown(text, skipped) => (text, skipped),
        },
    };
    let input = if is_ssml { Input::Ssml(text) } else { Input::Text(text) };
    at_once(connection, request, (input, skipped), listener).await
}

/// Speaks a text that is here. Before it so many bytes were skipped.
async fn at_once(
    connection: &Connection,
    request: SynthesizeRequest,
    (input, skipped): (Input, u64),
    listener: &mut Listener,
) -> Result<()> {
    let mut window = Window::default();
    if listener.wants_marks() {
        let (Input::Text(text) | Input::Ssml(text)) = &input;
        window.push(text);
    }
    let request = SynthesizeRequest { input: Some(input), marks: listener.wants_marks(), ..request };
    let mut client = connection.speech();
    let mut stream = connection.answer(client.synthesize(connection.request(request))).await?.into_inner();
    while let Some(message) = connection.answer(stream.message()).await? {
        match message.event {
            Some(Event::Format(format)) => listener.format(format).await?,
            Some(Event::Audio(audio)) => listener.audio(&audio).await?,
            Some(Event::Mark(mark)) => {
                if let Some(mark) = window.read(mark, skipped) {
                    listener.mark(mark)?;
                }
            }
            // From a newer server.
            None => {}
        }
    }
    Ok(())
}

/// How a text that flows was spoken.
enum Outcome {
    Done,
    /// Not at all: the server does not know the call. Here is the text, and how many bytes were skipped before it.
    Unknown(String, u64),
}

/// Speaks a text while it is read.
async fn as_it_comes(
    connection: &Connection,
    request: SynthesizeRequest,
    flow: Flow,
    listener: &mut Listener,
) -> Result<Outcome> {
    let (requests, receiver) = mpsc::channel(1);
    let mut pump = Pump::begin(flow, request, requests);
    let mut client = connection.speech();
    let opening = client.streaming_synthesize(connection.request(ReceiverStream::new(receiver)));
    let opened = tokio::select! {
        opened = connection.answer(opening) => opened,
        error = pump.run() => return Err(error),
    };
    let mut stream = match opened {
        Ok(response) => response.into_inner(),
        Err(error) if is_unknown_call(&error) => {
            let skipped = pump.flow.skipped;
            return pump.all().await.map(|text| Outcome::Unknown(text, skipped));
        }
        Err(error) => return Err(error),
    };
    pump.keeps_text = listener.wants_marks();
    loop {
        let message = tokio::select! {
            message = timeout(QUIET, connection.answer(stream.message())) => message,
            error = pump.run() => return Err(error),
        };
        let Ok(message) = message else {
            pump.allow_more();
            continue;
        };
        let Some(message) = message? else {
            let message = "the server broke off before the end of the text; try again";
            return Err(Error::new(Kind::Unavailable, message));
        };
        match message.event {
            Some(StreamEvent::Format(format)) => listener.format(format).await?,
            Some(StreamEvent::Audio(audio)) => listener.audio(&audio).await?,
            Some(StreamEvent::Mark(mark)) => {
                pump.heard(&mark);
                if let Some(mark) = pump.window.read(mark, pump.flow.skipped) {
                    listener.mark(mark)?;
                }
            }
            Some(StreamEvent::Done(done)) => {
                let samples = u64::try_from(done.samples).unwrap_or(0);
                return match pump.has_ended() && samples == listener.samples() {
                    true => Ok(Outcome::Done),
                    false => Err(Error::new(Kind::Internal, "the server says that it is done, but it is not")),
                };
            }
            // Nobody asked for these, or they are from a newer server.
            Some(StreamEvent::Flushed(_) | StreamEvent::Cancelled(_)) | None => {}
        }
    }
}

/// Hands the text to the server, as far as it may run ahead.
struct Pump {
    flow: Flow,
    /// Where messages go, until all are sent.
    requests: Option<mpsc::Sender<StreamingSynthesizeRequest>>,
    /// What is sent next.
    pending: Option<Message>,
    /// Bytes that were sent.
    sent: u64,
    /// Bytes that are spoken, or about to be.
    spoken: u64,
    /// How far the text may run ahead.
    ahead: u64,
    /// What was sent, for as long as somebody may ask for it.
    window: Window,
    keeps_text: bool,
}

impl Pump {
    fn begin(flow: Flow, request: SynthesizeRequest, requests: mpsc::Sender<StreamingSynthesizeRequest>) -> Self {
        // Marks tell how far it is, also where nobody else wants them.
        let config = SynthesizeRequest { marks: true, ..request };
        Self {
            flow,
            requests: Some(requests),
            pending: Some(Message::Config(config)),
            sent: 0,
            spoken: 0,
            ahead: AHEAD,
            window: Window::default(),
            keeps_text: true,
        }
    }

    /// Sends for as long as it may. Ends only with the error of a text that cannot be read; may be dropped at any time,
    /// and begun again.
    async fn run(&mut self) -> Error {
        while let Some(requests) = &self.requests {
            if self.pending.is_none() {
                self.pending = Some(match self.flow.next().await {
                    Ok(Some(text)) if text.is_empty() => continue,
                    Ok(Some(text)) => Message::Text(text),
                    Ok(None) => Message::End(EndOfText {}),
                    Err(error) => return error,
                });
            }
            if matches!(self.pending, Some(Message::Text(_))) && self.is_held() {
                break;
            }
            // Where nobody takes it any more the call has ended, and says itself why.
            let Ok(permit) = requests.reserve().await else { break };
            let message = self.pending.take();
            if let Some(Message::Text(text)) = &message {
                self.sent += text.len() as u64;
                if self.keeps_text {
                    self.window.push(text);
                }
            }
            let is_last = matches!(message, Some(Message::End(_)));
            permit.send(StreamingSynthesizeRequest { message });
            if is_last {
                self.requests = None;
            }
        }
        std::future::pending().await
    }

    fn is_held(&self) -> bool {
        self.sent >= self.spoken + self.ahead
    }

    /// The server has said nothing for a while.
    fn allow_more(&mut self) {
        if self.is_held() {
            self.ahead += AHEAD;
        }
    }

    /// The server has begun to speak a sentence.
    fn heard(&mut self, mark: &SpeechMark) {
        if mark.kind() == SpeechMarkKind::Sentence {
            self.spoken = u64::try_from(mark.text_end).unwrap_or(0).clamp(self.spoken, self.sent.max(self.spoken));
            self.ahead = AHEAD;
        }
    }

    fn has_ended(&self) -> bool {
        self.requests.is_none()
    }

    /// All of the text, if one call can take it.
    async fn all(self) -> Result<String> {
        let mut text = self.window.into_text();
        if let Some(Message::Text(pending)) = &self.pending {
            text.push_str(pending);
        }
        self.flow.all(text).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends until the text may go no further.
    async fn send_all(pump: &mut Pump, sent: &mut mpsc::Receiver<StreamingSynthesizeRequest>) {
        while !pump.is_held() {
            tokio::select! {
                message = sent.recv() => assert!(message.is_some()),
                error = pump.run() => panic!("{error}"),
            }
        }
    }

    #[tokio::test]
    async fn a_text_runs_no_further_ahead_of_its_voice_than_it_may() {
        let (requests, mut sent) = mpsc::channel(1);
        let mut pump = Pump::begin(Flow::of(std::io::repeat(b'a')), SynthesizeRequest::default(), requests);
        let chunk = 8 * 1024;
        send_all(&mut pump, &mut sent).await;
        assert!((AHEAD..AHEAD + chunk).contains(&pump.sent));
        // Only what may not go further is let go on.
        pump.allow_more();
        pump.allow_more();
        send_all(&mut pump, &mut sent).await;
        assert!((2 * AHEAD..2 * AHEAD + chunk).contains(&pump.sent), "{}", pump.sent);
        // A sentence that begins tells how far the voice is; what was allowed beside it is over.
        let mark = |text_end: u64| SpeechMark {
            kind: SpeechMarkKind::Sentence.into(),
            text_end: text_end as i64,
            ..Default::default()
        };
        pump.heard(&mark(AHEAD + AHEAD / 2));
        send_all(&mut pump, &mut sent).await;
        let so_far = pump.sent;
        assert!((2 * AHEAD + AHEAD / 2..2 * AHEAD + AHEAD / 2 + chunk).contains(&so_far), "{so_far}");
        // Marks that cannot be right: of text that was not sent, and of what was spoken long ago.
        pump.heard(&mark(1 << 40));
        pump.heard(&mark(3));
        assert_eq!(pump.spoken, so_far);
    }

    #[tokio::test]
    async fn a_text_ends_with_its_end_and_can_be_had_whole() {
        let (requests, mut sent) = mpsc::channel(1);
        let mut pump = Pump::begin(Flow::of(&b" One. Two."[..]), SynthesizeRequest::default(), requests);
        let mut messages = Vec::new();
        while !pump.has_ended() || !sent.is_empty() {
            tokio::select! {
                message = sent.recv() => messages.extend(message.and_then(|request| request.message)),
                error = pump.run() => panic!("{error}"),
            }
        }
        let config = SynthesizeRequest { marks: true, ..Default::default() };
        let expected = [Message::Config(config), Message::Text("One. Two.".to_owned()), Message::End(EndOfText {})];
        assert_eq!(messages, expected);
        assert_eq!(pump.all().await.expect("it is short"), "One. Two.");
    }
}
