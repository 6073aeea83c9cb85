//! Transcripts in every shape, of several recordings, of parts and channels of them, into files and folders.

use crate::harness::{
    eventually,
    process::{Running, Sandbox},
    sample,
    server::Server,
    wav,
};
use hound::SampleFormat::Int;
use std::{fs, io::Write, path::Path, process::Stdio};

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["timer", "weather", "three-commands"] {
        fs::copy(sample(&format!("{name}.wav")), sandbox.path().join(format!("{name}.wav"))).expect("the sample");
    }
    // Two people, each in a channel of their own.
    let read = |name: &str| wav::read(&sample(name)).1;
    let (left, right) = (read("timer.wav"), read("three-commands.wav"));
    let sample = |samples: &[i16], at: usize| samples.get(at).copied().unwrap_or(0);
    let frames: Vec<i16> = (0..right.len()).flat_map(|at| [sample(&left, at), sample(&right, at)]).collect();
    let spec = hound::WavSpec { channels: 2, sample_rate: 16_000, bits_per_sample: 16, sample_format: Int };
    let mut writer = hound::WavWriter::create(sandbox.path().join("call.wav"), spec).expect("a file");
    frames.into_iter().for_each(|sample| writer.write_sample(sample).expect("it is written"));
    writer.finalize().expect("it is written");
    sandbox.file("bad.wav", b"no audio");
    sandbox
}

