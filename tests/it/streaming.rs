//! Streaming recognition: what was said is written down once, whatever dies on the way.

mod bad_input;
mod deaths;
mod endpointing;
mod folder;
mod limits;
mod returns;
mod words;

use crate::harness::{process::Sandbox, sample, server::Server, wav};
use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

/// What is said in `three-commands.wav`.
const COMMANDS: [&str; 3] = ["open the door", "play some music in the kitchen", "call my mother at five"];

/// A chunk as most clients send it: a tenth of a second.
const CHUNK: usize = 1600;

/// The samples of `three-commands.wav`, at 16 kHz.
fn commands() -> Vec<i16> {
    wav::read(&sample("three-commands.wav")).1
}

/// The same, over and over, for so many seconds.
fn commands_for(seconds: usize) -> Vec<i16> {
    commands().into_iter().cycle().take(seconds * 16_000).collect()
}

/// A recording at a rate that is so many times as high, in the simplest way.
fn faster(samples: &[i16], times: usize) -> Vec<i16> {
    samples.iter().flat_map(|sample| std::iter::repeat_n(*sample, times)).collect()
}

/// A server whose sessions are in the folder `state` of the sandbox. Another one may take its address after it.
fn start(sandbox: &Sandbox, flags: &[&str]) -> Server {
    start_at(sandbox, &address(), flags)
}

/// An address that stays free: none that the system gives to whoever wants any.
fn address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test runs side by side begin in different places.
    let first = 10_000 + (std::process::id() % 200) as u16 * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if let Ok(free) = TcpListener::bind(("127.0.0.1", port)) {
            return free.local_addr().expect("an address").to_string();
        }
    }
}

/// The same, at an address.
fn start_at(sandbox: &Sandbox, address: &str, flags: &[&str]) -> Server {
    Server::start_at(sandbox, address, &[&["--state-folder", "state"], flags].concat())
}

/// Kills a server, and starts another one at its address.
fn killed_and_started(sandbox: &Sandbox, server: Server, flags: &[&str]) -> Server {
    let address = server.address.clone();
    server.running.signal("KILL");
    server.running.end();
    start_at(sandbox, &address, flags)
}

/// What is in the folder `state`, without the lock.
fn stored(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.path().join("state")).expect("it is there");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != "speechctl.lock").collect();
    names.sort();
    names
}
