//! `--jsonl`: many texts, one after the other, with one server. A line of JSON in, a line of JSON out.

mod wish;

use super::{
    args::Args,
    call,
    listener::{Listener, Outlet, Spoken, Telling},
    manner::Manner,
    progress::Progress,
    sentences::file_name,
    sink::Sink,
    text::{self, Text},
};
use crate::{
    client::{
        Connection, Context, Farewell, is_gone, json,
        lines::Lines,
        models::{Wanted, ensure},
        output::Output,
        target,
    },
    error::{Error, Kind, Result},
    proto::status,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wish::Wish;

/// What became of a line.
#[derive(Default, Serialize)]
struct Told<'a> {
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    voice: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_rate: Option<u32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

#[derive(Serialize)]
struct Failure {
    kind: String,
    message: String,
}

impl Told<'_> {
    fn of(line: u64) -> Self {
        Self { line, ..Self::default() }
    }
}

/// What all lines share.
struct Job {
    args: Args,
    context: Context,
    manner: Manner,
    folder: PathBuf,
    output: Output,
    lines: u64,
    failed: u64,
    first: Option<Kind>,
}

/// Speaks every line.
///
/// # Errors
/// What ends it all; else of the kind of the first line that failed.
pub(super) async fn run(args: Args, context: Context) -> Result<()> {
    if args.connect.json {
        return Err(Error::new(
            Kind::Config,
            "`--jsonl` gives JSON lines, not the document of `--json`; give one of them",
        ));
    }
    let folder = args.output.output.clone().unwrap_or_else(|| ".".into());
    if folder == Path::new("-") {
        return Err(Error::new(
            Kind::Config,
            "`--jsonl` writes files, and tells of them on standard output; give `-o FOLDER`",
        ));
    }
    let (output, wanted, to) = (context.output, args.clone(), folder.clone());
    let (manner, mut lines) = context
        .on_thread(move || {
            let manner = Manner::of(&wanted)?;
            let lines = Lines::open(text::bytes(wanted.text.as_deref(), wanted.file.as_deref())?)?;
            target::make_folder(&to)?;
            Ok((manner, lines))
        })
        .await?;
    let mut server = None;
    let mut job = Job { args, context, manner, folder, output, lines: 0, failed: 0, first: None };
    let outcome = job.all(&mut lines, &mut server).await;
    if let Some((connection, farewell)) = server {
        farewell.say(connection).await;
    }
    outcome?;
    match job.first {
        Some(kind) => Err(Error::new(kind, format!("{} of {} lines failed, see their results", job.failed, job.lines))),
        None => Ok(()),
    }
}

impl Job {
    /// Speaks what there is, with the server that the first good line starts.
    async fn all(&mut self, lines: &mut Lines, server: &mut Option<(Connection, Farewell)>) -> Result<()> {
        loop {
            let Some((number, line)) = self.context.in_time(lines.next()).await? else { return Ok(()) };
            self.lines += 1;
            let spoken = match line.and_then(|line| Wish::read(&line)) {
                Ok(wish) => {
                    let (connection, _) = match server {
                        Some(server) => server,
                        None => server.insert(self.context.connect().await?),
                    };
                    self.speak(number, wish, connection).await
                }
                Err(error) => Err(error),
            };
            let error = match spoken {
                Ok((place, spoken)) => {
                    self.tell(&Told {
                        output: Some(&place.to_string_lossy()),
                        voice: Some(&spoken.voice),
                        sample_rate: Some(spoken.sample_rate),
                        duration: Some(spoken.duration()),
                        ..Told::of(number)
                    })?;
                    continue;
                }
                Err(error) if self.is_the_end(&error) => return Err(error),
                Err(error) => error,
            };
            // What the flags get wrong ends the program with 2; what a line gets wrong is input.
            let kind = if error.kind() == Kind::Config { Kind::InvalidInput } else { error.kind() };
            self.first.get_or_insert(kind);
            self.failed += 1;
            let failure = Failure { kind: status::reason(kind).to_ascii_lowercase(), message: error.to_string() };
            self.tell(&Told { error: Some(failure), ..Told::of(number) })?;
        }
    }

    /// Whether the next line would fare no better.
    fn is_the_end(&self, error: &Error) -> bool {
        let is_late = error.kind() == Kind::Deadline && self.args.connect.time_limit().is_some();
        is_late || is_gone(error)
    }

    fn tell(&self, told: &Told<'_>) -> Result<()> {
        self.output.line(&json::line(told)?)
    }

    /// Speaks one line; says where.
    async fn speak(&self, number: u64, wish: Wish, connection: &Connection) -> Result<(PathBuf, Spoken)> {
        let (text, place, manner) = wish.apply(&self.manner)?;
        let (folder, output) = (self.folder.clone(), self.output);
        let is_ssml = manner.ssml;
        let (text, request, mut listener, place) = self
            .context
            .on_thread(move || {
                let text = Text::of(text, is_ssml)?;
                let format = manner.format(place.as_deref().unwrap_or(Path::new("")))?;
                let request = manner.request(format)?;
                let place = folder.join(place.unwrap_or_else(|| file_name(number, format.extension()).into()));
                let container = format.into();
                let sink = Sink::open(&place, container, output)?;
                if sink.is_stdout() {
                    let message = "`output`: standard output is for what became of the lines; give a file";
                    return Err(Error::invalid(message));
                }
                let outlet = Outlet::One(Box::new(sink));
                let progress = Progress::start(text.length(), output);
                Ok((text, request, Listener::new((outlet, container), None, Telling::Lines, progress, output), place))
            })
            .await?;
        // Nobody is asked: standard input has the lines.
        if self.args.pull.pull {
            ensure(&self.context, connection, Wanted::Voice(&request.voice), self.args.pull, false).await?;
        }
        call::speak(connection, request, text, is_ssml, &mut listener).await?;
        Ok((place, listener.finish().await?))
    }
}
