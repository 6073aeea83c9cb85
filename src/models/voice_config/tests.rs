//! What configurations say, and what is wrong with them.

use super::*;
use serde_json::json;

fn least() -> Value {
    json!({
        "audio": {"sample_rate": 22050},
        "espeak": {"voice": "de"},
        "phoneme_id_map": {"_": [0], "^": [1], "$": [2], "a\u{303}": [3, 4]},
    })
}

fn parsed(change: impl Fn(&mut Value)) -> Result<Config> {
    let mut json = least();
    change(&mut json);
    Config::parse(json.to_string().as_bytes())
}

#[test]
fn old_files_lack_most_keys_and_get_what_piper_assumes() {
    let config = parsed(|_| ()).unwrap();
    assert_eq!((config.sample_rate, config.espeak_voice.as_str(), config.hop), (22_050, "de", 256));
    assert_eq!(config.scales, Scales { noise: 0.667, length: 1.0, noise_w: 0.8 });
    assert_eq!((config.speakers, config.default_speaker, config.phoneme_type), (1, 0, PhonemeType::Espeak));
    assert_eq!(config.phoneme_ids["a\u{303}"], [3, 4]);
    assert!(config.vowel_clusters.is_empty() && config.name.is_none() && config.language.is_none());
}

#[test]
fn new_files_name_clusters_speakers_and_languages() {
    let config = parsed(|json| {
        json["vowel_clusters"] = json!([["a", "ɪ"], "eɪ"]);
        json["num_speakers"] = json!(2);
        json["speaker_id_map"] = json!({"anna": 1});
        json["default_speaker_id"] = json!(1);
        json["language"] = json!({"code": "de_DE", "name_english": "German"});
        json["dataset"] = json!("thorsten");
        json["inference"] = json!({"noise_scale": 0, "length_scale": 1.5, "noise_w": 0.1});
    });
    let config = config.unwrap();
    assert_eq!(config.vowel_clusters, [["a", "ɪ"], ["e", "ɪ"]]);
    assert_eq!((config.speakers, config.speaker_ids["anna"], config.default_speaker), (2, 1, 1));
    assert_eq!((config.language.as_deref(), config.language_name.as_deref()), (Some("de_DE"), Some("German")));
    assert_eq!((config.name.as_deref(), config.scales.length), (Some("thorsten"), 1.5));
}

#[test]
fn what_is_wrong_is_named() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 14] = [
        (|json| *json = json!([]), "not a JSON object"),
        (|json| json["audio"] = json!({}), "sample_rate is missing"),
        (|json| json["audio"]["sample_rate"] = json!(7_999), "sample_rate is 7999"),
        (|json| json["audio"]["sample_rate"] = json!(22050.5), "sample_rate is 22050.5"),
        (|json| json["espeak"] = json!({"voice": 3}), "espeak.voice"),
        (|json| json["phoneme_id_map"] = json!({}), "phoneme_id_map has no \"^\""),
        (|json| json["phoneme_id_map"]["$"] = json!([]), "phoneme_id_map has no \"$\""),
        (|json| json["phoneme_id_map"]["_"] = json!([-1]), "phoneme_id_map[\"_\"]"),
        (|json| json["phoneme_id_map"]["x"] = json!(5), "phoneme_id_map[\"x\"]"),
        (|json| json["num_speakers"] = json!(0), "num_speakers is 0"),
        (|json| json["speaker_id_map"] = json!({"otto": 1}), "speaker_id_map[\"otto\"]"),
        (|json| json["default_speaker_id"] = json!(1), "default_speaker_id is 1"),
        (|json| json["inference"] = json!({"length_scale": 0}), "inference.length_scale is 0"),
        (|json| json["vowel_clusters"] = json!([3]), "vowel_clusters"),
    ];
    for (change, message) in cases {
        let error = parsed(change).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput, "{message}");
        assert!(error.to_string().contains(message), "{error} does not name {message}");
    }
    assert!(Config::parse(b"{\"audio\": ").unwrap_err().to_string().starts_with("not valid JSON"));
}

#[test]
fn other_kinds_of_phonemes_are_refused_by_name() {
    let error = parsed(|json| json["phoneme_type"] = json!("pinyin")).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("\"pinyin\""), "{error}");
    let letters = parsed(|json| {
        json["phoneme_type"] = json!("text");
        json["espeak"] = json!(null);
    });
    assert_eq!(letters.unwrap().phoneme_type, PhonemeType::Text);
}

#[test]
fn the_short_name_serves_where_the_long_one_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let voice = folder.path().join("x.onnx");
    let error = Config::beside(&voice).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("x.onnx.json"), "{error}");
    std::fs::write(folder.path().join("x.json"), least().to_string()).unwrap();
    assert_eq!(Config::beside(&voice).unwrap().espeak_voice, "de");
    std::fs::write(folder.path().join("x.onnx.json"), "{").unwrap();
    let error = Config::beside(&voice).unwrap_err();
    assert!(error.to_string().contains("x.onnx.json: not valid JSON"), "{error}");
}
