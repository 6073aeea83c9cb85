//! Typed calls to one worker. Every way of losing it becomes `Lost`.
//!
//! The code of a dead channel says nothing, so none is looked at: a status that nobody made on purpose means that the
//! worker is lost, and the process itself says how. An engine that says that it failed is lost too: whether the next one
//! does better is found out by asking the next one.

use crate::{
    error::{Error, Kind, Result},
    proto::{
        status,
        stt::{self, stt_worker_client::SttWorkerClient},
        tts::{self, tts_worker_client::TtsWorkerClient},
    },
    server::supervisor::{
        death::{Cause, Death},
        lies::{self, Caught, Counters, Ear, Transcript, Window},
        vitals::{Signs, Vitals},
    },
    speech::Samples,
};
use std::{error::Error as _, future::Future, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tonic::{Code, Status, Streaming, transport::Channel};

/// A window of 30 s takes 1 MB, its transcript much less. Foreign workers may be more generous.
const MAX_MESSAGE: usize = 64 << 20;

/// How long it may take from a broken call to the word of how the process ended.
const DEATH_NOTICE: Duration = Duration::from_secs(2);

/// Characters of a name that are taken in.
const NAME: usize = 200;

/// How long a worker that starts may take to answer at all, at least.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// How long a worker may take to say how it is.
const HEALTH: Duration = Duration::from_secs(2);

/// A worker that is ready.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    channel: Channel,
    bond: Bond,
    /// What it calls its model, which every request names.
    pub(super) model_name: String,
}

/// What ties a worker to its keeper.
#[derive(Clone, Debug)]
pub(super) struct Bond {
    /// Tells of its death.
    pub(super) death: watch::Receiver<Option<Death>>,
    /// Asks its keeper to end it, and says why.
    pub(super) condemn: mpsc::Sender<Sentence>,
    /// How long it may be silent.
    pub(super) patience: Duration,
    /// Whether to ask it as a synthesiser how it is.
    pub(super) only_speaks: bool,
    /// Whether it is one of ours: then a status that is not ours was made by the transport.
    pub(super) is_ours: bool,
    /// Counts its lies.
    pub(super) counters: Arc<Counters>,
}

/// Why a worker is to be ended.
#[derive(Debug)]
pub(super) struct Sentence {
    /// In a word.
    pub(super) cause: Cause,
    /// Exactly.
    pub(super) detail: String,
}

/// Why a call to a worker failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The worker died with the call; it can be made again.
    Lost(Death),
    /// The engine answered: no.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Refused(error)
    }
}

/// What a worker says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) kind: Option<Kind>,
    pub(super) build: String,
    pub(super) model_name: String,
    pub(super) engine: String,
    /// How much of the model is loaded, 0 to 1, where it says so.
    pub(super) progress: f32,
    /// Signs of life so far.
    signs: Signs,
    /// Jobs that are not finished; absent in foreign workers.
    jobs: Option<u64>,
}

impl Worker {
    /// A worker over a channel.
    pub(super) fn new(channel: Channel, model_name: String, bond: Bond) -> Self {
        Self { channel, bond, model_name }
    }

