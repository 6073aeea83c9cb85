//! The program, and the machine that it runs on.

use super::finding::Finding;
use crate::{server, size, worker::processor};
use std::{env, thread};

/// What makes engines quick, by Rust's names of it.
const QUICK: &[&str] = &["neon", "avx2", "fma", "f16c", "avx512f"];

/// Less memory than this is too little for the model that most people take: whisper.cpp's README says 388 MB of `base`,
/// and the rest of the system wants some too.
const LITTLE_MEMORY: u64 = 512 << 20;

/// What is found.
pub(super) fn findings() -> [Finding; 3] {
    [version(), processor(), machine()]
}

fn version() -> Finding {
    let system = format!("{} {}", env::consts::OS, env::consts::ARCH);
    let linked = if cfg!(target_feature = "crt-static") { ", static" } else { "" };
    let debug = if cfg!(debug_assertions) { ", a build for debugging" } else { "" };
    // Where there are two of them, the shell may not start the one that is meant.
    let place = env::current_exe().map(|path| format!(", `{}`", path.display())).unwrap_or_default();
    Finding::ok("version", format!("{} for {system}{linked}{debug}{place}", env!("CARGO_PKG_VERSION")))
}

fn processor() -> Finding {
    const NAME: &str = "processor";
    if let Err(error) = processor::check() {
        return Finding::of_error(NAME, &error);
    }
    let has: Vec<String> = QUICK.iter().filter(|name| processor::has(name)).map(|name| name.to_uppercase()).collect();
    let wanted = match processor::needed().len() {
        0 => "this build wants nothing special".to_owned(),
        1 => "it has the one feature that this build wants".to_owned(),
        count => format!("it has all {count} features that this build wants"),
    };
    let has = if has.is_empty() { "none that makes engines quick".to_owned() } else { has.join(", ") };
    let found = format!("{has}; {wanted}");
    match cfg!(target_arch = "x86_64") && !processor::has("avx2") {
        true => Finding::note(NAME, found, "without AVX2 recognition is slow: take a small model, such as `tiny.en`"),
        false => Finding::ok(NAME, found),
    }
}

fn machine() -> Finding {
    const NAME: &str = "machine";
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let cores = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    match server::total_memory() {
        None => Finding::ok(NAME, cores),
        Some(memory) => {
            let found = format!("{cores}, {} of memory", size::in_words(memory));
            match memory < LITTLE_MEMORY {
                true => Finding::note(NAME, found, "take a small model, such as `tiny.en-q5_1`"),
                false => Finding::ok(NAME, found),
            }
        }
    }
}
