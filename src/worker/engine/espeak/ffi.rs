//! espeak-ng's C interface, made safe. The one file of the program with unsafe code.
//!
//! espeak-ng is global state: one voice, one set of parameters, one callback. [`Library`] stands for all of it, can be
//! had once a process, and is not `Sync`; so whoever holds it is alone.

#![expect(unsafe_code, reason = "espeak-ng is a C library; every block says why it holds")]

use crate::error::{Error, Kind, Result};
use espeak_rs_sys as sys;
use std::{
    cell::Cell,
    ffi::{CStr, CString, c_int, c_short, c_void},
    ops::ControlFlow,
    os::unix::ffi::OsStrExt,
    path::Path,
    ptr, slice,
    sync::atomic::{AtomicBool, Ordering},
};

/// `espeakPHONEMES` of speak_lib.h: text in `[[ ]]` is phonemes.
const PHONEMES: u32 = 0x100;

/// `espeakENDPAUSE` of speak_lib.h: a pause follows the last sentence too.
const END_PAUSE: u32 = 0x1000;

/// The answer of the synthesis callback that ends the synthesis.
const STOP: c_int = 1;

static TAKEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Where the audio of the running [`Library::speak`] goes. espeak-ng calls back on the thread that called it.
    static SINK: Cell<Option<*mut SinkRef<'static>>> = const { Cell::new(None) };
}

/// What the callback writes to.
type SinkRef<'a> = &'a mut dyn FnMut(Made<'_>) -> ControlFlow<()>;

/// What espeak-ng makes of a text. Samples count from the beginning of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Made<'a> {
    /// Samples.
    Audio(&'a [i16]),
    /// A word begins: so many characters of the text, from this one on, counted from 0.
    Word { sample: u64, character: usize, length: usize },
    /// SSML's `<mark>` of this name.
    Named { sample: u64, name: String },
}

/// espeak-ng, initialised.
pub(super) struct Library {
    /// The rate of its audio, Hz.
    pub(super) sample_rate: u32,
    /// Neither `Sync` nor copied between threads that both use it.
    not_sync: std::marker::PhantomData<Cell<()>>,
}

/// A voice as espeak-ng lists it.
#[derive(Clone, Debug)]
pub(super) struct RawVoice {
    /// "English (Great Britain)".
    pub(super) name: String,
    /// "gmw/en".
    pub(super) identifier: String,
    /// "en-gb", "en"; the best first.
    pub(super) languages: Vec<String>,
    /// 1 male, 2 female, 0 unknown.
    pub(super) gender: u8,
}

/// How to speak, in espeak-ng's own numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameters {
    /// Words a minute, 80 to 450.
    pub(super) rate: i32,
    /// 0 to 100, 50 is the voice's own.
    pub(super) pitch: i32,
    /// 0 to 200, 100 is the voice's own.
    pub(super) volume: i32,
}

impl Library {
    /// Initialises espeak-ng with the data in `folder`, which holds `espeak-ng-data`.
    ///
    /// # Errors
    /// `Internal` the second time in a process, `Io` where the data cannot be used.
    pub(super) fn initialize(folder: &Path) -> Result<Self> {
        if TAKEN.swap(true, Ordering::SeqCst) {
            return Err(Error::new(Kind::Internal, "espeak-ng is in use in this process already"));
        }
        let folder = CString::new(folder.as_os_str().as_bytes())
            .map_err(|_| Error::new(Kind::Io, "the cache folder's name holds a NUL byte"))?;
        // SAFETY: `folder` is a C string that outlives the call; espeak-ng copies it.
        let rate = unsafe {
            sys::espeak_Initialize(
                sys::espeak_AUDIO_OUTPUT_AUDIO_OUTPUT_SYNCHRONOUS,
                0,
                folder.as_ptr(),
                sys::espeakINITIALIZE_DONT_EXIT as c_int,
            )
        };
        let sample_rate = u32::try_from(rate).ok().filter(|rate| *rate > 0).ok_or_else(|| {
            let folder = folder.to_string_lossy();
            Error::new(Kind::Io, format!("espeak-ng cannot use its data in `{folder}`; remove that folder"))
        })?;
        // SAFETY: `on_audio` is a function of the type that espeak-ng wants, and lives for ever.
        unsafe { sys::espeak_SetSynthCallback(Some(on_audio)) };
        // SAFETY: as above, for `on_uri`.
        unsafe { sys::espeak_SetUriCallback(Some(on_uri)) };
        Ok(Self { sample_rate, not_sync: std::marker::PhantomData })
    }

