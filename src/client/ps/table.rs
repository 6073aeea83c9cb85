//! The table of workers, and the lines below it that tell of models.

use super::{
    seen::{Seen, Told},
    words,
};
use crate::{client::output::printable, proto::v1, size};
use std::time::{Duration, SystemTime};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What is said where there is nothing to be seen.
pub(super) const NO_WORKER: &str = "no worker runs; the first request starts one";

/// Between two columns.
const GAP: usize = 2;

/// What stands in a cell of which nothing is known.
const UNKNOWN: &str = "-";

/// A column: its title, and how narrow it may get where the window is narrow. Numbers are never cut.
struct Column {
    title: &'static str,
    least: Least,
    cells: Vec<String>,
}

/// How narrow a column may get.
#[derive(Clone, Copy)]
enum Least {
    /// So narrow that the end of a text is lost.
    Text(usize),
    /// As its cells are; only its title may be cut.
    Number,
}

/// The table as lines, with what there is to be said of models; cut to a width, if there is one.
pub(super) fn lines(seen: &Seen, now: SystemTime, width: Option<usize>) -> Vec<String> {
    let mut lines = layout(&columns(seen, now), width);
    let remarks: Vec<String> = seen.models().filter_map(|told| remark(told, seen, now)).collect();
    if !remarks.is_empty() {
        lines.push(String::new());
    }
    lines.extend(remarks);
    lines
}

/// Cuts a line to a width, where something is lost with a mark that says so.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

fn columns(seen: &Seen, now: SystemTime) -> Vec<Column> {
    let column = |title, least, cell: &dyn Fn(&v1::Worker) -> String| {
        let shown = |worker| match cell(worker) {
            empty if empty.is_empty() => UNKNOWN.to_owned(),
            text => printable(&text),
        };
        Column { title, least, cells: seen.workers().map(shown).collect() }
    };
    let mut columns = vec![
        column("WORKER", Least::Text(4), &|worker| worker.id.clone()),
        column("PID", Least::Number, &|worker| known(worker.pid, |pid| pid.to_string())),
        column("STATE", Least::Number, &state),
        column("MODEL", Least::Text(8), &|worker| worker.model.clone()),
        column("ENGINE", Least::Text(6), &|worker| worker.engine.clone()),
        column("FROM", Least::Text(8), &from),
        column("UP", Least::Number, &|worker| up(worker, now)),
        column("CALLS", Least::Number, &|worker| worker.calls.to_string()),
        column("RESTARTS", Least::Number, &|worker| worker.restarts.to_string()),
        column("MEMORY", Least::Number, &|worker| {
            known(worker.memory_bytes, |bytes| size::in_words(bytes.unsigned_abs()))
        }),
        column("LAST DEATH", Least::Text(8), &|worker| last_death(worker.last_death.as_ref(), now)),
    ];
    // Where all are the server's own children, it need not be said.
    let is_elsewhere =
        |worker: &v1::Worker| matches!(worker.origin(), v1::WorkerOrigin::Called | v1::WorkerOrigin::DialledIn);
    if !seen.workers().any(is_elsewhere) {
        columns.retain(|column| column.title != "FROM");
    }
    columns
}

fn known(number: i64, show: impl Fn(i64) -> String) -> String {
    if number > 0 { show(number) } else { String::new() }
}

/// "IDLE", "STARTING 40 %".
pub(super) fn state(worker: &v1::Worker) -> String {
    let state = words::worker_state(worker.state()).unwrap_or("?").to_uppercase();
    match words::progress(worker) {
        Some(progress) => format!("{state} {:.0} %", progress * 100.0),
        None => state,
    }
}

fn from(worker: &v1::Worker) -> String {
    let origin = match worker.origin() {
        v1::WorkerOrigin::Unspecified => "",
        v1::WorkerOrigin::Started => "started",
        v1::WorkerOrigin::Called => "called",
        v1::WorkerOrigin::DialledIn => "dialled in",
    };
    format!("{origin} {}", worker.address).trim().to_owned()
}

fn up(worker: &v1::Worker, now: SystemTime) -> String {
    match worker.state() {
        v1::WorkerState::Gone => String::new(),
        _ => words::age(worker.started.as_ref(), now).unwrap_or_default(),
    }
}

/// "SIGKILL, 3 min ago".
fn last_death(death: Option<&v1::Death>, now: SystemTime) -> String {
    let Some(death) = death else { return String::new() };
    let cause = if death.cause.is_empty() { "?" } else { &death.cause };
    match words::age(death.time.as_ref(), now) {
        Some(age) => format!("{cause}, {age} ago"),
        None => cause.to_owned(),
    }
}

