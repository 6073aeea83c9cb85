//! What servers have left behind, to be looked at without one.

use super::stored;
use crate::{
    audio::wav,
    error::{Error, Kind, Result},
    listening::Decided,
    server::wal::{
        Note, SessionId,
        salvage::{self, Left},
    },
    speech::{self, Samples},
};
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// The most silence that stands for audio that is missing, samples.
const LONGEST_HOLE: usize = 600 * Samples::RATE as usize;

/// A session that is on the disk.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// Its name.
    pub(crate) id: String,
    /// The model that it was for.
    pub(crate) model: String,
    /// What was said, final by final, as far as the client has not said that it has it.
    pub(crate) finals: Vec<String>,
    /// The rate of its audio, Hz.
    pub(crate) rate: u32,
    /// The audio that nobody has written down, with the position of the first sample of each stretch.
    pub(crate) undecided: Vec<(Samples, Vec<i16>)>,
    /// Whether it was ended by its client.
    pub(crate) is_over: bool,
    /// What is wrong with it.
    pub(crate) damage: Option<Error>,
}

impl Leftover {
    /// How much of its audio nobody has written down, in seconds.
    pub(crate) fn undecided_seconds(&self) -> f64 {
        let samples: usize = self.undecided.iter().map(|(_, audio)| audio.len()).sum();
        samples as f64 / f64::from(self.rate.max(1))
    }

    /// Whether nothing was said that its client does not know of.
    pub(super) fn is_of_no_use(&self) -> bool {
        self.is_over && self.undecided.is_empty() && self.damage.is_none()
    }

    /// Saves the audio that nobody has written down as one WAV file, which was not there and only its owner can read.
    /// What is missing between stretches is silence, so that positions stay.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn save(&self, file: &Path) -> Result<()> {
        let first = self.undecided.first().map_or(0, |(start, _)| start.0);
        let mut samples = Vec::new();
        for (start, audio) in &self.undecided {
            // Nor does a position that is damaged fill the disk.
            let at = usize::try_from(start.0 - first).unwrap_or(0).min(samples.len() + LONGEST_HOLE);
            samples.resize(at.max(samples.len()), 0);
            samples.extend_from_slice(audio);
        }
        let failed = |cause| {
            let message = format!("cannot write `{}`; name another file with `--output`", file.display());
            Error::new(Kind::Io, message).because(cause)
        };
        let mut opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
        opened.write_all(&wav::from_samples(self.rate, &samples)).map_err(failed)
    }
}

/// Whether a server uses this folder now.
pub(crate) fn is_in_use(folder: &Path) -> bool {
    salvage::is_in_use(folder)
}

/// All sessions of a folder.
///
/// # Errors
/// `Io` where it cannot be read.
pub(crate) fn list(folder: &Path) -> Result<Vec<Leftover>> {
    let ids = salvage::sessions(folder)?;
    let one = |id: &SessionId| {
        let left = salvage::read(folder, id);
        read(id, left.unwrap_or_else(|error| Left { damage: Some(error), ..Left::default() }))
    };
    Ok(ids.iter().map(one).collect())
}

/// Removes a session from a folder that no server uses.
///
/// # Errors
/// `InvalidInput` for a name that is none, `Io`.
pub(crate) fn remove(folder: &Path, id: &str) -> Result<()> {
    let path = folder.join(SessionId::try_new(id)?.as_str());
    let failed = |cause| Error::new(Kind::Io, format!("cannot remove `{}`", path.display())).because(cause);
    fs::remove_dir_all(&path).map_err(failed)
}

fn read(id: &SessionId, left: Left) -> Leftover {
    let mut leftover = Leftover {
        id: id.to_string(),
        model: String::new(),
        finals: Vec::new(),
        rate: Samples::RATE,
        undecided: left.undecided,
        is_over: false,
        damage: left.damage,
    };
    let text = |decided: Decided| speech::join(&decided.segments);
    let mut finals = Vec::new();
    let mut acknowledged = 0;
    for note in left.notes {
        match note {
            Note::Open { config } => {
                let Ok(opened) = stored::read_opened(&config) else { continue };
                let recognition = opened.config.and_then(|config| config.recognition).unwrap_or_default();
                leftover.model = opened.model;
                leftover.rate = u32::try_from(recognition.sample_rate_hertz).unwrap_or(Samples::RATE);
            }
            Note::Final { seq, message, .. } => {
                let decided = stored::read_step(&message).ok().and_then(|(_, decided)| decided);
                finals.extend(decided.map(|decided| (seq, text(decided))));
            }
            Note::Acked { seq } => acknowledged = seq,
            Note::Ended { .. } | Note::Closed => leftover.is_over = true,
            Note::Commit { .. } | Note::Epoch { .. } => {}
        }
    }
    leftover.finals = finals.into_iter().filter(|(seq, _)| *seq > acknowledged).map(|(_, text)| text).collect();
    leftover
}
