//! Texts cut into sentences: a file for each, and marks that tell where they begin.

use crate::harness::{
    process::{Running, Sandbox},
    sample, wav,
};
use serde_json::Value;
use std::{fs, process::Stdio};

const TEXT: &str = "The first is short.\nDie zweite heißt\tso! And is this the third?  Yes.\n";

const SENTENCES: [&str; 4] = ["The first is short.", "Die zweite heißt so!", "And is this the third?", "Yes."];

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

/// Bare samples of files, one after the other.
fn joined(sandbox: &Sandbox, names: &[String]) -> Vec<u8> {
    names.iter().flat_map(|name| fs::read(sandbox.path().join(name)).expect("it is there")).collect()
}

#[test]
fn each_sentence_has_its_file_and_all_of_them_are_the_whole() {
    let sandbox = Sandbox::new();
    sandbox.file("text.txt", TEXT.as_bytes());
    sandbox.run(&["tts", "--file", "text.txt", "-o", "whole.pcm"]).good();
    let told = sandbox.run(&["tts", "--file", "text.txt", "--split-sentences", "a/b", "--format", "pcm"]).good_text();
    let expected: Vec<String> =
        (1..).zip(SENTENCES).map(|(number, text)| format!("a/b/{number:04}.pcm\t{text}")).collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    let names: Vec<String> = (1..=4).map(|number| format!("a/b/{number:04}.pcm")).collect();
    assert!(joined(&sandbox, &names) == fs::read(sandbox.path().join("whole.pcm")).expect("it is there"));
    // Again, over what is there: from a pipe, with a document.
    let json = sandbox.run_with(&["tts", "-", "--split-sentences", "a/b", "--json"], TEXT.as_bytes()).good_text();
    let document: Value = serde_json::from_str(&json).expect("it is JSON");
    let sentences = document["sentences"].as_array().expect("a list");
    let mut sum = 0.0;
    for (number, (sentence, text)) in (1..).zip(sentences.iter().zip(SENTENCES)) {
        let name = format!("a/b/{number:04}.wav");
        assert_eq!(sentence["output"], name.as_str());
        assert_eq!(sentence["text"].as_str().expect("a text").split_whitespace().collect::<Vec<_>>().join(" "), text);
        let (rate, samples) = wav::read(&sandbox.path().join(&name));
        let duration = sentence["duration"].as_f64().expect("a number");
        assert!((duration - samples.len() as f64 / f64::from(rate)).abs() < 0.001);
        sum += duration;
    }
    assert_eq!(sentences.len(), 4);
    assert!((document["duration"].as_f64().expect("a number") - sum).abs() < 0.01, "{json}");
    assert_eq!(document.get("output"), None);
}

