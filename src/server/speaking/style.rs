//! How a text is to be spoken: what callers may ask for, checked.

use crate::{
    error::{Error, Result},
    lexicon::Lexicon,
    proto::tts,
    server::recognition::next_request_id,
    speech::in_range,
};
use std::sync::Arc;

/// How to speak.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// The voice; empty = by region.
    pub(crate) voice: String,
    /// The region; empty = the default voice.
    pub(crate) region: String,
    /// The name or the number of the voice's speaker; empty = its default.
    pub(crate) speaker: String,
    /// Times the normal speed.
    pub(crate) speed: f32,
    /// Times the normal pitch.
    pub(crate) pitch: f32,
    /// Times the normal loudness.
    pub(crate) volume: f32,
    /// Hz; 0 = the voice's own.
    pub(crate) sample_rate: u32,
    /// Noise is made from it.
    pub(crate) seed: u64,
    /// How long phonemes are.
    pub(crate) length_scale: Option<f32>,
    /// How much the sound varies.
    pub(crate) noise_scale: Option<f32>,
    /// How much the length of phonemes varies.
    pub(crate) noise_w: Option<f32>,
    /// Seconds of silence between sentences.
    pub(crate) sentence_silence: Option<f32>,
    /// Each sentence as loud as can be.
    pub(crate) normalize: bool,
    /// Whether marks are wanted.
    pub(crate) marks: bool,
    /// The caller's own pronunciations.
    pub(crate) lexicon: Arc<Lexicon>,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            voice: String::new(),
            region: String::new(),
            speaker: String::new(),
            speed: 1.0,
            pitch: 1.0,
            volume: 1.0,
            sample_rate: 0,
            seed: 0,
            length_scale: None,
            noise_scale: None,
            noise_w: None,
            sentence_silence: None,
            normalize: false,
            marks: false,
            lexicon: Arc::default(),
        }
    }
}

impl Style {
    /// Sees whether each number lies in its range, and whether the voice is named once.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field.
    pub(crate) fn check(&self) -> Result<()> {
        if !self.voice.is_empty() && !self.region.is_empty() {
            let message = "voice and region are both given; a voice has its region already";
            return Err(Error::invalid(message).in_field("region"));
        }
        in_range("speed", Some(self.speed), 0.25..=4.0)?;
        in_range("pitch", Some(self.pitch), 0.5..=2.0)?;
        in_range("volume", Some(self.volume), 0.0..=2.0)?;
        in_range("length_scale", self.length_scale, 0.1..=10.0)?;
        in_range("noise_scale", self.noise_scale, 0.0..=2.0)?;
        in_range("noise_w", self.noise_w, 0.0..=2.0)?;
        in_range("sentence_silence", self.sentence_silence, 0.0..=60.0)?;
        if self.sample_rate != 0 && !(8_000..=192_000).contains(&self.sample_rate) {
            let message = format!("sample rate {} Hz is not in 8000 to 192000", self.sample_rate);
            return Err(Error::invalid(message).in_field("sample_rate_hertz"));
        }
        if self.speaker.len() > 256 || self.speaker.contains('\0') {
            return Err(Error::invalid("a speaker's name has at most 256 bytes, none of them NUL").in_field("speaker"));
        }
        Ok(())
    }

    /// The request to a worker, without the words.
    pub(super) fn request(&self, voice: &str) -> tts::SynthesizeRequest {
        tts::SynthesizeRequest {
            request_id: next_request_id(),
            voice: voice.to_owned(),
            sample_rate: i32::try_from(self.sample_rate).unwrap_or(0),
            speed: self.speed,
            pitch: self.pitch,
            volume: Some(self.volume),
            speaker: self.speaker.clone(),
            seed: self.seed,
            length_scale: self.length_scale,
            noise_scale: self.noise_scale,
            noise_w: self.noise_w,
            sentence_silence: self.sentence_silence,
            normalize: self.normalize,
            marks: self.marks,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_range() {
        type Change = fn(&mut Style);
        let wrong: [(&str, Change); 8] = [
            ("speed", |style| style.speed = 4.1),
            ("pitch", |style| style.pitch = f32::NAN),
            ("volume", |style| style.volume = -0.1),
            ("length_scale", |style| style.length_scale = Some(0.0)),
            ("noise_scale", |style| style.noise_scale = Some(2.5)),
            ("noise_w", |style| style.noise_w = Some(-1.0)),
            ("sentence_silence", |style| style.sentence_silence = Some(61.0)),
            ("sample_rate_hertz", |style| style.sample_rate = 7_999),
        ];
        assert!(Style::default().check().is_ok());
        for (field, change) in wrong {
            let mut style = Style::default();
            change(&mut style);
            assert_eq!(style.check().expect_err(field).details().field.as_deref(), Some(field));
        }
    }
}
