//! What a session was told, and whether it may be so. The rules are those of the contract: finals are numbered without a
//! hole and come once; an utterance begins, is guessed at, is written down, ends; nothing goes backwards.

use crate::proto::v1::{
    self, session_done::Reason, speech_activity::Kind as Speech, streaming_recognize_response::Event,
};
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// What went wrong, by its kind. Each is a sentence that names the session's part of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Finals that came twice.
    pub(super) duplicated: Vec<String>,
    /// Events that came out of order.
    pub(super) disordered: Vec<String>,
    /// Everything else that must not be: holes, gaps, refusals.
    pub(super) broken: Vec<String>,
}

impl Faults {
    /// All of them.
    pub(super) fn all(&self) -> Vec<String> {
        [&self.duplicated, &self.disordered, &self.broken].into_iter().flatten().cloned().collect()
    }
}

/// Times that are measured on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Delays {
    /// From sending a chunk to the first partial that covers it.
    pub(super) partial: Vec<Duration>,
    /// From sending the chunk in which speech ended to the final.
    pub(super) final_: Vec<Duration>,
    /// From the death of an engine over its work to the next partial or final of a session that was speaking.
    pub(super) recovery: Vec<Duration>,
}

/// Whose life a break ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// That of the server.
    Server,
    /// That of the connection alone.
    Connection,
}

/// A stream that broke, and is there again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resume {
    /// What broke it.
    pub(super) cause: Life,
    /// From then until the server said where to go on.
    pub(super) took: Duration,
    /// Of it, until the server listened again.
    pub(super) restart: Option<Duration>,
}

/// What one session was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// Its finals.
    pub(super) finals: Vec<v1::Final>,
    /// How it ended.
    pub(super) done: Option<v1::SessionDone>,
    /// What went wrong.
    pub(super) faults: Faults,
    /// How long things took.
    pub(super) delays: Delays,
    /// Streams that broke, and are there again.
    pub(super) resumes: Vec<Resume>,
    /// Partials that came.
    pub(super) partials: usize,
    /// Samples up to which everything is decided.
    pub(super) decided: i64,
    /// Samples that were sent, at most.
    pub(super) sent: i64,
    epoch: i64,
    /// What this attachment was told.
    now: Attachment,
    /// Where chunks ended, and when they were sent.
    chunks: VecDeque<(i64, Instant)>,
    /// Samples that partials have covered.
    covered: i64,
}

/// What is known of one attachment: each begins anew.
#[derive(Clone, Debug, Default)]
struct Attachment {
    is_ready: bool,
    speaking: Option<i64>,
    /// The utterance whose final has come, and when.
    written: Option<(i64, Instant)>,
    ended: HashSet<i64>,
    silence: i64,
}

impl Book {
    /// The last final.
    pub(super) fn last_seq(&self) -> i64 {
        self.finals.last().map_or(0, |last| last.seq)
    }

    /// Whether somebody is speaking, as far as was told.
    pub(super) fn is_speaking(&self) -> bool {
        self.now.speaking.is_some()
    }

    /// Whether it came to its end without a fault.
    pub(super) fn is_whole(&self) -> bool {
        self.done.is_some() && self.faults.all().is_empty()
    }

    /// Whether the server has said where to go on.
    pub(super) fn is_attached(&self) -> bool {
        self.now.is_ready
    }

    /// What is waited for, in words.
    pub(super) fn awaited(&self) -> String {
        match (self.now.is_ready, self.now.speaking) {
            (false, _) => "the first answer".to_owned(),
            (true, Some(utterance)) => format!("the final of utterance {utterance}"),
            (true, None) => format!("anything behind final {}", self.last_seq()),
        }
    }

    /// Begins another attachment.
    pub(super) fn attach(&mut self) {
        self.now = Attachment::default();
    }

    /// A chunk was sent.
    pub(super) fn sent(&mut self, end: i64) {
        self.sent = self.sent.max(end);
        self.chunks.push_back((end, Instant::now()));
    }

