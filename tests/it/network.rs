//! The way to the hub: tokens, endpoints, proxies, certificates; and whoever does not deliver is named.

use crate::harness::{
    home::{FILE, Home, NAME, REPO, SIZE, hub_of_noise, noise, selftest},
    hub::{At, Fault, Hub, proxy::Proxy, tls},
    sample,
};
use std::{fs, thread, time::Duration};

const PULL: [&str; 3] = ["models", "pull", NAME];

#[test]
fn the_token_stays_with_the_hub() {
    let (hub, bytes, _) = hub_of_noise();
    let url = hub.put_at_store("other.bin", &bytes);
    for is_filed in [false, true] {
        hub.forget();
        let home = Home::of(&hub);
        let home = match is_filed {
            true => {
                fs::create_dir_all(home.sandbox.path().join("hf")).expect("it can be made");
                home.sandbox.file("hf/token", b"hf_secret\n");
                home
            }
            false => home.with_env("HF_TOKEN", "hf_secret"),
        };
        for source in [NAME, &url] {
            let shown = home.run(&["models", "pull", source, "-v"]);
            assert_eq!(shown.code(), "0", "{}", shown.stderr);
            assert!(!format!("{}{}", shown.stderr, shown.stdout_lossy()).contains("hf_secret"));
        }
        for asked in hub.log() {
            let is_hub = asked.header("host") == Some(&hub.addresses()[0]);
            assert_eq!(asked.header("authorization"), is_hub.then_some("Bearer hf_secret"), "{asked:?}");
        }
        assert!(hub.log().len() >= 5);
        // Nor is it kept, or told to who asks what went wrong.
        assert!(!home.manifests().iter().any(|manifest| manifest.to_string().contains("hf_secret")));
        hub.on(At::Head, "none.bin", .., Fault::Status(401, vec![]));
        let shown = home.run(&["models", "pull", &format!("hf:{REPO}/none.bin"), "-vv"]);
        assert_eq!(shown.code(), "7");
        assert!(!shown.stderr.contains("hf_secret"), "{}", shown.stderr);
    }
}

#[test]
fn a_repository_that_has_moved_is_followed() {
    let (hub, bytes, _) = hub_of_noise();
    let there = format!("/{REPO}/resolve/main/{FILE}");
    hub.put("old/name", "old.bin", &bytes);
    hub.on(At::Head, "old.bin", .., Fault::RedirectTo(there.clone()));
    hub.on(At::Get, "old.bin", .., Fault::RedirectTo(there));
    let home = Home::of(&hub).with_env("HF_TOKEN", "hf_secret");
    home.does(&["models", "pull", "hf:old/name/old.bin"]);
    let of_hub = |at: At| {
        let log = hub.log().into_iter().filter(move |asked| asked.at == at);
        log.map(|asked| asked.header("authorization").map(str::to_owned)).collect::<Vec<_>>()
    };
    let token = Some("Bearer hf_secret".to_owned());
    assert_eq!(of_hub(At::Head), [token.clone(), token], "it is the same origin");
    assert_eq!(of_hub(At::Body), [None]);
}

