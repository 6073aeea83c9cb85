//! Addresses: whether two are of one origin, where a `Location` leads, and how one is shown. Pure.

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// What servers leave in a `Location` as it is and should not.
const ODD: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`').add(b'{').add(b'}');

/// The longest address that is shown.
const SHOWN: usize = 200;

/// An absolute address of the web without a password in it.
pub(super) fn read(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let is_web = uri.scheme() == Some(&Scheme::HTTP) || is_secure(&uri);
    (is_web && !authority.host().is_empty() && !authority.as_str().contains('@')).then_some(uri)
}

/// Whether what is sent there is sent in secret.
pub(super) fn is_secure(uri: &Uri) -> bool {
    uri.scheme() == Some(&Scheme::HTTPS)
}

/// The port that is meant.
pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if is_secure(uri) { 443 } else { 80 })
}

/// Whether they are of the same server: scheme, host and port. What is for one is for the other then.
pub(super) fn is_same_origin(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    one.scheme() == other.scheme() && host(one) == host(other) && port(one) == port(other)
}

/// The host, and its port if it is not the usual one.
pub(super) fn host(uri: &Uri) -> &str {
    uri.authority().map_or("", Authority::as_str)
}

/// As it is shown: without what follows the "?", for that is a key to the file where an address is signed.
pub(super) fn shown(uri: &Uri) -> String {
    shown_text(&format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), host(uri), uri.path()))
}

/// The same for one that may not be whole.
pub(crate) fn shown_text(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or(text);
    match text.chars().count() > SHOWN {
        true => text.chars().take(SHOWN).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// Where a `Location` leads that was read here (RFC 3986, 5.2); `None` for what is no address of the web.
pub(super) fn resolve(location: &[u8], here: &Uri) -> Option<Uri> {
    let text = percent_encode(location, ODD).to_string();
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, authority) = (here.scheme_str()?, here.authority()?);
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (text, String::new()),
    };
    if has_scheme(text) {
        return read(text);
    }
    if text.starts_with("//") {
        return read(&format!("{scheme}:{text}"));
    }
    let path = match (path.is_empty(), path.starts_with('/')) {
        (true, _) if query.is_empty() => return None,
        (true, _) => here.path().to_owned(),
        (_, true) => without_dots(path),
        _ => {
            let (folder, _) = here.path().rsplit_once('/').unwrap_or_default();
            without_dots(&format!("{folder}/{path}"))
        }
    };
    read(&format!("{scheme}://{authority}{path}{query}"))
}

fn has_scheme(text: &str) -> bool {
    let is_of_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic()) && scheme.chars().all(is_of_scheme)
    })
}

/// A path from "/" on without its "." and "..".
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(part) = rest.next() {
        let is_last = rest.peek().is_none();
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
        if is_last && matches!(part, "." | "..") {
            parts.push("");
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from(location: &str, here: &str) -> Option<String> {
        resolve(location.as_bytes(), &here.parse().unwrap()).map(|uri| uri.to_string())
    }

    #[test]
    fn a_location_leads_where_it_says() {
        // Of RFC 3986, 5.4, what a server may send.
        let here = "http://a/b/c/d;p?q";
        for (location, there) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s", "http://a/b/c/g"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("/a/../b/./c", "http://a/b/c"),
            ("HTTPS://h:8/x?y=z:1", "https://h:8/x?y=z:1"),
            ("/ä b", "http://a/%C3%A4%20b"),
        ] {
            assert_eq!(from(location, here).as_deref(), Some(there), "{location}");
        }
        for nowhere in
            ["", "#s", "ftp://a/b", "mailto:a@b", "file:///etc/passwd", "http://", "http://u:p@a/", "//u@a/", "http:g"]
        {
            assert_eq!(from(nowhere, here), None, "{nowhere}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let is_same = |one: &str, other: &str| is_same_origin(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(is_same("https://hub.co/a", "https://HUB.co:443/b?c"));
        assert!(is_same("http://hub.co/a", "http://hub.co:80/"));
        for other in [
            "http://hub.co/",
            "https://hub.co:444/",
            "https://cdn.hub.co/",
            "https://hub.co.evil/",
            "http://hub.co:443/",
        ] {
            assert!(!is_same("https://hub.co/", other), "{other}");
        }
    }

    #[test]
    fn a_key_in_an_address_is_not_shown() {
        assert_eq!(shown(&"https://h:1/a/b?Signature=secret".parse().unwrap()), "https://h:1/a/b");
        let long = format!("https://h/{}", "a".repeat(1000));
        assert_eq!(shown(&long.parse().unwrap()).chars().count(), SHOWN + 1);
        for (text, there) in
            [("https://h/a?b#c", "https://h/a"), ("https://h/a#c?b", "https://h/a"), ("ü", "ü"), ("", "")]
        {
            assert_eq!(shown_text(text), there);
        }
    }

    proptest! {
        #[test]
        fn no_location_leads_out_of_the_web(location: Vec<u8>) {
            if let Some(uri) = resolve(&location, &"https://a/b/c".parse().unwrap()) {
                prop_assert!(read(&uri.to_string()).is_some());
            }
        }
    }
}
