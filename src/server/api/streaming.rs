//! `StreamingRecognize`: between the messages of a stream and the session that they are for.

use super::{first, no_config, respond::Outlet, second_config};
use crate::{
    error::{Error, Kind, Result},
    models::Paths,
    proto::v1::{self as pb, streaming_recognize_request::Message as Request, streaming_recognize_response::Event},
    server::{
        Shared,
        sessions::{Attached, Message, Mouth, Said},
    },
};
use tonic::{Streaming, metadata::MetadataMap};

/// The metadata that names a session, for load balancers.
pub(crate) const SESSION: &str = "speechctl-session";

/// Reads the first message, and opens the session that it is for, or goes on with it.
///
/// # Errors
/// What is wrong with the message, or with the session.
pub(super) async fn attach(
    shared: &Shared,
    metadata: &MetadataMap,
    messages: &mut Streaming<pb::StreamingRecognizeRequest>,
    paths: Paths,
) -> Result<Attached> {
    let Some(Request::Config(mut config)) = first(messages).await?.and_then(|message| message.message) else {
        return Err(no_config());
    };
    let named = metadata.get(SESSION).map(|name| name.to_str().unwrap_or("?")).unwrap_or_default();
    match (config.session_id.as_str(), named) {
        (_, "") => {}
        ("", _) => named.clone_into(&mut config.session_id),
        (id, _) if id == named => {}
        (id, _) => {
            let message = format!("the config is for session `{id}`, the metadata {SESSION} for `{named}`");
            return Err(Error::invalid(message).in_field("config.session_id"));
        }
    }
    shared.sessions.attach(config, paths).await
}

/// Carries what is said both ways, until the session or the client has ended the stream.
///
/// # Errors
/// What the session says of its end.
pub(super) async fn converse(
    attached: Attached,
    messages: Streaming<pb::StreamingRecognizeRequest>,
    out: Outlet<Message>,
) -> Result<()> {
    let Attached { messages: mut told, mouth, .. } = attached;
    let telling = async {
        let mut is_done = false;
        while let Some(message) = told.recv().await {
            let message = message?;
            is_done = matches!(message.event, Some(Event::Done(_)));
            out.send(message).await?;
        }
        // Who reads slowly may have missed why.
        match is_done {
            true => Ok(()),
            false => Err(Error::new(Kind::Unavailable, "the stream was cut short; resume the session to go on")),
        }
    };
    tokio::select! {
        told = telling => told,
        Err(error) = listen(messages, mouth) => Err(error),
    }
}

/// Hands on what the client says. Ends only with an error: that a client has said all does not end the stream.
async fn listen(mut messages: Streaming<pb::StreamingRecognizeRequest>, mut mouth: Mouth) -> Result<()> {
    loop {
        if mouth.room().await.is_err() {
            // The session tells itself how it ended.
            return std::future::pending().await;
        }
        let Some(message) = messages.message().await? else { break };
        let said = match message.message {
            Some(Request::Audio(audio)) => Said::Audio(audio.data, audio.first_sample),
            Some(Request::Marker(marker)) => Said::Marker(marker.id),
            Some(Request::End(_)) => Said::End,
            Some(Request::Acknowledge(acknowledge)) => Said::Acknowledge(acknowledge.seq),
            Some(Request::Config(_)) => {
                return Err(second_config());
            }
            None => return Err(Error::invalid("a message that says nothing").in_field("message")),
        };
        if mouth.say(said).await.is_err() {
            return std::future::pending().await;
        }
    }
    // To close this side says that it was all. To go away does not, and is an error.
    drop(mouth.say(Said::End).await);
    std::future::pending().await
}
