//! A line that tells how far a transcript is: on a terminal, for recordings that take a while.

use crate::{client::output::Output, speech::Samples};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// Recordings that are shorter are done before anybody reads the line.
const WORTH_SHOWING: f64 = 10.0;

/// The line, or nothing.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Begins to show, for a recording of so many seconds, if that is known; `label` goes before it.
    pub(super) fn start(duration: Option<f64>, label: &str, output: Output) -> Self {
        if !output.is_live() || duration.is_some_and(|seconds| seconds < WORTH_SHOWING) {
            return Self(None);
        }
        let bar = match duration {
            Some(seconds) => {
                ProgressBar::new(seconds as u64).with_style(style("{prefix}{wide_bar} {msg} of {len} s, {eta} left"))
            }
            None => ProgressBar::new_spinner().with_style(style("{prefix}{spinner} {msg}, {elapsed}")),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        bar.set_prefix(label.to_owned());
        bar.set_message("0 s");
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(bar))
    }

    /// Shows how much is decided.
    pub(super) fn at(&self, decided: Samples) {
        if let Some(bar) = &self.0 {
            bar.set_position(decided.seconds() as u64);
            bar.set_message(format!("{:.0} s", decided.seconds()));
        }
    }

    /// Writes something while the line is out of the way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Also when the call fails.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
