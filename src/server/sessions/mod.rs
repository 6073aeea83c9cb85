//! Streaming recognitions. A session outlives the engine, the server and the connection: its audio is in a log before
//! anything is done with it, and what was decided stays until its client has it.

mod attached;
mod config;
mod decoding;
mod intake;
mod key;
pub(crate) mod leftover;
mod listener;
mod quarantine;
mod stored;
mod task;
mod tell;

use crate::{
    error::{Error, Kind, Result},
    models::{Paths, library::Need},
    proto::v1 as pb,
    server::{
        load::Load,
        recognisers::Recognisers,
        supervisor::Supervisor,
        wal::{Desk, Limits, SessionId, Syncing},
    },
    shutdown,
    speech::ModelId,
};
use config::Config;
use leftover::Leftover;
use std::{
    collections::{HashMap, hash_map::Entry},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use stored::Opened;
use task::{Attach, Command, QUEUE, Revived, Task};
use tokio::{
    sync::{OnceCell, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};
pub(crate) use {
    attached::{Attached, Mouth},
    task::Said,
    tell::Message,
};

/// When to come back, for callers that were sent away.
const COME_BACK: Duration = Duration::from_secs(1);

/// How long a session may take to take a client: as long as the disk may.
const ANSWER: Duration = Duration::from_secs(30);

/// How often is looked whether a log has been read.
const READING: Duration = Duration::from_millis(10);

/// How long logs may take to be closed at the end.
const STOP: Duration = Duration::from_secs(5);

/// How sessions are kept.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The folder of the logs. It belongs to one server at a time.
    pub(crate) folder: PathBuf,
    /// Bytes that the log of one session, and that all of them may have.
    pub(crate) limits: Limits,
    /// When what was said must have reached the disk.
    pub(crate) syncing: Syncing,
    /// How long a session waits for its client.
    pub(crate) wait: Duration,
    /// How long a session that is over waits for somebody who wants to hear its end.
    pub(crate) linger: Duration,
    /// Whether the folder is of use to this server alone.
    pub(crate) is_private: bool,
    /// Sessions at the same time, however little they cost.
    pub(crate) most: usize,
    /// Cores of this machine, and threads of an engine.
    pub(crate) cores: usize,
    pub(crate) threads: usize,
}

/// All sessions. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

/// What sessions share.
struct Inner {
    settings: Settings,
    supervisor: Supervisor,
    recognisers: Recognisers,
    stop: shutdown::Listener,
    desk: OnceCell<Desk>,
    load: Load,
    live: Mutex<HashMap<SessionId, Live>>,
}

/// A session whose task runs.
struct Live {
    commands: mpsc::Sender<Command>,
    /// How it was opened; nothing as long as it is only about to be.
    opened: Option<Opened>,
    /// Nothing is left to do for it: it only waits for somebody who wants to hear its end.
    is_over: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Sessions {
    /// Takes the settings. Nothing touches the disk before [`Sessions::restore`], or the first session.
    pub(crate) fn new(
        settings: Settings,
        supervisor: Supervisor,
        recognisers: Recognisers,
        stop: shutdown::Listener,
    ) -> Self {
        let load = Load::new(settings.cores, settings.threads);
        let (desk, live) = (OnceCell::new(), Mutex::default());
        Self(Arc::new(Inner { settings, supervisor, recognisers, stop, desk, load, live }))
    }

    /// Takes the folder, and goes on with every session that a server before this one has left there. One that is
    /// damaged is told of in the log, and stays as it is.
    ///
    /// # Errors
    /// `Config` where another server uses the folder, `Io`.
    pub(crate) async fn restore(&self) -> Result<()> {
        let ids = self.0.desk().await?.stored().await?;
        for id in ids {
            match self.revive(&id).await {
                Ok(Some(())) => tracing::info!(session = %id, "Goes on with a session."),
                Ok(None) => {}
                Err(error) => tracing::error!(session = %id, %error, "A session cannot be restored."),
            }
        }
        Ok(())
    }

    /// Opens a session, or goes on with one.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field; `Busy`; `NotFound` for a session that is over or never was, and for a wrong
    /// key; `DataLoss`, `Io`.
    pub(crate) async fn attach(&self, config: pb::StreamingConfig, paths: Paths) -> Result<Attached> {
        let (sessions, interim) = (self.clone(), config.interim_results);
        // A task of its own: a caller who goes away meanwhile leaves no name behind that nobody has.
        let found = tokio::spawn(async move {
            match config.resume.clone() {
                Some(resume) => sessions.find(&config, &resume).await.map(|id| (id, resume.last_seq)),
                None => sessions.open(config, paths).await.map(|id| (id, 0)),
            }
        });
        let failed = |_| Err(Error::new(Kind::Internal, "the server failed at opening a session"));
        let (id, last_seq) = found.await.unwrap_or_else(failed)?;
        self.join(&id, last_seq, interim).await
    }

    async fn open(&self, mut config: pb::StreamingConfig, paths: Paths) -> Result<SessionId> {
        let id = match config.session_id.as_str() {
            "" => config::session_id(&key::random()?)?,
            name => config::session_id(name)?,
        };
        let checked = Config::try_new(&config, |need| self.0.recognisers.find(need, paths))?;
        config::has_room(self.0.settings.limits.session, checked.rate)?;
        self.0.admit()?;
        let resume_key = key::random()?;
        config.session_id = id.to_string();
        let model = match &checked.model {
            // By its file: what is pulled meanwhile under the same name is another model.
            model @ ModelId::Whisper(_) => model.to_string(),
            model => self.0.supervisor.directory().name(model),
        };
        let opened = Opened { config: Some(config), model, resume_key };
        self.reserve(&id)?;
        let begun = async {
            let open = prost::Message::encode_to_vec(&opened);
            self.0.desk().await?.create(&id, open).await.map_err(|error| match error.kind() {
                Kind::InvalidInput => error.in_field("config.session_id"),
                _ => error,
            })?;
            self.spawn(&id, opened, checked, None)
        };
        let begun = begun.await;
        self.0.keep_if(&id, begun.is_ok());
        begun.map(|()| id)
    }

    /// Finds the session that is to be resumed, for who has its key.
    async fn find(&self, config: &pb::StreamingConfig, resume: &pb::Resume) -> Result<SessionId> {
        let id = config::session_id(&config.session_id)?;
        let known = timeout(ANSWER, self.known(&id)).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Unavailable, "the session's log is still being read").retry_after(COME_BACK))
        })?;
        // Whether the name or the key is wrong is nobody's business who has not both.
        let Some(opened) = known.filter(|known| key::is_same(&known.resume_key, &resume.resume_key)) else {
            let message = format!("there is no session `{id}` with this resume_key; it may be over");
            return Err(Error::new(Kind::NotFound, message).in_field("config.resume"));
        };
        config::same(config, &opened.config.unwrap_or_default())?;
        Ok(id)
    }

    /// How a session was opened. One that is only on the disk is gone on with first; where somebody else is about to do
    /// that, they are waited for.
    async fn known(&self, id: &SessionId) -> Result<Option<Opened>> {
        loop {
            let known = self.0.live().get(id).map(|session| session.opened.clone());
            match known {
                Some(Some(opened)) => return Ok(Some(opened)),
                Some(None) => sleep(READING).await,
                // Its task broke off; its log may be whole.
                None => {
                    let revived = self.revive(id).await.map_err(|error| {
                        tracing::error!(session = %id, %error, "A session cannot be restored.");
                        // Nobody has shown a key.
                        Error::new(error.kind(), format!("the log of session `{id}` cannot be read"))
                    })?;
                    if revived.is_none() && !self.0.live().contains_key(id) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Becomes the client of a session whose task runs.
    async fn join(&self, id: &SessionId, last_seq: i64, interim: bool) -> Result<Attached> {
        let gone =
            || Error::new(Kind::Unavailable, "the session has just broken off; resume it").retry_after(COME_BACK);
        let commands = self.0.live().get(id).map(|session| session.commands.clone()).ok_or_else(gone)?;
        let (sender, messages) = mpsc::channel(listener::AHEAD);
        let (reply, answer) = oneshot::channel();
        let attached = async {
            commands.send(Command::Attach(Attach { last_seq, interim, sender, reply })).await.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        };
        let (listener, room) = timeout(ANSWER, attached).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Unavailable, "the session does not answer").retry_after(COME_BACK))
        })?;
        Ok(Attached { id: id.to_string(), messages, mouth: Mouth::new(listener, commands, room) })
    }

    /// Goes on with a session from its log; `None` where there is none.
    async fn revive(&self, id: &SessionId) -> Result<Option<()>> {
        if self.reserve(id).is_err() {
            return Ok(None);
        }
        let revived = async {
            let restored = match self.0.desk().await?.restore(id).await {
                Ok(Some(restored)) => restored,
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == Kind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            let (opened, revived) = Revived::read(restored)?;
            let wanted = opened.config.clone().unwrap_or_default();
            // The name comes from our own log. A worker from elsewhere that has this model may not be back yet.
            let find = |need: Need<'_>| self.0.recognisers.find(Need { name: &opened.model, ..need }, Paths::Allowed);
            let config = Config::try_new(&wanted, find).map_err(|error| {
                let message = format!("the model of session `{id}` is not there now: {error}");
                Error::new(Kind::Unavailable, message).retry_after(COME_BACK)
            })?;
            self.spawn(id, opened, config, Some(revived)).map(Some)
        };
        let revived = revived.await;
        self.0.keep_if(id, matches!(revived, Ok(Some(()))));
        revived
    }

    /// Takes a name, so that no two tasks have it.
    fn reserve(&self, id: &SessionId) -> Result<()> {
        match self.0.live().entry(id.clone()) {
            Entry::Occupied(_) => {
                let message = format!("there is a session `{id}`; resume it with its resume_key, or take another name");
                Err(Error::invalid(message).in_field("config.session_id"))
            }
            Entry::Vacant(place) => {
                // Nobody can join before the task is there.
                let (commands, _) = mpsc::channel(1);
                place.insert(Live { commands, opened: None, is_over: Arc::default(), task: None });
                Ok(())
            }
        }
    }

    fn spawn(&self, id: &SessionId, opened: Opened, config: Config, revived: Option<Revived>) -> Result<()> {
        let key = opened.resume_key.clone();
        let task = Task::try_new(Arc::clone(&self.0), id.clone(), key, config, revived)?;
        let is_over = task.is_over();
        let (commands, inbox) = mpsc::channel(QUEUE);
        let mut live = self.0.live();
        let task = Some(tokio::spawn(task.live(inbox)));
        live.insert(id.clone(), Live { commands, opened: Some(opened), is_over, task });
        Ok(())
    }

    /// Ends every task. Their logs stay for the server that comes after this one.
    pub(crate) async fn stop(&self) {
        let live: Vec<Live> = self.0.live().drain().map(|(_, session)| session).collect();
        let tasks: Vec<JoinHandle<()>> = live.into_iter().filter_map(|session| session.task).collect();
        let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let ended = async {
            for task in tasks {
                task.await.unwrap_or_default();
            }
        };
        if timeout(STOP, ended).await.is_err() {
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
            tracing::warn!("Sessions did not end in time; their logs are whole.");
        }
        if let Some(desk) = self.0.desk.get() {
            let ended = timeout(STOP, desk.clone().end()).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::warn!("The sessions' log did not end in time.");
            }
            if self.0.settings.is_private {
                self.tidy();
            }
        }
    }

    /// Removes the folder of a server that nobody will look for, unless something was said that nobody has.
    fn tidy(&self) {
        let folder = &self.0.settings.folder;
        let is_of_no_use = leftover::list(folder).is_ok_and(|all| all.iter().all(Leftover::is_of_no_use));
        if is_of_no_use && let Err(error) = std::fs::remove_dir_all(folder) {
            tracing::warn!(folder = %folder.display(), %error, "A private server's folder could not be removed.");
        }
    }
}

impl Inner {
    /// The log of all sessions.
    async fn desk(&self) -> Result<&Desk> {
        let start = async || Desk::start(&self.settings.folder, self.settings.limits, self.settings.syncing);
        self.desk.get_or_try_init(start).await
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more session, by what those that are there have cost.
    fn admit(&self) -> Result<()> {
        let live = self.live().values().filter(|session| !session.is_over.load(Ordering::Relaxed)).count();
        let most = self.load.capacity().map_or(self.settings.most, |capacity| capacity.min(self.settings.most));
        if live < most {
            return Ok(());
        }
        let message = format!("this machine keeps up with {most} sessions, and has {live}; try again later");
        Err(Error::new(Kind::Busy, message).retry_after(COME_BACK))
    }

    /// Takes back the name of a session that did not begin.
    fn keep_if(&self, id: &SessionId, has_begun: bool) {
        if !has_begun {
            self.live().remove(id);
        }
    }

    /// The task of a session has ended.
    fn forget(&self, id: &SessionId) {
        self.live().remove(id);
    }

    /// Removes the log of a session.
    async fn remove(&self, id: &SessionId) -> Result<()> {
        self.desk().await?.remove(id).await
    }
}
