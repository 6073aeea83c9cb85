//! Keeps the promise that of each utterance the user hears in order, each at most once: that it began, partials, the
//! final, that it ended. What was lost with a connection is filled in, what comes a second time is left out. Pure.

use super::told::Told;
use crate::proto::v1;
use std::collections::BTreeMap;

/// The utterances that have begun and not ended.
#[derive(Debug)]
pub(super) struct Utterances {
    open: BTreeMap<i64, Stage>,
    /// None up to this one begins any more.
    closed: i64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Begun { at: i64 },
    Said { end: i64 },
}

/// None yet; they are counted from 0 or 1.
impl Default for Utterances {
    fn default() -> Self {
        Self { open: BTreeMap::new(), closed: -1 }
    }
}

impl Utterances {
    /// The server says that one began.
    pub(super) fn started(&mut self, utterance: i64, at: i64) -> Vec<Told> {
        if utterance <= self.closed || self.open.contains_key(&utterance) {
            return Vec::new();
        }
        let mut told = self.close_said(utterance);
        self.open.insert(utterance, Stage::Begun { at });
        told.push(Told::Started { utterance, at });
        told
    }

    /// The server says what it has understood so far.
    pub(super) fn partial(&mut self, partial: v1::Partial) -> Vec<Told> {
        let mut told = self.started(partial.utterance_id, partial.audio_start);
        if matches!(self.open.get(&partial.utterance_id), Some(Stage::Begun { .. })) {
            told.push(Told::Partial(partial));
        }
        told
    }

    /// The server says what was said. That is told in any case.
    pub(super) fn said(&mut self, said: v1::Final) -> Vec<Told> {
        let mut told = self.started(said.utterance_id, said.audio_start);
        if let Some(stage) = self.open.get_mut(&said.utterance_id) {
            *stage = Stage::Said { end: said.audio_end };
        }
        told.push(Told::Final(said));
        told
    }

    /// The server says that one ended.
    pub(super) fn ended(&mut self, utterance: i64, at: i64) -> Vec<Told> {
        if self.open.remove(&utterance).is_none() {
            return Vec::new();
        }
        self.closed = self.closed.max(utterance);
        vec![Told::Ended { utterance, at }]
    }

    /// The connection was lost, and with it perhaps the end of utterances of which all was said.
    pub(super) fn resumed(&mut self) -> Vec<Told> {
        self.close_said(i64::MAX)
    }

    /// Nothing more comes of those that are open; they end here at the latest.
    pub(super) fn close(&mut self, at: i64) -> Vec<Told> {
        let open: Vec<(i64, Stage)> = self.open.iter().map(|(utterance, stage)| (*utterance, *stage)).collect();
        let end = |stage| match stage {
            Stage::Begun { at: begun } => at.max(begun),
            Stage::Said { end } => end,
        };
        open.into_iter().flat_map(|(utterance, stage)| self.ended(utterance, end(stage))).collect()
    }

    /// Ends those before one of which all was said.
    fn close_said(&mut self, before: i64) -> Vec<Told> {
        let said = |(utterance, stage): (&i64, &Stage)| match stage {
            Stage::Said { end } => Some((*utterance, *end)),
            Stage::Begun { .. } => None,
        };
        let said: Vec<(i64, i64)> = self.open.range(..before).filter_map(said).collect();
        said.into_iter().flat_map(|(utterance, end)| self.ended(utterance, end)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(utterance_id: i64) -> v1::Partial {
        v1::Partial { utterance_id, audio_start: 5, ..v1::Partial::default() }
    }

    fn said(utterance_id: i64) -> v1::Final {
        v1::Final { utterance_id, audio_start: 5, audio_end: 9, ..v1::Final::default() }
    }

    #[test]
    fn what_was_lost_is_filled_in() {
        let mut utterances = Utterances::default();
        assert_eq!(
            utterances.partial(partial(1)),
            [Told::Started { utterance: 1, at: 5 }, Told::Partial(partial(1))],
            "that it began was lost"
        );
        assert_eq!(utterances.said(said(1)), [Told::Final(said(1))]);
        assert_eq!(utterances.resumed(), [Told::Ended { utterance: 1, at: 9 }], "that it ended may be lost");
        assert_eq!(utterances.ended(1, 9), [], "and comes all the same");
        assert_eq!(utterances.said(said(2)), [Told::Started { utterance: 2, at: 5 }, Told::Final(said(2))]);
        assert_eq!(
            utterances.started(3, 20),
            [Told::Ended { utterance: 2, at: 9 }, Told::Started { utterance: 3, at: 20 }]
        );
        assert_eq!(utterances.close(30), [Told::Ended { utterance: 3, at: 30 }]);
    }

    #[test]
    fn what_comes_twice_or_too_late_is_left_out() {
        let mut utterances = Utterances::default();
        assert_eq!(utterances.started(1, 5).len(), 1);
        assert_eq!(utterances.started(1, 5), []);
        assert_eq!(utterances.said(said(1)).len(), 1);
        assert_eq!(utterances.partial(partial(1)), [], "a partial after the final");
        assert_eq!(utterances.ended(1, 9).len(), 1);
        assert_eq!(utterances.ended(1, 9), []);
        assert_eq!(utterances.partial(partial(1)), [], "it never opens again");
    }
}
