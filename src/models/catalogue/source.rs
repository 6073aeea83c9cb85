//! Where a file comes from: a repository of the hub, or a URL. Reads what users write and what they copy from a browser.
//!
//! A path of a repository becomes one on the disk. So nothing passes here that leads anywhere else.

use crate::error::{Error, Result};
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::fmt;

/// The revision of who names none.
pub(crate) const MAIN: &str = "main";

/// Hosts whose pages are repositories of the hub.
const HUB_HOSTS: &[&str] = &["huggingface.co", "hf.co", "www.huggingface.co"];

/// What need not be written as %XX in a part of a path (RFC 3986, unreserved).
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HubFile {
    /// `OWNER/REPO`.
    pub(crate) repo: String,
    /// Its path in the repository, such as "en/en_US/lessac/medium/en_US-lessac-medium.onnx".
    pub(crate) path: String,
    /// A branch, a tag or a commit.
    pub(crate) revision: String,
}

impl HubFile {
    /// Where a hub at this address has it.
    pub(crate) fn url(&self, endpoint: &str) -> String {
        let path: Vec<String> = self.path.split('/').map(quoted).collect();
        let endpoint = endpoint.trim_end_matches('/');
        format!("{endpoint}/{}/resolve/{}/{}", self.repo, quoted(&self.revision), path.join("/"))
    }
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Source {
    /// The hub.
    Hub(HubFile),
    /// Any server.
    Url(String),
}

impl Source {
    /// The last part of its path.
    pub(crate) fn file_name(&self) -> &str {
        let path = match self {
            Source::Hub(file) => &file.path,
            Source::Url(url) => url.split(['?', '#']).next().unwrap_or(url),
        };
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The file beside it whose name is longer by this.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        match self {
            Source::Hub(file) => Source::Hub(HubFile { path: format!("{}{suffix}", file.path), ..file.clone() }),
            Source::Url(url) => {
                let (path, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
                Source::Url(format!("{path}{suffix}{rest}"))
            }
        }
    }
}

/// As it is written: the name of what is not in the catalogue.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Hub(HubFile { repo, path, revision }) if revision == MAIN && !path.contains('@') => {
                write!(f, "hf:{repo}/{path}")
            }
            Source::Hub(HubFile { repo, path, revision }) => write!(f, "hf:{repo}/{path}@{revision}"),
            Source::Url(url) => f.write_str(url),
        }
    }
}

/// Reads `hf:OWNER/REPO/FILE[@REVISION]` or a URL; `None` for what is neither.
///
/// # Errors
/// `InvalidInput` for one that cannot be.
pub(crate) fn parse(text: &str) -> Result<Option<Source>> {
    let source = if let Some(rest) = text.strip_prefix("hf:") {
        hub_file(rest.trim_start_matches("//")).map(Source::Hub)
    } else if text.starts_with("https://") || text.starts_with("http://") {
        url(text)
    } else {
        return Ok(None);
    };
    source.map(Some).map_err(|why| {
        // What stands before an "@" may be a password.
        let shown = match text.split_once("://").filter(|_| text.contains('@')) {
            Some((scheme, rest)) => format!("{scheme}://…@{}", rest.rsplit('@').next().unwrap_or_default()),
            None => text.to_owned(),
        };
        Error::invalid(format!("`{shown}`: {why}"))
    })
}

fn hub_file(text: &str) -> Result<HubFile, &'static str> {
    // A file whose name holds an "@" wants its revision named.
    let (text, revision) = text.rsplit_once('@').unwrap_or((text, MAIN));
    let mut parts = text.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(owner), Some(repo), Some(path)) => checked(owner, repo, path, revision),
        _ => Err("it wants `hf:OWNER/REPO/FILE`, with `@REVISION` behind it if need be"),
    }
}

fn checked(owner: &str, repo: &str, path: &str, revision: &str) -> Result<HubFile, &'static str> {
    if !is_repo_name(owner) || !is_repo_name(repo) {
        return Err("that is no name of a repository");
    }
    if !is_path(path) {
        return Err("that is no path of a file in a repository");
    }
    // What git allows and what may become a path: "refs/pr/1" is one.
    if !is_path(revision) || revision.starts_with('-') || revision.contains([' ', '~', '^', ':', '?', '*', '[']) {
        return Err("that is no revision; give a branch, a tag or a commit");
    }
    Ok(HubFile { repo: format!("{owner}/{repo}"), path: path.to_owned(), revision: revision.to_owned() })
}

/// What the hub takes (huggingface_hub, `utils/_validators.py`): the folder of a repository has "--" between the names.
fn is_repo_name(name: &str) -> bool {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    (1..=96).contains(&name.len())
        && name.chars().all(is_allowed)
        && !name.starts_with(['-', '.'])
        && !name.ends_with(['-', '.'])
        && !name.contains("--")
        && !name.contains("..")
        && !name.ends_with(".git")
}

/// Whether this can be a path on any system, from a folder on, and leads nowhere else.
pub(super) fn is_path(path: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255;
    let is_odd = |character: char| character.is_control() || character == '\\';
    path.len() <= 1024 && path.split('/').all(is_part) && !path.contains(is_odd)
}

fn url(text: &str) -> Result<Source, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is no URL")?;
    let authority = uri.authority().ok_or("it is no URL")?;
    if authority.as_str().contains('@') {
        return Err("a URL with a password in it would be kept; put a token into HF_TOKEN instead");
    }
    if uri.path().ends_with('/') {
        return Err("it names no file");
    }
    if HUB_HOSTS.iter().any(|host| authority.host().eq_ignore_ascii_case(host)) {
        return of_page(uri.path()).map(Source::Hub);
    }
    Ok(Source::Url(text.to_owned()))
}

/// The file of a page of the hub, as a browser shows it (`blob`) or downloads it (`resolve`).
fn of_page(path: &str) -> Result<HubFile, &'static str> {
    let wrong = "of the hub's pages, only that of a model's file will do: .../OWNER/REPO/resolve/main/FILE";
    let mut parts = path.trim_start_matches('/').splitn(5, '/');
    let (Some(owner), Some(repo), Some("resolve" | "blob"), Some(revision), Some(path)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wrong);
    };
    let plain = |text| percent_decode_str(text).decode_utf8().map_err(|_| wrong);
    checked(owner, repo, &plain(path)?, &plain(revision)?)
}

fn quoted(part: &str) -> String {
    utf8_percent_encode(part, PART).to_string()
}
