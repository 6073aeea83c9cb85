//! What a session tells its client: our words in those of the wire, positions in the client's clock.

use crate::{
    listening::{Decided, TimedOut},
    proto::v1::{self as pb, session_done::Reason, speech_activity, streaming_recognize_response::Event},
    server::sessions::config::Config,
    speech::{self, Samples, Segment},
};

/// A message to the client.
pub(crate) type Message = pb::StreamingRecognizeResponse;

/// Makes a message of an event.
pub(super) fn message(event: Event) -> Message {
    Message { event: Some(event) }
}

/// Somebody has begun to speak, or stopped.
pub(super) fn speech(config: &Config, kind: speech_activity::Kind, utterance: i64, at: Samples) -> Message {
    let at = config.to_client(at);
    message(Event::Speech(pb::SpeechActivity { kind: kind.into(), at, utterance_id: utterance }))
}

/// Everything about an utterance that is decided, in order. The audio ends at `end`, in the client's clock: rounding
/// must not lead behind it.
pub(super) fn decided(config: &Config, decided: &Decided, end: i64) -> Vec<Message> {
    let at = |position| config.to_client(position).min(end);
    let mut messages = Vec::new();
    if let Some(seq) = decided.seq {
        let count = decided.segments.len().max(1) as f32;
        messages.push(message(Event::Final(pb::Final {
            seq,
            utterance_id: decided.utterance,
            audio_start: at(decided.from),
            audio_end: at(decided.to),
            text: speech::join(&decided.segments),
            segments: segments(config, &decided.segments),
            language: decided.language.clone(),
            confidence: decided.segments.iter().map(|segment| segment.confidence).sum::<f32>() / count,
        })));
    }
    for gap in &decided.gaps {
        let (start, end, reason) = (at(gap.start), at(gap.end), gap.reason.clone());
        messages.push(message(Event::Gap(pb::Gap { start, end, reason, utterance_id: decided.utterance })));
    }
    messages.push(speech(config, speech_activity::Kind::Ended, decided.utterance, decided.speech_end));
    messages
}

/// What is understood so far.
pub(super) fn partial(config: &Config, partial: pb::Partial, heard: &[Segment]) -> Message {
    message(Event::Partial(pb::Partial {
        audio_start: config.to_client(Samples(partial.audio_start)),
        audio_end: config.to_client(Samples(partial.audio_end)),
        segments: segments(config, heard),
        ..partial
    }))
}

/// Why a session has ended.
pub(super) fn reason(timed_out: Option<TimedOut>, is_client_gone: bool) -> Reason {
    match timed_out {
        Some(TimedOut::NoSpeech) => Reason::NoSpeech,
        Some(TimedOut::SpeechEnded) => Reason::SpeechEnded,
        None if is_client_gone => Reason::ClientGone,
        None => Reason::EndOfAudio,
    }
}

fn segments(config: &Config, segments: &[Segment]) -> Vec<pb::Segment> {
    let mut told: Vec<pb::Segment> = segments.iter().map(pb::Segment::from).collect();
    let scale = |at: &mut i64| *at = config.to_client(Samples(*at));
    for segment in &mut told {
        scale(&mut segment.start);
        scale(&mut segment.end);
        for word in &mut segment.words {
            scale(&mut word.start);
            scale(&mut word.end);
        }
    }
    told
}
