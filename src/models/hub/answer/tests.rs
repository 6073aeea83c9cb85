//! Tables of answers and what they mean.

use super::*;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn headers(pairs: Pairs<'_>) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
        .collect()
}

fn hub_file() -> Source {
    Source::Hub(HubFile { repo: "o/r".into(), path: "d/f.bin".into(), revision: "main".into() })
}

fn url() -> Source {
    Source::Url("https://w/f.bin".into())
}

/// What a verdict says of an answer from the hub, or from the store that it sent on to.
fn judged<T>(
    verdict: impl Fn(Head<'_>, &Asked<'_>) -> Result<T, Refusal>,
    source: &Source,
    is_first: bool,
    token: Option<&str>,
    (status, pairs): (u16, Pairs<'_>),
) -> Result<T, Refusal> {
    let uri = if is_first { "https://hub/o/r/resolve/main/d/f.bin" } else { "https://store/x?key=secret" };
    let (uri, headers) = (uri.parse().unwrap(), headers(pairs));
    let asked = Asked { source, endpoint: "https://hub", uri: &uri, is_first, token };
    verdict(Head { status: StatusCode::from_u16(status).unwrap(), headers: &headers }, &asked)
}

fn known(status: u16, pairs: Pairs<'_>) -> Result<Announced, Refusal> {
    judged(of_hub, &hub_file(), true, None, (status, pairs))
}

/// Whether it passes, when, the kind, and the words.
fn told<T>(result: Result<T, Refusal>) -> (bool, Option<u64>, Kind, String) {
    let (is_passing, after, error) = match result {
        Err(Refusal::Final(error)) => (false, None, error),
        Err(Refusal::Passing { error, after }) => {
            assert_eq!(error.details().retry_after, after);
            (true, after.map(|after| after.as_secs()), error)
        }
        Err(Refusal::NoSuchRange) => panic!("no such range"),
        Ok(_) => panic!("it is taken"),
    };
    assert!(!error.to_string().contains("secret"), "{error}");
    (is_passing, after, error.kind(), error.to_string())
}

#[test]
fn a_large_file_is_known_by_its_redirect() {
    let linked = format!("\"{SHA}\"");
    let pairs = [
        ("location", "https://store/x"),
        ("x-repo-commit", COMMIT),
        ("x-linked-etag", linked.as_str()),
        ("x-linked-size", "12"),
        ("etag", "\"of-the-redirect\""),
        ("content-length", "0"),
    ];
    let wanted =
        Announced { commit: Some(COMMIT.into()), etag: Some(SHA.into()), digest: Digest::parse(SHA), size: Some(12) };
    assert_eq!(known(302, &pairs).unwrap(), wanted);
    assert_eq!(known(200, &pairs).unwrap(), wanted);
    assert!(Head { status: StatusCode::FOUND, headers: &headers(&pairs) }.says_all());
    assert!(!Head { status: StatusCode::FOUND, headers: &headers(&pairs[..3]) }.says_all());
    // The length of a redirect is not that of the file, and neither is its ETag.
    assert_eq!(told(known(302, &[pairs[0], pairs[1], pairs[2], pairs[5]])).2, Kind::Unavailable);
    assert_eq!(told(known(302, &[pairs[0], pairs[1], ("etag", SHA), pairs[3]])).2, Kind::Unavailable);
}

#[test]
fn a_small_file_is_known_by_its_own_headers() {
    for etag in [COMMIT.to_owned(), format!("\"{COMMIT}\""), format!("W/\"{COMMIT}\"")] {
        let announced = known(200, &[("x-repo-commit", COMMIT), ("etag", &etag), ("content-length", "9")]).unwrap();
        assert_eq!((announced.etag.as_deref(), announced.size), (Some(COMMIT), Some(9)));
        assert_eq!(announced.digest, Digest::parse(COMMIT));
    }
}

#[test]
fn what_becomes_a_path_must_be_hex() {
    for etag in ["", "\"\"", "\"../../x\"", "abc", "\"", "W/", &SHA.to_uppercase(), &format!("{SHA}0")] {
        let pairs = [("x-repo-commit", COMMIT), ("etag", etag), ("content-length", "9")];
        let (is_passing, _, kind, message) = told(known(200, &pairs));
        assert_eq!((is_passing, kind), (false, Kind::Unavailable));
        assert_eq!(message, "cannot get `f.bin`: hub does not say which bytes it has");
    }
    for commit in ["", "main", "../../x", SHA, &COMMIT.to_uppercase()] {
        let pairs = [("x-repo-commit", commit), ("etag", SHA), ("content-length", "9")];
        assert!(told(known(200, &pairs)).3.contains("is no hub"));
    }
}

#[test]
fn a_hub_says_how_large_its_file_is() {
    for length in ["", "-1", "+1", "1 1", "99999999999999999999999"] {
        let pairs = [("x-repo-commit", COMMIT), ("etag", SHA), ("content-length", length)];
        assert!(told(known(200, &pairs)).3.ends_with("does not say how large it is"));
    }
    let packed = [("x-repo-commit", COMMIT), ("etag", SHA), ("content-length", "9"), ("content-encoding", "gzip")];
    assert!(told(known(200, &packed)).3.ends_with("does not say how large it is"));
}

#[test]
fn what_is_no_hub_is_told() {
    for (status, pairs, what) in [
        (200, [("content-type", "text/html; charset=utf-8")].as_slice(), "it answers a page"),
        (200, &[], "it names no commit"),
        (301, &[("location", "https://login/?back=secret")], "it sends on to `https://login/`"),
        (301, &[("location", "ftp://x")], "it sends on to nowhere"),
    ] {
        let (is_passing, _, kind, message) = told(known(status, pairs));
        assert_eq!((is_passing, kind), (false, Kind::Unavailable));
        let wanted = format!("https://hub is no hub ({what}); look at HF_ENDPOINT and the proxy");
        assert_eq!(message, format!("cannot get `f.bin`: {wanted}"));
    }
}

#[test]
fn what_a_hub_refuses_has_a_kind_and_a_way_out() {
    const NONE: Option<&str> = None;
    const TOKEN: Option<&str> = Some("HF_TOKEN");
    use Kind::{Denied, NotFound, Unauthenticated, Unavailable};
    for (status, code, token, kind, words) in [
        (
            401,
            "RepoNotFound",
            NONE,
            Unauthenticated,
            "`o/r` is not to be had without a token, or is not there; set HF_TOKEN",
        ),
        (401, "", NONE, Unauthenticated, "`o/r` is not to be had without a token"),
        (401, "GatedRepo", NONE, Unauthenticated, "terms of `o/r` at https://hub/o/r and set HF_TOKEN"),
        (403, "GatedRepo", TOKEN, Unauthenticated, "at https://hub/o/r with the account of your token"),
        (
            401,
            "",
            TOKEN,
            Denied,
            "hub refuses the token of HF_TOKEN for `o/r`; set another, or unset it for what is public",
        ),
        (
            401,
            "",
            Some("/h/token"),
            Denied,
            "token of /h/token for `o/r`; log in anew, or set HF_HUB_DISABLE_IMPLICIT_TOKEN=1 for what is public",
        ),
        (
            403,
            "",
            TOKEN,
            Denied,
            "the account of the token of HF_TOKEN may not read `o/r`; if it asks for that, accept its terms at https://hub/o/r",
        ),
        (403, "", NONE, Denied, "hub does not give `o/r` away"),
        (404, "RepoNotFound", TOKEN, NotFound, "there is no repository `o/r` at hub"),
        (404, "RevisionNotFound", NONE, NotFound, "`o/r` has no revision `main`"),
        (404, "EntryNotFound", NONE, NotFound, "`o/r` has no file `d/f.bin` (any more)"),
        (404, "", NONE, NotFound, "hub has no `o/r` with a file `d/f.bin`"),
        (410, "", NONE, NotFound, "hub has no `o/r` with a file `d/f.bin`"),
        (418, "", NONE, Unavailable, "hub answers 418 for `d/f.bin` of `o/r`"),
    ] {
        let pairs = [("x-error-code", code)];
        let answer = (status, pairs.as_slice());
        for result in [
            judged(of_hub, &hub_file(), true, token, answer).map(drop),
            judged(opened, &hub_file(), true, token, answer).map(drop),
        ] {
            let (is_passing, _, found, message) = told(result);
            assert_eq!((is_passing, found), (false, kind), "{status} {code}: {message}");
            assert!(message.contains(words), "{status} {code}: {message}");
        }
    }
}

#[test]
fn what_the_hub_says_itself_of_a_refusal_is_repeated_as_far_as_it_is_fit() {
    let says =
        |status, words: &str| told(judged(of_hub, &hub_file(), true, None, (status, &[("x-error-message", words)]))).3;
    assert_eq!(says(403, "Go\taway "), "hub does not give `o/r` away (it says: Goaway)");
    assert!(says(403, &"a".repeat(900)).ends_with(&format!("(it says: {})", "a".repeat(200))));
    for (status, words) in [(403, " "), (403, "\u{e4}"), (404, "Entry not found")] {
        assert!(!says(status, words).contains("says"), "{status} {words}");
    }
}

#[test]
fn a_key_in_a_url_is_not_repeated() {
    let source = Source::Url("https://w/f.bin?key=secret".into());
    for (status, words) in [
        (401, "asks for `https://w/f.bin`"),
        (403, "not give `https://w/f.bin` away"),
        (404, "no `https://w/f.bin`"),
        (418, "418 for `https://w/f.bin`"),
    ] {
        let message = told(judged(opened, &source, true, None, (status, &[]))).3;
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_passes_is_asked_again_when_the_server_says() {
    for (status, pairs, after, kind) in [
        (429, [("retry-after", "300")].as_slice(), Some(300), Kind::Busy),
        (429, &[("ratelimit", "\"api\";r=0;t=55"), ("retry-after", "soon")], Some(55), Kind::Busy),
        (429, &[("ratelimit", "limit=1, t=7")], Some(7), Kind::Busy),
        (429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], None, Kind::Busy),
        (503, &[("retry-after", "5"), ("ratelimit", "t=9")], Some(5), Kind::Unavailable),
        (500, &[], None, Kind::Unavailable),
        (599, &[], None, Kind::Unavailable),
        (408, &[], None, Kind::Unavailable),
        (425, &[], None, Kind::Unavailable),
    ] {
        for source in [hub_file(), url()] {
            let (is_passing, found, kind_found, _) = told(judged(opened, &source, true, None, (status, pairs)));
            assert_eq!((is_passing, found, kind_found), (true, after, kind), "{status}");
            let verdict = if source == url() { of_server } else { of_hub };
            assert_eq!(told(judged(verdict, &source, true, None, (status, pairs))).1, after, "{status}");
        }
    }
    let message = |token| told(judged(of_hub, &hub_file(), true, token, (429, &[("retry-after", "300")]))).3;
    assert!(message(None).ends_with("hub asks to wait 300 s; a token (HF_TOKEN) allows more"));
    assert!(message(Some("HF_TOKEN")).ends_with("hub asks to wait 300 s"));
}

#[test]
fn a_signed_address_that_ran_out_is_asked_for_anew() {
    for status in [401, 403] {
        let (is_passing, after, kind, message) = told(judged(opened, &hub_file(), false, None, (status, &[])));
        assert_eq!((is_passing, after, kind), (true, None, Kind::Unavailable));
        assert!(message.contains("store does not take the address"), "{message}");
    }
    let (is_passing, _, kind, message) = told(judged(opened, &hub_file(), false, None, (404, &[])));
    assert_eq!((is_passing, kind), (false, Kind::Unavailable));
    assert!(message.ends_with("sends on to `https://store/x`, where nothing is"), "{message}");
}

#[test]
fn a_file_comes_whole_or_from_where_its_answer_says() {
    let start = |status, pairs: Pairs<'_>| judged(opened, &hub_file(), false, None, (status, pairs));
    assert_eq!(start(200, &[]).unwrap(), (0, None));
    assert_eq!(start(200, &[("content-length", "10")]).unwrap(), (0, Some(10)));
    assert_eq!(start(200, &[("content-encoding", "identity"), ("content-length", "10")]).unwrap(), (0, Some(10)));
    // What a part says counts, not what was asked for; a whole file has no part.
    assert_eq!(start(200, &[("content-range", "bytes 5-9/10")]).unwrap(), (0, None));
    assert_eq!(start(206, &[("content-range", "bytes 5-9/10"), ("content-length", "5")]).unwrap(), (5, Some(10)));
    assert_eq!(start(206, &[("content-range", "bytes 5-9/*")]).unwrap(), (5, None));
    for wrong in [
        "",
        "5-9/10",
        "bytes 5-9",
        "bytes 9-5/10",
        "bytes 5-10/10",
        "bytes */10",
        "bytes -5/10",
        "bytes +5-9/10",
        "bytes 5-9/x",
    ] {
        assert!(matches!(start(206, &[("content-range", wrong)]), Err(Refusal::NoSuchRange)), "{wrong}");
    }
    assert!(matches!(start(206, &[]), Err(Refusal::NoSuchRange)));
    assert!(matches!(start(416, &[("content-range", "bytes */10")]), Err(Refusal::NoSuchRange)));
    for (status, pairs, words) in [
        (200, [("content-type", "Text/HTML")].as_slice(), "store answers a page and no file"),
        (206, &[("content-encoding", "gzip"), ("content-range", "bytes 0-1/2")], "store sends it packed (gzip)"),
        (204, &[], "answers 204"),
        (304, &[], "answers 304"),
    ] {
        let (is_passing, _, kind, message) = told(start(status, pairs));
        assert_eq!((is_passing, kind), (false, Kind::Unavailable));
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn of_a_url_only_what_is_certain_is_kept() {
    let known = |status, pairs: Pairs<'_>| judged(of_server, &url(), true, None, (status, pairs));
    let announced = known(200, &[("etag", "\"a\""), ("content-length", "10"), ("x-repo-commit", COMMIT)]).unwrap();
    let wanted = Announced { commit: None, etag: Some("\"a\"".into()), digest: None, size: Some(10) };
    assert_eq!(announced, wanted);
    for weak in ["W/\"a\"", "a", "\"", "\"\"", "\"a\"b\"", &format!("\"{}\"", "a".repeat(300))] {
        assert_eq!(known(200, &[("etag", weak)]).unwrap().etag, None, "{weak}");
    }
    for pairs in [[("content-length", "0")].as_slice(), &[("content-length", "9"), ("content-encoding", "br")]] {
        assert_eq!(known(200, pairs).unwrap().size, None);
    }
    // A question that is refused is no answer about the file.
    for status in [204, 301, 400, 401, 403, 405, 501] {
        assert_eq!(known(status, &[("etag", "\"a\""), ("content-length", "10")]).unwrap().size, None, "{status}");
    }
    assert_eq!(told(known(404, &[])).3, "hub has no `https://w/f.bin`");
    assert_eq!(told(known(200, &[("content-type", "text/html")])).2, Kind::Unavailable);
    for (status, kind) in
        [(401, Kind::Unauthenticated), (403, Kind::Denied), (404, Kind::NotFound), (451, Kind::Unavailable)]
    {
        assert_eq!(told(judged(opened, &url(), true, None, (status, &[]))).2, kind);
    }
}

#[test]
fn a_redirect_is_followed_if_it_leads_anywhere_safe() {
    let to = |status, pairs: Pairs<'_>| judged(next, &hub_file(), true, None, (status, pairs));
    for status in [301, 302, 303, 307, 308] {
        let uri = to(status, &[("location", "/new/name")]).unwrap().unwrap();
        assert_eq!(uri.to_string(), "https://hub/new/name");
    }
    for status in [200, 206, 300, 304, 404] {
        assert!(to(status, &[("location", "/new/name")]).unwrap().is_none(), "{status}");
    }
    for (pairs, words) in [
        ([].as_slice(), "hub sends on to ``, where nothing is"),
        (&[("location", "ftp://h/x?secret")], "hub sends on to `ftp://h/x`, where nothing is"),
        (&[("location", "http://hub/x?secret")], "hub sends on to `http://hub/x`, which is not safe (http)"),
    ] {
        let (is_passing, _, kind, message) = told(to(302, pairs));
        assert_eq!((is_passing, kind, message), (false, Kind::Unavailable, format!("cannot get `f.bin`: {words}")));
    }
}

proptest! {
    #[test]
    fn every_answer_has_a_meaning(
        status in 100_u16..600,
        value in "[ -~]{0,40}|bytes [0-9]{1,3}-[0-9]{1,3}/[0-9]{1,3}",
        which in 0..10_usize,
        is_first: bool,
    ) {
        let names = ["x-repo-commit", "x-linked-etag", "x-linked-size", "etag", "content-length", "content-range", "location",
            "content-type", "retry-after", "content-encoding"];
        let pairs = [(names[which], value.as_str())];
        for source in [hub_file(), url()] {
            // Nothing of this says enough for a hub.
            prop_assert!(judged(of_hub, &source, is_first, None, (status, &pairs)).is_err());
            judged(of_server, &source, is_first, None, (status, &pairs)).ok();
            judged(next, &source, is_first, None, (status, &pairs)).ok();
            if let Ok((start, Some(total))) = judged(opened, &source, is_first, None, (status, &pairs)) {
                prop_assert!(start == 0 || start < total);
            }
        }
    }
}
