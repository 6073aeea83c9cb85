//! `speechctl.v1.SpeechRecognition`, our own contract.

use crate::{
    error::{Error, Result},
    models::Paths,
    proto::v1 as pb,
    server::{
        Shared,
        api::{
            no_config,
            page::{self, Listed, Wish},
            paths_of,
            respond::{Messages, Outlet, respond},
            second_config,
            sound::Caller,
            streaming, synthesis,
        },
        guard::deadline,
        recognition::{
            Options, Recognition,
            feed::{ByteStream, Feed},
            need,
        },
    },
    speech::{self, Gender, ModelId, Samples, Voice},
};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming};

/// The contract's service.
pub(crate) struct Speech(pub(crate) Shared);

#[tonic::async_trait]
impl pb::speech_recognition_server::SpeechRecognition for Speech {
    type RecognizeFileStream = Messages<pb::RecognizeFileResponse>;
    type StreamingRecognizeStream = Messages<pb::StreamingRecognizeResponse>;
    type SynthesizeStream = Messages<pb::SynthesizeResponse>;
    type StreamingSynthesizeStream = Messages<pb::StreamingSynthesizeResponse>;

    async fn recognize(
        &self,
        request: Request<pb::RecognizeRequest>,
    ) -> Result<Response<pb::RecognizeResponse>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let request = request.into_inner();
        let _place = self.0.admit()?;
        let wanted = Wanted::try_new(request.config.unwrap_or_default(), &self.0, paths)?;
        let feed = match wanted.pcm_rate {
            None => Feed::from_file(request.audio)?,
            Some(rate) => Feed::from_pcm(Box::pin(tokio_stream::once(Ok(request.audio))), rate)?,
        };
        let model = self.0.supervisor.directory().name(&wanted.model);
        let mut recognition = wanted.begin(&self.0, deadline, feed);
        let mut segments = Vec::new();
        while let Some(decided) = recognition.next().await? {
            segments.extend(decided.segments);
        }
        Ok(Response::new(pb::RecognizeResponse {
            text: speech::join(&segments),
            language: recognition.language().to_owned(),
            duration: Some(duration(recognition.length())),
            segments: segments.iter().map(pb::Segment::from).collect(),
            model,
            sample_rate_hertz: Samples::RATE as i32,
            warnings: recognition.warnings().to_vec(),
        }))
    }

    async fn recognize_file(
        &self,
        request: Request<Streaming<pb::RecognizeFileRequest>>,
    ) -> Result<Response<Self::RecognizeFileStream>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let shared = self.0.clone();
        let messages = request.into_inner();
        Ok(Response::new(respond(deadline, move |out| recognize_file(shared, messages, deadline, paths, out))))
    }

    async fn streaming_recognize(
        &self,
        request: Request<Streaming<pb::StreamingRecognizeRequest>>,
    ) -> Result<Response<Self::StreamingRecognizeStream>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let (metadata, _, mut messages) = request.into_parts();
        let attached = deadline::within(deadline, streaming::attach(&self.0, &metadata, &mut messages, paths)).await?;
        let id = attached.id.parse().map_err(|_| Error::invalid("the session's name is no metadata"))?;
        let work = move |out| streaming::converse(attached, messages, out);
        let mut response = Response::new(respond(deadline, work));
        response.metadata_mut().insert(streaming::SESSION, id);
        Ok(response)
    }

    async fn synthesize(
        &self,
        request: Request<pb::SynthesizeRequest>,
    ) -> Result<Response<Self::SynthesizeStream>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let (words, style, encoding) = synthesis::read(request.into_inner())?;
        let speaker = self.0.speaker.clone();
        Ok(Response::new(respond(deadline, move |out| async move {
            let style = speaker.styled(style);
            let mut caller = Caller::new(encoding, out);
            speaker.speak(&words, &style, paths, deadline, &mut caller).await?;
            caller.finish().await
        })))
    }

    async fn streaming_synthesize(
        &self,
        request: Request<Streaming<pb::StreamingSynthesizeRequest>>,
    ) -> Result<Response<Self::StreamingSynthesizeStream>, Status> {
        let (deadline, paths) = (deadline::of(&request), paths_of(&request));
        let speaker = self.0.speaker.clone();
        let messages = request.into_inner();
        let work = move |out| synthesis::converse(speaker, messages, paths, deadline, out);
        Ok(Response::new(respond(deadline, work)))
    }

    async fn list_voices(
        &self,
        request: Request<pb::ListVoicesRequest>,
    ) -> Result<Response<pb::ListVoicesResponse>, Status> {
        let deadline = deadline::of(&request);
        let request = request.into_inner();
        let known = deadline::within(deadline, self.0.speaker.voices(deadline)).await?;
        let wish = Wish {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let page = page::page(known.voices, &wish)?;
        let default = self.0.speaker.default_voice();
        Ok(Response::new(pb::ListVoicesResponse {
            voices: page.entries.into_iter().map(|voice| listed(voice, default)).collect(),
            next_page_token: page.next_page_token,
            total_count: i32::try_from(page.total).unwrap_or(i32::MAX),
            variants: known.variants,
        }))
    }
}

/// What a recognition's caller wants, checked.
struct Wanted {
    model: ModelId,
    options: Options,
    /// The rate of bare samples; `None` for files.
    pcm_rate: Option<u32>,
}

impl Wanted {
    fn try_new(config: pb::RecognitionConfig, shared: &Shared, paths: Paths) -> Result<Self> {
        let (options, pcm_rate) = Options::try_new(&config)?;
        Ok(Self { model: shared.recognizer(need(&config), paths)?, options, pcm_rate })
    }

