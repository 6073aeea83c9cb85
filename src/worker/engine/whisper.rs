//! whisper.cpp: any ggml Whisper model.
//!
//! Each call has a state of its own: whisper.cpp's samplers keep random numbers in it, and an answer must not depend
//! on the call before.

mod fast;
mod ffi;
pub(crate) mod processor;

use crate::{
    error::{Error, Kind, Result},
    models::{ggml, selftest},
    speech::{self, Samples, Segment, Word},
    worker::engine::{Cancel, Decoded, Hint, Recognizer},
};
use ffi::Gate;
use std::path::Path;
use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperSegment, WhisperState,
};

/// whisper.cpp's own default, of whisper-cli too.
const DEFAULT_BEAM: i32 = 5;

/// whisper.cpp counts time in hundredths of a second.
const SAMPLES_PER_TICK: i64 = Samples::RATE as i64 / 100;

/// A Whisper model in memory.
pub(super) struct Whisper {
    context: WhisperContext,
    /// Threads for a call that names none.
    threads: i32,
    name: String,
}

impl Whisper {
    /// Loads a ggml model file.
    ///
    /// # Errors
    /// `NotFound`, `Io`, or `InvalidInput` for a file that is no model or not a whole one.
    pub(super) fn from_file(path: &Path, threads: i32) -> Result<Self> {
        let name = path.display().to_string();
        ggml::check(path)?;
        processor::check()?;
        install_hooks();
        let context = WhisperContext::new_with_params(path, WhisperContextParameters::default())
            .map_err(|_| Error::invalid(format!("model `{name}` is damaged or cut short; get it again")))?;
        Ok(Self { context, threads, name })
    }

    /// Loads the model that is built in.
    ///
    /// # Errors
    /// `Internal` if it is damaged.
    pub(super) fn selftest(threads: i32) -> Result<Self> {
        processor::check()?;
        install_hooks();
        let model = selftest::unpack()?;
        let context = WhisperContext::new_from_buffer_with_params(&model, WhisperContextParameters::default())
            .map_err(|cause| Error::new(Kind::Internal, "the built-in model cannot be loaded").because(cause))?;
        Ok(Self { context, threads, name: "selftest".to_owned() })
    }

    /// The language to tell whisper.cpp, checked. A region says nothing to Whisper: "en-US" is "en".
    fn language(&self, wanted: &str) -> Result<String> {
        let lower = wanted.to_ascii_lowercase();
        let wanted = lower.split(['-', '_']).next().unwrap_or_default();
        let known = wanted == "auto" || wanted.is_empty() || whisper_rs::get_lang_id(wanted).is_some();
        if wanted.contains('\0') || !known {
            let message =
                format!("language `{wanted}` is not one that Whisper knows; give a code such as `en` or `auto`");
            return Err(Error::invalid(message).in_field("config.language"));
        }
        if self.context.is_multilingual() {
            return Ok(if wanted.is_empty() { "auto".to_owned() } else { wanted.to_owned() });
        }
        match wanted {
            "" | "auto" | "en" | "english" => Ok("en".to_owned()),
            other => {
                let message = format!("language `{other}`: model `{}` understands English only", self.name);
                Err(Error::invalid(message).in_field("config.language"))
            }
        }
    }

    fn parameters<'a>(&self, hint: &Hint, language: &'a str) -> Result<FullParams<'a, 'static>> {
        let strategy = match if hint.beam_size == 0 { DEFAULT_BEAM } else { hint.beam_size } {
            1 => SamplingStrategy::Greedy { best_of: 5 },
            beam_size => SamplingStrategy::BeamSearch { beam_size, patience: -1.0 },
        };
        let mut parameters = FullParams::new(strategy);
        // More threads than cores wait for each other, at a hundred times the price.
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get().try_into().unwrap_or(i32::MAX));
        parameters.set_n_threads(if hint.threads > 0 { hint.threads } else { self.threads }.min(cores));
        parameters.set_language(Some(language));
        if hint.translate && !self.context.is_multilingual() {
            let message = format!("model `{}` understands English only and cannot translate", self.name);
            return Err(Error::invalid(message).in_field("config.task"));
        }
        parameters.set_translate(hint.translate);
        parameters.set_temperature(hint.temperature);
        parameters.set_token_timestamps(hint.words);
        if hint.prompt.contains('\0') {
            return Err(Error::invalid("a prompt cannot hold NUL bytes").in_field("config.prompt"));
        }
        if !hint.prompt.is_empty() {
            parameters.set_initial_prompt(&hint.prompt);
        }
        parameters.set_print_progress(false);
        parameters.set_print_realtime(false);
        parameters.set_print_timestamps(false);
        parameters.set_print_special(false);
        Ok(parameters)
    }
}

