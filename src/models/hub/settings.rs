//! What the environment says about the hub: which one, who asks, where its cache is, through which proxy, how long to
//! wait. The variables are those of Python's `huggingface_hub` (its `constants.py`, version 2.4.0), so that whoever has
//! set them for it has set them for us.

use super::{proxy::Proxies, web::Roots};
use crate::{
    config,
    error::{Error, Kind, Result},
};
use std::{
    ffi::OsString,
    fmt, fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

/// The hub of who names none.
const ENDPOINT: &str = "https://huggingface.co";

/// How long an answer and the next byte are waited for.
const WAIT: Duration = Duration::from_secs(30);

/// The longest time that can be set, seconds: a day.
const LONGEST_WAIT: u64 = 86_400;

/// A token is some forty bytes.
const MOST_TOKEN: u64 = 64 * 1024;

/// All certificates of Mozilla are 230 kB.
const MOST_CERTIFICATES: u64 = 16 * 1024 * 1024;

/// What says who asks. Never shown.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    /// Where it is from: `HF_TOKEN`, or the path of a file.
    pub(crate) from: String,
}

impl Token {
    /// The token itself, for the header.
    pub(super) fn secret(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token of {}", self.from)
    }
}

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// For the answer to a question.
    pub(super) answer: Duration,
    /// For the next bytes of a file.
    pub(super) stall: Duration,
}

/// What the environment says.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The hub's address, without a "/" at its end.
    pub(crate) endpoint: String,
    /// The cache of the hub's files, shared with every other client.
    pub(crate) cache: PathBuf,
    /// What is ours alone: `$XDG_DATA_HOME/speechctl`.
    pub(crate) data: PathBuf,
    /// Who asks.
    pub(crate) token: Option<Token>,
    /// The variable that forbids to ask anybody.
    pub(crate) offline: Option<&'static str>,
    pub(super) proxies: Proxies,
    /// The certificates that are believed in place of the built-in ones.
    pub(super) roots: Option<Roots>,
    pub(super) limits: Limits,
}

impl Settings {
    /// What the environment says.
    ///
    /// # Errors
    /// `Config` for what cannot be used: an endpoint, a proxy, certificates, a token, a time.
    pub(crate) fn read(env: impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let (cache, data) = Self::places(&env);
        Ok(Self {
            endpoint: endpoint(&env)?,
            cache,
            data,
            token: token(&env)?,
            // As in Python, the first that says anything says it all.
            offline: ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
                .into_iter()
                .find(|name| env(name).is_some_and(|value| !value.is_empty()))
                .filter(|name| is_on(&env, name)),
            proxies: Proxies::read(&env)?,
            roots: roots(&env)?,
            limits: limits(&env)?,
        })
    }

    /// The host of the proxy that the hub is asked through, and the variable that names it.
    pub(crate) fn proxy(&self) -> Option<(&str, &'static str)> {
        let proxy = self.proxies.of(&self.endpoint.parse().ok()?)?;
        Some((&proxy.host, proxy.variable))
    }

    /// The cache, and what is ours alone, for who only looks: whatever else is set wrong, they are where they are.
    pub(crate) fn places(env: impl Fn(&str) -> Option<OsString>) -> (PathBuf, PathBuf) {
        let cache = path(&env, "HF_HUB_CACHE").or_else(|| path(&env, "HUGGINGFACE_HUB_CACHE"));
        (cache.unwrap_or_else(|| home_of_hub(&env).join("hub")), config::data_folder(&env))
    }
}

/// `$HF_HOME`, else `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface`; else below our own cache.
fn home_of_hub(env: &impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let named = path(env, "HF_HOME").or_else(|| path(env, "XDG_CACHE_HOME").map(|path| path.join("huggingface")));
    named
        .or_else(|| home(env).map(|home| home.join(".cache/huggingface")))
        .unwrap_or_else(|| config::cache_folder(env).join("huggingface"))
}

fn home(env: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    env("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

/// The path in a variable, absolute: engines are told of it, and their folder is another. A "~" at its beginning is the
/// home, for a shell leaves it where it stands in quotes.
fn path(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    let given = PathBuf::from(expanded(env, env(name).filter(|value| !value.is_empty())?));
    let path = match (given.strip_prefix("~"), home(env)) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => given,
    };
    Some(config::plain(&path))
}

/// With `$NAME` and `${NAME}` as the environment has them, for Python's client takes them; what it has not stays as it is.
fn expanded(env: &impl Fn(&str) -> Option<OsString>, value: OsString) -> OsString {
    let Some(text) = value.to_str().filter(|text| text.contains('$')) else { return value };
    let mut expanded = OsString::new();
    let mut parts = text.split('$');
    expanded.push(parts.next().unwrap_or_default());
    for part in parts {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let (name, rest) = match part.strip_prefix('{').and_then(|part| part.split_once('}')) {
            Some(found) => found,
            None => part.split_at(part.find(|character| !is_word(character)).unwrap_or(part.len())),
        };
        match env(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                expanded.push(value);
                expanded.push(rest);
            }
            None => {
                expanded.push("$");
                expanded.push(part);
            }
        }
    }
    expanded
}

