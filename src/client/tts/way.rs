//! What becomes of the audio: it is written, or played as it comes.

use super::sink::Sink;
use crate::{
    client::{
        output::Output,
        speaker::{Loudspeaker, Speaker},
    },
    error::{Error, Kind, Result},
};

/// Where audio goes.
pub(super) enum Way {
    /// Into a file or a pipe.
    Write(Box<Sink>),
    /// To a loudspeaker that is not needed yet.
    Play(Loudspeaker, Output),
    /// To one that plays.
    Playing(Box<Speaker>, Output),
}

impl Way {
    /// Begins, at a rate in Hz.
    ///
    /// # Errors
    /// What is wrong with the place, or with the loudspeaker.
    pub(super) async fn begin(self, rate: u32) -> Result<Self> {
        match self {
            Way::Write(mut sink) => sink.begin(rate).map(|()| Way::Write(sink)),
            Way::Play(loudspeaker, output) => Ok(Way::Playing(Box::new(loudspeaker.begin(rate).await?), output)),
            Way::Playing(..) => Err(Error::new(Kind::Internal, "the server announced two formats")),
        }
    }

    /// Takes samples, 16 bits little-endian. A loudspeaker is waited for.
    ///
    /// # Errors
    /// What is wrong with the place, or with the loudspeaker.
    pub(super) async fn write(&mut self, audio: &[u8]) -> Result<()> {
        match self {
            Way::Write(sink) => sink.write(audio),
            Way::Play(..) => Err(Error::new(Kind::Internal, "audio came before its format")),
            Way::Playing(speaker, _) => {
                let (samples, _) = audio.as_chunks::<2>();
                let samples: Vec<i16> = samples.iter().map(|&sample| i16::from_le_bytes(sample)).collect();
                speaker.write(&samples).await
            }
        }
    }

    /// Ends it: a file is whole now; all is heard.
    ///
    /// # Errors
    /// What is wrong with the place, or with the loudspeaker.
    pub(super) async fn finish(self) -> Result<()> {
        match self {
            Way::Write(sink) => sink.finish(),
            Way::Play(..) => Ok(()),
            Way::Playing(mut speaker, output) => {
                speaker.drain().await?;
                let underruns = speaker.underruns();
                if underruns > 0 {
                    output
                        .note_verbose(&format!("the speech came late {underruns} times; there was silence meanwhile"));
                }
                Ok(())
            }
        }
    }
}