/// C libraries print where they like; ours go through `tracing`.
fn install_hooks() {
    whisper_rs::install_logging_hooks();
}

impl Recognizer for Whisper {
    fn decode(&mut self, window: &[f32], hint: &Hint, cancel: &Cancel) -> Result<Decoded> {
        let language = self.language(&hint.language)?;
        let length = Samples(i64::try_from(window.len()).unwrap_or(i64::MAX));
        // Less than 0.1 s is nothing to whisper.cpp, which would warn and return nothing. Say so without it.
        if window.len() < Samples::RATE as usize / 10 {
            let language = if language == "auto" { String::new() } else { language };
            return Ok(Decoded { segments: Vec::new(), language, decided: length });
        }
        let short = fast::context(window.len()).filter(|_| hint.fast && !hint.more_follows);
        if let Some(context) = short {
            let (state, decoded) = self.pass(window, hint, &language, cancel, context)?;
            if fast::is_sure(&state) {
                return Ok(decoded);
            }
        }
        self.pass(window, hint, &language, cancel, 0).map(|(_, decoded)| decoded)
    }
}

impl Whisper {
    /// Decodes a window once. `context` is how many of the encoder's positions are looked at; 0 for all.
    fn pass(
        &self,
        window: &[f32],
        hint: &Hint,
        language: &str,
        cancel: &Cancel,
        context: i32,
    ) -> Result<(WhisperState, Decoded)> {
        let mut parameters = self.parameters(hint, language)?;
        parameters.set_audio_ctx(context);
        let mut state = self
            .context
            .create_state()
            .map_err(|cause| Error::new(Kind::Internal, "whisper.cpp cannot set up a decode").because(cause))?;
        let gate = Gate::new(cancel.clone(), hint.more_follows);
        let result = ffi::decode(&mut state, parameters, window, &gate);
        cancel.check()?;
        result.map_err(|cause| Error::new(Kind::Internal, "whisper.cpp cannot decode this").because(cause))?;
        let segments = segments(&state, hint.words)?;
        let length = Samples(i64::try_from(window.len()).unwrap_or(i64::MAX));
        let decided = match segments.last() {
            // Where whisper.cpp would leave out the rest of the window, because the model ended with a single time, we look
            // at it again: nothing costs as much as words that are lost.
            Some(last) if hint.more_follows && gate.reached(length) >= length => last.end.min(length),
            Some(last) if hint.more_follows => last.end.max(gate.reached(length)),
            _ => length,
        };
        let language = whisper_rs::get_lang_str(state.full_lang_id_from_state()).unwrap_or("en").to_owned();
        let segments = segments.into_iter().filter(|segment| !speech::is_no_speech(&segment.text)).collect();
        Ok((state, Decoded { segments, language, decided }))
    }
}

fn segments(state: &WhisperState, with_words: bool) -> Result<Vec<Segment>> {
    state.as_iter().map(|segment| read_segment(&segment, with_words)).collect()
}

fn read_segment(segment: &WhisperSegment<'_>, with_words: bool) -> Result<Segment> {
    let text = segment
        .to_str_lossy()
        .map_err(|cause| Error::new(Kind::Internal, "whisper.cpp gave a segment without text").because(cause))?;
    let tokens = text_tokens(segment);
    let count = tokens.len().max(1) as f32;
    Ok(Segment {
        start: ticks(segment.start_timestamp()),
        end: ticks(segment.end_timestamp().max(segment.start_timestamp())),
        text: text.trim().to_owned(),
        confidence: tokens.iter().map(|token| token.probability).sum::<f32>() / count,
        avg_logprob: tokens.iter().map(|token| token.logprob).sum::<f32>() / count,
        no_speech_probability: segment.no_speech_probability(),
        words: if with_words { words(&tokens) } else { Vec::new() },
    })
}

