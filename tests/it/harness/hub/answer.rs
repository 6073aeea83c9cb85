//! What is answered to a request: headers, and which bytes.

use super::{Asked, At, Fault, Shared, State, digest};
use percent_encoding::percent_decode_str;
use std::ops::RangeBounds;

/// What happens to a request.
pub(super) enum Reply {
    Answer(Answer),
    HangUp,
    Mute,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Where in its file the body begins.
    pub(super) from: usize,
    /// How its bytes go wrong.
    pub(super) fault: Option<Fault>,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), from: 0, fault: None }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    fn page() -> Self {
        let page = b"<!doctype html><title>Welcome</title>Please log in to use this network.\n".to_vec();
        Self { body: page, ..Self::new(200).with("Content-Type", "text/html") }
    }
}

/// What a target means: where it is heard, the file, its revision, its repository.
pub(super) fn read(is_store: bool, method: &str, target: &str) -> (At, String, String, String) {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let path = target.split('?').next().unwrap_or(target);
    let none = (if method == "HEAD" { At::Head } else { At::Get }, target.to_owned(), String::new(), String::new());
    if is_store {
        let at = if method == "HEAD" { At::Head } else { At::Body };
        if let Some(name) = path.strip_prefix("/files/") {
            return (at, decoded(name), String::new(), String::new());
        }
        let mut parts = path.trim_start_matches('/').splitn(4, '/').map(decoded);
        return match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(owner), Some(name), Some(commit), Some(file)) => (at, file, commit, format!("{owner}/{name}")),
            _ => none,
        };
    }
    // Whatever stands before the repository: a mirror may be in a folder of its server.
    let Some((repository, rest)) = path.split_once("/resolve/") else { return none };
    let mut names = repository.rsplit('/');
    let (Some(name), Some(owner), Some((revision, file))) = (names.next(), names.next(), rest.split_once('/')) else {
        return none;
    };
    (none.0, decoded(file), decoded(revision), format!("{owner}/{name}"))
}

/// Answers. The request is not in the log yet.
pub(super) fn to(shared: &Shared, state: &mut State, is_store: bool, asked: &Asked, repository: &str) -> Reply {
    let nth = state.log.iter().filter(|before| before.at == asked.at && before.file == asked.file).count();
    let is_meant = |planned: &&super::Planned| {
        planned.at == asked.at && planned.file == asked.file && planned.which.contains(&nth)
    };
    // The last word counts.
    let fault = state.faults.iter().rev().find(is_meant).map(|planned| planned.fault.clone());
    let reply = match &fault {
        Some(Fault::HangUp) => return Reply::HangUp,
        Some(Fault::Mute) => return Reply::Mute,
        Some(Fault::Status(status, headers)) => {
            headers.iter().fold(Answer::new(*status), |answer, (name, value)| answer.with(name, value))
        }
        Some(Fault::Page) => Answer::page(),
        Some(Fault::RedirectTo(place)) => Answer::new(302).with("Location", place),
        _ if is_store => of_store(state, asked, repository, fault.as_ref()),
        _ => of_hub(shared, state, asked, repository, fault.as_ref()),
    };
    let reply = match &fault {
        Some(Fault::NoCommit) => reply.without("X-Repo-Commit"),
        Some(Fault::Commit(commit)) => reply.without("X-Repo-Commit").with("X-Repo-Commit", commit),
        Some(Fault::Etag(etag)) => {
            reply.without("X-Linked-Etag").with("X-Linked-Etag", etag).without("ETag").with("ETag", etag)
        }
        Some(Fault::Size(size)) => reply.without("X-Linked-Size").with("X-Linked-Size", size),
        _ => reply,
    };
    if let Some(Fault::Push(file, bytes)) = &fault {
        state.commit(repository);
        state.tree(repository).insert(file.clone(), bytes.clone());
    }
    Reply::Answer(Answer { fault, ..reply })
}

fn of_hub(shared: &Shared, state: &mut State, asked: &Asked, name: &str, fault: Option<&Fault>) -> Answer {
    let refusal =
        |status, code| Answer::new(status).with("X-Error-Code", code).with("X-Error-Message", "It is not here");
    let Some(repository) = state.repositories.get(name) else {
        // Who is not known is not told whether there is one.
        let status = if asked.header("authorization").is_some() { 404 } else { 401 };
        return refusal(status, "RepoNotFound");
    };
    let commit = repository.revisions.get(&asked.revision).unwrap_or(&asked.revision).clone();
    let Some(tree) = repository.commits.get(&commit) else { return refusal(404, "RevisionNotFound") };
    let Some(bytes) = tree.get(&asked.file) else {
        return refusal(404, "EntryNotFound").with("X-Repo-Commit", commit);
    };
    let etag = format!("\"{}\"", digest::etag(&asked.file, bytes));
    if !digest::is_large(&asked.file) {
        return part(bytes, asked, fault).with("X-Repo-Commit", commit).with("ETag", etag);
    }
    state.signatures += 1;
    let place = format!("{}/{name}/{commit}/{}?signature={}", shared.origins[1], asked.file, state.signatures);
    let reply = Answer::new(302).with("Location", place).with("X-Repo-Commit", commit);
    Answer { body: b"Found. Redirecting".to_vec(), ..reply }
        .with("X-Linked-Etag", etag)
        .with("X-Linked-Size", bytes.len())
        .with("ETag", "\"of-the-redirect\"")
}

fn of_store(state: &State, asked: &Asked, repository: &str, fault: Option<&Fault>) -> Answer {
    if repository.is_empty() {
        let Some(bytes) = state.files.get(&asked.file) else { return Answer::new(404) };
        return part(bytes, asked, fault).with("ETag", format!("\"{}\"", digest::git_sha1(bytes)));
    }
    let signature = asked.target.split_once("?signature=").and_then(|(_, number)| number.parse::<usize>().ok());
    if signature.is_none_or(|signature| signature <= state.expired) {
        return Answer { body: b"<Error><Code>AccessDenied</Code></Error>".to_vec(), ..Answer::new(403) };
    }
    let commits = state.repositories.get(repository).map(|repository| &repository.commits);
    match commits.and_then(|commits| commits.get(&asked.revision)).and_then(|tree| tree.get(&asked.file)) {
        Some(bytes) => part(bytes, asked, fault).with("ETag", "\"of-the-store\""),
        None => Answer::new(404),
    }
}

/// The part of a file that is asked for, or what a fault makes of it.
fn part(bytes: &[u8], asked: &Asked, fault: Option<&Fault>) -> Answer {
    let mut bytes = bytes.to_vec();
    match fault {
        Some(Fault::Longer) => bytes.extend(b"and more"),
        Some(Fault::Shorter) => bytes.truncate(bytes.len() - 8),
        Some(Fault::OtherBytes) => bytes.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    let is_same = asked.header("if-range").is_none_or(|etag| etag.trim_matches('"') == digest::git_sha1(&bytes));
    let wanted = asked.from().filter(|_| is_same && !matches!(fault, Some(Fault::NoRanges)));
    let total = bytes.len();
    let Some(from) = wanted else {
        return Answer { body: bytes, ..Answer::new(200) }.with("Accept-Ranges", "bytes");
    };
    let from = if matches!(fault, Some(Fault::WrongRange)) { from / 2 } else { from };
    if from >= total {
        return Answer::new(416).with("Content-Range", format!("bytes */{total}"));
    }
    let reply = Answer::new(206).with("Content-Range", format!("bytes {from}-{}/{total}", total - 1));
    Answer { body: bytes.split_off(from), from, ..reply }
}
