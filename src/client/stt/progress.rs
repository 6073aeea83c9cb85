//! A line that tells how far a transcript is: on a terminal, for recordings that take a while.

use crate::{client::output::Output, speech::Samples};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Recordings that are shorter are done before anybody reads the line.
const WORTH_SHOWING: f64 = 10.0;

/// Narrower terminals get no bar, only numbers: what wraps cannot be taken away again.
pub(in crate::client) const ROOM_FOR_BAR: u16 = 70;

/// The line, or nothing.
pub(super) struct Progress(Option<Shown>);

struct Shown {
    bar: ProgressBar,
    /// The whole length in seconds, if it is known.
    length: Option<f64>,
    begun: Instant,
    /// When it will be done, as far as can be told; the time left counts down to it between two reports.
    end: Arc<Mutex<Option<Instant>>>,
}

impl Progress {
    /// Begins to show, for a recording of so many seconds, if that is known; `label` goes before it.
    pub(super) fn start(length: Option<f64>, label: &str, output: Output) -> Self {
        if !output.is_live() || length.is_some_and(|seconds| seconds < WORTH_SHOWING) {
            return Self(None);
        }
        let end = Arc::new(Mutex::new(None::<Instant>));
        let told = Arc::clone(&end);
        let left = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            let end = *told.lock().unwrap_or_else(PoisonError::into_inner);
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            // A terminal that does not take it misses a word.
            left.map_or(Ok(()), |left| write!(text, ", {} left", in_words(left))).unwrap_or_default();
        };
        let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| size.ws_col);
        let bar = match length {
            Some(seconds) => {
                let template =
                    if width < ROOM_FOR_BAR { "{prefix}{msg}{left}" } else { "{prefix}{bar:30} {msg}{left}" };
                ProgressBar::new(seconds.ceil() as u64).with_style(style(template).with_key("left", left))
            }
            None => ProgressBar::new_spinner().with_style(style("{prefix}{spinner} {msg}, {elapsed}")),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        bar.set_prefix(label.to_owned());
        let shown = Shown { bar, length, begun: Instant::now(), end };
        shown.at(0.0);
        shown.bar.enable_steady_tick(Duration::from_millis(200));
        Self(Some(shown))
    }

    /// Shows how much is decided.
    pub(super) fn at(&self, decided: Samples) {
        if let Some(shown) = &self.0 {
            shown.at(decided.seconds());
        }
    }

    /// Writes something while the line is out of the way.
    pub(super) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(shown) => shown.bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        if let Some(shown) = &self.0 {
            shown.bar.finish_and_clear();
        }
    }
}

impl Shown {
    fn at(&self, decided: f64) {
        self.bar.set_position(decided as u64);
        let Some(length) = self.length else {
            self.bar.set_message(format!("{decided:.0} s"));
            return;
        };
        self.bar.set_message(format!("{decided:.0} of {length:.0} s"));
        if decided > 0.0 {
            let spent = self.begun.elapsed();
            let left = spent.mul_f64(((length - decided) / decided).max(0.0));
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + left);
        }
    }
}

/// Also when the call fails.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// "12 s", "3 min", "2 h 5 min".
pub(in crate::client) fn in_words(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..90 => format!("{seconds} s"),
        seconds @ 90..5_400 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A line of this shape.
pub(in crate::client) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let told = [0, 89, 90, 3_000, 7_500].map(|seconds| in_words(Duration::from_secs(seconds)));
        assert_eq!(told, ["0 s", "89 s", "2 min", "50 min", "2 h 5 min"]);
    }
}