#[test]
fn every_shape() {
    let sandbox = sandbox();
    let mut shown = String::new();
    for flags in [
        "timer.wav --format text",
        "timer.wav --format srt",
        "timer.wav --format vtt",
        "timer.wav --format tsv",
        "timer.wav --format lrc",
        "timer.wav --format srt --max-words 3",
        "timer.wav --format vtt --max-line-length 12",
        "three-commands.wav --offset 4 --format srt",
        "three-commands.wav --offset 0:02 --duration 2.2",
        "three-commands.wav --offset 1:00",
        "call.wav --channel 1",
        "call.wav --channel 3",
        "call.wav --channel all",
        "call.wav --channel all --format srt",
        "call.wav --channel all --format vtt",
        "timer.wav --format srt --words",
        "timer.wav --format json --max-words 3",
        "timer.wav --format srt --json",
        "timer.wav --offset -1",
        "timer.wav --duration 0",
        "timer.wav --channel 0",
        "timer.wav --raw 16000,s17le",
        "bad.wav --raw 8000,u8",
    ] {
        shown.push_str(&sandbox.row(&format!("stt {flags} --model selftest")));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn several_recordings() {
    let sandbox = sandbox();
    let mut shown = String::new();
    for flags in [
        "timer.wav weather.wav",
        "timer.wav bad.wav weather.wav",
        "timer.wav bad.wav weather.wav --keep-going",
        "bad.wav timer.wav",
        "bad.wav no-such.wav --keep-going",
        "bad.wav timer.wav --keep-going --model no-such",
        "timer.wav weather.wav --format srt",
        "timer.wav weather.wav -o both.txt",
        "timer.wav weather.wav --output-dir out --format vtt",
        "bad.wav timer.wav --output-dir bad-out --keep-going",
        "timer.wav ./timer.wav --output-dir out",
        "timer.wav weather.wav --output-dir timer.wav",
        "timer.wav -o timer.wav",
        "timer.wav -o weather.mp3",
        "timer.wav --format TEXT -o /dev/stdout",
        "timer.wav -o no/such/folder.txt",
        "- -",
    ] {
        let model = if flags.contains("--model") { "" } else { " --model selftest" };
        shown.push_str(&sandbox.row(&format!("stt {flags}{model}")));
    }
    insta::assert_snapshot!(shown);
    let files = |folder: &str| {
        let entries = fs::read_dir(sandbox.path().join(folder)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(files("out"), ["timer.vtt", "weather.vtt"]);
    assert_eq!(files("bad-out"), ["timer.txt"], "what failed leaves nothing behind");
}

#[test]
fn json_lines_name_their_recording() {
    let sandbox = sandbox();
    let shown = sandbox.run(&["stt", "timer.wav", "weather.wav", "--format", "jsonl", "--model", "selftest"]);
    let events: Vec<serde_json::Value> =
        shown.good_text().lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| (event["event"].as_str().expect("a name"), event["file"].as_str().expect("a file")))
        .collect();
    let of = |file| [("start", file), ("segment", file), ("end", file)];
    assert_eq!(told, [of("timer.wav"), of("weather.wav")].concat());
    assert_eq!(events[0]["version"], 1);
}

#[test]
fn the_name_of_a_file_says_its_shape() {
    let sandbox = sandbox();
    for (name, start) in [("a.srt", "1\n00:00:0"), ("a.vtt", "WEBVTT\n"), ("a.json", "{\n"), ("a.txt", "set a timer")] {
        assert_eq!(sandbox.run(&["stt", "timer.wav", "-o", name, "--model", "selftest"]).good_text(), "");
        let text = fs::read_to_string(sandbox.path().join(name)).expect("it was written");
        assert!(text.starts_with(start), "{name}: {text}");
    }
}

/// What was recognised before the end is not lost with the rest.
#[test]
fn a_transcript_that_breaks_off_stays_as_far_as_it_came() {
    let samples = wav::numbered(70);
    let whole = wav::mock_transcript(&samples);
    for death in ["the server's", "the client's"] {
        let sandbox = Sandbox::new();
        sandbox.file("long.txt", b"what was there before\n");
        let server = Server::start(&sandbox, &["--model", "mock"]);
        let mut command =
            sandbox.command(&["stt", "-", "--raw", "16000", "-o", "long.txt", "--server", &server.address]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // Kept open: the recording has not ended when the end comes.
        let mut stdin = child.stdin.take().expect("a pipe");
        let client = Running::reading(child);
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        stdin.write_all(&bytes).expect("it reads");
        let read = |name: &str| fs::read_to_string(sandbox.path().join(name)).unwrap_or_default();
        eventually("two windows are written", || read("long.txt.part").lines().count() >= 60);
        let code = if death == "the server's" {
            server.running.signal("KILL");
            "5"
        } else {
            client.signal("INT");
            "130"
        };
        let shown = client.end();
        assert_eq!(shown.code(), code, "{death}: {}", shown.stderr);
        assert!(shown.stderr.contains("what was transcribed so far is in `"), "{death}: {}", shown.stderr);
        assert_eq!(read("long.txt"), "what was there before\n", "{death}");
        let part = read("long.txt.part");
        assert!(part.len() < whole.len() && whole.starts_with(&part), "{death}: {part}");
    }
}

/// Several windows each, through bounded queues, with one worker for both or one each.
#[test]
fn channels_of_a_long_recording_come_out_whole_and_in_order() {
    let sandbox = Sandbox::new();
    let left = wav::numbered(100);
    let right: Vec<i16> = left.iter().rev().copied().collect();
    let frames: Vec<f32> = left.iter().zip(&right).flat_map(|(left, right)| [*left, *right]).map(f32::from).collect();
    let bytes: Vec<u8> = frames.iter().flat_map(|sample| (*sample as i16).to_le_bytes()).collect();
    sandbox.file("long.pcm", &bytes);
    let args = ["stt", "long.pcm", "--raw", "16000,2", "--channel", "all", "--model", "mock", "--format", "tsv"];
    let table = sandbox.run(&args).good_text();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split('\t').collect()).collect();
    for (channel, samples) in [("1", left), ("2", right)] {
        let said: String = rows.iter().filter(|row| row[2] == channel).map(|row| format!("{}\n", row[3])).collect();
        assert_eq!(said, wav::mock_transcript(&samples), "channel {channel}");
    }
    let starts: Vec<i64> = rows.iter().map(|row| row[0].parse().expect("milliseconds")).collect();
    assert!(starts.is_sorted(), "{table}");
}

#[test]
fn what_an_earlier_run_has_left_is_not_touched() {
    let sandbox = sandbox();
    fs::copy(sample("weather.wav"), sandbox.path().join("a.txt.part")).expect("the sample");
    let before = fs::read(sandbox.path().join("a.txt.part")).expect("it is there");
    std::os::unix::fs::symlink("timer.wav", sandbox.path().join("b.txt.part")).expect("a link");
    // The recording itself has such a name, and so has a link to another.
    for (recording, output) in [("a.txt.part", "a.txt"), ("weather.wav", "b.txt")] {
        sandbox.run(&["stt", recording, "-o", output, "--model", "selftest"]).good();
        let text = fs::read_to_string(sandbox.path().join(output)).expect("it was written");
        assert_eq!(text, "what is the weather tomorrow\n", "{output}");
        assert!(!sandbox.path().join(output).is_symlink(), "{output}");
    }
    assert_eq!(fs::read(sandbox.path().join("a.txt.part")).expect("it is there"), before);
    assert_eq!(
        fs::read(sandbox.path().join("timer.wav")).expect("it is there"),
        fs::read(sample("timer.wav")).expect("it")
    );
    // What fails before anything was said leaves nothing.
    assert_eq!(sandbox.run(&["stt", "timer.wav", "-o", "c.vtt", "--model", "./bad.wav"]).code(), "3");
    assert!(!sandbox.files().iter().any(|name| name.starts_with("c.vtt")), "{:?}", sandbox.files());
}

#[test]
fn a_server_transcribes_several_one_after_the_other() {
    let sandbox = sandbox();
    let server = Server::start(&sandbox, &["--model", "selftest"]);
    let args = ["stt", "--server", &server.address, "timer.wav", "weather.wav", "--output-dir", "out"];
    sandbox.run(&args).good();
    let read = |name: &Path| fs::read_to_string(sandbox.path().join("out").join(name)).expect("it was written");
    assert_eq!(read(Path::new("timer.txt")), "set a timer for ten minutes\n");
    assert_eq!(read(Path::new("weather.txt")), "what is the weather tomorrow\n");
}