#[test]
fn marks_tell_what_begins_where() {
    let sandbox = Sandbox::new();
    let text = format!("\u{feff} {TEXT}");
    sandbox.file("text.txt", text.as_bytes());
    sandbox.run(&["tts", "--file", "text.txt", "-o", "whole.wav", "--marks", "marks.jsonl"]).good();
    let (rate, samples) = wav::read(&sandbox.path().join("whole.wav"));
    let written = fs::read_to_string(sandbox.path().join("marks.jsonl")).expect("it is there");
    let marks = lines(&written);
    let number = |mark: &Value, name: &str| usize::try_from(mark[name].as_u64().expect("a number")).expect("it fits");
    let mut last = 0;
    for mark in &marks {
        // Positions are those of the file, with all that stands in it.
        assert_eq!(&text[number(mark, "start")..number(mark, "end")], mark["text"].as_str().expect("a text"), "{mark}");
        let sample = number(mark, "sample");
        assert!(sample >= last && sample < samples.len(), "{mark}");
        assert!((mark["at"].as_f64().expect("a number") - sample as f64 / f64::from(rate)).abs() < 0.001, "{mark}");
        last = sample;
    }
    let sentences: Vec<&Value> = marks.iter().filter(|mark| mark["type"] == "sentence").collect();
    let texts: Vec<String> = sentences
        .iter()
        .map(|mark| mark["text"].as_str().expect("a text").split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(texts, SENTENCES);
    assert!(marks.iter().all(|mark| mark["type"] == "sentence" || mark["type"] == "word"), "{written}");
    // A text that is given at once, and marks that are a stream.
    let shown = sandbox.run(&["tts", "One. Two.", "--marks", "-"]).good_text();
    let texts: Vec<Value> = lines(&shown).into_iter().filter(|mark| mark["type"] == "sentence").collect();
    assert_eq!(texts.iter().map(|mark| &mark["text"]).collect::<Vec<_>>(), ["One.", "Two."]);
}

#[test]
fn the_same_samples_as_floats() {
    let sandbox = Sandbox::new();
    sandbox.run(&["tts", "hello", "--voice", "mock", "-o", "a.pcm"]).good();
    sandbox.run(&["tts", "hello", "--voice", "mock", "-o", "a.f32"]).good();
    sandbox.run(&["tts", "hello", "--voice", "mock", "-o", "b", "--format", "pcm-f32"]).good();
    let read = |name: &str| fs::read(sandbox.path().join(name)).expect("it is there");
    let whole = wav::of_pcm(&read("a.pcm"));
    let floats: Vec<f32> =
        read("a.f32").chunks(4).map(|four| f32::from_le_bytes(four.try_into().expect("4"))).collect();
    assert!(whole.len() == floats.len() && !whole.is_empty());
    for (whole, float) in whole.iter().zip(&floats) {
        assert!((f32::from(*whole) - float * 32_768.0).abs() <= 1.0, "{whole} {float}");
    }
    assert_eq!(read("b"), read("a.f32"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("a-file", b"x");
    sandbox.file("latin1.txt", b"caf\xe9 = coffee");
    sandbox.file("large.txt", &vec![b'a'; 1024 * 1024 + 1]);
    sandbox.file("text.txt", b"Hello.");
    fs::create_dir(sandbox.path().join("folder.onnx")).expect("a folder");
    let rows: String = [
        "tts hi --split-sentences a-file",
        "tts hi --split-sentences - ",
        "tts hi --split-sentences parts -o x.wav",
        "tts hi --split-sentences parts --marks -",
        "tts hi --split-sentences parts --ssml",
        "tts hi -o no/",
        "tts hi --marks - -o -",
        "tts hi --marks - --json",
        "tts hi --marks x -o x",
        "tts hi --marks no/such/folder/x",
        "tts --file text.txt --marks text.txt",
        "tts hi --output-raw -o x.pcm",
        "tts hi --output-raw --json",
        "tts hi --lexicon no-such.txt",
        "tts hi --lexicon .",
        "tts hi --lexicon latin1.txt",
        "tts hi --lexicon large.txt",
        "tts hi --lexicon text.txt --ssml",
        "tts hi --voice x.onnx",
        "tts hi --voice ./x",
        "tts hi --model voices/x.onnx",
        "tts hi --voice folder.onnx",
        "tts hi --seed -1",
        "tts hi --length-scale 0.01",
        "tts hi --noise-scale 2.1",
        "tts hi --noise-w-scale nan",
        "tts hi --sentence-silence 61",
        "tts hi --sentence-silence -1",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(rows);
    assert_eq!(sandbox.files(), ["a-file", "folder.onnx", "large.txt", "latin1.txt", "text.txt"]);
}

#[test]
fn files_are_written_though_nobody_reads_what_is_told_of_them() {
    let sandbox = Sandbox::new();
    for args in [&["tts", TEXT, "-o", "x.wav", "--marks", "-"][..], &["tts", TEXT, "--split-sentences", "parts"]] {
        let mut command = sandbox.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let shown = Running::reading(child).end();
        assert_eq!((shown.code().as_str(), shown.stderr.as_str()), ("0", ""));
    }
    assert!(wav::read(&sandbox.path().join("x.wav")).1.len() > 40_000);
    assert_eq!(fs::read_dir(sandbox.path().join("parts")).expect("the folder").count(), SENTENCES.len());
}

#[test]
fn words_of_a_pronunciation_are_the_word_that_was_written() {
    let sandbox = Sandbox::new();
    sandbox.file("lexicon.txt", b"nginx = engine x");
    let piper = sample("voices/test-voice.onnx");
    for voice in ["en-us", piper.to_str().expect("a path")] {
        let args = ["tts", "nginx works", "--lexicon", "lexicon.txt", "--marks", "-", "--voice", voice];
        let marks = lines(&sandbox.run(&args).good_text());
        let words = marks.iter().filter(|mark| mark["type"] == "word");
        let words: Vec<_> = words.map(|mark| mark["text"].as_str().expect("a text")).collect();
        assert_eq!(words, ["nginx", "works"], "{voice}");
        let first = marks.iter().find(|mark| mark["type"] == "word").expect("it is there");
        assert!(first["at"].as_f64().expect("seconds") < 0.1, "{voice}: {first}");
    }
}

#[test]
fn pipers_ways_are_known() {
    let sandbox = Sandbox::new();
    let ours = sandbox.run(&["tts", "hello computer", "-o", "-", "--format", "pcm", "--voice", "en-gb"]).good();
    let args = ["tts", "-m", "en-gb", "--output-raw"];
    assert!(sandbox.run_with(&args, b"hello computer\n").good() == ours);
    sandbox.run(&["tts", "hello", "--model", "en-gb", "-f", "x.wav"]).good();
    sandbox.run(&["tts", "hello", "--output_file", "y.wav"]).good();
    for flag in ["--length_scale", "--noise_scale", "--noise_w", "--noise-w-scale", "--sentence_silence", "-s"] {
        let shown = sandbox.run(&["tts", "hello", flag, "1"]);
        assert!(shown.stderr.contains("it is for Piper voices"), "{flag}: {}", shown.stderr);
    }
    assert_eq!(sandbox.files(), ["x.wav", "y.wav"]);
}
