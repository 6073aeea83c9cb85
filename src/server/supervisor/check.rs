//! Has a worker show that it can work: not that it answers, but that its engine does what it is for.
//!
//! A recogniser gets a second of made-up sound, a synthesiser two words. What comes back is looked at like any answer;
//! and as an engine's answer is a function of the request, the workers of one model that we started must say the same.

use crate::{
    audio,
    proto::{stt, tts},
    server::supervisor::{
        death::{Cause, Lie},
        lies::UNTOLD_RATE,
        roster::Ended,
        worker::{Failure, Worker},
    },
    speech::{self, ModelId, Samples},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What the workers of each model answered the first time. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<HashMap<ModelId, u32>>>);

impl Answers {
    /// Whether this is what was answered before, if anything was.
    fn agree(&self, model: &ModelId, answer: u32) -> bool {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = *answers.entry(model.clone()).or_insert(answer) == answer;
        if !is_same {
            // Perhaps it was the first that was wrong, or the model's file is another by now.
            answers.remove(model);
        }
        is_same
    }

    /// Forgets what a model answered: it may be another by now.
    pub(super) fn forget(&self, model: &ModelId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(model);
    }
}

/// Checks a worker. One that fails is put down, and its keeper tells of the death.
pub(super) async fn check(worker: &Worker, model: &ModelId, answers: &Answers) -> Ended {
    let answer = if model.recognises() { recognise(worker).await } else { speak(worker).await };
    match answer {
        // What runs elsewhere may have other reasons to answer differently.
        Ok(answer) if worker.is_ours() && !answers.agree(model, answer) => {
            let detail = "it made of the same request something else than before".to_owned();
            let death = worker.put_down(Cause::Failed, detail).await;
            tracing::warn!(%model, cause = %death.cause, "Worker failed its check.");
            Ended::Somehow
        }
        Ok(_) => Ended::Well,
        Err(Failure::Lost(death)) => {
            tracing::warn!(%model, cause = %death.cause, "Worker failed its check.");
            Ended::Somehow
        }
        Err(Failure::Refused(error)) => {
            // It has its reasons, and said so properly; that it can work is not shown.
            tracing::info!(%model, %error, "Worker refused its check.");
            Ended::Somehow
        }
    }
}

/// The words that it hears in a hum, if any.
async fn recognise(worker: &Worker) -> Result<u32, Failure> {
    let samples = hum();
    let length = Samples(samples.len() as i64);
    let request = stt::TranscribeFileRequest {
        request_id: "check".to_owned(),
        audio_data: audio::i16_to_bytes(&samples).into(),
        beam_size: 1,
        ..Default::default()
    };
    let transcript = worker.transcribe(request, length, false).await?;
    // The words alone: probabilities are floats, and times depend on them.
    Ok(crc32fast::hash(speech::join(&transcript.segments).as_bytes()))
}

async fn speak(worker: &Worker) -> Result<u32, Failure> {
    let request = tts::SynthesizeRequest {
        request_id: "check".to_owned(),
        text: "one two".to_owned(),
        // Workers elsewhere may not say what their own rate is.
        sample_rate: if worker.is_ours() { 0 } else { UNTOLD_RATE },
        ..Default::default()
    };
    let mut speech = worker.speak(request).await?;
    let (mut hash, mut is_heard) = (crc32fast::Hasher::new(), false);
    while let Some(chunk) = speech.next().await? {
        is_heard |= chunk.audio_data.iter().any(|byte| *byte != 0);
        hash.update(&chunk.audio_data);
    }
    if !is_heard {
        let detail = "it spoke two words, and nothing can be heard".to_owned();
        return Err(Failure::Lost(worker.put_down(Cause::Lied(Lie::Empty), detail).await));
    }
    Ok(hash.finalize())
}

/// A second of a hum that swells and fades: like a voice to an engine, and the same each time.
fn hum() -> Vec<i16> {
    let rate = Samples::RATE as usize;
    (0..rate)
        .map(|n| {
            let time = n as f32 / rate as f32;
            let swell = (time * std::f32::consts::PI).sin();
            let tone = |hertz: f32| (time * hertz * std::f32::consts::TAU).sin();
            (swell * (tone(140.0) * 4_000.0 + tone(700.0) * 2_000.0 + tone(1_220.0) * 1_000.0)) as i16
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hum_is_loud_enough_and_does_not_clip() {
        let loudest = hum().into_iter().map(i16::unsigned_abs).max().unwrap_or(0);
        assert!((3_000..10_000).contains(&loudest), "{loudest}");
    }

    #[test]
    fn the_first_answer_is_the_measure() {
        let answers = Answers::default();
        assert!(answers.agree(&ModelId::SelfTest, 7) && answers.agree(&ModelId::SelfTest, 7));
        assert!(!answers.agree(&ModelId::SelfTest, 8));
        assert!(answers.agree(&ModelId::SelfTest, 8), "who disagrees is believed the second time");
        assert!(answers.agree(&ModelId::Espeak, 8));
        answers.forget(&ModelId::Espeak);
        assert!(answers.agree(&ModelId::Espeak, 9), "it was loaded afresh");
        assert!(!answers.agree(&ModelId::SelfTest, 9), "which says nothing of another");
    }
}
