//! Every container, rate and number of channels gives the same transcript; what is broken is told so.

use crate::harness::{process::Sandbox, sample};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Containers that ffmpeg writes: the ending of the file, its codec, and the rates that the codec knows.
const CONTAINERS: &[(&str, &[&str], &[u32])] = &[
    ("wav", &["pcm_s24le"], &[8_000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    ("flac", &["flac"], &[8_000, 16_000, 22_050, 44_100, 48_000, 96_000]),
    ("mp3", &["libmp3lame", "-b:a", "64k"], &[8_000, 16_000, 22_050, 44_100, 48_000]),
    ("ogg", &["libvorbis", "-q:a", "6"], &[8_000, 16_000, 22_050, 44_100, 48_000]),
    ("opus", &["libopus", "-b:a", "48k"], &[8_000, 12_000, 16_000, 24_000, 48_000]),
    ("webm", &["libopus", "-b:a", "48k"], &[16_000, 48_000]),
    ("mkv", &["libvorbis", "-q:a", "6"], &[22_050, 48_000]),
    ("m4a", &["aac", "-b:a", "64k"], &[8_000, 16_000, 22_050, 44_100, 48_000]),
    ("aac", &["aac", "-b:a", "64k"], &[16_000, 44_100]),
    ("caf", &["alac"], &[16_000, 48_000]),
    ("aiff", &["pcm_s16be"], &[8_000, 44_100]),
];

/// Whether ffmpeg is here. Where all must run, it has to be.
fn has_ffmpeg() -> bool {
    let found = Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_ok_and(|it| it.success());
    assert!(found || std::env::var_os("SPEECHCTL_TEST_ALL").is_none(), "ffmpeg is not here, and all must run");
    if !found {
        println!("skipped: ffmpeg is not here");
    }
    found
}

fn convert(from: &Path, args: &[&str], to: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i"])
        .arg(from)
        .args(args)
        .arg(to)
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg runs");
    assert!(output.status.success(), "{}: {}", to.display(), String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_container_rate_and_channel_count_gives_the_same_transcript() {
    if !has_ffmpeg() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut names = Vec::new();
    for (container, codec, rates) in CONTAINERS {
        for rate in *rates {
            for channels in ["1", "2"] {
                let name = format!("{}-{rate}-{channels}.{container}", codec[0]);
                let rate = rate.to_string();
                let args = [&["-ar", &rate, "-ac", channels, "-c:a"], *codec].concat();
                convert(&sample("kitchen-light.wav"), &args, &sandbox.path().join(&name));
                names.push(name);
            }
        }
    }
    let flags = ["stt", "--model", "selftest", "--beam", "1", "--format", "jsonl"];
    let mut events: Vec<serde_json::Value> = Vec::new();
    // Not all in one go: that would take about as long as a program of ours may.
    for some in names.chunks(names.len().div_ceil(4)) {
        let args: Vec<&str> = flags.into_iter().chain(some.iter().map(String::as_str)).collect();
        let shown = sandbox.run(&args).good_text();
        events.extend(shown.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON")));
    }
    for name in &names {
        let of_file = |event: &&serde_json::Value| event["file"] == name.as_str();
        let said: Vec<&str> = events.iter().filter(of_file).filter_map(|event| event["text"].as_str()).collect();
        assert_eq!(said, ["turn on the kitchen light"], "{name}");
        let end = events.iter().filter(of_file).find(|event| event["event"] == "end").expect("an end");
        // Some formats fill their last frame, or begin within one; none loses a fifth of a second.
        let length = end["duration"].as_f64().expect("a number");
        assert!((1.1..1.4).contains(&length), "{name}: {length} s");
        assert!(end.get("warnings").is_none(), "{name}: {end}");
    }
    println!("{} files", names.len());
}

#[test]
fn broken_files_are_told_so() {
    let sandbox = Sandbox::new();
    let (m4a, mp3) = (fs::read(sample("kitchen-light.m4a")), fs::read(sample("kitchen-light.mp3")));
    let (m4a, mp3) = (m4a.expect("the sample"), mp3.expect("the sample"));
    fs::copy(sample("silent-video.mp4"), sandbox.path().join("video.mp4")).expect("the sample");
    sandbox.file("named.wav", &mp3);
    sandbox.file("cut.mp3", &mp3[..mp3.len() / 2]);
    sandbox.file("whole.m4a", &m4a);
    sandbox.file("cut.m4a", &m4a[..m4a.len() / 2]);
    let lines =
        ["stt named.wav", "stt video.mp4", "stt whole.m4a", "stt cut.m4a", "stt cut.mp3", "stt named.wav --raw fast"];
    let mut shown: String = lines.iter().map(|line| sandbox.row(&format!("{line} --model selftest"))).collect();
    for (line, stdin) in [("stt - --model selftest", &mp3), ("stt - --model selftest", &m4a)] {
        let args: Vec<&str> = line.split(' ').collect();
        shown.push_str(&sandbox.shown_as_row(line, &sandbox.run_with(&args, stdin)));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn an_mp4_with_its_index_in_front_is_heard_as_far_as_it_goes() {
    if !has_ffmpeg() {
        return;
    }
    let sandbox = Sandbox::new();
    let path = sandbox.path().join("front.m4a");
    convert(&sample("three-commands.wav"), &["-c:a", "aac", "-movflags", "+faststart"], &path);
    let bytes = fs::read(&path).expect("it was written");
    sandbox.file("cut.m4a", &bytes[..bytes.len() / 2]);
    let shown = sandbox.run(&["stt", "cut.m4a", "--model", "selftest"]);
    let warning = &shown.stderr;
    assert!(shown.stdout_lossy().starts_with("open the door\n"), "{}", shown.stdout_lossy());
    assert!(warning.starts_with("speechctl: warning: `cut.m4a` ends early: its header announces 6."), "{warning}");
    // By pipe it is heard too, for the index comes first.
    let piped = sandbox.run_with(&["stt", "-", "--model", "selftest"], &bytes).good_text();
    assert_eq!(piped, "open the door\nplay some music in the kitchen\ncall my mother at five\n");
}

/// Sound and film that lie a second apart, which nobody can read forward only.
#[test]
fn the_sound_of_a_film_is_heard() {
    if !has_ffmpeg() {
        return;
    }
    let sandbox = Sandbox::new();
    for (name, flags) in [("front.mp4", "+faststart"), ("back.mp4", "+use_metadata_tags")] {
        let film = ["-f", "lavfi", "-i", "testsrc=size=640x360:rate=25", "-c:v", "mpeg4", "-b:v", "6M", "-c:a", "aac"];
        let args = [&film[..], &["-chunk_duration", "1000000", "-movflags", flags, "-shortest"]].concat();
        convert(&sample("three-commands.wav"), &args, &sandbox.path().join(name));
        let text = sandbox.run(&["stt", name, "--model", "selftest"]).good_text();
        assert_eq!(text, "open the door\nplay some music in the kitchen\ncall my mother at five\n", "{name}");
    }
}

#[test]
fn other_containers_that_lack_their_end_are_heard_too() {
    if !has_ffmpeg() {
        return;
    }
    let sandbox = Sandbox::new();
    for (name, codec) in
        [("a.webm", "libopus"), ("a.mkv", "libvorbis"), ("a.aiff", "pcm_s16be"), ("a.ogg", "libvorbis")]
    {
        let path = sandbox.path().join(name);
        convert(&sample("three-commands.wav"), &["-c:a", codec], &path);
        let bytes = fs::read(&path).expect("it was written");
        sandbox.file(name, &bytes[..bytes.len() * 7 / 10]);
        let shown = sandbox.run(&["stt", name, "--model", "selftest"]);
        assert_eq!(shown.code(), "0", "{name}: {}", shown.stderr);
        assert!(shown.stdout_lossy().starts_with("open the door\n"), "{name}: {}", shown.stdout_lossy());
    }
}

#[test]
fn speech_is_written_in_every_container_and_read_back() {
    let sandbox = Sandbox::new();
    for (name, flags) in [
        ("a.wav", &[][..]),
        ("a.flac", &[]),
        ("a.opus", &[]),
        ("a.ogg", &["--sample-rate", "16000"]),
        ("b.flac", &["--sample-rate", "44100"]),
    ] {
        let args = [&["tts", "set a timer for ten minutes", "-o", name], flags].concat();
        sandbox.run(&args).good();
        let heard = sandbox.run(&["stt", name, "--model", "selftest"]).good_text();
        assert_eq!(heard, "set a timer for ten minutes\n", "{name}");
        // The same through a pipe, which knows no lengths in front.
        let format = if name.ends_with("wav") {
            "wav"
        } else if name.ends_with("flac") {
            "flac"
        } else {
            "ogg-opus"
        };
        let audio =
            sandbox.run(&[&["tts", "set a timer for ten minutes", "-o", "-", "--format", format], flags].concat());
        let heard = sandbox.run_with(&["stt", "-", "--model", "selftest"], &audio.good()).good_text();
        assert_eq!(heard, "set a timer for ten minutes\n", "{name} by pipe");
    }
}

#[test]
fn a_file_behind_stdout_gets_a_whole_header() {
    let sandbox = Sandbox::new();
    for format in ["wav", "flac"] {
        let (to_file, redirected) = (format!("a.{format}"), format!("b.{format}"));
        sandbox.run(&["tts", "hello", "-o", &to_file, "--format", format]).good();
        let file = fs::File::create(sandbox.path().join(&redirected)).expect("a file");
        let mut command = sandbox.command(&["tts", "hello", "-o", "-", "--format", format]);
        assert!(command.stdout(file).status().expect("it runs").success());
        let read = |name: &str| fs::read(sandbox.path().join(name)).expect("it was written");
        assert_eq!(read(&to_file), read(&redirected), "{format}");
        // Where others have written before, theirs stays, and where others append, nobody goes back.
        let file = fs::File::options().append(true).open(sandbox.path().join(&redirected)).expect("a file");
        let mut command = sandbox.command(&["tts", "hello", "-o", "/dev/stdout", "--format", format]);
        assert!(command.stdout(file).status().expect("it runs").success());
        let (once, twice) = (read(&to_file), read(&redirected));
        assert!(twice.starts_with(&once) && twice.len() == 2 * once.len(), "{format}");
    }
}
