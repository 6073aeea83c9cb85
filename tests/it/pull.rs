//! Models are pulled: whole, once, and on from where it was cut.

use crate::harness::{
    eventually,
    home::{FILE, Home, NAME, ONNX, ONNX_JSON, REPO, SIZE, VOICE, VOICES, hub_of_noise, noise, selftest, test_voice},
    hub::{At, Fault, Hub, digest},
    random::Random,
    sample,
    terminal::Terminal,
};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;
use std::fs::{self, File};

const PULL: [&str; 3] = ["models", "pull", NAME];

#[test]
fn a_model_is_pulled_found_and_used() {
    let (hub, model) = (Hub::start(), selftest());
    hub.put(REPO, FILE, &model);
    let home = Home::of(&hub);
    home.does(&PULL);
    let log = hub.log();
    assert_eq!(log.iter().map(|asked| asked.at).collect::<Vec<_>>(), [At::Head, At::Get, At::Body]);
    assert_eq!(log[0].target, format!("/{REPO}/resolve/main/{FILE}"));
    assert_eq!(log[0].header("accept-encoding"), Some("identity"), "so that lengths are those of the file");
    let version = format!("speechctl/{}", env!("CARGO_PKG_VERSION"));
    assert!(log.iter().all(|asked| asked.header("user-agent").is_some_and(|agent| agent.starts_with(&version))));
    home.assert_has(&hub, REPO, FILE, &model);
    let path = home.snapshot(REPO, &hub.commit(REPO), FILE);
    assert_eq!(home.run(&["models", "path", NAME]).good_text(), format!("{}\n", path.display()));

    let manifest = &home.manifests()[0];
    assert_eq!((&manifest["version"], &manifest["name"]), (&1.into(), &NAME.into()), "{manifest}");
    let file = &manifest["files"][0];
    assert_eq!(file["source"], format!("hf:{REPO}/{FILE}"));
    assert_eq!(file["commit"], hub.commit(REPO));
    assert_eq!((&file["size"], &file["sha256"]), (&model.len().into(), &digest::sha256(&model).into()));
    assert_eq!(file["path"], path.display().to_string());

    let talk = sample("timer.wav").display().to_string();
    for model in [&["--model", NAME][..], &[]] {
        let text = home.run(&[&["stt", &talk], model].concat()).good_text();
        assert_eq!(text, "set a timer for ten minutes\n", "{model:?}");
    }
    assert_eq!(hub.log().len(), 3, "nobody but `pull` asks");
}