    /// All voices but variants and MBROLA's.
    pub(super) fn voices(&mut self) -> Vec<RawVoice> {
        let mut voices = Vec::new();
        // SAFETY: with a null argument espeak-ng returns its own list, ended by a null pointer, which stays valid until
        // the next call; nobody else calls, for we hold `&mut self`.
        unsafe {
            let mut entry = sys::espeak_ListVoices(ptr::null_mut());
            while !entry.is_null() && !(*entry).is_null() {
                let voice = &**entry;
                voices.push(RawVoice {
                    name: text(voice.name),
                    identifier: text(voice.identifier),
                    languages: languages(voice.languages),
                    gender: voice.gender,
                });
                entry = entry.add(1);
            }
        }
        voices
    }

    /// Chooses the voice for what is spoken next: an identifier, with a variant if wanted ("gmw/en+f3").
    ///
    /// # Errors
    /// `Internal` where espeak-ng does not take it; the voice before stays in use then.
    pub(super) fn set_voice(&mut self, name: &str) -> Result<()> {
        let name_c = CString::new(name).map_err(|_| Error::invalid("a voice's name cannot hold NUL bytes"))?;
        // SAFETY: `name_c` is a C string that outlives the call.
        let answer = unsafe { sys::espeak_SetVoiceByName(name_c.as_ptr()) };
        if answer == sys::espeak_ERROR_EE_OK {
            Ok(())
        } else {
            Err(Error::new(Kind::Internal, format!("espeak-ng cannot load its voice `{name}` (error {answer})")))
        }
    }

