//! Who kills: at moments that were drawn before anything began, and so do not depend on what the server does.

use super::{proxy::Wire, random::Random, scene::Scene, server::Server};
use crate::{
    client::Connection,
    error::{Error, Kind, Result},
    proto::v1::{self, WorkerState},
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How long it may take until there is somebody to kill, or something to cut.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the server may take to list its workers.
const LIST: Duration = Duration::from_secs(2);

/// The pause before another look.
const PAUSE: Duration = Duration::from_millis(10);

/// How much likelier a worker is to be killed that has a call in work. All others wait: of a model that decodes one
/// window at a time, that is the spare, whose death costs nobody anything.
const AT_WORK: usize = 6;

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    /// SIGKILL for a worker.
    Engine,
    /// SIGKILL for the server.
    Server,
    /// The connection of a client.
    Cut,
}

/// The blows in their order, with their moments from 0 to 1.
pub(super) fn schedule(random: &mut Random, engines: usize, servers: usize, cuts: usize) -> Vec<(f64, Blow)> {
    let blows = [(Blow::Engine, engines), (Blow::Server, servers), (Blow::Cut, cuts)];
    let blows = blows.into_iter().flat_map(|(blow, count)| std::iter::repeat_n(blow, count));
    let mut schedule: Vec<(f64, Blow)> = blows.map(|blow| (random.between(0.0, 1.0), blow)).collect();
    schedule.sort_by(|one, other| one.0.total_cmp(&other.0));
    schedule
}

/// What was done.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(super) struct Toll {
    /// Workers, by what they were doing, as the server told it.
    pub(super) engines: BTreeMap<&'static str, usize>,
    /// Servers.
    pub(super) servers: usize,
    /// Connections.
    pub(super) cuts: usize,
}

impl Toll {
    /// All workers.
    pub(super) fn engines(&self) -> usize {
        self.engines.values().sum()
    }

    /// The part of them that was in the middle of a decode.
    pub(super) fn mid_decode(&self) -> f64 {
        let busy = self.engines.get("busy").copied().unwrap_or_default();
        busy as f64 / self.engines().max(1) as f64
    }
}

/// Who kills.
pub(super) struct Killer<'a> {
    pub(super) server: &'a mut Server,
    pub(super) scene: &'a Scene,
    pub(super) wires: &'a [Arc<Wire>],
    pub(super) random: Random,
    pub(super) toll: Toll,
    /// A line to the server, as long as it lives.
    pub(super) line: Option<Connection>,
}

impl Killer<'_> {
    /// Does all of it within a span. `tell` hears of each blow.
    ///
    /// # Errors
    /// `Unavailable` where the server ends by itself or does not come back; `Internal` where nobody is there to be killed.
    pub(super) async fn run(&mut self, schedule: &[(f64, Blow)], span: Duration, tell: impl Fn(&Toll)) -> Result<()> {
        let began = Instant::now();
        for (moment, blow) in schedule {
            sleep_until(began + span.mul_f64(*moment)).await;
            self.server.check()?;
            let deadline = Instant::now() + PATIENCE;
            while !self.strike(*blow).await? {
                self.server.check()?;
                if Instant::now() > deadline {
                    let message = format!("for 60 s there was nothing to strike at: {blow:?}");
                    return Err(Error::new(Kind::Internal, message));
                }
                sleep(PAUSE).await;
            }
            tell(&self.toll);
        }
        self.server.listens().await.map(drop)
    }

    /// Tries once; says whether there was somebody.
    async fn strike(&mut self, blow: Blow) -> Result<bool> {
        match blow {
            Blow::Engine => Ok(self.kill_engine().await),
            Blow::Cut => Ok(self.cut()),
            Blow::Server => {
                self.server.kill_and_start()?;
                self.line = None;
                self.toll.servers += 1;
                Ok(true)
            }
        }
    }

    /// Cuts one of the connections that are there.
    fn cut(&mut self) -> bool {
        let first = self.random.below(self.wires.len());
        let wires = self.wires.iter().cycle().skip(first).take(self.wires.len());
        let is_cut = wires.into_iter().any(|wire| wire.cut());
        self.toll.cuts += usize::from(is_cut);
        is_cut
    }

    /// Kills one of the workers that the server tells of.
    async fn kill_engine(&mut self) -> bool {
        let Some(workers) = self.workers().await else {
            self.line = None;
            return false;
        };
        let mut victims = Vec::new();
        for worker in workers {
            if let (Some(phase), Ok(pid @ 1..)) = (phase(worker.state()), i32::try_from(worker.pid)) {
                let weight = if worker.state() == WorkerState::Busy { AT_WORK } else { 1 };
                victims.extend(std::iter::repeat_n((pid, phase), weight));
            }
        }
        if victims.is_empty() {
            return false;
        }
        let (pid, phase) = victims[self.random.below(victims.len())];
        let Some(pid) = Pid::from_raw(pid) else { return false };
        let killed = Instant::now();
        // It may have gone by itself a moment ago.
        if kill_process(pid, Signal::KILL).is_err() {
            return false;
        }
        if phase == "busy" {
            self.scene.kills.lock().unwrap_or_else(PoisonError::into_inner).push(killed);
        }
        *self.toll.engines.entry(phase).or_default() += 1;
        true
    }

    async fn workers(&mut self) -> Option<Vec<v1::Worker>> {
        if self.line.is_none() {
            self.line = timeout(LIST, self.server.connect()).await.ok()?.ok();
        }
        let mut models = self.line.as_ref()?.models();
        let request = v1::ListWorkersRequest { filter: "origin=started".to_owned(), ..Default::default() };
        Some(timeout(LIST, models.list_workers(request)).await.ok()?.ok()?.into_inner().workers)
    }
}

/// What a worker does, in a word; `None` where it is going anyway.
fn phase(state: WorkerState) -> Option<&'static str> {
    match state {
        WorkerState::Starting => Some("loading"),
        WorkerState::Idle => Some("idle"),
        WorkerState::Busy => Some("busy"),
        WorkerState::Checking => Some("checking"),
        WorkerState::Stopping | WorkerState::Gone | WorkerState::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_drawn_before() {
        let draw = |seed| schedule(&mut Random::new(seed, 0), 20, 3, 2);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let drawn = draw(1);
        assert!(drawn.is_sorted_by(|one, other| one.0 <= other.0));
        let count = |blow| drawn.iter().filter(|(_, drawn)| *drawn == blow).count();
        assert_eq!((count(Blow::Engine), count(Blow::Server), count(Blow::Cut)), (20, 3, 2));
    }

    #[test]
    fn the_share_of_those_at_work_is_told() {
        let engines = BTreeMap::from([("busy", 6), ("idle", 3), ("loading", 1)]);
        assert_eq!(Toll { engines, ..Toll::default() }.mid_decode(), 0.6);
        assert_eq!(Toll::default().mid_decode(), 0.0);
    }
}
