//! speechctl: speech on the command line, and over gRPC.
//!
//! One binary, three processes. The folders are the processes; the files beside them are what the processes share.
//!
//! ```text
//!  user's shell              speechctl serve                  speechctl worker (one per loaded model)
//! ┌──────────┐  gRPC        ┌───────────────────────┐ gRPC   ┌──────────────────────────┐
//! │  client  │ ───────────► │  server               │ fd 0   │  worker                  │
//! │ tts  stt │ ◄─────────── │  api · supervisor     │ ─────► │  engine: whisper espeak …│
//! └──────────┘              │  no engine            │ macaw.*│  may die alone           │
//!                           └───────────────────────┘        └──────────────────────────┘
//! ```
//!
//! Workers forget, the server calls again, clients show. `cli` reads the command line and puts the three together;
//! `tests/it/architecture.rs` holds who may import whom.

mod audio;
mod cli;
mod client;
mod config;
mod error;
mod flags;
mod lexicon;
mod listening;
mod models;
mod proto;
mod sentence;
mod server;
mod shell;
mod shutdown;
mod signals;
mod size;
mod socket;
mod speech;
mod telemetry;
mod worker;

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os()).into()
}
