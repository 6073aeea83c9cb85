//! Bad input gets one clear line, its exit code, and nothing is lost.

use crate::harness::{
    eventually, eventually_some,
    process::{Running, Sandbox, is_alive, send_signal},
    sample,
    server::Server,
    wav,
};
use hound::SampleFormat::Int;
use std::{
    fs,
    io::Read,
    net::TcpListener,
    os::unix::fs::{FileTypeExt, PermissionsExt, symlink},
    process::{Command, Stdio},
};

/// Runs lines of the command, each with this standard input, and shows all that a user sees.
fn rows(sandbox: &Sandbox, lines: &[(&str, &[u8])]) -> String {
    lines
        .iter()
        .map(|(line, stdin)| {
            let args: Vec<&str> = line.split(' ').collect();
            sandbox.shown_as_row(line, &sandbox.run_with(&args, stdin))
        })
        .collect()
}

#[test]
fn texts() {
    let sandbox = Sandbox::new();
    sandbox.file("empty.txt", b"");
    sandbox.file("latin1.txt", b"caf\xe9");
    sandbox.file("book.txt", &b"word ".repeat(200_000));
    let megabyte = b"word ".repeat(200_000);
    let mut shown = sandbox.row("tts \"\"");
    shown.push_str(&sandbox.row("tts \"  \""));
    shown.push_str(&rows(
        &sandbox,
        &[
            ("tts -", b""),
            ("tts", b""),
            ("tts - -o a.wav", b" \n\t\n"),
            ("tts - --ssml -o b.wav", &megabyte),
            ("tts - -o c.wav", b"a\0b"),
            ("tts - -o d.wav", b"caf\xe9 au lait"),
            ("tts --file latin1.txt", b""),
            ("tts --file empty.txt", b""),
            ("tts --file book.txt --ssml", b""),
            ("tts --file no-such.txt", b""),
            ("tts --file .", b""),
            ("tts --file book.txt -o book.txt", b""),
            ("tts --ssml <speak>hello", b""),
            ("tts --ssml hello", b""),
            ("tts --ssml <p>hello</p>", b""),
            ("tts --ssml <speak><audio/>hello</speak>", b""),
        ],
    ));
    insta::assert_snapshot!(shown);
    assert_eq!(sandbox.files(), ["book.txt", "empty.txt", "latin1.txt"], "and no file is left behind");
}

#[test]
fn texts_that_are_odd_but_right() {
    let sandbox = Sandbox::new();
    for text in ["🙂🙂", "...", "?!", "a\u{301}\u{200d}x", "\u{feff}hello", "مرحبا", "x".repeat(20_000).as_str()]
    {
        assert_eq!(sandbox.run_with(&["tts", "-", "-o", "odd.wav"], text.as_bytes()).good_text(), "", "{text:.20}");
        assert!(hound::WavReader::open(sandbox.path().join("odd.wav")).is_ok(), "{text:.20}");
    }
}

