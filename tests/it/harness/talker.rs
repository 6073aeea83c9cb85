//! A server that speaks, simple enough to know what it must say: a sample for each byte of the text. It may be of an
//! earlier version, break off, or lie.

use super::{
    eventually,
    pb::v1::{
        self,
        speech_recognition_server::{SpeechRecognition, SpeechRecognitionServer},
        streaming_synthesize_request::Message,
        streaming_synthesize_response::Event,
        synthesize_request::Input,
        synthesize_response,
    },
};
use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// As it should, but it tells no sentences.
    Good,
    /// It knows no text that streams, and nothing of encodings and marks.
    Old,
    /// It takes text, and says nothing.
    Mute,
    /// It ends before it is done.
    BreaksOff,
    /// It counts wrong.
    Liar,
    /// It speaks before it says how.
    Formless,
    /// It sends half of a sample.
    Halves,
}

/// The server. Ends when dropped.
pub(crate) struct Talker {
    pub(crate) address: String,
    /// Bytes of text that have come.
    heard: Arc<AtomicUsize>,
    /// Ends it.
    _runtime: Runtime,
}

impl Talker {
    pub(crate) fn start(habit: Habit) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let heard = Arc::new(AtomicUsize::new(0));
        let service = SpeechRecognitionServer::new(Talks { habit, heard: Arc::clone(&heard) });
        let listener = runtime.block_on(TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let serving = Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(serving);
        Self { address, heard, _runtime: runtime }
    }

    /// How many bytes of text have come.
    pub(crate) fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }

    /// Waits until so many bytes of text have come.
    pub(crate) fn wait_for(&self, bytes: usize) {
        eventually("it is told", || self.heard() >= bytes);
    }
}

struct Talks {
    habit: Habit,
    heard: Arc<AtomicUsize>,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it says at 8 kHz.
fn audio(text: &str) -> Vec<u8> {
    text.bytes().flat_map(|byte| [byte, 0]).collect()
}

fn format() -> v1::AudioFormat {
    v1::AudioFormat {
        encoding: v1::OutputEncoding::Pcm16.into(),
        sample_rate_hertz: 8_000,
        channels: 1,
        voice: "talker".to_owned(),
    }
}

impl Talks {
    /// What it says to a message, of which so many bytes of audio went before.
    fn answer(&self, message: Option<Message>, sent: &mut usize) -> Vec<Event> {
        let text = match message {
            Some(Message::Config(_)) if self.habit == Habit::Formless => return Vec::new(),
            Some(Message::Config(_)) => return vec![Event::Format(format())],
            Some(Message::End(_)) => {
                let more = if self.habit == Habit::Liar { 1 } else { 0 };
                let samples = (*sent / 2 + more) as i64;
                return if self.habit == Habit::BreaksOff {
                    vec![]
                } else {
                    vec![Event::Done(v1::SynthesisDone { samples })]
                };
            }
            Some(Message::Text(text)) => text,
            _ => return Vec::new(),
        };
        self.heard.fetch_add(text.len(), Ordering::SeqCst);
        if self.habit == Habit::Mute {
            return Vec::new();
        }
        let mut bytes = audio(&text);
        if self.habit == Habit::Halves {
            bytes.pop();
        }
        *sent += bytes.len();
        vec![Event::Audio(bytes.into())]
    }
}

#[tonic::async_trait]
impl SpeechRecognition for Talks {
    type RecognizeFileStream = Events<v1::RecognizeFileResponse>;
    type StreamingRecognizeStream = Events<v1::StreamingRecognizeResponse>;
    type SynthesizeStream = Events<v1::SynthesizeResponse>;
    type StreamingSynthesizeStream = Events<v1::StreamingSynthesizeResponse>;

    async fn synthesize(
        &self,
        request: Request<v1::SynthesizeRequest>,
    ) -> Result<Response<Self::SynthesizeStream>, Status> {
        use synthesize_response::Event;
        let Some(Input::Text(text)) = request.into_inner().input else {
            return Err(Status::invalid_argument("no text"));
        };
        self.heard.fetch_add(text.len(), Ordering::SeqCst);
        let events = [Event::Format(format()), Event::Audio(audio(&text).into())];
        let answers = events.map(|event| Ok(v1::SynthesizeResponse { event: Some(event) }));
        Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
    }

    async fn streaming_synthesize(
        &self,
        request: Request<Streaming<v1::StreamingSynthesizeRequest>>,
    ) -> Result<Response<Self::StreamingSynthesizeStream>, Status> {
        if self.habit == Habit::Old {
            // As a server answers that was built without it: it reads nothing of the call.
            return Err(Status::unimplemented(""));
        }
        let talks = Talks { habit: self.habit, heard: Arc::clone(&self.heard) };
        let mut sent = 0;
        let answers = request.into_inner().map_while(Result::ok).map(move |request| {
            let events = talks.answer(request.message, &mut sent).into_iter();
            events.map(|event| Ok(v1::StreamingSynthesizeResponse { event: Some(event) })).collect::<Vec<_>>()
        });
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let mut answers = std::pin::pin!(answers);
            while let Some(events) = answers.next().await {
                for event in events {
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver))))
    }

    async fn recognize(&self, _: Request<v1::RecognizeRequest>) -> Result<Response<v1::RecognizeResponse>, Status> {
        Err(Status::unimplemented("it only speaks"))
    }

    async fn recognize_file(
        &self,
        _: Request<Streaming<v1::RecognizeFileRequest>>,
    ) -> Result<Response<Self::RecognizeFileStream>, Status> {
        Err(Status::unimplemented("it only speaks"))
    }

    async fn streaming_recognize(
        &self,
        _: Request<Streaming<v1::StreamingRecognizeRequest>>,
    ) -> Result<Response<Self::StreamingRecognizeStream>, Status> {
        Err(Status::unimplemented("it only speaks"))
    }

    async fn list_voices(&self, _: Request<v1::ListVoicesRequest>) -> Result<Response<v1::ListVoicesResponse>, Status> {
        Err(Status::unimplemented("it only speaks"))
    }
}
