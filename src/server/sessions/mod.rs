//! Streaming recognitions. A session outlives the engine, the server and the connection: its audio is in a log before
//! anything is done with it, and what was decided stays until its client has it.

mod attached;
mod config;
mod decoding;
mod intake;
mod key;
pub(crate) mod leftover;
mod listener;
mod load;
mod quarantine;
mod stored;
mod task;
mod tell;

use crate::{
    error::{Error, Kind, Result},
    proto::v1 as pb,
    server::{
        supervisor::Supervisor,
        wal::{Desk, Limits, SessionId, Syncing},
    },
    shutdown,
    speech::ModelId,
};
use config::Config;
use load::Load;
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
    stop: shutdown::Listener,
    desk: OnceCell<Desk>,
    load: Load,
    live: Mutex<HashMap<SessionId, Live>>,
}

/// A session whose task runs.
struct Live {
    commands: mpsc::Sender<Command>,
    resume_key: String,
    /// Nothing is left to do for it: it only waits for somebody who wants to hear its end.
    is_over: Arc<AtomicBool>,
    task: Option<JoinHandle<()>>,
}

impl Sessions {
    /// Takes the settings. Nothing touches the disk before [`Sessions::restore`], or the first session.
    pub(crate) fn new(settings: Settings, supervisor: Supervisor, stop: shutdown::Listener) -> Self {
        let load = Load::new(settings.cores, settings.threads);
        let (desk, live) = (OnceCell::new(), Mutex::default());
        Self(Arc::new(Inner { settings, supervisor, stop, desk, load, live }))
    }

    /// Takes the folder, and goes on with every session that a server before this one has left there. One that is
    /// damaged is told of in the log, and stays as it is. `resolve` finds a model by its name.
    ///
    /// # Errors
    /// `Config` where another server uses the folder, `Io`.
    pub(crate) async fn restore(&self, resolve: impl Fn(&str) -> Result<ModelId>) -> Result<()> {
        let ids = self.0.desk().await?.stored().await?;
        for id in ids {
            match self.revive(&id, &resolve).await {
                Ok(Some(())) => tracing::info!(session = %id, "Goes on with a session."),
                Ok(None) => {}
                Err(error) => tracing::error!(session = %id, %error, "A session cannot be restored."),
            }
        }
        Ok(())
    }

    /// Opens a session, or goes on with one. `resolve` finds a model by its name.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field; `Busy`; `NotFound` for a session that is over or never was, and for a wrong
    /// key; `DataLoss`, `Io`.
    pub(crate) async fn attach(
        &self,
        config: pb::StreamingConfig,
        resolve: impl Fn(&str) -> Result<ModelId>,
    ) -> Result<Attached> {
        match config.resume.clone() {
            Some(resume) => self.resume(&config.session_id, &resume, resolve).await,
            None => self.open(config, resolve).await,
        }
    }

    async fn open(
        &self,
        mut config: pb::StreamingConfig,
        resolve: impl Fn(&str) -> Result<ModelId>,
    ) -> Result<Attached> {
        let id = match config.session_id.as_str() {
            "" => config::session_id(&key::random()?)?,
            name => config::session_id(name)?,
        };
        let checked = Config::try_new(&config, resolve)?;
        self.0.admit()?;
        let resume_key = key::random()?;
        config.session_id = id.to_string();
        let model = self.0.supervisor.directory().name(&checked.model);
        let opened = Opened { config: Some(config), model, resume_key: resume_key.clone() };
        self.reserve(&id, &resume_key)?;
        let begun = async {
            let open = prost::Message::encode_to_vec(&opened);
            self.0.desk().await?.create(&id, open).await.map_err(|error| match error.kind() {
                Kind::InvalidInput => error.in_field("config.session_id"),
                _ => error,
            })?;
            self.spawn(&id, resume_key, checked, None)
        };
        let begun = begun.await;
        self.0.keep_if(&id, begun.is_ok());
        begun?;
        self.join(&id, 0).await
    }

