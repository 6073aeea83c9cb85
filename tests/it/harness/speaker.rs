//! A client of StreamingSynthesize, which a test leads by the hand.

use super::pb::{speech, v1};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use v1::{streaming_synthesize_request::Message, streaming_synthesize_response::Event};

/// One call.
pub(crate) struct Speaker {
    say: Option<mpsc::Sender<v1::StreamingSynthesizeRequest>>,
    events: Streaming<v1::StreamingSynthesizeResponse>,
    /// All audio that came.
    pub(crate) audio: Vec<u8>,
    /// All marks that came.
    pub(crate) marks: Vec<v1::SpeechMark>,
}

impl Speaker {
    /// Begins with this config.
    pub(crate) async fn begin(address: &str, config: v1::SynthesizeRequest) -> Result<Self, Status> {
        Self::begin_with(address, Message::Config(config)).await
    }

    /// Begins with any message.
    pub(crate) async fn begin_with(address: &str, message: Message) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(64);
        say.send(v1::StreamingSynthesizeRequest { message: Some(message) }).await.expect("there is room");
        let requests = tokio_stream::wrappers::ReceiverStream::new(said);
        let events = speech(address).await.streaming_synthesize(requests).await?.into_inner();
        Ok(Self { say: Some(say), events, audio: Vec::new(), marks: Vec::new() })
    }

    /// Sends a message.
    pub(crate) async fn say(&self, message: Message) {
        let request = v1::StreamingSynthesizeRequest { message: Some(message) };
        // Who is refused is told so by the events.
        drop(self.say.as_ref().expect("it has not ended").send(request).await);
    }

    /// Writes text.
    pub(crate) async fn write(&self, text: &str) {
        self.say(Message::Text(text.to_owned())).await;
    }

    /// Says no more.
    pub(crate) fn close(&mut self) {
        self.say = None;
    }

    /// The next event but audio and marks, which are collected; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Status> {
        while let Some(event) = self.any().await? {
            if !matches!(event, Event::Audio(_) | Event::Mark(_)) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next event of any kind.
    pub(crate) async fn any(&mut self) -> Result<Option<Event>, Status> {
        let event = self.events.message().await?.and_then(|message| message.event);
        match &event {
            Some(Event::Audio(audio)) => self.audio.extend(audio),
            Some(Event::Mark(mark)) => self.marks.push(mark.clone()),
            _ => {}
        }
        Ok(event)
    }

    /// Waits until so many bytes of audio have come.
    pub(crate) async fn hears(&mut self, bytes: usize) {
        while self.audio.len() < bytes {
            self.any().await.expect("it goes on").expect("it has not ended");
        }
    }

    /// Writes no more, and hears all.
    pub(crate) async fn end(&mut self) -> Result<v1::SynthesisDone, Status> {
        self.close();
        loop {
            match self.next().await? {
                Some(Event::Done(done)) => return Ok(done),
                Some(_) => {}
                None => panic!("the end was not told"),
            }
        }
    }
}

/// A config that names a voice.
pub(crate) fn voice(name: &str) -> v1::SynthesizeRequest {
    v1::SynthesizeRequest { voice: name.to_owned(), ..Default::default() }
}
