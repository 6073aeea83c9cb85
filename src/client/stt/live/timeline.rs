//! From the clock of the server's session to the user's. They are the same until the server has forgotten a session:
//! the next one begins where the last was decided, and its numbers go on from there. Pure.

use crate::proto::v1;

/// What is added to what the server says.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    base: i64,
    seq: i64,
    utterance: i64,
    epoch: i64,
    /// The highest that the user has seen.
    last_utterance: i64,
    last_epoch: i64,
}

impl Timeline {
    /// For a session that begins at `base`, when the user has `seq` finals.
    pub(super) fn renew(&mut self, base: i64, seq: i64) {
        (self.base, self.seq) = (base, seq);
        // One more, for servers that count utterances from 0.
        (self.utterance, self.epoch) = (self.last_utterance + 1, self.last_epoch);
    }

    /// A position of the user as one of the server.
    pub(super) fn server_position(&self, at: i64) -> i64 {
        at - self.base
    }

    /// A number of a final as the server counts.
    pub(super) fn server_seq(&self, seq: i64) -> i64 {
        seq - self.seq
    }

    /// A position of the server as one of the user.
    pub(super) fn position(&self, at: i64) -> i64 {
        self.base.saturating_add(at)
    }

    /// A number of a final as the user counts.
    pub(super) fn seq(&self, seq: i64) -> i64 {
        self.seq.saturating_add(seq)
    }

    /// The number of an utterance as the user counts.
    pub(super) fn utterance(&mut self, id: i64) -> i64 {
        let id = self.utterance.saturating_add(id);
        self.last_utterance = self.last_utterance.max(id);
        id
    }

    /// An epoch as the user counts.
    pub(super) fn epoch(&mut self, epoch: i64) -> i64 {
        let epoch = self.epoch.saturating_add(epoch);
        self.last_epoch = self.last_epoch.max(epoch);
        epoch
    }

    /// The epoch that counts now.
    pub(super) fn last_epoch(&self) -> i64 {
        self.last_epoch
    }

    /// A partial on the user's clock.
    pub(super) fn partial(&mut self, partial: v1::Partial) -> v1::Partial {
        v1::Partial {
            utterance_id: self.utterance(partial.utterance_id),
            epoch: self.epoch.saturating_add(partial.epoch),
            audio_start: self.position(partial.audio_start),
            audio_end: self.position(partial.audio_end),
            segments: self.segments(partial.segments),
            ..partial
        }
    }

    /// A final on the user's clock.
    pub(super) fn said(&mut self, said: v1::Final) -> v1::Final {
        v1::Final {
            seq: self.seq(said.seq),
            utterance_id: self.utterance(said.utterance_id),
            audio_start: self.position(said.audio_start),
            audio_end: self.position(said.audio_end),
            segments: self.segments(said.segments),
            ..said
        }
    }

    fn segments(&self, mut segments: Vec<v1::Segment>) -> Vec<v1::Segment> {
        for segment in &mut segments {
            (segment.start, segment.end) = (self.position(segment.start), self.position(segment.end));
            for word in &mut segment.words {
                (word.start, word.end) = (self.position(word.start), self.position(word.end));
            }
        }
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_session_goes_on_where_the_last_one_was() {
        let mut timeline = Timeline::default();
        assert_eq!((timeline.utterance(2), timeline.epoch(1)), (2, 1));
        timeline.renew(1_000, 3);
        let word = v1::Word { start: 1, end: 2, ..v1::Word::default() };
        let segment = v1::Segment { start: 1, end: 9, words: vec![word], ..v1::Segment::default() };
        let said = v1::Final { seq: 1, utterance_id: 1, audio_end: 9, segments: vec![segment], ..v1::Final::default() };
        let said = timeline.said(said);
        assert_eq!((said.seq, said.utterance_id, said.audio_start, said.audio_end), (4, 4, 1_000, 1_009));
        assert_eq!((said.segments[0].start, said.segments[0].words[0].end), (1_001, 1_002));
        assert_eq!(timeline.epoch(1), 2);
        assert_eq!((timeline.server_position(1_009), timeline.server_seq(4)), (9, 1));
    }
}
