//! Worker processes: started when they are needed, used again, replaced when they are dead.
//!
//! One task owns the list of workers and decides; it waits for nothing but messages. Each worker has a keeper, a task
//! that owns the process, and is the only one to wait for it. A call leases a worker, and gives it back by dropping the
//! lease.

pub(crate) mod attempts;
pub(crate) mod death;
mod keeper;
mod process;
mod roster;
mod vitals;
pub(crate) mod worker;

use crate::{
    error::{Error, Kind, Result},
    proto::tts,
    speech::ModelId,
};
use attempts::{Attempts, Verdict};
pub(crate) use roster::Spares;
use roster::{Decision, Event, Roster, WorkerNumber};
use std::{fs, io, path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use worker::{Failure, Worker};

/// Messages to the supervisor that wait. It only ever waits for them, so they wait for microseconds.
const QUEUE: usize = 256;

/// How long a call waits for a worker, if its own deadline is later and no model takes longer to load.
const LONGEST_QUEUE: Duration = Duration::from_secs(300);

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
    /// What stands for no output at all.
    pub(crate) null: Null,
}

/// Where unwanted output goes: /dev/null, or a pipe that nobody reads where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Null {
    /// The system has /dev/null.
    Device,
    /// It has not; the writer gets an error, which is as good.
    Closed,
}

impl Null {
    /// What this system has.
    pub(crate) fn detect() -> Self {
        if fs::OpenOptions::new().write(true).open("/dev/null").is_ok() { Null::Device } else { Null::Closed }
    }

    fn stdio(self) -> Stdio {
        match self {
            Null::Device => Stdio::null(),
            Null::Closed => io::pipe().map_or_else(|_| Stdio::null(), |(_reader, writer)| writer.into()),
        }
    }
}

/// A handle to the supervisor. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor {
    messages: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Lease { model: ModelId, reply: oneshot::Sender<Granted> },
    Stop { done: oneshot::Sender<()> },
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

/// The call under a lease has ended by itself, so that the worker has nothing to do any more.
#[derive(Debug)]
struct Ended;

impl Lease {
    /// Gives the worker back after a call that has ended, well or badly.
    pub(crate) fn end(self) {
        let Self { worker, returned } = self;
        drop(worker);
        // Nobody hears it when everything stops.
        drop(returned.send(Ended));
    }
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
        self.supervisor.lease(&self.model, self.deadline).await
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
    pub(crate) fn start(settings: Settings, tasks: &mut JoinSet<()>) -> Self {
        let (messages, inbox) = mpsc::channel(QUEUE);
        tasks.spawn(run(settings, inbox));
        Self { messages }
    }

    /// Begins a call that may need several workers.
    pub(crate) fn call(&self, model: ModelId, deadline: Option<Instant>) -> Call {
        Call { supervisor: self.clone(), model, deadline, attempts: Attempts::default() }
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
                    lease.end();
                    result
                }
                Err(failure) => Err(failure),
            };
            if let Some(voices) = call.settle(result).await? {
                return Ok(voices);
            }
        }
    }

    /// Gets a worker that is ready.
    async fn lease(&self, model: &ModelId, deadline: Option<Instant>) -> Granted {
        let (reply, granted) = oneshot::channel();
        let stopping = || Error::new(Kind::Unavailable, "the server is stopping");
        self.messages.send(Message::Lease { model: model.clone(), reply }).await.map_err(|_| stopping())?;
        // The supervisor answers when the worker is ready or dead, and both have deadlines; this one is for the queue.
        let until = deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(24 * 3600));
        match timeout_at(until, granted).await {
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

/// The task: takes messages, asks the roster, carries out what it decides.
async fn run(settings: Settings, mut inbox: mpsc::Receiver<Message>) {
    let mut roster: Roster<oneshot::Sender<Granted>, Worker> = Roster::new(settings.spares);
    let (keeper_sender, mut keeper_events) = mpsc::channel(QUEUE);
    // Keepers hear by it that they must end now; what they say after that nobody hears.
    let (stop_sender, stop) = watch::channel(());
    let mut keepers = JoinSet::new();
    let mut returns: JoinSet<WorkerNumber> = JoinSet::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            // Deaths first: a lease that ends with its worker must not bring a dead one back.
            biased;
            Some(event) = keeper_events.recv() => event,
            message = inbox.recv() => match message {
                Some(Message::Lease { model, reply }) => {
                    // Whoever waits for a start waits as long as a start may take.
                    let longest = LONGEST_QUEUE.max(settings.load_timeout * 2);
                    Event::Wanted { model, by: reply, until: Instant::now() + longest }
                }
                Some(Message::Stop { done }) => {
                    // Workers that see their connection close end by themselves.
                    returns.abort_all();
                    drop((roster, stop_sender, keeper_events));
                    while keepers.join_next().await.is_some() {}
                    done.send(()).unwrap_or_default();
                    return;
                }
                None => return,
            },
            Some(Ok(number)) = returns.join_next() => Event::Returned { number },
            Some(_) = keepers.join_next() => continue,
            _ = tick.tick(), if roster.has_waiting() => Event::Tick { now: Instant::now() },
        };
        for decision in roster.on(event) {
            match decision {
                Decision::Start { number, model } => {
                    keepers.spawn(keeper::keep(number, model, settings.clone(), keeper_sender.clone(), stop.clone()));
                }
                Decision::Grant { number, worker, to } => {
                    let (returned, end) = oneshot::channel();
                    let of_lease = worker.clone();
                    returns.spawn(async move {
                        // A caller who went away in the middle leaves an engine that may not have noticed.
                        if end.await.is_err() {
                            of_lease.at_rest().await;
                        }
                        number
                    });
                    // A caller that has gone drops its lease here, which gives the worker back.
                    drop(to.send(Ok(Lease { worker, returned })));
                }
                Decision::Lost { death, to } => drop(to.send(Err(Failure::Lost(death)))),
                Decision::Refuse { error, to } => drop(to.send(Err(Failure::Refused(error)))),
                // Dropping the handle closes the connection, at which the process ends.
                Decision::Dismiss { worker } => drop(worker),
            }
        }
    }
}

impl roster::Caller for oneshot::Sender<Granted> {
    fn has_gone(&self) -> bool {
        self.is_closed()
    }
}

/// What a keeper reports.
type KeeperEvent = Event<oneshot::Sender<Granted>, Worker>;