/// A hub that says no, who asks, and what comes of it.
struct No {
    name: &'static str,
    at: At,
    fault: Option<Fault>,
    env: Vec<(&'static str, String)>,
    source: &'static str,
    code: &'static str,
}

fn no(name: &'static str, at: At, fault: Fault, code: &'static str) -> No {
    No { name, at, fault: Some(fault), env: Vec::new(), source: "base.en-q5_1", code }
}

impl No {
    fn of(name: &'static str, source: &'static str, code: &'static str) -> Self {
        Self { name, at: At::Head, fault: None, env: Vec::new(), source, code }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn row(&self) -> String {
        let (hub, _, _) = hub_of_noise();
        if let Some(fault) = &self.fault {
            hub.on(self.at, FILE, .., fault.clone());
        }
        let home = self.env.iter().fold(Home::of(&hub), |home, (name, value)| home.with_env(name, value));
        let row = home.row(&format!("models pull {}", self.source));
        assert!(row.ends_with(&format!("\nexit {}\n\n", self.code)), "{}: {row}", self.name);
        assert!(home.manifests().is_empty(), "{}", self.name);
        assert!(hub.log().len() < 40, "{}: it is given up", self.name);
        format!("# {}\n{row}", self.name)
    }
}

/// Runs all of them at once, for some wait for better times.
fn rows(cases: &[No]) -> String {
    thread::scope(|scope| {
        let running: Vec<_> = cases.iter().map(|case| scope.spawn(|| case.row())).collect();
        running.into_iter().map(|row| row.join().expect("it is as expected")).collect()
    })
}

#[test]
fn answers_that_say_no() {
    let status = |status, code: &'static str| Fault::Status(status, vec![("X-Error-Code", code)]);
    let bare = |status| Fault::Status(status, vec![]);
    let wait = |status, seconds| Fault::Status(status, vec![("Retry-After", seconds)]);
    let nowhere = || Fault::RedirectTo("http://127.0.0.1:1/nowhere.bin".to_owned());
    let circle = || Fault::RedirectTo(format!("/{REPO}/resolve/main/{FILE}"));
    let cases = [
        no("terms that nobody has accepted", At::Head, status(401, "GatedRepo"), "7"),
        no("a token that is not good", At::Head, bare(401), "7").with("HF_TOKEN", "hf_secret"),
        no("terms that this token has not accepted", At::Head, status(403, "GatedRepo"), "7")
            .with("HF_TOKEN", "hf_secret"),
        no("forbidden", At::Get, bare(403), "7"),
        No::of("no such repository, to a stranger", "hf:o/none/x.bin", "7"),
        No::of("no such repository", "hf:o/none/x.bin", "3").with("HF_TOKEN", "hf_secret"),
        No::of("no such file", "hf:ggerganov/whisper.cpp/none.bin", "3"),
        No::of("no such revision", "hf:ggerganov/whisper.cpp/ggml-base.en-q5_1.bin@v9", "3"),
        no("not found, and no more", At::Head, bare(404), "3"),
        no("too many requests", At::Head, wait(429, "300"), "5"),
        no("too many requests, of the store", At::Body, wait(429, "300"), "5"),
        no("away", At::Head, wait(503, "0"), "5"),
        no("away, in the middle", At::Body, wait(503, "0"), "5"),
        no("broken", At::Head, bare(500), "5"),
        no("a page", At::Head, Fault::Page, "5"),
        no("a page, of the store", At::Body, Fault::Page, "5"),
        no("no commit", At::Head, Fault::NoCommit, "5"),
        no("a commit that is a path", At::Head, Fault::Commit("../../../../precious"), "5"),
        no("a digest that is a path", At::Head, Fault::Etag("\"../../../precious\"".to_owned()), "5"),
        no("a digest that is none", At::Head, Fault::Etag("\"0123\"".to_owned()), "5"),
        no("a redirect to nowhere", At::Get, nowhere(), "5"),
        no("a redirect to another protocol", At::Get, Fault::RedirectTo("ftp://store/x.bin".to_owned()), "5"),
        no("a redirect in a circle", At::Get, circle(), "5"),
        no("a redirect in a circle, when asked", At::Head, circle(), "5"),
        no("nothing", At::Head, Fault::HangUp, "5"),
        no("nothing, in the middle", At::Body, Fault::HangUp, "5"),
        no("cut, again and again", At::Body, Fault::CutAt(SIZE / 2), "5"),
        No::of("nobody there", NAME, "5").with("HF_ENDPOINT", "http://127.0.0.1:1"),
    ];
    insta::assert_snapshot!(rows(&cases));
}

#[test]
fn settings_that_cannot_be_used() {
    let of = |name: &'static str, value: &str| No::of(name, NAME, "2").with(name, value);
    let cases = [
        of("HF_ENDPOINT", "nonsense"),
        of("HF_ENDPOINT", "ftp://hub.test"),
        of("HTTP_PROXY", "nonsense://:::"),
        of("HF_HUB_OFFLINE", "1"),
        of("TRANSFORMERS_OFFLINE", "YES"),
    ];
    insta::assert_snapshot!(rows(&cases));
}

#[test]
fn who_asks_to_be_asked_again_is() {
    let (hub, bytes, _) = hub_of_noise();
    for (at, status) in [(At::Head, 503), (At::Get, 429), (At::Body, 500)] {
        hub.on(at, FILE, ..1, Fault::Status(status, vec![("Retry-After", "1")]));
    }
    let home = Home::of(&hub);
    home.does(&PULL);
    home.assert_has(&hub, REPO, FILE, &bytes);
    assert_eq!((hub.count(At::Head, FILE), hub.count(At::Get, FILE), hub.count(At::Body, FILE)), (2, 3, 2));
}

#[test]
fn slow_bytes_are_waited_for_and_none_are_not() {
    let (hub, bytes, _) = hub_of_noise();
    // Each in time, all together late.
    hub.on(At::Body, FILE, ..1, Fault::Trickle(SIZE / 6, Duration::from_millis(600)));
    let home = Home::of(&hub).with_env("SPEECHCTL_HUB_TIMEOUT", "3");
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), [0]);
    home.assert_has(&hub, REPO, FILE, &bytes);
    // Nothing at all, of each kind of answer.
    hub.calm();
    hub.forget();
    hub.on(At::Head, FILE, ..1, Fault::Mute);
    hub.on(At::Get, FILE, ..1, Fault::Mute);
    hub.on(At::Body, FILE, ..1, Fault::StallAt(SIZE / 2));
    hub.on(At::Body, FILE, 1..2, Fault::Mute);
    let home = Home::of(&hub).with_env("SPEECHCTL_HUB_TIMEOUT", "1");
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), [0, SIZE / 2, SIZE / 2]);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn a_connection_that_is_reset_is_made_again() {
    let (hub, bytes, _) = hub_of_noise();
    hub.on(At::Body, FILE, ..1, Fault::ResetAt(SIZE / 2));
    let home = Home::of(&hub);
    home.does(&PULL);
    let bodies = hub.bodies(FILE);
    assert!(bodies.len() == 2 && bodies[1] <= SIZE / 2, "{bodies:?}");
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn offline_asks_nobody() {
    let (hub, model) = (Hub::start(), selftest());
    hub.put(REPO, FILE, &model);
    let home = Home::of(&hub);
    home.does(&PULL);
    let before = hub.connections();
    let home = home.with_env("HF_HUB_OFFLINE", "1");
    let shown = home.run(&["models", "pull", "tiny"]);
    assert_eq!(shown.code(), "2");
    assert!(shown.stderr.contains("HF_HUB_OFFLINE"), "{}", shown.stderr);
    // What is there can be used.
    assert_eq!(home.state_of(NAME), "installed");
    let talk = sample("timer.wav").display().to_string();
    assert_eq!(home.run(&["stt", &talk, "--model", NAME]).good_text(), "set a timer for ten minutes\n");
    assert_eq!(hub.connections(), before);
}

#[test]
fn an_endpoint_may_have_a_folder_and_a_slash() {
    let (hub, bytes, _) = hub_of_noise();
    for more in ["/", "/mirror/of/hf", "/mirror/"] {
        hub.forget();
        let home = Home::of(&hub).with_env("HF_ENDPOINT", &format!("{}{more}", hub.endpoint()));
        home.does(&PULL);
        assert_eq!(hub.log()[0].target, format!("{}/{REPO}/resolve/main/{FILE}", more.trim_end_matches('/')));
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
}

#[test]
fn a_proxy_is_used_and_no_proxy_is_not() {
    let (hub, bytes, _) = hub_of_noise();
    let [at_hub, at_store] = hub.addresses();
    let dead = "http://127.0.0.1:1";
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start(&[("hub.test:80", &at_hub)]);
        let home = Home::of(&hub).with_env("HF_ENDPOINT", "http://hub.test");
        let home = home.with_env(name, &format!("http://{}", proxy.address)).with_env("HTTPS_PROXY", dead);
        home.does(&PULL);
        let asked = proxy.asked();
        assert!(asked.contains(&"CONNECT hub.test:80".to_owned()), "{name}: {asked:?}");
        assert!(asked.contains(&format!("CONNECT {at_store}")), "{name}: {asked:?}");
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
    for exceptions in ["127.0.0.1", "localhost,127.0.0.1,example.com", "*"] {
        let home = Home::of(&hub).with_env("HTTP_PROXY", dead).with_env("NO_PROXY", exceptions);
        home.does(&PULL);
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
}

#[test]
fn tls_with_a_certificate_of_ones_own() {
    let bytes = noise(SIZE);
    let tls = tls::Settings::new();
    let hub = Hub::start_with_tls(tls.clone());
    hub.put(REPO, FILE, &bytes);
    let with = |certificate: &str| {
        let home = Home::of(&hub);
        home.sandbox.file("hub.pem", certificate.as_bytes());
        let path = home.sandbox.path().join("hub.pem").display().to_string();
        home.with_env("SSL_CERT_FILE", &path)
    };
    let home = with(&tls.certificate);
    home.does(&PULL);
    home.assert_has(&hub, REPO, FILE, &bytes);
    // A download that is cut by https, too, and by way of a proxy.
    hub.forget();
    hub.on(At::Body, FILE, ..1, Fault::CutAt(SIZE / 2));
    let proxy = Proxy::start(&[]);
    let home = with(&tls.certificate).with_env("HTTP_PROXY", "http://127.0.0.1:1");
    let home = home.with_env("HTTPS_PROXY", &format!("http://{}", proxy.address));
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), [0, SIZE / 2]);
    assert!(proxy.asked().iter().any(|asked| asked.ends_with(&hub.addresses()[1])), "{:?}", proxy.asked());
    home.assert_has(&hub, REPO, FILE, &bytes);
    // Nobody has signed it, somebody else has, it is another host's, and it is no certificate.
    let other = tls::Settings::of_host("hub.test");
    let strangers = [Home::of(&hub), with(&tls::Settings::new().certificate), with(&other.certificate)];
    for home in strangers {
        let shown = home.run(&PULL);
        assert_eq!(shown.code(), "7", "{}", shown.stderr);
        assert!(shown.stderr.contains("SSL_CERT_FILE"), "{}", shown.stderr);
    }
    assert_eq!(with("no certificate").run(&PULL).code(), "2");
    // Who has begun with https is not sent on without.
    hub.calm();
    let plain = Hub::start();
    let url = plain.put_at_store(FILE, &bytes);
    hub.on(At::Get, FILE, .., Fault::RedirectTo(url));
    let home = with(&tls.certificate).with_env("HF_TOKEN", "hf_secret");
    let shown = home.run(&PULL);
    assert_eq!((shown.code().as_str(), plain.connections()), ("5", 0), "{}", shown.stderr);
}
