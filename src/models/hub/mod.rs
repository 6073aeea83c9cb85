//! Asks the hub, or any server, for a file: what it is, and its bytes from one of them on.
//!
//! Every request begins at the file's own address, for what a hub sends on to is signed and runs out. It is followed by
//! hand: the token goes to the hub itself and to nobody that it sends on to, and what began in secret stays so.

mod address;
mod answer;
mod proxy;
mod settings;
mod web;

#[cfg(test)]
mod tests;

use super::{
    catalogue::source::{HubFile, Source},
    digest::Digest,
};
use crate::error::{Error, Kind, Result};
pub(crate) use address::shown_text;
use answer::{Asked, Head};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
pub(crate) use settings::Settings;
use std::{io::Read, time::Duration};
use web::{Answer, Web};

/// How often a request is sent on.
const MOST_REDIRECTS: usize = 10;

/// Where files come from. A trait, so that the rules of pulling are tested without a network.
pub(crate) trait Origin {
    /// What it says of a file. Of a URL nothing is known where the server does not take the question.
    ///
    /// # Errors
    /// A refusal.
    fn announced(&self, source: &Source) -> Result<Announced, Refusal>;

    /// Opens the file from a byte on, of the commit or the ETag that was announced. A server may start elsewhere.
    ///
    /// # Errors
    /// A refusal.
    fn open(&self, source: &Source, announced: &Announced, from: u64) -> Result<Opened, Refusal>;
}

/// What is said of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// The commit of the repository, 40 hex digits; `None` = a URL.
    pub(crate) commit: Option<String>,
    /// The hub's, without quotes: 64 or 40 hex digits. A URL's as it came, and strong ones only.
    pub(crate) etag: Option<String>,
    /// What the file must be.
    pub(crate) digest: Option<Digest>,
    /// Bytes; the hub always says it.
    pub(crate) size: Option<u64>,
}

/// A file on its way.
pub(crate) struct Opened {
    /// Its first byte that comes.
    pub(crate) start: u64,
    /// Bytes of the whole file.
    pub(crate) total: Option<u64>,
    /// Fails with `TimedOut` when nothing comes for long, `UnexpectedEof` when it is cut.
    pub(crate) body: Box<dyn Read + Send>,
}

/// Why nothing comes.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is nothing from this byte on, or the server does not say which part it sends.
    NoSuchRange,
    /// The same again makes no sense.
    Final(Error),
    /// Later it may go.
    Passing {
        /// What happened.
        error: Error,
        /// When, if the server says so.
        after: Option<Duration>,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchRange => Error::new(Kind::Unavailable, "the server sends another part than was asked for"),
            Refusal::Final(error) | Refusal::Passing { error, .. } => error,
        }
    }
}

/// The hub, and whoever has a URL.
pub(crate) struct Hub {
    endpoint: String,
    /// The same, taken apart: the token is for its origin.
    home: Uri,
    offline: Option<&'static str>,
    /// The header, and where it is from.
    token: Option<(HeaderValue, String)>,
    proxies: proxy::Proxies,
    web: Web,
}

