//! A client of streaming recognition, over a connection of its own that can be cut.

use super::pb::{speech_over, v1};
use hyper_util::rt::TokioIo;
use std::{
    net::{Shutdown, TcpStream},
    time::Duration,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming, transport::Endpoint};
pub(crate) use v1::{streaming_recognize_request::Message, streaming_recognize_response::Event};

/// Messages that may wait to be sent: more than any test has.
const WAITING: usize = 200_000;

/// How a session is to be: bare samples of a rate.
pub(crate) fn config(model: &str, rate: u32) -> v1::StreamingConfig {
    let recognition = v1::RecognitionConfig {
        model: model.to_owned(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: rate as i32,
        ..Default::default()
    };
    v1::StreamingConfig { recognition: Some(recognition), ..Default::default() }
}

/// A wish to go on with a session.
pub(crate) fn resuming(ready: &v1::Ready, last_seq: i64) -> v1::StreamingConfig {
    let resume = v1::Resume { last_seq, resume_key: ready.resume_key.clone() };
    v1::StreamingConfig {
        session_id: ready.session_id.clone(),
        resume: Some(resume),
        ..config(&ready.model, ready.sample_rate_hertz as u32)
    }
}

/// Samples as a message.
pub(crate) fn audio(samples: &[i16], first_sample: Option<i64>) -> Message {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Message::Audio(v1::AudioChunk { data: data.into(), first_sample })
}

/// A marker as a message.
pub(crate) fn marker(id: &str) -> Message {
    Message::Marker(v1::Marker { id: id.to_owned() })
}

/// A span, as endpointing wants it.
pub(crate) fn seconds(seconds: f64) -> Option<prost_types::Duration> {
    let whole = seconds.floor();
    Some(prost_types::Duration { seconds: whole as i64, nanos: ((seconds - whole) * 1e9).round() as i32 })
}

/// A client in the middle of a session.
pub(crate) struct Live {
    // The first field is dropped first: else a call that is dropped would end in order, as if all had been said.
    events: Streaming<v1::StreamingRecognizeResponse>,
    /// `None` = this side is closed.
    says: Option<mpsc::Sender<v1::StreamingRecognizeRequest>>,
    wire: TcpStream,
    /// What the server said first.
    pub(crate) ready: v1::Ready,
    /// The session, as the metadata of the answer names it.
    pub(crate) named: String,
    /// Where the next audio goes.
    pub(crate) sent: usize,
    heard: Vec<Event>,
}

/// All that a client was told, and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    pub(crate) end: Result<(), Status>,
}

impl Live {
    /// Opens a session, or goes on with one.
    pub(crate) async fn open(address: &str, config: v1::StreamingConfig) -> Result<Self, Status> {
        Self::open_with(address, vec![Message::Config(config)], None).await
    }

    /// Goes on with a session behind a final.
    pub(crate) async fn resume(address: &str, ready: &v1::Ready, last_seq: i64) -> Result<Self, Status> {
        Self::open(address, resuming(ready, last_seq)).await
    }

    /// Says these first, whatever they are, with a name for the session in the metadata if wanted.
    pub(crate) async fn open_with(address: &str, first: Vec<Message>, session: Option<&str>) -> Result<Self, Status> {
        let away = |error: std::io::Error| Status::unavailable(error.to_string());
        let wire = tokio::net::TcpStream::connect(address).await.map_err(away)?.into_std().map_err(away)?;
        wire.set_nodelay(true).map_err(away)?;
        let mut stream = Some(wire.try_clone().map_err(away)?);
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move {
                let stream = stream.ok_or_else(|| std::io::Error::other("it was cut"))?;
                tokio::net::TcpStream::from_std(stream).map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel =
            endpoint.connect_with_connector(connector).await.map_err(|error| Status::unavailable(error.to_string()))?;
        let (says, messages) = mpsc::channel(WAITING);
        for message in first {
            says.try_send(v1::StreamingRecognizeRequest { message: Some(message) }).expect("there is room");
        }
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Some(session) = session {
            request.metadata_mut().insert("speechctl-session", session.parse().expect("it is text"));
        }
        let response = speech_over(channel).streaming_recognize(request).await?;
        let named = response.metadata().get("speechctl-session").expect("it is named");
        let named = named.to_str().expect("it is text").to_owned();
        let mut events = response.into_inner();
        let Some(Event::Ready(ready)) = events.message().await?.and_then(|message| message.event) else {
            panic!("the first message is another one");
        };
        let sent = ready.next_sample as usize;
        Ok(Self { events, says: Some(says), wire, ready, named, sent, heard: Vec::new() })
    }

    /// Says something.
    pub(crate) fn say(&self, message: Message) {
        let says = self.says.as_ref().expect("this side is open");
        // Where the stream has ended nobody hears it, and the events tell why.
        says.try_send(v1::StreamingRecognizeRequest { message: Some(message) }).unwrap_or_default();
    }

    /// Sends what the server does not have of the first `until` samples of a recording, in chunks.
    pub(crate) fn send_until(&mut self, recording: &[i16], until: usize, chunk: usize) {
        for samples in recording[self.sent.min(until)..until].chunks(chunk) {
            self.say(audio(samples, Some(self.sent as i64)));
            self.sent += samples.len();
        }
    }

    /// Sends what the server does not have of a recording, in chunks, and says that it was all.
    pub(crate) fn send(&mut self, recording: &[i16], chunk: usize) {
        self.send_until(recording, recording.len(), chunk);
        self.say(Message::End(v1::EndOfAudio {}));
    }

    /// Closes this side, in order.
    pub(crate) fn closing(self) -> Self {
        Self { says: None, ..self }
    }

    /// The next event; `None` once the stream has ended well.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Status> {
        let event = self.events.message().await?.map(|message| message.event.expect("an event"));
        self.heard.extend(event.clone());
        Ok(event)
    }