/// As Python reads it.
fn is_on(env: &impl Fn(&str) -> Option<OsString>, name: &str) -> bool {
    let value = env(name).unwrap_or_default();
    ["1", "ON", "YES", "TRUE"].iter().any(|on| value.eq_ignore_ascii_case(on))
}

fn endpoint(env: &impl Fn(&str) -> Option<OsString>) -> Result<String> {
    let Some(value) = env("HF_ENDPOINT") else { return Ok(ENDPOINT.to_owned()) };
    let text = value.to_string_lossy();
    let text = text.trim().trim_end_matches('/');
    let is_hub = super::address::read(text).is_some_and(|uri| uri.query().is_none()) && !text.contains('#');
    if is_hub {
        return Ok(text.to_owned());
    }
    // It may hold a password.
    let shown = if text.contains('@') { String::new() } else { format!(" `{text}`") };
    Err(Error::new(Kind::Config, format!("HF_ENDPOINT{shown} is no hub's URL; give `https://HOST` or unset it")))
}

/// `HF_TOKEN` or its older name, else the file of `HF_TOKEN_PATH`, else `$HF_HOME/token`.
fn token(env: &impl Fn(&str) -> Option<OsString>) -> Result<Option<Token>> {
    if is_on(env, "HF_HUB_DISABLE_IMPLICIT_TOKEN") {
        return Ok(None);
    }
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(value) = env(name)
            && let Some(token) = checked(value.as_encoded_bytes(), name)?
        {
            return Ok(Some(token));
        }
    }
    let path = path(env, "HF_TOKEN_PATH").unwrap_or_else(|| home_of_hub(env).join("token"));
    match read(&path, MOST_TOKEN) {
        Ok(bytes) => checked(&bytes, &path.display().to_string()),
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(cause) => {
            let way = "name another with HF_TOKEN_PATH, or set HF_HUB_DISABLE_IMPLICIT_TOKEN=1";
            let message = format!("cannot read the token in `{}`; {way}", path.display());
            Err(Error::new(Kind::Config, message).because(cause))
        }
    }
}

/// What can be sent as a token; `None` for an empty one. What cannot is not shown: it may be one with a slip of the hand.
fn checked(bytes: &[u8], from: &str) -> Result<Option<Token>> {
    let bytes = bytes.trim_ascii();
    match std::str::from_utf8(bytes) {
        Ok("") => Ok(None),
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Some(Token { text: text.to_owned(), from: from.to_owned() }))
        }
        _ => {
            let message = format!("the token of {from} holds characters that no token has; copy it anew");
            Err(Error::new(Kind::Config, message))
        }
    }
}

/// `SSL_CERT_FILE`, which then stands alone, as in Python.
fn roots(env: &impl Fn(&str) -> Option<OsString>) -> Result<Option<Roots>> {
    let Some(path) = path(env, "SSL_CERT_FILE") else { return Ok(None) };
    let wrong = |why: &str| format!("SSL_CERT_FILE `{}` {why}; name a PEM file, or unset it", path.display());
    let pem = read(&path, MOST_CERTIFICATES)
        .map_err(|cause| Error::new(Kind::Config, wrong("cannot be read")).because(cause))?;
    let roots = Roots::of_pem(&pem).ok_or_else(|| Error::new(Kind::Config, wrong("holds no certificates")))?;
    Ok(Some(roots))
}

fn limits(env: &impl Fn(&str) -> Option<OsString>) -> Result<Limits> {
    let seconds = |name: &str| {
        let Some(value) = env(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let number = value.to_str().and_then(|text| text.trim().parse::<u64>().ok());
        match number {
            // Python takes 0 for "not set".
            Some(0) => Ok(None),
            Some(number @ ..=LONGEST_WAIT) => Ok(Some(Duration::from_secs(number))),
            _ => {
                let message = format!("{name} `{}` is no number of seconds up to a day", value.display());
                Err(Error::new(Kind::Config, message))
            }
        }
    };
    let ours = seconds("SPEECHCTL_HUB_TIMEOUT")?;
    let (answer, stall) = (seconds("HF_HUB_ETAG_TIMEOUT")?, seconds("HF_HUB_DOWNLOAD_TIMEOUT")?);
    Ok(Limits { answer: ours.or(answer).unwrap_or(WAIT), stall: ours.or(stall).unwrap_or(WAIT) })
}

/// A small file whole. A pipe is refused: its other end may never come.
fn read(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= most => Ok(bytes),
        _ => Err(std::io::Error::other(format!("it is longer than {most} bytes"))),
    }
}

#[cfg(test)]
mod tests;
