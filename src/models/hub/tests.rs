//! The hub against servers of our own, that say whatever a test wants.

use super::*;
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A server on a port of its own.
struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Whether the connection stays open after the answer.
enum Then {
    Close,
    Hold,
}

impl Server {
    /// Answers each request, which is handed over as it came, with these bytes.
    fn start(answer: impl Fn(&str) -> (String, Then) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request_of(&stream);
                let (bytes, then) = answer(&request);
                log.lock().unwrap().push(request);
                // Whoever asked may have gone.
                stream.write_all(bytes.as_bytes()).ok();
                if matches!(then, Then::Hold) {
                    held.push(stream);
                }
            }
        });
        Self { origin, asked }
    }

    /// Always the same.
    fn says(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |_| (answer.clone(), Then::Close))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn hub(&self, more: &[(&str, &str)]) -> Hub {
        Hub::new(&self.settings(more)).unwrap()
    }

    fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let env = |name: &str| -> Option<OsString> {
            let pairs = [("HF_ENDPOINT", self.origin.as_str()), ("HF_HOME", "/nowhere")];
            more.iter().chain(&pairs).find(|(key, _)| *key == name).map(|(_, value)| value.into())
        };
        Settings::read(env).unwrap()
    }
}

fn request_of(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
    request
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = match headers.iter().any(|(name, _)| *name == "Content-Length") {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", body.len()),
    };
    format!("HTTP/1.1 {status} Some\r\nConnection: close\r\n{length}{lines}\r\n{body}")
}

fn file() -> Source {
    Source::Hub(HubFile { repo: "o/r".into(), path: "f.bin".into(), revision: "main".into() })
}

fn announced() -> Announced {
    let digest = Digest::parse(SHA);
    Announced { commit: Some(COMMIT.into()), etag: Some(SHA.into()), digest, size: Some(3) }
}

fn bytes(opened: Opened) -> std::io::Result<String> {
    let (mut body, mut text) = (opened.body, String::new());
    body.read_to_string(&mut text).map(|_| text)
}

fn final_of<T>(result: Result<T, Refusal>) -> Error {
    match result {
        Err(Refusal::Final(error)) => error,
        Err(other) => panic!("it is not final: {other:?}"),
        Ok(_) => panic!("it is taken"),
    }
}

fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let named = |line: &'a str| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name));
    request.lines().find_map(named).map(|(_, value)| value)
}

