//! What the server says, and what follows from it.

use super::{Effect, Journal, Link, Said, Sending};
use crate::{
    client::stt::live::told::{Ended, Listening, Told},
    error::{Error, Kind},
    proto::v1::{self, session_done::Reason, speech_activity},
};
use std::time::Duration;

/// The longest that a server may ask to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Journal {
    /// All before a position is decided, and need not be kept; but nothing that was not even sent.
    pub(super) fn decide(&mut self, to: i64) {
        let Link::Open(sending) = &self.link else { return };
        self.decided = self.decided.max(to.min(sending.cursor));
        self.kept.release(self.decided);
    }

    pub(super) fn take(&mut self, said: Said, now: Duration, effects: &mut Vec<Effect>) {
        if let Said::Ready(ready) = said {
            return self.begin(ready, effects);
        }
        if !matches!(self.link, Link::Open(_)) {
            return;
        }
        self.absence.end();
        let told = match said {
            Said::Partial(partial) => {
                let partial = self.timeline.partial(partial);
                if partial.epoch < self.timeline.last_epoch() { Vec::new() } else { self.utterances.partial(partial) }
            }
            Said::Final(said) => return self.take_final(said, effects),
            Said::Speech(activity) => {
                let (kind, at) = (activity.kind(), self.timeline.position(activity.at));
                let utterance = self.timeline.utterance(activity.utterance_id);
                match kind {
                    speech_activity::Kind::Started => self.utterances.started(utterance, at),
                    speech_activity::Kind::Ended => self.utterances.ended(utterance, at),
                    speech_activity::Kind::Unspecified => Vec::new(),
                }
            }
            Said::Silence(silence) => {
                let at = self.timeline.position(silence.at);
                self.decide(at - self.rules.margin);
                vec![Told::Silence { at }]
            }
            Said::Gap(gap) => {
                let (start, end) = (self.timeline.position(gap.start), self.timeline.position(gap.end));
                self.gaps += 1;
                self.decide(end);
                vec![Told::Gap { start, end, reason: gap.reason }]
            }
            Said::Marker(marker) => {
                // It may be one of a session before.
                if let Ok(at) = marker.id.parse::<i64>() {
                    self.decide(at - self.rules.margin);
                }
                Vec::new()
            }
            Said::Backpressure(wait) => {
                let wait = Duration::from_millis(wait.delay_ms.try_into().unwrap_or(0)).min(LONGEST_PAUSE);
                if let Link::Open(sending) = &mut self.link {
                    sending.paused_until = now + wait;
                }
                Vec::new()
            }
            Said::Done(done) => return self.take_done(&done, now, effects),
            Said::Ready(_) => Vec::new(),
        };
        effects.extend(told.into_iter().map(Effect::Tell));
    }

    fn begin(&mut self, ready: v1::Ready, effects: &mut Vec<Effect>) {
        if !matches!(self.link, Link::Opening) {
            return;
        }
        let next = self.timeline.position(ready.next_sample);
        let knows_too_little = ready.last_seq < self.timeline.server_seq(self.last_seq);
        if self.session.is_some() && (knows_too_little || next > self.kept.end()) {
            // A session of that name, but not as it was: an older copy of it, say.
            self.forget(effects);
            self.link = Link::Waiting { until: Duration::ZERO, error: None };
            return effects.push(Effect::HangUp);
        }
        if self.session.is_none() && (ready.next_sample != 0 || ready.last_seq != 0) {
            let message = format!("the server has a session `{}` already; choose another name", ready.session_id);
            return self.fail(Error::new(Kind::Unavailable, message), effects);
        }
        let listening = Listening {
            session: ready.session_id.clone(),
            model: ready.model,
            epoch: self.timeline.epoch(ready.epoch),
            at: next,
        };
        let key = match &self.session {
            Some((_, key)) if ready.resume_key.is_empty() => key.clone(),
            _ => ready.resume_key,
        };
        self.session = Some((ready.session_id, key));
        if std::mem::replace(&mut self.has_begun, true) {
            effects.extend(self.utterances.resumed().into_iter().map(Effect::Tell));
            effects.push(Effect::Tell(Told::Resumed(listening)));
        } else {
            effects.push(Effect::Tell(Told::Ready(listening)));
        }
        self.tell_loss(next, effects);
        self.acknowledged = 0;
        self.link =
            Link::Open(Sending { cursor: next, marked: next, is_end_sent: false, paused_until: Duration::ZERO });
    }

    fn take_final(&mut self, said: v1::Final, effects: &mut Vec<Effect>) {
        let said = self.timeline.said(said);
        if said.seq <= self.last_seq {
            return;
        }
        if said.seq > self.last_seq + 1 {
            return self.fail(skipped(self.last_seq + 1), effects);
        }
        self.last_seq = said.seq;
        // Its audio is kept until it is written: a disk may be full.
        self.unwritten.push_back((said.seq, said.audio_end));
        effects.extend(self.utterances.said(said).into_iter().map(Effect::Tell));
    }

    fn take_done(&mut self, done: &v1::SessionDone, now: Duration, effects: &mut Vec<Effect>) {
        let reason = done.reason();
        if reason == Reason::ServerStops {
            // Its successor has the session.
            return self.retry(Error::new(Kind::Unavailable, "the server stops"), 0.0, now, effects);
        }
        if self.timeline.seq(done.finals) > self.last_seq {
            return self.fail(skipped(self.last_seq + 1), effects);
        }
        let audio_end = self.timeline.position(done.audio_end);
        let is_all = match reason {
            Reason::NoSpeech | Reason::SpeechEnded => true,
            Reason::EndOfAudio => self.is_end_given,
            _ => self.is_over && audio_end >= self.kept.end(),
        };
        self.decide(audio_end);
        if !is_all {
            // The session has ended before its time; with what it has not decided begins another.
            self.forget(effects);
            let error = Error::new(Kind::Unavailable, "the server has ended the session");
            return self.retry(error, 0.0, now, effects);
        }
        effects.extend(self.utterances.close(audio_end).into_iter().map(Effect::Tell));
        let (finals, gaps) = (self.last_seq, self.gaps);
        self.finish(Ok(Ended { reason, audio_end, finals, gaps }), effects);
    }
}

fn skipped(seq: i64) -> Error {
    Error::new(Kind::Internal, format!("the server has left out final {seq}; this is a bug of the server"))
}
