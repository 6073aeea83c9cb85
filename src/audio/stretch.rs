//! Changes the tempo of mono speech and keeps its pitch: for speeds that an engine does not reach by itself.
//!
//! The method is WSOLA: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity (WSOLA)
//! for high quality time-scale modification of speech", ICASSP 1993. The output is put together from pieces of the
//! input, each taken close to where it belongs in time, at the place that best resembles what would have followed
//! the piece before it, and faded into.
//!
//! Four promises: `n` samples become exactly `round(n / tempo)`; the output does not depend on how the input was cut
//! up, to the bit; a tempo of 1 changes nothing; and sound of more than two hops, before and after, begins and ends
//! with the very samples of the input. What is remembered is a few hops, however long the input.
//!
//! It is for one voice at a time. Music gets rough, and below half or above twice the tempo so does speech. It does
//! not change pitch or rate, and it comes out late: see [`HOP_MS`].

/// The length of a piece and of the fade into it, in milliseconds. It holds one period of a voice of 63 Hz, so that
/// likeness means likeness of a whole period. Fewer than 4 hops wait inside: of input or of output, the longer of both.
const HOP_MS: u32 = 16;

/// How far from where it belongs a piece may be taken, in milliseconds. Both ways together are one period of 50 Hz:
/// there is a place in step with any voice.
const REACH_MS: u32 = 10;

/// The rate of the first, coarse look for a likeness, in Hz, about. It has to keep the pitch and the first formant.
const COARSE_HZ: u32 = 5_000;

/// Changes the tempo of speech, not its pitch.
pub(crate) struct Stretch {
    /// Samples of input for each sample of output.
    tempo: f64,
    /// The length of a piece, in samples.
    hop: usize,
    /// How far from where it belongs a piece may be taken, in samples.
    reach: u64,
    /// How many samples the coarse look takes as one.
    stride: usize,
    /// Input that may still be needed.
    pending: Vec<i16>,
    /// Where `pending` begins in the input, in samples.
    start: u64,
    /// Where the last piece ended in the input: what would follow it by nature.
    follow: u64,
    /// Samples that went out.
    given: u64,
}

impl Stretch {
    /// Prepares for a sample rate in Hz and a tempo: 2.0 is twice as fast, so half as many samples. The tempo is held
    /// within 0.25 to 4.0; one that is not a number counts as 1.0.
    pub(crate) fn new(sample_rate: u32, tempo: f64) -> Self {
        let tempo = if tempo.is_nan() { 1.0 } else { tempo.clamp(0.25, 4.0) };
        // The floor is for rates that carry no speech: a hop must not be empty.
        let samples = |ms: u32| (u64::from(sample_rate) * u64::from(ms) / 1_000).max(2);
        let stride = (sample_rate / COARSE_HZ).max(1) as usize;
        let (hop, reach) = (samples(HOP_MS) as usize, samples(REACH_MS));
        Self { tempo, hop, reach, stride, pending: Vec::new(), start: 0, follow: 0, given: 0 }
    }

    /// Takes samples and gives those of the output that are certain by now: none, or some pieces.
    pub(crate) fn push(&mut self, samples: &[i16]) -> Vec<i16> {
        self.pending.extend_from_slice(samples);
        let (hop, mut output) = (self.hop as u64, Vec::new());
        // Two hops stay due, so that the last piece has room for its fade. See `finish`.
        while self.taken() >= self.target() + self.reach + 2 * hop && self.due() >= self.given + 3 * hop {
            self.step(&mut output);
        }
        self.forget();
        output
    }

    /// Gives what is left once the input has ended.
    pub(crate) fn finish(mut self) -> Vec<i16> {
        let mut output = Vec::new();
        if self.taken() >= 2 * self.hop as u64 {
            while self.due() > self.given + 2 * self.hop as u64 {
                self.step(&mut output);
            }
        }
        let left = (self.due() - self.given) as usize;
        // An input too short to take pieces from goes back and forth: no step in it, and it ends where it should.
        let once = self.pending.clone();
        while self.pending.len() < left {
            self.pending.extend(once.iter().rev());
            self.pending.extend_from_slice(&once);
        }
        // The last piece is the end of the input, in step or not: cut off anywhere else, sound could end in a click.
        let (fade, end) = (self.hop.min(left), self.pending.len() - left);
        self.join(self.start + end as u64, fade, &mut output);
        output.extend_from_slice(&self.pending[end + fade..]);
        output
    }

