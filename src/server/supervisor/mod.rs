//! Worker processes: started when they are needed, used again, watched, replaced when they are dead.
//!
//! One task owns the list of workers and decides; it waits for nothing but messages. Each worker has a keeper, a task
//! that owns the process or the connection, and is the only one to wait for it. A call leases a worker, and gives it
//! back by dropping the lease.

pub(crate) mod attempts;
mod check;
mod connection;
pub(crate) mod death;
pub(crate) mod directory;
pub(crate) mod hold;
mod host;
mod keeper;
pub(crate) mod lies;
pub(crate) mod memory;
mod message;
mod process;
pub(crate) mod registry;
mod residency;
mod roster;
mod spawner;
mod tail;
mod task;
pub(crate) mod view;
mod vitals;
pub(crate) mod worker;

use crate::{
    error::{Error, Kind, Result},
    proto::tts,
    speech::ModelId,
};
use attempts::{Attempts, Verdict};
use directory::Directory;
use hold::Holds;
use keeper::Guest;
use message::Message;
use roster::Event;
pub(crate) use roster::{Ended, Spares, Turn};
use std::{path::PathBuf, time::Duration};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout, timeout_at},
};
use view::{Change, ModelState, ModelView, View};
use worker::{Failure, Worker};

/// Messages to the supervisor that wait. It only ever waits for them, so they wait for microseconds.
const QUEUE: usize = 256;

/// How long the task may take to answer a question: it waits for nothing.
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait at first for workers elsewhere.
const MEET: Duration = Duration::from_secs(2);

/// How long the last workers may take to end.
const STOP: Duration = Duration::from_secs(3);

/// How workers are run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The program to start: this one.
    pub(crate) program: PathBuf,
    /// Where workers unpack things.
    pub(crate) cache: PathBuf,
    /// Threads of an engine; 0 leaves it to the worker.
    pub(crate) threads: i32,
    /// How long a worker may take until it is ready.
    pub(crate) load_timeout: Duration,
    /// How long a worker may work without a sign of life.
    pub(crate) hang_timeout: Duration,
    /// Whether workers are started before they are needed.
    pub(crate) spares: Spares,
    /// How long a model may be unused before it is unloaded; `None` = for ever.
    pub(crate) idle_timeout: Option<Duration>,
    /// How long a worker may be idle before it has to show that it can work; `None` = for ever.
    pub(crate) self_check: Option<Duration>,
    /// The most memory that a worker may take, bytes.
    pub(crate) worker_memory: Option<u64>,
    /// How long a model stays loaded at least.
    pub(crate) min_residency: Duration,
    /// Models that may be loaded at the same time; `None` = any number.
    pub(crate) max_models: Option<usize>,
    /// Models that may be on their way at the same time.
    pub(crate) max_loads: usize,
    /// Models that requests mean when they name none.
    pub(crate) defaults: Vec<ModelId>,
    /// Models that stay once they are loaded.
    pub(crate) preloaded: Vec<ModelId>,
    /// Models of workers that run elsewhere, and are called.
    pub(crate) called: Vec<ModelId>,
}

/// A handle to the supervisor. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    messages: mpsc::Sender<Message>,
    directory: Directory,
    holds: Holds,
    state: watch::Receiver<Vec<ModelView>>,
}

/// The answer to a wish for a worker. Dropped = no.
pub(crate) type Granted = std::result::Result<Lease, Failure>;

/// The right to use a worker alone. Dropping it gives the worker back, once the worker has ended what it was doing.
#[derive(Debug)]
pub(crate) struct Lease {
    /// The worker.
    pub(crate) worker: Worker,
    returned: oneshot::Sender<Ended>,
}

impl Lease {
    /// Gives the worker back after a call that has ended, well or not.
    pub(crate) fn end(self, ended: Ended) {
        let Self { worker, returned } = self;
        drop(worker);
        // Nobody hears it when everything stops.
        returned.send(ended).unwrap_or_default();
    }
}

/// Everything at one moment, and what changes from then on.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Everything.
    pub(crate) view: View,
    /// What changes. Who reads too slowly is told that something was skipped.
    pub(crate) changes: broadcast::Receiver<Change>,
}

/// A call to a model. It is made again on a fresh worker each time that one dies with it, until it succeeds, fails for
/// a reason of its own, or has met too many deaths.
#[derive(Debug)]
pub(crate) struct Call {
    supervisor: Supervisor,
    model: ModelId,
    deadline: Option<Instant>,
    attempts: Attempts,
}

impl Call {
    /// Gets a worker that is ready.
    ///
    /// # Errors
    /// To be settled like those of the call itself.
    pub(crate) async fn lease(&mut self) -> Granted {
        let granted = self.supervisor.lease(&self.model, self.deadline, self.attempts.turn()).await;
        if granted.is_ok() {
            self.attempts.note_turn();
        }
        granted
    }

    /// It goes on with something that has had its turn already.
    pub(crate) fn going_on(mut self) -> Self {
        self.attempts.note_turn();
        self
    }

    /// It got on since it lost a worker: what it lost counts no more.
    pub(crate) fn got_on(&mut self) {
        self.attempts.forget();
    }

    /// What a result means: a value, or nothing where the call is to be made again, now.
    ///
    /// # Errors
    /// What the engine says; `Internal` for a request that kills; `Busy`, `Deadline`, `Unavailable`.
    pub(crate) async fn settle<T>(&mut self, result: Result<T, Failure>) -> Result<Option<T>> {
        let death = match result {
            Ok(value) => return Ok(Some(value)),
            Err(Failure::Refused(error)) => return Err(error),
            Err(Failure::Lost(death)) => death,
        };
        tracing::warn!(model = %self.model, cause = %death.cause.word(), "Call lost its worker.");
        match self.attempts.after(&death) {
            Verdict::Again(wait) => {
                sleep(wait).await;
                Ok(None)
            }
            Verdict::GiveUp(error) => Err(error.context(format_args!("`{}`", self.model))),
        }
    }
}

