//! `speechctl doctor`: why speech does not work here, or that it does.
//!
//! It looks at one thing after the other, each within a time of its own; what is wrong with one does not keep it from
//! the next. It only looks: it pulls nothing, repairs nothing, and asks nobody on the network unless told to.

mod finding;
mod folders;
mod hub;
mod machine;
mod models;
mod patience;
mod round_trip;
mod server;
mod sound;

use crate::{
    client::{
        json,
        output::{Output, unless_closed},
    },
    config,
    error::Result,
    models::hub::Settings,
};
use finding::{Finding, Report};

const EXAMPLES: &str = "\
Examples:
  speechctl doctor
  speechctl doctor --full
  speechctl doctor --json | jq -r '.checks[] | select(.state != \"ok\") | .found'";

/// What the fields of JSON are, for the long help.
const JSON_FIELDS: &str = "\
Fields of `--json`, version 1 (new fields may come; what is not known is left out):
  version                1; goes up when a field is removed or means something else
  checks[]               name, state (ok, note, wrong), found, way_out
  is_well                whether nothing is wrong
The exit code is 0 where nothing is wrong, else the one of the first check that is.";

/// Find out why speech does not work here
///
/// Looks at the program and the processor, the folders, the hub's settings, the models, what hears and is heard, and
/// the server's port; at last it speaks a sentence and writes down what it hears. `ok` is as it should be, `note` is
/// worth knowing, `wrong` keeps something from working. No request is made to the network without `--online`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{JSON_FIELDS}"))]
pub(super) struct Args {
    /// Compare the digests of models too, which reads all of them
    #[arg(long)]
    full: bool,

    /// Ask the hub whether it answers
    #[arg(long)]
    online: bool,

    /// Server that other verbs talk to: HOST:PORT or unix:PATH [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDRESS", env = "SPEECHCTL_SERVER")]
    server: Option<String>,

    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Looks at everything, and tells what it finds as it finds it.
///
/// # Errors
/// The kind of the first thing that is wrong; `Io` where nothing can be written.
pub(super) async fn run(args: Args, output: Output) -> Result<()> {
    let mut told = Told { report: Report::default(), output, is_json: args.json };
    for finding in machine::findings() {
        told.tell(finding)?;
    }
    let (cache, data) = Settings::places(config::env);
    for folder in folders::all(&cache, &data) {
        told.tell(folders::finding(folder).await)?;
    }
    if let Some(finding) = folders::leftovers().await {
        told.tell(finding)?;
    }
    for finding in hub::findings(args.online).await {
        told.tell(finding)?;
    }
    // An empty variable is as good as none.
    let server = args.server.as_deref().filter(|server| !server.is_empty());
    // What a server elsewhere has is its own affair.
    let wish = if server.is_none() { config::env(models::WISH) } else { None };
    let (shelf, about) = models::shelf(&cache, &data, wish).await;
    for finding in about {
        told.tell(finding)?;
    }
    for model in shelf {
        told.tell(models::finding(model, args.full).await)?;
    }
    for finding in sound::findings().await {
        told.tell(finding)?;
    }
    told.tell(server::finding(server).await)?;
    told.tell(round_trip::finding().await)?;
    told.end()
}

/// What has been found, and whoever is told of it.
struct Told {
    report: Report,
    output: Output,
    is_json: bool,
}

impl Told {
    fn tell(&mut self, finding: Finding) -> Result<()> {
        if !self.is_json {
            unless_closed(self.output.line(&finding.line()))?;
        }
        self.report.add(finding);
        Ok(())
    }

    /// Gives the document, and the verdict.
    fn end(self) -> Result<()> {
        if self.is_json {
            unless_closed(self.output.line(&json::document(&self.report.document())?))?;
        }
        self.report.verdict()
    }
}
