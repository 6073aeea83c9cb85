//! Typed calls to one worker. Every way of losing it becomes `Lost`.
//!
//! The code of a dead channel says nothing, so none is looked at: a status that no speechctl process made on purpose
//! means that the worker is lost, and the process itself says how.

use crate::{
    error::{Error, Kind, Result},
    proto::{
        status,
        stt::{self, stt_worker_client::SttWorkerClient},
        tts::{self, tts_worker_client::TtsWorkerClient},
    },
    server::supervisor::{
        death::{Cause, Death},
        vitals::{Signs, Vitals},
    },
};
use std::{future::Future, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tonic::{Status, Streaming, transport::Channel};

/// A window of 30 s takes 1 MB, its transcript much less. Foreign workers may be more generous.
const MAX_MESSAGE: usize = 64 << 20;

/// How long it may take from a broken call to the word of how the process ended.
const DEATH_NOTICE: Duration = Duration::from_secs(2);

/// How long a worker may take to say how it is.
const HEALTH: Duration = Duration::from_secs(2);

/// A worker that is ready.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    channel: Channel,
    /// Its process.
    pub(super) pid: u32,
    death: watch::Receiver<Option<Death>>,
    /// Asks its keeper to end it, and says why.
    condemn: mpsc::Sender<Cause>,
    /// How long it may be silent.
    patience: Duration,
    speaks: bool,
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
    pub(super) build_id: Option<String>,
    /// Signs of life so far.
    signs: Signs,
    /// Jobs that are not finished; absent in foreign workers.
    jobs: Option<u64>,
}

impl Worker {
    /// A worker over a channel, whose keeper publishes its death and takes requests to end it.
    pub(super) fn new(
        channel: Channel,
        pid: u32,
        death: watch::Receiver<Option<Death>>,
        condemn: mpsc::Sender<Cause>,
        patience: Duration,
        speaks: bool,
    ) -> Self {
        Self { channel, pid, death, condemn, patience, speaks }
    }

