//! Whisper's models, as files for whisper.cpp.
//!
//! Names and repositories are those of whisper.cpp's `models/download-ggml-model.sh` (ggml-org/whisper.cpp, commit
//! 26b2d5a), sizes those of the table in its `models/README.md` (41e789e), in MiB as it rounds them; what it does not
//! give is not known here. The short names `large` and `turbo` are those of OpenAI's own program (openai/whisper,
//! `whisper/__init__.py`).

use super::{Package, Part, Role, hub_file};

/// What a first model should be: it fits most machines and most people.
pub(crate) const FIRST: &str = "base.en-q5_1";

/// Where all are but the one that marks turns of speakers.
pub(super) const REPO: &str = "ggerganov/whisper.cpp";
pub(super) const TURNS_REPO: &str = "akashmjn/tinydiarize-whisper.cpp";

/// As everybody calls them, from small to large.
const NAMES: &str = "tiny tiny.en tiny-q5_1 tiny.en-q5_1 tiny-q8_0 base base.en base-q5_1 base.en-q5_1 base-q8_0 \
    small small.en small.en-tdrz small-q5_1 small.en-q5_1 small-q8_0 medium medium.en medium-q5_0 medium.en-q5_0 \
    medium-q8_0 large-v1 large-v2 large-v2-q5_0 large-v2-q8_0 large-v3 large-v3-q5_0 large-v3-turbo \
    large-v3-turbo-q5_0 large-v3-turbo-q8_0";

/// The names of all models.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    NAMES.split_whitespace()
}

/// The model of a name, or of a file's name: "base.en", "ggml-base.en.bin", "whisper-base.en", in any case of letters.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    let name = match plain(name).as_str() {
        "large" => "large-v3".to_owned(),
        "turbo" => "large-v3-turbo".to_owned(),
        other => other.to_owned(),
    };
    names().find(|known| *known == name)
}

/// What is pulled for a model.
pub(super) fn package(name: &'static str) -> Package {
    let traits = Traits::of(name);
    let repo = if traits.is_some_and(|traits| traits.marks_turns) { TURNS_REPO } else { REPO };
    let source = hub_file(repo, format!("ggml-{name}.bin"));
    let size = traits.and_then(|traits| traits.mebibytes()).map(|mebibytes| mebibytes << 20);
    Package { name: name.to_owned(), role: Role::Recogniser, parts: vec![Part { source, size }] }
}

/// The name without what others put around it.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".bin").unwrap_or(&name);
    let name = name.strip_prefix("ggml-").unwrap_or(name);
    name.strip_prefix("whisper-").unwrap_or(name).to_owned()
}

/// What the name of a Whisper model tells of it; of a file of that name, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    /// Which network it is.
    pub(crate) class: &'static str,
    /// Whether it knows English alone.
    pub(crate) is_english_only: bool,
    /// Whether it puts marks of turns between speakers into the text.
    pub(crate) marks_turns: bool,
    /// Bits of a weight: 16, or fewer where it is quantised.
    pub(crate) bits: u8,
}

/// Networks, from the least to the most accurate; of those whose names begin alike, the longer goes first. Turbo is large-v3
/// with fewer decoder layers, "with a minimal degradation in accuracy" (README of openai/whisper).
const CLASSES: &[&str] = &["tiny", "base", "small", "medium", "large-v1", "large-v2", "large-v3-turbo", "large-v3"];

/// The languages that Whisper knows, by their codes (openai/whisper, `whisper/tokenizer.py`).
const LANGUAGES: &str = "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr \
    bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg \
    sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue";

/// Whether this is the code of a language that Whisper knows, with or without a region: "de", "de-AT".
pub(crate) fn is_language(code: &str) -> bool {
    let family = code.split(['-', '_']).next().unwrap_or(code).to_ascii_lowercase();
    LANGUAGES.split_whitespace().any(|known| known == family)
}

impl Traits {
    /// Reads a name; `None` for one that is not made like these.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let name = plain(name);
        let class = CLASSES.iter().find(|class| name.starts_with(**class))?;
        let rest = name.strip_prefix(class)?;
        let (rest, is_english_only) = rest.strip_prefix(".en").map_or((rest, false), |rest| (rest, true));
        let (marks_turns, bits) = match rest {
            "" => (false, 16),
            "-tdrz" => (true, 16),
            "-q8_0" => (false, 8),
            "-q5_0" | "-q5_1" => (false, 5),
            _ => return None,
        };
        Some(Self { class, is_english_only, marks_turns, bits })
    }

    /// How accurate it is beside others.
    pub(super) fn rank(self) -> Option<usize> {
        CLASSES.iter().position(|class| *class == self.class)
    }

    /// About how large the file is, MiB. With and without other languages than English it is the same.
    fn mebibytes(self) -> Option<u64> {
        Some(match (self.class, self.bits) {
            ("tiny", 16) => 75,
            ("base", 16) => 142,
            // That of the README of this project.
            ("base", 5) => 57,
            ("small", 16) => 466,
            ("medium" | "large-v3-turbo", 16) => 1_536,
            ("large-v1" | "large-v2" | "large-v3", 16) => 2_970,
            ("large-v2" | "large-v3", 5) => 1_126,
            ("large-v3-turbo", 5) => 547,
            _ => return None,
        })
    }

    /// Whether it knows a language: a code as Whisper has it, or a name in English.
    pub(crate) fn knows(self, language: &str) -> bool {
        match language {
            "" | "auto" | "en" | "english" => true,
            // Cantonese came with the third version (openai/whisper, `tokenizer.py`).
            "yue" | "cantonese" => self.class.starts_with("large-v3"),
            _ => !self.is_english_only,
        }
    }

    /// Whether it puts other languages into English. Turbo was trained without (README of openai/whisper).
    pub(crate) fn translates(self) -> bool {
        !self.is_english_only && self.class != "large-v3-turbo"
    }
}
