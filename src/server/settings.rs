//! What a server is told.

#[cfg(doc)]
use super::Bound;
use super::{
    SessionSettings, SpokenSettings,
    supervisor::{self, Spares},
};
use crate::{models::library::Library, speech::ModelId};
use std::{path::PathBuf, time::Duration};

/// What the server is told. Checked by [`Bound::bind`].
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where to listen: `HOST:PORT` or `unix:PATH`.
    pub(crate) listen: Vec<String>,
    /// Whether others than this machine may connect without encryption.
    pub(crate) insecure: bool,
    /// Where models are installed.
    pub(crate) library: Library,
    /// The recogniser of requests that name none.
    pub(crate) model: Option<String>,
    /// The voice of requests that name none; `None` leaves it to the server.
    pub(crate) voice: Option<String>,
    /// Models that are loaded before the server is ready, and stay.
    pub(crate) preload: Vec<String>,
    /// Pronunciations, looked at again when they change.
    pub(crate) lexicon: Option<PathBuf>,
    /// The program that workers run: this one.
    pub(crate) program: PathBuf,
    /// Where workers unpack things.
    pub(crate) cache: PathBuf,
    /// Threads of an engine; 0 = the worker's own choice.
    pub(crate) threads: i32,
    /// How long open calls may take to end once the server is asked to stop.
    pub(crate) drain: Duration,
    /// How long a worker may take until it is ready.
    pub(crate) load_timeout: Duration,
    /// How long a worker may work without a sign of life.
    pub(crate) hang_timeout: Duration,
    /// Workers that somebody else runs: `stt=ADDRESS`, `tts=ADDRESS`.
    pub(crate) workers: Vec<String>,
    /// Whether workers are started before they are needed.
    pub(crate) spares: Spares,
    /// How long a model may be unused before it is unloaded; zero = for ever.
    pub(crate) idle_timeout: Duration,
    /// How long a model stays loaded at least.
    pub(crate) min_residency: Duration,
    /// The most models that are loaded at the same time; 0 = any number.
    pub(crate) max_models: usize,
    /// The most models that are on their way at the same time.
    pub(crate) max_loads: usize,
    /// How long a worker may be idle before it has to show that it can work; zero = for ever.
    pub(crate) self_check: Duration,
    /// The most memory that a worker may take, bytes; `None` = no limit.
    pub(crate) worker_memory: Option<u64>,
    /// Where workers may dial in, and the file for their tokens.
    pub(crate) registration: Option<(String, PathBuf)>,
    /// How streaming recognitions are kept.
    pub(crate) sessions: SessionSettings,
    /// How spoken sessions are kept.
    pub(crate) spoken: SpokenSettings,
    /// Whether to go on with sessions that a server before this one has left. Else their folder is made when there is
    /// a first one.
    pub(crate) restores: bool,
}

impl Settings {
    /// What of it the supervisor is told, and the models that it is to know of.
    pub(super) fn of_supervisor(
        &self,
        defaults: &[ModelId],
        preloaded: &[ModelId],
        called: &[ModelId],
    ) -> supervisor::Settings {
        let unless_zero = |duration: Duration| Some(duration).filter(|duration| !duration.is_zero());
        supervisor::Settings {
            program: self.program.clone(),
            cache: self.cache.clone(),
            threads: self.threads,
            load_timeout: self.load_timeout,
            hang_timeout: self.hang_timeout,
            spares: self.spares,
            idle_timeout: unless_zero(self.idle_timeout),
            self_check: unless_zero(self.self_check),
            worker_memory: self.worker_memory,
            min_residency: self.min_residency,
            max_models: Some(self.max_models).filter(|most| *most > 0),
            max_loads: self.max_loads,
            defaults: defaults.to_vec(),
            preloaded: preloaded.to_vec(),
            called: called.to_vec(),
        }
    }
}
