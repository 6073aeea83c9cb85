//! A caller of spoken sessions, over a connection of its own that can be cut.

use crate::{
    Result,
    wire::{
        AudioFrame, ControlCommand, ControlRequest, EndSessionRequest, GetCapabilitiesRequest, LoadModelRequest,
        StartSessionRequest, TextChunk, TtsServiceClient,
    },
};
use hyper_util::rt::TokioIo;
use std::{
    collections::HashMap,
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

/// Bytes of a frame.
pub(crate) const FRAME: usize = 1_920;

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Pieces of text that may wait to be sent.
const WAITING: usize = 64;

/// When to ask again for a session where the server does not say.
const COME_BACK: Duration = Duration::from_secs(1);

/// How often to ask for a session that is to be measured.
const TRIES: usize = 5;

/// What became of asking for a session.
pub(crate) enum Start {
    Begun,
    /// There is no room; when to ask again.
    Refused(Duration),
    /// What hinders the model.
    NoSuccess(String),
}

/// A caller. The sessions that it begins are its connection's.
pub(crate) struct Caller {
    channel: Channel,
    wire: TcpStream,
}

impl Caller {
    /// Opens the connection.
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let wire = tokio::net::TcpStream::connect(address).await?.into_std()?;
        wire.set_nodelay(true)?;
        let mut stream = Some(wire.try_clone()?);
        let connector = tower::service_fn(move |_| {
            let stream = stream.take();
            async move {
                let stream = stream.ok_or_else(|| std::io::Error::other("it was cut"))?;
                tokio::net::TcpStream::from_std(stream).map(TokioIo::new)
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.timeout(PATIENCE);
        Ok(Self { channel: endpoint.connect_with_connector(connector).await?, wire })
    }

    fn client(&self) -> TtsServiceClient<Channel> {
        TtsServiceClient::new(self.channel.clone())
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// A status that is not for want of room.
    pub(crate) async fn start(
        &self,
        session: &str,
        model: &str,
        options: &[(&str, &str)],
    ) -> std::result::Result<Start, Status> {
        let request = StartSessionRequest {
            session_id: session.to_owned(),
            model_id: model.to_owned(),
            options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let mut client = self.client();
        match client.start_session(request).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Ok(if answer.success { Start::Begun } else { Start::NoSuccess(answer.message) })
            }
            Err(status) if status.code() == Code::ResourceExhausted => {
                let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
                Ok(Start::Refused(wait.unwrap_or(COME_BACK)))
            }
            Err(status) => Err(status),
        }
    }

    /// Begins a session that is to be measured; `false` where the server has no room for it, asked again or not.
    pub(crate) async fn begin(&self, session: &str, model: &str, options: &[(&str, &str)]) -> Result<bool> {
        for _ in 0..TRIES {
            match self.start(session, model, options).await? {
                Start::Begun => return Ok(true),
                Start::Refused(wait) => sleep(wait).await,
                Start::NoSuccess(message) => return Err(format!("model `{model}`: {message}").into()),
            }
        }
        Ok(false)
    }

    /// Ends a session.
    pub(crate) async fn end(&self, session: &str) -> std::result::Result<(), Status> {
        let request = EndSessionRequest { session_id: session.to_owned() };
        let mut client = self.client();
        client.end_session(request).await.map(drop)
    }

    /// Commands a session, and says how long the answer took.
    pub(crate) async fn command(
        &self,
        session: &str,
        command: ControlCommand,
    ) -> std::result::Result<Duration, Status> {
        let request = ControlRequest { session_id: session.to_owned(), command: command.into() };
        let mut client = self.client();
        let sent = Instant::now();
        let answer = client.control(request).await?;
        let took = sent.elapsed();
        let answer = answer.into_inner();
        if answer.success { Ok(took) } else { Err(Status::unknown(answer.message)) }
    }

    /// Loads a model, so that it is there before a session wants it.
    pub(crate) async fn load(&self, model: &str) -> Result<()> {
        let request = LoadModelRequest { model_id: model.to_owned(), preload_only: false };
        let answer = self.client().load_model(request).await?.into_inner();
        if answer.success { Ok(()) } else { Err(format!("model `{model}`: {}", answer.message).into()) }
    }

    /// What the server counts.
    pub(crate) async fn metrics(&self) -> Result<HashMap<String, f64>> {
        Ok(self.client().get_capabilities(GetCapabilitiesRequest {}).await?.into_inner().metrics)
    }

    /// Begins an utterance with this piece of text. More of it goes into the sender; without that, there is no more.
    pub(crate) async fn open(
        &self,
        first: TextChunk,
    ) -> std::result::Result<(mpsc::Sender<TextChunk>, Streaming<AudioFrame>), Status> {
        let (says, said) = mpsc::channel(WAITING);
        // There is room for the first.
        says.try_send(first).unwrap_or_default();
        let mut client = self.client();
        let frames = client.synthesize(ReceiverStream::new(said)).await?.into_inner();
        Ok((says, frames))
    }

    /// Says a whole text.
    pub(crate) async fn speak(&self, session: &str, text: &str) -> std::result::Result<Streaming<AudioFrame>, Status> {
        let whole = TextChunk { is_final: true, ..piece(session, text, 1) };
        self.open(whole).await.map(|(_, frames)| frames)
    }

    /// Cuts the connection, as a network does.
    pub(crate) fn cut(&self) {
        self.wire.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

/// A piece of text as a message.
pub(crate) fn piece(session: &str, text: &str, number: i64) -> TextChunk {
    TextChunk { session_id: session.to_owned(), text: text.to_owned(), is_final: false, sequence_number: number }
}
