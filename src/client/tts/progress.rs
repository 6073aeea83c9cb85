//! A line that tells how much of a text is spoken: on a terminal, once that takes a while.

use crate::client::{
    output::Output,
    stt::progress::{ROOM_FOR_BAR, in_words, style},
};
use indicatif::{ProgressBar, ProgressDrawTarget};
use std::time::{Duration, Instant};

/// Texts that are spoken sooner are done before anybody reads the line.
const WORTH_SHOWING: Duration = Duration::from_secs(1);

/// The line, or nothing.
pub(super) struct Progress {
    output: Output,
    begun: Instant,
    /// Bytes of the whole text, if that is known.
    length: Option<u64>,
    /// Bytes of it that are spoken.
    text: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins to count, for a text of so many bytes, if that is known.
    pub(super) fn start(length: Option<u64>, output: Output) -> Self {
        let length = length.filter(|length| *length > 0);
        Self { output, begun: Instant::now(), length, text: 0, bar: None }
    }

    /// The text is spoken up to this byte.
    pub(super) fn text(&mut self, at: u64) {
        self.text = at;
    }

    /// So many seconds of audio are there.
    pub(super) fn audio(&mut self, seconds: f64) {
        if self.bar.is_none() {
            if !self.output.is_live() || self.begun.elapsed() < WORTH_SHOWING {
                return;
            }
            self.bar = Some(self.draw());
        }
        let Some(bar) = &self.bar else { return };
        let speech = in_words(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        bar.set_message(match self.length {
            Some(length) => {
                let done = self.text.min(length);
                bar.set_position(done);
                format!("{} %, {speech} of speech", done.saturating_mul(100) / length)
            }
            None => format!("{speech} of speech"),
        });
    }

    /// Writes something while the line is out of the way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn draw(&self) -> ProgressBar {
        let has_room = self.output.live_width() >= usize::from(ROOM_FOR_BAR);
        let bar = match self.length {
            Some(length) => {
                let template = if has_room { "{bar:30} {msg}, {elapsed}" } else { "{msg}, {elapsed}" };
                ProgressBar::new(length).with_style(style(template))
            }
            None => ProgressBar::new_spinner().with_style(style("{spinner} {msg}, {elapsed}")),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let bar = bar.with_elapsed(self.begun.elapsed());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// Also when the call fails.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
