//! What sessions of a bench say, and what they see of each other.

use super::{random::Random, server::Lives, speech::Speech};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize},
};
use tokio::time::Instant;

/// How fast somebody speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pace {
    /// So many times as fast as people do, until the server is so many seconds behind; then as people do.
    Hurried(f64, f64),
    /// As people do, in chunks of a tenth of a second.
    RealTime,
}

/// What is said, and how.
#[derive(Clone, Debug)]
pub(super) struct Script {
    /// The start of its name.
    pub(super) name: String,
    /// What is said.
    pub(super) speech: Arc<Speech>,
    /// Who listens.
    pub(super) model: String,
    /// Whether partials are wanted.
    pub(super) interim: bool,
    /// Whether it is written down in haste.
    pub(super) fast: bool,
    /// How fast it is said.
    pub(super) pace: Pace,
    /// Draws the sizes of chunks.
    pub(super) random: Random,
}

/// What all sessions of a run see.
#[derive(Debug)]
pub(super) struct Scene {
    /// When engines were killed over their work.
    pub(super) kills: Mutex<Vec<Instant>>,
    /// Of the server.
    pub(super) lives: Lives,
    /// Finals that came.
    pub(super) finals: AtomicUsize,
    /// How often the server had no room for one more session.
    pub(super) refused: AtomicUsize,
    /// Whether all that was to happen has happened.
    pub(super) is_over: AtomicBool,
    /// The last sign of life of any session.
    pub(super) alive: Mutex<Instant>,
}

impl Scene {
    /// A scene with a server.
    pub(super) fn new(lives: Lives) -> Self {
        let (kills, alive) = (Mutex::default(), Mutex::new(Instant::now()));
        let (finals, refused, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Self { kills, lives, finals, refused, is_over, alive }
    }

    /// All kills so far.
    pub(super) fn kills(&self) -> Vec<Instant> {
        self.kills.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
