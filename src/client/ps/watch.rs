//! `speechctl ps --watch`: every change, as the server tells of it.

use super::{PATIENCE, document, screen::Screen, seen::Seen, table, words};
use crate::{
    client::{
        Connection,
        output::{Output, closed_pipe, printable},
    },
    error::{Error, Kind, Result},
    proto::v1::{self, watch_response::Event},
};
use prost_types::Timestamp;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How often ages are drawn anew.
const TICK: Duration = Duration::from_secs(1);

/// How long changes that come together may wait for each other, to be drawn at once.
const GATHER: Duration = Duration::from_millis(50);

/// How long a server may be silent before it is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(5);

/// How changes are shown.
pub(super) enum Face {
    /// As a table that is drawn again in place.
    Screen(Screen),
    /// As a line each.
    Lines(Output),
    /// As a JSON document each.
    Documents(Output),
}

/// What is known, and how it is shown.
struct Show {
    seen: Seen,
    face: Face,
    /// When the table is to be drawn next.
    due: Instant,
}

impl Face {
    /// A table in place.
    pub(super) fn screen(output: Output) -> Self {
        Face::Screen(Screen::new(output))
    }
}

/// Shows changes until the server goes away.
///
/// # Errors
/// `Unavailable` once it is; nothing else ends it but a signal, the time limit, or a reader that has seen enough.
pub(super) async fn run(connection: &Connection, face: Face) -> Result<()> {
    let gone = |message: &str| Error::new(Kind::Unavailable, format!("{message}; watch again once one runs"));
    let mut client = connection.models();
    let began = connection.answer(client.watch(connection.request(v1::WatchRequest {})));
    let silent = || gone("the server takes connections, but does not answer");
    let mut changes = timeout(PATIENCE, began).await.unwrap_or_else(|_| Err(silent()))?.into_inner();
    let mut show = Show { seen: Seen::default(), face, due: Instant::now() + TICK };
    let mut vanished = std::pin::pin!(vanished(connection));
    loop {
        tokio::select! {
            change = connection.answer(changes.message()) => match change? {
                Some(change) => show.take(change)?,
                None => return Err(gone("the server went away")),
            },
            () = sleep_until(show.due) => show.draw()?,
            () = &mut vanished => return Err(gone("the server does not answer any more")),
        }
    }
}

/// Waits until the server gives no answer: nothing may change for hours, and a machine that is switched off says
/// nothing either.
async fn vanished(connection: &Connection) {
    loop {
        sleep(SILENCE).await;
        if !connection.answers().await {
            return;
        }
    }
}