/// What is to be known of a model that is not as it should be.
fn remark(told: &Told<v1::Model>, seen: &Seen, now: SystemTime) -> Option<String> {
    let model = &told.what;
    let mut facts = Vec::new();
    if model.state() == v1::ModelState::Failed {
        let since = now.duration_since(told.at).unwrap_or_default();
        facts.push(failure(model, words::retry_after(model).map(|wait| wait.saturating_sub(since))));
    } else if model.deaths > 0 && !seen.workers().any(|worker| worker.model == model.name) {
        // Of a model that has a worker, the table says it.
        let last = last_death(model.last_death.as_ref(), now);
        let last = if last.is_empty() { last } else { format!(", the last: {last}") };
        facts.push(format!(": workers that died: {}{last}", model.deaths));
    }
    if !model.lies.is_empty() {
        let mut lies: Vec<String> = model.lies.iter().map(|(what, count)| format!("{what} {count}")).collect();
        lies.sort();
        let gap = if facts.is_empty() { ":" } else { ";" };
        facts.push(format!("{gap} answers that could not be true: {}", lies.join(", ")));
    }
    (!facts.is_empty()).then(|| printable(&format!("model `{}`{}", model.name, facts.concat())))
}

/// " failed: the reason; tried again in 4 s".
pub(super) fn failure(model: &v1::Model, left: Option<Duration>) -> String {
    let reason = if model.reason.is_empty() { String::new() } else { format!(": {}", model.reason) };
    let again = match left {
        None => String::new(),
        Some(Duration::ZERO) => "; the next request tries it again".to_owned(),
        // Begun seconds count: it never says 0.
        Some(left) => format!("; tried again in {}", words::span(left + Duration::from_nanos(999_999_999))),
    };
    format!(" failed{reason}{again}")
}

/// Puts columns side by side.
fn layout(columns: &[Column], width: Option<usize>) -> Vec<String> {
    let widths = widths(columns, width);
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            let cell = cut(cell, *width);
            let padding = width - cell.width().min(*width) + GAP;
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', padding));
        }
        line.trim_end().to_owned()
    };
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut lines = vec![line(&mut columns.iter().map(|column| column.title))];
    for row in 0..rows {
        lines.push(line(&mut columns.iter().map(|column| column.cells[row].as_str())));
    }
    lines
}

