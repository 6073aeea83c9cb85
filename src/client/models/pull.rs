//! `speechctl models pull`: downloads, and what is seen of them.

use super::{on_thread, packages};
use crate::{
    client::{
        json,
        output::{Output, printable, unless_closed},
        stt::progress::{ROOM_FOR_BAR, in_words as time_in_words, style},
    },
    config,
    error::{Error, Kind, Result},
    models::{
        catalogue::Package,
        hub::{Hub, Settings},
        pull::{self, Told, Wants},
        shelf::Installed,
    },
    size,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

/// How often progress is told to programs.
const OFTEN: Duration = Duration::from_millis(200);

/// Downloads what the names mean, and says on stdout where it is: for each model its name and its file, with a tab
/// between.
///
/// # Errors
/// What is wrong with a name, the hub or the disk. What has come by then is kept.
pub(super) async fn run(names: Vec<String>, force: bool, is_json: bool, output: Output) -> Result<()> {
    let pulled = download(move |settings, hub| packages(&names, settings, hub), force, is_json, output).await?;
    if is_json {
        return Ok(());
    }
    let lines = pulled.iter().map(|model| format!("{}\t{}\n", model.name, model.path.display()));
    output.bytes(lines.collect::<String>().as_bytes())
}

/// Downloads what is asked for, and shows how far it is.
///
/// # Errors
/// What is wrong with a name, the hub or the disk. What has come by then is kept.
pub(super) async fn download(
    what: impl FnOnce(&Settings, &Hub) -> Result<Vec<Package>> + Send + 'static,
    force: bool,
    is_json: bool,
    output: Output,
) -> Result<Vec<Installed>> {
    // Dropped with this call: then the thread knows that nobody waits for it any more.
    let (_alive, given_up) = channel::<()>();
    on_thread(move || {
        let settings = Settings::read(config::env)?;
        let hub = Hub::new(&settings)?;
        let packages = what(&settings, &hub)?;
        let mut show = Show::new(is_json, output);
        let wants = Wants { packages: &packages, force };
        let mut wait = |time: Duration| rest(&given_up, time);
        pull::pull(
            &wants,
            &settings,
            &hub,
            &mut |told| {
                rest(&given_up, Duration::ZERO)?;
                show.take(told)
            },
            &mut wait,
        )
    })
    .await
}

/// Waits, unless nobody wants it any more.
fn rest(given_up: &Receiver<()>, time: Duration) -> Result<()> {
    match given_up.recv_timeout(time) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Error::new(Kind::Cancelled, "interrupted")),
    }
}

/// A line of `--json`. What is not known is left out.
#[derive(Default, serde::Serialize)]
struct Event<'a> {
    /// "file", once for each before the first byte; "progress", a few times a second; "end", once for each.
    event: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    model: &'a str,
    file: &'a str,
    /// The size of the file, bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// Bytes that are on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Bytes that came over the network now.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// What is seen of downloads.
struct Show {
    manner: Manner,
    /// The files, by the names of their models and their own: how large they are, and how much of them is there.
    files: BTreeMap<(String, String), (Option<u64>, u64)>,
    output: Output,
}

/// How it is shown.
enum Manner {
    /// To people.
    Bar(ProgressBar),
    /// To programs, and when progress was told last.
    Json(Option<Instant>),
    /// Not at all but to who asks for more.
    Lines,
}

impl Show {
    fn new(is_json: bool, output: Output) -> Self {
        let manner = match is_json {
            true => Manner::Json(None),
            false if output.is_live() => Manner::Bar(bar()),
            false => Manner::Lines,
        };
        Self { manner, files: BTreeMap::new(), output }
    }

    fn take(&mut self, told: Told<'_>) -> Result<()> {
        match told {
            Told::Asking { name } => {
                self.say(&format!("asking for {}", printable(name)));
                Ok(())
            }
            Told::Found { name, file, size, has } => {
                self.files.insert((name.to_owned(), file.to_owned()), (size, has));
                self.show();
                if let Manner::Bar(bar) = &self.manner {
                    // What was here already says nothing of how fast the rest comes.
                    bar.reset_eta();
                }
                self.event(&Event { event: "file", model: name, file, size, bytes: Some(has), ..Event::default() })
            }
            Told::NotAsked { name, error } => {
                self.note(&format!("{}: {error}; what is here will do", printable(name)));
                Ok(())
            }
            Told::Came { name, file, bytes, is_others } => {
                self.came(name, file, bytes);
                self.say(if is_others { "another process downloads it" } else { "" });
                self.progress(name, file, bytes)
            }
            Told::Waiting { name, file, for_what, pause, error } => {
                let why = error.map(|error| format!(": {error}")).unwrap_or_default();
                self.say(&printable(&format!("waiting {} for {for_what}{why}", time_in_words(pause))));
                self.output.note_verbose(&format!("{name}: {file}: waiting for {for_what}{why}"));
                Ok(())
            }
            Told::Checking { name, file, bytes } => {
                self.say(&printable(&format!("reading what is here of {name}, {file}: {}", size::in_words(bytes))));
                Ok(())
            }
            Told::Done { name, file, path, from_network } => {
                let size = path.metadata().map_or(0, |data| data.len());
                self.came(name, file, size);
                let (all, now) = (size::in_words(size), size::in_words(from_network));
                self.output.note_verbose(&format!("{name}: {file}: {all}, {now} of it now"));
                let (path, fetched) = (Some(path.display().to_string()), Some(from_network));
                let (size, bytes) = (Some(size), Some(size));
                self.event(&Event { event: "end", model: name, file, size, bytes, fetched, path })
            }
        }
    }

