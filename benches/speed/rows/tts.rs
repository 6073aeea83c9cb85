//! Speaking one sentence, against espeak-ng's own program.

use crate::{
    Result,
    bed::{Bed, Server},
    report::{Goal, Row, Unit},
    turns,
};

/// What is said.
const SENTENCE: &str = "turn on the kitchen light";

const ROUNDS: usize = 100;

/// With a server and a worker that are started for it. The voices are in the cache by then: they are unpacked once for
/// ever, by the turn that does not count.
pub(super) fn cold(bed: &Bed<'_>) -> Result<Vec<Row>> {
    compare(bed, "`tts` of a sentence, cold, against `espeak-ng -w`", 5.0, &[])
}

/// With a server that runs, and has a worker at hand.
pub(super) fn warm(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let address = format!("unix:{}", bed.path("warm.socket").display());
    let server = Server::start(bed, &address, &[])?;
    compare(bed, "`tts` of a sentence, warm server, against `espeak-ng -w`", 1.5, &["--server", &server.address])
}

fn compare(bed: &Bed<'_>, what: &str, most: f64, flags: &[&str]) -> Result<Vec<Row>> {
    let Some(espeak_ng) = &bed.options.espeak_ng else {
        return Ok(vec![Row::not_measured(what, "no espeak-ng; give --espeak-ng")]);
    };
    let ours = || bed.speechctl(["tts", SENTENCE, "-o", "ours.wav"].iter().chain(flags));
    let rival = || bed.command(espeak_ng, ["-w", "rival.wav", SENTENCE]);
    let (our, their) = turns::times(bed.options.rounds(ROUNDS), &ours, &rival)?;
    for file in ["ours.wav", "rival.wav"] {
        if std::fs::metadata(bed.path(file))?.len() < 10_000 {
            return Err(format!("there is no speech in {file}").into());
        }
    }
    Ok(vec![Row::compared(what, Unit::Millis, Goal::TimesAtMost(most), &our, &their)])
}
