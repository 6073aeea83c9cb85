//! A server that hears, simple enough to know what it must say: each stretch of sound that is not zero is an utterance,
//! which ends with a tenth of a second of zeros, and says how many samples it had. It dies, forgets and refuses on
//! request.

use super::{
    eventually,
    pb::v1::{
        self,
        speech_recognition_server::{SpeechRecognition, SpeechRecognitionServer},
        streaming_recognize_request::Message,
        streaming_recognize_response::Event,
    },
    wav,
};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};

/// Zeros that end an utterance.
const QUIET: usize = 1_600;

/// What a session knows; it outlives the server.
#[derive(Clone, Default)]
struct Session {
    log: Vec<i16>,
    decided: usize,
    finals: Vec<v1::Final>,
    is_ended: bool,
}

/// What the test steers, and sees.
#[derive(Default)]
pub(crate) struct State {
    session: Option<Session>,
    epoch: i64,
    /// How each call began.
    pub(crate) openings: Vec<v1::StreamingConfig>,
    /// What the server was told last to be written.
    pub(crate) acknowledged: i64,
    /// The next calls are refused with this kind of failure.
    pub(crate) refusal: Option<&'static str>,
    /// Utterances of so many samples are told as gaps.
    pub(crate) deaf_to: usize,
    /// Nothing that is said gets a final.
    pub(crate) is_mute: bool,
}

/// The server. It dies when dropped, in the middle of whatever it does.
pub(crate) struct Hearer {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<Mutex<State>>,
    runtime: Option<Runtime>,
}

impl Hearer {
    pub(crate) fn start() -> Self {
        Self::serve("127.0.0.1:0".parse().expect("an address"), Arc::default())
    }

    fn serve(address: SocketAddr, state: Arc<Mutex<State>>) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mut listener = None;
        eventually("the port is free", || {
            listener = runtime.block_on(TcpListener::bind(address)).ok();
            listener.is_some()
        });
        let listener = listener.expect("it was waited for");
        let address = listener.local_addr().expect("an address");
        state.lock().expect("nobody panics").epoch += 1;
        let hears = SpeechRecognitionServer::new(Hears(Arc::clone(&state)));
        let router = Server::builder().add_service(hears);
        runtime.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, state, runtime: Some(runtime) }
    }

    /// Dies.
    pub(crate) fn die(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Comes back at the same address, with what it knew.
    pub(crate) fn come_back(&mut self) {
        *self = Self::serve(self.address, Arc::clone(&self.state));
    }

    /// Knows the session no more.
    pub(crate) fn forget(&self) {
        self.state.lock().expect("nobody panics").session = None;
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.state.lock().expect("nobody panics").openings.len()
    }

    /// Waits until it has heard so many samples in this session.
    pub(crate) fn wait_for(&self, samples: usize) {
        eventually("it hears", || {
            let state = self.state.lock().expect("nobody panics");
            state.session.as_ref().is_some_and(|session| session.log.len() >= samples)
        });
    }
}

impl Drop for Hearer {
    fn drop(&mut self) {
        self.die();
    }
}

struct Hears(Arc<Mutex<State>>);

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// A failure as our own servers tell it.
fn failure(reason: &str) -> Status {
    let code = match reason {
        "SUPERSEDED" => tonic::Code::Aborted,
        "NOT_FOUND" => tonic::Code::NotFound,
        _ => tonic::Code::ResourceExhausted,
    };
    let mut details = ErrorDetails::with_error_info(reason, "speechctl", std::collections::HashMap::new());
    if reason == "BUSY" {
        details.set_retry_info(Some(std::time::Duration::from_millis(10)));
    }
    Status::with_error_details(code, format!("it says {reason}"), details)
}

#[tonic::async_trait]
impl SpeechRecognition for Hears {
    type RecognizeFileStream = Events<v1::RecognizeFileResponse>;
    type StreamingRecognizeStream = Events<v1::StreamingRecognizeResponse>;
    type SynthesizeStream = Events<v1::SynthesizeResponse>;
    type StreamingSynthesizeStream = Events<v1::StreamingSynthesizeResponse>;

    async fn streaming_recognize(
        &self,
        request: Request<Streaming<v1::StreamingRecognizeRequest>>,
    ) -> Result<Response<Self::StreamingRecognizeStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|first| first.message);
        let Some(Message::Config(config)) = first else { return Err(Status::invalid_argument("no config")) };
        let (sender, events) = mpsc::channel(16);
        let begun = begin(&mut self.0.lock().expect("nobody panics"), config)?;
        let state = Arc::clone(&self.0);
        tokio::spawn(async move {
            let mut news = begun;
            loop {
                for event in news {
                    let response = v1::StreamingRecognizeResponse { event: Some(event) };
                    if sender.send(Ok(response)).await.is_err() {
                        return;
                    }
                }
                let Ok(Some(request)) = messages.message().await else { return };
                let mut state = state.lock().expect("nobody panics");
                if let Some("SUPERSEDED") = state.refusal {
                    drop(sender.try_send(Err(failure("SUPERSEDED"))));
                    return;
                }
                news = take(&mut state, request.message);
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(events))))
    }

    async fn recognize(&self, _: Request<v1::RecognizeRequest>) -> Result<Response<v1::RecognizeResponse>, Status> {
        Err(Status::unimplemented("it only listens"))
    }

    async fn recognize_file(
        &self,
        _: Request<Streaming<v1::RecognizeFileRequest>>,
    ) -> Result<Response<Self::RecognizeFileStream>, Status> {
        Err(Status::unimplemented("it only listens"))
    }

    async fn synthesize(&self, _: Request<v1::SynthesizeRequest>) -> Result<Response<Self::SynthesizeStream>, Status> {
        Err(Status::unimplemented("it only listens"))
    }

    async fn streaming_synthesize(
        &self,
        _: Request<Streaming<v1::StreamingSynthesizeRequest>>,
    ) -> Result<Response<Self::StreamingSynthesizeStream>, Status> {
        Err(Status::unimplemented("it only listens"))
    }

    async fn list_voices(&self, _: Request<v1::ListVoicesRequest>) -> Result<Response<v1::ListVoicesResponse>, Status> {
        Err(Status::unimplemented("it only listens"))
    }
}

