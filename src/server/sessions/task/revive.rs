//! How a session begins: anew, or from what its log holds.

use super::{Task, effects::Pace, hearing::forget};
use crate::{
    error::{Error, Kind, Result},
    listening::{Checkpoint, Decided, Event, Past, Session, VoiceDetector},
    proto::v1::{self as pb, session_done::Reason},
    server::{
        sessions::{Inner, config::Config, intake::Intake, stored},
        wal::{Note, Restored, SessionId},
    },
    speech::Samples,
};
use std::{
    collections::VecDeque,
    sync::{Arc, atomic::AtomicBool},
};
use tokio::{sync::watch, task::JoinSet, time::Instant};

/// How much is heard at a time of what is heard once more.
const PART: usize = Samples::RATE as usize;

/// What a log holds, in our own words.
#[derive(Debug, Default)]
pub(in crate::server::sessions) struct Revived {
    checkpoint: Checkpoint,
    decided: VecDeque<Decided>,
    epoch: i64,
    acknowledged: i64,
    has_ended: bool,
    is_closed: bool,
    /// Where its audio starts, in the client's clock, and the audio.
    audio_start: i64,
    audio: Vec<i16>,
    /// Where the client goes on.
    received: i64,
    /// How it ended.
    done: Option<pb::SessionDone>,
}

impl Revived {
    /// Reads a log; gives how the session was opened, too.
    ///
    /// # Errors
    /// `DataLoss` where it cannot be read.
    pub(in crate::server::sessions) fn read(restored: Restored) -> Result<(stored::Opened, Self)> {
        let mut revived = Self {
            audio_start: restored.audio_start.0,
            audio: restored.audio,
            received: restored.next.0,
            // The first one is not noted.
            epoch: 1,
            ..Self::default()
        };
        let mut opened = None;
        for note in restored.notes {
            match note {
                Note::Open { config } => opened = Some(stored::read_opened(&config)?),
                Note::Final { message, state, .. } => {
                    revived.checkpoint = stored::read_step(&state)?.0;
                    revived.decided.extend(stored::read_step(&message)?.1);
                }
                Note::Commit { state, .. } => {
                    let (checkpoint, decided) = stored::read_step(&state)?;
                    revived.checkpoint = checkpoint;
                    revived.decided.extend(decided.filter(|decided| !decided.gaps.is_empty()));
                    revived.done = stored::read_done(&state)?;
                }
                Note::Epoch { number } => revived.epoch = number,
                // After a power cut the note may be there and the audio not: then the client is asked for it.
                Note::Ended { at } => revived.has_ended = at.0 <= revived.received,
                Note::Acked { seq } => revived.acknowledged = seq,
                Note::Closed => revived.is_closed = true,
            }
        }
        forget(&mut revived.decided, revived.acknowledged);
        let opened = opened.ok_or_else(|| Error::new(Kind::DataLoss, "a session's log does not say how it began"))?;
        Ok((opened, revived))
    }
}

/// The audio of a log on its way in again. What a power cut took of it before the checkpoint is silence.
fn whole(
    config: &Config,
    checkpoint: &Checkpoint,
    mut start: i64,
    mut audio: Vec<i16>,
) -> Result<(Intake, Samples, Vec<i16>)> {
    let needed = Intake::try_new(config.rate)?.keep_from(Session::<VoiceDetector>::needed_by(checkpoint));
    if let Ok(missing @ 1..) = usize::try_from(start - needed) {
        audio.splice(0..0, std::iter::repeat_n(0, missing));
        start = needed;
    }
    Intake::restore(config.rate, start, &audio)
}

