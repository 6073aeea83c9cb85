//! What espeak-ng says without a voice: texts as phonemes.

mod clause;
mod ffi;
mod reader;

#[cfg(test)]
pub(in crate::worker::engine) use clause::End;
pub(in crate::worker::engine) use clause::{Clause, Clauses, Reading};
pub(in crate::worker::engine) use reader::Reader;
#[cfg(test)]
pub(in crate::worker::engine) use reader::tests::shared;
