//! One utterance of the soak: its text is written, commands come in between, and every frame is looked at.

use super::{
    check::Check,
    plan::{Deed, Plan},
    tally::Tally,
};
use crate::{
    caller::{Caller, PATIENCE},
    wire::{AudioFrame, ControlCommand, TextChunk},
};
use std::{mem, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::Streaming;

/// How an utterance has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should: with its final frame, be it because it was stopped.
    Well,
    /// With its connection, which was cut.
    Cut,
    /// With an error.
    Failed,
}

/// Who speaks, and who counts.
pub(super) struct Speaker<'a> {
    pub(super) caller: &'a Arc<Caller>,
    pub(super) session: &'a str,
    pub(super) tally: &'a Arc<Tally>,
}

impl Speaker<'_> {
    /// Speaks as planned, and counts what comes of it.
    pub(super) async fn speak(&self, plan: Plan) -> Ending {
        let Plan { chunks, deed, reference, name } = plan;
        let mut chunks = chunks.into_iter();
        let Some((_, first)) = chunks.next() else { return Ending::Well };
        self.tally.count(|numbers| numbers.utterances += 1);
        let (says, frames) = match self.caller.open(first).await {
            Ok(opened) => opened,
            Err(status) => {
                self.tally.fail("Synthesize", &status);
                return Ending::Failed;
            }
        };
        let writer = tokio::spawn(write(says, chunks.collect()));
        let mut check = Check::new(self.session, &reference);
        let (ending, is_stopped) = self.hear(frames, deed, &mut check).await;
        writer.abort();
        let holes = check.holes(ending == Ending::Well);
        let difference = check.difference(ending == Ending::Well && !is_stopped);
        self.tally.count(|numbers| {
            numbers.hear(check.bytes());
            numbers.stopped += u64::from(is_stopped);
            numbers.cut += u64::from(ending == Ending::Cut);
            numbers.holes += holes;
            if let Some(frame) = difference {
                numbers.differing += 1;
                numbers.remark(format!("{name}, {deed:?}, {ending:?}: differs in frame {frame}"));
            }
            if holes > 0 {
                numbers.remark(format!("{name}, {deed:?}, {ending:?}: {holes} holes"));
            }
        });
        ending
    }

    /// Hears it to its end; says how it ended, and whether it was stopped.
    async fn hear(&self, mut frames: Streaming<AudioFrame>, mut deed: Deed, check: &mut Check<'_>) -> (Ending, bool) {
        let (mut commands, mut is_stopped, mut is_cut) = (None, false, false);
        let ending = loop {
            if deed.is_due(check.frames()) {
                match mem::replace(&mut deed, Deed::Nothing) {
                    Deed::Nothing => {}
                    Deed::Pause { lasts, .. } => commands = Some(self.command(Some(lasts))),
                    Deed::Stop { .. } => {
                        is_stopped = true;
                        commands = Some(self.command(None));
                    }
                    Deed::Cut { .. } => {
                        is_cut = true;
                        self.caller.cut();
                    }
                }
            }
            match timeout(PATIENCE, frames.message()).await {
                Ok(Ok(Some(frame))) => check.hears(&frame),
                Ok(_) if is_cut => break Ending::Cut,
                Ok(Ok(None)) => break Ending::Well,
                Ok(Err(status)) => {
                    self.tally.fail("frames", &status);
                    break Ending::Failed;
                }
                Err(_) => {
                    self.tally.count(|numbers| numbers.stalled += 1);
                    break Ending::Failed;
                }
            }
        };
        // A command must not come into the next one.
        if let Some(commands) = commands
            && commands.await.is_err()
        {
            self.tally.fail_by("Control", "PANIC", "a command was not carried out");
        }
        (ending, is_stopped)
    }

    /// Pauses for so long, or stops, while frames are heard.
    fn command(&self, pause: Option<Duration>) -> JoinHandle<()> {
        let (caller, session) = (Arc::clone(self.caller), self.session.to_owned());
        let tally = Arc::clone(self.tally);
        tokio::spawn(async move {
            let Some(lasts) = pause else {
                return obey(&caller, &session, ControlCommand::Stop, &tally).await;
            };
            obey(&caller, &session, ControlCommand::Pause, &tally).await;
            sleep(lasts).await;
            obey(&caller, &session, ControlCommand::Resume, &tally).await;
        })
    }
}

/// Has a command carried out.
async fn obey(caller: &Caller, session: &str, command: ControlCommand, tally: &Tally) {
    match caller.command(session, command).await {
        Ok(took) => tally.count(|numbers| {
            numbers.commands += 1;
            if command != ControlCommand::Resume {
                numbers.acknowledged.push(took);
            }
        }),
        Err(status) => tally.fail("Control", &status),
    }
}

/// Writes the rest of a text, and closes.
async fn write(says: mpsc::Sender<TextChunk>, chunks: Vec<(Duration, TextChunk)>) {
    for (wait, chunk) in chunks {
        sleep(wait).await;
        // Where the utterance is over nobody reads it any more.
        if says.send(chunk).await.is_err() {
            return;
        }
    }
}
