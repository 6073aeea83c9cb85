//! In what the kinds of models differ: how many of each may work, and how their workers come and go.

use crate::{
    server::supervisor::roster::{CALL_AGAIN, budget},
    speech::ModelId,
};
use std::time::Duration;

/// Leases of one model at a time, beside those of guests. A recogniser uses all cores by itself; a synthesiser waits most
/// of the time for whoever listens; of a worker elsewhere we do not know what it can bear.
pub(super) fn limit(model: &ModelId) -> usize {
    match model {
        // So does a voice that is computed.
        ModelId::Whisper(_) | ModelId::SelfTest | ModelId::Piper(_) | ModelId::Called { recognises: true, .. } => 1,
        ModelId::Called { .. } => 4,
        ModelId::Espeak | ModelId::Mock(_) => 16,
        ModelId::DialledIn { .. } => 0,
    }
}

/// The longest wait between two tries. To call a worker elsewhere costs nearly nothing, and it may be back any time.
pub(super) fn longest_wait(model: &ModelId) -> Duration {
    if matches!(model, ModelId::Called { .. }) { CALL_AGAIN } else { budget::LONGEST_WAIT }
}

/// Whether a worker is used up by one lease: its engine keeps something from call to call, so that only a fresh one
/// gives the same answer to the same request.
pub(super) fn is_used_up(model: &ModelId) -> bool {
    matches!(model, ModelId::Espeak)
}

/// Whether we can start workers of this model: not where they come to us by themselves.
pub(super) fn is_startable(model: &ModelId) -> bool {
    !matches!(model, ModelId::DialledIn { .. })
}
