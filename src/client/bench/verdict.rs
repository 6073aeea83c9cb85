//! What came of a bench: what the rough run gave beside what the calm one did, and how it is told.

use super::{
    book::{Book, Life},
    killer::Toll,
};
use std::time::Duration;

/// Sentences about what went wrong that are told; there may be thousands.
const TOLD: usize = 20;

/// What of a session of the rough run is not as it was in calm.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct Broken {
    /// Samples that no final and no silence covers, and that were covered in calm.
    pub(super) samples_lost: i64,
    /// Finals that came twice, or whose audio came before.
    pub(super) finals_duplicated: usize,
    /// Finals that are not, to the last bit, what they were in calm.
    pub(super) finals_different: usize,
    /// Events that came where they must not.
    pub(super) events_out_of_order: usize,
    /// Everything else: streams that broke by themselves, gaps, refusals, sessions without an end.
    pub(super) other_faults: usize,
    /// The first of them, in words.
    pub(super) told: Vec<String>,
}

impl Broken {
    /// Whether nothing is.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Looks at a session; `truth` is what it gave in calm, where this is not the calm run itself.
    pub(super) fn look(&mut self, who: &str, book: &Book, truth: Option<&Book>, samples: i64) {
        let faults = &book.faults;
        self.finals_duplicated += faults.duplicated.len();
        self.events_out_of_order += faults.disordered.len();
        self.other_faults += faults.broken.len();
        for fault in faults.duplicated.iter().chain(&faults.disordered).chain(&faults.broken) {
            self.tell(format!("{who}: {fault}"));
        }
        let reached = book.done.map_or(book.decided, |done| done.audio_end);
        let mut lost = (samples - reached).max(0);
        if let Some(truth) = truth {
            lost += uncovered(truth, book, reached);
            self.compare(who, book, truth);
        }
        if lost > 0 {
            self.tell(format!("{who}: {lost} of {samples} samples are lost"));
        }
        self.samples_lost += lost;
    }

    fn compare(&mut self, who: &str, book: &Book, truth: &Book) {
        for index in 0..book.finals.len().max(truth.finals.len()) {
            let (told, calm) = (book.finals.get(index), truth.finals.get(index));
            if told == calm {
                continue;
            }
            self.finals_different += 1;
            let words = |told: Option<&crate::proto::v1::Final>| {
                told.map_or("nothing".to_owned(), |told| {
                    format!(
                        "`{}` ({} to {}, confidence {})",
                        told.text, told.audio_start, told.audio_end, told.confidence
                    )
                })
            };
            self.tell(format!("{who}: final {} is {}, and was {}", index + 1, words(told), words(calm)));
        }
    }

    fn tell(&mut self, fault: String) {
        if self.told.len() < TOLD {
            self.told.push(fault);
        }
    }
}

/// Samples before `reached` that finals covered in calm, and do not cover here.
fn uncovered(truth: &Book, book: &Book, reached: i64) -> i64 {
    let mut lost = 0;
    for calm in &truth.finals {
        let end = calm.audio_end.min(reached);
        let overlap = |(start, stop): (i64, i64)| (stop.min(end) - start.max(calm.audio_start)).max(0);
        let covered: i64 = book.finals.iter().map(|told| overlap((told.audio_start, told.audio_end))).sum();
        lost += (end - calm.audio_start - covered).max(0);
    }
    lost
}

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub(super) struct Spread {
    /// How many.
    pub(super) count: usize,
    /// The middle one.
    pub(super) p50: f64,
    /// One in a hundred takes longer.
    pub(super) p99: f64,
    /// The longest.
    pub(super) max: f64,
}

impl Spread {
    /// Of these times.
    pub(super) fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (times.len() as f64 * part).ceil() as usize;
            times.get(index.saturating_sub(1)).map_or(0.0, |time| (time * 10.0).round() / 10.0)
        };
        Self { count: times.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        match self.count {
            0 => "-".to_owned(),
            _ => format!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms ({})", self.p50, self.p99, self.max, self.count),
        }
    }
}

/// How long streams took to be there again.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Resumed {
    /// From a cut of the connection.
    pub(super) connection_cut: Spread,
    /// From the death of the server.
    pub(super) server_killed: Spread,
    /// Of it, until the server listened.
    pub(super) server_restart: Spread,
    /// And from then on.
    pub(super) server_to_ready: Spread,
}

impl Resumed {
    /// Of these sessions.
    pub(super) fn of(books: &[Book]) -> Self {
        let all = || books.iter().flat_map(|book| &book.resumes);
        let of = |cause: Life| Spread::of(all().filter(move |resume| resume.cause == cause).map(|resume| resume.took));
        let split = || all().filter_map(|resume| resume.restart.map(|restart| (restart, resume.took)));
        Self {
            connection_cut: of(Life::Connection),
            server_killed: of(Life::Server),
            server_restart: Spread::of(split().map(|(restart, _)| restart)),
            server_to_ready: Spread::of(split().map(|(restart, took)| took.saturating_sub(restart))),
        }
    }
}

/// How much a run got through.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Run {
    /// Sessions that were spoken to their end.
    pub(super) sessions: usize,
    /// What they said.
    pub(super) audio_seconds: f64,
    /// How long it took.
    pub(super) seconds: f64,
    /// What they were told.
    pub(super) finals: usize,
    /// Guesses in between.
    pub(super) partials: usize,
    /// How often the server had no room for a session just then.
    pub(super) refused: usize,
    /// Seconds of audio for each second.
    pub(super) speed: f64,
}

