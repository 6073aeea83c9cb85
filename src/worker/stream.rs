//! `TranscribeStream` of a worker: the rules of streaming recognition over its own engine, for callers that have no
//! server. It keeps nothing: who wants what was said to survive the engine asks a server.

use crate::{
    audio,
    error::{Error, Kind, Result},
    listening::{Decode, Effect, Event, Purpose, Rules, Session, VoiceDetector},
    proto::{convert, stt as pb},
    speech::{self, Samples, Segment},
    worker::{
        calls::{Calls, Running},
        engine::{Decoded, Hint},
        thread::EngineThread,
    },
};
use std::{future::Future, pin::Pin, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tonic::{Status, Streaming};

/// Events that wait for a slow reader. Then the caller's audio waits, too.
pub(super) const AHEAD: usize = 64;

/// How long a reader may stand still.
const STALL: Duration = Duration::from_secs(600);

/// Audio that may wait for the engine, in samples: a minute. Then the caller's audio waits on the wire.
const BEHIND: i64 = 60 * Samples::RATE as i64;

/// The least new audio that a partial waits for, and how many times the last partial's time it is at least.
const STEP: (Duration, u32) = (Duration::from_millis(300), 3);

/// Where events go.
pub(super) type Outlet = mpsc::Sender<Result<pb::TranscriptEvent, Status>>;

/// Work of the engine, and what it is.
type Work = Pin<Box<dyn Future<Output = (u64, Result<Decoded>)> + Send>>;

/// One stream.
pub(super) struct Stream {
    engine: EngineThread,
    calls: Calls,
    session: Session<VoiceDetector>,
    id: String,
    language: String,
    out: Outlet,
    work: Option<(Work, Running)>,
    since: Instant,
    is_partial: bool,
    /// How long the last partial took.
    partial: Duration,
    is_done: bool,
}

/// Serves one stream until its caller has heard everything, or has gone.
pub(super) async fn serve(engine: EngineThread, calls: Calls, mut frames: Streaming<pb::AudioFrame>, out: Outlet) {
    let served = async {
        let first = frames.message().await?.unwrap_or_default();
        let mut stream = Stream::try_new(engine, calls, &first, out.clone())?;
        let is_last = stream.hear(&first).await?;
        stream.converse(&mut frames, is_last).await
    };
    let served = tokio::select! {
        served = served => served,
        () = out.closed() => return,
    };
    if let Err(error) = served {
        let told: Result<(), Error> = Err(error);
        let Err(status) = told.map_err(Status::from) else { return };
        if timeout(STALL, out.send(Err(status))).await.is_err() {
            tracing::debug!("A caller did not hear why its stream ended.");
        }
    }
}

impl Stream {
    fn try_new(engine: EngineThread, calls: Calls, first: &pb::AudioFrame, out: Outlet) -> Result<Self> {
        check(first)?;
        let session = Session::new(&Rules::default(), first.initial_prompt.clone());
        let (id, language) = (first.session_id.clone(), first.language.clone());
        let (work, partial) = (None, Duration::ZERO);
        Ok(Self {
            engine,
            calls,
            session,
            id,
            language,
            out,
            work,
            since: Instant::now(),
            is_partial: false,
            partial,
            is_done: false,
        })
    }

    /// Takes frames and the engine's answers, as they come.
    async fn converse(&mut self, frames: &mut Streaming<pb::AudioFrame>, mut is_last: bool) -> Result<()> {
        while !self.is_done {
            let has_room = self.session.end_of_audio().0 - self.session.committed().0 < BEHIND;
            tokio::select! {
                done = working(&mut self.work) => {
                    self.work = None;
                    let (job, decoded) = done;
                    let Decoded { segments, language, .. } = decoded?;
                    if self.is_partial {
                        self.partial = self.since.elapsed();
                    }
                    self.on(Event::Decoded { job, segments, language }).await?;
                }
                frame = frames.message(), if has_room && !is_last => match frame? {
                    Some(frame) => {
                        check(&frame)?;
                        is_last = self.hear(&frame).await?;
                    }
                    None => {
                        is_last = true;
                        self.on(Event::EndOfAudio).await?;
                    }
                },
            }
        }
        Ok(())
    }

    /// Takes a frame; says whether it is the last.
    async fn hear(&mut self, frame: &pb::AudioFrame) -> Result<bool> {
        if frame.session_id != self.id {
            let message =
                format!("a frame of session `{}` in the stream of `{}`", shown(&frame.session_id), shown(&self.id));
            return Err(Error::invalid(message).in_field("session_id"));
        }
        if !frame.data.is_empty() {
            self.on(Event::Audio(audio::bytes_to_i16(&frame.data))).await?;
        }
        if frame.is_last {
            self.on(Event::EndOfAudio).await?;
        }
        Ok(frame.is_last)
    }

    async fn on(&mut self, event: Event) -> Result<()> {
        let step = STEP.0.max(self.partial * STEP.1);
        self.session.set_partials(Some(Samples::from_seconds(step.as_secs_f64())));
        for effect in self.session.on(event) {
            match effect {
                Effect::Decode(decode) => self.decode(&decode),
                // Dropping it asks the engine to end.
                Effect::Cancel { .. } => self.work = None,
                Effect::Partial { utterance, from, to, segments, .. } => {
                    self.tell("partial", utterance, (from, to), &segments, "").await?;
                }
                Effect::Decided { decided, .. } if decided.seq.is_some() => {
                    let span = (decided.from, decided.to);
                    self.tell("final", decided.utterance, span, &decided.segments, &decided.language).await?;
                }
                Effect::Done { .. } => self.is_done = true,
                Effect::Started { .. }
                | Effect::Decided { .. }
                | Effect::Quiet { .. }
                | Effect::Epoch(_)
                | Effect::Marker(_) => {}
            }
        }
        Ok(())
    }

    fn decode(&mut self, decode: &Decode) {
        let is_partial = decode.purpose == Purpose::Partial;
        let window = self.session.window(decode).into_iter().map(audio::to_f32).collect();
        let hint = Hint {
            language: self.language.clone(),
            prompt: decode.context.clone(),
            words: !is_partial,
            beam_size: i32::from(is_partial),
            fast: is_partial,
            ..Hint::default()
        };
        let running = self.calls.begin(&self.id, self.engine.pulse());
        let (engine, cancel, job) = (self.engine.clone(), running.cancel(), decode.job);
        (self.since, self.is_partial) = (Instant::now(), is_partial);
        let work = Box::pin(async move { (job, engine.decode(window, hint, cancel).await) });
        self.work = Some((work, running));
    }

    async fn tell(
        &mut self,
        event_type: &str,
        utterance: i64,
        (from, to): (Samples, Samples),
        segments: &[Segment],
        language: &str,
    ) -> Result<()> {
        let milliseconds = |at: Samples| at.0 * 1000 / i64::from(Samples::RATE);
        let confidence = segments.iter().map(|segment| segment.confidence).sum::<f32>() / segments.len().max(1) as f32;
        let event = pb::TranscriptEvent {
            session_id: self.id.clone(),
            event_type: event_type.to_owned(),
            text: speech::join(segments),
            segment_id: i32::try_from(utterance).unwrap_or(i32::MAX),
            start_ms: milliseconds(from),
            end_ms: milliseconds(to),
            language: language.to_owned(),
            confidence,
            words: segments.iter().flat_map(|segment| segment.words.iter().map(convert::worker_word)).collect(),
        };
        match timeout(STALL, self.out.send(Ok(event))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::new(Kind::Cancelled, "the caller has gone")),
            Err(_) => Err(Error::new(Kind::Deadline, "the caller has not read for ten minutes")),
        }
    }
}

/// Waits for work, if there is any.
async fn working(work: &mut Option<(Work, Running)>) -> (u64, Result<Decoded>) {
    match work {
        Some((work, _)) => work.await,
        None => std::future::pending().await,
    }
}

/// What is wrong with a frame, by itself.
fn check(frame: &pb::AudioFrame) -> Result<()> {
    if !frame.data.len().is_multiple_of(2) {
        return Err(Error::invalid("a frame holds half a sample; it takes 16-bit samples").in_field("data"));
    }
    if !frame.hot_words.is_empty() {
        return Err(Error::invalid("hot words are not supported; use `initial_prompt`").in_field("hot_words"));
    }
    if frame.language == "mixed" {
        let message = "language `mixed` is not supported; `auto` finds one language";
        return Err(Error::invalid(message).in_field("language"));
    }
    Ok(())
}

/// A name as far as a message shows it.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(80).collect()
}