    async fn resume(
        &self,
        name: &str,
        resume: &pb::Resume,
        resolve: impl Fn(&str) -> Result<ModelId>,
    ) -> Result<Attached> {
        let id = config::session_id(name)?;
        let known = timeout(ANSWER, self.key(&id, &resolve)).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Unavailable, "the session's log is still being read").retry_after(COME_BACK))
        })?;
        // Whether the name or the key is wrong is nobody's business who has not both.
        if !known.is_some_and(|known| key::is_same(&known, &resume.resume_key)) {
            let message = format!("there is no session `{id}` with this resume_key; it may be over");
            return Err(Error::new(Kind::NotFound, message).in_field("config.resume"));
        }
        self.join(&id, resume.last_seq).await
    }

    /// The key of a session. One that is only on the disk is gone on with first; where somebody else is about to do
    /// that, they are waited for.
    async fn key(&self, id: &SessionId, resolve: &impl Fn(&str) -> Result<ModelId>) -> Result<Option<String>> {
        loop {
            let known = self.0.live().get(id).map(|session| session.resume_key.clone());
            match known {
                Some(key) if !key.is_empty() => return Ok(Some(key)),
                Some(_) => sleep(READING).await,
                // Its task broke off; its log may be whole.
                None => {
                    let revived = self.revive(id, resolve).await.map_err(|error| {
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
    async fn join(&self, id: &SessionId, last_seq: i64) -> Result<Attached> {
        let gone =
            || Error::new(Kind::Unavailable, "the session has just broken off; resume it").retry_after(COME_BACK);
        let commands = self.0.live().get(id).map(|session| session.commands.clone()).ok_or_else(gone)?;
        let (sender, messages) = mpsc::channel(listener::AHEAD);
        let (reply, answer) = oneshot::channel();
        let attached = async {
            commands.send(Command::Attach(Attach { last_seq, sender, reply })).await.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        };
        let (listener, room) = timeout(ANSWER, attached).await.unwrap_or_else(|_| {
            Err(Error::new(Kind::Unavailable, "the session does not answer").retry_after(COME_BACK))
        })?;
        Ok(Attached { id: id.to_string(), messages, mouth: Mouth::new(listener, commands, room) })
    }

    /// Goes on with a session from its log; `None` where there is none.
    async fn revive(&self, id: &SessionId, resolve: &impl Fn(&str) -> Result<ModelId>) -> Result<Option<()>> {
        if self.reserve(id, "").is_err() {
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
            let wanted = opened.config.unwrap_or_default();
            let config = Config::try_new(&wanted, |_| resolve(&opened.model))?;
            self.spawn(id, opened.resume_key, config, Some(revived)).map(Some)
        };
        let revived = revived.await;
        self.0.keep_if(id, matches!(revived, Ok(Some(()))));
        revived
    }

    /// Takes a name, so that no two tasks have it.
    fn reserve(&self, id: &SessionId, resume_key: &str) -> Result<()> {
        match self.0.live().entry(id.clone()) {
            Entry::Occupied(_) => {
                let message = format!("there is a session `{id}`; resume it with its resume_key, or take another name");
                Err(Error::invalid(message).in_field("config.session_id"))
            }
            Entry::Vacant(place) => {
                // Nobody can join before the task is there.
                let (commands, _) = mpsc::channel(1);
                place.insert(Live { commands, resume_key: resume_key.to_owned(), is_over: Arc::default(), task: None });
                Ok(())
            }
        }
    }

    fn spawn(&self, id: &SessionId, resume_key: String, config: Config, revived: Option<Revived>) -> Result<()> {
        let task = Task::try_new(Arc::clone(&self.0), id.clone(), resume_key.clone(), config, revived)?;
        let is_over = task.is_over();
        let (commands, inbox) = mpsc::channel(QUEUE);
        let mut live = self.0.live();
        let task = Some(tokio::spawn(task.live(inbox)));
        live.insert(id.clone(), Live { commands, resume_key, is_over, task });
        Ok(())
    }

    /// Ends every task. Their logs stay for the server that comes after this one.
    pub(crate) async fn stop(&self) {
        let live: Vec<Live> = self.0.live().drain().map(|(_, session)| session).collect();
        let tasks: Vec<JoinHandle<()>> = live.into_iter().filter_map(|session| session.task).collect();
        let ended = async {
            for task in tasks {
                task.await.unwrap_or_default();
            }
        };
        if timeout(STOP, ended).await.is_err() {
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
        let is_of_no_use = leftover::list(folder).is_ok_and(|all| all.iter().all(|session| session.is_over));
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