#[test]
fn names() {
    let sandbox = Sandbox::new();
    let long = format!("tts hi --voice {}", "x".repeat(5_000));
    let talk = sample("timer.wav").display().to_string();
    fs::copy(talk, sandbox.path().join("talk.wav")).expect("the sample");
    let mut shown: String = [
        "tts hi --region en-AU",
        "tts hi --region atlantis",
        "tts hi --voice nobody",
        "tts hi --voice en-xx",
        "tts hi --voice en-us+nobody",
        "stt talk.wav",
        "stt talk.wav --model base.en",
        "stt talk.wav --model selftest --language xx",
        "stt talk.wav --model selftest --language de",
        "stt talk.wav --model selftest --language e!n",
        "stt talk.wav --model selftest --translate",
        "voices --language tlh",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    shown.push_str(
        &sandbox.shown_as_row("tts hi --voice [5000 letters]", &sandbox.run(&long.split(' ').collect::<Vec<_>>())),
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn recordings() {
    let sandbox = Sandbox::new();
    let good = fs::read(sample("timer.wav")).expect("the sample");
    let half = good.len() / 2;
    sandbox.file("empty.wav", b"");
    sandbox.file("text.wav", b"this is no audio, it only says so");
    sandbox.file("zeros.wav", &[0; 10_000]);
    sandbox.file("header.wav", &good[..30]);
    sandbox.file("nothing-left.wav", &good[..44]);
    sandbox.file("half.wav", &good[..half]);
    sandbox.file("odd.wav", &[&good[..], b"x"].concat());
    let mut rate_zero = good.clone();
    rate_zero[24..28].fill(0);
    sandbox.file("rate-zero.wav", &rate_zero);
    let mut no_channels = good.clone();
    no_channels[22..24].fill(0);
    sandbox.file("no-channels.wav", &no_channels);
    let shown = rows(
        &sandbox,
        &[
            ("stt no-such.wav --model selftest", b""),
            ("stt . --model selftest", b""),
            ("stt empty.wav --model selftest", b""),
            ("stt text.wav --model selftest", b""),
            ("stt zeros.wav --model selftest", b""),
            ("stt header.wav --model selftest", b""),
            ("stt nothing-left.wav --model selftest", b""),
            ("stt half.wav --model selftest", b""),
            ("stt odd.wav --model selftest", b""),
            ("stt rate-zero.wav --model selftest", b""),
            ("stt no-channels.wav --model selftest", b""),
            ("stt - --model selftest", b""),
            ("stt - --model selftest", b"no audio"),
        ],
    );
    insta::assert_snapshot!(shown);
}

#[test]
fn a_hundred_megabytes_of_noise_take_little_memory() {
    let sandbox = Sandbox::new();
    // xorshift noise: as a file of bytes it is nothing, as samples it is loud.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(100 * 1024 * 1024 / 8)
    .flatten()
    .collect();
    sandbox.file("noise.bin", &noise);
    let shown = sandbox.run(&["stt", "noise.bin", "--model", "selftest"]);
    assert_eq!(shown.code(), "3", "{}", shown.stderr);
    let mut file = wav::encode(&[], 16_000, 1, 16, Int);
    let length = u32::try_from(noise.len()).expect("it fits");
    file[4..8].copy_from_slice(&(36 + length).to_le_bytes());
    file[40..44].copy_from_slice(&length.to_le_bytes());
    sandbox.file("noise.wav", &[file, noise].concat());
    let mut command = sandbox.command(&["stt", "noise.wav", "--model", "mock"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command);
    let mut peak = 0;
    while !running.has_ended() {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: 0 kB");
        let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0);
        peak = peak.max(kilobytes / 1024);
    }
    assert_eq!(running.end().good_text().lines().count(), 100 * 1024 * 1024 / 32_000 + 1);
    assert!(peak < 64, "{peak} MiB");
}

#[test]
fn models() {
    let sandbox = Sandbox::new();
    fs::copy(sample("timer.wav"), sandbox.path().join("talk.wav")).expect("the sample");
    let model =
        zstd::decode_all(&include_bytes!("../../src/models/selftest/selftest.en.bin.zst")[..]).expect("it is whole");
    sandbox.file("whole.bin", &model);
    sandbox.file("half.bin", &model[..model.len() / 2]);
    sandbox.file("header.bin", &model[..40]);
    sandbox.file("magic.bin", &model[..4]);
    sandbox.file("empty.bin", b"");
    sandbox.file("text.bin", b"this is no model, it only says so");
    let mut mad = model[..100_000].to_vec();
    mad[4..48].fill(0xFF);
    sandbox.file("mad.bin", &mad);
    let shown: String = [
        "stt talk.wav --model whole.bin",
        "stt talk.wav --model half.bin",
        "stt talk.wav --model header.bin",
        "stt talk.wav --model magic.bin",
        "stt talk.wav --model mad.bin",
        "stt talk.wav --model empty.bin",
        "stt talk.wav --model text.bin",
        "stt talk.wav --model ./no-such.bin",
        "stt talk.wav --model no-such.bin",
        "stt talk.wav --model .",
        "stt talk.wav --model ./",
        "stt talk.wav --model /dev/zero",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(shown);
}

#[test]
fn output_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.file("a-file", b"x");
    fs::create_dir(sandbox.path().join("folder")).expect("a folder");
    sandbox.file("locked.wav", b"precious");
    fs::set_permissions(sandbox.path().join("locked.wav"), fs::Permissions::from_mode(0o444)).expect("it is ours");
    symlink("circle.wav", sandbox.path().join("circle.wav")).expect("a link");
    let shown: String = [
        "tts hi -o circle.wav",
        "tts hi -o no/such/folder/x.wav",
        "tts hi -o folder",
        "tts hi -o a-file/x.wav",
        "tts hi -o locked.wav",
        "tts hi -o /dev/full",
        "tts hi -o /proc/x.wav",
        "tts hi -o x.mp3",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(shown);
    assert_eq!(fs::read(sandbox.path().join("locked.wav")).expect("it is there"), b"precious");
    assert_eq!(sandbox.files(), ["a-file", "circle.wav", "folder", "locked.wav"], "and no half of a file is left");
}

#[test]
fn output_is_replaced_whole_through_links_and_never_by_half() {
    let sandbox = Sandbox::new();
    sandbox.file("old.wav", b"old");
    symlink("old.wav", sandbox.path().join("link.wav")).expect("a link");
    symlink("new.wav", sandbox.path().join("dangling.wav")).expect("a link");
    sandbox.run(&["tts", "hello", "-o", "link.wav"]).good();
    sandbox.run(&["tts", "hello", "-o", "dangling.wav"]).good();
    for link in ["link.wav", "dangling.wav"] {
        assert!(fs::symlink_metadata(sandbox.path().join(link)).expect("it is there").is_symlink(), "a link stays one");
    }
    for file in ["old.wav", "new.wav"] {
        assert!(wav::read(&sandbox.path().join(file)).1.len() > 1_000);
    }
    let before = fs::read(sandbox.path().join("old.wav")).expect("it is there");
    let shown = sandbox.run(&["tts", "hello", "-o", "old.wav", "--voice", "mock:crash@0.05"]);
    assert_eq!(shown.code(), "1");
    assert_eq!(fs::read(sandbox.path().join("old.wav")).expect("it is there"), before);
    sandbox.run(&["tts", "hello", "-o", "/dev/null"]).good();
    assert!(fs::metadata("/dev/null").expect("it is there").file_type().is_char_device(), "a device stays one");
}

#[test]
fn a_pipe_that_closes_early_is_success() {
    let sandbox = Sandbox::new();
    let text = "one two three four five. ".repeat(2_000);
    let program = crate::harness::program().display();
    let script = format!("\"{program}\" tts - -o - | head -c 10; echo ${{PIPESTATUS[0]}}");
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(sandbox.path()).env("XDG_CACHE_HOME", crate::harness::shared_cache());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command);
    running.feed(text.as_bytes());
    let shown = running.end();
    assert!(shown.stdout_lossy().ends_with("0\n"), "{}", shown.stdout_lossy());
    assert_eq!(shown.stderr, "");
}

#[test]
fn a_full_or_closed_stderr_stops_nothing() {
    let sandbox = Sandbox::new();
    let program = crate::harness::program().display();
    for redirection in ["2>/dev/full", "2>&-", "2> >(true)"] {
        let script = format!("\"{program}\" tts hello -v -v -o out.wav {redirection}; echo $?");
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).current_dir(sandbox.path()).env("XDG_CACHE_HOME", crate::harness::shared_cache());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        assert_eq!(Running::start(command).end().stdout_lossy(), "0\n", "{redirection}");
    }
}

/// A call that is in the middle of its work.
fn busy(sandbox: &Sandbox, args: &[&str]) -> (Running, u32) {
    let mut command = sandbox.command(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    let pid = running.pid();
    let worker = eventually_some("its worker", || crate::harness::proc::children(pid).first().copied());
    (running, worker)
}

#[test]
fn signals_in_the_middle_end_it_and_leave_nothing() {
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let sandbox = Sandbox::new();
        sandbox.file("talk.wav", &wav::mono16(&wav::numbered(60)));
        sandbox.file("out.wav", b"old");
        let long = "one two three four five. ".repeat(100);
        sandbox.file("long.txt", long.as_bytes());
        for args in [
            &["stt", "talk.wav", "--model", "mock:slow"][..],
            &["tts", &long, "--voice", "mock:slow", "-o", "out.wav"][..],
            &["tts", "--file", "long.txt", "--voice", "mock:slow", "-o", "out.wav", "--marks", "marks.jsonl"][..],
        ] {
            let (running, worker) = busy(&sandbox, args);
            running.signal(signal);
            let shown = running.end();
            assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("130", "speechctl: interrupted\n"), "{signal}");
            eventually("its worker ends", || !is_alive(worker));
        }
        assert_eq!(sandbox.files(), ["long.txt", "out.wav", "talk.wav"], "{signal} leaves nothing behind");
        assert_eq!(fs::read(sandbox.path().join("out.wav")).expect("it is there"), b"old");
    }
}

#[test]
fn a_writer_that_waits_for_a_reader_can_be_interrupted() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there").success());
    let shown = sandbox.run(&["tts", "hello", "-o", "fifo", "--timeout", "0.2"]);
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    let shown = sandbox.run(&["tts", "--file", "fifo", "--timeout", "0.2"]);
    assert_eq!(shown.code(), "5", "{}", shown.stderr);
    let mut command = sandbox.command(&["tts", "hello", "-o", "fifo"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    let mut audio = Vec::new();
    fs::File::open(&fifo).expect("a reader").read_to_end(&mut audio).expect("it reads");
    assert!(audio.len() > 10_000 && audio.starts_with(b"RIFF"));
    running.end().good();
}

#[test]
fn no_server_and_servers_that_are_none() {
    let sandbox = Sandbox::new();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let mut shown = String::new();
    for line in [
        "tts hi --server 127.0.0.1:1".to_owned(),
        "tts hi --server unix:no-such.sock".to_owned(),
        "tts hi --server unix:".to_owned(),
        format!("tts hi --server 127.0.0.1:{port} --timeout 0.5"),
        format!("tts hi --server 127.0.0.1:{port}"),
    ] {
        shown.push_str(&sandbox.row(&line).replace(&port.to_string(), "[PORT]"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_server_that_goes_away_in_the_middle() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    sandbox.file("talk.wav", &wav::mono16(&wav::numbered(60)));
    let mut command = sandbox.command(&["stt", "talk.wav", "--model", "mock:slow", "--server", &server.address]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = Running::start(command);
    let worker = server.worker(&[]);
    eventually("it works", || server.log(&sandbox).contains("Worker ready."));
    server.running.signal("KILL");
    let shown = running.end();
    assert_eq!(shown.code(), "5");
    assert!(shown.stderr.starts_with("speechctl: cannot transcribe: the server went away"), "{}", shown.stderr);
    eventually("its worker ends", || !is_alive(worker));
}

#[test]
fn a_time_limit_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.file("talk.wav", &wav::mono16(&wav::numbered(60)));
    let shown = sandbox.row("stt talk.wav --model mock:slow --timeout 0.3");
    insta::assert_snapshot!(shown);
    assert_eq!(sandbox.files(), ["talk.wav"]);
}

#[test]
fn a_cache_that_cannot_be_written() {
    let sandbox = Sandbox::new().with_env("XDG_CACHE_HOME", "/proc/no-cache-here");
    insta::assert_snapshot!(sandbox.row("tts hi"));
}

#[test]
fn many_first_starts_at_once() {
    let sandbox = Sandbox::new();
    let cache = sandbox.path().join("cache");
    let sandbox = sandbox.with_env("XDG_CACHE_HOME", &cache.display().to_string());
    let starts: Vec<Running> = (0..8)
        .map(|n| {
            let output = format!("{n}.wav");
            let mut command = sandbox.command(&["tts", "hello", "-o", &output]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            Running::start(command)
        })
        .collect();
    for start in starts {
        start.end().good();
    }
    let left: Vec<String> = fs::read_dir(cache.join("speechctl"))
        .expect("the cache")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left.len(), 1, "one copy, and no rest: {left:?}");
}

#[test]
fn a_worker_killed_under_a_private_server_is_not_noticed() {
    let sandbox = Sandbox::new();
    sandbox.file("talk.wav", &wav::mono16(&wav::numbered(1)));
    let (running, worker) = busy(&sandbox, &["stt", "talk.wav", "--model", "mock:slow"]);
    send_signal(worker, "KILL");
    assert_eq!(running.end().good_text(), wav::mock_transcript(&wav::numbered(1)));
}
