//! Which voice a region means. Pure.
//!
//! A region is a locale ("en-GB", "es-419"), a language ("pt") or a country ("mx"); a voice's own id works too. Where
//! a word is both a language and a country, it is the language: "ca" is Catalan. A voice of a language without a region
//! speaks for all its regions that have no voice of their own; a voice of one region never speaks for another.

use crate::{
    error::{Error, Result},
    models::catalogue::voices::Key,
    speech::Voice,
};
use std::cmp::Reverse;

/// Countries whose code is no language here, and the locale that most people there understand.
/// Codes: ISO 3166-1, with "uk" left to Ukrainian.
const COUNTRIES: &[(&str, &str)] = &[
    ("us", "en-us"),
    ("gb", "en-gb"),
    ("mx", "es-419"),
    ("co", "es-419"),
    ("cl", "es-419"),
    ("pe", "es-419"),
    ("ve", "es-419"),
    ("ec", "es-419"),
    ("cu", "es-419"),
    ("do", "es-419"),
    ("cr", "es-419"),
    ("uy", "es-419"),
    ("br", "pt-br"),
    ("at", "de"),
    ("ch", "de"),
    ("jp", "ja"),
    ("cn", "cmn"),
    ("tw", "cmn"),
    ("hk", "yue"),
    ("kr", "ko"),
    ("in", "hi"),
    ("dk", "da"),
    ("se", "sv"),
    ("no", "nb"),
    ("cz", "cs"),
    ("gr", "el"),
    ("ua", "uk"),
    ("vn", "vi"),
    ("ir", "fa"),
    ("il", "he"),
    ("eg", "ar"),
    ("pk", "ur"),
    ("bd", "bn"),
    ("np", "ne"),
    ("rs", "sr"),
    ("kz", "kk"),
];

/// The engine of voices that somebody has installed because they like them.
const PIPER: &str = "piper";

/// How many ways out an error lists.
const LISTED: usize = 12;

/// The voice that a region means; `default` decides between voices that fit equally.
///
/// # Errors
/// `InvalidInput`, with what would do.
pub(super) fn voice<'a>(region: &str, voices: &'a [Voice], default: &str) -> Result<&'a Voice> {
    // "de_DE.UTF-8", as the environment has it.
    let wanted = region.trim().split('.').next().unwrap_or_default().replace('_', "-").to_ascii_lowercase();
    let wanted = if wanted == "en-uk" { "en-gb".to_owned() } else { wanted };
    let this = || best(&wanted, voices, default);
    let own_id = || voices.iter().find(|voice| voice.id.eq_ignore_ascii_case(&wanted));
    let locale = || by_locale(&wanted, voices, default);
    let country = || {
        let (_, locale) = COUNTRIES.iter().find(|(country, _)| *country == wanted)?;
        by_locale(locale, voices, default)
    };
    this().or_else(own_id).or_else(locale).or_else(country).ok_or_else(|| unknown(region, &wanted, voices))
}

fn by_locale<'a>(locale: &str, voices: &'a [Voice], default: &str) -> Option<&'a Voice> {
    best(locale, voices, default).or_else(|| {
        // "de-AT", where there is only "de"; "zh-CN", where there is "cmn", which also goes by "zh".
        let (language, rest) = locale.split_once('-')?;
        let is_general = |voice: &&Voice| {
            voice.languages.first().is_some_and(|first| !first.contains('-'))
                && voice.languages.iter().any(|tag| tag.eq_ignore_ascii_case(language))
        };
        voices.iter().find(is_general).or_else(|| {
            // "en-GB-oxendict": what is more special than we know.
            let (region, _more) = rest.split_once('-')?;
            best(&format!("{language}-{region}"), voices, default)
        })
    })
}

/// The best voice that has this very tag: one of Piper's that is installed before espeak's; one with the tag as high on
/// its list as possible; the default; the better quality.
fn best<'a>(tag: &str, voices: &'a [Voice], default: &str) -> Option<&'a Voice> {
    let place = |voice: &Voice| voice.languages.iter().position(|language| language.eq_ignore_ascii_case(tag));
    let merit = |voice: &'a Voice| {
        let quality = Key::parse(&voice.id).and_then(|key| key.rank());
        Some((voice.engine != PIPER, place(voice)?, voice.id != default, Reverse(quality), &voice.id))
    };
    let able = voices.iter().filter_map(|voice| merit(voice).map(|merit| (merit, voice)));
    able.min_by(|a, b| a.0.cmp(&b.0)).map(|(_, voice)| voice)
}