#[test]
fn what_is_there_is_not_fetched_again() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    home.does(&PULL);
    let pinned = home.manifests()[0]["files"].clone();
    hub.forget();
    let again = |what: &str| {
        home.does(&PULL);
        assert_eq!((hub.count(At::Get, FILE), hub.count(At::Body, FILE)), (0, 0), "{what}");
        home.assert_has(&hub, REPO, FILE, &bytes);
        assert_eq!(home.manifests()[0]["files"], pinned, "{what}");
    };
    again("the whole");
    fs::remove_file(&home.manifest_files()[0]).expect("it was there");
    again("what was written of it");
    fs::remove_dir_all(home.repository(REPO).join("snapshots")).expect("it was there");
    fs::remove_dir_all(home.repository(REPO).join("refs")).expect("it was there");
    again("its names");
    fs::remove_file(home.blob(REPO, &etag)).expect("it was there");
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), [0], "it is mended");
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn a_pull_that_is_cut_at_every_tenth_goes_on_there() {
    let (hub, bytes, _) = hub_of_noise();
    let tenth = |number: usize| SIZE * number / 10;
    for number in 1..10 {
        hub.on(At::Body, FILE, number - 1..number, Fault::CutAt(tenth(number)));
    }
    let home = Home::of(&hub);
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), (0..10).map(tenth).collect::<Vec<_>>());
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn killed_at_any_byte_it_goes_on_at_that_byte() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    let mut random = Random::new(7);
    let mut places: Vec<usize> = (0..12).map(|_| 1 + random.below(SIZE - 1)).collect();
    places.sort_unstable();
    places.dedup();
    let mut lengths = vec![0];
    for (round, place) in places.into_iter().enumerate() {
        let pause = hub.pause_at(FILE, place);
        let running = home.start(&PULL);
        pause.wait();
        // In every second round, in the middle of what it does with what has come.
        if round % 2 == 0 {
            home.wait_for_partial(REPO, &etag, place);
        }
        running.signal("KILL");
        running.end();
        lengths.push(home.partial_length(REPO, &etag));
        assert!(!home.blob(REPO, &etag).exists() && home.manifests().is_empty(), "nobody takes it for the whole");
    }
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), lengths);
    assert!(lengths.is_sorted());
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn interrupted_it_ends_at_once_and_goes_on_later() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    let mut lengths = vec![0];
    for (signal, place) in [("INT", SIZE / 3), ("TERM", SIZE / 2)] {
        let pause = hub.pause_at(FILE, place);
        let running = home.start(&PULL);
        pause.wait();
        home.wait_for_partial(REPO, &etag, place);
        running.signal(signal);
        assert_eq!(running.end().code(), "130", "{signal}");
        lengths.push(home.partial_length(REPO, &etag));
        assert_eq!(lengths.last(), Some(&place));
        assert!(home.manifests().is_empty());
    }
    home.does(&PULL);
    assert_eq!(hub.bodies(FILE), lengths);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn two_pulls_share_one_download() {
    let (hub, bytes, _) = hub_of_noise();
    let home = Home::of(&hub);
    let pause = hub.pause_at(FILE, SIZE / 2);
    let first = home.start(&PULL);
    pause.wait();
    let second = home.start(&PULL);
    eventually("the second one has asked", || hub.count(At::Head, FILE) == 2);
    pause.go_on();
    for pull in [first, second] {
        let shown = pull.end();
        assert_eq!(shown.code(), "0", "{}", shown.stderr);
    }
    assert_eq!(hub.bodies(FILE), [0]);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn one_that_waits_takes_over_from_one_that_dies() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    let pause = hub.pause_at(FILE, SIZE / 2);
    let first = home.start(&PULL);
    pause.wait();
    home.wait_for_partial(REPO, &etag, SIZE / 2);
    let second = home.start(&PULL);
    eventually("the second one has asked", || hub.count(At::Head, FILE) == 2);
    assert_eq!(hub.bodies(FILE), [0], "it waits");
    first.signal("KILL");
    first.end();
    let shown = second.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    assert_eq!(hub.bodies(FILE), [0, SIZE / 2]);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn who_else_holds_the_lock_is_waited_for() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    let lock = home.lock(REPO, &etag);
    fs::create_dir_all(lock.parent().expect("a folder")).expect("it can be made");
    let held = File::create(&lock).expect("a lock");
    flock(&held, FlockOperation::LockExclusive).expect("nobody else has it");
    let given_up = home.start(&PULL);
    let waiting = home.start(&PULL);
    eventually("they have asked", || hub.count(At::Head, FILE) == 2);
    given_up.signal("INT");
    assert_eq!(given_up.end().code(), "130");
    // What the other one brings is taken, and not brought again.
    fs::create_dir_all(home.repository(REPO).join("blobs")).expect("it can be made");
    fs::write(home.blob(REPO, &etag), &bytes).expect("it is written");
    drop(held);
    let shown = waiting.end();
    assert_eq!(shown.code(), "0", "{}", shown.stderr);
    assert_eq!(hub.count(At::Body, FILE), 0);
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn a_wrong_digest_is_refused_and_nothing_stays() {
    let (hub, _, _) = hub_of_noise();
    let home = Home::of(&hub);
    hub.on(At::Body, FILE, .., Fault::OtherBytes);
    let shown = home.run(&PULL);
    assert_eq!(shown.code(), "1", "{}", shown.stderr);
    assert_eq!(hub.bodies(FILE), [0], "the same again would be as wrong");
    home.assert_has_nothing();
    assert_eq!(home.run(&["models", "path", NAME]).code(), "4");

    // What is small has another kind of digest.
    let (hub, [onnx, json]) = (Hub::start(), test_voice());
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    let home = Home::of(&hub);
    hub.on(At::Get, ONNX_JSON, .., Fault::OtherBytes);
    assert_eq!(home.run(&["models", "pull", VOICE]).code(), "1");
    assert_eq!(home.state_of(VOICE), "", "half a voice is none");
    hub.calm();
    home.does(&["models", "pull", VOICE]);
    home.assert_has(&hub, VOICES, ONNX, &onnx);
    home.assert_has(&hub, VOICES, ONNX_JSON, &json);
}

#[test]
fn a_wrong_size_is_refused_and_nothing_is_installed() {
    for (at, fault, codes) in [
        (At::Body, Fault::Longer, &["1"][..]),
        (At::Head, Fault::Size(SIZE - 1), &["1"]),
        // A file that is too short may be one that is not all there yet.
        (At::Body, Fault::Shorter, &["1", "5"]),
        (At::Head, Fault::Size(SIZE + 1), &["1", "5"]),
    ] {
        let (hub, _, etag) = hub_of_noise();
        let home = Home::of(&hub);
        hub.on(at, FILE, .., fault.clone());
        let shown = home.run(&PULL);
        assert!(codes.contains(&shown.code().as_str()), "{fault:?}: {} {}", shown.code(), shown.stderr);
        assert!(!home.blob(REPO, &etag).exists() && home.manifests().is_empty(), "{fault:?}");
        assert!(hub.bodies(FILE).len() < 20, "{fault:?}: it is given up");
    }
}

#[test]
fn whatever_a_pull_has_left_behind_is_made_whole() {
    let (hub, bytes, _) = hub_of_noise();
    let half = SIZE / 2;
    let odd = vec![b'x'; half];
    for (what, part, bodies) in [
        ("all of it", &bytes[..], &[][..]),
        ("the first half", &bytes[..half], &[half]),
        ("nothing", b"", &[0]),
        ("too much", &[&bytes[..], b"x"].concat(), &[0]),
        ("what has come to nothing under a power cut", &odd, &[half, 0]),
    ] {
        let home = Home::of(&hub);
        hub.forget();
        home.leave_partial(REPO, FILE, &bytes, part);
        home.does(&PULL);
        assert_eq!(hub.bodies(FILE), bodies, "{what}");
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
}

#[test]
fn a_server_that_knows_no_ranges_is_taken_as_it_is() {
    let (hub, bytes, _) = hub_of_noise();
    let half = SIZE / 2;
    for (fault, bodies) in [
        (Fault::NoRanges, &[half][..]),
        (Fault::WrongRange, &[half, 0]),
        (Fault::Status(416, vec![("Content-Range", "bytes */7")]), &[half, 0]),
    ] {
        let home = Home::of(&hub);
        hub.forget();
        hub.calm();
        hub.on(At::Body, FILE, ..1, fault.clone());
        home.leave_partial(REPO, FILE, &bytes, &bytes[..half]);
        home.does(&PULL);
        assert_eq!(hub.bodies(FILE), bodies, "{fault:?}");
        home.assert_has(&hub, REPO, FILE, &bytes);
    }
}

#[test]
fn a_signed_address_that_ran_out_is_asked_for_anew() {
    let (hub, bytes, _) = hub_of_noise();
    // At once.
    hub.on(At::Body, FILE, ..1, Fault::Status(403, vec![]));
    let home = Home::of(&hub);
    home.does(&PULL);
    assert_eq!((hub.count(At::Get, FILE), hub.count(At::Body, FILE)), (2, 2));
    home.assert_has(&hub, REPO, FILE, &bytes);
    // In the middle.
    hub.calm();
    hub.forget();
    hub.on(At::Body, FILE, ..1, Fault::CutAt(SIZE / 2));
    let pause = hub.pause_at(FILE, SIZE / 2);
    let home = Home::of(&hub);
    let pull = home.start(&PULL);
    pause.wait();
    hub.expire();
    pause.go_on();
    assert_eq!(pull.end().code(), "0");
    assert_eq!(hub.bodies(FILE), [0, SIZE / 2], "the old address is not tried");
    home.assert_has(&hub, REPO, FILE, &bytes);
}

#[test]
fn a_full_disk_is_told_before() {
    let (hub, _, _) = hub_of_noise();
    let home = Home::of(&hub);
    fs::create_dir_all(home.sandbox.path().join("hf")).expect("it can be made");
    let Some(shown) = home.mounted("mount -t tmpfs -o size=512k none hf", &PULL) else { return };
    assert_eq!(shown.code(), "6", "{}", shown.stderr);
    assert!(shown.stderr.contains("HF_HOME"), "{}", shown.stderr);
    assert_eq!(hub.count(At::Body, FILE), 0, "and not a byte is fetched");
}

#[test]
fn a_cache_that_cannot_be_written() {
    let (hub, _, _) = hub_of_noise();
    let home = Home::of(&hub);
    home.sandbox.file("a-file", b"");
    let place = home.sandbox.path().join("a-file/hf").display().to_string();
    let home = home.with_env("HF_HOME", &place);
    let mut rows = home.row("models pull base.en-q5_1");
    fs::create_dir_all(home.sandbox.path().join("hf")).expect("it can be made");
    let place = home.sandbox.path().join("hf").display().to_string();
    let home = home.with_env("HF_HOME", &place);
    if let Some(shown) = home.mounted("mount -t tmpfs -o ro none hf", &PULL) {
        rows.push_str(&home.sandbox.shown_as_row("models pull base.en-q5_1", &shown));
        insta::assert_snapshot!(rows);
    }
    assert_eq!(hub.count(At::Body, FILE), 0);
}

#[test]
fn a_cache_that_can_only_be_read_is_used() {
    let (hub, model) = (Hub::start(), selftest());
    hub.put(REPO, FILE, &model);
    let home = Home::of(&hub);
    home.does(&PULL);
    let read_only = "mount --bind hf hf && mount -o remount,ro,bind hf && mount --bind data data && \
                     mount -o remount,ro,bind data";
    let talk = sample("timer.wav").display().to_string();
    let Some(shown) = home.mounted(read_only, &["stt", &talk, "--model", NAME]) else { return };
    assert_eq!(shown.good_text(), "set a timer for ten minutes\n");
    let path = home.snapshot(REPO, &hub.commit(REPO), FILE);
    let shown = home.mounted(read_only, &["models", "path", NAME]).expect("it went well before");
    assert_eq!(shown.good_text(), format!("{}\n", path.display()));
}

#[test]
fn both_files_of_a_voice_are_of_one_commit() {
    let (hub, [onnx, json]) = (Hub::start(), test_voice());
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    let commit = hub.commit(VOICES);
    let later = String::from_utf8(json.clone()).expect("text").replace("22050", "16000").into_bytes();
    hub.on(At::Head, ONNX, ..1, Fault::Push(ONNX_JSON.to_owned(), later));
    let home = Home::of(&hub);
    home.does(&["models", "pull", VOICE]);
    assert_ne!(hub.commit(VOICES), commit, "the branch has moved on in between");
    let beside: Vec<String> =
        hub.log().into_iter().filter(|asked| asked.file == ONNX_JSON).map(|asked| asked.revision).collect();
    assert!(!beside.is_empty() && beside.iter().all(|revision| *revision == commit), "{beside:?}");
    assert!(fs::read(home.snapshot(VOICES, &commit, ONNX)).expect("it is there") == onnx);
    assert!(fs::read(home.snapshot(VOICES, &commit, ONNX_JSON)).expect("it is there") == json);
    home.run(&["tts", "hello", "--voice", VOICE, "-o", "out.wav"]).good();
    assert!(hound::WavReader::open(home.sandbox.path().join("out.wav")).is_ok());
}

#[test]
fn all_is_known_before_the_first_byte() {
    let (hub, bytes, _) = hub_of_noise();
    let home = Home::of(&hub);
    for others in [&["nobody"][..], &["tiny"], &["hf:o/r/none.bin"], &[VOICE]] {
        let shown = home.run(&[&PULL[..], others].concat());
        assert!(["3", "7"].contains(&shown.code().as_str()), "{others:?}: {}", shown.stderr);
        assert_eq!(hub.count(At::Body, FILE), 0, "{others:?}");
    }
    hub.put(REPO, "ggml-tiny.bin", &bytes[..500]);
    home.does(&["models", "pull", "tiny", NAME, "tiny"]);
    assert_eq!((hub.bodies(FILE), hub.bodies("ggml-tiny.bin")), (vec![0], vec![0]), "each once");
    assert_eq!(home.manifests().len(), 2);
}

#[test]
fn a_branch_may_move_on_and_a_commit_may_not() {
    let (hub, bytes, _) = hub_of_noise();
    let home = Home::of(&hub);
    home.does(&PULL);
    // Somebody has put another file into the same commit.
    let other = noise(SIZE - 1);
    hub.put(REPO, FILE, &other);
    let shown = home.run(&PULL);
    assert_eq!(shown.code(), "1", "{}", shown.stderr);
    home.assert_has(&hub, REPO, FILE, &bytes);
    home.does(&["models", "pull", NAME, "--force"]);
    home.assert_has(&hub, REPO, FILE, &other);
    // A new commit is new.
    hub.push(REPO, FILE, &bytes[..1_000]);
    home.does(&PULL);
    home.assert_has(&hub, REPO, FILE, &bytes[..1_000]);
    assert_eq!(home.manifests()[0]["files"][0]["commit"], hub.commit(REPO));
    let path = home.snapshot(REPO, &hub.commit(REPO), FILE);
    assert_eq!(home.run(&["models", "path", NAME]).good_text(), format!("{}\n", path.display()));
}

#[test]
fn programs_are_told_what_happens() {
    let (hub, [onnx, json]) = (Hub::start(), test_voice());
    hub.put(VOICES, ONNX, &onnx);
    hub.put(VOICES, ONNX_JSON, &json);
    let home = Home::of(&hub);
    let lines = home.run(&["models", "pull", VOICE, "--json"]).good_text();
    let events: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().expect("a kind")).collect();
    assert!(kinds.iter().all(|kind| ["file", "progress", "end"].contains(kind)), "{lines}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "file").count(), 2, "{lines}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "end").count(), 2, "{lines}");
    assert_eq!(kinds.last(), Some(&"end"), "{lines}");
}

#[test]
fn people_see_how_far_it_is() {
    let (hub, bytes, etag) = hub_of_noise();
    let home = Home::of(&hub);
    let pause = hub.pause_at(FILE, SIZE / 2);
    let terminal = Terminal::start(&home.sandbox, (100, 24), "models pull base.en-q5_1");
    pause.wait();
    home.wait_for_partial(REPO, &etag, SIZE / 2);
    terminal.wait_for("the half of it is shown", |screen| screen.contains("488 KiB of 977 KiB"));
    pause.go_on();
    let (shown, screen) = terminal.end();
    assert_eq!(shown.code(), "0", "{screen}");
    home.assert_has(&hub, REPO, FILE, &bytes);
}