    /// So much of a file is here.
    fn came(&mut self, model: &str, file: &str, bytes: u64) {
        if let Some((_, has)) = self.files.get_mut(&(model.to_owned(), file.to_owned())) {
            *has = bytes;
        }
        self.show();
    }

    fn show(&self) {
        if let Manner::Bar(bar) = &self.manner {
            let has = self.files.values().map(|(_, has)| has).sum();
            bar.set_position(has);
            // Of a file that has no size nobody knows how long it takes.
            match self.files.values().map(|(size, _)| *size).sum::<Option<u64>>() {
                Some(size) => bar.set_length(size),
                None => bar.unset_length(),
            }
        }
    }

    /// Says what is done now, beside the bar.
    fn say(&self, what: &str) {
        if let Manner::Bar(bar) = &self.manner
            && bar.message() != what
        {
            bar.set_style(shape(what.is_empty()));
            bar.set_message(what.to_owned());
        }
    }

    /// Says what stays on the screen, above the bar.
    fn note(&self, what: &str) {
        match &self.manner {
            Manner::Bar(bar) => bar.suspend(|| self.output.note(what)),
            Manner::Json(_) | Manner::Lines => self.output.note(what),
        }
    }

    fn progress(&mut self, model: &str, file: &str, bytes: u64) -> Result<()> {
        let Manner::Json(last) = &mut self.manner else { return Ok(()) };
        if last.is_some_and(|last| last.elapsed() < OFTEN) {
            return Ok(());
        }
        *last = Some(Instant::now());
        let size = self.files.get(&(model.to_owned(), file.to_owned())).and_then(|(size, _)| *size);
        self.event(&Event { event: "progress", model, file, size, bytes: Some(bytes), ..Event::default() })
    }

    fn event(&self, event: &Event<'_>) -> Result<()> {
        match self.manner {
            Manner::Json(_) => unless_closed(self.output.line(&json::line(event)?)),
            Manner::Bar(_) | Manner::Lines => Ok(()),
        }
    }
}

/// Takes the bar away, also when the download fails.
impl Drop for Show {
    fn drop(&mut self) {
        if let Manner::Bar(bar) = &self.manner {
            bar.finish_and_clear();
        }
    }
}

/// "█████░░░░ 12 MiB of 57 MiB, 3.2 MiB/s, 14 s left"; where something else is to be said, that has the room: "12 MiB of
/// 57 MiB  waiting 4 s for the server".
fn shape(is_under_way: bool) -> ProgressStyle {
    let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| size.ws_col);
    let template = match (is_under_way, width < ROOM_FOR_BAR) {
        (true, false) => "{bar:30} {has} of {all}, {rate}/s{left}",
        (true, true) => "{has} of {all}, {rate}/s{left}",
        (false, _) => "{has} of {all}  {wide_msg}",
    };
    let has = |state: &ProgressState, text: &mut dyn fmt::Write| {
        // A terminal that does not take it misses a word.
        text.write_str(&size::in_words(state.pos())).unwrap_or_default();
    };
    let all = |state: &ProgressState, text: &mut dyn fmt::Write| {
        text.write_str(&state.len().map_or_else(|| "?".to_owned(), size::in_words)).unwrap_or_default();
    };
    let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        text.write_str(&size::in_words(state.per_sec() as u64)).unwrap_or_default();
    };
    let left = |state: &ProgressState, text: &mut dyn fmt::Write| {
        let is_known = state.len().is_some() && state.per_sec() > 0.0;
        let left = if is_known { format!(", {} left", time_in_words(state.eta())) } else { String::new() };
        text.write_str(&left).unwrap_or_default();
    };
    style(template).with_key("has", has).with_key("all", all).with_key("rate", rate).with_key("left", left)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length().with_style(shape(true));
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
