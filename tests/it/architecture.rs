//! The module tree is a promise: who may import whom, and how large things grow. This keeps it.

use std::{collections::BTreeSet, fs, path::Path};

/// Each module, and the modules it may import. Only modules above a line may be named in it.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("shutdown", &[]),
    ("flags", &[]),
    ("shell", &[]),
    ("size", &[]),
    ("signals", &["error"]),
    ("socket", &["error"]),
    ("config", &["error"]),
    ("telemetry", &["error", "config"]),
    ("speech", &["error"]),
    ("sentence", &["error", "speech"]),
    ("lexicon", &["error", "speech", "sentence"]),
    ("audio", &["error", "speech"]),
    ("models", &["error", "shell", "size", "config", "speech"]),
    ("proto", &["error", "speech"]),
    ("listening", &["error", "speech"]),
    ("client", &["error", "shell", "size", "flags", "shutdown", "config", "speech", "audio", "models", "proto"]),
    (
        "server",
        &[
            "error",
            "socket",
            "shutdown",
            "config",
            "telemetry",
            "speech",
            "sentence",
            "lexicon",
            "audio",
            "models",
            "proto",
            "listening",
        ],
    ),
    (
        "worker",
        &[
            "error",
            "flags",
            "signals",
            "socket",
            "telemetry",
            "speech",
            "sentence",
            "audio",
            "models",
            "proto",
            "listening",
        ],
    ),
    (
        "cli",
        &[
            "error",
            "size",
            "flags",
            "signals",
            "shutdown",
            "config",
            "telemetry",
            "models",
            "proto",
            "client",
            "server",
            "worker",
        ],
    ),
];

/// Names that say nothing, behind which everything gathers.
const BAGS: &[&str] = &["common", "utils", "util", "helpers", "types", "manager", "misc"];

/// Lines of a file, its tests not counted.
const MAX_LINES: usize = 400;

/// The files that may hold unsafe code: one for each library of C that has no safe face, or not a whole one.
const UNSAFE: &[&str] = &[
    "src/worker/engine/espeak/ffi.rs",
    "src/worker/engine/espeak/phonemes/ffi.rs",
    "src/worker/engine/whisper/ffi.rs",
];

/// Crates of foreign code, and the only places that may name them. Engines live in the worker, which may die of them;
/// libopus, which every browser feeds with what strangers send, beside the other codecs.
const FOREIGN: &[(&str, &str)] = &[
    ("whisper_rs", "src/worker/engine/"),
    ("espeak_rs_sys", "src/worker/engine/"),
    ("rten::", "src/worker/engine/piper/"),
    ("symphonia_adapter_libopus", "src/audio/"),
    ("opusic_c", "src/audio/"),
    ("pulseaudio", "src/client/sound/"),
    ("ureq::", "src/models/hub/web.rs"),
    ("ring::", "src/models/digest.rs"),
];

#[test]
fn modules_import_only_what_they_may() {
    let mut known = BTreeSet::new();
    for (module, allowed) in LAYERS {
        assert!(allowed.iter().all(|a| known.contains(a)), "`{module}` allows a module that is not below it");
        known.insert(*module);
    }
    let mut found = BTreeSet::new();
    for (file, text) in sources() {
        let name = module(&file);
        if name == "main" {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == name) else {
            panic!("`{name}` is not in LAYERS: give it a layer");
        };
        for import in imports(&text) {
            assert!(import == name || allowed.contains(&import.as_str()), "{file}: `{name}` may not import `{import}`");
        }
        found.insert(name);
    }
    assert_eq!(found.len(), LAYERS.len(), "LAYERS names a module that is gone");
}

#[test]
fn foreign_code_stays_in_its_place() {
    for (file, text) in sources() {
        for (name, place) in FOREIGN.iter().filter(|(_, place)| !file.starts_with(place)) {
            assert!(!names(&text, name), "{file} names `{name}`: that belongs into {place}");
        }
        let is_unsafe = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("unsafe "));
        assert!(!is_unsafe || UNSAFE.contains(&file.as_str()), "{file} holds unsafe code: only {UNSAFE:?} may");
    }
}

/// Whether a text has this name, not only one that ends with it.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

#[test]
fn only_who_is_asked_downloads() {
    let mut who = Vec::new();
    for (file, text) in sources().into_iter().filter(|(file, _)| !file.starts_with("src/models/")) {
        let downloads = ["pull::pull", "Hub::new"].iter().any(|name| names(&text, name));
        who.extend(downloads.then_some(file));
    }
    // The doctor only asks whether somebody answers.
    let may = ["src/cli/doctor/hub.rs", "src/client/models/list.rs", "src/client/models/pull.rs"];
    who.sort();
    assert_eq!(who, may, "a server or a worker downloads nothing by itself");
}

#[test]
fn every_unsafe_block_says_why() {
    for file in UNSAFE {
        let text = fs::read_to_string(root().join(file)).expect("it is there");
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("unsafe {")) {
            let above = &lines[number.saturating_sub(5)..number];
            assert!(above.iter().any(|line| line.contains("// SAFETY:")), "{file}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn files_stay_small_and_say_what_they_are_for() {
    for (file, text) in sources() {
        let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
        let is_tests = file.ends_with("/tests.rs");
        assert!(lines <= MAX_LINES || is_tests, "{file} has {lines} lines: split it by role");
        let stem = Path::new(&file).file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(!BAGS.contains(&stem.as_str()), "{file}: name it after what it does");
        assert!(text.starts_with("//!"), "{file} does not say what it is for");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    collect(&root().join("src"), &mut sources);
    assert!(sources.len() > 20, "the sources are elsewhere");
    sources
}

fn collect(folder: &Path, sources: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("it is below").display().to_string();
            sources.push((name, fs::read_to_string(&path).expect("source")));
        }
    }
}

/// The top-level module of a file.
fn module(file: &str) -> String {
    let inside = file.strip_prefix("src/").expect("a source");
    inside.split('/').next().expect("a name").trim_end_matches(".rs").to_owned()
}

/// Every `crate::name`, and every name in a `crate::{…}` group.
fn imports(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(word(rest)),
        }
    }
    names
}

/// The first word of each item in a `{…}` group that has just been opened.
fn heads(group: &str) -> Vec<String> {
    let mut names: Vec<String> = word(group.trim_start()).into_iter().collect();
    let mut depth = 1;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => names.extend(word(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}
