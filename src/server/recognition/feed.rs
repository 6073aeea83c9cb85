//! Where a recording comes from: bytes as they arrive, turned into 16 kHz mono samples.
//!
//! Decoding a file blocks, so it has a thread of its own, between two bounded queues.

use crate::{
    audio::{
        self,
        decode::{Decoder, Source},
        resample::Resampler,
    },
    error::{Error, Kind, Result},
    speech::Samples,
};
use bytes::{Buf, Bytes};
use std::{
    io::{self, Read},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::{Stream, StreamExt};

/// Pieces of a file that wait for the decoder; pieces of audio that wait for the engine.
const AHEAD: usize = 8;

/// How long the next audio may take to arrive: somebody may think while they dictate.
const STALL: Duration = Duration::from_secs(600);

/// Bytes as they arrive.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// What the decoder gives.
#[derive(Debug)]
enum Piece {
    Samples(Vec<i16>),
    Warning(String),
    /// The end. Without it the decoder broke off.
    End,
}

/// A recording on its way in.
pub(crate) struct Feed {
    from: From,
    /// What the caller should know of the recording.
    pub(crate) warnings: Vec<String>,
}

enum From {
    Pcm(Box<Pcm>),
    File { pieces: mpsc::Receiver<Result<Piece>>, _pump: Pump },
}

/// Bare samples at any rate.
struct Pcm {
    bytes: ByteStream,
    /// Hz.
    rate: u32,
    /// The first half of a sample whose second half has not arrived.
    odd: Option<u8>,
    /// Gone once the recording has ended.
    resampler: Option<Resampler>,
}

/// The task that carries bytes to the decoder; it ends with the feed.
struct Pump(Option<JoinHandle<()>>);

impl Drop for Pump {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Feed {
    /// Bare 16-bit mono samples at `rate`.
    ///
    /// # Errors
    /// `InvalidInput` for a rate that cannot be.
    pub(crate) fn from_pcm(bytes: ByteStream, rate: u32) -> Result<Self> {
        let resampler = Resampler::try_new(rate, Samples::RATE)?;
        let pcm = Pcm { bytes, rate, odd: None, resampler: Some(resampler) };
        Ok(Self { from: From::Pcm(Box::new(pcm)), warnings: Vec::new() })
    }

    /// A whole audio file.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread. What is wrong with the file comes with its samples.
    pub(crate) fn from_file(file: Bytes) -> Result<Self> {
        let pieces = decode_on_thread(Source::Bytes(file.into()), Broken::default())?;
        Ok(Self { from: From::File { pieces, _pump: Pump(None) }, warnings: Vec::new() })
    }

    /// An audio file that arrives in pieces.
    ///
    /// # Errors
    /// `Internal` where the system gives no thread. What is wrong with the file comes with its samples.
    pub(crate) fn from_file_stream(mut bytes: ByteStream) -> Result<Self> {
        let (sender, receiver) = mpsc::channel::<Result<Bytes>>(AHEAD);
        let broken = Broken::default();
        let reader = ChannelReader { receiver, current: Bytes::new(), broken: Arc::clone(&broken) };
        let pieces = decode_on_thread(Source::Pipe(Box::new(reader)), broken)?;
        let pump = tokio::spawn(async move {
            while let Some(piece) = bytes.next().await {
                let is_last = piece.is_err();
                // The decoder has gone: it has seen enough, or too much.
                if sender.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Self { from: From::File { pieces, _pump: Pump(Some(pump)) }, warnings: Vec::new() })
    }

    /// The next samples; `None` at the end of the recording. To give up waiting loses nothing.
    ///
    /// # Errors
    /// What is wrong with the file, or with whoever sends it.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<i16>>> {
        let next = self.next_piece();
        let silent = || Error::new(Kind::Deadline, "no audio has come for ten minutes");
        timeout(STALL, next).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn next_piece(&mut self) -> Result<Option<Vec<i16>>> {
        match &mut self.from {
            From::Pcm(pcm) => pcm.next().await,
            From::File { pieces, .. } => match pieces.recv().await {
                Some(Ok(Piece::Samples(samples))) => Ok(Some(samples)),
                Some(Ok(Piece::Warning(warning))) => {
                    self.warnings.push(warning);
                    Ok(Some(Vec::new()))
                }
                Some(Ok(Piece::End)) => Ok(None),
                Some(Err(error)) => Err(error),
                None => Err(Error::new(Kind::Internal, "the decoder broke off; the audio may be damaged")),
            },
        }
    }
}

impl Pcm {
    async fn next(&mut self) -> Result<Option<Vec<i16>>> {
        if self.resampler.is_none() {
            return Ok(None);
        }
        let bytes = self.bytes.next().await;
        // Not before: whoever waits for this may give up waiting, and come back.
        let Some(mut resampler) = self.resampler.take() else { return Ok(None) };
        let samples = match bytes {
            Some(bytes) => {
                let samples = self.whole_samples(&bytes?);
                // At the clock's own rate there is nothing to do.
                if self.rate == Samples::RATE {
                    self.resampler = Some(resampler);
                    return Ok(Some(samples));
                }
                let samples: Vec<f32> = samples.into_iter().map(audio::to_f32).collect();
                let samples = resampler.push(&samples)?;
                self.resampler = Some(resampler);
                samples
            }
            None => {
                if self.odd.is_some() {
                    let message = "the audio ends in the middle of a sample; it takes 16-bit samples";
                    return Err(Error::invalid(message).in_field("audio"));
                }
                resampler.finish()?
            }
        };
        Ok(Some(samples.into_iter().map(audio::to_i16).collect()))
    }

    /// The samples in some bytes; a sample may be spread over two messages.
    fn whole_samples(&mut self, bytes: &[u8]) -> Vec<i16> {
        if self.odd.is_none() && bytes.len().is_multiple_of(2) {
            return audio::bytes_to_i16(bytes);
        }
        let mut whole = Vec::with_capacity(bytes.len() + 1);
        whole.extend(self.odd.take());
        whole.extend_from_slice(bytes);
        if whole.len() % 2 != 0 {
            self.odd = whole.pop();
        }
        audio::bytes_to_i16(&whole)
    }
}

/// Decodes on a thread that ends when the file does, or when nobody wants more.
fn decode_on_thread(source: Source, broken: Broken) -> Result<mpsc::Receiver<Result<Piece>>> {
    let (sender, pieces) = mpsc::channel(AHEAD);
    thread::Builder::new()
        .name("decode".to_owned())
        .spawn(move || {
            let end = decode(source, &sender).map(|()| Piece::End);
            // What broke the stream goes before what the decoder makes of that.
            let end =
                end.map_err(|error| broken.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or(error));
            // Whoever has gone needs no end.
            sender.blocking_send(end).unwrap_or_default();
        })
        .map_err(|cause| Error::new(Kind::Internal, "the system gives no thread to decode audio").because(cause))?;
    Ok(pieces)
}

fn decode(source: Source, sender: &mpsc::Sender<Result<Piece>>) -> Result<()> {
    let mut decoder = Decoder::open(source, "the audio")?;
    while let Some(block) = decoder.next()? {
        let samples = block.into_iter().map(audio::to_i16).collect();
        if sender.blocking_send(Ok(Piece::Samples(samples))).is_err() {
            return Ok(());
        }
    }
    for warning in decoder.verdict()? {
        sender.blocking_send(Ok(Piece::Warning(warning))).unwrap_or_default();
    }
    Ok(())
}

/// A queue of bytes as something to read from.
struct ChannelReader {
    receiver: mpsc::Receiver<Result<Bytes>>,
    current: Bytes,
    broken: Broken,
}

/// Why the bytes broke off, for whoever reads them can only pass on an I/O error.
type Broken = Arc<Mutex<Option<Error>>>;

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                None => return Ok(0),
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(error)) => {
                    let message = error.to_string();
                    self.broken.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                    return Err(io::Error::other(message));
                }
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current.split_to(count).copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
