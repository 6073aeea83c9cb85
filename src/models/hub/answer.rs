//! What an answer means: what a file is, where it has gone, which part of it comes, or why not. Pure: status and headers in,
//! verdict out.
//!
//! The headers are those that `huggingface_hub` reads (`file_download.py`, `_http.py`, version 2.4.0).

use super::{Announced, Refusal, address};
use crate::{
    error::{Error, Kind, Result},
    models::{
        catalogue::source::{HubFile, Source},
        digest::Digest,
        place::LONGEST_ETAG,
    },
};
use http::{HeaderMap, StatusCode, Uri, header};
use std::time::Duration;

/// The most characters of a hub's own words that are repeated.
const MOST_WORDS: usize = 200;

/// What was asked, and of whom.
pub(super) struct Asked<'a> {
    pub(super) source: &'a Source,
    /// The hub's address.
    pub(super) endpoint: &'a str,
    /// Who answers.
    pub(super) uri: &'a Uri,
    /// Whether that is who was asked first, and not a store that it sent on to.
    pub(super) is_first: bool,
    /// Where the token is from that went along, if one did.
    pub(super) token: Option<&'a str>,
}

/// Status and headers of an answer.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    fn text(self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    fn number(self, name: &str) -> Option<u64> {
        self.text(name).and_then(digits)
    }

    /// The bytes of the file, where the headers are about the file as it is.
    fn length(self) -> Option<u64> {
        self.number("content-length").filter(|_| self.packed().is_none())
    }

    /// How the file is packed, which nobody asked for.
    fn packed(self) -> Option<&'a str> {
        self.text("content-encoding").filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
    }

    fn is_page(self) -> bool {
        self.text("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"))
    }

    /// Whether it says all that is to be known of a hub's file.
    pub(super) fn says_all(self) -> bool {
        ["x-repo-commit", "x-linked-etag", "x-linked-size"].iter().all(|name| self.headers.contains_key(*name))
    }
}

/// Where the answer sends on to, if it does.
///
/// # Errors
/// A refusal for a way that cannot be gone, or must not: from https to http anybody could read and change what comes.
pub(super) fn next(head: Head<'_>, asked: &Asked<'_>) -> Result<Option<Uri>, Refusal> {
    if !matches!(head.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let host = address::host(asked.uri);
    let location = head.headers.get(header::LOCATION).map(|location| location.as_bytes()).unwrap_or_default();
    let Some(next) = address::resolve(location, asked.uri) else {
        let location = String::from_utf8_lossy(location);
        let shown: String = location.split('?').next().unwrap_or_default().chars().take(200).collect();
        return Err(gone(asked, format!("{host} sends on to `{shown}`, where nothing is")));
    };
    if address::is_secure(asked.uri) && !address::is_secure(&next) {
        let message = format!("{host} sends on to `{}`, which is not safe (http)", address::shown(&next));
        return Err(gone(asked, message));
    }
    Ok(Some(next))
}

/// Too many answers sent on.
pub(super) fn circle(asked: &Asked<'_>) -> Refusal {
    gone(asked, format!("{} sends on in circles", address::host(asked.uri)))
}

/// What a hub's answer to `HEAD` says of a file. It may be one that sends on.
///
/// # Errors
/// A refusal, also for the answer of what is no hub.
pub(super) fn of_hub(head: Head<'_>, asked: &Asked<'_>) -> Result<Announced, Refusal> {
    let is_redirect = head.status.is_redirection();
    if !head.status.is_success() && !is_redirect {
        return Err(refused(head, asked));
    }
    let Some(commit) = head.text("x-repo-commit").filter(|commit| is_commit(commit)) else {
        return Err(no_hub(head, asked));
    };
    let linked = head.text("x-linked-etag");
    let etag = linked.or_else(|| head.text("etag").filter(|_| !is_redirect)).map(plain);
    let digest = etag.and_then(Digest::parse);
    let (Some(etag), Some(digest)) = (etag, digest) else {
        return Err(gone(asked, format!("{} does not say which bytes it has", address::host(asked.uri))));
    };
    let size = head.number("x-linked-size").or_else(|| head.length().filter(|_| !is_redirect));
    // Without it the digest of git cannot be made, nor room be looked for.
    let Some(size) = size else {
        return Err(gone(asked, format!("{} does not say how large it is", address::host(asked.uri))));
    };
    Ok(Announced {
        commit: Some(commit.to_owned()),
        etag: Some(etag.to_owned()),
        digest: Some(digest),
        size: Some(size),
    })
}

/// What any server's answer to `HEAD` says of a file. Many refuse the question, as a signed address does: then nothing is
/// known, and the answer to `GET` will tell.
///
/// # Errors
/// A refusal for a file that is not there, a page, and a server that is not well.
pub(super) fn of_server(head: Head<'_>, asked: &Asked<'_>) -> Result<Announced, Refusal> {
    let nothing = Announced { commit: None, etag: None, digest: None, size: None };
    match head.status.as_u16() {
        200 if head.is_page() => Err(page(asked)),
        200 => Ok(Announced {
            etag: head.text("etag").filter(|etag| is_strong(etag)).map(str::to_owned),
            // Some answer 0 to every HEAD.
            size: head.length().filter(|&size| size > 0),
            ..nothing
        }),
        404 | 408 | 410 | 425 | 429 | 500 | 502..600 => Err(refused(head, asked)),
        _ => Ok(nothing),
    }
}

/// Which part of the file comes: its first byte, and the bytes of the whole file.
///
/// # Errors
/// A refusal; `NoSuchRange` also for a part that does not say where it lies.
pub(super) fn opened(head: Head<'_>, asked: &Asked<'_>) -> Result<(u64, Option<u64>), Refusal> {
    match head.status.as_u16() {
        200 | 206 => {}
        416 => return Err(Refusal::NoSuchRange),
        _ => return Err(refused(head, asked)),
    }
    if head.is_page() {
        return Err(page(asked));
    }
    if let Some(coding) = head.packed() {
        let host = address::host(asked.uri);
        let message = format!("{host} sends it packed ({}), which was not asked for", short(coding));
        return Err(gone(asked, message));
    }
    if head.status == StatusCode::OK {
        return Ok((0, head.length()));
    }
    head.text("content-range").and_then(range).ok_or(Refusal::NoSuchRange)
}

/// `bytes FIRST-LAST/TOTAL`, or with `*` for a total that is not known.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (part, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let (first, last) = (digits(first)?, digits(last)?);
    let total = match total {
        "*" => None,
        total => Some(digits(total)?),
    };
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, total))
}

