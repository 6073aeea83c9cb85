//! A sentence that is spoken and heard: a server of its own, an engine that speaks, and one that writes down.

use super::finding::Finding;
use crate::{
    cli::private,
    client::{Connection, PrivateServer},
    error::{Error, Kind, Result},
    proto::v1::{self, synthesize_request::Input, synthesize_response::Event},
};
use std::{
    sync::PoisonError,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const NAME: &str = "round trip";

/// What is said: the words of a sentence that the built-in model knows, and that the voice says clearly.
const SENTENCE: &str = "turn on the kitchen light";
const VOICE: &str = "en-us";
const MODEL: &str = "selftest";

/// The rate at which recognisers hear, Hz.
const RATE: i32 = 16_000;

/// How long all of it may take. Engines start, and one unpacks its voices.
const PATIENCE: Duration = Duration::from_secs(60);

/// The most bytes of the sentence: a minute of it.
const MOST: usize = 60 * RATE as usize * 2;

/// Says it, and hears it.
pub(super) async fn finding() -> Finding {
    let began = Instant::now();
    let (spawn, folder) = private::spawner();
    let started = timeout(PATIENCE, spawn()).await.unwrap_or_else(|_| Err(late()));
    let heard = match started {
        Ok(PrivateServer { address, stop }) => {
            let heard = timeout(PATIENCE, round_trip(&address)).await.unwrap_or_else(|_| Err(late()));
            stop.await;
            heard
        }
        Err(error) => Err(error.context("a private server cannot be started")),
    };
    drop(folder.lock().unwrap_or_else(PoisonError::into_inner).take());
    match heard {
        Ok(heard) if heard == SENTENCE => {
            let seconds = began.elapsed().as_secs_f64();
            Finding::ok(NAME, format!("said and heard `{SENTENCE}` in {seconds:.1} s"))
        }
        Ok(heard) => {
            let found = format!("said `{SENTENCE}`, heard `{heard}`");
            Finding::wrong(NAME, Kind::Internal, found, "this is a bug: `speechctl doctor -vv` tells more for a report")
        }
        Err(error) => Finding::of_error(NAME, &error).or_way_out("`speechctl doctor -vv` tells more"),
    }
}

fn late() -> Error {
    let seconds = PATIENCE.as_secs();
    Error::new(Kind::Deadline, format!("nothing was heard within {seconds} s; is the machine too busy?"))
}

async fn round_trip(address: &str) -> Result<String> {
    let lost =
        |error: Error| Error::new(error.kind(), "a private server was started, and does not answer").because(error);
    let connection = Connection::to(address).await.map_err(lost)?;
    let audio = speak(&connection).await.map_err(|error| error.context("nothing is spoken"))?;
    let heard = listen(&connection, audio).await.map_err(|error| error.context("nothing is heard"))?;
    Ok(heard.trim().to_owned())
}

async fn speak(connection: &Connection) -> Result<Vec<u8>> {
    let request = v1::SynthesizeRequest {
        input: Some(Input::Text(SENTENCE.to_owned())),
        voice: VOICE.to_owned(),
        sample_rate_hertz: RATE,
        ..Default::default()
    };
    let mut client = connection.speech();
    let mut stream = connection.answer(client.synthesize(connection.request(request))).await?.into_inner();
    let mut audio = Vec::new();
    while let Some(message) = connection.answer(stream.message()).await? {
        if let Some(Event::Audio(bytes)) = message.event {
            audio.extend(bytes);
        }
        if audio.len() > MOST {
            return Err(Error::new(Kind::Internal, "the engine does not stop speaking"));
        }
    }
    Ok(audio)
}

async fn listen(connection: &Connection, audio: Vec<u8>) -> Result<String> {
    let config = v1::RecognitionConfig {
        model: MODEL.to_owned(),
        encoding: v1::InputEncoding::Pcm16.into(),
        sample_rate_hertz: RATE,
        ..Default::default()
    };
    let request = v1::RecognizeRequest { config: Some(config), audio: audio.into() };
    let mut client = connection.speech();
    let answer = connection.answer(client.recognize(connection.request(request))).await?;
    Ok(answer.into_inner().text)
}