    /// Takes what was told; gives whether it was a sign that speech is being understood.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        if matches!(event, Event::Ready(_)) == self.now.is_ready {
            self.faults.disordered.push(format!("a stream has to begin with one ready, and goes on: {event:?}"));
        }
        match event {
            Event::Ready(ready) => self.ready(ready),
            Event::Partial(partial) => self.partial(partial),
            Event::Final(told) => self.final_(told),
            Event::Speech(speech) => self.speech(speech),
            Event::Silence(silence) => {
                self.in_order(silence.at >= self.now.silence, || format!("silence falls back to {}", silence.at));
                self.now.silence = silence.at;
                self.reach(silence.at, "silence");
                self.decided = self.decided.max(silence.at);
            }
            Event::Gap(gap) => {
                let told = format!("samples {} to {} were given up: {}", gap.start, gap.end, gap.reason);
                self.faults.broken.push(told);
            }
            Event::Done(done) => {
                self.in_order(self.done.is_none_or(|before| before == *done), || "it ends in two ways".to_owned());
                self.done = Some(*done);
            }
            Event::Marker(_) | Event::Backpressure(_) => {}
        }
        matches!(event, Event::Partial(_) | Event::Final(_))
    }

    fn ready(&mut self, ready: &v1::Ready) {
        self.now.is_ready = true;
        self.rise(ready.epoch, "ready");
        if ready.last_seq < self.last_seq() {
            let told = format!("the server forgot finals: it has {}, and told {}", ready.last_seq, self.last_seq());
            self.faults.broken.push(told);
        }
        // What lies before the last final is let go of here, as any client would.
        let kept = self.finals.last().map_or(0, |last| last.audio_end);
        if ready.next_sample < kept || ready.next_sample > self.sent {
            let told = format!("it wants samples from {} on; {kept} to {} are there", ready.next_sample, self.sent);
            self.faults.broken.push(told);
        }
        self.chunks.retain(|(end, _)| *end <= ready.next_sample);
        self.covered = self.covered.min(ready.next_sample);
    }

    fn partial(&mut self, partial: &v1::Partial) {
        self.partials += 1;
        let utterance = partial.utterance_id;
        let is_open = self.now.speaking == Some(utterance) && self.written() != Some(utterance);
        self.in_order(is_open, || format!("a partial of utterance {utterance}, which is not being spoken"));
        self.rise(partial.epoch, "a partial");
        self.reach(partial.audio_end, "a partial");
        let characters = partial.text.chars().count();
        if !usize::try_from(partial.confirmed).is_ok_and(|confirmed| confirmed <= characters) {
            self.faults.broken.push(format!("{} of {characters} characters are confirmed", partial.confirmed));
        }
        let from = self.covered.max(partial.audio_start);
        let fresh = self.chunks.iter().filter(|(end, _)| *end > from && *end <= partial.audio_end);
        self.delays.partial.extend(fresh.map(|(_, sent)| sent.elapsed()));
        self.covered = self.covered.max(partial.audio_end);
    }

    fn final_(&mut self, told: &v1::Final) {
        let utterance = told.utterance_id;
        self.reach(told.audio_end, "a final");
        let is_open = self.now.speaking == Some(utterance) && self.written() != Some(utterance);
        self.in_order(is_open, || format!("final {} of utterance {utterance}, which is not being spoken", told.seq));
        let last = self.finals.last();
        if told.seq <= self.last_seq() {
            self.faults.duplicated.push(format!("final {} came behind final {}", told.seq, self.last_seq()));
            return;
        }
        if let Some(last) = last.filter(|last| last.audio_end > told.audio_start) {
            let twice = format!(
                "final {} begins at {}, final {} ended at {}",
                told.seq, told.audio_start, last.seq, last.audio_end
            );
            self.faults.duplicated.push(twice);
        }
        if told.seq > self.last_seq() + 1 {
            self.faults.broken.push(format!("final {} came behind final {}", told.seq, self.last_seq()));
        }
        self.now.written = Some((utterance, Instant::now()));
        self.decided = self.decided.max(told.audio_end);
        self.finals.push(told.clone());
    }

    fn speech(&mut self, speech: &v1::SpeechActivity) {
        let utterance = speech.utterance_id;
        match speech.kind() {
            Speech::Started => {
                let is_new = self.now.speaking.is_none() && !self.now.ended.contains(&utterance);
                self.in_order(is_new, || format!("utterance {utterance} starts where it cannot"));
                self.now.speaking = Some(utterance);
            }
            Speech::Ended => {
                self.in_order(self.now.speaking == Some(utterance), || format!("utterance {utterance} ends unstarted"));
                self.now.speaking = None;
                self.now.ended.insert(utterance);
                if let Some((_, told)) = self.now.written.filter(|(written, _)| *written == utterance)
                    && let Some((_, sent)) = self.chunks.iter().find(|(end, _)| *end > speech.at)
                {
                    self.delays.final_.push(told.duration_since(*sent));
                }
                self.chunks.retain(|(end, _)| *end > speech.at);
                self.decided = self.decided.max(speech.at);
            }
            Speech::Unspecified => self.in_order(false, || "speech of no kind".to_owned()),
        }
    }

    fn written(&self) -> Option<i64> {
        self.now.written.map(|(utterance, _)| utterance)
    }

    fn in_order(&mut self, is_so: bool, otherwise: impl FnOnce() -> String) {
        if !is_so {
            self.faults.disordered.push(otherwise());
        }
    }

    /// An epoch never falls.
    fn rise(&mut self, epoch: i64, who: &str) {
        let before = self.epoch;
        self.in_order(epoch >= before, || format!("{who} of epoch {epoch} behind epoch {before}"));
        self.epoch = before.max(epoch);
    }

    /// Nothing is told of audio that was never sent.
    fn reach(&mut self, at: i64, what: &str) {
        if at > self.sent {
            self.faults.broken.push(format!("{what} reaches sample {at} of {} that were sent", self.sent));
        }
    }

    /// Looks at the end whether it was all.
    pub(super) fn close(&mut self, samples: i64) {
        let Some(done) = self.done else {
            self.faults.broken.push(format!("it did not end; it waited for {}", self.awaited()));
            return;
        };
        let finals = self.finals.len() as i64;
        if done.reason() != Reason::EndOfAudio || done.finals != finals || done.audio_end != samples || done.gaps > 0 {
            let told = format!("{finals} finals and {samples} samples, and it ends with {done:?}");
            self.faults.broken.push(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(next_sample: i64, epoch: i64, last_seq: i64) -> Event {
        Event::Ready(v1::Ready { next_sample, epoch, last_seq, ..Default::default() })
    }

    fn speech(kind: Speech, utterance_id: i64, at: i64) -> Event {
        Event::Speech(v1::SpeechActivity { kind: kind.into(), at, utterance_id })
    }

    fn final_(seq: i64, utterance_id: i64, audio_start: i64, audio_end: i64) -> Event {
        Event::Final(v1::Final { seq, utterance_id, audio_start, audio_end, ..Default::default() })
    }

    fn partial(utterance_id: i64, epoch: i64, audio_end: i64) -> Event {
        Event::Partial(v1::Partial { utterance_id, epoch, audio_end, ..Default::default() })
    }

    /// A session that sent 100 samples and was told this; its faults by their kinds.
    fn told(events: &[Event]) -> (usize, usize, usize) {
        let mut book = Book::default();
        book.sent(100);
        book.attach();
        events.iter().for_each(|event| {
            if matches!(event, Event::Ready(_)) {
                book.attach();
            }
            book.take(event);
        });
        (book.faults.duplicated.len(), book.faults.disordered.len(), book.faults.broken.len())
    }

    #[test]
    fn what_may_be_is_no_fault() {
        let (start, end) = (Speech::Started, Speech::Ended);
        let calm = [
            ready(0, 1, 0),
            speech(start, 1, 0),
            partial(1, 1, 20),
            final_(1, 1, 0, 30),
            speech(end, 1, 25),
            speech(start, 2, 40),
            // The connection breaks.
            ready(60, 2, 1),
            speech(start, 2, 40),
            partial(2, 3, 70),
            final_(2, 2, 40, 90),
            speech(end, 2, 80),
        ];
        assert_eq!(told(&calm), (0, 0, 0));
    }

    #[test]
    fn what_comes_twice_is_found() {
        let start = |utterance| speech(Speech::Started, utterance, 0);
        let end = |utterance| speech(Speech::Ended, utterance, 30);
        let once = [ready(0, 1, 0), start(1), final_(1, 1, 0, 30), end(1)];
        assert_eq!(told(&[&once[..], &[start(2), final_(1, 2, 30, 40)]].concat()), (1, 0, 0), "its number");
        assert_eq!(told(&[&once[..], &[ready(100, 1, 1), start(2), final_(1, 2, 30, 40)]].concat()), (1, 0, 0));
        assert_eq!(told(&[&once[..], &[start(2), final_(2, 2, 29, 40)]].concat()), (1, 0, 0), "its audio");
        assert_eq!(told(&[&once[..], &[start(2), final_(3, 2, 30, 40)]].concat()), (0, 0, 1), "a hole");
    }

    #[test]
    fn what_comes_out_of_order_is_found() {
        let start = |utterance| speech(Speech::Started, utterance, 0);
        let end = |utterance| speech(Speech::Ended, utterance, 30);
        let begun = [ready(0, 5, 0), start(1)];
        let and = |more: &[Event]| told(&[&begun[..], more].concat());
        assert_eq!(told(&[start(1)]), (0, 1, 0), "before ready");
        assert_eq!(and(&[partial(2, 5, 10)]), (0, 1, 0), "nobody speaks it");
        assert_eq!(and(&[partial(1, 4, 10)]), (0, 1, 0), "the epoch falls");
        assert_eq!(and(&[final_(1, 1, 0, 30), partial(1, 5, 10)]), (0, 1, 0), "it is written down");
        assert_eq!(and(&[end(1), start(1)]), (0, 1, 0), "it opens again");
        assert_eq!(and(&[start(2)]), (0, 1, 0), "two at the same time");
        assert_eq!(and(&[end(2)]).1, 1, "another one ends");
        assert_eq!(and(&[ready(0, 4, 0)]), (0, 1, 0), "an older epoch");
    }

    #[test]
    fn what_cannot_be_is_found() {
        let begun = [ready(0, 1, 0), speech(Speech::Started, 1, 0)];
        let and = |more: &[Event]| told(&[&begun[..], more].concat()).2;
        assert_eq!(and(&[final_(1, 1, 0, 101)]), 1, "audio that was never sent");
        assert_eq!(and(&[final_(1, 1, 0, 50), ready(40, 1, 1)]), 1, "audio that was let go of");
        assert_eq!(and(&[final_(1, 1, 0, 50), ready(50, 1, 0)]), 1, "a final is forgotten");
        assert_eq!(and(&[Event::Gap(v1::Gap::default())]), 1);
        let mut book = Book::default();
        book.close(0);
        assert_eq!(book.faults.broken.len(), 1, "no end");
    }
}
