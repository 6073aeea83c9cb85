//! What a worker is told, and by which way callers come to it.

use crate::{
    error::{Error, Kind, Result},
    flags,
    proto::v1::Capability,
    speech::ModelId,
    worker::{dial::Token, engine},
};
use std::{ffi::OsString, path::PathBuf};

/// The variable that holds a token that is good for one connection.
const TOKEN: &str = "SPEECHCTL_WORKER_TOKEN";

/// Where a recogniser listens if nothing else is said: the worker contract's usual port.
const RECOGNISERS: &str = "127.0.0.1:50051";

/// Where a synthesiser does.
const SYNTHESISERS: &str = "127.0.0.1:50052";

const EXAMPLES: &str = "\
Examples:
  speechctl worker --engine whisper --model /models/ggml-base.en.bin --listen
  speechctl worker --engine espeak --listen unix:/run/espeak.sock
  speechctl worker --engine whisper --model base.bin --connect speech.lan:50061 --token-file /run/token
  grpcurl -plaintext localhost:50051 macaw.stt.STTWorker/Health";

/// Run one engine
///
/// With `--listen` it serves the worker contracts, macaw.stt.STTWorker and macaw.tts.TTSWorker, to any client, and
/// prints one line once it listens. With `--connect` it offers itself to a server's registration port. With neither,
/// its standard input has to be a socket, as `speechctl serve` gives it one.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The engine: whisper, espeak or piper
    #[arg(long, value_name = "ENGINE")]
    pub(super) engine: String,

    /// What the engine loads: a ggml model file, `selftest`, or a Piper voice's .onnx file
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<PathBuf>,

    /// What callers call the model [default: the file's name without its ending, `selftest`, `espeak`]
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) name: Option<String>,

    /// Serve any client: HOST:PORT (port 0: the system chooses) or unix:PATH [default: 127.0.0.1:50051 for
    /// recognisers, 127.0.0.1:50052 for synthesisers]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, conflicts_with = "connect")]
    pub(super) listen: Option<Option<String>>,

    /// Let others than this machine connect, unencrypted and unasked
    #[arg(long, requires = "listen")]
    pub(super) insecure: bool,

    /// Offer this worker to a server's registration port: HOST:PORT
    #[arg(long, value_name = "ADDRESS", env = "SPEECHCTL_WORKER_CONNECT")]
    pub(super) connect: Option<String>,

    /// File with the token that lets it in; read again before each connection, of which there are as many as it takes.
    /// Without it, SPEECHCTL_WORKER_TOKEN in the environment is good for one connection
    #[arg(long, value_name = "FILE", requires = "connect")]
    pub(super) token_file: Option<PathBuf>,

    /// Threads for a call that names none [default: the cores, at most 4]
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..=256))]
    pub(super) threads: i32,

    /// Most memory that it may take, such as 512M or 2G; 0 for no limit of its own
    #[arg(long, value_name = "BYTES", default_value = "0", hide_default_value = true, value_parser = flags::size)]
    pub(super) memory: u64,

    /// Folder for what has to be unpacked
    #[arg(long, value_name = "DIR")]
    pub(super) cache: Option<PathBuf>,

    /// The process that started it, with which it ends
    #[arg(long, value_name = "PID", hide = true)]
    pub(super) parent: Option<i32>,
}

/// By which way callers come.
#[derive(Debug, PartialEq)]
pub(super) enum Transport {
    /// Over the socket that is standard input.
    Inherited,
    /// They connect to this address.
    Listen(String),
    /// It connects to this address, and shows this token.
    Dial(String, Token),
}

impl Args {
    /// Whether somebody watches it who wants to hear how it does; else it was started by a server, which asks it.
    pub(crate) fn stands_alone(&self) -> bool {
        self.listen.is_some() || self.connect.is_some()
    }