fn unknown(region: &str, wanted: &str, voices: &[Voice]) -> Error {
    let language = wanted.split('-').next().unwrap_or_default();
    let of_language = |voice: &&Voice| voice.id.split('-').next() == Some(language);
    let near: Vec<&str> = voices.iter().filter(of_language).map(|voice| voice.id.as_str()).take(LISTED).collect();
    let some = ["en-gb", "en-us", "de", "fr-fr", "es", "es-419", "it", "pt", "pt-br", "ru", "cmn", "ja"];
    let listed = if near.is_empty() { some.join(", ") } else { near.join(", ") };
    let count = voices.len();
    let shown: String = region.chars().take(40).collect();
    let message = format!("region {shown:?} has no voice; {listed} would do; `speechctl voices` lists all {count}");
    Error::invalid(message).in_field("region")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voices() -> Vec<Voice> {
        let voice = |id: &str, languages: &[&str]| Voice {
            id: id.to_owned(),
            languages: languages.iter().map(|language| (*language).to_owned()).collect(),
            ..Voice::default()
        };
        vec![
            voice("ca", &["ca"]),
            voice("cmn", &["cmn", "zh-cmn", "zh"]),
            voice("de", &["de"]),
            voice("en-gb", &["en-gb", "en"]),
            voice("en-gb-scotland", &["en-gb-scotland", "en"]),
            voice("en-us", &["en-us", "en"]),
            voice("es", &["es"]),
            voice("es-419", &["es-419", "es-mx"]),
            voice("pt", &["pt", "pt-pt"]),
            voice("pt-br", &["pt-br", "pt"]),
        ]
    }

    #[test]
    fn regions_mean_voices() {
        let voices = voices();
        let means = |region: &str| voice(region, &voices, "en-us").map(|voice| voice.id.as_str()).ok();
        assert_eq!(means("en-GB"), Some("en-gb"));
        assert_eq!(means("en_GB"), Some("en-gb"));
        assert_eq!(means("es-419"), Some("es-419"));
        assert_eq!(means("es-MX"), Some("es-419"), "a tag further down a voice's list");
        assert_eq!(means("mx"), Some("es-419"), "a country");
        assert_eq!(means("pt"), Some("pt"), "the voice that has it first");
        assert_eq!(means("en"), Some("en-us"), "of equals the default");
        assert_eq!(means("zh-CN"), Some("cmn"), "by another of its tags");
        assert_eq!(means("en-GB-oxendict"), Some("en-gb"));
        assert_eq!(means("de_DE.UTF-8"), Some("de"));
        assert_eq!(means("de-AT"), Some("de"), "a voice without a region speaks for all");
        assert_eq!(means("ca"), Some("ca"), "a language before a country");
    }

    #[test]
    fn an_installed_voice_goes_before_a_built_in_one() {
        let mut voices = voices();
        let key = |id: &str, languages: [&str; 2]| Voice {
            id: id.to_owned(),
            languages: languages.map(str::to_owned).to_vec(),
            engine: "piper".to_owned(),
            ..Voice::default()
        };
        voices.push(key("en_GB-alan-low", ["en-GB", "en"]));
        voices.push(key("en_GB-jenny-medium", ["en-GB", "en"]));
        voices.push(key("de_DE-thorsten-high", ["de-DE", "de"]));
        let means = |region: &str| voice(region, &voices, "en-us").map(|voice| voice.id.as_str()).ok();
        assert_eq!(means("en-GB"), Some("en_GB-jenny-medium"), "the better of two");
        assert_eq!(means("de"), Some("de_DE-thorsten-high"), "whatever its region, where only a language is meant");
        assert_eq!(means("en-US"), Some("en-us"), "never for another region");
    }

    #[test]
    fn another_regions_voice_never_steps_in() {
        let voices = voices();
        for region in ["en-AU", "xx", "", "en-", "\0", "e\u{301}n"] {
            assert!(voice(region, &voices, "en-us").is_err(), "{region:?}");
        }
        let error = voice("en-AU", &voices, "en-us").expect_err("there is none");
        assert!(error.to_string().contains("en-gb, en-gb-scotland, en-us"), "{error}");
    }
}