impl Run {
    /// Of these sessions.
    pub(super) fn of(books: &[Book], audio_seconds: f64, took: Duration, refused: usize) -> Self {
        let seconds = took.as_secs_f64();
        let tenth = |number: f64| (number * 10.0).round() / 10.0;
        Self {
            sessions: books.len(),
            audio_seconds: tenth(audio_seconds),
            seconds: tenth(seconds),
            finals: books.iter().map(|book| book.finals.len()).sum(),
            partials: books.iter().map(|book| book.partials).sum(),
            refused,
            speed: (audio_seconds / seconds.max(1e-9) * 100.0).round() / 100.0,
        }
    }
}

/// All that is told of a run.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Verdict {
    /// Goes up when a field is removed or means something else.
    pub(super) version: u32,
    /// What draws the same run again.
    pub(super) seed: u64,
    /// Who listened.
    pub(super) model: String,
    /// Sessions at the same time.
    pub(super) sessions: usize,
    /// Who was killed.
    pub(super) killed: Toll,
    /// The part of the engines that died in the middle of a decode.
    pub(super) mid_decode: f64,
    /// What went wrong.
    pub(super) broken: Broken,
    /// How long streams were away.
    pub(super) resumed_ms: Resumed,
    /// From the death of an engine over its work to the next partial or final of a session that was speaking.
    pub(super) recovered_ms: Spread,
    /// The run in which nobody died.
    pub(super) calm: Run,
    /// The run in which they did.
    pub(super) rough: Run,
}

impl Verdict {
    /// As people read it.
    pub(super) fn lines(&self) -> Vec<String> {
        let Toll { engines, servers, cuts } = &self.killed;
        let phases: Vec<String> = engines.iter().map(|(phase, count)| format!("{count} {phase}")).collect();
        let phases = if phases.is_empty() { "-".to_owned() } else { phases.join(", ") };
        let share = format!("{} ({phases}; {:.0} % in mid-decode)", self.killed.engines(), self.mid_decode * 100.0);
        let run = |run: &Run| {
            format!(
                "{} sessions, {} s of audio in {} s: {} times real time; {} finals, {} partials, {} times no room",
                run.sessions, run.audio_seconds, run.seconds, run.speed, run.finals, run.partials, run.refused
            )
        };
        let broken = &self.broken;
        let rows = [
            ("engines killed", share),
            ("servers killed", servers.to_string()),
            ("connections cut", cuts.to_string()),
            ("calm run", run(&self.calm)),
            ("rough run", run(&self.rough)),
            ("samples lost", broken.samples_lost.to_string()),
            ("finals duplicated", broken.finals_duplicated.to_string()),
            ("finals different", broken.finals_different.to_string()),
            ("events out of order", broken.events_out_of_order.to_string()),
            ("other faults", broken.other_faults.to_string()),
            ("cut to ready", self.resumed_ms.connection_cut.told()),
            ("server killed to ready", self.resumed_ms.server_killed.told()),
            ("  until it listened", self.resumed_ms.server_restart.told()),
            ("  from then to ready", self.resumed_ms.server_to_ready.told()),
            ("engine killed to text", self.recovered_ms.told()),
            ("seed", self.seed.to_string()),
        ];
        let told = broken.told.iter().map(|fault| format!("  {fault}"));
        rows.into_iter().map(|(name, value)| format!("{name:<24}{value}")).chain(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    fn final_(seq: i64, from: i64, to: i64, text: &str) -> v1::Final {
        v1::Final { seq, audio_start: from, audio_end: to, text: text.to_owned(), ..Default::default() }
    }

    fn book(finals: Vec<v1::Final>, audio_end: i64) -> Book {
        let mut book = Book::default();
        (book.finals, book.done) = (finals, Some(v1::SessionDone { audio_end, ..Default::default() }));
        book
    }

    #[test]
    fn what_is_missing_or_different_is_found() {
        let truth = book(vec![final_(1, 10, 20, "a"), final_(2, 30, 50, "b")], 60);
        let look = |told: &Book| {
            let mut broken = Broken::default();
            broken.look("s", told, Some(&truth), 60);
            (broken.samples_lost, broken.finals_different, broken.is_nothing())
        };
        assert_eq!(look(&truth), (0, 0, true));
        assert_eq!(look(&book(vec![final_(1, 10, 20, "a")], 60)), (20, 1, false));
        assert_eq!(look(&book(vec![final_(1, 10, 20, "a"), final_(2, 35, 50, "b")], 60)), (5, 1, false));
        assert_eq!(look(&book(vec![final_(1, 10, 20, "x"), final_(2, 30, 50, "b")], 60)), (0, 1, false));
        assert_eq!(look(&book(vec![final_(1, 10, 20, "a"), final_(2, 30, 50, "b")], 55)), (5, 0, false));
        assert_eq!(look(&book(vec![final_(1, 10, 20, "a")], 20)), (40, 1, false));
    }

    #[test]
    fn times_are_spread() {
        let spread = Spread::of((1..=200).map(Duration::from_millis));
        assert_eq!(spread, Spread { count: 200, p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::of([]), Spread::default());
    }
}
