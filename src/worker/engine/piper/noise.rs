//! The noise that makes a voice vary, from a seed: the same seed gives the same noise on every machine. (The speech made
//! of it is the same on one machine; another instruction set may round it differently.)
//!
//! xoshiro256++ 1.0 (Blackman and Vigna, <https://prng.di.unimi.it>), its state filled by SplitMix64, gives uniform
//! numbers; the Box-Muller transform makes them normal, in 64 bits and with libm's own functions, which unlike a
//! system's mathematics library are the same everywhere.

use std::f64::consts::TAU;

/// A source of standard normal numbers.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    state: [u64; 4],
    spare: Option<f32>,
}

impl Noise {
    /// The noise of a seed. Each `stream` of it is another one: durations and sound must not share theirs.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = SplitMix(seed);
        // Not `seed ^ stream`: neighbouring seeds must not share streams.
        let mut mixer = SplitMix(mixer.next().wrapping_add(stream.wrapping_mul(SplitMix::STEP)));
        Self { state: std::array::from_fn(|_| mixer.next()), spare: None }
    }

    /// The next 64 random bits.
    fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        result
    }

    /// Uniform in 0..1, in steps of 2^-53.
    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// As many numbers as asked for.
    pub(super) fn take(&mut self, count: usize) -> Vec<f32> {
        std::iter::repeat_with(|| self.normal()).take(count).collect()
    }

    fn normal(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        // 1 - u lies in 0 (excluded) to 1, so its logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let (sin, cos) = libm::sincos(TAU * self.uniform());
        self.spare = Some((radius * sin) as f32);
        (radius * cos) as f32
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_are_the_published_ones() {
        let mut mixer = SplitMix(1_234_567);
        assert_eq!([mixer.next(), mixer.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        let mut noise = Noise { state: [1, 2, 3, 4], spare: None };
        assert_eq!([noise.bits(), noise.bits(), noise.bits()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn noise_is_standard_normal() {
        let noise = Noise::new(7, 1).take(200_000);
        let moment = |power: i32| noise.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / noise.len() as f64;
        assert!(moment(1).abs() < 0.01, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.01, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.03, "skew {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.06, "fourth moment {}", moment(4));
        let beside: f64 = noise.windows(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1])).sum();
        assert!((beside / noise.len() as f64).abs() < 0.01, "neighbours are correlated");
    }

    #[test]
    fn a_seed_gives_the_same_noise_and_others_give_other_noise() {
        assert_eq!(Noise::new(3, 0).take(9), Noise::new(3, 0).take(9));
        assert_ne!(Noise::new(3, 0).take(9), Noise::new(4, 0).take(9));
        assert_ne!(Noise::new(3, 0).take(9), Noise::new(3, 1).take(9));
        assert_eq!(Noise::new(3, 0).take(9)[..4], Noise::new(3, 0).take(4));
    }
}
