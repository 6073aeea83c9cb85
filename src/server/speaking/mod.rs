//! Speaking one text: audio flows on as it is made, and a worker that dies is not heard.
//!
//! What an engine makes of a text is the same each time, so a text whose worker died is made again from its start, and
//! what the caller has already is skipped.

mod region;
mod voices;

use crate::{
    error::{Error, Result},
    models::{self, Paths},
    proto::tts,
    server::{
        guard::deadline,
        recognition::next_request_id,
        supervisor::{
            Ended, Supervisor,
            death::{Cause, Lie},
            lies::UNTOLD_RATE,
            worker::{Failure, Worker},
        },
    },
    speech::ModelId,
};
use bytes::{Buf, Bytes};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, timeout};
use voices::Casting;
pub(crate) use voices::Voices;

/// Text that one call takes: some four hours of speech.
pub(crate) const MAX_TEXT: usize = 256 * 1024;

/// How long a listener may stand still and keep a worker. Players take a second of audio at a time.
const STANDSTILL: Duration = Duration::from_secs(5);

/// How long a voice may take to show that it speaks.
const LONGEST_TRIAL: Duration = Duration::from_secs(30);

/// What to say, and how. Checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Utterance {
    /// The text, or an SSML document.
    pub(crate) text: String,
    /// Whether `text` is SSML.
    pub(crate) ssml: bool,
    /// The voice; empty = by region.
    pub(crate) voice: String,
    /// The region; empty = the default voice.
    pub(crate) region: String,
    /// Times the normal speed.
    pub(crate) speed: f32,
    /// Times the normal pitch.
    pub(crate) pitch: f32,
    /// Times the normal loudness.
    pub(crate) volume: f32,
    /// Hz; 0 = the voice's own.
    pub(crate) sample_rate: u32,
}

impl Utterance {
    /// A text as the voice of a region speaks it by itself.
    pub(crate) fn plain(text: String, region: String) -> Self {
        Self { text, ssml: false, voice: String::new(), region, speed: 1.0, pitch: 1.0, volume: 1.0, sample_rate: 0 }
    }
}

/// Speaks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Speaker {
    supervisor: Supervisor,
    default_voice: String,
    casting: Casting,
}

/// Takes what is spoken, in order.
pub(crate) trait Listener {
    /// Hears the rate of the audio, Hz, and the voice; once, before any audio.
    fn format(&mut self, sample_rate: u32, voice: &str) -> impl Future<Output = Result<()>> + Send;

    /// Hears some audio: 16 bits little-endian, mono.
    fn audio(&mut self, audio: Bytes) -> impl Future<Output = Result<()>> + Send;
}

impl Speaker {
    /// A speaker whose default voice is this one, of this model.
    pub(crate) fn new(supervisor: Supervisor, default_voice: String, default_model: ModelId) -> Self {
        let casting = Casting::new(supervisor.clone(), default_model);
        Self { supervisor, default_voice, casting }
    }

    /// The voice that speaks when none is named.
    pub(crate) fn default_voice(&self) -> &str {
        &self.default_voice
    }

    /// All voices.
    ///
    /// # Errors
    /// What the engine says, or what came of its deaths.
    pub(crate) async fn voices(&self, deadline: Option<Instant>) -> Result<Voices> {
        self.casting.all(deadline).await
    }

    /// Sees whether the default voice can speak.
    ///
    /// # Errors
    /// `NotFound` where it does not exist, or what the engine says.
    pub(crate) async fn try_default(&self) -> Result<()> {
        /// Takes no note of what is said.
        struct Nobody;

        impl Listener for Nobody {
            async fn format(&mut self, _sample_rate: u32, _voice: &str) -> Result<()> {
                Ok(())
            }

            async fn audio(&mut self, _audio: Bytes) -> Result<()> {
                Ok(())
            }
        }

        let utterance = Utterance::plain("a".to_owned(), String::new());
        let deadline = Some(Instant::now() + LONGEST_TRIAL);
        deadline::within(deadline, self.speak(&utterance, Paths::Allowed, deadline, &mut Nobody)).await
    }

