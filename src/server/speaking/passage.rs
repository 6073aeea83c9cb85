//! One call to a worker, made again where the worker dies: nothing is heard twice, and nothing is missing.
//!
//! What an engine makes of a sentence is the same each time: seeds see to that. So a call whose worker died goes on with
//! the sentence in which it died, and what was heard of that is skipped.

use crate::{
    error::Result,
    proto::tts,
    server::{
        speaking::{
            Listener, SpeechMark,
            script::{Line, Script},
        },
        supervisor::{
            Ended, Supervisor,
            death::{Cause, Lie},
            lies::UNTOLD_RATE,
            worker::{Failure, Worker},
        },
    },
    speech::{MarkKind, ModelId},
};
use bytes::Buf;
use std::{ops::Range, time::Duration};
use tokio::time::{Instant, timeout};

/// How long a listener may stand still and keep a worker. Players take a second of audio at a time.
const STANDSTILL: Duration = Duration::from_secs(5);

/// How one try ended.
enum Outcome {
    /// All is said.
    Done,
    /// The listener stands still. A worker is too good to wait for it: when the listener goes on, the sentence is made
    /// again and what was heard is skipped.
    Stalled,
}

/// A script on its way to a listener.
pub(super) struct Passage<'a, L> {
    script: Script,
    /// How many sentences of the caller's text went before.
    before: u64,
    /// All that a worker is told but the words.
    request: tts::SynthesizeRequest,
    /// The voice, as the caller knows it.
    voice: &'a str,
    listener: &'a mut L,
    /// The sentence that is being heard, counted from 0.
    sentence: usize,
    /// Bytes of audio heard of it.
    bytes: usize,
    /// Marks heard of it.
    marks: usize,
    /// Samples heard of the sentences before it.
    earlier: u64,
    rate: u32,
    /// The word that was told last.
    word: Range<u64>,
}

impl<'a, L: Listener> Passage<'a, L> {
    /// Says these words in the manner of a request that has none.
    pub(super) fn new(
        script: Script,
        before: u64,
        request: tts::SynthesizeRequest,
        voice: &'a str,
        listener: &'a mut L,
    ) -> Self {
        Self {
            script,
            before,
            request,
            voice,
            listener,
            sentence: 0,
            bytes: 0,
            marks: 0,
            earlier: 0,
            rate: 0,
            word: 0..0,
        }
    }

    /// Speaks until all is said.
    ///
    /// # Errors
    /// What the listener says, what the engine refuses, or what came of its deaths.
    pub(super) async fn speak(
        &mut self,
        supervisor: &Supervisor,
        model: ModelId,
        deadline: Option<Instant>,
    ) -> Result<()> {
        let mut call = supervisor.call(model, deadline);
        if self.before > 0 {
            // Its caller is in the middle of a text.
            call = call.going_on();
        }
        let mut lost_at = self.sentence;
        loop {
            let result = match call.lease().await {
                Ok(lease) => {
                    let result = self.try_once(&lease.worker).await;
                    match result {
                        Ok(Outcome::Done) => lease.end(Ended::Well),
                        Err(Failure::Lost(_)) => lease.end(Ended::Somehow),
                        // The engine may be in the middle of its work, and not know yet that nobody listens.
                        Ok(Outcome::Stalled) | Err(Failure::Refused(_)) => drop(lease),
                    }
                    result
                }
                Err(failure) => Err(failure),
            };
            match call.settle(result).await? {
                Some(Outcome::Done) => {
                    self.tell_the_rest();
                    return self.listener.deliver().await;
                }
                Some(Outcome::Stalled) => self.listener.deliver().await?,
                // Who gets on is not at fault: a long text may lose many workers, a sentence few.
                None if self.sentence > lost_at => {
                    lost_at = self.sentence;
                    call.got_on();
                }
                None => {}
            }
        }
    }

    /// What is still to be said.
    fn words(&self) -> tts::SynthesizeRequest {
        let mut request = self.request.clone();
        match &self.script {
            Script::Whole(whole) => whole.text().clone_into(&mut request.text),
            Script::Ssml(document) => {
                request.ssml = true;
                document.clone_into(&mut request.text);
            }
            Script::Sentences(lines) => {
                request.sentences = lines.iter().skip(self.sentence).map(Line::text).map(str::to_owned).collect();
                let before = self.before + self.sentence as u64;
                request.sentences_before = i64::try_from(before).unwrap_or(i64::MAX);
            }
        }
        request
    }