impl Supervisor {
    /// Starts the task, which lives in `tasks`.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(crate) fn start(settings: Settings, tasks: &mut JoinSet<()>) -> Result<Self> {
        let (messages, inbox) = mpsc::channel(QUEUE);
        let directory = Directory::default();
        for model in &settings.called {
            directory.announce(model);
        }
        let (state_sender, state) = watch::channel(Vec::new());
        let holds = Holds::default();
        let (task, reports) = task::Task::try_new(settings, directory.clone(), &holds, state_sender)?;
        tasks.spawn(task.run(inbox, reports));
        Ok(Self { messages, directory, holds, state })
    }

    /// Waits a little until the workers elsewhere are there that are called, or are known not to be: who calls us as
    /// soon as we are ready may mean them by their names.
    pub(crate) async fn meet(&self, called: &[ModelId]) {
        let is_met = |view: View| {
            let mut models = view.models.iter().filter(|model| called.contains(&model.id));
            models.all(|model| model.state == ModelState::Ready || model.deaths > 0 || model.reason.is_some())
        };
        let meeting = async {
            while let Ok(view) = self.view().await
                && !is_met(view)
            {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(MEET, meeting).await.is_err() {
            tracing::warn!("Not all workers elsewhere have answered yet.");
        }
    }

    /// The models of workers from elsewhere.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How the default models are, and each time that changes.
    pub(crate) fn defaults(&self) -> watch::Receiver<Vec<ModelView>> {
        self.state.clone()
    }

    /// Begins a call that may need several workers.
    pub(crate) fn call(&self, model: ModelId, deadline: Option<Instant>) -> Call {
        Call { supervisor: self.clone(), model, deadline, attempts: Attempts::default() }
    }

    /// Begins a call that waits, where a model has failed, until it may be tried again.
    pub(crate) fn insist(&self, model: ModelId) -> Call {
        Call { supervisor: self.clone(), model, deadline: None, attempts: Attempts::patient() }
    }

    /// Lists the voices of a synthesiser.
    ///
    /// # Errors
    /// As those of a [`Call`].
    pub(crate) async fn voices(&self, model: ModelId, deadline: Option<Instant>) -> Result<tts::ListVoicesResponse> {
        let mut call = self.call(model, deadline);
        loop {
            let result = match call.lease().await {
                Ok(lease) => {
                    let result = lease.worker.voices().await;
                    lease.end(Ended::Somehow);
                    result
                }
                Err(failure) => Err(failure),
            };
            if let Some(voices) = call.settle(result).await? {
                return Ok(voices);
            }
        }
    }

    /// Everything, as it is now.
    ///
    /// # Errors
    /// `Unavailable` where the server is stopping.
    pub(crate) async fn view(&self) -> Result<View> {
        self.ask(|reply| Message::View { reply }).await
    }

    /// Everything, and what changes from now on.
    ///
    /// # Errors
    /// `Unavailable` where the server is stopping.
    pub(crate) async fn watch(&self) -> Result<Watched> {
        self.ask(|reply| Message::Watch { reply }).await
    }

    /// Whether there is room for one worker more.
    ///
    /// # Errors
    /// `Busy` where there is none.
    async fn has_room(&self) -> Result<()> {
        let taken = self.view().await?.workers.len();
        if taken < roster::MAX_WORKERS { Ok(()) } else { Err(roster::full()) }
    }

    /// Takes in a worker that came by itself.
    ///
    /// # Errors
    /// `Busy` where there is no room for it.
    async fn admit(&self, model: ModelId, guest: Guest) -> Result<()> {
        self.ask(|reply| Message::Admit { model, guest: Box::new(guest), reply }).await?
    }

    /// Asks the task something that it answers at once.
    async fn ask<T>(&self, message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(message(reply)).await.map_err(|_| stopping())?;
        timeout(ANSWER, answer).await.ok().and_then(std::result::Result::ok).ok_or_else(stopping)
    }

    /// Gets a worker that is ready.
    async fn lease(&self, model: &ModelId, deadline: Option<Instant>, turn: Turn) -> Granted {
        let (reply, granted) = oneshot::channel();
        self.messages.send(Message::Lease { model: model.clone(), turn, reply }).await.map_err(|_| stopping())?;
        match timeout_at(until(deadline), granted).await {
            Ok(Ok(granted)) => granted,
            Ok(Err(_)) => Err(stopping().into()),
            Err(_) => Err(Error::new(Kind::Deadline, "no worker was ready before the deadline").into()),
        }
    }

    /// Ends every worker, and waits until they are gone.
    pub(crate) async fn stop(&self) {
        let (done, ended) = oneshot::channel();
        if self.messages.send(Message::Stop { done }).await.is_ok()
            && timeout_at(Instant::now() + STOP, ended).await.is_err()
        {
            tracing::warn!("Workers did not end in time.");
        }
    }
}

/// A deadline, if only for the queue: what is waited for has deadlines of its own.
fn until(deadline: Option<Instant>) -> Instant {
    deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(24 * 3600))
}

fn stopping() -> Error {
    Error::new(Kind::Unavailable, "the server is stopping")
}

/// What a keeper reports.
type KeeperEvent = Event<oneshot::Sender<Granted>, Worker>;
