//! A line that tells how far a bench is: on a terminal.

use crate::client::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;

/// The line, or nothing.
pub(super) struct Line(Option<ProgressBar>);

impl Line {
    /// Begins to show, where somebody looks.
    pub(super) fn start(output: Output) -> Self {
        Self(output.is_live().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
            let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        }))
    }

    /// Shows what is being done.
    pub(super) fn show(&self, what: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(what.to_owned());
        }
    }
}

/// Takes the line away, also when the run fails.
impl Drop for Line {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
