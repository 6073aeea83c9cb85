//! Where speech comes from: a microphone, or a file or pipe that is read while it is decoded. All of it is 16 kHz, in
//! chunks.

use crate::{
    audio::decode::Part,
    client::{
        Context,
        mic::{self, Microphone},
        stt::{
            live::args::Settings,
            source::{Outcome, Recording},
        },
    },
    error::Result,
    speech::Samples,
};
use std::{path::Path, time::Duration};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep_until, timeout},
};

/// The least of audio that is sent at once, as long as more comes: a tenth of a second.
const LEAST: usize = Samples::RATE as usize / 10;

/// The most.
pub(super) const MOST: usize = Samples::RATE as usize;

/// How long less than that waits for more.
const IDLE: Duration = Duration::from_millis(100);

/// How long nothing waits for something: as long as it takes.
const FOREVER: Duration = Duration::MAX;

/// How long a microphone may take to stop.
const LAST_CHUNK: Duration = Duration::from_millis(500);

/// Somebody who speaks, or spoke.
pub(super) struct Source {
    from: From,
    /// What was read and not given yet.
    pending: Vec<i16>,
    /// How much may still be given.
    left: usize,
    /// When what was given would have been spoken, where that matters.
    pace: Option<Instant>,
    is_over: bool,
    is_stopped: bool,
}

enum From {
    Mic(Box<Microphone>),
    File { name: String, blocks: Receiver<Vec<i16>>, outcome: Outcome },
}

impl Source {
    /// Begins to listen.
    ///
    /// # Errors
    /// What is wrong with the device or the file.
    pub(super) async fn open(settings: &Settings, file: &Path, part: Part, context: &Context) -> Result<Self> {
        let from = if settings.is_mic {
            From::Mic(Box::new(mic::open(settings.device.as_deref()).await?))
        } else {
            let path = file.to_owned();
            let recording = context.on_thread(move || Recording::open(&path, part)).await?;
            context.output.note_verbose(&recording.describe());
            let name = recording.name().to_owned();
            let (blocks, outcome) = recording.listen()?;
            From::File { name, blocks, outcome }
        };
        let left =
            settings.max_duration.map_or(usize::MAX, |most| Samples::from_seconds(most.as_secs_f64()).0 as usize);
        let pace = settings.is_paced.then(Instant::now);
        Ok(Self { from, pending: Vec::new(), left, pace, is_over: false, is_stopped: false })
    }

    /// What it is called.
    pub(super) fn name(&self) -> String {
        match &self.from {
            From::Mic(microphone) => format!("microphone `{}`", microphone.name()),
            From::File { name, .. } => name.clone(),
        }
    }

    /// What the user should know of it before anything is said.
    pub(super) fn warning(&self) -> Option<String> {
        match &self.from {
            From::Mic(microphone) if microphone.device().is_monitor => {
                Some(format!("there is no microphone; listening to what `{}` plays", microphone.name()))
            }
            _ => None,
        }
    }

    /// Whether it waits until it is heard. A microphone does not.
    pub(super) fn waits(&self) -> bool {
        matches!(self.from, From::File { .. })
    }

    /// The next chunk, not empty; none at the end. Where this is not waited for to its end, nothing is lost.
    ///
    /// # Errors
    /// What is wrong with it, once; what was heard before that comes after it.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<i16>>> {
        while !self.is_over && self.pending.len() < LEAST.min(self.left) {
            let idle = if self.pending.is_empty() { FOREVER } else { IDLE };
            match timeout(idle, self.read()).await {
                Ok(Ok(Some(samples))) => self.pending.extend(samples),
                Ok(Ok(None)) => self.is_over = true,
                Ok(Err(error)) => {
                    self.is_over = true;
                    return Err(error);
                }
                // Whoever writes into a pipe may have said all for now.
                Err(_) => break,
            }
        }
        self.read_on();
        let most = if self.pace.is_some() { LEAST } else { MOST };
        let count = self.pending.len().min(most).min(self.left);
        if let Some(due) = self.pace {
            let length = Duration::from_secs_f64(Samples(count as i64).seconds());
            sleep_until(due + length).await;
            self.pace = Some(due + length);
        }
        let rest = self.pending.split_off(count);
        let chunk = std::mem::replace(&mut self.pending, rest);
        self.left -= count;
        if self.left == 0 {
            self.stop();
            self.is_over = true;
        }
        Ok(Some(chunk).filter(|chunk| !chunk.is_empty()))
    }

    async fn read(&mut self) -> Result<Option<Vec<i16>>> {
        match &mut self.from {
            From::Mic(microphone) if self.is_stopped => {
                timeout(LAST_CHUNK, microphone.next()).await.unwrap_or(Ok(None))
            }
            From::Mic(microphone) => microphone.next().await,
            From::File { .. } if self.is_stopped => Ok(None),
            From::File { blocks, outcome, .. } => match blocks.recv().await {
                Some(samples) => Ok(Some(samples)),
                // The outcome is known before the blocks end.
                None => outcome.failure_now().map_or(Ok(None), Err),
            },
        }
    }

    /// Takes what is there already, so that what need not be paced goes in large chunks.
    fn read_on(&mut self) {
        let From::File { blocks, .. } = &mut self.from else { return };
        while self.pending.len() < MOST && !self.is_stopped {
            let Ok(samples) = blocks.try_recv() else { return };
            self.pending.extend(samples);
        }
    }

    /// Hears no more than what was heard by now.
    pub(super) fn stop(&mut self) {
        if std::mem::replace(&mut self.is_stopped, true) {
            return;
        }
        match &mut self.from {
            From::Mic(microphone) => microphone.stop(),
            From::File { .. } => {
                // What was read ahead of its time was not spoken yet.
                if self.pace.is_some() {
                    self.pending.clear();
                }
                self.is_over = true;
            }
        }
    }

    /// Audio that the machine was too slow for.
    pub(super) fn dropped(&self) -> Samples {
        match &self.from {
            From::Mic(microphone) => Samples::from_seconds(microphone.dropped().as_secs_f64()),
            From::File { .. } => Samples(0),
        }
    }

    /// What is to be said of it at its end.
    pub(super) fn warnings(self) -> Vec<String> {
        match self.from {
            From::Mic(_) => Vec::new(),
            From::File { outcome, .. } => outcome.warnings(),
        }
    }
}