    /// Writes down one window.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn transcribe(
        &self,
        mut request: stt::TranscribeFileRequest,
        length: Samples,
        is_silent: bool,
    ) -> Result<Transcript, Failure> {
        let mut client = SttWorkerClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        request.model.clone_from(&self.model_name);
        let (request_id, more_follows) = (request.request_id.clone(), request.more_follows);
        let reply = self.while_alive(client.transcribe_file(request)).await?.into_inner();
        let window = Window { request_id: &request_id, length, is_silent, more_follows };
        match lies::transcript(reply, window, &self.bond.counters) {
            Ok(transcript) => Ok(transcript),
            Err(caught) => Err(self.caught(caught).await),
        }
    }

    /// Begins to speak.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn speak(&self, mut request: tts::SynthesizeRequest) -> Result<Speech, Failure> {
        let mut client = TtsWorkerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        request.model.clone_from(&self.model_name);
        let ear = Ear::new(&request);
        let stream = self.while_alive(client.synthesize(request)).await?.into_inner();
        Ok(Speech { worker: self.clone(), stream, ear, ended: false })
    }

    /// Lists the voices.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn voices(&self) -> Result<tts::ListVoicesResponse, Failure> {
        let mut client = TtsWorkerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let request = tts::ListVoicesRequest { model: self.model_name.clone() };
        let reply = self.while_alive(client.list_voices(request)).await?;
        Ok(reply.into_inner())
    }

    /// Whether we started it.
    pub(super) fn is_ours(&self) -> bool {
        self.bond.is_ours
    }

    /// How it is; `None` where it does not answer in time or is gone.
    pub(super) async fn health(&self) -> Option<Health> {
        let channel = self.channel.clone();
        let reply = async {
            // The two contracts have the same answer, of two types.
            if self.bond.only_speaks {
                let reply = TtsWorkerClient::new(channel).health(tts::HealthRequest {}).await?.into_inner();
                Ok::<_, Status>((reply.status, reply.reason, reply.model_name, reply.engine, reply.metadata))
            } else {
                let reply = SttWorkerClient::new(channel).health(stt::HealthRequest {}).await?.into_inner();
                Ok((reply.status, reply.reason, reply.model_name, reply.engine, reply.metadata))
            }
        };
        let within = HEALTH.min(self.bond.patience);
        let (status, reason, model_name, engine, metadata) = timeout(within, reply).await.ok()?.ok()?;
        let number = |key: &str| metadata.get(key).and_then(|value| value.parse::<u64>().ok());
        Some(Health {
            status,
            reason,
            kind: metadata.get("kind").and_then(|kind| status::kind_of(kind)),
            build: named(metadata.get("build_id").map_or("", String::as_str)),
            model_name: named(&model_name),
            engine: named(&engine),
            progress: metadata.get("progress").and_then(|value| value.parse().ok()).unwrap_or(0.0),
            signs: Signs { beats: number("pulse"), processor: number("processor_ms").map(Duration::from_millis) },
            jobs: number("jobs"),
        })
    }

    /// Waits for an answer as long as the worker shows signs of life.
    async fn while_alive<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        let mut answer = std::pin::pin!(answer);
        let mut vitals = Vitals::new(self.bond.patience, Instant::now());
        loop {
            match timeout(vitals.next_look(), &mut answer).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(status)) => return Err(self.why(status).await),
                Err(_) => {
                    let signs = self.health().await.map(|health| health.signs);
                    if vitals.hangs(signs, Instant::now()) {
                        return Err(Failure::Lost(self.put_down(Cause::Hung, String::new()).await));
                    }
                }
            }
        }
    }

    /// Waits until the engine has ended work that nobody waits for any more; one that does not end is put down.
    pub(super) async fn at_rest(&self) {
        let mut vitals = Vitals::new(self.bond.patience, Instant::now());
        let mut pause = Duration::from_millis(1);
        while self.bond.death.borrow().is_none() {
            let health = self.health().await;
            // Elsewhere the jobs may be those of other callers.
            let is_done = |health: &Health| health.jobs.unwrap_or(0) == 0 || !self.bond.is_ours;
            if health.as_ref().is_some_and(is_done) {
                return;
            }
            if vitals.hangs(health.map(|health| health.signs), Instant::now()) {
                let death = self.put_down(Cause::Hung, String::new()).await;
                tracing::warn!(cause = %death.cause, "Worker did not end its work.");
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(vitals.next_look());
        }
    }

    /// What a failed call means.
    async fn why(&self, status: Status) -> Failure {
        if status::is_ours(&status) {
            let error = Error::from(status);
            return match error.kind() {
                Kind::Internal => Failure::Lost(self.put_down(Cause::Failed, error.to_string()).await),
                Kind::InvalidInput if error.details().field.as_deref() == Some("model") => {
                    Failure::Lost(self.put_down(Cause::Mistaken, error.to_string()).await)
                }
                _ => Failure::Refused(error),
            };
        }
        match lies::unreadable(&status) {
            Some(Ok(caught)) => return self.caught(caught).await,
            Some(Err(detail)) => return Failure::Lost(self.put_down(Cause::Garbled, detail).await),
            None => {}
        }
        // What the transport makes of a broken connection has a source; what a worker says has none.
        if !self.bond.is_ours && status.source().is_none() {
            return self.foreign(status).await;
        }
        match self.death_notice().await {
            Some(death) => Failure::Lost(death),
            None => Failure::Lost(self.put_down(Cause::Garbled, String::new()).await),
        }
    }

    /// What the status of a worker means that knows nothing of our details.
    async fn foreign(&self, status: Status) -> Failure {
        let detail = status.message().to_owned();
        match status.code() {
            Code::Unknown | Code::Internal | Code::DataLoss => {
                Failure::Lost(self.put_down(Cause::Failed, detail).await)
            }
            // It is going, or never was what it should be.
            Code::Unavailable | Code::Cancelled | Code::Aborted => {
                Failure::Lost(self.put_down(Cause::Disconnected, detail).await)
            }
            _ => Failure::Refused(status.into()),
        }
    }

    /// Ends a worker that lied.
    async fn caught(&self, Caught { lie, detail }: Caught) -> Failure {
        Failure::Lost(self.put_down(Cause::Lied(lie), detail).await)
    }

    /// Waits a little for the word of how the process ended.
    async fn death_notice(&self) -> Option<Death> {
        let mut death = self.bond.death.clone();
        let notice = timeout(DEATH_NOTICE, death.wait_for(Option::is_some)).await.ok()?;
        // Without a keeper the whole supervisor has stopped, and its workers with it.
        let unknown = Death::of(Cause::Stopped);
        Some(notice.ok().and_then(|death| death.clone()).unwrap_or(unknown))
    }

    /// Has it killed, and says how it ended.
    pub(crate) async fn put_down(&self, cause: Cause, detail: String) -> Death {
        if let Cause::Lied(lie) = cause {
            self.bond.counters.count(lie);
        }
        if let Err(error) = self.bond.condemn.try_send(Sentence { cause, detail: detail.clone() }) {
            // Somebody asked before us, or it is gone; either way it ends.
            tracing::debug!(%error, "Worker is condemned already.");
        }
        // Without an answer it sticks in the kernel.
        self.death_notice().await.unwrap_or(Death { detail, ..Death::of(cause) })
    }
}