    /// Speaks a text to a listener.
    ///
    /// # Errors
    /// `InvalidInput` for a text or a region that cannot be spoken, `NotFound` for a voice that does not exist, what the
    /// listener says, or what came of an engine's deaths.
    pub(crate) async fn speak(
        &self,
        utterance: &Utterance,
        paths: Paths,
        deadline: Option<Instant>,
        listener: &mut (impl Listener + Send),
    ) -> Result<()> {
        let voice = self.voice(utterance, deadline).await?;
        let mut request = request(utterance, &voice)?;
        let mut spoken = Spoken { bytes: 0, rate: 0, voice: voice.clone() };
        let model = match models::synthesizer(&voice, paths) {
            ModelId::Espeak => {
                let (model, voice) = self.casting.cast(&voice, deadline).await?;
                request.voice = voice;
                model
            }
            other => other,
        };
        if matches!(model, ModelId::Called { .. }) && request.sample_rate == 0 {
            // Workers of the original contract do not say what their own rate is.
            request.sample_rate = UNTOLD_RATE;
        }
        let mut call = self.supervisor.call(model, deadline);
        loop {
            let result = match call.lease().await {
                Ok(lease) => {
                    let result = spoken.speak_once(&lease.worker, &request, listener).await;
                    match result {
                        Ok(Outcome::Done) => lease.end(Ended::Well),
                        Err(Failure::Lost(_)) => lease.end(Ended::Somehow),
                        // The engine may be in the middle of its work, and not know yet that nobody listens.
                        Ok(Outcome::Stalled(_)) | Err(Failure::Refused(_)) => drop(lease),
                    }
                    result
                }
                Err(failure) => Err(failure),
            };
            match call.settle(result).await? {
                Some(Outcome::Done) => return Ok(()),
                Some(Outcome::Stalled(audio)) => spoken.hear(audio, listener).await?,
                None => {}
            }
        }
    }

    /// The voice that is meant.
    async fn voice(&self, utterance: &Utterance, deadline: Option<Instant>) -> Result<String> {
        if !utterance.voice.is_empty() && !utterance.region.is_empty() {
            let message = "voice and region are both given; a voice has its region already";
            return Err(Error::invalid(message).in_field("region"));
        }
        if !utterance.voice.is_empty() {
            return Ok(utterance.voice.clone());
        }
        if utterance.region.is_empty() {
            return Ok(self.default_voice.clone());
        }
        let voices = self.voices(deadline).await?;
        Ok(region::voice(&utterance.region, &voices.voices, &self.default_voice)?.id.clone())
    }
}

/// How one try ended.
enum Outcome {
    /// All is said.
    Done,
    /// The listener stands still before this audio. A worker is too good to wait for it: when the listener goes on, the
    /// text is made again and what was heard is skipped.
    Stalled(Bytes),
}

/// What the listener has heard.
struct Spoken {
    bytes: usize,
    rate: u32,
    voice: String,
}

impl Spoken {
    /// One try: from the start of the text, but heard only from where the listener is.
    async fn speak_once(
        &mut self,
        worker: &Worker,
        request: &tts::SynthesizeRequest,
        listener: &mut impl Listener,
    ) -> Result<Outcome, Failure> {
        let mut speech = worker.speak(request.clone()).await?;
        let mut skip = self.bytes;
        while let Some(chunk) = speech.next().await? {
            self.check_rate(worker, chunk.sample_rate, request.sample_rate, listener).await?;
            let mut audio = chunk.audio_data;
            let skipped = skip.min(audio.len());
            skip -= skipped;
            audio.advance(skipped);
            if audio.is_empty() {
                continue;
            }
            match timeout(STANDSTILL, listener.audio(audio.clone())).await {
                Ok(heard) => heard?,
                Err(_) => return Ok(Outcome::Stalled(audio)),
            }
            self.bytes += audio.len();
        }
        if skip > 0 {
            let detail = "the same text was shorter the second time".to_owned();
            return Err(Failure::Lost(worker.put_down(Cause::Lied(Lie::Length), detail).await));
        }
        Ok(Outcome::Done)
    }