/// A status that is neither the file nor a way to it.
fn refused(head: Head<'_>, asked: &Asked<'_>) -> Refusal {
    let host = address::host(asked.uri);
    let passing = |kind, message: String, after: Option<Duration>| {
        let error = in_words(asked, kind, message);
        let error = match after {
            Some(after) => error.retry_after(after),
            None => error,
        };
        Refusal::Passing { error, after }
    };
    let after = wait(head);
    match head.status.as_u16() {
        429 => {
            let for_long = after.map_or_else(|| "a while".to_owned(), |after| format!("{} s", after.as_secs()));
            let way = match (asked.source, asked.token) {
                (Source::Hub(_), None) => "; a token (HF_TOKEN) allows more",
                _ => "",
            };
            passing(Kind::Busy, format!("{host} asks to wait {for_long}{way}"), after)
        }
        status @ (408 | 425 | 500..600) => {
            passing(Kind::Unavailable, format!("{host} is not well (it answers {status})"), after)
        }
        // The address was signed, and its time is over: the hub gives another.
        status @ (401 | 403) if !asked.is_first => {
            let message = format!("{host} does not take the address that it was sent on to (it answers {status})");
            passing(Kind::Unavailable, message, after)
        }
        404 | 410 if !asked.is_first => {
            gone(asked, format!("the server sends on to `{}`, where nothing is", address::shown(asked.uri)))
        }
        _ => Refusal::Final(match asked.source {
            Source::Hub(file) => of_repository(head, file, asked),
            Source::Url(url) => of_url(head, url, asked),
        }),
    }
}

/// What a hub's refusal means: a repository that one may not see is "not found" to some and "who are you" to others.
fn of_repository(head: Head<'_>, file: &HubFile, asked: &Asked<'_>) -> Error {
    let HubFile { repo, path, revision } = file;
    let host = address::host(asked.uri);
    let (kind, message) = match (head.status.as_u16(), head.text("x-error-code"), asked.token) {
        (401 | 403, Some("GatedRepo"), token) => {
            let terms = format!("accept the terms of `{repo}` at {}/{repo}", asked.endpoint);
            let way = token.map_or(" and set HF_TOKEN", |_| " with the account of your token");
            (Kind::Unauthenticated, format!("{terms}{way}"))
        }
        (401, _, None) => {
            let message = format!("`{repo}` is not to be had without a token, or is not there; set HF_TOKEN");
            (Kind::Unauthenticated, message)
        }
        (401, _, Some(from)) => {
            let way = match from {
                "HF_TOKEN" | "HUGGING_FACE_HUB_TOKEN" => "set another, or unset it for what is public",
                _ => "log in anew, or set HF_HUB_DISABLE_IMPLICIT_TOKEN=1 for what is public",
            };
            (Kind::Denied, format!("{host} refuses the token of {from} for `{repo}`; {way}"))
        }
        (403, _, Some(from)) => {
            let way = format!("if it asks for that, accept its terms at {}/{repo}", asked.endpoint);
            (Kind::Denied, format!("the account of the token of {from} may not read `{repo}`; {way}"))
        }
        (403, _, None) => (Kind::Denied, format!("{host} does not give `{repo}` away")),
        (_, Some("RepoNotFound"), _) => {
            (Kind::NotFound, format!("there is no repository `{repo}` at {host}, or it is not yours to see"))
        }
        (_, Some("RevisionNotFound"), _) => (Kind::NotFound, format!("`{repo}` has no revision `{revision}`")),
        (_, Some("EntryNotFound"), _) => (Kind::NotFound, format!("`{repo}` has no file `{path}` (any more)")),
        (404 | 410, _, _) => (Kind::NotFound, format!("{host} has no `{repo}` with a file `{path}`")),
        (status, _, _) => (Kind::Unavailable, format!("{host} answers {status} for `{path}` of `{repo}`")),
    };
    // What is not there needs no more words.
    match own_words(head).filter(|_| kind != Kind::NotFound) {
        Some(words) => Error::new(kind, format!("{message} (it says: {words})")),
        None => Error::new(kind, message),
    }
}