    /// Writes down one window.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn transcribe(
        &self,
        request: stt::TranscribeFileRequest,
    ) -> Result<stt::TranscribeFileResponse, Failure> {
        let mut client = SttWorkerClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let reply = self.while_alive(client.transcribe_file(request)).await?;
        Ok(reply.into_inner())
    }

    /// Begins to speak.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn speak(&self, request: tts::SynthesizeRequest) -> Result<Speech, Failure> {
        let mut client = TtsWorkerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let request_id = request.request_id.clone();
        let stream = self.while_alive(client.synthesize(request)).await?.into_inner();
        Ok(Speech { worker: self.clone(), stream, request_id, ended: false })
    }

    /// Lists the voices.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(crate) async fn voices(&self) -> Result<tts::ListVoicesResponse, Failure> {
        let mut client = TtsWorkerClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        let reply = self.while_alive(client.list_voices(tts::ListVoicesRequest::default())).await?;
        Ok(reply.into_inner())
    }

    /// How it is; `None` where it does not answer in time or is gone.
    pub(super) async fn health(&self) -> Option<Health> {
        let channel = self.channel.clone();
        let reply = async {
            if self.speaks {
                let reply = TtsWorkerClient::new(channel).health(tts::HealthRequest {}).await?.into_inner();
                Ok::<_, Status>((reply.status, reply.reason, reply.metadata))
            } else {
                let reply = SttWorkerClient::new(channel).health(stt::HealthRequest {}).await?.into_inner();
                Ok((reply.status, reply.reason, reply.metadata))
            }
        };
        let (status, reason, metadata) = timeout(HEALTH.min(self.patience), reply).await.ok()?.ok()?;
        let number = |key: &str| metadata.get(key).and_then(|value| value.parse::<u64>().ok());
        Some(Health {
            status,
            reason,
            kind: metadata.get("kind").and_then(|kind| status::kind_of(kind)),
            build_id: metadata.get("build_id").cloned(),
            signs: Signs { beats: number("pulse"), processor: number("processor_ms").map(Duration::from_millis) },
            jobs: number("jobs"),
        })
    }

    /// Waits for an answer as long as the worker shows signs of life.
    async fn while_alive<T>(&self, answer: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        let mut answer = std::pin::pin!(answer);
        let mut vitals = Vitals::new(self.patience, Instant::now());
        loop {
            match timeout(vitals.next_look(), &mut answer).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(status)) => return Err(self.why(status).await),
                Err(_) => {
                    let signs = self.health().await.map(|health| health.signs);
                    if vitals.hangs(signs, Instant::now()) {
                        return Err(Failure::Lost(self.put_down(Cause::Hung).await));
                    }
                }
            }
        }
    }

    /// Waits until the engine has ended work that nobody waits for any more; one that does not end is put down.
    pub(super) async fn at_rest(&self) {
        let mut vitals = Vitals::new(self.patience, Instant::now());
        let mut pause = Duration::from_millis(1);
        while self.death.borrow().is_none() {
            let health = self.health().await;
            if health.as_ref().is_some_and(|health| health.jobs.unwrap_or(0) == 0) {
                return;
            }
            if vitals.hangs(health.map(|health| health.signs), Instant::now()) {
                let death = self.put_down(Cause::Hung).await;
                tracing::warn!(pid = self.pid, cause = %death.cause, "Worker did not end its work.");
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(vitals.next_look());
        }
    }

    /// What a failed call means.
    async fn why(&self, status: Status) -> Failure {
        if status::is_ours(&status) {
            return Failure::Refused(status.into());
        }
        match self.death_notice().await {
            Some(death) => Failure::Lost(death),
            None => Failure::Lost(self.put_down(Cause::Garbled).await),
        }
    }

    /// Waits a little for the word of how the process ended.
    async fn death_notice(&self) -> Option<Death> {
        let mut death = self.death.clone();
        let notice = timeout(DEATH_NOTICE, death.wait_for(Option::is_some)).await.ok()?;
        // Without a keeper the whole supervisor has stopped, and its workers with it.
        let unknown = Death { cause: Cause::Stopped, last_words: Vec::new() };
        Some(notice.ok().and_then(|death| death.clone()).unwrap_or(unknown))
    }

    /// Has it killed, and says how it ended.
    pub(crate) async fn put_down(&self, cause: Cause) -> Death {
        if let Err(error) = self.condemn.try_send(cause) {
            // Somebody asked before us, or it is gone; either way it ends.
            tracing::debug!(pid = self.pid, %error, "Worker is condemned already.");
        }
        // Without an answer it sticks in the kernel.
        self.death_notice().await.unwrap_or(Death { cause, last_words: Vec::new() })
    }
}

/// Audio from a worker, as it is made.
#[derive(Debug)]
pub(crate) struct Speech {
    worker: Worker,
    stream: Streaming<tts::SynthesizeChunk>,
    request_id: String,
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
            return Err(Failure::Lost(self.worker.put_down(Cause::Garbled).await));
        };
        check(&chunk, &self.request_id)?;
        self.ended = chunk.is_last;
        Ok(Some(chunk))
    }
}

/// Refuses a chunk that cannot be.
fn check(chunk: &tts::SynthesizeChunk, request_id: &str) -> Result<(), Error> {
    let lie = |what: String| Error::new(Kind::Internal, format!("the engine's answer makes no sense: {what}"));
    if !chunk.request_id.is_empty() && chunk.request_id != request_id {
        return Err(lie(format!("it answered request `{}` instead of `{request_id}`", chunk.request_id)));
    }
    if !chunk.audio_data.len().is_multiple_of(2) {
        return Err(lie("it sent half a sample".to_owned()));
    }
    Ok(())
}

/// Waits until a worker that was just started is ready.
///
/// # Errors
/// What the engine says where it cannot load its model; `None` where it gives no answer until the deadline.
pub(super) async fn ready(worker: &Worker, deadline: Duration) -> Option<Result<Health>> {
    let asking = async {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(health) = worker.health().await {
                match health.status.as_str() {
                    "ok" => return Ok(health),
                    "error" => return Err(Error::new(health.kind.unwrap_or(Kind::Internal), health.reason)),
                    _ => {}
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    };
    timeout(deadline, asking).await.ok()
}
