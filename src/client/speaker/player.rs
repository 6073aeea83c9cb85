//! The task that plays: gives the sound server what it asks for, as far as there is any.

use crate::client::sound::{CHECK, Event, Fault, Stream};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    net::UnixStream,
    sync::mpsc::Receiver,
    time::{Instant, timeout},
};

/// How long the server may ask for nothing while there is something, or leave the question for an end unanswered.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bytes of a sample.
const SAMPLE: usize = size_of::<i16>();

/// Plays one stream to its end.
pub(super) struct Player {
    socket: UnixStream,
    stream: Stream,
    /// What is to be played.
    pending: Vec<u8>,
    /// For how many bytes the server has room.
    room: usize,
    /// With so many bytes pending, nothing more is taken.
    most: usize,
    underruns: Arc<AtomicU64>,
    /// Whether nothing more is to come, and the server knows.
    is_draining: bool,
    is_drained: bool,
    /// When to look whether the device is there.
    due: Instant,
    /// When the server last asked for sound, or we had none.
    asked: Instant,
}

impl Player {
    pub(super) fn new(socket: UnixStream, stream: Stream, room: usize, most: usize, underruns: Arc<AtomicU64>) -> Self {
        let (pending, now) = (Vec::new(), Instant::now());
        let (is_draining, is_drained) = (false, false);
        Self { socket, stream, pending, room, most, underruns, is_draining, is_drained, due: now + CHECK, asked: now }
    }

    /// Plays until the queue has ended and all of it is heard.
    pub(super) async fn play(mut self, mut queue: Receiver<Vec<i16>>) -> Result<(), Fault> {
        let mut is_over = false;
        loop {
            self.hear()?;
            self.pour().await?;
            if self.is_drained {
                return Ok(());
            }
            if is_over && self.pending.is_empty() && !self.is_draining {
                let question = self.stream.drain()?;
                self.send(&question).await?;
                (self.is_draining, self.asked) = (true, Instant::now());
            }
            self.look().await?;
            let may_take = !is_over && self.pending.len() < self.most;
            // Whichever is ready; the time is for looking only.
            let woken = timeout(CHECK, async {
                tokio::select! {
                    biased;
                    ready = self.socket.readable() => ready.map(|()| None).map_err(ended),
                    piece = queue.recv(), if may_take => Ok(Some(piece)),
                }
            });
            match woken.await {
                Ok(Ok(None)) => self.read()?,
                Ok(Ok(Some(Some(piece)))) => self.take(&piece),
                Ok(Ok(Some(None))) => is_over = true,
                Ok(Err(fault)) => return Err(fault),
                Err(_) if self.is_stalled() => return Err(Fault::Stalled),
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, piece: &[i16]) {
        if self.pending.is_empty() {
            self.asked = Instant::now();
        }
        self.pending.extend(piece.iter().flat_map(|sample| sample.to_le_bytes()));
    }

    /// Whether the server owes us something for long.
    fn is_stalled(&self) -> bool {
        (self.is_draining || !self.pending.is_empty()) && self.asked.elapsed() >= PATIENCE
    }

    /// Minds what was read.
    fn hear(&mut self) -> Result<(), Fault> {
        while let Some(event) = self.stream.next()? {
            match event {
                Event::Wants(bytes) => {
                    self.room = self.room.saturating_add(bytes);
                    self.asked = Instant::now();
                }
                Event::Underrun => {
                    self.underruns.fetch_add(1, Ordering::Relaxed);
                }
                Event::Moved => self.due = Instant::now(),
                Event::Drained => self.is_drained = true,
                Event::Sound(_) | Event::Nothing => {}
            }
        }
        Ok(())
    }

    /// Gives as much as there is room for.
    async fn pour(&mut self) -> Result<(), Fault> {
        let count = self.room.min(self.pending.len()) / SAMPLE * SAMPLE;
        if count > 0 {
            let sound = self.stream.sound(&self.pending[..count])?;
            self.pending.drain(..count);
            self.room -= count;
            self.send(&sound).await?;
        }
        Ok(())
    }

    /// Asks from time to time whether the device is there.
    async fn look(&mut self) -> Result<(), Fault> {
        if Instant::now() >= self.due {
            self.due = Instant::now() + CHECK;
            let question = self.stream.look()?;
            self.send(&question).await?;
        }
        Ok(())
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Fault> {
        // What the server has asked for fits into the socket, so this waits for a server that hangs only.
        match timeout(PATIENCE, self.socket.write_all(message)).await {
            Ok(written) => written.map_err(ended),
            Err(_) => Err(Fault::Stalled),
        }
    }

    fn read(&mut self) -> Result<(), Fault> {
        match self.socket.try_read(self.stream.room()) {
            Ok(0) => Err(Fault::Ended(None)),
            Ok(count) => {
                self.stream.filled(count);
                Ok(())
            }
            Err(cause) if matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(cause) => Err(ended(cause)),
        }
    }
}

fn ended(cause: io::Error) -> Fault {
    Fault::Ended(Some(cause))
}