/// How wide each column gets: as wide as it must be; where that is too much, the widest that may give way do.
fn widths(columns: &[Column], width: Option<usize>) -> Vec<usize> {
    let content = |column: &Column| column.cells.iter().map(|cell| cell.width()).max().unwrap_or(0);
    let mut widths: Vec<usize> = columns.iter().map(|column| content(column).max(column.title.len())).collect();
    let Some(width) = width else { return widths };
    let least: Vec<usize> = columns
        .iter()
        .map(|column| match column.least {
            Least::Text(least) => least,
            Least::Number => content(column).max(column.title.len().min(4)),
        })
        .collect();
    // No column needs more than the whole line: names may be of any length.
    widths.iter_mut().zip(&least).for_each(|(wide, least)| *wide = (*wide).min(width.max(*least)));
    while widths.iter().sum::<usize>() + GAP * (widths.len() - 1) > width {
        let giving = (0..widths.len()).filter(|n| widths[*n] > least[*n]).max_by_key(|n| widths[*n]);
        let Some(giving) = giving else { break };
        widths[giving] -= 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::Timestamp;

    const NOW: i64 = 1_700_000_000;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW as u64)
    }

    fn ago(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds: NOW - seconds, nanos: 0 })
    }

    fn death(cause: &str, seconds: i64) -> Option<v1::Death> {
        Some(v1::Death { cause: cause.to_owned(), time: ago(seconds), ..Default::default() })
    }

    fn worker(id: &str, state: v1::WorkerState, model: &str, engine: &str) -> v1::Worker {
        v1::Worker {
            id: id.to_owned(),
            pid: 4711,
            state: state.into(),
            model: model.to_owned(),
            engine: engine.to_owned(),
            origin: v1::WorkerOrigin::Started.into(),
            started: ago(200),
            memory_bytes: 312 << 20,
            ..Default::default()
        }
    }

    fn seen(workers: Vec<v1::Worker>, models: Vec<v1::Model>) -> Seen {
        let mut seen = Seen::default();
        workers.into_iter().for_each(|worker| seen.worker(worker, now()));
        models.into_iter().for_each(|model| seen.model(model, now()));
        seen
    }

    fn shown(seen: &Seen, width: Option<usize>) -> String {
        lines(seen, now(), width).join("\n")
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let starting = v1::Worker { progress: 0.4, pid: 0, ..worker("w1", v1::WorkerState::Starting, "mock", "mock") };
        let busy = v1::Worker {
            calls: 12,
            restarts: 2,
            last_death: death("SIGKILL", 190),
            ..worker("w12", v1::WorkerState::Busy, "日本語", "whisper")
        };
        let expected = "\
WORKER  PID   STATE          MODEL   ENGINE   UP     CALLS  RESTARTS  MEMORY   LAST DEATH
w1      -     STARTING 40 %  mock    mock     3 min  0      0         312 MiB  -
w12     4711  BUSY           日本語  whisper  3 min  12     2         312 MiB  SIGKILL, 3 min ago";
        assert_eq!(shown(&seen(vec![busy, starting], vec![]), None), expected);
    }

    #[test]
    fn no_worker_is_a_title_alone() {
        let title = "WORKER  PID  STATE  MODEL  ENGINE  UP  CALLS  RESTARTS  MEMORY  LAST DEATH";
        assert_eq!(shown(&seen(vec![], vec![]), Some(200)), title);
    }

    #[test]
    fn a_narrow_window_gets_less_of_the_widest_columns() {
        let name = "/home/somebody/models/ggml-large-v3-turbo-q5_0.bin";
        let busy =
            v1::Worker { last_death: death("SIGSEGV", 60), ..worker("w1", v1::WorkerState::Busy, name, "whisper") };
        let seen = seen(vec![busy], vec![]);
        let expected = "\
WORKER  PID   STATE  MODEL             ENGINE   UP     CALLS  RESTARTS  MEMORY   LAST DEATH
w1      4711  BUSY   /home/somebody/…  whisper  3 min  0      0         312 MiB  SIGSEGV, 60 s a…";
        assert_eq!(shown(&seen, Some(97)), expected);
        let expected = "\
WORK…  PID   STATE  MODEL     ENGINE  UP     CALLS  REST…  MEMORY   LAST DE…
w1     4711  BUSY   /home/s…  whisp…  3 min  0      0      312 MiB  SIGSEGV…";
        let narrow = shown(&seen, Some(76));
        assert_eq!(narrow, expected);
        for width in [0, 1, 10] {
            assert!(shown(&seen, Some(width)).contains("4711  BUSY"), "numbers and states are never cut");
        }
    }

    #[test]
    fn names_of_any_length_and_kind_are_cut_where_they_are_seen() {
        let long = "x".repeat(1_000_000);
        let seen =
            seen(vec![worker(&long, v1::WorkerState::Idle, &"語".repeat(100_000), "e\u{301}\u{1b}[2J\n")], vec![]);
        let lines = lines(&seen, now(), Some(100));
        assert!(lines.iter().all(|line| line.width() <= 100 && !line.chars().any(char::is_control)), "{lines:?}");
        assert!(lines[1].contains("e\u{301}\\u{1b}[2J\\n"), "{}", lines[1]);
        assert_eq!(
            (cut("日本語", 6), cut("日本語", 5), cut("日本語", 4)),
            ("日本語".into(), "日本…".into(), "日…".into())
        );
        assert_eq!((cut("", 0), cut("ab", 1), cut("a", 1)), (String::new(), "…".into(), "a".into()));
    }

    #[test]
    fn workers_from_elsewhere_have_a_column_more() {
        let (started, mut dialled) =
            (worker("w1", v1::WorkerState::Idle, "a", "mock"), worker("w2", v1::WorkerState::Idle, "b", "mock"));
        dialled.origin = v1::WorkerOrigin::DialledIn.into();
        dialled.address = "10.0.0.2:60000".to_owned();
        let expected = "\
WORKER  PID   STATE  MODEL  ENGINE  FROM                       UP     CALLS  RESTARTS  MEMORY   LAST DEATH
w1      4711  IDLE   a      mock    started                    3 min  0      0         312 MiB  -
w2      4711  IDLE   b      mock    dialled in 10.0.0.2:60000  3 min  0      0         312 MiB  -";
        assert_eq!(shown(&seen(vec![started, dialled], vec![]), None), expected);
    }

    #[test]
    fn models_that_are_not_as_they_should_be_are_told_of_below() {
        let model = |name: &str, state: v1::ModelState| v1::Model {
            name: name.to_owned(),
            state: state.into(),
            ..Default::default()
        };
        let failed = v1::Model {
            reason: "its file is cut short".to_owned(),
            retry_after: Some(prost_types::Duration { seconds: 3, nanos: 500_000_000 }),
            ..model("c", v1::ModelState::Failed)
        };
        let lies = [("SILENCE".to_owned(), 2), ("SAMPLE_RATE".to_owned(), 1)].into();
        let died = v1::Model { deaths: 3, last_death: death("SIGKILL", 120), ..model("a", v1::ModelState::NotLoaded) };
        let lied = v1::Model { lies, deaths: 3, ..model("b", v1::ModelState::Ready) };
        let bare = model("d\n", v1::ModelState::Failed);
        let fine = model("e", v1::ModelState::Ready);
        let workers = vec![worker("w1", v1::WorkerState::Idle, "b", "mock")];
        let seen = seen(workers, vec![failed, died, lied, bare, fine]);
        let expected = [
            "",
            "model `a`: workers that died: 3, the last: SIGKILL, 2 min ago",
            "model `b`: answers that could not be true: SAMPLE_RATE 1, SILENCE 2",
            "model `c` failed: its file is cut short; tried again in 4 s",
            "model `d\\n` failed",
        ];
        assert_eq!(lines(&seen, now(), None)[2..], expected);
        let later = lines(&seen, now() + Duration::from_secs(4), None);
        assert_eq!(later[5], "model `c` failed: its file is cut short; the next request tries it again");
    }
}
