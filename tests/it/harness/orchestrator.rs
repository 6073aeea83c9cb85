//! A client of spoken sessions, which a test leads by the hand, over a connection of its own that can be cut.

use super::pb::spoken::{
    AudioFrame, ControlCommand, ControlRequest, ControlResponse, EndSessionRequest, StartSessionRequest,
    StartSessionResponse, TextChunk, tts_service_client::TtsServiceClient,
};
use hyper_util::rt::TokioIo;
use std::net::{Shutdown, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Bytes of a frame.
pub(crate) const FRAME: usize = 1_920;

/// Bytes of a stream that are on the way while nobody reads it: some eight frames. So a text is not over before it was
/// begun.
const WINDOW: u32 = 16 * 1024;

/// Frames that may have entered the transport while nobody reads: such a window of them, one that waits before it, and
/// what the reader has given back of the window meanwhile.
pub(crate) const IN_FLIGHT: usize = 2 * (WINDOW as usize).div_ceil(FRAME) + 2;

/// Pieces of text that may wait to be sent: more than any test has.
const WAITING: usize = 10_000;

/// A piece of text as a message.
pub(crate) fn piece(session: &str, text: &str, number: i64) -> TextChunk {
    TextChunk { session_id: session.to_owned(), text: text.to_owned(), is_final: false, sequence_number: number }
}

/// A caller of spoken sessions. They are this connection's.
pub(crate) struct Orchestrator {
    channel: Channel,
    wire: TcpStream,
}

impl Orchestrator {
    pub(crate) async fn connect(address: &str) -> Self {
        let wire = tokio::net::TcpStream::connect(address).await.expect("it takes connections");
        let wire = wire.into_std().expect("it is open");
        wire.set_nodelay(true).expect("it is open");
        let mut stream = Some(wire.try_clone().expect("it is open"));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move {
                let stream = stream.ok_or_else(|| std::io::Error::other("it was cut"))?;
                tokio::net::TcpStream::from_std(stream).map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let endpoint = endpoint.initial_stream_window_size(WINDOW);
        let channel = endpoint.connect_with_connector(connector).await.expect("it speaks HTTP/2");
        Self { channel, wire }
    }

    /// The contract's own client, over this connection.
    pub(crate) fn client(&self) -> TtsServiceClient<Channel> {
        TtsServiceClient::new(self.channel.clone())
    }

    /// Asks for a session.
    pub(crate) async fn start(
        &self,
        session: &str,
        model: &str,
        options: &[(&str, &str)],
    ) -> Result<StartSessionResponse, Status> {
        let request = StartSessionRequest {
            session_id: session.to_owned(),
            model_id: model.to_owned(),
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        Ok(self.client().start_session(request).await?.into_inner())
    }

    /// Begins a session.
    pub(crate) async fn begin(&self, session: &str, model: &str, options: &[(&str, &str)]) {
        let started = self.start(session, model, options).await.expect("it is let in");
        assert!(started.success, "{model}: {}", started.message);
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: &str) -> Result<bool, Status> {
        let request = EndSessionRequest { session_id: session.to_owned() };
        Ok(self.client().end_session(request).await?.into_inner().success)
    }

    /// A command on its way, which does not hold the caller up.
    pub(crate) fn commanding(
        &self,
        session: &str,
        command: ControlCommand,
    ) -> impl Future<Output = Result<ControlResponse, Status>> + Send + use<> {
        let mut client = self.client();
        let request = ControlRequest { session_id: session.to_owned(), command: command.into() };
        async move { Ok(client.control(request).await?.into_inner()) }
    }

    /// Commands, and is obeyed.
    pub(crate) async fn command(&self, session: &str, command: ControlCommand) {
        let answer = self.commanding(session, command).await.expect("it is answered");
        assert!(answer.success && answer.timestamp_ms > 0, "{command:?}: {answer:?}");
    }

    /// Begins to say a text.
    pub(crate) async fn speak(&self, session: &str, text: &str) -> Result<Utterance, Status> {
        self.speak_with(session, vec![piece(session, text, 1)]).await
    }

    /// Begins with these messages, whatever they are.
    pub(crate) async fn speak_with(&self, session: &str, first: Vec<TextChunk>) -> Result<Utterance, Status> {
        let (says, said) = mpsc::channel(WAITING);
        let number = first.last().map_or(0, |chunk| chunk.sequence_number);
        for chunk in first {
            says.try_send(chunk).expect("there is room");
        }
        let frames = self.client().synthesize(ReceiverStream::new(said)).await?.into_inner();
        let session = session.to_owned();
        Ok(Utterance { frames, says: Some(says), session, number, count: 0, audio: Vec::new(), is_over: false })
    }

    /// What is heard of a text that comes in these pieces.
    pub(crate) async fn hear(&self, session: &str, pieces: &[&str]) -> Vec<u8> {
        let mut utterance = self.speak(session, "").await.expect("it begins");
        for piece in pieces {
            utterance.write(piece);
        }
        utterance.finish();
        utterance.rest().await.expect("it goes on to its end")
    }

    /// Asks so often for something else. What was on the wire before is there before the answers.
    pub(crate) async fn round_trips(&self, count: usize) {
        let mut health = HealthClient::new(self.channel.clone());
        for _ in 0..count {
            health.check(HealthCheckRequest { service: String::new() }).await.expect("it is well");
        }
    }

    /// Cuts the connection, as a network does.
    pub(crate) fn cut(self) {
        self.wire.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// One text on its way, and what was heard of it. Every frame is looked at when it comes.
pub(crate) struct Utterance {
    // The first field is dropped first: else a call that is given up would end in order, as if all had been said.
    frames: Streaming<AudioFrame>,
    /// `None` = this side is closed.
    says: Option<mpsc::Sender<TextChunk>>,
    session: String,
    /// Of the piece of text that was sent last.
    number: i64,
    /// Of the frame that came last.
    count: i64,
    audio: Vec<u8>,
    /// The final frame has come.
    is_over: bool,
}

impl Utterance {
    /// Sends a message.
    pub(crate) fn say(&mut self, chunk: TextChunk) {
        self.number = chunk.sequence_number;
        // Where the stream has ended nobody hears it, and the frames tell why.
        self.says.as_ref().expect("this side is open").try_send(chunk).unwrap_or_default();
    }

    /// Writes text.
    pub(crate) fn write(&mut self, text: &str) {
        self.say(piece(&self.session, text, self.number + 1));
    }

    /// Says that there is no more, and leaves this side open.
    pub(crate) fn finish(&mut self) {
        self.say(TextChunk { is_final: true, ..piece("", "", self.number + 1) });
    }

    /// Closes this side.
    pub(crate) fn close(&mut self) {
        self.says = None;
    }

    /// Frames of sound that were heard.
    pub(crate) fn frames(&self) -> usize {
        self.audio.len() / FRAME
    }

    /// The next frame, which is as the contract says; `None` once the stream has ended well.
    pub(crate) async fn next(&mut self) -> Result<Option<AudioFrame>, Status> {
        let Some(frame) = self.frames.message().await? else {
            assert!(self.is_over, "it ended without its final frame, after {} frames", self.count);
            return Ok(None);
        };
        assert!(!self.is_over, "a frame after the final one, number {}", frame.sequence_number);
        self.count += 1;
        assert_eq!((frame.sequence_number, frame.session_id.as_str()), (self.count, self.session.as_str()));
        assert_eq!((frame.sample_rate, frame.frame_duration_ms), (48_000, 20), "frame {}", self.count);
        let length = if frame.is_final { 0 } else { FRAME };
        assert_eq!(frame.audio_data.len(), length, "frame {}", self.count);
        self.is_over = frame.is_final;
        self.audio.extend_from_slice(&frame.audio_data);
        Ok(Some(frame))
    }

    /// Waits until so many frames of sound were heard.
    pub(crate) async fn hears(&mut self, frames: usize) {
        while self.frames() < frames {
            let frame = self.next().await.expect("it goes on").expect("it has not ended");
            assert!(!frame.is_final, "it is over after {} frames of {frames}", self.frames());
        }
    }

    /// Waits for the final frame, and no longer.
    pub(crate) async fn hears_the_end(&mut self) {
        while !self.is_over {
            self.next().await.expect("it goes on").expect("it has not ended");
        }
    }

    /// Hears whatever comes while something is done, and all that is there by then.
    pub(crate) async fn hearing<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                frame = self.next(), if !self.is_over => drop(frame.expect("it goes on")),
                done = &mut work => return done,
            }
        }
    }

    /// All that is heard until the stream has ended.
    ///
    /// # Errors
    /// How it ends where that is not well.
    pub(crate) async fn rest(mut self) -> Result<Vec<u8>, Status> {
        while self.next().await?.is_some() {}
        Ok(self.audio)
    }
}
