//! The keeper of one worker: starts it, sees that it becomes ready, waits for its end, and tells the supervisor first.

use crate::{
    error::{Error, Kind},
    server::supervisor::{
        KeeperEvent, Settings,
        death::{Cause, Death},
        process::Process,
        roster::{Event, WorkerNumber},
        worker::{self, Worker},
    },
    speech::ModelId,
};
use tokio::sync::{mpsc, watch};

/// Requests to end a worker that wait. One is enough; the others want the same.
const CONDEMNATIONS: usize = 1;

/// Runs for the whole life of one worker.
pub(super) async fn keep(
    number: WorkerNumber,
    model: ModelId,
    settings: Settings,
    events: mpsc::Sender<KeeperEvent>,
    mut stop: watch::Receiver<()>,
) {
    let (mut process, channel) = match Process::start(&model, &settings) {
        Ok(started) => started,
        Err(error) => {
            tracing::error!(%model, %error, "Worker cannot be started.");
            tell(&events, Event::CannotLoad { number, error }).await;
            return;
        }
    };
    let pid = process.pid;
    tracing::info!(%model, pid, "Worker started.");
    let (death_sender, death) = watch::channel(None);
    let (condemn, mut condemned) = mpsc::channel(CONDEMNATIONS);
    let speaks = matches!(model, ModelId::Espeak);
    let worker = Worker::new(channel, pid, death, condemn, settings.hang_timeout, speaks);

    let readiness = worker::ready(&worker, settings.load_timeout);
    let cause = tokio::select! {
        cause = process.ended() => Some(cause),
        () = stopped(&mut stop) => {
            process.kill().await;
            Some(Cause::Stopped)
        }
        answer = readiness => match answer {
            Some(Ok(health)) => {
                tracing::info!(%model, pid, build = health.build_id.as_deref().unwrap_or("unknown"), "Worker ready.");
                None
            }
            Some(Err(error)) => {
                process.kill().await;
                tell(&events, Event::CannotLoad { number, error }).await;
                return;
            }
            None => {
                process.kill().await;
                Some(Cause::NeverReady)
            }
        },
    };
    let cause = match cause {
        Some(cause) => cause,
        None => {
            tell(&events, Event::Ready { number, worker }).await;
            until_the_end(&mut process, &mut condemned, &mut stop, (number, &events)).await
        }
    };
    let death = process.death(cause).await;
    log(&model, pid, &death);
    // The supervisor first: nobody who then hears of the death can get this worker again.
    tell(&events, Event::Dead { number, death: death.clone() }).await;
    death_sender.send_replace(Some(death));
}

/// Waits for the death, or for the wish for it.
async fn until_the_end(
    process: &mut Process,
    condemned: &mut mpsc::Receiver<Cause>,
    stop: &mut watch::Receiver<()>,
    (number, events): (WorkerNumber, &mpsc::Sender<KeeperEvent>),
) -> Cause {
    tokio::select! {
        // One that has seen its connection close, before we came to look.
        cause = process.ended() => if cause == Cause::Exit(0) && condemned.is_closed() { Cause::Stopped } else { cause },
        () = stopped(stop) => {
            process.end().await;
            Cause::Stopped
        }
        sentence = condemned.recv() => match sentence {
            Some(cause) => {
                // A process that is dying anyway tells the truth better than whoever lost patience with it.
                match tokio::time::timeout(std::time::Duration::from_millis(50), process.ended()).await {
                    Ok(own) => own,
                    Err(_) => {
                        // Dying may take its time, in which nobody must get this worker.
                        tell(events, Event::Dead { number, death: Death { cause, last_words: Vec::new() } }).await;
                        process.kill().await;
                        cause
                    }
                }
            }
            // Nobody holds the worker any more, so its connection is closed.
            None => {
                process.end().await;
                Cause::Stopped
            }
        },
    }
}

/// Waits until the supervisor stops, which it says by dropping its end.
async fn stopped(stop: &mut watch::Receiver<()>) {
    while stop.changed().await.is_ok() {}
}

fn log(model: &ModelId, pid: u32, death: &Death) {
    match death.cause {
        Cause::Stopped => tracing::info!(%model, pid, "Worker stopped."),
        cause => {
            let said = death.last_words.last().map_or("", String::as_str);
            tracing::warn!(%model, pid, cause = %cause.word(), said, "Worker died.");
        }
    }
}

/// Tells the supervisor, which is gone only when everything stops.
async fn tell(events: &mpsc::Sender<KeeperEvent>, event: KeeperEvent) {
    if events.send(event).await.is_err() {
        tracing::debug!(error = %Error::new(Kind::Unavailable, "the server is stopping"), "Nobody to tell.");
    }
}
