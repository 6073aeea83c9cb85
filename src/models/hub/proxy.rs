//! Which proxy a request goes through, by the variables that curl and Python know. Pure.
//!
//! Read here and not by the HTTP client, which takes ALL_PROXY before the others and passes over one that it cannot read:
//! then what was meant to go through a proxy would go past it.

use super::address;
use crate::error::{Error, Kind, Result};
use http::Uri;
use std::ffi::OsString;

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Its URL: `http://` or `https://`, and a password in it if it wants one.
    pub(super) url: String,
    /// The variable that names it.
    pub(super) variable: &'static str,
    /// Its host and port, as it is shown.
    pub(super) host: String,
}

/// The proxies for each kind of address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    /// NO_PROXY: hosts that are asked directly.
    passed: Vec<String>,
}

impl Proxies {
    /// Of the environment. As in curl and Python, a lower-case variable goes before its upper-case one.
    ///
    /// # Errors
    /// `Config` for a proxy that cannot be used.
    pub(super) fn read(env: &impl Fn(&str) -> Option<OsString>) -> Result<Self> {
        let named = |names: [&'static str; 4]| {
            let given = |name| Some((name, env(name).filter(|value| !value.is_empty())?));
            names.into_iter().find_map(given).map(|(name, value)| proxy(name, &value)).transpose()
        };
        let passed = env("no_proxy").or_else(|| env("NO_PROXY")).unwrap_or_default();
        let passed = passed.to_string_lossy().to_ascii_lowercase();
        let is_between = |character: char| character == ',' || character.is_whitespace();
        Ok(Self {
            https: named(["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
            http: named(["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?,
            passed: passed.split(is_between).filter(|entry| !entry.is_empty()).map(str::to_owned).collect(),
        })
    }

    /// The one for an address, if it is not asked directly.
    pub(super) fn of(&self, uri: &Uri) -> Option<&Proxy> {
        let proxy = if address::is_secure(uri) { &self.https } else { &self.http };
        let host = bare(uri.host().unwrap_or_default()).to_ascii_lowercase();
        let is_passed = self.passed.iter().any(|entry| names(entry, &host, address::port(uri)));
        proxy.as_ref().filter(|_| !is_passed)
    }
}

fn proxy(variable: &'static str, value: &OsString) -> Result<Proxy> {
    // What cannot be read may hold a password all the same.
    let wrong = |shown: &str| {
        let message = format!("{variable}{shown} is no proxy's URL; give `http://HOST:PORT` or unset it");
        Error::new(Kind::Config, message)
    };
    let text = value.to_str().ok_or_else(|| wrong(""))?.trim();
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let shown = if text.contains('@') { String::new() } else { format!(" `{text}`") };
    let uri: Uri = url.parse().map_err(|_| wrong(&shown))?;
    let is_known = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|authority| is_known && !authority.host().is_empty());
    let authority = authority.ok_or_else(|| wrong(&shown))?.as_str();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned();
    Ok(Proxy { url, variable, host })
}

/// Whether an entry of NO_PROXY means this host: `*`, a host with all that are below it, `.suffix`, `host:port`.
fn names(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let with_port = entry.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
    let name = match with_port {
        // An IPv6 address without its brackets has colons of its own.
        Some((name, meant)) if !name.contains(':') || name.ends_with(']') => {
            if meant != port {
                return false;
            }
            name
        }
        _ => entry,
    };
    let name = bare(name.trim_start_matches('*').trim_start_matches('.'));
    let above = host.strip_suffix(name);
    !name.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::read(&|name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    fn used(pairs: &[(&str, &str)], uri: &str) -> Option<&'static str> {
        of(pairs).unwrap().of(&uri.parse().unwrap()).map(|proxy| proxy.variable)
    }

    #[test]
    fn each_scheme_has_its_proxy_and_all_proxy_is_for_the_rest() {
        let both = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"), ("ALL_PROXY", "http://a:3")];
        assert_eq!(used(&both, "https://h/"), Some("HTTPS_PROXY"));
        assert_eq!(used(&both, "http://h/"), Some("http_proxy"));
        let all = [("HTTPS_PROXY", ""), ("ALL_PROXY", "http://a:3")];
        assert_eq!((used(&all, "https://h/"), used(&all, "http://h/")), (Some("ALL_PROXY"), Some("ALL_PROXY")));
        let lower = [("HTTP_PROXY", "http://s:1"), ("http_proxy", "http://p:2")];
        assert_eq!((used(&lower, "http://h/"), used(&lower, "https://h/")), (Some("http_proxy"), None));
        assert_eq!(of(&both).unwrap().http.unwrap().url, "http://p:2");
    }

    #[test]
    fn hosts_of_no_proxy_are_asked_directly() {
        let is_passed = |list, uri| used(&[("ALL_PROXY", "http://a:3"), ("NO_PROXY", list)], uri).is_none();
        for (list, uri) in [
            ("*", "https://h/"),
            ("x, h.co", "https://H.co/"),
            ("h.co", "https://a.h.co/"),
            (".h.co", "https://a.h.co/"),
            ("*.h.co", "https://a.h.co/"),
            ("h.co:443", "https://h.co/"),
            ("127.0.0.1 ::1", "http://[::1]:80/"),
            ("[::1]:80", "http://[::1]/"),
        ] {
            assert!(is_passed(list, uri), "{list} {uri}");
        }
        for (list, uri) in [
            ("", "https://h/"),
            (".", "https://h/"),
            ("h.co", "https://ah.co/"),
            ("h.co", "https://h.co.uk/"),
            ("h.co:80", "https://h.co/"),
            ("a.h.co", "https://h.co/"),
            ("::1", "http://[::2]/"),
        ] {
            assert!(!is_passed(list, uri), "{list} {uri}");
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_without_its_password() {
        for (value, shown) in [
            ("socks5://s:1", "HTTPS_PROXY `socks5://s:1` is no proxy's URL"),
            ("http://", "HTTPS_PROXY `http://` is no proxy's URL"),
            ("http://u:secret word@h", "HTTPS_PROXY is no proxy's URL"),
            ("ftp://u:secret@h", "HTTPS_PROXY is no proxy's URL"),
        ] {
            let error = of(&[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!(error.kind(), Kind::Config);
            assert!(error.to_string().starts_with(shown), "{error}");
        }
        let proxy = of(&[("ALL_PROXY", "http://u:secret@h:8")]).unwrap().https.unwrap();
        assert_eq!(proxy.host, "h:8");
        assert!(of(&[("ALL_PROXY", "socks5://s"), ("HTTP_PROXY", "a"), ("HTTPS_PROXY", "b")]).is_ok());
    }
}