    fn begin(self, shared: &Shared, deadline: Option<Instant>, feed: Feed) -> Recognition {
        Recognition::new(shared.supervisor.clone(), self.model, self.options, deadline, feed)
    }
}

/// Takes a recording in chunks, and tells its segments as they are decided.
async fn recognize_file(
    shared: Shared,
    mut messages: Streaming<pb::RecognizeFileRequest>,
    deadline: Option<Instant>,
    paths: Paths,
    out: Outlet<pb::RecognizeFileResponse>,
) -> Result<()> {
    use pb::{recognize_file_request::Message, recognize_file_response::Event};
    let _place = shared.admit()?;
    let first = messages.message().await?.and_then(|message| message.message);
    let Some(Message::Config(config)) = first else {
        return Err(no_config());
    };
    let wanted = Wanted::try_new(config, &shared, paths)?;
    let send = async |event| out.send(pb::RecognizeFileResponse { event: Some(event) }).await;
    let model = shared.supervisor.directory().name(&wanted.model);
    send(Event::Started(pb::RecognitionStarted { model, sample_rate_hertz: Samples::RATE as i32 })).await?;

    let bytes: ByteStream = Box::pin(messages.map(|message| audio_of(message?)));
    let feed = match wanted.pcm_rate {
        None => Feed::from_file_stream(bytes)?,
        Some(rate) => Feed::from_pcm(bytes, rate)?,
    };
    let mut recognition = wanted.begin(&shared, deadline, feed);
    while let Some(decided) = recognition.next().await? {
        for segment in &decided.segments {
            send(Event::Segment(segment.into())).await?;
        }
        let progress = pb::RecognitionProgress { decided: decided.up_to.0, received: decided.received.0 };
        send(Event::Progress(progress)).await?;
    }
    send(Event::Done(pb::RecognitionDone {
        language: recognition.language().to_owned(),
        duration: Some(duration(recognition.length())),
        warnings: recognition.warnings().to_vec(),
    }))
    .await
}

fn audio_of(message: pb::RecognizeFileRequest) -> Result<Bytes> {
    match message.message {
        Some(pb::recognize_file_request::Message::Audio(audio)) => Ok(audio),
        Some(pb::recognize_file_request::Message::Config(_)) => Err(second_config()),
        None => Err(Error::invalid("a message without audio").in_field("audio")),
    }
}

impl Listed for Voice {
    const FIELDS: &'static [&'static str] = &["voice", "name", "language", "gender", "engine"];

    fn matches(&self, field: &str, value: &str) -> bool {
        match field {
            "voice" => self.id.eq_ignore_ascii_case(value),
            "name" => self.name.eq_ignore_ascii_case(value),
            "gender" => self.gender.is_some_and(|gender| gender.word().eq_ignore_ascii_case(value)),
            "engine" => self.engine == value,
            _ => speaks(self, value),
        }
    }

    fn key(&self, field: &str) -> String {
        match field {
            "name" => self.name.clone(),
            "gender" => self.gender.map_or("", Gender::word).to_owned(),
            "language" => self.languages.first().cloned().unwrap_or_default(),
            "engine" => self.engine.clone(),
            _ => self.id.clone(),
        }
    }
}

/// Whether a voice speaks a language: "en" is spoken by "en-GB", and "de-DE" by a voice of "de", which has no region of
/// its own; but "en-US" not by one of "en-GB", although that goes by "en" too.
fn speaks(voice: &Voice, wanted: &str) -> bool {
    let wanted = wanted.replace('_', "-").to_ascii_lowercase();
    let is_part = |whole: &str, part: &str| part.strip_prefix(whole).is_some_and(|rest| rest.starts_with('-'));
    let has_region = voice.languages.first().is_some_and(|first| first.contains('-'));
    voice.languages.iter().map(|language| language.to_ascii_lowercase()).any(|language| {
        language == wanted || is_part(&wanted, &language) || (!has_region && is_part(&language, &wanted))
    })
}

fn listed(voice: Voice, default: &str) -> pb::Voice {
    let gender = match voice.gender {
        None => pb::Gender::Unspecified,
        Some(Gender::Female) => pb::Gender::Female,
        Some(Gender::Male) => pb::Gender::Male,
    };
    pb::Voice {
        is_default: voice.id == default,
        id: voice.id,
        name: voice.name,
        languages: voice.languages,
        gender: gender.into(),
        sample_rate_hertz: i32::try_from(voice.sample_rate).unwrap_or(0),
        engine: voice.engine,
        speakers: voice.speakers,
    }
}

fn duration(length: Samples) -> prost_types::Duration {
    let rate = i64::from(Samples::RATE);
    let nanos = (length.0 % rate) * (1_000_000_000 / rate);
    prost_types::Duration { seconds: length.0 / rate, nanos: nanos as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_speaks_its_languages() {
        let voice = |languages: &[&str]| Voice {
            languages: languages.iter().map(|language| (*language).to_owned()).collect(),
            ..Voice::default()
        };
        let (british, german) = (voice(&["en-gb", "en"]), voice(&["de"]));
        assert!(speaks(&british, "en") && speaks(&british, "en-GB") && speaks(&british, "en_gb"));
        assert!(!speaks(&british, "en-US") && !speaks(&british, "e"));
        assert!(speaks(&german, "de-DE") && !speaks(&german, "den"));
    }
}
