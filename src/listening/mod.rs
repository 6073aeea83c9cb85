//! The rules of streaming recognition: audio in, partials and finals out. Pure: no I/O, no clock, no engine.
//!
//! Invariant: **finals are a function of the audio alone.** How it was cut into chunks, how fast it came, which engines
//! died on the way and how often the server was started again do not show in them. It holds because
//!
//! - the clock is the sample: endpoints are found in the samples, by a detector that looks back a bounded way;
//! - an utterance is decoded whole, once it has ended, with the same options and the text before it as its context;
//! - what is decided is committed with a [`Checkpoint`]; a session that is restored from there, with the audio behind it,
//!   goes on as the one that died would have;
//! - partials decide nothing, and who dies over a partial has decided nothing.
//!
//! A driver feeds a [`Session`] with [`Event`]s and carries its [`Effect`]s out, in their order. The server's driver keeps
//! a log, and gives the work to processes that may die; the worker's decodes in its own process.

mod agreement;
mod closing;
mod detector;
mod endpoint;
mod events;
mod rules;
mod session;
mod voice;

pub(crate) use closing::Gap;
pub(crate) use endpoint::TimedOut;
pub(crate) use events::{Checkpoint, Decided, Decode, Effect, Event, Past, Purpose};
pub(crate) use rules::Rules;
pub(crate) use session::Session;
pub(crate) use voice::VoiceDetector;
