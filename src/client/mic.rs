//! Where audio comes from: a microphone, as 16 kHz mono in chunks of 100 ms.
//!
//! The device is heard on a thread of its own, which only puts samples into a ring: no allocation, no lock, no log.
//! Whoever listens empties the ring, looking every 20 ms: to wake somebody, the thread would need a lock. A listener who
//! is late for more than the ring holds loses audio, which is counted; the device never waits.
//!
//! Nothing here waits without end: neither for a sound server that hangs, nor for a microphone that gives nothing.

mod capture;
mod level;

use crate::{
    audio::{RECOGNITION_RATE, resample::Resampler, to_i16},
    client::sound::{self, Role},
    error::{Error, Kind, Result},
};
use capture::Capture;
use std::time::Duration;
use tokio::time::{Instant, sleep};

pub(crate) use level::{Level, level};
pub(crate) use sound::Device;

/// How long a microphone may give nothing at all. Silence is something: it comes as zeros.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a device may take to stop. What it gives until then is heard.
const STOPPING: Duration = Duration::from_secs(1);

/// How long a device that is gone may take to tell why.
const EXCUSE: Duration = Duration::from_millis(500);

/// How often we look for new samples.
const LOOK: Duration = Duration::from_millis(20);

/// Samples in a chunk: 100 ms.
const CHUNK: usize = RECOGNITION_RATE as usize / 10;

/// An open microphone. It is let go when this is dropped.
pub(crate) struct Microphone {
    capture: Capture,
    /// None once all was heard.
    resampler: Option<Resampler>,
    /// What was heard and not yet given.
    ready: Vec<i16>,
    /// How long nothing has come. Counted while waiting only, so that a program that was suspended does not blame the
    /// microphone.
    quiet: Duration,
    /// Until when a device that was told to stop may still give something.
    stopping: Option<Instant>,
    /// Why it ended, until that is told.
    failure: Option<Error>,
}

/// Opens a microphone: the default one, or one by its id, its name, or a part of its name.
///
/// # Errors
/// `InvalidInput`: several have this part in their names. `NotFound`: none has. `Io`: there is no microphone or no sound
/// server, or it cannot be opened. A device that is denied is `Io` too: it is this machine that does not let us, and no
/// server that knows who calls.
pub(crate) async fn open(name: Option<&str>) -> Result<Microphone> {
    let wanted = name.filter(|name| !name.is_empty()).map(str::to_owned);
    let capture = sound::on_thread(Role::Microphone, move |reply| capture::run(wanted.as_deref(), reply)).await?;
    Microphone::try_new(capture)
}

impl Microphone {
    fn try_new(capture: Capture) -> Result<Self> {
        let resampler = Resampler::try_new(capture.device.rate, RECOGNITION_RATE)
            .map_err(|error| Error::new(Kind::Io, format!("cannot use {}", capture.device)).because(error))?;
        Ok(Self {
            capture,
            resampler: Some(resampler),
            ready: Vec::new(),
            quiet: Duration::ZERO,
            stopping: None,
            failure: None,
        })
    }

    /// The next 100 ms at 16 kHz; the last chunk may be shorter. None after [`Self::stop`], once all was given.
    /// A call that is given up loses nothing.
    ///
    /// # Errors
    /// `Io`: the microphone was unplugged, the sound server has ended, or no sound has come for 5 s. It is told once,
    /// after what was heard until then.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<i16>>> {
        loop {
            if self.ready.len() >= CHUNK {
                let later = self.ready.split_off(CHUNK);
                return Ok(Some(std::mem::replace(&mut self.ready, later)));
            }
            if self.resampler.is_none() {
                return match (self.ready.is_empty(), self.failure.take()) {
                    (false, failure) => {
                        self.failure = failure;
                        Ok(Some(std::mem::take(&mut self.ready)))
                    }
                    (true, Some(failure)) => Err(failure),
                    (true, None) => Ok(None),
                };
            }
            // Asked before the ring is emptied: then nothing can come after what is in it.
            let has_ended = self.has_ended();
            self.hear()?;
            if has_ended {
                self.finish()?;
            } else if self.ready.len() < CHUNK {
                sleep(LOOK).await;
                self.quiet += LOOK;
            }
        }
    }

    /// Stops the device. What was heard until now still comes, then None.
    pub(crate) fn stop(&mut self) {
        self.capture.let_go();
        self.stopping.get_or_insert_with(|| Instant::now() + STOPPING);
    }

    /// How much was lost as nobody asked for it in time.
    pub(crate) fn dropped(&self) -> Duration {
        Duration::from_secs_f64(self.capture.lost() as f64 / f64::from(self.capture.device.rate))
    }

    /// What the user calls it.
    pub(crate) fn name(&self) -> &str {
        &self.capture.device.name
    }

    /// Which one it is.
    pub(crate) fn device(&self) -> &Device {
        &self.capture.device
    }

    /// Takes what is in the ring.
    fn hear(&mut self) -> Result<()> {
        let heard = self.capture.take();
        if let (false, Some(resampler)) = (heard.is_empty(), &mut self.resampler) {
            self.quiet = Duration::ZERO;
            self.ready.extend(resampler.push(&heard)?.into_iter().map(to_i16));
        }
        Ok(())
    }

    /// Takes what the resampler still holds; nothing comes after that.
    fn finish(&mut self) -> Result<()> {
        self.capture.let_go();
        if let Some(resampler) = self.resampler.take() {
            self.ready.extend(resampler.finish()?.into_iter().map(to_i16));
        }
        Ok(())
    }

    /// Whether the device gives nothing more. Remembers why.
    fn has_ended(&mut self) -> bool {
        let is_gone = self.capture.is_gone();
        if let Some(until) = self.stopping {
            return is_gone || Instant::now() >= until;
        }
        let device = &self.capture.device;
        let failure = if let Ok(cause) = self.capture.failure.try_recv() {
            sound::lost(device, cause)
        } else if is_gone && self.quiet >= EXCUSE {
            Error::new(Kind::Io, format!("{device} has ended"))
        } else if self.quiet >= PATIENCE {
            let what = format!("not even silence, for {} s; is it suspended?", PATIENCE.as_secs());
            Error::new(Kind::Io, format!("{device} gives no sound, {what}"))
        } else {
            return false;
        };
        self.failure = Some(failure);
        true
    }
}

#[cfg(test)]
mod tests;
