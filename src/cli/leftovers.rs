//! `speechctl sessions`: what servers that died have left behind.

use crate::{
    client::output::{Output, printable},
    config,
    error::{Error, Kind, Result},
    server::leftover::{self, Leftover},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  speechctl sessions list
  speechctl sessions recover 784d4fd308aeca78806f5a028fae6b87 >> notes.txt

A server goes on with the sessions of its own folder when it is started again. What is left for
this command is what a private server had, the one that `stt` starts where there is none, or what
is damaged.";

/// What servers that died have left behind: list it, recover what was said
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// List the sessions that are on the disk
    List {
        #[command(flatten)]
        folder: FolderArg,

        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Print what was understood of a session, and save the audio that nobody has written down
    Recover {
        /// The session's name, or the beginning of it
        id: String,

        #[command(flatten)]
        folder: FolderArg,

        /// Where to save the audio that nobody has written down [default: ID.wav]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,

        /// Remove the session when all of that is done
        #[arg(long)]
        remove: bool,
    },
}

#[derive(Clone, Debug, clap::Args)]
struct FolderArg {
    /// Where to look [default: the folders of all servers, below ~/.local/state/speechctl]
    #[arg(long, value_name = "FOLDER")]
    state_folder: Option<PathBuf>,
}

/// A session and where it is.
struct Found {
    folder: PathBuf,
    is_in_use: bool,
    session: Leftover,
}

impl Found {
    fn state(&self) -> &'static str {
        match &self.session {
            _ if self.is_in_use => "in use",
            session if session.damage.is_some() => "damaged",
            session if session.is_over && session.undecided.is_empty() => "over",
            _ => "left",
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// `NotFound`, `InvalidInput` for a name that several have, `Unavailable` for one that a server has in work, `Io`.
pub(super) fn run(args: Args, output: Output) -> Result<()> {
    match args.what {
        What::List { folder, json } => list(&found(&folder)?, json, output),
        What::Recover { id, folder, output: file, remove } => {
            let found = the_one(found(&folder)?, &id)?;
            recover(&found, file, output)?;
            if remove { leftover::remove(&found.folder, &found.session.id) } else { Ok(()) }
        }
    }
}

/// How many sessions of servers that died are left below the folder of all servers.
///
/// # Errors
/// `Io` where it cannot be read.
pub(super) fn left_behind() -> Result<usize> {
    let all = found(&FolderArg { state_folder: None })?;
    Ok(all.iter().filter(|found| matches!(found.state(), "left" | "damaged")).count())
}

/// Every session that is on the disk.
fn found(arg: &FolderArg) -> Result<Vec<Found>> {
    let folders = match &arg.state_folder {
        Some(folder) if !folder.is_dir() => {
            let message = format!("there is no folder `{}`", printable(&folder.to_string_lossy()));
            return Err(Error::new(Kind::NotFound, message));
        }
        Some(folder) => vec![folder.clone()],
        None => folders(&config::state_folder(config::env))?,
    };
    let mut all = Vec::new();
    for folder in folders {
        let is_in_use = leftover::is_in_use(&folder);
        let sessions = leftover::list(&folder)?;
        all.extend(sessions.into_iter().map(|session| Found { folder: folder.clone(), is_in_use, session }));
    }
    Ok(all)
}

fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let failed = |cause| Error::new(Kind::Io, format!("cannot read `{}`", root.display())).because(cause);
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

fn list(all: &[Found], is_json: bool, output: Output) -> Result<()> {
    if is_json {
        let sessions: Vec<_> = all
            .iter()
            .map(|found| {
                json!({
                    "session": found.session.id,
                    "state": found.state(),
                    "model": found.session.model,
                    "finals": found.session.finals.len(),
                    "undecided": found.session.undecided_seconds(),
                    "folder": found.folder,
                    "damage": found.session.damage.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        return output.line(&json!({ "version": 1, "sessions": sessions }).to_string());
    }
    if all.is_empty() {
        output.note("no session is left behind");
        return Ok(());
    }
    output
        .line(&format!("{:<34}{:<9}{:<12}{:>6}{:>12}  FOLDER", "SESSION", "STATE", "MODEL", "FINALS", "UNDECIDED"))?;
    for found in all {
        let Leftover { id, model, finals, .. } = &found.session;
        let model = printable(model.rsplit('/').next().unwrap_or_default());
        let seconds = format!("{:.1} s", found.session.undecided_seconds());
        let folder = printable(&found.folder.to_string_lossy());
        let state = found.state();
        output.line(&format!("{id:<34}{state:<9}{model:<12}{:>6}{seconds:>12}  {folder}", finals.len()))?;
    }
    Ok(())
}

fn the_one(all: Vec<Found>, id: &str) -> Result<Found> {
    let is_meant = |found: &Found| found.session.id == id || (!id.is_empty() && found.session.id.starts_with(id));
    let mut meant: Vec<Found> = all.into_iter().filter(is_meant).collect();
    if meant.iter().any(|found| found.session.id == id) {
        meant.retain(|found| found.session.id == id);
    }
    match (meant.pop(), meant.is_empty()) {
        (None, _) => {
            let message =
                format!("there is no session `{}`; `speechctl sessions list` shows what there is", printable(id));
            Err(Error::new(Kind::NotFound, message))
        }
        (Some(_), false) => {
            Err(Error::invalid(format!("several sessions begin with `{}`; give more of the name", printable(id))))
        }
        (Some(found), true) if found.is_in_use && found.session.damage.is_none() => {
            let message =
                format!("session `{}` is in use by a running server; its client can resume it", found.session.id);
            Err(Error::new(Kind::Unavailable, message))
        }
        (Some(found), true) => Ok(found),
    }
}

fn recover(Found { session, .. }: &Found, file: Option<PathBuf>, output: Output) -> Result<()> {
    if file.as_deref() == Some(Path::new("-")) {
        return Err(Error::new(Kind::Config, "`--output`: standard output takes the text; name a file for the audio"));
    }
    if let Some(damage) = &session.damage {
        if session.finals.is_empty() && session.undecided.is_empty() {
            return Err(Error::new(Kind::DataLoss, format!("nothing of session `{}` can be read", session.id)));
        }
        output.warn(&format!("session `{}` is damaged ({damage}); what can be read is recovered", session.id));
    }
    for text in &session.finals {
        output.line(text)?;
    }
    if session.undecided.is_empty() {
        return Ok(());
    }
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{}.wav", session.id)));
    session.save(&file)?;
    let (seconds, name) = (session.undecided_seconds(), file.display());
    output.warn(&format!("{seconds:.1} s that nobody has written down are in `{name}`; run `speechctl stt {name}`"));
    Ok(())
}