    /// How many samples came in.
    fn taken(&self) -> u64 {
        self.start + self.pending.len() as u64
    }

    /// How many samples belong to all that was taken.
    fn due(&self) -> u64 {
        (self.taken() as f64 / self.tempo).round() as u64
    }

    /// Where in the input the next piece belongs: its middle, fades and all, is where the tempo puts it. Counted from
    /// the beginning each time, so that no error adds up. The first piece is the beginning.
    fn target(&self) -> u64 {
        let hop = if self.given == 0 { 0 } else { self.hop as u64 };
        (((self.given + hop) as f64 * self.tempo).round() as u64).saturating_sub(hop)
    }

    /// Where an input position is in `pending`.
    fn index(&self, position: u64) -> usize {
        (position - self.start) as usize
    }

    /// Gives one more piece. Takes two hops of input after it as given: one for it, one for what follows it.
    fn step(&mut self, output: &mut Vec<i16>) {
        let hop = self.hop as u64;
        let high = (self.target() + self.reach).min(self.taken() - 2 * hop);
        let low = high.saturating_sub(2 * self.reach);
        // Nothing resembles what follows more than itself.
        let begin = if (low..=high).contains(&self.follow) { self.follow } else { self.likest(low, high) };
        self.join(begin, self.hop, output);
        self.follow = begin + hop;
        self.given += hop;
    }

    /// The position from `low` to `high` whose hop is most like the one that follows by nature; of equals, the one
    /// closest to where the piece belongs. A coarse look finds the place, a close one around it the sample.
    fn likest(&self, low: u64, high: u64) -> u64 {
        let (first, last) = (self.index(low), self.index(high));
        let wanted = &self.pending[self.index(self.follow)..][..self.hop];
        let region = &self.pending[first..last + self.hop];
        let centre = self.target().clamp(low, high).saturating_sub(low) as usize;

        let (coarse, places) = (thinned(wanted, self.stride), thinned(region, self.stride));
        let near = most(0..=(last - first) / self.stride, centre / self.stride, |place| {
            likeness(&coarse, &places[place..][..coarse.len()])
        }) * self.stride;
        let close = near.saturating_sub(self.stride)..=(near + self.stride).min(last - first);
        low + most(close, centre, |place| likeness(wanted, &region[place..][..self.hop])) as u64
    }

    /// Gives `count` samples that fade from what follows by nature to what is at `begin`.
    ///
    /// Two sounds out of step, as hiss always is, add up to less than either: the mix is raised to the level that it
    /// would have in step, or every fade would be a dip.
    fn join(&self, begin: u64, count: usize, output: &mut Vec<i16>) {
        let old = &self.pending[self.index(self.follow)..][..count];
        let new = &self.pending[self.index(begin)..][..count];
        if begin == self.follow {
            output.extend_from_slice(old);
            return;
        }
        let (old_level, new_level) = ((product(old, old) as f64).sqrt(), (product(new, new) as f64).sqrt());
        let common = product(old, new).max(0) as f64;
        output.extend(old.iter().zip(new).enumerate().map(|(at, (&before, &after))| {
            let time = (at as f64 + 0.5) / count as f64;
            let rise = time * time * (3.0 - 2.0 * time);
            let fall = 1.0 - rise;
            let (from, to) = (fall * old_level, rise * new_level);
            let power = from * from + to * to + 2.0 * fall * rise * common;
            let gain = if power > 0.0 { (from + to) / power.sqrt() } else { 1.0 };
            // A float that is turned into an `i16` stops at the ends of its range.
            ((fall * f64::from(before) + rise * f64::from(after)) * gain).round() as i16
        }));
    }

    /// Drops the input that no piece can come from any more, whether more input follows or not.
    fn forget(&mut self) {
        let oldest = self.target().saturating_sub(self.reach).min(self.follow);
        let at_the_end = self.taken().saturating_sub(2 * (self.hop as u64 + self.reach));
        let kept = oldest.min(at_the_end).max(self.start);
        self.pending.drain(..self.index(kept));
        self.start = kept;
    }
}