impl Hub {
    /// As the settings say.
    ///
    /// # Errors
    /// `Config` for an endpoint that is none.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let endpoint = settings.endpoint.clone();
        let wrong = || Error::new(Kind::Config, format!("`{endpoint}` is no hub's URL"));
        let home = address::read(&endpoint).ok_or_else(wrong)?;
        let token = settings.token.as_ref().and_then(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.secret())).ok()?;
            value.set_sensitive(true);
            Some((value, token.from.clone()))
        });
        let web = Web::new(settings.roots.as_ref(), settings.limits);
        Ok(Self { endpoint, home, offline: settings.offline, token, proxies: settings.proxies.clone(), web })
    }

    /// A small file whole, at most `most` bytes, such as the index of voices.
    ///
    /// # Errors
    /// What the server says; `Unavailable` for a file that is longer or that is cut.
    pub(crate) fn small(&self, source: &Source, most: usize) -> Result<Vec<u8>> {
        let (mut bytes, name) = (Vec::new(), source.file_name());
        let Opened { start: 0, body, .. } = self.get(source, source, HeaderMap::new())? else {
            return Err(Refusal::NoSuchRange.into());
        };
        // One byte more tells whether there is more.
        let read = body.take(u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes);
        let wrong = |why| Error::new(Kind::Unavailable, format!("cannot get `{name}` of {}: {why}", self.endpoint));
        match read {
            Ok(length) if length <= most => Ok(bytes),
            Ok(_) => Err(wrong(format!("it is longer than {most} bytes"))),
            Err(cause) => Err(wrong(cause.to_string())),
        }
    }

    /// Opens what is at `at`; errors speak of `source`.
    fn get(&self, source: &Source, at: &Source, headers: HeaderMap) -> Result<Opened, Refusal> {
        let (asked, answer) = self.follow(Method::GET, source, at, &headers)?;
        let (start, total) = answer::opened(head(&answer), &self.asked(source, &asked))?;
        Ok(Opened { start, total, body: answer.body })
    }

    /// Asks, and goes where the answer sends, until one does not send on. A hub's `HEAD` is followed at the hub only, as to
    /// a repository's new name: what is beyond knows neither commit nor digest.
    fn follow(
        &self,
        method: Method,
        source: &Source,
        at: &Source,
        headers: &HeaderMap,
    ) -> Result<(Way, Answer), Refusal> {
        if let Some(variable) = self.offline {
            let name = source.file_name();
            let message = format!("cannot pull `{name}`: {variable} is set; unset it, or import the file");
            return Err(Refusal::Final(Error::new(Kind::Config, message)));
        }
        let first = self.address(at)?;
        let is_asked_of_hub = method == Method::HEAD && matches!(source, Source::Hub(_));
        let mut uri = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let is_home = address::is_same_origin(&uri, &self.home);
            let way = Way { is_first: address::is_same_origin(&uri, &first), is_home, uri };
            let answer = self.ask(method.clone(), source, &way, headers)?;
            let asked = self.asked(source, &way);
            if is_asked_of_hub && head(&answer).says_all() {
                return Ok((way, answer));
            }
            match answer::next(head(&answer), &asked)? {
                Some(next) if !is_asked_of_hub || address::is_same_origin(&next, &way.uri) => uri = next,
                _ => return Ok((way, answer)),
            }
        }
        let way = Way { is_first: true, is_home: true, uri: first };
        Err(answer::circle(&self.asked(source, &way)))
    }

    /// One request.
    fn ask(&self, method: Method, source: &Source, way: &Way, headers: &HeaderMap) -> Result<Answer, Refusal> {
        let mut headers = headers.clone();
        if let Some((token, _)) = self.token.as_ref().filter(|_| way.is_home) {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
        let proxy = self.proxies.of(&way.uri);
        self.web.ask(method, &way.uri, headers, proxy).map_err(|fault| {
            let error = fault.error.context(format_args!("cannot get `{}`", source.file_name()));
            match fault.is_passing {
                true => Refusal::Passing { error, after: None },
                false => Refusal::Final(error),
            }
        })
    }

    fn address(&self, source: &Source) -> Result<Uri, Refusal> {
        let text = match source {
            Source::Hub(file) => file.url(&self.endpoint),
            Source::Url(url) => url.split('#').next().unwrap_or(url).to_owned(),
        };
        address::read(&text)
            .ok_or_else(|| Refusal::Final(Error::invalid(format!("`{}` is no address of a file", shown_text(&text)))))
    }

    fn asked<'a>(&'a self, source: &'a Source, way: &'a Way) -> Asked<'a> {
        let token = self.token.as_ref().filter(|_| way.is_home).map(|(_, from)| from.as_str());
        Asked { source, endpoint: &self.endpoint, uri: &way.uri, is_first: way.is_first, token }
    }
}

/// Who was asked.
struct Way {
    uri: Uri,
    /// Whether it is of the origin that the file was asked of.
    is_first: bool,
    /// Whether it is the hub.
    is_home: bool,
}

fn head(answer: &Answer) -> Head<'_> {
    Head { status: answer.status, headers: &answer.headers }
}

impl Origin for Hub {
    fn announced(&self, source: &Source) -> Result<Announced, Refusal> {
        let (way, answer) = self.follow(Method::HEAD, source, source, &HeaderMap::new())?;
        let (head, asked) = (head(&answer), self.asked(source, &way));
        match source {
            Source::Hub(_) => answer::of_hub(head, &asked),
            Source::Url(_) => answer::of_server(head, &asked),
        }
    }

    fn open(&self, source: &Source, announced: &Announced, from: u64) -> Result<Opened, Refusal> {
        let mut headers = HeaderMap::new();
        let at = match source {
            // A branch may have moved on since.
            Source::Hub(file) => {
                let revision = announced.commit.clone().unwrap_or_else(|| file.revision.clone());
                Source::Hub(HubFile { revision, ..file.clone() })
            }
            Source::Url(_) => source.clone(),
        };
        // Of a URL, a part is of use only if it is certain to be of the same file.
        let same = announced.etag.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok());
        let can_resume = matches!(source, Source::Hub(_)) || same.is_some();
        if from > 0 && can_resume {
            if let Ok(range) = HeaderValue::try_from(format!("bytes={from}-")) {
                headers.insert(header::RANGE, range);
            }
            if let (Source::Url(_), Some(etag)) = (source, same) {
                headers.insert(header::IF_RANGE, etag);
            }
        }
        self.get(source, &at, headers)
    }
}
