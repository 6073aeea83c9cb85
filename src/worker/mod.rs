//! `speechctl worker`: the process in which one engine runs, and may crash alone.
//!
//! It speaks the worker contracts. A server starts it with a socket as its standard input, and it ends with that
//! connection; or it stands alone, and listens, or dials in to a server. It remembers nothing between calls.

mod args;
mod calls;
mod confine;
mod connection;
mod dial;
mod engine;
mod health;
mod lies;
mod listen;
mod progress;
mod stream;
mod stt;
mod thread;
mod tts;

use crate::{
    error::{Error, Kind, Result},
    proto::{stt::stt_worker_server::SttWorkerServer, tts::tts_worker_server::TtsWorkerServer},
    signals::Signals,
    socket::Socket,
    speech::ModelId,
};
use args::Transport;
use calls::Calls;
use confine::Parent;
use engine::{Manners, Setup};
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::{os::fd::AsFd, path::PathBuf, time::Duration};
use thread::EngineThread;
use tokio::net::UnixStream;
use tonic::service::Routes;

pub(crate) use args::Args;
pub(crate) use engine::{CHATTY, processor};

/// Audio of a window in one message: 30 s take 1 MB; the rest is room for foreign callers.
const MAX_MESSAGE: usize = 64 << 20;

/// How long a worker that ignores its end lives on: long enough for the patience of whoever waits for it.
const STUBBORN: Duration = Duration::from_secs(60);

/// An engine that is loaded, or being loaded, and what callers know of it.
#[derive(Clone)]
struct Worker {
    model: ModelId,
    name: String,
    engine: EngineThread,
    manners: Manners,
}

/// Serves until the connection on standard input ends, or, where it stands alone, until a signal. Calls `ready` with the
/// address once it listens on one.
///
/// # Errors
/// - `Config` where there is no way for callers to come, or one that must not be.
/// - `InvalidInput` for an engine that does not exist.
/// - `Io` for an address that is taken.
/// - Standing alone, why the model cannot be loaded.
/// - Dialling in, why the server cannot be reached, or refuses.
pub(crate) async fn run(args: Args, default_cache: PathBuf, ready: impl FnOnce(&str) -> Result<()>) -> Result<()> {
    let model = ModelId::from_arguments(&args.engine, args.model.clone())?;
    match args.transport(&model, |name| std::env::var_os(name))? {
        Transport::Inherited => {
            let socket = inherited_socket()?;
            if confine::child(args.parent) == Parent::Gone {
                return Ok(());
            }
            Worker::start(model, args, default_cache)?.serve_inherited(socket).await
        }
        Transport::Listen(address) => {
            confine::alone();
            let socket = Socket::bind(&address, args.insecure).await?;
            // Before anybody hears that it is ready: whoever does may send a signal at once.
            let signals = Signals::listen()?;
            let worker = Worker::start(model, args, default_cache)?;
            ready(&socket.address())?;
            listen::serve(&worker, socket, signals).await
        }
        Transport::Dial(address, token) => {
            confine::alone();
            let signals = Signals::listen()?;
            let dialler = dial::Dialler::try_new(address)?;
            let worker = Worker::start(model, args, default_cache)?;
            dialler.serve(&worker, token, signals).await
        }
    }
}

impl Worker {
    /// Limits the memory of this process, and begins to load the model.
    fn start(model: ModelId, args: Args, default_cache: PathBuf) -> Result<Self> {
        confine::memory(args.memory);
        let threads = if args.threads > 0 { args.threads } else { default_threads() };
        let name = args.model_name(&model)?;
        let progress = engine::progress(&model);
        let setup = Setup { threads, cache: args.cache.unwrap_or(default_cache), progress };
        let engine = EngineThread::spawn(model.clone(), setup)?;
        let manners = engine::manners(&model);
        Ok(Self { model, name, engine, manners })
    }

    /// Both worker contracts. What the engine cannot do is answered by saying so.
    fn contracts(&self) -> Routes {
        let (engine, calls) = (&self.engine, Calls::default());
        let health = health::Reporter::new(engine.clone(), &self.model, self.name.clone());
        let lies = &self.manners.lies;
        let stt = stt::Service::new(engine.clone(), health.clone(), calls.clone(), lies.clone());
        let tts = tts::Service::new(engine.clone(), health, calls, lies.clone());
        let stt =
            SttWorkerServer::new(stt).max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE);
        Routes::new(stt).add_service(TtsWorkerServer::new(tts).max_decoding_message_size(MAX_MESSAGE))
    }

    /// Serves the one connection that it was born with.
    async fn serve_inherited(&self, socket: UnixStream) -> Result<()> {
        let unheard = if self.manners.ignores_term { Some(Signals::listen()?) } else { None };
        // Nobody asks it to drain: who wants it to end closes the connection.
        let (never, stop) = connection::stopping();
        connection::serve(socket, self.contracts().prepare(), stop).await;
        drop(never);
        if unheard.is_some() {
            tokio::time::sleep(STUBBORN).await;
        }
        Ok(())
    }
}

/// Standard input as the socket that it must be.
fn inherited_socket() -> Result<UnixStream> {
    let refuse = || {
        let message = "nobody could call this worker: let it serve any client with `--listen`, or offer it to a server \
                       with `--connect`; only `speechctl serve` starts it without, with a socket as its standard input";
        Error::new(Kind::Config, message)
    };
    let stdin = std::io::stdin();
    let is_stream = sockopt::socket_type(&stdin) == Ok(SocketType::STREAM);
    if !is_stream || sockopt::socket_domain(&stdin) != Ok(AddressFamily::UNIX) {
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
