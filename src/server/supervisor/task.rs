//! The task of the supervisor: takes messages, asks the roster, carries out what it decides.

mod inbox;

use crate::{
    error::{Error, Result},
    server::supervisor::{
        Granted, KeeperEvent, Lease, Settings,
        check::{self, Answers},
        death::{Cause, Death},
        directory::Directory,
        hold::Holds,
        keeper::{self, Charge, Guest},
        lies::Counters,
        memory,
        message::Message,
        roster::{Caller, Decision, Ended, Event, Moment, Policy, Roster},
        spawner::Spawner,
        view::{Change, ModelView, View, WorkerNumber},
        worker::{Failure, Worker},
    },
    speech::ModelId,
};
use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

/// Reports of keepers that wait.
const QUEUE: usize = 256;

/// Changes that wait for slow watchers; beyond it they are told everything anew.
const CHANGES: usize = 256;

/// How soon the roster may be woken again: it knows when, and need not be trusted with a whole processor.
const SHORTEST_SLEEP: Duration = Duration::from_millis(10);

/// How old what we know of free memory may be.
const MEMORY_AGE: Duration = Duration::from_secs(1);

type WorkerRoster = Roster<oneshot::Sender<Granted>, Worker>;

/// The task, and all that it owns.
pub(super) struct Task {
    settings: Settings,
    roster: WorkerRoster,
    spawner: Spawner,
    directory: Directory,
    counters: HashMap<ModelId, Arc<Counters>>,
    answers: Answers,
    /// Who has a model held.
    holds: watch::Receiver<BTreeMap<ModelId, usize>>,
    /// Who waits for a model that is loaded afresh.
    reloads: HashMap<ModelId, Vec<oneshot::Sender<Result<bool>>>>,
    /// Dropped to let a worker go.
    needed: HashMap<WorkerNumber, oneshot::Sender<()>>,
    /// Dropped to break off a check.
    checks: HashMap<WorkerNumber, oneshot::Sender<()>>,
    /// Keepers hear by it that they must end now; what they say after that nobody hears.
    stop: watch::Sender<()>,
    keepers: JoinSet<()>,
    keeper_events: mpsc::Sender<KeeperEvent>,
    /// Leases and checks that have not ended.
    uses: JoinSet<KeeperEvent>,
    /// Whom the tasks of both are about.
    owners: HashMap<Id, WorkerNumber>,
    free_memory: (Instant, Option<u64>),
    changes: broadcast::Sender<Change>,
    /// What the watchers know.
    told: Option<View>,
    defaults: watch::Sender<Vec<ModelView>>,
}