    /// Waits until the listener takes what it stood still before.
    async fn hear(&mut self, audio: Bytes, listener: &mut impl Listener) -> Result<()> {
        self.bytes += audio.len();
        listener.audio(audio).await
    }

    /// Takes note of the rate, which the supervisor has looked at; of two tries it must be the same.
    async fn check_rate(
        &mut self,
        worker: &Worker,
        made: i32,
        wanted: i32,
        listener: &mut impl Listener,
    ) -> Result<(), Failure> {
        let positive = |rate: i32| u32::try_from(rate).ok().filter(|rate| *rate > 0);
        // Workers of the original contract do not say it; these make what most engines do, unless told otherwise.
        let made = positive(made).or(positive(wanted)).or(positive(UNTOLD_RATE)).unwrap_or_default();
        if self.rate == 0 {
            self.rate = made;
            listener.format(made, &self.voice).await?;
        }
        if made == self.rate {
            return Ok(());
        }
        let detail = format!("its rate went from {} Hz to {made} Hz", self.rate);
        Err(Failure::Lost(worker.put_down(Cause::Lied(Lie::SampleRate), detail).await))
    }
}

/// The worker's request, from what was checked here.
fn request(utterance: &Utterance, voice: &str) -> Result<tts::SynthesizeRequest> {
    let text = &utterance.text;
    if text.trim().is_empty() {
        return Err(Error::invalid("there is no text to speak").in_field("text"));
    }
    if text.len() > MAX_TEXT {
        let message = format!("the text has {} bytes, one call takes {MAX_TEXT}; speak it in parts", text.len());
        return Err(Error::invalid(message).in_field("text"));
    }
    if text.contains('\0') {
        return Err(Error::invalid("the text holds a NUL byte; is it text?").in_field("text"));
    }
    if utterance.ssml {
        check_ssml(text)?;
    }
    check_factor("speed", utterance.speed, 0.25..=4.0)?;
    check_factor("pitch", utterance.pitch, 0.5..=2.0)?;
    check_factor("volume", utterance.volume, 0.0..=2.0)?;
    if utterance.sample_rate != 0 && !(8_000..=192_000).contains(&utterance.sample_rate) {
        let message = format!("sample rate {} Hz is not in 8000 to 192000", utterance.sample_rate);
        return Err(Error::invalid(message).in_field("sample_rate_hertz"));
    }
    Ok(tts::SynthesizeRequest {
        request_id: next_request_id(),
        text: text.clone(),
        voice: voice.to_owned(),
        sample_rate: i32::try_from(utterance.sample_rate).unwrap_or(0),
        speed: utterance.speed,
        pitch: utterance.pitch,
        volume: Some(utterance.volume),
        ssml: utterance.ssml,
        ..Default::default()
    })
}

/// espeak-ng takes what is broken for text, or stops in the middle, and says nothing.
fn check_ssml(text: &str) -> Result<()> {
    let wrong = |why: String| Error::invalid(format!("the SSML is wrong: {why}")).in_field("ssml");
    let document = roxmltree::Document::parse(text).map_err(|cause| wrong(cause.to_string()))?;
    if document.descendants().any(|node| node.tag_name().name() == "audio") {
        return Err(wrong("<audio> is not supported".to_owned()));
    }
    // espeak-ng reads out loud what it has no room for.
    if document.descendants().flat_map(|node| node.attributes()).any(|attribute| attribute.value().len() > 200) {
        return Err(wrong("an attribute is longer than 200 bytes".to_owned()));
    }
    match document.root_element().tag_name().name() {
        "speak" => Ok(()),
        other => Err(wrong(format!("its outermost element is <{other}>, not <speak>"))),
    }
}

fn check_factor(field: &str, value: f32, range: std::ops::RangeInclusive<f32>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let message = format!("{field} {value} is not in {} to {}", range.start(), range.end());
    Err(Error::invalid(message).in_field(field))
}
