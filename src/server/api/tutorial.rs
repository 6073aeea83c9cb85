//! `example.SpeechRecognition`, the tutorial's contract.

use crate::{
    audio,
    error::{Error, Kind, Result},
    models::{Paths, library::Need},
    proto::example as pb,
    server::{
        Shared,
        guard::deadline,
        recognition::{Options, Recognition, feed::Feed},
        speaking::{Listener, Style, Words},
    },
    speech,
};
use bytes::Bytes;
use tonic::{Request, Response, Status};

/// The largest reply that gRPC clients take by default.
const MAX_REPLY: usize = 4 << 20;

/// Room for the header of a WAV file and the fields of the message.
const OVERHEAD: usize = 128;

/// The contract's service.
pub(crate) struct Tutorial(pub(crate) Shared);

#[tonic::async_trait]
impl pb::speech_recognition_server::SpeechRecognition for Tutorial {
    async fn tts(&self, request: Request<pb::TtsRequest>) -> Result<Response<pb::TtsResponse>, Status> {
        let deadline = deadline::of(&request);
        let request = request.into_inner();
        let (words, style) = (Words::Text(request.text), Style { region: request.region, ..Style::default() });
        let style = self.0.speaker.styled(style);
        let mut whole = Whole::default();
        self.0.speaker.speak(&words, &style, Paths::Refused, deadline, &mut whole).await?;
        let audio = audio::wav::from_samples(whole.rate, &audio::bytes_to_i16(&whole.audio));
        Ok(Response::new(pb::TtsResponse { audio: audio.into() }))
    }

    async fn stt(&self, request: Request<pb::SttRequest>) -> Result<Response<pb::SttResponse>, Status> {
        let deadline = deadline::of(&request);
        let _place = self.0.admit()?;
        let model = self.0.recognizer(Need::default(), Paths::Refused)?;
        let feed = Feed::from_file(request.into_inner().audio)?;
        let supervisor = self.0.supervisor.clone();
        let mut recognition = Recognition::new(supervisor, model, Options::default(), deadline, feed);
        let mut segments = Vec::new();
        while let Some(decided) = recognition.next().await? {
            segments.extend(decided.segments);
        }
        for warning in recognition.warnings() {
            // The contract has no place for it.
            tracing::warn!(warning, "Recording is not whole.");
        }
        Ok(Response::new(pb::SttResponse { transcription: speech::join(&segments) }))
    }
}

/// Collects a whole utterance, as far as a reply holds it.
#[derive(Default)]
struct Whole {
    rate: u32,
    audio: Vec<u8>,
}

impl Listener for Whole {
    fn format(&mut self, sample_rate: u32, _voice: &str) -> Result<()> {
        self.rate = sample_rate;
        Ok(())
    }

    fn audio(&mut self, audio: Bytes) -> Result<()> {
        if self.audio.len() + audio.len() + OVERHEAD > MAX_REPLY {
            let message = "the speech is longer than one reply of 4 MiB; \
                           call speechctl.v1.SpeechRecognition/Synthesize, which streams it";
            return Err(Error::new(Kind::Busy, message).in_field("text"));
        }
        self.audio.extend_from_slice(&audio);
        Ok(())
    }

    async fn deliver(&mut self) -> Result<()> {
        Ok(())
    }
}