    /// Speaks `text` into `sink` until done, or told to break.
    ///
    /// # Errors
    /// `InvalidInput` for NUL bytes, `Internal` where espeak-ng fails.
    pub(super) fn speak(
        &mut self,
        text: &str,
        is_ssml: bool,
        parameters: Parameters,
        mut sink: SinkRef<'_>,
    ) -> Result<()> {
        let text = CString::new(text).map_err(|_| Error::invalid("a text cannot hold NUL bytes"))?;
        let flags = sys::espeakCHARS_UTF8 | PHONEMES | END_PAUSE | if is_ssml { sys::espeakSSML } else { 0 };
        let sink_ptr: *mut SinkRef<'_> = &mut sink;
        // The lifetime is that of this call, which `clear` below enforces.
        SINK.set(Some(sink_ptr.cast::<SinkRef<'static>>()));
        let clear = ClearSink;
        // SAFETY: `text` is a C string whose size with its NUL is given, and outlives the call, which is synchronous.
        // The callback reads `SINK`, which points to `sink` until `clear` is dropped, and nobody else uses `sink`.
        let answer = unsafe {
            // The same text sounds the same each time: noise is made from this seed.
            sys::espeak_ng_SetRandSeed(1);
            sys::espeak_SetParameter(sys::espeak_PARAMETER_espeakRATE, parameters.rate, 0);
            sys::espeak_SetParameter(sys::espeak_PARAMETER_espeakPITCH, parameters.pitch, 0);
            sys::espeak_SetParameter(sys::espeak_PARAMETER_espeakVOLUME, parameters.volume, 0);
            sys::espeak_Synth(
                text.as_ptr().cast::<c_void>(),
                text.as_bytes_with_nul().len(),
                0,
                sys::espeak_POSITION_TYPE_POS_CHARACTER,
                0,
                flags,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        drop(clear);
        if answer == sys::espeak_ERROR_EE_OK {
            Ok(())
        } else {
            Err(Error::new(Kind::Internal, format!("espeak-ng failed with error {answer}")))
        }
    }
}

/// Forgets the sink, also when a panic passes.
struct ClearSink;

impl Drop for ClearSink {
    fn drop(&mut self) {
        SINK.set(None);
    }
}

/// Called by espeak-ng with audio as it is made; `wav` is null at the end.
extern "C" fn on_audio(wav: *mut c_short, samples: c_int, events: *mut sys::espeak_EVENT) -> c_int {
    let (Some(sink), Ok(samples)) = (SINK.get(), usize::try_from(samples)) else { return STOP };
    // SAFETY: `sink` was set by the running `speak` on this thread, which waits for us and so neither moves nor uses it.
    let sink = unsafe { &mut *sink };
    // SAFETY: espeak-ng hands over a list of events, valid for this call, whose end is marked.
    for mark in unsafe { marks(events) } {
        if sink(mark).is_break() {
            return STOP;
        }
    }
    if wav.is_null() || samples == 0 {
        return 0;
    }
    // SAFETY: espeak-ng hands over `samples` samples at `wav`, valid for this call.
    let audio = unsafe { slice::from_raw_parts(wav, samples) };
    match sink(Made::Audio(audio)) {
        ControlFlow::Continue(()) => 0,
        ControlFlow::Break(()) => STOP,
    }
}

/// What begins in the audio of a callback, as far as we tell it.
///
/// # Safety
/// `event` is null or the first of a list whose last has the type `espeakEVENT_LIST_TERMINATED`.
unsafe fn marks(mut event: *const sys::espeak_EVENT) -> Vec<Made<'static>> {
    let mut found = Vec::new();
    let number = |value: c_int| usize::try_from(value).unwrap_or(0);
    // SAFETY: the caller promises the shape; names of marks are C strings.
    unsafe {
        while !event.is_null() && (*event).type_ != sys::espeak_EVENT_TYPE_espeakEVENT_LIST_TERMINATED {
            let sample = u64::try_from((*event).sample).unwrap_or(0);
            match (*event).type_ {
                sys::espeak_EVENT_TYPE_espeakEVENT_WORD => found.push(Made::Word {
                    sample,
                    // Theirs count from 1.
                    character: number((*event).text_position).saturating_sub(1),
                    length: number((*event).length),
                }),
                sys::espeak_EVENT_TYPE_espeakEVENT_MARK => {
                    found.push(Made::Named { sample, name: text((*event).id.name) });
                }
                _ => {}
            }
            event = event.add(1);
        }
    }
    found
}

/// Called for `<audio src="…">` of SSML. Whoever gives us a text has no business with the files of this machine, and
/// espeak-ng trusts what they hold: they are never opened.
extern "C" fn on_uri(_kind: c_int, _uri: *const std::ffi::c_char, _base: *const std::ffi::c_char) -> c_int {
    STOP
}

/// A C string of espeak-ng's as ours; empty for null.
///
/// # Safety
/// `string` is null or a C string.
unsafe fn text(string: *const std::ffi::c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller promises it.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Reads espeak-ng's list of languages: a priority byte and a C string each, ended by a zero byte.
///
/// # Safety
/// `list` is null or such a list.
unsafe fn languages(mut list: *const std::ffi::c_char) -> Vec<String> {
    let mut found = Vec::new();
    // SAFETY: the caller promises the shape; each step passes one priority byte and one string with its NUL.
    unsafe {
        while !list.is_null() && *list != 0 {
            let name = CStr::from_ptr(list.add(1));
            found.push(name.to_string_lossy().into_owned());
            list = list.add(name.to_bytes_with_nul().len() + 1);
        }
    }
    found
}