    /// Waits for an event of a kind.
    pub(crate) async fn wait_for<T>(&mut self, what: &str, is_it: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let event = self.next().await.unwrap_or_else(|status| panic!("{what}: {status:?}"));
            let event = event.unwrap_or_else(|| panic!("{what} did not come: {:?}", self.heard));
            if let Some(it) = is_it(&event) {
                return it;
            }
        }
    }

    /// Waits for a final.
    pub(crate) async fn a_final(&mut self) -> v1::Final {
        self.wait_for("a final", |event| match event {
            Event::Final(told) => Some(told.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a partial.
    pub(crate) async fn a_partial(&mut self) -> v1::Partial {
        self.wait_for("a partial", |event| match event {
            Event::Partial(told) => Some(told.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for a marker.
    pub(crate) async fn a_marker(&mut self, id: &str) {
        self.wait_for(id, |event| matches!(event, Event::Marker(marker) if marker.id == id).then_some(())).await;
    }

    /// Waits for the end.
    pub(crate) async fn rest(mut self) -> Told {
        let end = loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(status) => break Err(status),
            }
        };
        Told { events: self.heard, end }
    }

    /// The finals so far.
    pub(crate) fn finals(&self) -> Vec<v1::Final> {
        finals(&self.heard)
    }

    /// Cuts the connection, as a network does.
    pub(crate) fn cut(self) -> Vec<v1::Final> {
        self.wire.shutdown(Shutdown::Both).unwrap_or_default();
        self.finals()
    }

    /// Gives up the call, as a program does that ends.
    pub(crate) fn give_up(self) -> Vec<v1::Final> {
        self.finals()
    }
}

impl Told {
    /// The finals.
    pub(crate) fn finals(&self) -> Vec<v1::Final> {
        finals(&self.events)
    }

    /// All that was said.
    pub(crate) fn text(&self) -> String {
        text(&self.finals())
    }

    /// What could not be written down.
    pub(crate) fn gaps(&self) -> Vec<v1::Gap> {
        let gap = |event: &Event| if let Event::Gap(gap) = event { Some(gap.clone()) } else { None };
        self.events.iter().filter_map(gap).collect()
    }

    /// How the session ended, which came last.
    #[track_caller]
    pub(crate) fn done(&self) -> v1::SessionDone {
        assert!(self.end.is_ok(), "{:?} after {:?}", self.end, self.events);
        let Some(Event::Done(done)) = self.events.last() else { panic!("it is not done: {:?}", self.events) };
        *done
    }

    /// Why the stream ended before the session.
    #[track_caller]
    pub(crate) fn failure(self) -> Status {
        let events = self.events;
        self.end.err().unwrap_or_else(|| panic!("it ended well: {events:?}"))
    }
}

fn finals(events: &[Event]) -> Vec<v1::Final> {
    let of = |event: &Event| if let Event::Final(told) = event { Some(told.clone()) } else { None };
    events.iter().filter_map(of).collect()
}

/// The text of finals.
pub(crate) fn text(finals: &[v1::Final]) -> String {
    finals.iter().map(|told| told.text.trim()).collect::<Vec<_>>().join(" ")
}

/// A recording, streamed in calm, to the end.
pub(crate) async fn stream(address: &str, config: v1::StreamingConfig, recording: &[i16], chunk: usize) -> Told {
    let mut live = Live::open(address, config).await.expect("it begins");
    live.send(recording, chunk);
    live.rest().await
}

/// Waits until something is true, while connections go on.
pub(crate) async fn until(mut is_true: impl FnMut() -> bool) {
    while !is_true() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