impl Task {
    /// A session that begins, or goes on with what its log held.
    ///
    /// # Errors
    /// `InvalidInput` for a rate that cannot be.
    pub(in crate::server::sessions) fn try_new(
        inner: Arc<Inner>,
        id: SessionId,
        resume_key: String,
        config: Config,
        revived: Option<Revived>,
    ) -> Result<Self> {
        let Revived {
            checkpoint,
            decided,
            epoch,
            acknowledged,
            has_ended,
            is_closed,
            audio_start,
            audio,
            received,
            done,
        } = revived.unwrap_or_default();
        let (finals, gaps, committed) = (checkpoint.finals, checkpoint.gaps, checkpoint.committed);
        let (mut intake, first, mut heard) = match is_closed {
            true => (Intake::try_new(config.rate)?, committed, Vec::new()),
            false => whole(&config, &checkpoint, audio_start, audio)?,
        };
        // After a power cut, or where the end of the audio is decided, there is less than what was decided: nobody hears
        // that again.
        let length = usize::try_from(committed.0 - first.0).unwrap_or(0);
        if heard.len() < length {
            intake.skip(length - heard.len());
            heard.resize(length, 0);
        }
        let rest = heard.split_off(length);
        // What is over is not heard any more.
        let past =
            if is_closed { Past { epoch, ..Past::default() } } else { Past { checkpoint, before: heard, epoch } };
        let session = Session::restore(&config.rules, config.options.prompt.clone(), past);
        let audio_end = config.to_client(committed);
        let unknown = pb::SessionDone { reason: Reason::EndOfAudio.into(), audio_end, finals, gaps };
        let done = is_closed.then(|| done.unwrap_or(unknown));
        let wait = if is_closed { inner.settings.linger } else { inner.settings.wait };
        Ok(Self {
            id,
            resume_key,
            inner,
            config,
            intake,
            session,
            listener: None,
            listeners: 0,
            received,
            decided,
            finals,
            gaps,
            acknowledged,
            markers: 0,
            noted: committed,
            counted: committed,
            work: JoinSet::new(),
            pace: Pace::default(),
            room: watch::channel(true).0,
            has_ended,
            is_client_gone: false,
            done,
            failed: None,
            is_over: Arc::new(AtomicBool::new(is_closed)),
            until: Some(Instant::now() + wait),
            farewell: None,
            backlog: rest,
        })
    }

    /// Hears once more what was heard before the server died.
    pub(super) async fn revive(&mut self) -> Result<()> {
        if self.done.is_some() || (self.received == 0 && !self.has_ended) {
            return Ok(());
        }
        let number = self.session.epoch();
        self.note(Note::Epoch { number }).await?;
        let backlog = std::mem::take(&mut self.backlog);
        for part in backlog.chunks(PART) {
            self.on(Event::Audio(part.to_vec())).await?;
            // Others want to live meanwhile.
            tokio::task::yield_now().await;
        }
        if self.has_ended { self.finish().await } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read() {
        let state = |finals, seq: Option<i64>| {
            let checkpoint = Checkpoint { finals, committed: Samples(finals * 100), ..Checkpoint::default() };
            let decided = seq.map(|seq| Decided {
                utterance: seq,
                from: Samples(0),
                speech_end: Samples(1),
                to: Samples(2),
                seq: Some(seq),
                segments: Vec::new(),
                language: String::new(),
                gaps: Vec::new(),
            });
            stored::step(&checkpoint, decided.as_ref())
        };
        let note = |seq| Note::Final { seq, to: Samples(0), message: state(seq, Some(seq)), state: state(seq, None) };
        let open = prost::Message::encode_to_vec(&stored::Opened { model: "mock".into(), ..Default::default() });
        let notes = vec![
            Note::Open { config: open },
            note(1),
            Note::Epoch { number: 7 },
            note(2),
            Note::Acked { seq: 1 },
            Note::Commit { to: Samples(0), state: state(3, None) },
            Note::Ended { at: Samples(300) },
        ];
        let restored = Restored { notes, next: Samples(300), ..Restored::default() };
        let (opened, revived) = Revived::read(restored).expect("it is whole");
        assert_eq!(opened.model, "mock");
        assert_eq!((revived.epoch, revived.acknowledged, revived.received), (7, 1, 300));
        assert_eq!(revived.checkpoint.committed, Samples(300));
        assert_eq!(revived.decided.iter().filter_map(|decided| decided.seq).collect::<Vec<_>>(), [2]);
        assert!(revived.has_ended && !revived.is_closed);
        assert_eq!(Revived::read(Restored::default()).expect_err("nothing").kind(), Kind::DataLoss);
    }
}
