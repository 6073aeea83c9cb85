//! whisper.cpp's callbacks, through which a decode is stopped. whisper-rs 0.16 has no safe way to the one before the
//! encoder, and leaks the closure of the other at each call.

#![expect(unsafe_code, reason = "callbacks of a C library; every block says why it holds")]

use crate::{speech::Samples, worker::engine::Cancel};
use std::{
    ffi::{c_int, c_void},
    sync::atomic::{AtomicI32, AtomicU32, Ordering},
};
use whisper_rs::{FullParams, WhisperError, WhisperState};

/// Decides how far a decode goes: until it is cancelled, and perhaps only through its first pass.
#[derive(Debug)]
pub(super) struct Gate {
    cancel: Cancel,
    /// Whatever the first pass leaves of the window is made better with the audio that follows.
    first_pass_only: bool,
    passes: AtomicU32,
    /// How far whisper.cpp has come, in whole hundredths of the window.
    percent: AtomicI32,
}

impl Gate {
    /// Open until `cancel` is wanted.
    pub(super) fn new(cancel: Cancel, first_pass_only: bool) -> Self {
        Self { cancel, first_pass_only, passes: AtomicU32::new(0), percent: AtomicI32::new(0) }
    }

    /// Where in a window of `length` the next pass would begin, or a little before: after a pause it is where the next
    /// sentence starts, which no segment tells.
    pub(super) fn reached(&self, length: Samples) -> Samples {
        let percent = i64::from(self.percent.load(Ordering::Relaxed)).clamp(0, 100);
        Samples(length.0 * percent / 100)
    }

    /// Asked before each pass over the window. To stop here saves the work of the encoder, which is most of a pass;
    /// the other callback is asked only after it.
    fn begins_pass(&self) -> bool {
        let is_first = self.passes.fetch_add(1, Ordering::Relaxed) == 0;
        !self.cancel.wanted() && (is_first || !self.first_pass_only)
    }
}

/// Decodes a window, as far as the gate lets it.
pub(super) fn decode(
    state: &mut WhisperState,
    mut parameters: FullParams<'_, '_>,
    window: &[f32],
    gate: &Gate,
) -> Result<(), WhisperError> {
    let gate = std::ptr::from_ref(gate).cast_mut().cast::<c_void>();
    // SAFETY: the callbacks read a `Gate`, which is what the pointer is to; it outlives the decode, after which
    // `parameters` are gone. whisper.cpp calls from one thread or another, and a `Gate` may be shared.
    unsafe {
        parameters.set_start_encoder_callback(Some(begins_pass));
        parameters.set_start_encoder_callback_user_data(gate);
        parameters.set_progress_callback(Some(comes_to));
        parameters.set_progress_callback_user_data(gate);
        parameters.set_abort_callback(Some(is_cancelled));
        parameters.set_abort_callback_user_data(gate);
    }
    state.full(parameters, window)
}

/// whisper.cpp's `encoder_begin_callback`: false ends the decode, with what there is.
extern "C" fn begins_pass<C, S>(_context: *mut C, _state: *mut S, gate: *mut c_void) -> bool {
    // SAFETY: see `decode`.
    let gate = unsafe { &*gate.cast::<Gate>().cast_const() };
    gate.begins_pass()
}

/// whisper.cpp's `progress_callback`: told before each pass how far it is, and once more when no other follows.
extern "C" fn comes_to<C, S>(_context: *mut C, _state: *mut S, percent: c_int, gate: *mut c_void) {
    // SAFETY: see `decode`.
    let gate = unsafe { &*gate.cast::<Gate>().cast_const() };
    gate.percent.store(percent, Ordering::Relaxed);
}

/// ggml's `abort_callback`: true ends the decode, as failed.
extern "C" fn is_cancelled(gate: *mut c_void) -> bool {
    // SAFETY: see `decode`.
    let gate = unsafe { &*gate.cast::<Gate>().cast_const() };
    gate.cancel.wanted()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_lets_through_what_it_is_for() {
        let all = Gate::new(Cancel::default(), false);
        assert!((0..5).all(|_| all.begins_pass()));
        let first = Gate::new(Cancel::default(), true);
        assert_eq!([first.begins_pass(), first.begins_pass()], [true, false]);
        first.percent.store(33, Ordering::Relaxed);
        assert_eq!(first.reached(Samples(480_000)), Samples(158_400));
    }

    #[test]
    fn what_is_shared_with_threads_may_be() {
        fn shared<T: Sync>() {}
        shared::<Gate>();
    }
}
