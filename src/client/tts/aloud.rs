//! Audio that is played as it comes.

use crate::{
    audio::bytes_to_i16,
    client::{
        output::Output,
        speaker::{Loudspeaker, Speaker},
    },
    error::{Error, Kind, Result},
};

/// A loudspeaker, from before it is needed until all is heard.
pub(super) struct Aloud {
    ready: Option<Loudspeaker>,
    playing: Option<Speaker>,
    output: Output,
}

impl Aloud {
    /// With a loudspeaker that was found.
    pub(super) fn new(loudspeaker: Loudspeaker, output: Output) -> Self {
        Self { ready: Some(loudspeaker), playing: None, output }
    }

    /// Begins, at a rate in Hz.
    ///
    /// # Errors
    /// What is wrong with the loudspeaker.
    pub(super) async fn begin(&mut self, rate: u32) -> Result<()> {
        let ready = self.ready.take().ok_or_else(|| Error::new(Kind::Internal, "the server announced two formats"))?;
        self.playing = Some(ready.begin(rate).await?);
        Ok(())
    }

    /// Takes samples, 16 bits little-endian, as soon as there is room for them.
    ///
    /// # Errors
    /// What is wrong with the loudspeaker.
    pub(super) async fn write(&mut self, audio: &[u8]) -> Result<()> {
        let Some(speaker) = &mut self.playing else {
            return Err(Error::new(Kind::Internal, "audio came before its format"));
        };
        speaker.write(&bytes_to_i16(audio)).await
    }

    /// Waits until all is heard.
    ///
    /// # Errors
    /// What is wrong with the loudspeaker.
    pub(super) async fn finish(self) -> Result<()> {
        let Some(mut speaker) = self.playing else { return Ok(()) };
        speaker.drain().await?;
        let underruns = speaker.underruns();
        if underruns > 0 {
            self.output.note_verbose(&format!("the speech came late {underruns} times; there was silence meanwhile"));
        }
        Ok(())
    }
}
