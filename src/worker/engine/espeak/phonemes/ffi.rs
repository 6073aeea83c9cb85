//! espeak-ng's phonemes, made safe. Apart from `espeak/ffi.rs`, which makes it speak, because these are its inner parts.

#![expect(unsafe_code, reason = "espeak-ng is a C library; every block says why it holds")]

use super::clause::{Clause, End, Reading};
use crate::{
    error::{Error, Kind, Result},
    worker::engine::espeak::ffi::Library,
};
use espeak_rs_sys as sys;
use std::{
    ffi::{CStr, CString, c_char, c_int, c_void},
    ptr,
};

/// `espeakPHONEMES_IPA` of speak_lib.h.
const IPA: c_int = 0x02;

/// An embedded command, of the kind that espeak-ng makes of SSML: speak characters (`SAYAS_CHARS` of translate.h).
const AS_CHARACTERS: &str = "\u{1}18Y ";

// What `espeak_TextToPhonemes` is made of, as in its 1.52 (translate.h, readclause.h, dictionary.h). The function itself
// keeps back how a clause ends; its twin that tells, `espeak_TextToPhonemesWithTerminator`, came after that release.
unsafe extern "C" {
    /// The rules of the voice in use.
    #[link_name = "translator"]
    static mut TRANSLATOR: *mut c_void;
    /// The text that is being read.
    #[link_name = "p_decoder"]
    static mut DECODER: *mut sys::espeak_ng_TEXT_DECODER;
    /// Whether text holds tags, and whether `[[ ]]` in it are phonemes in espeak-ng's own notation.
    #[link_name = "option_ssml"]
    static mut OPTION_SSML: c_int;
    #[link_name = "option_phoneme_input"]
    static mut OPTION_PHONEME_INPUT: c_int;
    /// Forgets what is left of the text before.
    fn InitText(flags: c_int);
    /// Reads a clause from the decoder, up to `N_TR_SOURCE` = 800 bytes of it.
    fn TranslateClauseWithTerminator(
        translator: *mut c_void,
        tone: *mut c_int,
        voice_change: *mut *mut c_char,
        terminator: *mut c_int,
    );
    /// The phonemes of that clause, until the next call.
    fn GetTranslatedPhonemeString(mode: c_int) -> *const c_char;
}

impl Library {
    /// The phonemes of `text`, clause by clause, with the voice in use; nothing is spoken, no callback is called.
    /// Control characters count as spaces, for espeak-ng would take some as commands.
    ///
    /// # Errors
    /// `InvalidInput` for NUL bytes and for more than 2 GiB, `Internal` where no voice is in use or espeak-ng fails.
    pub(super) fn clauses(&mut self, text: &str, reading: Reading) -> Result<Vec<Clause>> {
        let command = match reading {
            Reading::Text => "",
            Reading::Characters => AS_CHARACTERS,
        };
        let plain =
            text.chars().map(|c| if c.is_ascii_control() && !matches!(c, '\0' | '\t' | '\n') { ' ' } else { c });
        let fed = CString::new(command.chars().chain(plain).collect::<String>())
            .map_err(|_| Error::invalid("a text cannot hold NUL bytes"))?;
        let size = c_int::try_from(fed.as_bytes_with_nul().len())
            .map_err(|_| Error::invalid("a text cannot be longer than 2 GiB"))?;
        let _forget = Feed::start(&fed, size)?;
        let mut clauses: Vec<Clause> = Vec::new();
        let (mut from, mut before) = (0, 0);
        loop {
            let (phonemes, end, read) = next_clause(&fed);
            let to = read.map_or(text.len(), |read| start_of_last(text, read.saturating_sub(command.len())));
            clauses.push(Clause { phonemes, end, text: from..to.max(from) });
            match read {
                None => return Ok(clauses),
                Some(read) if read > before => (from, before) = (to.max(from), read),
                Some(read) => {
                    return Err(Error::new(
                        Kind::Internal,
                        format!("espeak-ng does not get past byte {read} of a text"),
                    ));
                }
            }
        }
    }
}

/// Where the last character of the first `read` bytes starts: espeak-ng reads one ahead and keeps it for later.
fn start_of_last(text: &str, read: usize) -> usize {
    (0..read.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Translates what comes next of `fed`, which is the text of the running [`Feed`]. Also says how many bytes of it have
/// been read, unless it is all.
fn next_clause(fed: &CStr) -> (String, End, Option<usize>) {
    let (mut tone, mut terminator) = (0, 0);
    // SAFETY: a feed is running, so translator and decoder are there and the decoder points into `fed`, which it reads
    // to its NUL and no further. The two numbers outlive the call; a change of voice, which may be null, is not wanted.
    // The string is null, or a C string that is valid until the next call and is copied before.
    let (phonemes, rest) = unsafe {
        TranslateClauseWithTerminator(TRANSLATOR, &raw mut tone, ptr::null_mut(), &raw mut terminator);
        let phonemes = GetTranslatedPhonemeString(IPA);
        let phonemes = if phonemes.is_null() { c"" } else { CStr::from_ptr(phonemes) };
        (phonemes.to_string_lossy().into_owned(), sys::text_decoder_get_buffer(DECODER))
    };
    let read = (!rest.is_null()).then(|| (rest as usize).saturating_sub(fed.as_ptr() as usize));
    (phonemes, End::new(terminator, tone), read)
}

/// A text that espeak-ng reads from. It forgets the text when this is dropped.
struct Feed;

impl Feed {
    /// Hands `fed`, of `size` bytes with its NUL, to espeak-ng, which reads it until this is dropped.
    fn start(fed: &CStr, size: c_int) -> Result<Self> {
        // SAFETY: espeak-ng is initialised, for only a `Library` comes here, and nobody else uses it meanwhile. A
        // decoder that is missing is made as espeak-ng itself would make it, which frees it too.
        let is_ready = unsafe {
            if DECODER.is_null() {
                DECODER = sys::create_text_decoder();
            }
            !DECODER.is_null() && !TRANSLATOR.is_null()
        };
        if !is_ready {
            return Err(Error::new(Kind::Internal, "espeak-ng has no voice in use"));
        }
        // SAFETY: the decoder is there; `fed` has `size` bytes, and the caller keeps it until the feed is dropped.
        let answer = unsafe {
            OPTION_SSML = 0;
            OPTION_PHONEME_INPUT = 0;
            InitText(0);
            sys::text_decoder_decode_string(
                DECODER,
                fed.as_ptr(),
                size,
                sys::espeak_ng_ENCODING_ESPEAKNG_ENCODING_UTF_8,
            )
        };
        if answer == sys::espeak_ng_STATUS_ENS_OK {
            Ok(Self)
        } else {
            Err(Error::new(Kind::Internal, format!("espeak-ng does not take a text (error {answer})")))
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // SAFETY: the decoder is there, for the feed was started; a null text is an empty one.
        unsafe {
            sys::text_decoder_decode_string(DECODER, ptr::null(), 0, sys::espeak_ng_ENCODING_ESPEAKNG_ENCODING_UTF_8);
        }
    }
}
