//! The thread that owns the device, and the callback that fills the ring.

use super::device::{self, Device, Found};
use crate::error::Result;
use cpal::{
    BufferSize, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize, SupportedStreamConfig,
    traits::{DeviceTrait, StreamTrait},
};
use rtrb::{Consumer, Producer, RingBuffer};
use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How long the ring holds out while nobody listens, in seconds.
const RING: usize = 10;

/// How many pieces of sound a device is asked for each second. Left to itself PulseAudio saves them up for 2 s. Asked by
/// cpal for short pieces it has room for one only, and whatever comes in longer ones it drops without a word: a busy
/// machine, and devices with a mind of their own, need some room. PipeWire keeps room for four.
const PIECES: u32 = 5;

/// How often we look whether the device is still there.
const CHECK: Duration = Duration::from_secs(1);

/// A device that records.
pub(super) struct Capture {
    /// Which one.
    pub(super) device: Device,
    /// Why it ended. The first cause is enough, so there is room for one.
    pub(super) failure: mpsc::Receiver<cpal::Error>,
    /// What was heard: mono, at the rate of the device.
    ring: Consumer<f32>,
    /// Samples for which the ring had no room.
    lost: Arc<AtomicU64>,
    /// Dropped to stop the device.
    leash: Option<SyncSender<Infallible>>,
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

    /// Whether the callback is gone, and all that will ever come is in the ring.
    pub(super) fn is_gone(&self) -> bool {
        self.ring.is_abandoned()
    }
}

/// The other end of a [`Capture`]: what the callback writes to.
struct Input {
    ring: Producer<f32>,
    lost: Arc<AtomicU64>,
    channels: usize,
}

impl Input {
    /// Puts samples of all channels into the ring. Called on the thread of the device: neither waits nor allocates.
    fn pour<T: Copy>(&mut self, samples: &[T], widen: impl Fn(T) -> f32) {
        let share = 1.0 / self.channels as f32;
        let mono = samples.chunks_exact(self.channels).map(|frame| {
            let mean = frame.iter().map(|&sample| widen(sample)).sum::<f32>() * share;
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
fn connect(device: Device) -> (Capture, Input, mpsc::Sender<cpal::Error>, Receiver<Infallible>) {
    let (filled, ring) = RingBuffer::new(device.rate as usize * RING);
    let (failed, failure) = mpsc::channel(1);
    // Nothing is ever sent: it is only let go.
    let (leash, let_go) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let input = Input { ring: filled, lost: lost.clone(), channels: device.channels.max(1).into() };
    (Capture { device, failure, ring, lost, leash: Some(leash) }, input, failed, let_go)
}

/// Owns a device from its opening to its end: not everywhere may it change its thread. May hang anywhere, as the sound
/// server does.
pub(super) fn run(wanted: Option<&str>, reply: oneshot::Sender<Result<Capture>>) {
    let opened = device::open_host().and_then(|host| Ok((device::find(&host, wanted)?, host)));
    let (found, host) = match opened {
        Ok(opened) => opened,
        // Nobody to tell is nobody who minds, here as below.
        Err(error) => return drop(reply.send(Err(error))),
    };
    let (capture, input, failed, let_go) = connect(found.device.clone());
    let stream = match build(&found, input, failed.clone()) {
        Ok(stream) => stream,
        Err(cause) => return drop(reply.send(Err(device::unusable(&found.device, cause)))),
    };
    if reply.send(Ok(capture)).is_err() {
        return;
    }
    // This waits for the first sound; who listens has patience of its own.
    if let Err(cause) = stream.play() {
        failed.try_send(cause).unwrap_or_default();
    }
    while let Err(RecvTimeoutError::Timeout) = let_go.recv_timeout(CHECK) {
        if found.is_unplugged(&host) {
            let cause = cpal::Error::with_message(cpal::ErrorKind::DeviceNotAvailable, "it is not listed any more");
            failed.try_send(cause).unwrap_or_default();
        }
    }
}

/// Opens the device as it is, whatever its format.
fn build(found: &Found, input: Input, failed: mpsc::Sender<cpal::Error>) -> Result<cpal::Stream, cpal::Error> {
    match found.config.sample_format() {
        SampleFormat::I8 => build_as(found, input, failed, widen::<i8>),
        SampleFormat::I16 => build_as(found, input, failed, widen::<i16>),
        SampleFormat::I24 => build_as(found, input, failed, widen_i24),
        SampleFormat::I32 => build_as(found, input, failed, widen::<i32>),
        SampleFormat::I64 => build_as(found, input, failed, widen::<i64>),
        SampleFormat::U8 => build_as(found, input, failed, widen::<u8>),
        SampleFormat::U16 => build_as(found, input, failed, widen::<u16>),
        SampleFormat::U24 => build_as(found, input, failed, widen_u24),
        SampleFormat::U32 => build_as(found, input, failed, widen::<u32>),
        SampleFormat::U64 => build_as(found, input, failed, widen::<u64>),
        SampleFormat::F32 => build_as(found, input, failed, widen::<f32>),
        SampleFormat::F64 => build_as(found, input, failed, widen::<f64>),
        _ => Err(cpal::Error::new(cpal::ErrorKind::UnsupportedConfig)),
    }
}

fn build_as<T: SizedSample + Send + 'static>(
    found: &Found,
    mut input: Input,
    failed: mpsc::Sender<cpal::Error>,
    widen: impl Fn(T) -> f32 + Copy + Send + 'static,
) -> Result<cpal::Stream, cpal::Error> {
    let config = StreamConfig { buffer_size: piece(&found.config), ..found.config.config() };
    let hear = move |samples: &[T], _: &cpal::InputCallbackInfo| input.pour(samples, widen);
    let fail = move |cause: cpal::Error| {
        if is_fatal(&cause) {
            failed.try_send(cause).unwrap_or_default();
        }
    };
    found.handle.build_input_stream(config, hear, fail, None)
}

/// A sample in -1.0..=1.0.
fn widen<T: SizedSample>(sample: T) -> f32
where
    f32: FromSample<T>,
{
    sample.to_sample()
}

/// The same for 24 bits in 32. What is in the other 8 is anything: PulseAudio gives zeros below zero, too, so that cpal's
/// own conversion makes noise of it.
fn widen_i24(sample: cpal::I24) -> f32 {
    widen(sample.inner() << 8)
}

/// The same without a sign.
fn widen_u24(sample: cpal::U24) -> f32 {
    widen((sample.inner() << 8).cast_unsigned())
}

/// How much sound a device is asked to give at a time.
fn piece(config: &SupportedStreamConfig) -> BufferSize {
    match *config.buffer_size() {
        SupportedBufferSize::Range { min, max } => BufferSize::Fixed((config.sample_rate() / PIECES).max(min).min(max)),
        SupportedBufferSize::Unknown => BufferSize::Default,
    }
}

/// Whether a device that says this gives no more sound.
fn is_fatal(cause: &cpal::Error) -> bool {
    use cpal::ErrorKind::{DeviceChanged, RealtimeDenied, Xrun};
    !matches!(cause.kind(), DeviceChanged | RealtimeDenied | Xrun)
}

#[cfg(test)]
pub(super) mod tests;
