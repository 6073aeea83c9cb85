//! `macaw.tts.TTSWorker`: the worker contract of a synthesiser, over the engine's thread.

use crate::{
    audio,
    error::{Error, Kind, Result},
    proto::tts as pb,
    speech::in_range,
    worker::{
        calls::{Calls, Running},
        engine::{Lie, Scales, Script, Utterance},
        health::Reporter,
        lies,
        thread::{EngineThread, Piece, Speech},
    },
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

/// The contract's service.
pub(super) struct Service {
    engine: EngineThread,
    health: Reporter,
    calls: Calls,
    lies: Vec<Lie>,
}

impl Service {
    /// Serves this engine, which tells these lies.
    pub(super) fn new(engine: EngineThread, health: Reporter, calls: Calls, lies: Vec<Lie>) -> Self {
        Self { engine, health, calls, lies }
    }
}

#[tonic::async_trait]
impl pb::tts_worker_server::TtsWorker for Service {
    type SynthesizeStream = std::pin::Pin<Box<dyn Stream<Item = Result<pb::SynthesizeChunk, Status>> + Send>>;

    async fn synthesize(
        &self,
        request: Request<pb::SynthesizeRequest>,
    ) -> Result<Response<Self::SynthesizeStream>, Status> {
        let request = request.into_inner();
        self.health.check_model(&request.model)?;
        let request_id = request.request_id.clone();
        let wanted = wanted_rate(request.sample_rate)?;
        let utterance = utterance(request)?;
        let running = self.calls.begin(&request_id, self.engine.pulse());
        let speech = self.engine.speak(utterance, running.cancel())?;
        let made = Made::new(wanted, request_id, self.lies.clone(), running);
        Ok(Response::new(Box::pin(chunks(speech, made))))
    }

    async fn list_voices(
        &self,
        request: Request<pb::ListVoicesRequest>,
    ) -> Result<Response<pb::ListVoicesResponse>, Status> {
        self.health.check_model(&request.into_inner().model)?;
        let voices = self.engine.voices().await?;
        Ok(Response::new(pb::ListVoicesResponse {
            voices: voices.voices.into_iter().map(pb::VoiceInfoProto::from).collect(),
            variants: voices.variants,
        }))
    }

    async fn health(&self, _request: Request<pb::HealthRequest>) -> Result<Response<pb::HealthResponse>, Status> {
        let report = self.health.report();
        Ok(Response::new(pb::HealthResponse {
            status: report.status,
            model_name: report.model_name,
            engine: report.engine,
            metadata: report.metadata,
            reason: report.reason,
        }))
    }
}

/// The request's wishes, checked. What no engine of ours can do is refused by name.
fn utterance(request: pb::SynthesizeRequest) -> Result<Utterance> {
    let unsupported = |field: &str| Err(Error::invalid(format!("`{field}` is not supported")).in_field(field));
    if !request.ref_audio.is_empty() {
        return unsupported("ref_audio");
    }
    if !request.ref_text.is_empty() {
        return unsupported("ref_text");
    }
    if !request.instruction.is_empty() {
        return unsupported("instruction");
    }
    if !request.codec.is_empty() {
        let message = format!("codec `{}` is not supported; leave it empty for PCM", request.codec);
        return Err(Error::invalid(message).in_field("codec"));
    }
    let script = match (request.ssml, request.sentences.is_empty()) {
        (true, false) => {
            return Err(Error::invalid("`sentences` are no SSML; give one or the other").in_field("sentences"));
        }
        (_, false) if !request.text.is_empty() => {
            return Err(Error::invalid("`text` and `sentences` are both given").in_field("sentences"));
        }
        (true, true) => Script::Ssml(request.text),
        (false, true) => Script::Text(request.text),
        (false, false) => {
            let before = u64::try_from(request.sentences_before).unwrap_or(0);
            Script::Sentences { sentences: request.sentences, before }
        }
    };
    // A language is a voice of ours; a voice that is named goes first. The runtime that the contract comes from says
    // "default" where it names none, and calls languages by their English names.
    let is_named = !["", "default"].contains(&request.voice.as_str());
    let voice = if is_named { request.voice } else { code_of(request.language) };
    Ok(Utterance {
        script,
        voice,
        speaker: request.speaker,
        seed: request.seed,
        scales: Scales {
            length: in_range("length_scale", request.length_scale, 0.1..=10.0)?,
            noise: in_range("noise_scale", request.noise_scale, 0.0..=2.0)?,
            noise_w: in_range("noise_w", request.noise_w, 0.0..=2.0)?,
        },
        silence: in_range("sentence_silence", request.sentence_silence, 0.0..=60.0)?,
        normalize: request.normalize,
        marks: request.marks,
        speed: factor(request.speed, 0.25..=4.0, "speed")?,
        pitch: factor(request.pitch, 0.5..=2.0, "pitch")?,
        volume: in_range("volume", request.volume, 0.0..=2.0)?.unwrap_or(1.0),
    })
}

/// The code of a language that goes by its English name; anything else as it is.
fn code_of(language: String) -> String {
    const NAMES: [(&str, &str); 10] = [
        ("english", "en"),
        ("chinese", "cmn"),
        ("japanese", "ja"),
        ("korean", "ko"),
        ("german", "de"),
        ("french", "fr"),
        ("russian", "ru"),
        ("portuguese", "pt"),
        ("spanish", "es"),
        ("italian", "it"),
    ];
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&language));
    named.map_or(language, |(_, code)| (*code).to_owned())
}

