//! Medians and quartiles.

use std::time::Duration;

/// Measurements of one thing, in order of size.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    /// Of these numbers, of which there must be one at least.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Self {
        assert!(!numbers.is_empty(), "a row without a round");
        numbers.sort_by(f64::total_cmp);
        Self(numbers)
    }

    /// Of durations, in milliseconds.
    pub(crate) fn of_times(times: &[Duration]) -> Self {
        Self::of(times.iter().map(|time| time.as_secs_f64() * 1e3).collect())
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The number below which this share of them lies, between the two neighbours where it falls between them.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let place = share * (self.0.len() - 1) as f64;
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        self.0[below] + (self.0[above] - self.0[below]) * (place - place.floor())
    }

    /// Each times this.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self(self.0.iter().map(|number| number * factor).collect())
    }

    pub(crate) fn rounds(&self) -> usize {
        self.0.len()
    }
}
