//! `macaw.stt.STTWorker`: the worker contract of a recogniser, over the engine's thread.

use crate::{
    audio,
    error::{Error, Result},
    proto::{convert, stt as pb},
    speech::{self, Samples},
    worker::{
        calls::Calls,
        engine::{Decoded, Hint, Lie},
        health::Reporter,
        lies, stream,
        thread::EngineThread,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

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
impl pb::stt_worker_server::SttWorker for Service {
    type TranscribeStreamStream = ReceiverStream<Result<pb::TranscriptEvent, Status>>;

    async fn transcribe_file(
        &self,
        request: Request<pb::TranscribeFileRequest>,
    ) -> Result<Response<pb::TranscribeFileResponse>, Status> {
        let request = request.into_inner();
        self.health.check_model(&request.model)?;
        let hint = hint(&request)?;
        let window = window(&request.audio_data)?;
        let length = Samples(i64::try_from(window.len()).unwrap_or(i64::MAX));
        let running = self.calls.begin(&request.request_id, self.engine.pulse());
        let decoded = self.engine.decode(window, hint, running.cancel()).await?;
        let mut reply = reply(decoded, length, request.request_id);
        lies::about_transcript(&self.lies, &mut reply);
        Ok(Response::new(reply))
    }

    async fn transcribe_stream(
        &self,
        request: Request<Streaming<pb::AudioFrame>>,
    ) -> Result<Response<Self::TranscribeStreamStream>, Status> {
        let (sender, events) = mpsc::channel(stream::AHEAD);
        // It ends with the events' reader, which is gone when the call is.
        tokio::spawn(stream::serve(self.engine.clone(), self.calls.clone(), request.into_inner(), sender));
        Ok(Response::new(ReceiverStream::new(events)))
    }

    async fn cancel(&self, request: Request<pb::CancelRequest>) -> Result<Response<pb::CancelResponse>, Status> {
        let pb::CancelRequest { request_id, session_id } = request.into_inner();
        // A stream goes by the name of its session; and who thinks in sessions may have called a request by one.
        let acknowledged = [request_id, session_id].iter().fold(false, |any, id| self.calls.cancel(id) | any);
        Ok(Response::new(pb::CancelResponse { acknowledged }))
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
fn hint(request: &pb::TranscribeFileRequest) -> Result<Hint> {
    let translate = match request.task.as_str() {
        "" | "transcribe" => false,
        "translate" => true,
        other => return Err(unsupported("task", format!("task `{other}` is neither `transcribe` nor `translate`"))),
    };
    if !["", "json", "verbose_json", "text", "srt", "vtt"].contains(&request.response_format.as_str()) {
        let message = format!("response_format `{}` is not made by this worker", request.response_format);
        return Err(unsupported("response_format", message));
    }
    if request.language == "mixed" {
        return Err(unsupported("language", "language `mixed` is not supported; `auto` finds one language".to_owned()));
    }
    if !request.hot_words.is_empty() {
        return Err(unsupported("hot_words", "hot words are not supported; use `initial_prompt`".to_owned()));
    }
    let mut words = false;
    for granularity in &request.timestamp_granularities {
        match granularity.as_str() {
            "segment" => {}
            "word" => words = true,
            other => {
                let message = format!("timestamp granularity `{other}` is neither `segment` nor `word`");
                return Err(unsupported("timestamp_granularities", message));
            }
        }
    }
    if !(0.0..=1.0).contains(&request.temperature) {
        let message = format!("temperature {} is not between 0 and 1", request.temperature);
        return Err(Error::invalid(message).in_field("temperature"));
    }
    if !(0..=8).contains(&request.beam_size) {
        let message = format!("beam size {} is not between 1 and 8", request.beam_size);
        return Err(Error::invalid(message).in_field("beam_size"));
    }
    if !(0..=256).contains(&request.threads) {
        let message = format!("{} threads: the number must be between 1 and 256", request.threads);
        return Err(Error::invalid(message).in_field("threads"));
    }
    Ok(Hint {
        language: request.language.clone(),
        translate,
        prompt: request.initial_prompt.clone(),
        words,
        temperature: request.temperature,
        beam_size: request.beam_size,
        threads: request.threads,
        more_follows: request.more_follows,
        fast: request.fast,
    })
}

fn unsupported(field: &str, message: String) -> Error {
    Error::invalid(message).in_field(field)
}

/// The audio of a request: a WAV file, or bare samples.
fn window(data: &[u8]) -> Result<Vec<f32>> {
    if data.starts_with(b"RIFF") {
        let source = audio::decode::Source::Bytes(data.to_vec());
        let mut decoder = audio::decode::Decoder::open(source, "audio_data")?;
        let mut window = Vec::new();
        while let Some(block) = decoder.next()? {
            window.extend(block);
        }
        return Ok(window);
    }
    if !data.len().is_multiple_of(2) {
        return Err(Error::invalid("audio_data holds half a sample; it takes 16-bit samples").in_field("audio_data"));
    }
    Ok(audio::bytes_to_i16(data).into_iter().map(audio::to_f32).collect())
}

fn reply(decoded: Decoded, length: Samples, request_id: String) -> pb::TranscribeFileResponse {
    pb::TranscribeFileResponse {
        text: speech::join(&decoded.segments),
        language: decoded.language,
        duration: length.seconds() as f32,
        words: decoded.segments.iter().flat_map(|segment| segment.words.iter().map(convert::worker_word)).collect(),
        segments: decoded.segments.iter().enumerate().map(convert::worker_segment).collect(),
        decided: decoded.decided.0,
        request_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn wishes_that_nobody_can_follow_are_refused_by_name() {
        let request = pb::TranscribeFileRequest::default;
        let cases = [
            ("task", pb::TranscribeFileRequest { task: "sing".into(), ..request() }),
            ("response_format", pb::TranscribeFileRequest { response_format: "docx".into(), ..request() }),
            ("language", pb::TranscribeFileRequest { language: "mixed".into(), ..request() }),
            ("hot_words", pb::TranscribeFileRequest { hot_words: vec!["a".into()], ..request() }),
            (
                "timestamp_granularities",
                pb::TranscribeFileRequest { timestamp_granularities: vec!["letter".into()], ..request() },
            ),
            ("temperature", pb::TranscribeFileRequest { temperature: f32::NAN, ..request() }),
            ("beam_size", pb::TranscribeFileRequest { beam_size: 9, ..request() }),
            ("threads", pb::TranscribeFileRequest { threads: -1, ..request() }),
        ];
        for (field, request) in cases {
            let error = hint(&request).expect_err(field);
            assert_eq!((error.kind(), error.details().field.as_deref()), (Kind::InvalidInput, Some(field)));
        }
        assert!(window(&[0; 3]).is_err(), "half a sample");
    }

    #[test]
    fn words_come_where_they_are_asked_for() {
        let asking = |names: &[&str]| {
            let timestamp_granularities = names.iter().map(|name| (*name).to_owned()).collect();
            hint(&pb::TranscribeFileRequest { timestamp_granularities, ..Default::default() })
                .expect("it is valid")
                .words
        };
        assert!(asking(&["word"]) && asking(&["segment", "word"]));
        assert!(!asking(&[]) && !asking(&["segment"]));
    }
}