    /// By which way callers come.
    ///
    /// # Errors
    /// `Config` where a token is missing.
    pub(super) fn transport(&self, model: &ModelId, env: impl Fn(&str) -> Option<OsString>) -> Result<Transport> {
        if let Some(address) = &self.listen {
            let recognises = engine::capabilities(model).contains(&Capability::Recognition);
            let default = if recognises { RECOGNISERS } else { SYNTHESISERS };
            return Ok(Transport::Listen(address.clone().unwrap_or_else(|| default.to_owned())));
        }
        let Some(address) = &self.connect else { return Ok(Transport::Inherited) };
        let token = match (&self.token_file, env(TOKEN)) {
            (Some(file), _) => Token::File(file.clone()),
            (None, Some(token)) => Token::Once(token.to_string_lossy().trim().to_owned()),
            (None, None) => {
                let message = format!(
                    "cannot connect to `{address}` without a token: name its file with `--token-file`, or put it into \
                     {TOKEN}"
                );
                return Err(Error::new(Kind::Config, message));
            }
        };
        Ok(Transport::Dial(address.clone(), token))
    }

    /// What callers call the model. The server, which gives a path, gets it back; others hear the name of the file.
    ///
    /// # Errors
    /// `InvalidInput` for a name that means another model.
    pub(super) fn model_name(&self, model: &ModelId) -> Result<String> {
        let is_reserved = |name: &str| ["selftest", "espeak", "mock"].contains(&name) || name.starts_with("mock:");
        Ok(match (&self.name, model) {
            (Some(name), model) if is_reserved(name) && *name != model.to_string() => {
                let message = format!("`--name {name}`: the name means another model than `{model}`; choose another");
                return Err(Error::invalid(message));
            }
            (Some(name), _) => name.clone(),
            (None, ModelId::Whisper(path) | ModelId::Piper(path)) if self.stands_alone() => {
                path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
            }
            (None, model) => model.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        Line::try_parse_from(std::iter::once("worker").chain(line.split_whitespace())).expect("it is valid").args
    }

    #[test]
    fn ports_are_the_contracts_own() {
        let of = |line: &str| args(line).transport(&args_model(line), |_| None).expect("it is valid");
        let listen = |address: &str| Transport::Listen(address.to_owned());
        assert_eq!(of("--engine whisper --model selftest --listen"), listen(RECOGNISERS));
        assert_eq!(of("--engine espeak --listen"), listen(SYNTHESISERS));
        assert_eq!(of("--engine espeak --listen unix:/x"), listen("unix:/x"));
        assert_eq!(of("--engine espeak"), Transport::Inherited);
    }

    fn args_model(line: &str) -> ModelId {
        let args = args(line);
        ModelId::from_arguments(&args.engine, args.model).expect("it is valid")
    }

    #[test]
    fn a_token_comes_from_a_file_or_from_the_environment() {
        let dial = |line: &str, env: Option<&str>| {
            args(line).transport(&ModelId::Espeak, |name| env.filter(|_| name == TOKEN).map(OsString::from))
        };
        let once = Transport::Dial("a:1".into(), Token::Once("secret".into()));
        assert_eq!(dial("--engine espeak --connect a:1", Some("secret\n")).expect("it is valid"), once);
        let file = Transport::Dial("a:1".into(), Token::File("/t".into()));
        assert_eq!(dial("--engine espeak --connect a:1 --token-file /t", Some("x")).expect("it is valid"), file);
        let error = dial("--engine espeak --connect a:1", None).expect_err("no token");
        assert_eq!(error.kind(), Kind::Config);
    }

    #[test]
    fn a_model_is_called_as_its_file() {
        let name = |line: &str| args(line).model_name(&args_model(line)).expect("it is free");
        let file = "--engine whisper --model /m/ggml-base.en-q5_1.bin";
        assert_eq!(name(file), "/m/ggml-base.en-q5_1.bin");
        assert_eq!(name(&format!("{file} --listen")), "ggml-base.en-q5_1");
        assert_eq!(name(&format!("{file} --name base")), "base");
        assert_eq!(name("--engine mock:slow --listen"), "mock:slow");
        let taken = format!("{file} --name selftest");
        args(&taken).model_name(&args_model(&taken)).expect_err("it means another model");
    }
}
