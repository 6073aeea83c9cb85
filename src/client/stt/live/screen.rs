//! A line on a terminal that shows what is heard and understood while somebody speaks: written in place on stderr, out
//! of the way of finals, which go to stdout above it.

use super::{lines::confirmed, told::Told};
use crate::{
    client::{
        mic::Level,
        output::{Output, printable},
    },
    proto::v1,
    speech::Samples,
};
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How often it changes at most.
const PACE: Duration = Duration::from_millis(80);

/// Cells of the meter, and the loudness that fills none of them, in decibels.
const METER: usize = 8;
const QUIET: f32 = -54.0;

/// The line, or nothing.
pub(super) struct Screen {
    output: Output,
    is_live: bool,
    has_colours: bool,
    status: Status,
    is_drawn: bool,
    /// There is news that is not drawn.
    is_stale: bool,
    drawn_at: Option<Instant>,
}

/// What it shows.
#[derive(Default)]
struct Status {
    level: Option<Level>,
    heard: Samples,
    /// What is understood, and how many characters of it are sure.
    partial: (String, usize),
    is_away: bool,
}

impl Screen {
    /// One that shows something where somebody watches.
    pub(super) fn new(output: Output) -> Self {
        let has_colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            output,
            is_live: output.is_live(),
            has_colours,
            status: Status::default(),
            is_drawn: false,
            is_stale: false,
            drawn_at: None,
        }
    }

    /// Whether anybody sees it.
    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }

    /// Shows how much was heard, and how loud it is.
    pub(super) fn hear(&mut self, heard: Samples, level: Option<Level>) {
        (self.status.heard, self.status.level) = (heard, level);
        self.draw();
    }

    /// Shows what is understood so far.
    pub(super) fn tell(&mut self, told: &Told) {
        match told {
            Told::Partial(partial) => self.status.partial = understood(partial),
            Told::Final(_) | Told::Ended { .. } => self.status.partial = Default::default(),
            Told::Away(_) => self.status.is_away = true,
            Told::Ready(_) | Told::Resumed(_) => self.status.is_away = false,
            Told::Started { .. } | Told::Silence { .. } | Told::Gap { .. } => return,
        }
        self.draw();
    }

    /// Writes something while the line is out of the way.
    pub(super) fn beside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        self.clear();
        write()
    }

    /// Shows what came too fast to be shown at once.
    pub(super) fn refresh(&mut self) {
        if self.is_stale {
            self.draw();
        }
    }

    /// Takes it away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            self.output.live("\r\x1b[2K");
            self.drawn_at = None;
        }
    }

    fn draw(&mut self) {
        let is_due = self.drawn_at.is_none_or(|at| at.elapsed() >= PACE);
        self.is_stale = self.is_live && !is_due;
        if !self.is_live || !is_due {
            return;
        }
        let line = drawn(&self.status, self.output.live_width(), self.has_colours);
        // A character whose width the terminal sees otherwise must not make a line two: nothing wraps.
        self.output.live(&format!("\x1b[?7l\r\x1b[2K{line}\x1b[?7h"));
        (self.is_drawn, self.drawn_at) = (true, Some(Instant::now()));
    }
}

/// Also when it ends otherwise.
impl Drop for Screen {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A partial as it can be shown. What has to be written otherwise to be harmless is never counted as sure.
fn understood(partial: &v1::Partial) -> (String, usize) {
    let sure = confirmed(partial);
    let text: String = partial.text.chars().take(sure).collect();
    let shown = printable(&text);
    let count = shown.chars().count();
    let rest: String = partial.text.chars().skip(sure).collect();
    (shown + &printable(&rest), count)
}

/// "0:07 ▮▮▮▯▯▯▯▯ turn on the kitch", in so many columns.
fn drawn(status: &Status, width: usize, has_colours: bool) -> String {
    let seconds = status.heard.seconds() as u64;
    let mut start = format!("{}:{:02} ", seconds / 60, seconds % 60);
    if let Some(level) = status.level {
        let share = (level.rms - QUIET) / -QUIET;
        let full = (share.clamp(0.0, 1.0) * METER as f32).round() as usize;
        start += &format!("{}{} ", "▮".repeat(full), "▯".repeat(METER - full));
    }
    if status.is_away {
        start += "(the server is away) ";
    }
    // The last column stays free: terminals differ in what follows there.
    let room = width.saturating_sub(start.width() + 1);
    let (text, sure) = &status.partial;
    let (tail, left_out) = tail(text, room);
    let sure = sure.saturating_sub(left_out);
    let mark = if left_out > 0 { "…" } else { "" };
    let (firm, loose): (String, String) = (tail.chars().take(sure).collect(), tail.chars().skip(sure).collect());
    match has_colours && !loose.is_empty() {
        true => format!("{start}{mark}{firm}\x1b[2m{loose}\x1b[0m"),
        false => format!("{start}{mark}{firm}{loose}"),
    }
}

/// The end of a text that has room in so many columns, with one for a mark where something is left out; and how many
/// characters that are.
fn tail(text: &str, room: usize) -> (String, usize) {
    if text.width() <= room {
        return (text.to_owned(), 0);
    }
    let mut columns = 1;
    let mut kept: Vec<char> = Vec::new();
    for character in text.chars().rev() {
        columns += character.width().unwrap_or(0);
        if columns > room {
            break;
        }
        kept.push(character);
    }
    let left_out = text.chars().count() - kept.len();
    (kept.into_iter().rev().collect(), left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str, sure: usize) -> Status {
        Status { heard: Samples(7 * 16_000), partial: (text.to_owned(), sure), ..Status::default() }
    }

    #[test]
    fn the_end_of_what_is_understood_has_room() {
        assert_eq!(drawn(&status("turn on", 4), 80, false), "0:07 turn on");
        assert_eq!(drawn(&status("turn on", 4), 80, true), "0:07 turn\x1b[2m on\x1b[0m");
        assert_eq!(drawn(&status("turn on the light", 13), 14, true), "0:07 …e l\x1b[2might\x1b[0m");
        assert_eq!(drawn(&status("turn on the light", 4), 14, true), "0:07 …\x1b[2me light\x1b[0m");
        assert_eq!(drawn(&status("灯をつけて", 0), 12, false), "0:07 …けて");
        assert_eq!(drawn(&status("turn on", 7), 3, false), "0:07 …", "no room at all");
    }

    #[test]
    fn the_meter_is_full_when_it_is_loud() {
        let mut loud = status("", 0);
        for (rms, meter) in [(0.0, "▮▮▮▮▮▮▮▮"), (-27.0, "▮▮▮▮▯▯▯▯"), (-96.0, "▯▯▯▯▯▯▯▯")]
        {
            loud.level = Some(Level { peak: 0.0, rms });
            assert_eq!(drawn(&loud, 80, true), format!("0:07 {meter} "));
        }
    }

    #[test]
    fn nothing_harmful_is_shown() {
        let partial = v1::Partial { text: "a\u{1b}[31mb".to_owned(), confirmed: 2, ..v1::Partial::default() };
        assert_eq!(understood(&partial), ("a\\u{1b}[31mb".to_owned(), 7));
    }
}
