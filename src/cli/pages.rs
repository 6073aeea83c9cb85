//! Pages that are made of the flags themselves: completions of shells, and the manual.

use super::Cli;
use crate::{
    client::output::Output,
    error::{Error, Kind, Result},
};
use clap::{CommandFactory, ValueHint};
use std::path::{Path, PathBuf};

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  speechctl completions bash > ~/.local/share/bash-completion/completions/speechctl
  speechctl completions zsh > \"${fpath[1]}/_speechctl\"
  speechctl completions fish > ~/.config/fish/completions/speechctl.fish
  speechctl completions elvish >> ~/.config/elvish/rc.elv
  speechctl completions powershell >> $PROFILE";

const MAN_EXAMPLES: &str = "\
Examples:
  speechctl man ~/.local/share/man/man1 && man speechctl
  speechctl man . && man ./speechctl-stt.1";

/// Print what makes a shell complete speechctl's flags
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: clap_complete::Shell,
}

/// Write the manual's pages into a folder
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct ManArgs {
    /// The folder; made where there is none
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    folder: PathBuf,
}

/// Prints the completions of a shell.
///
/// # Errors
/// `Io`.
pub(super) fn completions(args: &CompletionsArgs, output: Output) -> Result<()> {
    let mut command = shown();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "speechctl", &mut script);
    output.bytes(&script)
}

/// Writes the manual.
///
/// # Errors
/// `Io`.
pub(super) fn man(args: &ManArgs) -> Result<()> {
    let folder = args.folder.as_path();
    std::fs::create_dir_all(folder).map_err(|cause| cannot_write(folder, cause))?;
    clap_mangen::generate_to(shown(), folder).map_err(|cause| cannot_write(folder, cause))
}

fn cannot_write(folder: &Path, cause: std::io::Error) -> Error {
    Error::new(Kind::Io, format!("cannot write the manual into `{}`", folder.display())).because(cause)
}

/// The command as users see it: without the verbs that are not for them.
fn shown() -> clap::Command {
    let all = Cli::command();
    let kept = all.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned();
    let bare = clap::Command::new("speechctl").version(env!("CARGO_PKG_VERSION"));
    let about = all.get_about().cloned().unwrap_or_default();
    let after = all.get_after_help().cloned().unwrap_or_default();
    bare.about(about).after_help(after).args(all.get_arguments().cloned()).subcommands(kept).subcommand_required(true)
}