#[test]
fn a_file_is_asked_for_at_the_hub_and_fetched_where_it_sends_without_the_token() {
    let store = Server::says(answer(200, &[], "abc"));
    let location = format!("{}/blob?key=1", store.origin);
    let linked =
        [("Location", location.as_str()), ("X-Repo-Commit", COMMIT), ("X-Linked-Etag", SHA), ("X-Linked-Size", "3")];
    let hub = Server::says(answer(302, &linked, "Found"));
    let client = hub.hub(&[("HF_TOKEN", "hf_x")]);
    let known = client.announced(&file()).unwrap();
    assert_eq!(known, announced());
    assert!(store.asked().is_empty());
    assert_eq!(bytes(client.open(&file(), &known, 0).unwrap()).unwrap(), "abc");
    let asked = hub.asked();
    assert!(asked[0].starts_with("HEAD /o/r/resolve/main/f.bin HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[1].starts_with(&format!("GET /o/r/resolve/{COMMIT}/f.bin HTTP/1.1\r\n")), "{}", asked[1]);
    for request in &asked {
        assert_eq!(header(request, "authorization"), Some("Bearer hf_x"));
        assert_eq!(header(request, "accept-encoding"), Some("identity"));
        assert_eq!(header(request, "user-agent"), Some(concat!("speechctl/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(header(request, "range"), None);
    }
    let asked = store.asked();
    assert!(asked[0].starts_with("GET /blob?key=1 "), "{}", asked[0]);
    assert_eq!((asked.len(), header(&asked[0], "authorization")), (1, None));
}

#[test]
fn a_repository_that_was_renamed_is_found_under_its_new_name() {
    let hub = Server::start(|request| {
        let text = match request.contains("/new/name/") {
            true => answer(200, &[("X-Repo-Commit", COMMIT), ("ETag", COMMIT), ("Content-Length", "9")], ""),
            false => answer(307, &[("Location", "/new/name/resolve/main/f.bin")], ""),
        };
        (text, Then::Close)
    });
    let known = hub.hub(&[("HF_TOKEN", "hf_x")]).announced(&file()).unwrap();
    assert_eq!((known.size, known.etag.as_deref()), (Some(9), Some(COMMIT)));
    assert_eq!(header(&hub.asked()[1], "authorization"), Some("Bearer hf_x"));
}

#[test]
fn a_question_to_a_hub_is_not_carried_elsewhere() {
    let other = Server::says(answer(200, &[], ""));
    let hub = Server::says(answer(301, &[("Location", &format!("{}/login", other.origin))], ""));
    let error = final_of(hub.hub(&[]).announced(&file()));
    let wanted = format!("{} is no hub (it sends on to `{}/login`)", hub.origin, other.origin);
    assert!(error.to_string().contains(&wanted), "{error}");
    assert!(other.asked().is_empty());
}

#[test]
fn a_file_goes_on_at_a_byte() {
    let hub = Server::says(answer(206, &[("Content-Range", "bytes 2-2/3")], "c"));
    let opened = hub.hub(&[]).open(&file(), &announced(), 2).unwrap();
    assert_eq!((opened.start, opened.total), (2, Some(3)));
    assert_eq!(bytes(opened).unwrap(), "c");
    assert_eq!(header(&hub.asked()[0], "range"), Some("bytes=2-"));
}

#[test]
fn a_server_that_starts_elsewhere_is_believed_what_it_says() {
    let whole = Server::says(answer(200, &[], "abc"));
    let opened = whole.hub(&[]).open(&file(), &announced(), 2).unwrap();
    assert_eq!((opened.start, opened.total), (0, Some(3)));
    let other = Server::says(answer(206, &[("Content-Range", "bytes 1-2/3")], "bc"));
    assert_eq!(other.hub(&[]).open(&file(), &announced(), 2).unwrap().start, 1);
    for wrong in [answer(206, &[("Content-Range", "bytes 3-2/1")], "c"), answer(206, &[], "c"), answer(416, &[], "")] {
        let refusal = Server::says(wrong).hub(&[]).open(&file(), &announced(), 2);
        assert!(matches!(refusal, Err(Refusal::NoSuchRange)));
    }
}

#[test]
fn a_part_of_a_url_is_of_the_same_file_or_it_is_the_whole() {
    let server = Server::says(answer(200, &[("ETag", "\"v1\"")], "abc"));
    // The hub is elsewhere: nobody else gets its token.
    let hub = server.hub(&[("HF_ENDPOINT", "http://hub.invalid"), ("HF_TOKEN", "hf_x")]);
    let source = Source::Url(format!("{}/f.bin#part", server.origin));
    let known = hub.announced(&source).unwrap();
    assert_eq!(known, Announced { commit: None, etag: Some("\"v1\"".into()), digest: None, size: Some(3) });
    hub.open(&source, &known, 2).unwrap();
    hub.open(&source, &Announced { etag: None, ..known }, 2).unwrap();
    let asked = server.asked();
    assert!(asked[1].starts_with("GET /f.bin "));
    assert_eq!((header(&asked[1], "range"), header(&asked[1], "if-range")), (Some("bytes=2-"), Some("\"v1\"")));
    assert_eq!((header(&asked[2], "range"), header(&asked[2], "if-range")), (None, None));
    assert!(asked.iter().all(|request| header(request, "authorization").is_none()));
}

#[test]
fn what_is_no_file_of_the_hub_is_refused() {
    let page = Server::says(answer(200, &[("Content-Type", "text/html")], "<html>log in</html>"));
    for refusal in [page.hub(&[]).announced(&file()).map(drop), page.hub(&[]).open(&file(), &announced(), 0).map(drop)]
    {
        let error = final_of(refusal);
        assert_eq!(error.kind(), Kind::Unavailable);
        let wanted = format!("{} is no hub (it answers a page); look at HF_ENDPOINT and the proxy", page.origin);
        assert!(error.to_string().ends_with(&wanted), "{error}");
    }
    let packed = Server::says(answer(200, &[("Content-Encoding", "gzip")], "abc"));
    let error = final_of(packed.hub(&[]).open(&file(), &announced(), 0));
    assert!(error.to_string().contains("packed (gzip)"), "{error}");
    let noise = Server::says("SSH-2.0-OpenSSH_9.6\r\n\r\n");
    let error = final_of(noise.hub(&[]).announced(&file()));
    assert!(error.to_string().contains("answers what is not HTTP"), "{error}");
}

#[test]
fn a_circle_ends() {
    let hub = Server::says(answer(302, &[("Location", "/again")], ""));
    for refusal in [hub.hub(&[]).announced(&file()).map(drop), hub.hub(&[]).open(&file(), &announced(), 0).map(drop)] {
        let error = final_of(refusal);
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.to_string().ends_with("sends on in circles"), "{error}");
    }
    assert_eq!(hub.asked().len(), 2 * (MOST_REDIRECTS + 1));
}

#[test]
fn ten_redirects_are_followed() {
    let hub = Server::start(|request| {
        let hops = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/hop/")?.parse().ok()).unwrap_or(0);
        let text = match hops {
            MOST_REDIRECTS => answer(200, &[], "abc"),
            hops => answer(302, &[("Location", &format!("/hop/{}", hops + 1))], ""),
        };
        (text, Then::Close)
    });
    assert_eq!(bytes(hub.hub(&[]).open(&file(), &announced(), 0).unwrap()).unwrap(), "abc");
}

#[test]
fn a_body_that_is_cut_or_stalls_says_so() {
    let length = [("Content-Length", "3")];
    let cut = Server::says(answer(200, &length, "ab"));
    let error = bytes(cut.hub(&[]).open(&file(), &announced(), 0).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    let stalled = Server::start(move |_| (answer(200, &length, "ab"), Then::Hold));
    let mut settings = stalled.settings(&[]);
    settings.limits.stall = Duration::from_millis(50);
    let mut body = Hub::new(&settings).unwrap().open(&file(), &announced(), 0).ok().unwrap().body;
    let mut two = [0; 2];
    body.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"ab");
    assert_eq!(body.read(&mut two).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn who_does_not_answer_may_do_so_later() {
    let mute = Server::start(|_| (String::new(), Then::Hold));
    let mut settings = mute.settings(&[]);
    settings.limits.answer = Duration::from_millis(50);
    let cut = Server::says("HTTP/1.1 200 OK\r\nConte");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = mute.settings(&[("HF_ENDPOINT", &format!("http://{closed}"))]);
    for settings in [settings, cut.settings(&[]), nobody] {
        match Hub::new(&settings).unwrap().announced(&file()) {
            Err(Refusal::Passing { error, after: None }) => {
                assert_eq!(error.kind(), Kind::Unavailable);
                let host = settings.endpoint.trim_start_matches("http://");
                assert!(
                    error.to_string().starts_with(&format!("cannot get `f.bin`: {host} does not answer")),
                    "{error}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn offline_asks_nobody() {
    let hub = Server::says(answer(200, &[], "abc"));
    let client = hub.hub(&[("HF_HUB_OFFLINE", "1")]);
    for refusal in [client.announced(&file()).map(drop), client.open(&file(), &announced(), 0).map(drop)] {
        let error = final_of(refusal);
        assert_eq!(error.kind(), Kind::Config);
        assert_eq!(error.to_string(), "cannot pull `f.bin`: HF_HUB_OFFLINE is set; unset it, or import the file");
    }
    assert_eq!(client.small(&file(), 10).unwrap_err().kind(), Kind::Config);
    assert!(hub.asked().is_empty());
}

#[test]
fn a_proxy_is_asked_to_connect_and_its_refusal_is_told() {
    for (status, kind, words) in [
        (407, Kind::Denied, "wants a password"),
        (403, Kind::Denied, "does not let hub.invalid be asked (it answers 403)"),
        (502, Kind::Unavailable, "does not reach hub.invalid (it answers 502)"),
    ] {
        let proxy = Server::says(answer(status, &[], ""));
        let url = proxy.origin.replace("http://", "http://u:p@");
        let pairs = [("HF_ENDPOINT", "http://hub.invalid"), ("HTTP_PROXY", url.as_str()), ("HF_TOKEN", "hf_x")];
        let error = Error::from(proxy.hub(&pairs).announced(&file()).unwrap_err());
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(words) && error.to_string().contains("of HTTP_PROXY"), "{error}");
        assert!(!error.to_string().contains("u:p"), "{error}");
        let asked = proxy.asked();
        assert!(asked[0].starts_with("CONNECT hub.invalid:80 "), "{}", asked[0]);
        assert_eq!(
            (header(&asked[0], "proxy-authorization"), header(&asked[0], "authorization")),
            (Some("Basic dTpw"), None)
        );
    }
}

#[test]
fn a_small_file_comes_whole_or_not_at_all() {
    let hub = Server::says(answer(200, &[], "abc"));
    assert_eq!(hub.hub(&[]).small(&file(), 3).unwrap(), b"abc");
    let error = hub.hub(&[]).small(&file(), 2).unwrap_err();
    assert!(error.to_string().ends_with("it is longer than 2 bytes"), "{error}");
    let cut = Server::says(answer(200, &[("Content-Length", "9")], "abc"));
    assert_eq!(cut.hub(&[]).small(&file(), 100).unwrap_err().kind(), Kind::Unavailable);
    let other = Server::says(answer(206, &[("Content-Range", "bytes 1-3/4")], "abc"));
    assert_eq!(other.hub(&[]).small(&file(), 100).unwrap_err().kind(), Kind::Unavailable);
}