/// A factor in its range; 0 stands for 1.
fn factor(value: f32, range: std::ops::RangeInclusive<f32>, field: &str) -> Result<f32> {
    let value = Some(value).filter(|value| *value != 0.0);
    Ok(in_range(field, value, range)?.unwrap_or(1.0))
}

/// The rate that is wanted; `None` for the voice's own.
fn wanted_rate(rate: i32) -> Result<Option<u32>> {
    match u32::try_from(rate) {
        Ok(0) => Ok(None),
        Ok(rate) if (8_000..=192_000).contains(&rate) => Ok(Some(rate)),
        _ => {
            let message = format!("sample rate {rate} Hz is not in 8000 to 192000");
            Err(Error::invalid(message).in_field("sample_rate"))
        }
    }
}

/// Of a caller that took nothing for too long, or of a call that was cancelled.
const BROKEN_OFF: &str = "the speech broke off: nobody took it for too long";

/// The engine's audio as the contract's chunks, at the wanted rate, ended by one that says so. Dropped by whoever has
/// heard enough, which ends the call.
fn chunks(
    speech: mpsc::Receiver<Result<Speech>>,
    mut made: Made,
) -> impl Stream<Item = Result<pb::SynthesizeChunk, Status>> + Send {
    // `None` is where it breaks off, unless the end has been told before.
    let marked = ReceiverStream::new(speech).map(Some).chain(tokio_stream::once(None));
    let mut has_ended = false;
    let chunks = marked.map_while(move |speech| {
        if has_ended {
            return None;
        }
        let chunk = match speech {
            Some(Ok(speech)) => {
                has_ended = matches!(speech.piece, Piece::End);
                made.chunk(speech)
            }
            Some(Err(error)) => Err(error),
            None => Err(Error::new(Kind::Internal, BROKEN_OFF)),
        };
        has_ended |= chunk.is_err();
        Some(chunk.map_err(Status::from).transpose())
    });
    // Not every piece of speech is audio.
    chunks.filter_map(|chunk| chunk)
}

/// What of an utterance has been made.
struct Made {
    wanted: Option<u32>,
    /// Of the audio as it is given; 0 until that is known.
    rate: u32,
    chunks: u64,
    samples: u64,
    request_id: String,
    resampler: Option<audio::resample::Resampler>,
    /// The sentence that is being spoken.
    sentence: i32,
    /// What begins in the audio that comes next.
    marks: Vec<pb::Mark>,
    lies: Vec<Lie>,
    _running: Running,
}

impl Made {
    fn new(wanted: Option<u32>, request_id: String, lies: Vec<Lie>, running: Running) -> Self {
        let rate = wanted.unwrap_or(0);
        Self {
            wanted,
            rate,
            chunks: 0,
            samples: 0,
            request_id,
            resampler: None,
            sentence: 0,
            marks: Vec::new(),
            lies,
            _running: running,
        }
    }

