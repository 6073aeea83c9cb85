//! Where a recording comes from: a file or stdin, decoded on a thread of its own, in constant memory.

use crate::{
    audio::{
        self,
        decode::{Decoder, Source},
    },
    error::{Error, Kind, Result},
    proto::v1::{RecognitionConfig, RecognizeFileRequest, recognize_file_request::Message},
};
use std::{
    fs::File,
    io::{self, IsTerminal},
    path::Path,
    thread,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

/// Blocks of audio on their way to the server. The server's own pace fills this, then the decoder waits.
const AHEAD: usize = 16;

/// A recording that is known to be one.
pub(super) struct Recording {
    decoder: Decoder,
    name: String,
}

/// How the reading of a recording ends.
pub(super) struct Outcome {
    receiver: oneshot::Receiver<Result<Vec<String>>>,
    known: Option<Result<Vec<String>>>,
}

impl Recording {
    /// Opens it, and looks whether it is audio.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `InvalidInput`, `Config` for a terminal.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (source, name) = if path == Path::new("-") {
            if io::stdin().is_terminal() {
                return Err(Error::new(
                    Kind::Config,
                    "standard input is a terminal; pipe audio into it, or name a file",
                ));
            }
            (Source::Pipe(Box::new(io::stdin())), "standard input".to_owned())
        } else {
            (open_file(path)?, format!("`{}`", path.display()))
        };
        Ok(Self { decoder: Decoder::open(source, &name)?, name })
    }

    /// What it is, for those who want to know.
    pub(super) fn describe(&self) -> String {
        let length = self.duration_hint().map(|length| format!(", {length:.1} s")).unwrap_or_default();
        format!("{}: {} Hz, channels: {}{length}", self.name, self.decoder.rate(), self.decoder.channels())
    }

    /// How long it will be, in seconds, if its header tells.
    pub(super) fn duration_hint(&self) -> Option<f64> {
        self.decoder.duration_hint()
    }

    /// Begins to decode: the messages of a call, and how the reading ends.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn send(self, config: RecognitionConfig) -> Result<(ReceiverStream<RecognizeFileRequest>, Outcome)> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (ended, end) = oneshot::channel();
        thread::Builder::new()
            .name("decode".to_owned())
            .spawn(move || {
                let Self { decoder, name } = self;
                let outcome = decode(decoder, &name, config, &sender);
                // First the outcome, then the end of the stream: who sees the end can know how it came.
                ended.send(outcome).unwrap_or_default();
                drop(sender);
            })
            .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread to decode audio").because(cause))?;
        Ok((ReceiverStream::new(receiver), Outcome { receiver: end, known: None }))
    }
}

impl Outcome {
    /// Waits for the reading to fail; `None` once it has ended well.
    pub(super) async fn failure(&mut self) -> Option<Error> {
        if self.known.is_none() {
            // A thread that ends without a word has panicked, and said so.
            let ended = (&mut self.receiver).await;
            self.known = Some(ended.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "the decoder failed"))));
        }
        self.take_failure()
    }

    /// The failure of the reading, if it is known by now.
    pub(super) fn failure_now(&mut self) -> Option<Error> {
        if self.known.is_none() {
            self.known = self.receiver.try_recv().ok();
        }
        self.take_failure()
    }

    /// What is to be said of a recording that was read to its end.
    pub(super) fn warnings(self) -> Vec<String> {
        self.known.and_then(Result::ok).unwrap_or_default()
    }

    fn take_failure(&mut self) -> Option<Error> {
        match self.known.take() {
            Some(Err(error)) => Some(error),
            other => {
                self.known = other;
                None
            }
        }
    }
}

fn open_file(path: &Path) -> Result<Source> {
    let name = path.display();
    let cannot = |cause: io::Error| match cause.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::NotFound, format!("`{name}` does not exist")),
        io::ErrorKind::PermissionDenied => Error::new(Kind::Io, format!("cannot read `{name}`: permission denied")),
        _ => Error::new(Kind::Io, format!("cannot read `{name}`")).because(cause),
    };
    let file = File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(Error::invalid(format!("`{name}` is a folder; name a file in it")));
    }
    // A named pipe or a device cannot be read twice, nor from the middle.
    Ok(if metadata.is_file() { Source::File(file) } else { Source::Pipe(Box::new(file)) })
}

/// Sends everything; says what is to be warned of.
fn decode(
    mut decoder: Decoder,
    name: &str,
    config: RecognitionConfig,
    sender: &mpsc::Sender<RecognizeFileRequest>,
) -> Result<Vec<String>> {
    let send = |message| sender.blocking_send(RecognizeFileRequest { message: Some(message) }).is_ok();
    let mut wanted = send(Message::Config(config));
    while wanted {
        let Some(block) = decoder.next()? else { break };
        let samples: Vec<i16> = block.into_iter().map(audio::to_i16).collect();
        // Where nobody takes it any more, the call has ended, and says itself why.
        wanted = samples.is_empty() || send(Message::Audio(audio::i16_to_bytes(&samples).into()));
    }
    let mut warnings = Vec::new();
    if let Some(cut) = decoder.truncated() {
        let (announced, found) = (cut.announced, cut.found);
        if found == 0.0 {
            return Err(Error::invalid(format!(
                "{name} is cut short: its header announces {announced:.1} s, none is there"
            )));
        }
        warnings.push(format!("{name} ends early: its header announces {announced:.1} s, {found:.1} s are there"));
    }
    if decoder.damaged() > 0 {
        warnings.push(format!("{name} is damaged: {} pieces of it are left out", decoder.damaged()));
    }
    Ok(warnings)
}
