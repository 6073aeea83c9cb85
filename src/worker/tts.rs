//! `macaw.tts.TTSWorker`: the worker contract of a synthesiser, over the engine's thread.

use crate::{
    audio,
    error::{Error, Result},
    proto::tts as pb,
    worker::{
        engine::{Cancel, Utterance},
        health::Reporter,
        thread::{Audio, EngineThread},
    },
};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};

/// The contract's service.
pub(super) struct Service {
    engine: EngineThread,
    health: Reporter,
}

impl Service {
    /// Serves this engine.
    pub(super) fn new(engine: EngineThread, health: Reporter) -> Self {
        Self { engine, health }
    }
}

/// Asks the engine to stop when the answer is dropped, whoever dropped it.
struct StopWhenDropped(Cancel);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.request();
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
        let request_id = request.request_id.clone();
        let wanted_rate = request.sample_rate;
        let utterance = utterance(request)?;
        let cancel = Cancel::new(self.engine.pulse().clone());
        let stop = StopWhenDropped(cancel.clone());
        let audio = self.engine.speak(utterance, cancel).await?;
        Ok(Response::new(Box::pin(chunks(audio, request_id, wanted_rate, stop)?)))
    }

    async fn list_voices(
        &self,
        _request: Request<pb::ListVoicesRequest>,
    ) -> Result<Response<pb::ListVoicesResponse>, Status> {
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
    // A language is a voice of ours; a voice that is named goes first.
    let voice = if request.voice.is_empty() { request.language } else { request.voice };
    Ok(Utterance {
        text: request.text,
        ssml: request.ssml,
        voice,
        speed: factor(request.speed, 0.25..=4.0, "speed")?,
        pitch: factor(request.pitch, 0.5..=2.0, "pitch")?,
        volume: match request.volume {
            None => 1.0,
            Some(volume) if (0.0..=2.0).contains(&volume) => volume,
            Some(volume) => return Err(Error::invalid(format!("volume {volume} is not in 0 to 2")).in_field("volume")),
        },
    })
}

/// A factor in its range; 0 stands for 1.
fn factor(value: f32, range: std::ops::RangeInclusive<f32>, field: &str) -> Result<f32> {
    if value == 0.0 {
        return Ok(1.0);
    }
    if range.contains(&value) {
        return Ok(value);
    }
    let message = format!("{field} {value} is not in {} to {}", range.start(), range.end());
    Err(Error::invalid(message).in_field(field))
}

/// The engine's audio as the contract's chunks, at the wanted rate, ended by an empty one.
fn chunks(
    audio: mpsc::Receiver<Result<Audio>>,
    request_id: String,
    wanted_rate: i32,
    stop: StopWhenDropped,
) -> Result<impl Stream<Item = Result<pb::SynthesizeChunk, Status>> + Send> {
    let mut made = Made { wanted_rate, rate: 0, samples: 0, request_id, resampler: None, _stop: stop };
    made.check_rate()?;
    // `None` marks the end, behind which the resampler still has something.
    let marked = ReceiverStream::new(audio).map(Some).chain(tokio_stream::once(None));
    let mut failed = false;
    Ok(marked.map_while(move |audio| {
        if failed {
            return None;
        }
        let chunk = match audio {
            Some(Ok(audio)) => made.chunk(&audio),
            Some(Err(error)) => Err(error),
            None => made.last_chunk(),
        };
        failed = chunk.is_err();
        Some(chunk.map_err(Status::from))
    }))
}

/// What of an utterance has been made.
struct Made {
    wanted_rate: i32,
    rate: u32,
    samples: u64,
    request_id: String,
    resampler: Option<audio::resample::Resampler>,
    _stop: StopWhenDropped,
}

impl Made {
    fn check_rate(&self) -> Result<()> {
        if self.wanted_rate == 0 || (8_000..=192_000).contains(&self.wanted_rate) {
            return Ok(());
        }
        let message = format!("sample rate {} Hz is not in 8000 to 192000", self.wanted_rate);
        Err(Error::invalid(message).in_field("sample_rate"))
    }

    fn chunk(&mut self, audio: &Audio) -> Result<pb::SynthesizeChunk> {
        let wanted = u32::try_from(self.wanted_rate).unwrap_or(0);
        if wanted == 0 || wanted == audio.rate {
            self.rate = audio.rate;
            return Ok(self.finished(&audio.samples, false));
        }
        self.rate = wanted;
        if self.resampler.is_none() {
            self.resampler = Some(audio::resample::Resampler::try_new(audio.rate, wanted)?);
        }
        let resampler = self.resampler.as_mut().expect("it was made above");
        let samples: Vec<f32> = audio.samples.iter().map(|sample| audio::to_f32(*sample)).collect();
        let samples: Vec<i16> = resampler.push(&samples)?.into_iter().map(audio::to_i16).collect();
        Ok(self.finished(&samples, false))
    }

    fn last_chunk(&mut self) -> Result<pb::SynthesizeChunk> {
        let rest = match self.resampler.take() {
            Some(resampler) => resampler.finish()?.into_iter().map(audio::to_i16).collect(),
            None => Vec::new(),
        };
        Ok(self.finished(&rest, true))
    }

    fn finished(&mut self, samples: &[i16], is_last: bool) -> pb::SynthesizeChunk {
        self.samples += samples.len() as u64;
        pb::SynthesizeChunk {
            audio_data: audio::i16_to_bytes(samples).into(),
            is_last,
            duration: self.samples as f32 / self.rate.max(1) as f32,
            codec: String::new(),
            sample_rate: i32::try_from(self.rate).unwrap_or(0),
            request_id: self.request_id.clone(),
        }
    }
}