/// One token of text, without the timestamps and marks between them.
#[derive(Clone, Debug, Default)]
struct Token {
    bytes: Vec<u8>,
    start: Samples,
    end: Samples,
    probability: f32,
    logprob: f32,
}

fn text_tokens(segment: &WhisperSegment<'_>) -> Vec<Token> {
    let is_text = |bytes: &[u8]| !bytes.starts_with(b"[_") && !bytes.starts_with(b"<|");
    (0..segment.n_tokens())
        .filter_map(|index| segment.get_token(index))
        .filter_map(|token| {
            let bytes = token.to_bytes().ok()?.to_vec();
            let data = token.token_data();
            is_text(&bytes).then(|| Token {
                bytes,
                start: ticks(data.t0),
                end: ticks(data.t1.max(data.t0)),
                probability: data.p,
                logprob: data.plog,
            })
        })
        .collect()
}

/// Joins tokens to words: a token that begins with a space begins a word, and so does each whole token in scripts that
/// have no spaces, where a sentence would be one word otherwise. A character may be spread over tokens, so that text is
/// made of bytes only when its word is whole.
fn words(tokens: &[Token]) -> Vec<Word> {
    let mut words: Vec<(Vec<u8>, Word, u16)> = Vec::new();
    for token in tokens {
        match words.last_mut() {
            Some((bytes, word, count)) if !token.bytes.starts_with(b" ") && !begins_unspaced(bytes, &token.bytes) => {
                bytes.extend(&token.bytes);
                word.end = word.end.max(token.end);
                word.probability += token.probability;
                *count += 1;
            }
            _ => {
                let (start, end, probability) = (token.start, token.end, token.probability);
                words.push((token.bytes.clone(), Word { start, end, text: String::new(), probability }, 1));
            }
        }
    }
    words
        .into_iter()
        .map(|(bytes, mut word, count)| {
            word.text = String::from_utf8_lossy(&bytes).trim().to_owned();
            word.probability /= f32::from(count);
            word
        })
        .filter(|word| !word.text.is_empty())
        .collect()
}

/// Whether a token begins a word of its own in a script without spaces: what is before it is whole, and so is its first
/// character, which is no punctuation.
fn begins_unspaced(before: &[u8], token: &[u8]) -> bool {
    let first = token.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
    let is_letter = |character: char| speech::is_unspaced(character) && character.is_alphabetic();
    std::str::from_utf8(before).is_ok() && first.is_some_and(is_letter)
}

fn ticks(ticks: i64) -> Samples {
    Samples(ticks.max(0).saturating_mul(SAMPLES_PER_TICK))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &[u8], start: i64, end: i64) -> Token {
        Token { bytes: text.to_vec(), start: Samples(start), end: Samples(end), probability: 0.5, logprob: -0.7 }
    }

    #[test]
    fn tokens_are_joined_to_words() {
        let words =
            words(&[token(b" turn", 0, 10), token(b" kit", 10, 20), token(b"chen", 20, 30), token(b".", 30, 31)]);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["turn", "kitchen."]);
        assert_eq!((words[1].start, words[1].end), (Samples(10), Samples(31)));
        assert!((words[1].probability - 0.5).abs() < 1e-6);
    }

    #[test]
    fn scripts_without_spaces_have_words_of_tokens() {
        let bytes = "天".as_bytes();
        let tokens = ["今日".as_bytes(), "は".as_bytes(), &bytes[..1], &bytes[1..], "気".as_bytes(), "。".as_bytes()];
        let words = words(&tokens.map(|bytes| token(bytes, 0, 1)));
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, ["今日", "は天", "気。"]);
    }

    #[test]
    fn a_character_may_be_spread_over_tokens() {
        let words = words(&[token(&[b' ', 0xC3], 0, 1), token(&[0xBC], 1, 2)]);
        assert_eq!(words[0].text, "ü");
    }
}