/// A call begins.
fn begin(state: &mut State, config: v1::StreamingConfig) -> Result<Vec<Event>, Status> {
    state.openings.push(config.clone());
    if let Some(reason) = state.refusal.take_if(|reason| *reason != "SUPERSEDED") {
        return Err(failure(reason));
    }
    let epoch = state.epoch;
    let last_seq = match config.resume {
        None => {
            state.session = Some(Session::default());
            0
        }
        Some(resume) => resume.last_seq as usize,
    };
    let session = state.session.as_ref().ok_or_else(|| failure("NOT_FOUND"))?;
    let ready = v1::Ready {
        session_id: if config.session_id.is_empty() { "given".to_owned() } else { config.session_id },
        resume_key: "key".to_owned(),
        next_sample: session.log.len() as i64,
        epoch,
        last_seq: session.finals.len() as i64,
        model: "counter".to_owned(),
        sample_rate_hertz: 16_000,
    };
    let mut events = vec![Event::Ready(ready)];
    events.extend(session.finals.iter().skip(last_seq).cloned().map(Event::Final));
    if session.is_ended {
        events.push(Event::Done(done(session)));
    }
    Ok(events)
}

/// A message comes.
fn take(state: &mut State, message: Option<Message>) -> Vec<Event> {
    let (deaf_to, is_mute, epoch) = (state.deaf_to, state.is_mute, state.epoch);
    if let Some(Message::Acknowledge(acknowledged)) = &message {
        state.acknowledged = acknowledged.seq;
    }
    let Some(session) = &mut state.session else { return Vec::new() };
    match message {
        Some(Message::Audio(chunk)) => {
            assert_eq!(chunk.first_sample, Some(session.log.len() as i64));
            session.log.extend(wav::of_pcm(&chunk.data));
        }
        Some(Message::End(_)) => session.is_ended = true,
        _ => return Vec::new(),
    }
    if is_mute { Vec::new() } else { hear(session, epoch, deaf_to) }
}

fn hear(session: &mut Session, epoch: i64, deaf_to: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(begun) = session.log[session.decided..].iter().position(|sample| *sample != 0) {
        let start = session.decided + begun;
        let utterance_id = session.finals.len() as i64 + 1;
        let activity = |kind: v1::speech_activity::Kind, at: usize| {
            Event::Speech(v1::SpeechActivity { kind: kind.into(), at: at as i64, utterance_id })
        };
        let quiet = session.log[start..].windows(QUIET).position(|window| window.iter().all(|sample| *sample == 0));
        let end = match (quiet, session.is_ended) {
            (Some(length), _) => start + length,
            (None, true) => start + session.log[start..].iter().rposition(|sample| *sample != 0).unwrap_or(0) + 1,
            (None, false) => {
                let text = format!("so far {}", session.log.len() - start);
                let (audio_start, audio_end) = (start as i64, session.log.len() as i64);
                events.push(activity(v1::speech_activity::Kind::Started, start));
                events.push(Event::Partial(v1::Partial {
                    utterance_id,
                    epoch,
                    audio_start,
                    audio_end,
                    text,
                    confirmed: 6,
                    segments: Vec::new(),
                }));
                return events;
            }
        };
        session.decided = end;
        if end - start == deaf_to {
            let reason = "the engine died of it".to_owned();
            events.push(Event::Gap(v1::Gap { start: start as i64, end: end as i64, reason, utterance_id }));
            continue;
        }
        let said = v1::Final {
            seq: utterance_id,
            utterance_id,
            audio_start: start as i64,
            audio_end: end as i64,
            text: format!("{} samples", end - start),
            language: "en".to_owned(),
            confidence: 1.0,
            segments: Vec::new(),
        };
        session.finals.push(said.clone());
        events.push(activity(v1::speech_activity::Kind::Started, start));
        events.push(Event::Final(said));
        events.push(activity(v1::speech_activity::Kind::Ended, end));
    }
    if session.is_ended {
        events.push(Event::Done(done(session)));
    }
    events
}

fn done(session: &Session) -> v1::SessionDone {
    let (audio_end, finals) = (session.log.len() as i64, session.finals.len() as i64);
    v1::SessionDone { reason: v1::session_done::Reason::EndOfAudio.into(), audio_end, finals, gaps: 0 }
}
