//! A model that is wanted but not here: whoever sits at a terminal is asked, a script says `--pull`, and all others are
//! told the command.

use super::{packages, pull};
use crate::{
    client::{Connection, Context, is_unknown_call, output::Output},
    config,
    error::{Error, Kind, Result},
    models::{
        Paths,
        catalogue::{self, Package},
        library::{Library, Need},
    },
    proto::v1::{self, ListModelsRequest, ModelState, RecognitionConfig, RecognitionTask},
    size,
};
use std::io::{self, BufRead, IsTerminal, Write};
use tokio::sync::oneshot;

/// The flag of verbs that need a model.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct PullArgs {
    /// Pull the model or the voice if it is not installed, without asking
    #[arg(long)]
    pub(crate) pull: bool,
}

/// What is wanted of a model.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// To write down.
    Recogniser(&'a RecognitionConfig),
    /// To speak, with the voice of this name.
    Voice(&'a str),
}

impl Wanted<'_> {
    /// The name, where one is given.
    fn name(&self) -> &str {
        match self {
            Wanted::Recogniser(config) => &config.model,
            Wanted::Voice(name) => name,
        }
    }

    /// What would help, if it is not installed here.
    fn missing(&self, library: &Library) -> Option<Error> {
        let found = match self {
            Wanted::Recogniser(config) => {
                let translate = config.task == i32::from(RecognitionTask::Translate);
                let need = Need { name: &config.model, language: &config.language, translate };
                library.recogniser(need, Paths::Allowed).map(drop)
            }
            Wanted::Voice("") => return None,
            Wanted::Voice(name) => library.synthesiser(name, Paths::Allowed).map(drop),
        };
        // What else is wrong the server says itself.
        found.err().filter(|error| error.details().pull.is_some())
    }
}

/// Sees to it that a model is there before anything is read for it, as far as that can be done here: pulls it, if the
/// user wants it. Whether it did. Nobody `may_ask` where standard input or output has another use.
///
/// # Errors
/// `NotInstalled` where the user does not want it, or cannot be asked; what came of the download.
pub(crate) async fn ensure(
    context: &Context,
    connection: &Connection,
    wanted: Wanted<'_>,
    args: PullArgs,
    may_ask: bool,
) -> Result<bool> {
    // A server elsewhere has a disk of its own; it says itself what it lacks.
    if !connection.is_local() {
        return Ok(false);
    }
    let library = Library::of(config::env);
    let Some(missing) = wanted.missing(&library) else { return Ok(false) };
    // As the catalogue calls it, whatever the user does.
    let name = missing.details().pull.clone().filter(|_| !wanted.name().is_empty()).unwrap_or_default();
    if !connection.is_private() && knows(connection, &name).await? {
        return Ok(false);
    }
    obtain(missing, args.pull, may_ask, context.output).await?;
    if !connection.is_private() && !knows(connection, &name).await? {
        let address = connection.address();
        let message = format!(
            "the server at {address} does not see what is installed here; start it with the same HF_HOME, or take \
             a private one by `--server ''`"
        );
        return Err(Error::new(Kind::NotInstalled, message));
    }
    Ok(true)
}

/// The same for a server that is about to start, and what it is told to use.
///
/// # Errors
/// As [`ensure`].
pub(crate) async fn before_serving(
    model: Option<&str>,
    voice: Option<&str>,
    others: &[String],
    args: PullArgs,
    output: Output,
) -> Result<()> {
    // Nobody sits before a service.
    if !args.pull {
        return Ok(());
    }
    let library = Library::of(config::env);
    let config = model.map(|model| RecognitionConfig { model: model.to_owned(), ..Default::default() });
    let wanted = [config.as_ref().map(Wanted::Recogniser), voice.map(Wanted::Voice)];
    let missing = wanted.into_iter().flatten().filter_map(|wanted| wanted.missing(&library));
    let others = others.iter().filter_map(|name| library.model(name, Paths::Allowed).err());
    for missing in missing.chain(others.filter(|error| error.details().pull.is_some())) {
        tracing::info!(why = %missing, "Pulling a model.");
        obtain(missing, true, false, output).await?;
    }
    Ok(())
}

/// Pulls what is missing, if the user wants it.
async fn obtain(missing: Error, pull: bool, may_ask: bool, output: Output) -> Result<()> {
    let Some(name) = missing.details().pull.clone() else { return Err(missing) };
    if !pull && !may_ask {
        return Err(missing);
    }
    if !pull && !is_wanted(&missing, &name, output).await? {
        return Err(missing);
    }
    let pulled = pull::download(move |settings, hub| packages(&[name], settings, hub), false, false, output).await?;
    for model in pulled {
        output.note(&format!("{}: {}, pulled", model.name, size::in_words(model.size)));
    }
    Ok(())
}

/// Whether a server has a model, or will find one if none is named.
async fn knows(connection: &Connection, name: &str) -> Result<bool> {
    let filter = if name.is_empty() { "capability=recognition".to_owned() } else { format!("name={name}") };
    if name.contains([' ', '"', '=']) {
        return Ok(true);
    }
    let request = ListModelsRequest { filter, page_size: 1000, ..Default::default() };
    let mut client = connection.models();
    let page = match connection.answer(client.list_models(connection.request(request))).await {
        Ok(page) => page.into_inner(),
        // It is of another kind, and says itself what it lacks.
        Err(error) if is_unknown_call(&error) => return Ok(true),
        Err(error) => return Err(error),
    };
    let is_there = |model: &v1::Model| model.state() != ModelState::NotInstalled;
    // What is built in or was named by its path is nobody's choice.
    let is_chosen = |model: &v1::Model| model.is_default || (is_there(model) && model.size_bytes > 0);
    Ok(page.models.iter().any(|model| if name.is_empty() { is_chosen(model) } else { is_there(model) }))
}

/// Asks whoever sits at the terminal; "no" where nobody does.
async fn is_wanted(missing: &Error, name: &str, output: Output) -> Result<bool> {
    if !output.is_live() || !io::stdin().is_terminal() {
        return Ok(false);
    }
    let size = catalogue::package(name, None).ok().and_then(|package| size(&package));
    let size = size.map(|bytes| format!(" ({})", size::in_words(bytes))).unwrap_or_default();
    let sentence = missing.to_string();
    let why = sentence.split(';').next().unwrap_or(&sentence);
    output.live(&format!("speechctl: {why}. Pull `{name}`{size}? [Y/n] "));
    let (sender, answer) = oneshot::channel();
    // The thread waits for the user; it ends with the process, if that is sooner.
    std::thread::Builder::new()
        .name("question".to_owned())
        .spawn(move || {
            let mut line = String::new();
            let read = io::stdin().lock().read_line(&mut line);
            // Who asked may have gone.
            sender.send(read.map(|length| (length, line))).unwrap_or_default();
        })
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread").because(cause))?;
    match answer.await {
        // The end of the input is no answer.
        Ok(Ok((0, _))) | Err(_) => {
            writeln!(io::stderr()).unwrap_or_default();
            Ok(false)
        }
        Ok(Ok((_, line))) => Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes")),
        Ok(Err(cause)) => Err(Error::new(Kind::Io, "cannot read the answer").because(cause)),
    }
}

/// About how much is to be downloaded, where that is known.
fn size(package: &Package) -> Option<u64> {
    package.parts.iter().map(|part| part.size).sum()
}