    /// One try: from the beginning of the sentence, but heard only from where the listener is.
    async fn try_once(&mut self, worker: &Worker) -> Result<Outcome, Failure> {
        let request = self.words();
        let (first, wanted_rate) = (self.sentence, request.sample_rate);
        let (mut skip, mut known_marks) = (self.bytes, self.marks);
        let (began, mut waited, mut made) = (Instant::now(), Duration::ZERO, 0);
        let mut speech = worker.speak(request).await?;
        while let Some(chunk) = speech.next().await? {
            self.check_rate(worker, chunk.sample_rate, wanted_rate).await?;
            let sentence = first.saturating_add(usize::try_from(chunk.sentence).unwrap_or(0));
            if sentence != self.sentence {
                if skip > 0 {
                    return Err(shorter(worker).await);
                }
                self.go_on_to(worker, sentence).await?;
                known_marks = 0;
            }
            for mark in chunk.marks {
                // Those of an earlier try are known.
                if known_marks > 0 {
                    known_marks -= 1;
                    continue;
                }
                self.hear_mark(&mark);
            }
            let mut audio = chunk.audio_data;
            made += audio.len();
            let skipped = skip.min(audio.len());
            skip -= skipped;
            audio.advance(skipped);
            if !audio.is_empty() {
                self.bytes += audio.len();
                self.listener.audio(audio)?;
            }
            let at = Instant::now();
            match timeout(STANDSTILL, self.listener.deliver()).await {
                Ok(delivered) => delivered?,
                Err(_) => return Ok(Outcome::Stalled),
            }
            waited += at.elapsed();
        }
        if skip > 0 {
            return Err(shorter(worker).await);
        }
        let audio = Duration::from_secs_f64(made as f64 / 2.0 / f64::from(self.rate.max(1)));
        self.listener.worked(audio, began.elapsed().saturating_sub(waited));
        Ok(Outcome::Done)
    }

    /// The audio is of a later sentence from here on.
    async fn go_on_to(&mut self, worker: &Worker, sentence: usize) -> Result<(), Failure> {
        let count = match &self.script {
            Script::Sentences(lines) => lines.len(),
            Script::Whole(_) | Script::Ssml(_) => 1,
        };
        if sentence < self.sentence || sentence >= count {
            let detail = format!("it spoke sentence {} of {count} after sentence {}", sentence + 1, self.sentence + 1);
            return Err(Failure::Lost(worker.put_down(Cause::Lied(Lie::OtherRequest), detail).await));
        }
        self.earlier += self.bytes as u64 / 2;
        (self.sentence, self.bytes, self.marks) = (sentence, 0, 0);
        Ok(())
    }

    /// Sentences without a word have begun by the end.
    fn tell_the_rest(&mut self) {
        let sample = self.earlier + self.bytes as u64 / 2;
        let Script::Whole(whole) = &mut self.script else { return };
        if !self.request.marks {
            return;
        }
        for text in whole.begun(u64::MAX) {
            self.listener.mark(SpeechMark { kind: MarkKind::Sentence, sample, text, name: String::new() });
        }
    }

    fn hear_mark(&mut self, mark: &tts::Mark) {
        self.marks += 1;
        let Some(kind) = MarkKind::of_word(&mark.kind) else { return };
        let byte = |at: i32| usize::try_from(at).unwrap_or(0);
        let (start, end) = (byte(mark.start), byte(mark.end));
        let text = match (&self.script, kind) {
            (Script::Sentences(lines), MarkKind::Sentence) => lines.get(self.sentence).map_or(0..0, Line::source),
            // Where the engine found the sentences itself, they are told as we would have cut them.
            (_, MarkKind::Sentence) => return,
            _ => self.script.source_of(self.sentence, start..end.max(start)),
        };
        let sample = self.earlier + u64::try_from(mark.sample).unwrap_or(0);
        if let (Script::Whole(whole), MarkKind::Word) = (&mut self.script, kind) {
            for sentence in whole.begun(text.start) {
                let kind = MarkKind::Sentence;
                self.listener.mark(SpeechMark { kind, sample, text: sentence, name: String::new() });
            }
        }
        if kind == MarkKind::Word {
            // An entry of a lexicon may have several words, where the caller wrote one.
            if text == self.word {
                return;
            }
            self.word = text.clone();
        }
        self.listener.mark(SpeechMark { kind, sample, text, name: mark.name.clone() });
    }

    /// Takes note of the rate, which the supervisor has looked at; of two tries it must be the same.
    async fn check_rate(&mut self, worker: &Worker, made: i32, wanted: i32) -> Result<(), Failure> {
        let positive = |rate: i32| u32::try_from(rate).ok().filter(|rate| *rate > 0);
        // Workers of the original contract do not say it; these make what most engines do, unless told otherwise.
        let made = positive(made).or(positive(wanted)).or(positive(UNTOLD_RATE)).unwrap_or_default();
        if self.rate == 0 {
            self.rate = made;
            self.listener.format(made, self.voice)?;
        }
        if made == self.rate {
            return Ok(());
        }
        let detail = format!("its rate went from {} Hz to {made} Hz", self.rate);
        Err(Failure::Lost(worker.put_down(Cause::Lied(Lie::SampleRate), detail).await))
    }
}

/// What was heard cannot be skipped where there is less of it.
async fn shorter(worker: &Worker) -> Failure {
    let detail = "the same text was shorter the second time".to_owned();
    Failure::Lost(worker.put_down(Cause::Lied(Lie::Length), detail).await)
}
