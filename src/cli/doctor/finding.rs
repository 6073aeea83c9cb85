//! What a check has found: a line for people, an entry for programs, and what it means for the end of the program.

use crate::{
    client::output::printable,
    error::{Error, Kind, Result},
};
use serde::Serialize;
use std::error::Error as _;

/// Goes up when a field of the document is removed or means something else.
const VERSION: u32 = 1;

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing fails for it that was not asked for.
    Note,
    /// Something does not work, and what kind of failure that is.
    Wrong(Kind),
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong(_) => "wrong",
        }
    }
}

/// What a check has found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    name: &'static str,
    state: State,
    /// What was found, in one phrase.
    found: String,
    /// What to do about it, in one phrase.
    way_out: Option<String>,
}

impl Finding {
    /// All is as it should be.
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, state: State::Ok, found: found.into(), way_out: None }
    }

    /// Something is worth knowing; what to do about it.
    pub(super) fn note(name: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { name, state: State::Note, found: found.into(), way_out: Some(way_out.into()) }
    }

    /// Something is wrong; what to do about it.
    pub(super) fn wrong(name: &'static str, kind: Kind, found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { name, state: State::Wrong(kind), found: found.into(), way_out: Some(way_out.into()) }
    }

    /// What an error says, which names the way out behind its first semicolon, if it knows one.
    pub(super) fn of(name: &'static str, state: State, error: &Error) -> Self {
        let whole = error.to_string();
        let cause = causes(error);
        let message = whole.strip_suffix(&cause).unwrap_or(&whole);
        let (what, way_out) = match message.split_once("; ") {
            Some((what, way_out)) => (what, Some(way_out.to_owned())),
            None => (message, None),
        };
        Self { name, state, found: format!("{what}{cause}"), way_out }
    }

    /// An error that keeps something from working.
    pub(super) fn of_error(name: &'static str, error: &Error) -> Self {
        Self::of(name, State::Wrong(error.kind()), error)
    }

    /// The same with another way out, where it has none.
    pub(super) fn or_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out.get_or_insert_with(|| way_out.into());
        self
    }

    /// The same with another way out, whatever it has.
    pub(super) fn with_way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }

    /// As a line of the table.
    pub(super) fn line(&self) -> String {
        let way_out = self.way_out.as_ref().map(|way_out| format!("; {way_out}")).unwrap_or_default();
        let text = printable(&format!("{}{way_out}", self.found));
        format!("{:<5}  {:<12}  {text}", self.state.word(), self.name)
    }
}

/// What stands behind the message of an error, as it is shown.
fn causes(error: &Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// The document of `--json`.
#[derive(Serialize)]
pub(super) struct Document {
    version: u32,
    checks: Vec<Entry>,
    is_well: bool,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    state: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

/// All that was found, in order.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    /// Takes one more.
    pub(super) fn add(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// As programs read it.
    pub(super) fn document(&self) -> Document {
        let entry = |finding: &Finding| Entry {
            name: finding.name,
            state: finding.state.word(),
            found: printable(&finding.found),
            way_out: finding.way_out.as_deref().map(printable),
        };
        let is_well = self.wrong().next().is_none();
        Document { version: VERSION, checks: self.0.iter().map(entry).collect(), is_well }
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// The kind of the first thing that is wrong; the sentence names all.
    pub(super) fn verdict(&self) -> Result<()> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.wrong() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        match self.wrong().next() {
            None => Ok(()),
            Some((_, kind)) => Err(Error::new(kind, format!("not all is well: {}", names.join(", ")))),
        }
    }

    fn wrong(&self) -> impl Iterator<Item = (&'static str, Kind)> {
        self.0.iter().filter_map(|finding| match finding.state {
            State::Wrong(kind) => Some((finding.name, kind)),
            State::Ok | State::Note => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Error {
        Error::new(Kind::Io, "cannot write `/c`; set XDG_CACHE_HOME; or free some").because("it is full")
    }

    #[test]
    fn an_error_becomes_what_was_found_and_the_way_out() {
        let finding = Finding::of_error("cache", &error());
        assert_eq!(
            finding.line(),
            "wrong  cache         cannot write `/c`: it is full; set XDG_CACHE_HOME; or free some"
        );
        assert_eq!(finding.or_way_out("another").way_out.as_deref(), Some("set XDG_CACHE_HOME; or free some"));
        let bare = Finding::of("cache", State::Note, &Error::invalid("it is \u{1b}[31mred")).or_way_out("paint it");
        assert_eq!(bare.line(), "note   cache         it is \\u{1b}[31mred; paint it");
    }

    #[test]
    fn the_first_that_is_wrong_gives_the_kind() {
        let mut report = Report::default();
        assert!(report.verdict().is_ok());
        report.add(Finding::ok("version", "1"));
        report.add(Finding::note("model", "none", "pull one"));
        assert!(report.verdict().is_ok() && report.document().is_well);
        report.add(Finding::wrong("model", Kind::NotInstalled, "gone", "pull it"));
        report.add(Finding::wrong("model", Kind::DataLoss, "cut", "pull it"));
        report.add(Finding::of_error("cache", &error()));
        let verdict = report.verdict().expect_err("three are wrong");
        assert_eq!(
            (verdict.kind(), verdict.to_string().as_str()),
            (Kind::NotInstalled, "not all is well: model, cache")
        );
        let json = serde_json::to_value(report.document()).expect("it is JSON");
        assert_eq!(json["is_well"], false);
        assert_eq!(json["checks"][0], serde_json::json!({ "name": "version", "state": "ok", "found": "1" }));
        assert_eq!(json["checks"][4]["way_out"], "set XDG_CACHE_HOME; or free some");
    }
}
