//! `speechctl worker`: the process in which one engine runs, and may crash alone.
//!
//! It speaks the worker contracts over the one connection that it was given as its standard input, and ends with it.
//! It remembers nothing between calls.

mod engine;
mod health;
mod stt;
mod thread;
mod tts;

use crate::{
    error::{Error, Kind, Result},
    proto::{stt::stt_worker_server::SttWorkerServer, tts::tts_worker_server::TtsWorkerServer},
    speech::ModelId,
};
use engine::Setup;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use std::{io::IsTerminal, os::fd::AsFd, path::PathBuf};
use thread::EngineThread;
use tokio::net::UnixStream;
use tonic::service::Routes;

/// Audio of a window in one message: 30 s take 1 MB; the rest is room for foreign callers.
const MAX_MESSAGE: usize = 64 << 20;

/// What identifies a build, for the log of the server.
use crate::speech::BUILD_ID;

/// Runs one engine; started by `speechctl serve`, not by hand
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// The engine: whisper or espeak
    #[arg(long, value_name = "ENGINE")]
    engine: String,

    /// What the engine loads: a ggml model file, or `selftest`
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,

    /// Threads for a call that names none
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=256))]
    threads: i32,

    /// Folder for what has to be unpacked
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

/// Serves the connection on standard input until the other side is gone.
///
/// # Errors
/// `Config` where standard input is no socket, `InvalidInput` for an engine that does not exist.
pub(crate) async fn run(args: Args, default_cache: PathBuf) -> Result<()> {
    let model = ModelId::from_arguments(&args.engine, args.model)?;
    let socket = inherited_socket()?;
    let threads = if args.threads > 0 { args.threads } else { default_threads() };
    let setup = Setup { threads, cache: args.cache.unwrap_or(default_cache) };
    let engine = EngineThread::spawn(model.clone(), setup)?;
    let health = health::Reporter::new(engine.clone(), &model);
    let stt = SttWorkerServer::new(stt::Service::new(engine.clone(), health.clone()))
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let tts = TtsWorkerServer::new(tts::Service::new(engine, health)).max_decoding_message_size(MAX_MESSAGE);
    let service = TowerToHyperService::new(Routes::new(stt).add_service(tts).prepare());
    let served = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(socket), service)
        .await;
    if let Err(error) = served {
        // Nearly always: the server is gone. Then nobody is left to hear of it.
        tracing::debug!(%error, "Connection ended.");
    }
    Ok(())
}

/// Standard input as the socket that it must be.
fn inherited_socket() -> Result<UnixStream> {
    let stdin = std::io::stdin();
    let explanation = "a worker is started by `speechctl serve`, which gives it a socket as its standard input";
    let refuse = || Error::new(Kind::Config, explanation);
    if stdin.is_terminal() || rustix::net::sockopt::socket_type(&stdin).is_err() {
        return Err(refuse());
    }
    let copy = stdin.as_fd().try_clone_to_owned().map_err(|cause| refuse().because(cause))?;
    let socket = std::os::unix::net::UnixStream::from(copy);
    socket.set_nonblocking(true).map_err(|cause| refuse().because(cause))?;
    UnixStream::from_std(socket).map_err(|cause| refuse().because(cause))
}

/// As whisper.cpp itself: the cores of the machine, at most 4, beyond which memory is the limit.
fn default_threads() -> i32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    i32::try_from(cores.min(4)).unwrap_or(1)
}
