//! Where a recording comes from: a file or stdin, decoded on a thread of its own, in constant memory.

use crate::{
    audio::{
        self,
        decode::{Block, Channels, Decoder, Part, Source},
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

/// The most channels that are transcribed each by itself. Each is a call to the server, and where they share one worker
/// they wait for each other; with a slow model more of them would wait longer than a server lets them.
const MOST_CALLS: usize = 4;

/// A recording that is known to be one.
pub(super) struct Recording {
    decoder: Decoder,
    /// What was decoded to see how many channels there are.
    first: Option<Block>,
    name: String,
    part: Part,
}

/// The messages of one call.
pub(super) type Messages = ReceiverStream<RecognizeFileRequest>;

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
    pub(super) fn open(path: &Path, part: Part) -> Result<Self> {
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
        let mut decoder = Decoder::open_part(source, part, &name)?;
        // Headers may say nothing of channels, or something else than what is there.
        let first = if part.channels == Channels::Each { decoder.next_block()? } else { None };
        if part.channels == Channels::Each && decoder.channels() > MOST_CALLS {
            let message = format!(
                "{name} has {} channels; up to {MOST_CALLS} are transcribed each by itself, choose one with `--channel N`",
                decoder.channels()
            );
            return Err(Error::invalid(message));
        }
        Ok(Self { decoder, first, name, part })
    }

    /// What it is, for those who want to know.
    pub(super) fn describe(&self) -> String {
        let length = self.duration_hint().map(|length| format!(", {length:.1} s")).unwrap_or_default();
        format!("{}: {} Hz, channels: {}{length}", self.name, self.decoder.rate(), self.decoder.channels())
    }

    /// What messages call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long the part of it that is transcribed will be, in seconds, if its header tells.
    pub(super) fn duration_hint(&self) -> Option<f64> {
        self.decoder.duration_hint()
    }

    /// How many calls it takes: one for each channel that is given.
    pub(super) fn calls(&self) -> usize {
        if self.part.channels == Channels::Each { self.decoder.channels().max(1) } else { 1 }
    }

    /// Begins to decode: the messages of each call, and how the reading ends.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn send(self, config: &RecognitionConfig) -> Result<(Vec<Messages>, Outcome)> {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..self.calls()).map(|_| mpsc::channel(AHEAD)).unzip();
        let config = config.clone();
        let outcome = on_thread(senders, move |senders| self.decode(&config, senders))?;
        Ok((receivers.into_iter().map(ReceiverStream::new).collect(), outcome))
    }

    /// Begins to decode: the samples of the first channel that is given, and how the reading ends.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread.
    pub(super) fn listen(mut self) -> Result<(mpsc::Receiver<Vec<i16>>, Outcome)> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let outcome = on_thread(sender, move |sender| {
            while let Some(block) = self.decoder.next()? {
                // Where nobody takes it any more, enough was heard.
                if sender.blocking_send(block.into_iter().map(audio::to_i16).collect()).is_err() {
                    return Ok(Vec::new());
                }
            }
            self.decoder.verdict()
        })?;
        Ok((receiver, outcome))
    }

    /// Sends everything; says what is to be warned of.
    fn decode(
        mut self,
        config: &RecognitionConfig,
        senders: &[mpsc::Sender<RecognizeFileRequest>],
    ) -> Result<Vec<String>> {
        let send = |sender: &mpsc::Sender<_>, message| {
            sender.blocking_send(RecognizeFileRequest { message: Some(message) }).is_ok()
        };
        let mut wanted = senders.iter().all(|sender| send(sender, Message::Config(config.clone())));
        while wanted {
            let Some(block) = self.first.take().map_or_else(|| self.decoder.next_block(), |first| Ok(Some(first)))?
            else {
                break;
            };
            // Where nobody takes it any more, the call has ended, and says itself why.
            wanted = senders.iter().zip(block).all(|(sender, channel)| {
                let samples: Vec<i16> = channel.into_iter().map(audio::to_i16).collect();
                send(sender, Message::Audio(audio::i16_to_bytes(&samples).into()))
            });
        }
        if wanted { self.decoder.verdict() } else { Ok(Vec::new()) }
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

/// Reads on a thread of its own. `senders` are where it goes.
fn on_thread<S: Send + 'static>(
    senders: S,
    read: impl FnOnce(&S) -> Result<Vec<String>> + Send + 'static,
) -> Result<Outcome> {
    let (ended, receiver) = oneshot::channel();
    thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || {
            let outcome = read(&senders);
            // First the outcome, then the end of the stream: who sees the end can know how it came.
            ended.send(outcome).unwrap_or_default();
            drop(senders);
        })
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread to decode audio").because(cause))?;
    Ok(Outcome { receiver, known: None })
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