    /// What a piece of speech makes, which may be nothing yet.
    fn chunk(&mut self, speech: Speech) -> Result<Option<pb::SynthesizeChunk>> {
        let wanted = self.wanted.unwrap_or(speech.rate);
        self.rate = wanted;
        match speech.piece {
            // The resampler begins anew with each sentence, so that its samples do not depend on those before it.
            Piece::Sentence(sentence) => {
                let rest = self.rest()?;
                let has_rest = !rest.is_empty() || !self.marks.is_empty();
                let chunk = has_rest.then(|| self.finished(&rest, false));
                self.sentence = i32::try_from(sentence).unwrap_or(i32::MAX);
                Ok(chunk)
            }
            Piece::Mark(mark) => {
                let mut mark = pb::Mark::from(mark);
                let scaled = i128::from(mark.sample) * i128::from(wanted) / i128::from(speech.rate.max(1));
                mark.sample = i64::try_from(scaled).unwrap_or(i64::MAX);
                self.marks.push(mark);
                Ok(None)
            }
            Piece::End => self.last_chunk().map(Some),
            Piece::Audio(samples) if wanted == speech.rate => Ok(Some(self.finished(&samples, false))),
            Piece::Audio(samples) => {
                let mut resampler = match self.resampler.take() {
                    Some(resampler) => resampler,
                    None => audio::resample::Resampler::try_new(speech.rate, wanted)?,
                };
                let samples: Vec<f32> = samples.into_iter().map(audio::to_f32).collect();
                let samples: Vec<i16> = resampler.push(&samples)?.into_iter().map(audio::to_i16).collect();
                self.resampler = Some(resampler);
                Ok(Some(self.finished(&samples, false)))
            }
        }
    }

    fn last_chunk(&mut self) -> Result<pb::SynthesizeChunk> {
        let rest = self.rest()?;
        Ok(self.finished(&rest, true))
    }

    /// What the resampler still has.
    fn rest(&mut self) -> Result<Vec<i16>> {
        let Some(resampler) = self.resampler.take() else { return Ok(Vec::new()) };
        Ok(resampler.finish()?.into_iter().map(audio::to_i16).collect())
    }

    fn finished(&mut self, samples: &[i16], is_last: bool) -> pb::SynthesizeChunk {
        self.samples += samples.len() as u64;
        let mut chunk = pb::SynthesizeChunk {
            audio_data: audio::i16_to_bytes(samples).into(),
            is_last,
            duration: self.samples as f32 / self.rate.max(1) as f32,
            codec: String::new(),
            sample_rate: i32::try_from(self.rate).unwrap_or(0),
            request_id: self.request_id.clone(),
            sentence: self.sentence,
            marks: std::mem::take(&mut self.marks),
        };
        lies::about_speech(&self.lies, self.chunks, &mut chunk);
        self.chunks += 1;
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_that_nobody_can_follow_are_refused_by_name() {
        let request = pb::SynthesizeRequest::default;
        let cases = [
            ("ref_audio", pb::SynthesizeRequest { ref_audio: vec![0].into(), ..request() }),
            ("ref_text", pb::SynthesizeRequest { ref_text: "a".into(), ..request() }),
            ("instruction", pb::SynthesizeRequest { instruction: "sadly".into(), ..request() }),
            ("codec", pb::SynthesizeRequest { codec: "opus".into(), ..request() }),
            ("speed", pb::SynthesizeRequest { speed: 4.1, ..request() }),
            ("pitch", pb::SynthesizeRequest { pitch: f32::NAN, ..request() }),
            ("volume", pb::SynthesizeRequest { volume: Some(-1.0), ..request() }),
        ];
        for (field, request) in cases {
            let error = utterance(request).expect_err(field);
            assert_eq!(error.details().field.as_deref(), Some(field));
        }
        assert!([-1, 7_999, 192_001].iter().all(|rate| wanted_rate(*rate).is_err()));
    }

    #[tokio::test]
    async fn speech_without_an_end_is_not_taken_for_the_whole() {
        for has_end in [true, false] {
            let (speaker, speech) = mpsc::channel(4);
            let pieces = [Piece::Audio(vec![1; 10]), Piece::End];
            for piece in pieces.into_iter().take(if has_end { 2 } else { 1 }) {
                assert!(speaker.try_send(Ok(Speech { rate: 8_000, piece })).is_ok());
            }
            drop(speaker);
            let running = Calls::default().begin("x", &crate::worker::engine::Pulse::default());
            let made = Made::new(None, "x".to_owned(), Vec::new(), running);
            let chunks: Vec<_> = chunks(speech, made).collect().await;
            let told: Vec<_> = chunks.iter().map(|chunk| chunk.as_ref().map(|chunk| chunk.is_last).ok()).collect();
            assert_eq!(told, [Some(false), has_end.then_some(true)]);
        }
    }

    #[test]
    fn a_language_is_a_voice_but_a_voice_goes_first() {
        let of = |voice: &str, language: &str| {
            let (voice, language) = (voice.into(), language.into());
            utterance(pb::SynthesizeRequest { voice, language, ..Default::default() }).expect("it is valid").voice
        };
        assert_eq!((of("", "de").as_str(), of("en-gb", "de").as_str()), ("de", "en-gb"));
    }
}
