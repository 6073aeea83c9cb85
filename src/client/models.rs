//! `speechctl models`: what is installed on this machine, what could be, and how it comes here. Needs no server.

mod ensure;
mod import;
mod index;
mod list;
mod pull;
mod remove;
mod verify;

use crate::{
    client::output::Output,
    config,
    error::{Error, Kind, Result},
    models::{
        catalogue::{self, Package},
        hub,
        library::{Library, is_built_in, is_built_in_voice},
        shelf::{Installed, Shelf},
        verify as verdict,
    },
};
use clap::ValueHint;
pub(crate) use ensure::{PullArgs, Wanted, before_serving, ensure};
use std::path::PathBuf;
use tokio::sync::oneshot;

const EXAMPLES: &str = "\
Examples:
  speechctl models list --available --language de
  speechctl models pull base.en-q5_1 en_GB-alan-medium
  speechctl models pull hf:owner/repo/ggml-mine.bin
  speechctl models verify
  speechctl models import ~/voices/amy.onnx --name amy
  whisper-cli -m \"$(speechctl models path base.en)\" talk.wav

Models lie in the cache of Hugging Face's hub, which other programs share: HF_HOME,
HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE mean
what they mean there.";

/// What `pull` writes, for its help.
const PULL_OUTPUT: &str = "\
On stdout, for each model when all are here: its name and the path of its file, with a tab between.
Lines of `--json`, one event each (new ones may come; what is not known is left out):
  file      model, file, size, bytes: what is to come, and how much of it is here; once for each
            file, before the first byte of any
  progress  model, file, size, bytes: at most five a second
  end       model, file, size, bytes, fetched, path: it is here and right; so many bytes came for
            it now
What comes must have the size and the digest that the hub announces, and that digest is kept: from
then on the same commit, or the same URL, must give the same bytes. Of a URL nobody announces a
digest: the first pull is believed.";

/// The fields of JSON, for the long help.
const JSON_FIELDS: &str = "\
Fields of `list --json`, version 1 (new fields may come; what is not known is left out):
  models[]   name, capability (recognition, synthesis), state (installed, not_pinned, gone,
             available), languages[] (BCP 47; none = many), size (bytes), path,
             files[]: source, commit, size, sha256, path
Fields of `verify --json`, version 1:
  models[]   name, is_right, fault";

/// List, pull, check and remove models
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}"))]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// List the models that are installed
    List {
        /// List those that could be installed, too
        #[arg(long)]
        available: bool,

        /// Only those that know a language: `en` also finds en-GB
        #[arg(long, value_name = "LANGUAGE")]
        language: Option<String>,

        #[command(flatten)]
        json: JsonArg,
    },
    /// Download models; one that broke off goes on where it was
    #[command(after_help = PULL_OUTPUT)]
    Pull {
        /// Names, as `list --available` has them; `hf:OWNER/REPO/FILE[@REVISION]`; or URLs
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,

        /// Take what comes, also where it differs from what was pulled before
        #[arg(long)]
        force: bool,

        /// Print one JSON document a line, for each thing that happens
        #[arg(long)]
        json: bool,
    },
    /// Remove models from this machine
    Remove {
        /// Names of installed models
        #[arg(value_name = "NAME", required_unless_present = "partial")]
        names: Vec<String>,

        /// Also one that is in use: who uses it keeps it until it ends
        #[arg(long)]
        force: bool,

        /// Remove what is left of downloads that broke off
        #[arg(long)]
        partial: bool,
    },
    /// Read models from the disk, and see whether they still are what was pulled
    Verify {
        /// Names of installed models [default: all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,

        #[command(flatten)]
        json: JsonArg,
    },
    /// Print where a model's file is
    Path {
        /// Name of an installed model
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Take a model's file that you have: a ggml Whisper model, or a Piper voice's .onnx with its .json beside it
    Import {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,

        /// What to call it [default: the name of the file]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct JsonArg {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Does what is asked for.
///
/// # Errors
/// What is wrong with a name, a file, the disk or the hub.
pub(crate) async fn run(args: Args, output: Output) -> Result<()> {
    match args.what {
        What::Pull { names, force, json } => pull::run(names, force, json, output).await,
        what => on_thread(move || still(what, output)).await,
    }
}

/// What is done without much of a network.
fn still(what: What, output: Output) -> Result<()> {
    let library = Library::of(config::env);
    match what {
        What::List { available, language, json } => {
            list::run(&library, available, language.as_deref(), json.json, output)
        }
        What::Remove { names, force, partial } => remove::run(&library, &names, force, partial, output),
        What::Verify { names, json } => verify::run(&library, &names, json.json, output),
        What::Path { name } => output.line(&installed(&library.shelf(), &name)?.path.display().to_string()),
        What::Import { file, name } => import::run(&library, &file, name.as_deref(), output),
        What::Pull { .. } => Ok(()),
    }
}

/// Does something that blocks, on a thread of its own. It is not waited for when the verb is given up.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    let failed = || Error::new(Kind::Internal, "the system gives no thread");
    std::thread::Builder::new()
        .name("models".to_owned())
        .spawn(move || drop(done.send(work())))
        .map_err(|cause| failed().because(cause))?;
    result.await.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the work on models broke off; this is a bug")))
}

/// A model that must be installed.
fn installed<'a>(shelf: &'a Shelf, name: &str) -> Result<&'a Installed> {
    shelf.find(name).ok_or_else(|| {
        if let Some(model) = gone(shelf, name) {
            return verdict::gone(model);
        }
        if let Some(error) = built_in(name) {
            return error;
        }
        match catalogue::package(name, None) {
            Ok(package) => not_installed(&package),
            Err(error) => error,
        }
    })
}

/// Why nothing can be done about a model that is always there.
fn built_in(name: &str) -> Option<Error> {
    let is_one = is_built_in(name) || is_built_in_voice(name);
    is_one.then(|| Error::new(Kind::NotFound, format!("`{name}` is built in; there is no file of it")))
}

/// A model that was installed.
fn gone<'a>(shelf: &'a Shelf, name: &str) -> Option<&'a Installed> {
    shelf.models.iter().find(|model| model.name == name)
}

/// A model that is installed, or was: one of which files are missing has something left to be looked at.
fn named<'a>(shelf: &'a Shelf, name: &str) -> Result<&'a Installed> {
    shelf.find(name).or_else(|| gone(shelf, name)).map_or_else(|| installed(shelf, name), Ok)
}

/// It is known, but not here.
fn not_installed(package: &Package) -> Error {
    let name = &package.name;
    let message = format!("model `{name}` is not installed; run `speechctl models pull {name}`");
    Error::new(Kind::NotInstalled, message).can_pull(name)
}

/// What names mean, each once. Where the index of voices is wanted and not at hand, it is fetched.
///
/// # Errors
/// `NotFound`, with what is near.
fn packages(names: &[String], settings: &hub::Settings, origin: &hub::Hub) -> Result<Vec<Package>> {
    let mut index = index::Index::new(settings, origin);
    let mut packages: Vec<Package> = Vec::new();
    for name in names {
        let package = index.package(name).map_err(|error| built_in(name).unwrap_or(error))?;
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}
