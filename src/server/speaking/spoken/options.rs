//! What the options of a session ask for.

use super::{frames, state::Rules};
use crate::{
    error::{Error, Result},
    server::speaking::Style,
};
use std::{collections::HashMap, ops::RangeInclusive, str::FromStr, time::Duration};

/// How far frames are ahead of the listener, where nothing else is said.
const LOOKAHEAD: Duration = Duration::from_millis(100);

/// The longest name of a voice, a speaker or a language, bytes.
const MAX_WORD: usize = 256;

/// Every option there is.
const NAMES: [&str; 8] = ["flush_ms", "language", "lookahead_ms", "pacing", "seed", "speaker", "speed", "voice"];

/// How a session speaks, as its caller wants it.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Without a voice, or a region: who speaks is the model's to say, and these two's.
    pub(super) style: Style,
    /// Without the language, which is the voice's.
    pub(super) rules: Rules,
    /// A voice of the model; empty = its usual one.
    pub(super) voice: String,
    /// The language that the voice must speak; empty = its own.
    pub(super) language: String,
}

/// Reads options.
///
/// # Errors
/// `InvalidInput` for one that does not exist, or a value that it cannot have.
pub(super) fn read(options: &HashMap<String, String>) -> Result<Wanted> {
    let style = Style { sample_rate: frames::RATE, ..Style::default() };
    let rules = Rules { lookahead: Some(LOOKAHEAD), flush_after: None, language: String::new() };
    let mut wanted = Wanted { style, rules, voice: String::new(), language: String::new() };
    let mut is_paced = true;
    // In the order of their names: of several that are wrong, it is always the same that is told.
    let mut options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    options.sort_unstable();
    for (name, value) in options {
        match name {
            "flush_ms" => wanted.rules.flush_after = Some(milliseconds(name, value, 0..=60_000)?),
            "language" => wanted.language = word(name, value)?,
            "lookahead_ms" => wanted.rules.lookahead = Some(milliseconds(name, value, 0..=500)?),
            "pacing" => {
                is_paced = match value {
                    "realtime" => true,
                    "none" => false,
                    _ => return Err(wrong(name, value, "realtime or none")),
                }
            }
            "seed" => wanted.style.seed = number(name, value, "a whole number from 0 on")?,
            "speaker" => wanted.style.speaker = word(name, value)?,
            "speed" => wanted.style.speed = number(name, value, "a number from 0.25 to 4.0")?,
            "voice" => wanted.voice = word(name, value)?,
            _ => {
                let shown: String = name.chars().take(40).collect();
                let message = format!("no option is called `{}`; there are {}", shown.escape_debug(), NAMES.join(", "));
                return Err(Error::invalid(message).in_field("options"));
            }
        }
    }
    if !is_paced {
        wanted.rules.lookahead = None;
    }
    wanted.style.check()?;
    Ok(wanted)
}

fn milliseconds(name: &str, value: &str, range: RangeInclusive<u64>) -> Result<Duration> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    let wanted = || format!("milliseconds from {} to {}", range.start(), range.end());
    number.map(Duration::from_millis).ok_or_else(|| wrong(name, value, &wanted()))
}

fn number<T: FromStr>(name: &str, value: &str, wanted: &str) -> Result<T> {
    value.parse().map_err(|_| wrong(name, value, wanted))
}

fn word(name: &str, value: &str) -> Result<String> {
    let is_one = !value.is_empty() && value.len() <= MAX_WORD && !value.contains(char::is_control);
    if is_one { Ok(value.to_owned()) } else { Err(wrong(name, value, "1 to 256 bytes without control characters")) }
}

fn wrong(name: &str, value: &str, wanted: &str) -> Error {
    let shown: String = value.chars().take(40).collect();
    Error::invalid(format!("option `{name}` is `{}`; it wants {wanted}", shown.escape_debug())).in_field("options")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[(&str, &str)]) -> Result<Wanted> {
        read(&options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn what_is_not_said_is_usual() {
        let wanted = of(&[]).expect("nothing is wrong");
        assert_eq!((wanted.rules.lookahead, wanted.rules.flush_after), (Some(LOOKAHEAD), None));
        assert_eq!((wanted.style.sample_rate, wanted.style.speed), (48_000, 1.0));
        let none = of(&[("pacing", "none"), ("lookahead_ms", "40")]).expect("nothing is wrong");
        assert_eq!(none.rules.lookahead, None, "nobody waits");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (name, value) in [
            ("flush_ms", "-1"),
            ("flush_ms", "60001"),
            ("language", ""),
            ("lookahead_ms", "501"),
            ("lookahead_ms", "100.0"),
            ("pacing", "fast"),
            ("seed", "-1"),
            ("speaker", "a\nb"),
            ("speed", "4.5"),
            ("speed", "NaN"),
            ("speed", "quick"),
            ("volume", "1"),
            ("Voice", "en"),
        ] {
            let error = of(&[(name, value)]).expect_err(name);
            assert!(error.to_string().contains(name), "{error}");
            assert!(error.details().field.is_some());
        }
        let long = of(&[(&"x".repeat(10_000), "1")]).expect_err("no such option").to_string();
        assert!(long.len() < 300, "{long}");
    }
}
