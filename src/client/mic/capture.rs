//! The thread that hears the device, and the ring that it fills.

use crate::{
    client::sound::{self, CHECK, Device, Event, Fault, Leash, Role, Stream},
    error::Result,
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// How long the ring holds out while nobody listens, in seconds.
const RING: usize = 10;

/// How much sound the server gives at a time. What comes late comes in longer pieces.
const PIECE: Duration = Duration::from_millis(50);

/// The bytes of a sample.
const SAMPLE: usize = size_of::<f32>();

/// A device that records.
pub(super) struct Capture {
    /// Which one.
    pub(super) device: Device,
    /// Why it ended. The first cause is enough, so there is room for one.
    pub(super) failure: mpsc::Receiver<Fault>,
    /// What was heard: mono, at the rate of the device.
    ring: Consumer<f32>,
    /// Samples for which the ring had no room.
    lost: Arc<AtomicU64>,
    /// Dropped to stop the device.
    leash: Option<Leash>,
}

impl Capture {
    /// Takes all that was heard since.
    pub(super) fn take(&mut self) -> Vec<f32> {
        match self.ring.read_chunk(self.ring.slots()) {
            Ok(chunk) => chunk.into_iter().collect(),
            // Only we take samples away, so there are no fewer than a moment ago.
            Err(_) => Vec::new(),
        }
    }

    /// Samples for which the ring had no room.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Stops the device, soon.
    pub(super) fn let_go(&mut self) {
        self.leash = None;
    }

    /// Whether nobody hears any more, and all that will ever come is in the ring.
    pub(super) fn is_gone(&self) -> bool {
        self.ring.is_abandoned()
    }
}

/// The other end of a [`Capture`]: what the thread writes to.
struct Input {
    ring: Producer<f32>,
    lost: Arc<AtomicU64>,
    channels: usize,
}

impl Input {
    /// Puts samples of all channels, as they come from the server, into the ring. Neither waits nor allocates.
    fn pour(&mut self, bytes: &[u8]) {
        let share = 1.0 / self.channels as f32;
        let (samples, _) = bytes.as_chunks::<SAMPLE>();
        let mono = samples.chunks_exact(self.channels).map(|frame| {
            let mean = frame.iter().map(|&sample| f32::from_le_bytes(sample)).sum::<f32>() * share;
            if mean.is_nan() { 0.0 } else { mean.clamp(-1.0, 1.0) }
        });
        let count = mono.len();
        let room = self.ring.slots().min(count);
        let taken = self.ring.write_chunk_uninit(room).map_or(0, |chunk| chunk.fill_from_iter(mono));
        if taken < count {
            self.lost.fetch_add((count - taken) as u64, Ordering::Relaxed);
        }
    }
}

/// A ring between a device and who listens, with a way to tell failures and one to stop.
fn connect(device: Device, leash: Leash) -> (Capture, Input, mpsc::Sender<Fault>) {
    let (filled, ring) = RingBuffer::new(device.rate as usize * RING);
    let (failed, failure) = mpsc::channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let input = Input { ring: filled, lost: lost.clone(), channels: device.channels.max(1).into() };
    (Capture { device, failure, ring, lost, leash: Some(leash) }, input, failed)
}

/// Hears a device from its opening to its end. May hang while it opens, as the sound server does.
pub(super) fn run(wanted: Option<&str>, reply: oneshot::Sender<Result<Capture>>) {
    let opened = match sound::open(Role::Microphone, wanted) {
        Ok(opened) => opened,
        // Nobody to tell is nobody who minds, here as below.
        Err(error) => return drop(reply.send(Err(error))),
    };
    let device = opened.device.clone();
    let recorded = opened.record(PIECE).and_then(|(socket, stream)| Ok((Leash::of(&socket)?, socket, stream)));
    let (leash, socket, stream) = match recorded {
        Ok(recorded) => recorded,
        Err(cause) => return drop(reply.send(Err(sound::unusable(&device, cause)))),
    };
    let (capture, mut input, failed) = connect(device, leash);
    if reply.send(Ok(capture)).is_ok() {
        let Err(cause) = hear(socket, stream, &mut input);
        // Before the input goes: whoever sees that it is gone asks why.
        failed.try_send(cause).unwrap_or_default();
    }
}

/// Hears until there is no more to hear.
fn hear(mut socket: UnixStream, mut stream: Stream, input: &mut Input) -> Result<std::convert::Infallible, Fault> {
    let ended = |cause| Fault::Ended(Some(cause));
    socket.set_read_timeout(Some(CHECK)).map_err(ended)?;
    let mut due = Instant::now() + CHECK;
    loop {
        let mut is_due = Instant::now() >= due;
        while let Some(event) = stream.next()? {
            match event {
                Event::Sound(bytes) => input.pour(bytes),
                Event::Moved => is_due = true,
                _ => {}
            }
        }
        if is_due {
            socket.write_all(&stream.look()?).map_err(ended)?;
            due = Instant::now() + CHECK;
        }
        match socket.read(stream.room()) {
            Ok(0) => return Err(Fault::Ended(None)),
            Ok(count) => stream.filled(count),
            Err(cause) => match cause.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => return Err(ended(cause)),
            },
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