/// Audio from a worker, as it is made.
#[derive(Debug)]
pub(crate) struct Speech {
    worker: Worker,
    stream: Streaming<tts::SynthesizeChunk>,
    ear: Ear,
    ended: bool,
}

impl Speech {
    /// The next chunk; `None` once the worker has said that it was all.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn next(&mut self) -> Result<Option<tts::SynthesizeChunk>, Failure> {
        if self.ended {
            return Ok(None);
        }
        let Some(chunk) = self.worker.while_alive(self.stream.message()).await? else {
            // Neither an error nor the end: a stream that breaks off here was not finished.
            return Err(Failure::Lost(self.worker.put_down(Cause::Garbled, String::new()).await));
        };
        if let Err(caught) = self.ear.hear(&chunk) {
            return Err(self.worker.caught(caught).await);
        }
        self.ended = chunk.is_last;
        Ok(Some(chunk))
    }
}

/// A name that a worker gives, as far as it can be shown.
fn named(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(NAME).collect()
}

/// Waits until a worker that was just started is ready, and tells how it gets on.
///
/// # Errors
/// What the engine says where it cannot load its model; `None` where it gives no answer until the deadline.
pub(super) async fn ready(
    worker: &Worker,
    deadline: Duration,
    progress: &watch::Sender<f32>,
) -> Option<Result<Health>> {
    let asking = async {
        let mut pause = Duration::from_millis(1);
        let mut answered = Instant::now();
        loop {
            let health = worker.health().await;
            if health.is_none() && answered.elapsed() >= worker.bond.patience.max(FIRST_ANSWER) {
                return None;
            }
            if let Some(health) = health {
                answered = Instant::now();
                match health.status.as_str() {
                    "ok" => return Some(Ok(health)),
                    "error" => {
                        let reason = if health.reason.is_empty() { "it gives no reason" } else { &health.reason };
                        return Some(Err(Error::new(health.kind.unwrap_or(Kind::Internal), reason)));
                    }
                    _ => {
                        progress
                            .send_if_modified(|before| std::mem::replace(before, health.progress) != health.progress);
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    };
    timeout(deadline, asking).await.ok().flatten()
}
