//! The audio that is kept until it is known to be decided: one stretch of samples with its place on the clock. Pure.

use std::collections::VecDeque;

/// A stretch of audio.
#[derive(Debug, Default)]
pub(super) struct Kept {
    samples: VecDeque<i16>,
    start: i64,
}

impl Kept {
    /// Where it begins.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// Where it ends: so much has been heard.
    pub(super) fn end(&self) -> i64 {
        self.start + self.len()
    }

    /// How much it is.
    pub(super) fn len(&self) -> i64 {
        self.samples.len() as i64
    }

    /// Puts more behind it.
    pub(super) fn push(&mut self, samples: &[i16]) {
        self.samples.extend(samples);
    }

    /// Lets go of what is before a position, as far as there is anything.
    pub(super) fn release(&mut self, to: i64) {
        let count = (to - self.start).clamp(0, self.len());
        self.samples.drain(..count as usize);
        self.start += count;
    }

    /// At most so many samples from a position on. What is not kept any more is silence.
    pub(super) fn read(&self, from: i64, most: i64) -> Vec<i16> {
        let count = (self.end() - from).clamp(0, most);
        let missing = (self.start - from).clamp(0, count);
        let first = (from + missing - self.start).max(0) as usize;
        let mut samples = vec![0; missing as usize];
        samples.extend(self.samples.iter().skip(first).take((count - missing) as usize));
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_of_reads_as_silence() {
        let mut kept = Kept::default();
        kept.push(&[1, 2, 3, 4, 5]);
        kept.release(2);
        assert_eq!((kept.start(), kept.end(), kept.len()), (2, 5, 3));
        assert_eq!(kept.read(0, 4), [0, 0, 3, 4]);
        assert_eq!(kept.read(0, 1), [0]);
        assert_eq!(kept.read(3, 9), [4, 5]);
        assert_eq!(kept.read(5, 9), [0i16; 0]);
        kept.release(1);
        assert_eq!(kept.start(), 2, "never back");
        kept.release(99);
        assert_eq!((kept.start(), kept.end()), (5, 5), "never beyond what was heard");
    }
}