/// Sums of `stride` samples each: a low-pass and a lower rate in one.
fn thinned(samples: &[i16], stride: usize) -> Vec<i32> {
    samples.chunks_exact(stride).map(|few| few.iter().copied().map(i32::from).sum()).collect()
}

/// The place with the highest score; of equals, the one closest to `centre`.
fn most(places: impl Iterator<Item = usize>, centre: usize, score: impl Fn(usize) -> f64) -> usize {
    let scored = places.map(|place| (place, score(place)));
    let best = scored
        .max_by(|(a, one), (b, other)| one.total_cmp(other).then_with(|| b.abs_diff(centre).cmp(&a.abs_diff(centre))));
    best.map_or(centre, |(place, _)| place)
}

/// How alike two waveforms are, whatever the loudness of `found`: their correlation, squared but for its sign.
fn likeness<T: Copy + Into<i64>>(wanted: &[T], found: &[T]) -> f64 {
    let (common, energy) = (product(wanted, found) as f64, product(found, found) as f64);
    if energy > 0.0 { common * common.abs() / energy } else { 0.0 }
}

/// The sum of products, in whole numbers: exact, so the order of summation is nothing to the result.
fn product<T: Copy + Into<i64>>(one: &[T], other: &[T]) -> i64 {
    one.iter().zip(other).map(|(&a, &b)| a.into() * b.into()).sum()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    const RATE: u32 = 22_050;
    const TEMPOS: [f64; 5] = [0.5, 0.547, 0.8, 1.25, 1.556];
    const PITCHES: [f64; 7] = [100.0, 117.3, 150.0, 200.0, 251.7, 333.0, 400.0];

    fn stretch(tempo: f64, samples: &[i16]) -> Vec<i16> {
        let mut stretch = Stretch::new(RATE, tempo);
        let mut output = stretch.push(samples);
        output.extend(stretch.finish());
        output
    }

    fn length(count: usize, tempo: f64) -> usize {
        (count as f64 / tempo).round() as usize
    }

    /// Five harmonics, each weaker than the one before.
    fn tone(hertz: f64, count: usize) -> Vec<i16> {
        let wave = |at: usize| -> f64 {
            let angle = TAU * hertz * at as f64 / f64::from(RATE);
            (1..=5).map(|n| (angle * f64::from(n)).sin() / f64::from(n)).sum()
        };
        (0..count).map(|at| (8_000.0 * wave(at)) as i16).collect()
    }

    /// Hiss, the same for the same seed.
    fn hiss(seed: u32, count: usize) -> Vec<i16> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 18) as i16 - 8_192
        };
        (0..count).map(|_| next()).collect()
    }

    /// Syllables: pulses of a gliding voice through one formant, then hiss, then a pause, four times a second.
    fn speech(count: usize) -> Vec<i16> {
        let noise = hiss(7, count);
        let (mut phase, mut before, mut last) = (0.0, 0.0, 0.0);
        let voice = |at: usize| {
            let second = at as f64 / f64::from(RATE);
            phase += (120.0 + 40.0 * (TAU * 0.7 * second).sin()) / f64::from(RATE);
            let pulse = if phase >= 1.0 { 6_000.0 } else { 0.0 };
            phase %= 1.0;
            let now = pulse + 1.93 * last - 0.96 * before;
            (before, last) = (last, now);
            let part = (second * 4.0).fract();
            let voiced = if part < 0.6 { (part / 0.6 * TAU / 2.0).sin() } else { 0.0 };
            let hissed = if (0.6..0.85).contains(&part) { 0.2 } else { 0.0 };
            (now * voiced * 0.3 + f64::from(noise[at]) * hissed) as i16
        };
        (0..count).map(voice).collect()
    }

    fn decibels(samples: &[i16]) -> f64 {
        10.0 * (product(samples, samples) as f64 / samples.len() as f64).log10()
    }

    fn largest_step(samples: &[i16]) -> i32 {
        samples.windows(2).map(|two| (i32::from(two[1]) - i32::from(two[0])).abs()).max().unwrap_or(0)
    }

    /// The strongest frequency within 10 % of the one that is looked for, to 0.2 %.
    fn pitch(samples: &[i16], near: f64) -> f64 {
        let strength = |hertz: f64| {
            let (mut re, mut im) = (0.0, 0.0);
            for (at, &sample) in samples.iter().enumerate() {
                let window = (TAU / 2.0 * at as f64 / samples.len() as f64).sin().powi(2);
                let (sin, cos) = (TAU * hertz * at as f64 / f64::from(RATE)).sin_cos();
                re += f64::from(sample) * window * cos;
                im += f64::from(sample) * window * sin;
            }
            re.hypot(im)
        };
        let tried = (-50..=50).map(|step| near * (1.0 + f64::from(step) * 0.002));
        tried.map(|hertz| (strength(hertz), hertz)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap().1
    }

    #[test]
    fn nothing_gives_nothing() {
        for tempo in TEMPOS {
            assert!(Stretch::new(RATE, tempo).finish().is_empty());
            assert!(stretch(tempo, &[]).is_empty());
        }
    }

    #[test]
    fn pitch_is_kept() {
        let mut worst: f64 = 0.0;
        for hertz in PITCHES {
            let input = tone(hertz, RATE as usize / 2);
            for tempo in TEMPOS {
                let found = pitch(&stretch(tempo, &input), hertz);
                worst = worst.max((found / hertz - 1.0).abs());
                assert!(worst < 0.01, "{hertz} Hz at {tempo}: {found} Hz");
            }
        }
        println!("pitch: off by {:.2} %", worst * 100.0);
    }

    #[test]
    fn loudness_is_kept() {
        for (name, input) in [("speech", speech(60_000)), ("hiss", hiss(3, 60_000)), ("tone", tone(130.0, 60_000))] {
            for tempo in TEMPOS {
                let change = decibels(&stretch(tempo, &input)) - decibels(&input);
                println!("{name} at {tempo}: {change:+.2} dB");
                assert!(change.abs() < 0.3, "{name} at {tempo}: {change} dB");
            }
        }
    }

    #[test]
    fn a_tone_does_not_click() {
        let mut worst: f64 = 0.0;
        for hertz in PITCHES {
            for count in [500, 706, 1_000, 5_000, 5_100, 5_233, 20_000] {
                let input = tone(hertz, count);
                for tempo in TEMPOS {
                    let growth = f64::from(largest_step(&stretch(tempo, &input))) / f64::from(largest_step(&input));
                    worst = worst.max(growth);
                    assert!(growth < 1.5, "{hertz} Hz, {count} samples at {tempo}: {growth}");
                }
            }
        }
        println!("largest step: times {worst:.3}");
    }

    #[test]
    fn silence_and_a_constant_stay_what_they_are() {
        for value in [0, 1, -1, 12_345, i16::MAX, i16::MIN] {
            for count in [1, 2, 352, 703, 706, 5_000] {
                for tempo in TEMPOS {
                    assert_eq!(stretch(tempo, &vec![value; count]), vec![value; length(count, tempo)]);
                }
            }
        }
    }

    #[test]
    fn the_ends_are_those_of_the_input() {
        let input = hiss(5, 9_999);
        for tempo in TEMPOS {
            let output = stretch(tempo, &input);
            assert_eq!(output[..352], input[..352]);
            assert_eq!(output.last(), input.last());
        }
    }

    #[test]
    fn everything_happens_in_time() {
        // A burst each half second: no drift, and none lost or said twice.
        let mut input = vec![0; 220_500];
        for (at, sample) in tone(150.0, 220_500).into_iter().enumerate() {
            if at % 11_025 >= 8_000 {
                input[at] = sample;
            }
        }
        for tempo in TEMPOS {
            let output = stretch(tempo, &input);
            let mut onsets = Vec::new();
            let mut quiet = 0;
            for (at, &sample) in output.iter().enumerate() {
                if sample.unsigned_abs() < 500 {
                    quiet += 1;
                } else {
                    if quiet > 1_000 {
                        onsets.push(at);
                    }
                    quiet = 0;
                }
            }
            assert_eq!(onsets.len(), 20, "at {tempo}");
            // A piece is off by its reach, its ends by what the tempo takes from them; in milliseconds of output.
            let bound = f64::from(REACH_MS) / tempo + f64::from(HOP_MS) * (1.0 - 1.0 / tempo).abs() + 1.0;
            let due = |burst: usize| (8_000 + burst * 11_025) as f64 / tempo;
            let off = onsets.iter().enumerate().map(|(burst, &onset)| (onset as f64 - due(burst)) / 22.05);
            let (least, most) = off.fold((0.0, 0.0), |(a, b), off| (off.min(a), off.max(b)));
            println!("at {tempo}: {least:.1} to {most:.1} ms off, {bound:.1} allowed");
            assert!(-bound < least && most < bound, "at {tempo}: {least} to {most} ms");
        }
    }

    #[test]
    fn memory_is_bounded() {
        for tempo in [0.25, 0.5, 0.547, 0.8, 1.0, 1.25, 1.556, 2.0, 4.0] {
            let mut stretch = Stretch::new(RATE, tempo);
            let mut most = 0;
            for chunk in speech(400_000).chunks(100) {
                stretch.push(chunk);
                most = most.max(stretch.pending.len());
            }
            println!("at {tempo}: {:.1} hops", most as f64 / stretch.hop as f64);
            assert!(most as f64 <= 4.0 * stretch.hop as f64 * tempo.max(1.0), "at {tempo}: {most}");
        }
    }

    #[test]
    fn odd_rates_and_tempos_are_survived() {
        let input: Vec<i16> = (0..3_000).map(|at| if at / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        for rate in [0, 1, 999, 8_000, 11_025, 16_000, 48_000, 192_000, u32::MAX] {
            for (tempo, meant) in [(f64::NAN, 1.0), (-1.0, 0.25), (0.0, 0.25), (0.3, 0.3), (3.0, 3.0), (1e9, 4.0)] {
                let mut stretch = Stretch::new(rate, tempo);
                let count = stretch.push(&input).len() + stretch.finish().len();
                assert_eq!(count, length(input.len(), meant));
            }
        }
    }

    /// Only where the compiler has done its best.
    #[cfg(not(debug_assertions))]
    #[test]
    fn it_is_a_hundred_times_faster_than_speech() {
        let input = speech(60 * RATE as usize);
        for tempo in TEMPOS {
            let begun = std::time::Instant::now();
            stretch(tempo, &input);
            assert!(begun.elapsed().as_secs_f64() < 0.6, "at {tempo}: {:?} for a minute", begun.elapsed());
        }
    }

    fn any_tempo() -> impl Strategy<Value = f64> {
        prop_oneof![proptest::sample::select(TEMPOS.to_vec()), 0.25..=4.0]
    }

    /// Stretches of voice, hiss and silence, up to some 15 hops of the usual rate.
    fn any_sound() -> impl Strategy<Value = Vec<i16>> {
        let part = (0..3, 1..u32::MAX, 50.0..500.0, 0_usize..1_500).prop_map(|(kind, seed, hertz, count)| match kind {
            0 => vec![0; count],
            1 => hiss(seed, count),
            _ => tone(hertz, count),
        });
        proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_cuts_of_the_input_do_not_matter(
            rate in proptest::sample::select(vec![8_000, 16_000, 22_050, 48_000]), tempo in any_tempo(),
            sound in any_sound(), cuts in proptest::collection::vec(0_usize..900, 1..20),
        ) {
            let mut whole = Stretch::new(rate, tempo);
            let mut wanted = whole.push(&sound);
            wanted.extend(whole.finish());
            prop_assert_eq!(wanted.len(), length(sound.len(), tempo));

            let mut parts = Stretch::new(rate, tempo);
            let (mut output, mut rest) = (Vec::new(), sound.as_slice());
            for cut in cuts {
                let (chunk, left) = rest.split_at(cut.min(rest.len()));
                output.extend(parts.push(chunk));
                rest = left;
            }
            output.extend(parts.push(rest));
            output.extend(parts.finish());
            prop_assert!(output == wanted);
        }

        #[test]
        fn the_length_is_exact(tempo in any_tempo(), count in 0_usize..30_000) {
            prop_assert_eq!(stretch(tempo, &hiss(1, count)).len(), length(count, tempo));
        }

        #[test]
        fn a_tempo_of_one_changes_nothing(
            sound in any_sound(), noise in proptest::collection::vec(any::<i16>(), 0..4_000),
        ) {
            prop_assert!(stretch(1.0, &sound) == sound);
            prop_assert!(stretch(1.0, &noise) == noise);
        }
    }
}