impl Show {
    /// Takes in a change. What a later version tells beside is passed over.
    fn take(&mut self, change: v1::WatchResponse) -> Result<()> {
        let now = SystemTime::now();
        let time = change.time.unwrap_or_else(|| now.into());
        let Some(event) = change.event else { return Ok(()) };
        match &self.face {
            Face::Documents(output) => return output.line(&document::event(event, &time)?),
            Face::Lines(output) => match &event {
                Event::Worker(worker) => output.line(&worker_line(worker, &time))?,
                Event::Model(model) => output.line(&model_line(model, &time))?,
                Event::Complete(_) => {}
            },
            Face::Screen(_) => self.due = self.due.min(Instant::now() + GATHER),
        }
        match event {
            Event::Worker(worker) => self.seen.worker(worker, now),
            Event::Model(model) => self.seen.model(model, now),
            Event::Complete(_) => {
                let gone = self.seen.complete();
                if let Face::Lines(output) = &self.face {
                    let clock = words::clock(&time);
                    for id in gone.workers {
                        output.line(&printable(&format!("{clock} {id} GONE: it ended unseen")))?;
                    }
                    for name in gone.models {
                        output.line(&printable(&format!("{clock} model `{name}` is gone")))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Draws the table, where there is one.
    fn draw(&mut self) -> Result<()> {
        self.due = Instant::now() + TICK;
        let screen = match &mut self.face {
            Face::Screen(screen) => screen,
            // Nothing may happen for hours, which nobody waits for who has seen enough.
            Face::Lines(output) | Face::Documents(output) => {
                return if output.is_read() { Ok(()) } else { Err(closed_pipe()) };
            }
        };
        let now = SystemTime::now();
        self.seen.forget(now);
        let mut lines = table::lines(&self.seen, now, Some(screen.width()));
        if self.seen.is_empty() {
            lines.push(table::NO_WORKER.to_owned());
        }
        screen.draw(lines)
    }
}

/// "12:00:01Z w3 BUSY mock pid 4711", "12:00:01Z w3 GONE: it was killed by SIGKILL".
fn worker_line(worker: &v1::Worker, time: &Timestamp) -> String {
    let start = format!("{} {} {}", words::clock(time), worker.id, table::state(worker));
    let line = match (worker.state(), &worker.last_death) {
        (v1::WorkerState::Gone, Some(death)) if !death.message.is_empty() => format!("{start}: {}", death.message),
        (v1::WorkerState::Gone, Some(death)) if !death.cause.is_empty() => format!("{start}: {}", death.cause),
        (v1::WorkerState::Gone, _) => start,
        _ if worker.pid > 0 => format!("{start} {} pid {}", worker.model, worker.pid),
        _ if !worker.address.is_empty() => format!("{start} {} at {}", worker.model, worker.address),
        _ => format!("{start} {}", worker.model),
    };
    printable(&line)
}

/// "12:00:01Z model `mock` READY, workers: 1", "12:00:01Z model `mock` failed: its reason; tried again in 4 s".
fn model_line(model: &v1::Model, time: &Timestamp) -> String {
    let start = format!("{} model `{}`", words::clock(time), model.name);
    let line = match model.state() {
        v1::ModelState::Failed => start + &table::failure(model, words::retry_after(model)),
        state => {
            let state = words::model_state(state).unwrap_or("?").replace('_', " ").to_uppercase();
            format!("{start} {state}, workers: {}", model.workers)
        }
    };
    printable(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp { seconds: 43_201, nanos: 0 };

    #[test]
    fn workers_are_told_of_in_a_line() {
        let mut worker =
            v1::Worker { id: "w3".to_owned(), model: "mock".to_owned(), pid: 4711, state: 3, ..Default::default() };
        assert_eq!(worker_line(&worker, &NOON), "12:00:01Z w3 BUSY mock pid 4711");
        (worker.state, worker.progress) = (1, 0.4);
        assert_eq!(worker_line(&worker, &NOON), "12:00:01Z w3 STARTING 40 % mock pid 4711");
        (worker.pid, worker.address) = (0, "10.0.0.2:50060".to_owned());
        assert_eq!(worker_line(&worker, &NOON), "12:00:01Z w3 STARTING 40 % mock at 10.0.0.2:50060");
        worker.state = v1::WorkerState::Gone.into();
        assert_eq!(worker_line(&worker, &NOON), "12:00:01Z w3 GONE");
        let message = "it was killed by SIGKILL".to_owned();
        worker.last_death = Some(v1::Death { message, ..Default::default() });
        assert_eq!(worker_line(&worker, &NOON), "12:00:01Z w3 GONE: it was killed by SIGKILL");
    }

    #[test]
    fn models_are_told_of_in_a_line() {
        let mut model = v1::Model { name: "a\nb".to_owned(), state: 1, ..Default::default() };
        assert_eq!(model_line(&model, &NOON), "12:00:01Z model `a\\nb` NOT LOADED, workers: 0");
        model.state = v1::ModelState::Failed.into();
        assert_eq!(model_line(&model, &NOON), "12:00:01Z model `a\\nb` failed");
        model.reason = "it is too large".to_owned();
        model.retry_after = Some(prost_types::Duration { seconds: 4, nanos: 0 });
        assert_eq!(model_line(&model, &NOON), "12:00:01Z model `a\\nb` failed: it is too large; tried again in 4 s");
    }
}
