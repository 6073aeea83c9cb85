//! Where utterances begin and end: the numbers, and the ranges in which they make sense.

use crate::{
    error::{Error, Result},
    speech::Samples,
};

/// The length that Whisper's encoder sees; no utterance is longer.
const WINDOW: f64 = 30.0;

/// How utterances are told apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    /// Silence before any speech after which it is let go of.
    pub(crate) start_silence: Samples,
    /// Silence after speech that ends an utterance.
    pub(crate) end_silence: Samples,
    /// The longest utterance. A longer one is cut at its last pause.
    pub(crate) longest: Samples,
    /// From this probability on a frame is speech.
    pub(crate) threshold: f32,
    /// The shortest sound that counts as speech.
    pub(crate) shortest: Samples,
    /// Audio before the first frame of speech that is taken with it: consonants are quiet.
    pub(crate) padding: Samples,
    /// Ends the session where nobody has begun to speak for so long.
    pub(crate) start_timeout: Option<Samples>,
    /// Ends the session where nobody has spoken again for so long.
    pub(crate) end_timeout: Option<Samples>,
}

impl Default for Rules {
    fn default() -> Self {
        let seconds = Samples::from_seconds;
        Self {
            start_silence: seconds(2.4),
            end_silence: seconds(0.8),
            longest: seconds(WINDOW),
            threshold: 0.5,
            shortest: seconds(0.05),
            padding: seconds(0.3),
            start_timeout: None,
            end_timeout: None,
        }
    }
}

/// How much less likely than at the start of speech a frame may be to go on with it: words trail off.
const HYSTERESIS: f32 = 0.2;

impl Rules {
    /// Below this probability a frame is silence.
    pub(crate) fn silence_threshold(&self) -> f32 {
        (self.threshold - HYSTERESIS).max(self.threshold / 2.0)
    }

    /// Looks whether the numbers make sense.
    ///
    /// # Errors
    /// `InvalidInput`, naming the field of `Endpointing`.
    pub(crate) fn check(&self) -> Result<()> {
        let hour = 3600.0;
        let lengths = [
            ("start_silence", Some(self.start_silence), 0.5, 30.0),
            ("end_silence", Some(self.end_silence), 0.1, 10.0),
            ("longest", Some(self.longest), 2.0, WINDOW),
            ("shortest", Some(self.shortest), 0.0, 1.0),
            ("padding", Some(self.padding), 0.0, 2.0),
            ("speech_start_timeout", self.start_timeout, 0.5, hour),
            ("speech_end_timeout", self.end_timeout, 0.1, hour),
        ];
        for (field, length, least, most) in lengths {
            let Some(length) = length else { continue };
            if !(least..=most).contains(&length.seconds()) {
                let message = format!("{field} is {} s; it must be {least} to {most} s", length.seconds());
                return Err(Error::invalid(message).in_field(format!("config.endpointing.{field}")));
            }
        }
        if !(0.05..=0.95).contains(&self.threshold) {
            let message = format!("threshold {} is not between 0.05 and 0.95", self.threshold);
            return Err(Error::invalid(message).in_field("config.endpointing.threshold"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_sense_are_refused_by_name() {
        let rules = Rules::default;
        let cases = [
            ("start_silence", Rules { start_silence: Samples(0), ..rules() }),
            ("end_silence", Rules { end_silence: Samples(-1), ..rules() }),
            ("longest", Rules { longest: Samples::from_seconds(31.0), ..rules() }),
            ("threshold", Rules { threshold: f32::NAN, ..rules() }),
            ("shortest", Rules { shortest: Samples::from_seconds(2.0), ..rules() }),
            ("padding", Rules { padding: Samples::from_seconds(3.0), ..rules() }),
            ("speech_start_timeout", Rules { start_timeout: Some(Samples(0)), ..rules() }),
            ("speech_end_timeout", Rules { end_timeout: Some(Samples(i64::MAX)), ..rules() }),
        ];
        for (field, rules) in cases {
            let error = rules.check().expect_err(field);
            assert_eq!(error.details().field, Some(format!("config.endpointing.{field}")));
        }
        assert!(rules().check().is_ok());
    }
}