/// What the hub itself says of a refusal, as far as it is fit to be shown.
fn own_words(head: Head<'_>) -> Option<String> {
    let words = head.text("x-error-message")?;
    let words: String = words.chars().filter(|character| !character.is_control()).take(MOST_WORDS).collect();
    Some(words).filter(|words| !words.is_empty())
}

fn of_url(head: Head<'_>, url: &str, asked: &Asked<'_>) -> Error {
    let (host, url) = (address::host(asked.uri), address::shown_text(url));
    let way = "download it yourself and use `speechctl models import`";
    let (kind, message) = match head.status.as_u16() {
        401 => (Kind::Unauthenticated, format!("{host} wants to know who asks for `{url}`; {way}")),
        403 => (Kind::Denied, format!("{host} does not give `{url}` away; {way}")),
        404 | 410 => (Kind::NotFound, format!("{host} has no `{url}`")),
        status => (Kind::Unavailable, format!("{host} answers {status} for `{url}`")),
    };
    Error::new(kind, message)
}

/// How long the server asks to wait: `Retry-After` in seconds, else the `t` of `RateLimit` (draft-ietf-httpapi-ratelimit).
fn wait(head: Head<'_>) -> Option<Duration> {
    let limit = || {
        let items = head.text("ratelimit")?.split([';', ',']);
        items.filter_map(|item| item.trim().strip_prefix("t=")).find_map(digits)
    };
    head.number("retry-after").or_else(limit).map(Duration::from_secs)
}

fn no_hub(head: Head<'_>, asked: &Asked<'_>) -> Refusal {
    let endpoint = asked.endpoint;
    let what = match head.headers.get(header::LOCATION) {
        _ if head.is_page() => "it answers a page".to_owned(),
        Some(location) => match address::resolve(location.as_bytes(), asked.uri) {
            Some(next) => format!("it sends on to `{}`", address::shown(&next)),
            None => "it sends on to nowhere".to_owned(),
        },
        None => "it names no commit".to_owned(),
    };
    gone(asked, format!("{endpoint} is no hub ({what}); look at HF_ENDPOINT and the proxy"))
}

fn page(asked: &Asked<'_>) -> Refusal {
    match asked.source {
        Source::Hub(_) if asked.is_first => {
            gone(asked, format!("{} is no hub (it answers a page); look at HF_ENDPOINT and the proxy", asked.endpoint))
        }
        _ => gone(asked, format!("{} answers a page and no file", address::host(asked.uri))),
    }
}

/// `Unavailable`, and no better the next time.
fn gone(asked: &Asked<'_>, message: String) -> Refusal {
    Refusal::Final(in_words(asked, Kind::Unavailable, message))
}

fn in_words(asked: &Asked<'_>, kind: Kind, message: String) -> Error {
    Error::new(kind, message).context(format_args!("cannot get `{}`", asked.source.file_name()))
}

fn is_commit(text: &str) -> bool {
    matches!(Digest::parse(text), Some(Digest::GitSha1(_)))
}

/// An ETag without its quotes, and without the mark of a weak one: the hub's are digests all the same.
fn plain(etag: &str) -> &str {
    let etag = etag.strip_prefix("W/").unwrap_or(etag);
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// Whether two files with this ETag are the same to the byte (RFC 9110, 8.8.1).
fn is_strong(etag: &str) -> bool {
    let inner = etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"'));
    let is_short = u64::try_from(etag.len()).is_ok_and(|length| length <= LONGEST_ETAG);
    is_short && inner.is_some_and(|inner| !inner.is_empty() && !inner.contains('"'))
}

/// Digits alone: no sign, no space.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests;
