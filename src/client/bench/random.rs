//! Random numbers that come again with the same seed.

/// xorshift64*, by Vigna; enough to choose words, times and victims.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A source of its own for each part of a run: what one part draws does not move what another one does.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        // SplitMix64's finish, so that neighbouring seeds have nothing in common.
        let mut mixed = seed.wrapping_add(part.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)) | 1)
    }

    /// A number in `0..below`.
    pub(super) fn below(&mut self, below: usize) -> usize {
        (self.next() >> 33) as usize % below.max(1)
    }

    /// A number from `from` to `to`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        from + unit * (to - from)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let draw = |seed, part| {
            let mut random = Random::new(seed, part);
            (0..8).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
        let mut random = Random::new(0, 0);
        assert!((0..1000).all(|_| (0.3..2.0).contains(&random.between(0.3, 2.0))));
    }
}
