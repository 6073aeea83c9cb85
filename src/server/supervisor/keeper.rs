//! The keeper of one worker: starts it, or calls it; sees that it becomes ready, and that it lives; waits for its end,
//! and tells the supervisor first.

use crate::{
    error::{Error, Kind},
    server::supervisor::{
        KeeperEvent, Settings,
        connection::Connection,
        death::{Cause, Death},
        host::Host,
        lies::Counters,
        process::Process,
        roster::Event,
        spawner::Spawner,
        view::{Body, WorkerNumber},
        worker::{self, Bond, Health, Sentence, Worker},
    },
    speech::ModelId,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tonic::transport::Channel;

/// Requests to end a worker that wait. One is enough; the others want the same.
const CONDEMNATIONS: usize = 1;

/// How often an idle worker is asked how it is, at most.
const ROUNDS: Duration = Duration::from_secs(5);

/// How long a process that is said to be bad may take to die by itself, which tells more.
const OWN_DEATH: Duration = Duration::from_millis(50);

/// How long dying may take.
const DYING: Duration = Duration::from_secs(1);

/// What a keeper is given.
#[derive(Debug)]
pub(super) struct Charge {
    /// Which worker.
    pub(super) number: WorkerNumber,
    /// Of which model.
    pub(super) model: ModelId,
    /// By which rules.
    pub(super) settings: Settings,
    /// Who starts processes.
    pub(super) spawner: Spawner,
    /// Where lies are counted.
    pub(super) counters: Arc<Counters>,
    /// What the model calls itself, where that is known.
    pub(super) expected: Option<String>,
    /// The connection of a worker that came by itself.
    pub(super) guest: Option<Guest>,
    /// Whom to tell.
    pub(super) events: mpsc::Sender<KeeperEvent>,
    /// Dropped when the worker is not needed any more.
    pub(super) needed: oneshot::Receiver<()>,
    /// Dropped when everything stops.
    pub(super) stop: watch::Receiver<()>,
}

/// A worker that came by itself.
#[derive(Debug)]
pub(super) struct Guest {
    /// What we have hold of.
    pub(super) connection: Connection,
    /// How we speak to it.
    pub(super) channel: Channel,
    /// What it said of itself.
    pub(super) body: Body,
}

/// Runs for the whole life of one worker.
pub(super) async fn keep(mut charge: Charge) {
    let (number, model) = (charge.number, charge.model.clone());
    let guest = charge.guest.take();
    let housed = tokio::select! {
        housed = host(&charge.model, &charge.settings, &charge.spawner, guest) => housed,
        () = let_go(&mut charge.needed, &mut charge.stop) => {
            return tell(&charge.events, Event::Dead { number, death: Death::of(Cause::Stopped) }).await;
        }
    };
    let (mut host, channel, body) = match housed {
        Ok(housed) => housed,
        Err(NoHost::CannotStart(error)) => {
            tracing::error!(%model, %error, "Worker cannot be started.");
            return tell(&charge.events, Event::CannotLoad { number, error }).await;
        }
        Err(NoHost::Unreachable(detail)) => {
            tracing::warn!(%model, detail, "Worker cannot be reached.");
            let death = Death { detail, ..Death::of(Cause::Unreachable) };
            return tell(&charge.events, Event::Dead { number, death }).await;
        }
    };
    let pid = body.pid;
    tracing::info!(%model, pid, "Worker started.");
    tell(&charge.events, Event::Started { number, body: body.clone() }).await;
    let (death_sender, death) = watch::channel(None);
    let (condemn, condemned) = mpsc::channel(CONDEMNATIONS);
    let bond = Bond {
        death,
        condemn,
        patience: charge.settings.hang_timeout,
        only_speaks: !model.recognises(),
        is_ours: matches!(host, Host::Process(_)),
        counters: Arc::clone(&charge.counters),
    };
    let worker = Worker::new(channel, charge.expected.clone().unwrap_or_default(), bond);
    let end = match until_ready(&mut charge, &mut host, worker, body).await {
        Ok(worker) => until_the_end(&mut charge, &mut host, worker, condemned).await,
        Err(NotReady::Ends(sentence)) => sentence,
        Err(NotReady::CannotLoad(error)) => {
            return tell(&charge.events, Event::CannotLoad { number, error }).await;
        }
    };
    let death = host.death(end.cause, end.detail).await;
    log(&model, pid, &death);
    // The supervisor first: nobody who then hears of the death can get this worker again.
    tell(&charge.events, Event::Dead { number, death: death.clone() }).await;
    death_sender.send_replace(Some(death));
}

/// Why there is nothing to keep.
enum NoHost {
    CannotStart(Error),
    Unreachable(String),
}

/// Gets hold of the worker.
async fn host(
    model: &ModelId,
    settings: &Settings,
    spawner: &Spawner,
    guest: Option<Guest>,
) -> Result<(Host, Channel, Body), NoHost> {
    if let Some(Guest { connection, channel, body }) = guest {
        return Ok((Host::Connection(connection), channel, body));
    }
    if let ModelId::Called { address, .. } = model {
        return match Connection::call(address).await {
            Ok((connection, channel)) => {
                let body = Body { address: address.clone(), ..Body::default() };
                Ok((Host::Connection(connection), channel, body))
            }
            Err(cause) => Err(NoHost::Unreachable(cause.to_string())),
        };
    }
    match Process::start(model, settings, spawner).await {
        Ok((process, channel)) => {
            let engine = model.engine().to_owned();
            let body = Body { pid: process.pid, engine, ..Body::default() };
            Ok((Host::Process(process), channel, body))
        }
        Err(error) => Err(NoHost::CannotStart(error)),
    }
}

/// Why a worker did not become ready.
enum NotReady {
    Ends(Sentence),
    CannotLoad(Error),
}

fn ends(cause: Cause) -> Sentence {
    Sentence { cause, detail: String::new() }
}

/// Sees that the worker becomes ready, and that it is the one that is meant.
async fn until_ready(
    charge: &mut Charge,
    host: &mut Host,
    mut worker: Worker,
    mut body: Body,
) -> Result<Worker, NotReady> {
    let number = charge.number;
    let (progress, told) = watch::channel(0.0);
    let health = tokio::select! {
        cause = host.ended() => return Err(NotReady::Ends(ends(cause))),
        () = pass_on(number, told, charge.events.clone()) => return Err(NotReady::Ends(ends(Cause::Stopped))),
        () = let_go(&mut charge.needed, &mut charge.stop) => {
            put_away(host).await;
            return Err(NotReady::Ends(ends(Cause::Stopped)));
        }
        health = worker::ready(&worker, charge.settings.load_timeout, &progress) => health,
    };
    let health: Health = match health {
        Some(Ok(health)) => health,
        Some(Err(error)) => {
            put_away(host).await;
            return Err(NotReady::CannotLoad(error));
        }
        None => {
            let cause = if host.is_frozen() { Cause::Frozen } else { Cause::NeverReady };
            put_away(host).await;
            return Err(NotReady::Ends(ends(cause)));
        }
    };
    if let Some(expected) = charge.expected.as_deref().filter(|expected| *expected != health.model_name) {
        let detail = format!("it has model `{}`, not `{expected}`", health.model_name);
        put_away(host).await;
        return Err(NotReady::Ends(Sentence { cause: Cause::Mistaken, detail }));
    }
    if !health.engine.is_empty() {
        body.engine = health.engine;
    }
    body.build = health.build;
    tracing::info!(model = %charge.model, pid = body.pid, build = body.build, "Worker ready.");
    worker.model_name = health.model_name;
    let memory = host.memory();
    tell(&charge.events, Event::Ready { number, worker: worker.clone(), body, memory }).await;
    Ok(worker)
}

/// Ends a worker that never was of use. One that sticks in the kernel is not waited for.
async fn put_away(host: &mut Host) {
    if timeout(DYING, host.kill()).await.is_err() {
        tracing::warn!("A worker does not end although it was killed.");
    }
}

/// Tells how loading goes, for as long as it goes.
async fn pass_on(number: WorkerNumber, mut told: watch::Receiver<f32>, events: mpsc::Sender<KeeperEvent>) {
    while told.changed().await.is_ok() {
        let progress = *told.borrow_and_update();
        tell(&events, Event::Progress { number, progress }).await;
    }
}

/// Waits for the death, or for the wish for it; now and then asks the worker how it is.
async fn until_the_end(
    charge: &mut Charge,
    host: &mut Host,
    worker: Worker,
    mut condemned: mpsc::Receiver<Sentence>,
) -> Sentence {
    let patience = charge.settings.hang_timeout;
    let mut rounds = interval(ROUNDS.min(patience / 2));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered = Instant::now();
    loop {
        tokio::select! {
            cause = host.ended() => return ends(cause),
            () = let_go(&mut charge.needed, &mut charge.stop) => {
                // With the last handle its connection closes, at which the process ends.
                drop(worker);
                host.end().await;
                return ends(Cause::Stopped);
            }
            Some(sentence) = condemned.recv() => return carry_out(charge, host, sentence).await,
            is_well = async { rounds.tick().await; worker.health().await.is_some() } => {
                host.look();
                if is_well {
                    answered = Instant::now();
                } else if answered.elapsed() >= patience {
                    return carry_out(charge, host, ends(Cause::Hung)).await;
                }
            }
        }
    }
}

/// Ends a worker that is of no use any more.
async fn carry_out(charge: &Charge, host: &mut Host, mut sentence: Sentence) -> Sentence {
    if sentence.cause == Cause::Hung && host.is_frozen() {
        sentence.cause = Cause::Frozen;
    }
    if matches!(sentence.cause, Cause::Garbled | Cause::Hung | Cause::Disconnected)
        && let Ok(own) = timeout(OWN_DEATH, host.ended()).await
    {
        // A process that is dying anyway tells the truth better than whoever lost patience with it.
        return ends(own);
    }
    if timeout(DYING, host.kill()).await.is_err() {
        // It sticks in the kernel. Nobody must get this worker, however long that takes.
        let death = Death { detail: sentence.detail.clone(), ..Death::of(sentence.cause) };
        tell(&charge.events, Event::Dead { number: charge.number, death }).await;
        host.kill().await;
    }
    sentence
}

/// Waits until the worker is not needed any more, or nothing is.
async fn let_go(needed: &mut oneshot::Receiver<()>, stop: &mut watch::Receiver<()>) {
    tokio::select! {
        // Both say it by dropping their ends.
        _ = needed => {}
        () = async { while stop.changed().await.is_ok() {} } => {}
    }
}

fn log(model: &ModelId, pid: u32, death: &Death) {
    match death.cause {
        Cause::Stopped => tracing::info!(%model, pid, "Worker stopped."),
        cause => {
            let said = death.last_words.last().map_or("", String::as_str);
            tracing::warn!(%model, pid, cause = %cause.word(), detail = death.detail, said, "Worker died.");
        }
    }
}

/// Tells the supervisor, which is gone only when everything stops.
async fn tell(events: &mpsc::Sender<KeeperEvent>, event: KeeperEvent) {
    if events.send(event).await.is_err() {
        tracing::debug!(error = %Error::new(Kind::Unavailable, "the server is stopping"), "Nobody to tell.");
    }
}
