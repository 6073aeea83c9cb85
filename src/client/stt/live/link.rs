//! One connection on which a session is talked about: a task that opens the call, hands on what the server says, and
//! minds whether it is still there. How it ends is told last.

use super::journal::Opening;
use crate::{
    client::Connection,
    error::{Error, Kind, Result},
    proto::v1::{
        self, StreamingRecognizeRequest, streaming_recognize_request::Message, streaming_recognize_response::Event,
    },
};
use std::{pin::pin, time::Duration};
use tokio::{
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};

/// Messages that wait for the connection to take them. Two seconds at most of what is not paced; more only makes it
/// later known how far the server is.
const OUT: usize = 2;

/// Messages that wait to be shown.
const IN: usize = 64;

/// How long a server may be silent before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// How long a server may take until it listens. It may have to load a model first.
const OPENING: Duration = Duration::from_secs(150);

/// The metadata that leads a session's calls to the same server.
const SESSION: &str = "speechctl-session";

/// What all sessions of a run have in common.
pub(super) struct Dial {
    connection: Connection,
    config: v1::StreamingConfig,
    /// The connection was used, and may be broken.
    is_used: bool,
}

/// A connection, or what is to become one. Ends when dropped.
pub(super) struct Link {
    out: Sender<StreamingRecognizeRequest>,
    incoming: Receiver<Incoming>,
    task: JoinHandle<()>,
}

/// What comes of it.
#[derive(Debug)]
pub(super) enum Incoming {
    Said(Event),
    /// The server is there, though it says nothing.
    Alive,
    /// The last: why there is no more.
    Lost(Error),
}

impl Dial {
    /// On a fresh connection.
    pub(super) fn new(connection: Connection, config: v1::StreamingConfig) -> Self {
        Self { connection, config, is_used: false }
    }

    /// Begins to open a session.
    pub(super) fn open(&mut self, opening: Opening) -> Link {
        let (out, requests) = mpsc::channel(OUT);
        let (events, incoming) = mpsc::channel(IN);
        let connection = self.connection.clone();
        let is_used = std::mem::replace(&mut self.is_used, true);
        let config = configured(&self.config, opening);
        let task = tokio::spawn(async move {
            let ended = async {
                let connection = if is_used { connection.again().await? } else { connection };
                talk(&connection, config, requests, &events).await
            };
            let error = ended.await.err().unwrap_or_else(|| gone("the server broke off"));
            // Where nobody hears it, nobody has a use for it.
            events.send(Incoming::Lost(error)).await.unwrap_or_default();
        });
        Link { out, incoming, task }
    }

    /// Waits until the time is over that the user allows for all of it.
    pub(super) async fn too_late(&self) -> Error {
        self.connection.too_late().await
    }

    /// The connection, to be closed.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for what comes next of a link, if there is one.
pub(super) async fn next(link: Option<&mut Receiver<Incoming>>) -> Incoming {
    match link {
        Some(incoming) => {
            let lost = || Incoming::Lost(gone("the connection failed"));
            incoming.recv().await.unwrap_or_else(lost)
        }
        None => std::future::pending().await,
    }
}

/// Waits until a link takes a message.
pub(super) async fn room(out: Option<&Sender<StreamingRecognizeRequest>>) {
    match out {
        // Where it is closed, what is sent is lost with it, and that is told.
        Some(out) if !out.is_closed() => drop(out.reserve().await),
        _ => std::future::pending().await,
    }
}

impl Link {
    /// Both its ends.
    pub(super) fn ends(&mut self) -> (&Sender<StreamingRecognizeRequest>, &mut Receiver<Incoming>) {
        (&self.out, &mut self.incoming)
    }

    /// Sends a message. There is room for it.
    pub(super) fn send(&self, message: Message) {
        match self.out.try_send(StreamingRecognizeRequest { message: Some(message) }) {
            // What is lost with a connection is sent again on the next one.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => tracing::error!("A message was sent where there was no room."),
        }
    }
}

/// How a session is opened.
fn configured(common: &v1::StreamingConfig, opening: Opening) -> v1::StreamingConfig {
    let mut config = v1::StreamingConfig { session_id: opening.session, resume: opening.resume, ..common.clone() };
    // Who has spoken before is not waited for as if nobody had, but may have said all.
    if let (true, Some(endpointing)) = (opening.has_spoken, &mut config.endpointing) {
        endpointing.speech_start_timeout = endpointing.speech_end_timeout.map(|wait| match wait.seconds {
            0 => prost_types::Duration { seconds: 0, nanos: wait.nanos.max(500_000_000) },
            _ => wait,
        });
    }
    config
}

/// Opens the call, and hands on what comes until it ends.
async fn talk(
    connection: &Connection,
    config: v1::StreamingConfig,
    requests: Receiver<StreamingRecognizeRequest>,
    events: &Sender<Incoming>,
) -> Result<()> {
    let session = config.session_id.parse().ok().filter(|_| !config.session_id.is_empty());
    let first = StreamingRecognizeRequest { message: Some(Message::Config(config)) };
    // It never ends by itself: to a server that would say that no more audio comes, which only a message says.
    let messages = tokio_stream::once(first).chain(ReceiverStream::new(requests)).chain(tokio_stream::pending());
    let mut request = connection.request(messages);
    if let Some(session) = session {
        request.metadata_mut().insert(SESSION, session);
    }
    let mut client = connection.speech();
    let mut vanished = pin!(vanished(connection, events));
    let opening = async {
        let mut stream = connection.answer(client.streaming_recognize(request)).await?.into_inner();
        let first = connection.answer(stream.message()).await?;
        Ok((stream, first))
    };
    let (mut stream, mut message) = tokio::select! {
        opened = timeout(OPENING, opening) => opened.unwrap_or_else(|_| Err(gone("the server does not begin to listen")))?,
        () = &mut vanished => return Err(gone("the server does not answer any more")),
    };
    while let Some(response) = message {
        // What a later version tells beside is passed over.
        if let Some(event) = response.event
            && events.send(Incoming::Said(event)).await.is_err()
        {
            return Ok(());
        }
        message = tokio::select! {
            message = connection.answer(stream.message()) => message?,
            () = &mut vanished => return Err(gone("the server does not answer any more")),
        };
    }
    Ok(())
}

/// Waits until the server gives no answer: a machine that is switched off says nothing.
async fn vanished(connection: &Connection, events: &Sender<Incoming>) {
    loop {
        sleep(SILENCE).await;
        if !connection.answers().await || events.send(Incoming::Alive).await.is_err() {
            return;
        }
    }
}

fn gone(message: &str) -> Error {
    Error::new(Kind::Unavailable, message)
}
