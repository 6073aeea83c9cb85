//! Recordings: sentences of the self-test model's grammar, spoken by speechctl itself.

use crate::{Result, bed::Bed, grammar::Grammar, turns};
use std::path::Path;

/// The rate of what Whisper hears.
pub(crate) const RATE: u32 = 16_000;

/// The seed of the sentences: any will do, and the same must be taken always.
const SEED: u64 = 60;

/// What lies between two sentences, in samples.
const PAUSE: usize = RATE as usize * 7 / 10;

/// Makes a recording of exactly so many seconds, with as many whole sentences as go into it.
pub(crate) fn record(bed: &Bed<'_>, path: &Path, seconds: usize) -> Result<()> {
    let length = seconds * RATE as usize;
    let mut grammar = Grammar::new(SEED);
    let mut samples: Vec<i16> = vec![0; RATE as usize / 5];
    let mut misfits = 0;
    // The last place may be too short for the next sentence, and yet take another.
    while samples.len() < length && misfits < 8 {
        let speech = speak(bed, &grammar.sentence())?;
        if samples.len() + speech.len() > length {
            misfits += 1;
            continue;
        }
        samples.extend(speech);
        samples.resize(samples.len() + PAUSE, 0);
    }
    samples.resize(length, 0);
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        file.write_sample(sample)?;
    }
    Ok(file.finalize()?)
}

fn speak(bed: &Bed<'_>, sentence: &str) -> Result<Vec<i16>> {
    let rate = RATE.to_string();
    let pcm = turns::output(bed.speechctl(["tts", sentence, "--sample-rate", &rate, "--format", "pcm", "-o", "-"]))?;
    Ok(pcm.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect())
}