impl Task {
    /// A task that has nothing to do yet, and what its keepers will report.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn try_new(
        settings: Settings,
        directory: Directory,
        holds: &Holds,
        defaults: watch::Sender<Vec<ModelView>>,
    ) -> Result<(Self, mpsc::Receiver<KeeperEvent>)> {
        let policy = Policy {
            spares: settings.spares,
            idle_timeout: settings.idle_timeout,
            check_after: settings.self_check,
            min_residency: settings.min_residency,
            max_models: settings.max_models,
            max_loads: settings.max_loads,
            defaults: settings.defaults.clone(),
            preloaded: settings.preloaded.clone(),
        };
        // The hasher's keys are random, which is all that the jitter needs.
        let mut roster = Roster::new(policy, RandomState::new().build_hasher().finish());
        settings.called.iter().for_each(|model| roster.announce(model.clone()));
        let (keeper_events, reports) = mpsc::channel(QUEUE);
        let task = Self {
            roster,
            spawner: Spawner::start()?,
            directory,
            counters: HashMap::new(),
            answers: Answers::default(),
            holds: holds.watch(),
            reloads: HashMap::new(),
            needed: HashMap::new(),
            checks: HashMap::new(),
            stop: watch::channel(()).0,
            keepers: JoinSet::new(),
            keeper_events,
            uses: JoinSet::new(),
            owners: HashMap::new(),
            free_memory: (Instant::now(), memory::free()),
            changes: broadcast::channel(CHANGES).0,
            told: None,
            defaults,
            settings,
        };
        Ok((task, reports))
    }

    /// Runs until it is told to stop, or nobody is left who could tell it anything.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>, mut reports: mpsc::Receiver<KeeperEvent>) {
        let mut ticked = Instant::now();
        self.on(Event::Tick);
        let done = loop {
            let wake_at = self.roster.wake_at().map(|at| at.max(ticked + SHORTEST_SLEEP));
            if wake_at.is_some_and(|at| at <= Instant::now()) {
                // However much else happens: what is due is due.
                ticked = Instant::now();
                self.on(Event::Tick);
                continue;
            }
            let wake = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                // Deaths first: a lease that ends with its worker must not bring a dead one back. Then what frees
                // workers, before who wants some.
                biased;
                Some(event) = reports.recv() => event,
                Some(used) = self.uses.join_next_with_id() => match self.used(used) {
                    Some(event) => event,
                    None => continue,
                },
                Some(kept) = self.keepers.join_next_with_id() => match self.kept(kept) {
                    Some(event) => event,
                    None => continue,
                },
                Ok(()) = self.holds.changed() => {
                    self.note_holds();
                    continue;
                }
                message = inbox.recv() => match message {
                    Some(Message::Stop { done }) => break Some(done),
                    Some(message) => match self.answer(message) {
                        Some(event) => event,
                        None => continue,
                    },
                    None => break None,
                },
                () = wake => continue,
            };
            self.on(event);
        };
        // Who still has something to tell must not wait for us to hear it.
        drop((reports, inbox));
        self.end().await;
        if let Some(done) = done {
            done.send(()).unwrap_or_default();
        }
    }

    /// A lease or a check is over.
    fn used(&mut self, used: std::result::Result<(Id, KeeperEvent), JoinError>) -> Option<KeeperEvent> {
        match used {
            Ok((id, event)) => {
                self.owners.remove(&id);
                Some(event)
            }
            // A bug of ours: nobody knows what the worker is doing now, so it goes.
            Err(error) => {
                let number = self.owners.remove(&error.id())?;
                drop(self.needed.remove(&number));
                Some(Event::Dead { number, death: Death::of(Cause::Garbled) })
            }
        }
    }

    /// A keeper is done; one that panicked has told nobody.
    fn kept(&mut self, kept: std::result::Result<(Id, ()), JoinError>) -> Option<KeeperEvent> {
        let (id, has_failed) = match &kept {
            Ok((id, ())) => (*id, false),
            Err(error) => (error.id(), true),
        };
        let number = self.owners.remove(&id)?;
        has_failed.then_some(Event::Dead { number, death: Death::of(Cause::Garbled) })
    }

    /// Ends every worker, and waits until they are gone.
    async fn end(mut self) {
        self.uses.abort_all();
        // Workers that see their connection close end by themselves; the thread that started them must end last.
        drop((self.roster, self.stop, self.needed, self.checks, self.keeper_events));
        while self.keepers.join_next().await.is_some() {}
        drop(self.spawner);
    }

    /// Everything, as it is now.
    fn view(&self) -> View {
        let mut view = self.roster.view();
        for model in &mut view.models {
            model.lies = self.counters.get(&model.id).map(|counters| counters.told()).unwrap_or_default();
        }
        view
    }

    /// Forgets what was counted of models that the roster has forgotten.
    fn forget(&mut self) {
        let (roster, counters) = (&self.roster, &mut self.counters);
        counters.retain(|model, _| roster.knows(model));
    }

    fn now(&mut self) -> Moment {
        let at = Instant::now();
        if at - self.free_memory.0 > MEMORY_AGE {
            self.free_memory = (at, memory::free());
        }
        Moment { at, wall: SystemTime::now(), free_memory: self.free_memory.1 }
    }

    /// Tells the roster who is held now.
    fn note_holds(&mut self) {
        let held = {
            let held = self.holds.borrow_and_update();
            if self.roster.is_held_as(&held) {
                return;
            }
            held.clone()
        };
        self.decide(Event::Held { held });
    }

    fn on(&mut self, event: KeeperEvent) {
        // Who holds a model by now holds it, whatever is decided.
        self.note_holds();
        self.decide(event);
    }

    fn decide(&mut self, event: KeeperEvent) {
        if let Event::Ready { worker, number, .. } = &event
            && let Some(model @ (ModelId::Called { .. } | ModelId::DialledIn { .. })) = self.roster.model_of(*number)
        {
            self.directory.learn(&worker.model_name, &model);
        }
        if let Event::Dead { number, .. } | Event::CannotLoad { number, .. } = &event {
            self.needed.remove(number);
            self.checks.remove(number);
        }
        let now = self.now();
        if matches!(event, Event::Tick) {
            self.forget();
        }
        for decision in self.roster.on(event, now) {
            self.carry_out(decision);
        }
        self.tell();
    }

    fn carry_out(&mut self, decision: Decision<oneshot::Sender<Granted>, Worker>) {
        match decision {
            Decision::Start { number, model } => self.keep(number, model, None),
            Decision::Grant { number, worker, to } => {
                let (returned, end) = oneshot::channel();
                let of_lease = worker.clone();
                let used = self.uses.spawn(async move {
                    let ended = match end.await {
                        Ok(ended) => ended,
                        // A caller who went away in the middle leaves an engine that may not have noticed.
                        Err(_) => {
                            of_lease.at_rest().await;
                            Ended::Somehow
                        }
                    };
                    Event::Returned { number, ended }
                });
                self.owners.insert(used.id(), number);
                // A caller that has gone drops its lease here, which gives the worker back.
                drop(to.send(Ok(Lease { worker, returned })));
            }
            Decision::Check { number, worker } => {
                let Some(model) = self.roster.model_of(number) else { return };
                let (wanted, broken_off) = oneshot::channel::<()>();
                self.checks.insert(number, wanted);
                let answers = self.answers.clone();
                let used = self.uses.spawn(async move {
                    let ended = tokio::select! {
                        ended = check::check(&worker, &model, &answers) => ended,
                        _ = broken_off => {
                            worker.at_rest().await;
                            Ended::Somehow
                        }
                    };
                    Event::Checked { number, ended }
                });
                self.owners.insert(used.id(), number);
            }
            Decision::Interrupt { number } => drop(self.checks.remove(&number)),
            Decision::Lost { death, to } => drop(to.send(Err(Failure::Lost(death)))),
            Decision::Refuse { error, to } => drop(to.send(Err(Failure::Refused(error)))),
            Decision::Dismiss { number } => drop((self.needed.remove(&number), self.checks.remove(&number))),
            Decision::Reloaded { model, result } => {
                if let Ok(true) = result {
                    self.answers.forget(&model);
                }
                for waiting in self.reloads.remove(&model).unwrap_or_default() {
                    drop(waiting.send(result.as_ref().copied().map_err(Error::again)));
                }
            }
        }
    }

    fn keep(&mut self, number: WorkerNumber, model: ModelId, guest: Option<Guest>) {
        let (needed_sender, needed) = oneshot::channel();
        self.needed.insert(number, needed_sender);
        // Our own are told what to load, so they say the same; of one elsewhere the first word counts.
        let expected = match model {
            ModelId::Called { .. } => self.directory.said(&model),
            _ => Some(model.to_string()),
        };
        let charge = Charge {
            number,
            settings: self.settings.clone(),
            spawner: self.spawner.clone(),
            counters: Arc::clone(self.counters.entry(model.clone()).or_default()),
            expected,
            guest,
            events: self.keeper_events.clone(),
            needed,
            stop: self.stop.subscribe(),
            model,
        };
        let keeper = self.keepers.spawn(keeper::keep(charge));
        self.owners.insert(keeper.id(), number);
    }

    /// Tells watchers what has changed.
    fn tell(&mut self) {
        let defaults: Vec<ModelView> =
            self.settings.defaults.iter().filter_map(|model| self.roster.model(model)).collect();
        self.defaults.send_if_modified(|before| {
            let is_same = |(now, before): (&ModelView, &ModelView)| now.is_as(before);
            let has_changed = before.len() != defaults.len() || !defaults.iter().zip(&*before).all(is_same);
            *before = defaults;
            has_changed
        });
        if self.told.is_none() {
            return;
        }
        if self.changes.receiver_count() == 0 {
            self.told = None;
            self.roster.watch(false);
            return;
        }
        let view = self.view();
        let before = self.told.take().unwrap_or_default();
        for change in view.changes(&before, self.roster.take_gone()) {
            // Somebody hears it, or has gone a moment ago.
            self.changes.send(change).unwrap_or_default();
        }
        self.told = Some(view);
    }
}

impl Caller for oneshot::Sender<Granted> {
    fn has_gone(&self) -> bool {
        self.is_closed()
    }
}
