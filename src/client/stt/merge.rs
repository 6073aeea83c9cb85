//! Puts what is said in several channels into one order. Pure.

use super::format::Entry;
use crate::speech::{Samples, Segment};
use std::collections::VecDeque;

/// Segments of several channels, in the order of their starts, then of their channels.
#[derive(Debug)]
pub(super) struct Merge {
    channels: Vec<Channel>,
    /// Whether segments are told by channel; one channel alone is not.
    is_numbered: bool,
}

#[derive(Debug, Default)]
struct Channel {
    waiting: VecDeque<Segment>,
    /// No segment that comes later starts before this; `None` once none comes.
    decided: Option<Samples>,
}

impl Merge {
    /// For so many channels, from `start` on. `is_numbered` says whether entries name theirs.
    pub(super) fn new(count: usize, is_numbered: bool, start: Samples) -> Self {
        let fresh = || Channel { waiting: VecDeque::new(), decided: Some(start) };
        Self { channels: (0..count).map(|_| fresh()).collect(), is_numbered }
    }

    /// Takes a segment of a channel, counted from 0.
    pub(super) fn push(&mut self, channel: usize, segment: Segment) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.waiting.push_back(segment);
        }
    }

    /// Takes note of how far a channel is decided; `None` when it has ended.
    pub(super) fn decide(&mut self, channel: usize, decided: Option<Samples>) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.decided = decided;
        }
    }

    /// Up to where all channels are decided; `None` when all have ended.
    pub(super) fn decided(&self) -> Option<Samples> {
        self.channels.iter().filter_map(|channel| channel.decided).min()
    }

    /// The next entry that nothing can come before any more.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let first = (0..self.channels.len())
            .filter_map(|index| Some((self.channels.get(index)?.waiting.front()?.start, index)))
            .min()?;
        let (start, index) = first;
        // A channel with nothing waiting may still bring something as early as it is decided.
        let is_safe = |other: usize, channel: &Channel| {
            !channel.waiting.is_empty() || channel.decided.is_none_or(|decided| (decided, other) > (start, index))
        };
        if !self.channels.iter().enumerate().all(|(other, channel)| other == index || is_safe(other, channel)) {
            return None;
        }
        let segment = self.channels.get_mut(index)?.waiting.pop_front()?;
        Some(Entry { segment, channel: self.is_numbered.then_some(index + 1) })
    }

    /// All that waits, where nothing else comes any more.
    pub(super) fn rest(&mut self) -> Vec<Entry> {
        self.channels.iter_mut().for_each(|channel| channel.decided = None);
        std::iter::from_fn(|| self.next()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(start: i64) -> Segment {
        Segment { start: Samples(start), end: Samples(start + 1), ..Segment::default() }
    }

    #[test]
    fn one_channel_waits_for_nothing() {
        let mut merge = Merge::new(1, false, Samples(0));
        merge.push(0, segment(7));
        assert_eq!(merge.next(), Some(Entry { segment: segment(7), channel: None }));
        assert_eq!(merge.next(), None);
    }

    #[test]
    fn what_waits_is_given_when_nothing_else_comes() {
        let mut merge = Merge::new(2, true, Samples(0));
        merge.push(1, segment(9));
        merge.push(1, segment(12));
        assert_eq!(merge.next(), None);
        let starts: Vec<i64> = merge.rest().into_iter().map(|entry| entry.segment.start.0).collect();
        assert_eq!(starts, [9, 12]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_024))]

        /// In whatever order the channels are served, the entries come out as if all were sorted at the end, and at
        /// the end all are out.
        #[test]
        fn the_order_does_not_depend_on_who_is_served_first(
            gaps in prop::collection::vec(prop::collection::vec(0i64..40, 0..12), 1..4),
            turns in prop::collection::vec(0usize..4, 0..120),
        ) {
            let starts: Vec<Vec<i64>> = gaps
                .iter()
                .map(|gaps| gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect())
                .collect();
            let mut sorted: Vec<(i64, usize)> = starts
                .iter()
                .enumerate()
                .flat_map(|(channel, starts)| starts.iter().map(move |start| (*start, channel + 1)))
                .collect();
            sorted.sort_unstable();
            let mut merge = Merge::new(starts.len(), true, Samples(0));
            let mut queues: Vec<VecDeque<i64>> = starts.into_iter().map(VecDeque::from).collect();
            let mut out = Vec::new();
            let rest: Vec<usize> = (0..queues.len()).flat_map(|channel| vec![channel; 13]).collect();
            for turn in turns.into_iter().chain(rest) {
                let channel = turn % queues.len();
                match queues[channel].pop_front() {
                    Some(start) => {
                        merge.push(channel, segment(start));
                        merge.decide(channel, Some(Samples(start)));
                    }
                    None => merge.decide(channel, None),
                }
                while let Some(entry) = merge.next() {
                    out.push((entry.segment.start.0, entry.channel.expect("numbered")));
                }
            }
            prop_assert_eq!(out, sorted);
            prop_assert_eq!(merge.decided(), None);
        }
    }
}
