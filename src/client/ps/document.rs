//! The JSON of `speechctl ps`; `--help` says what the fields are.

use super::{seen::Seen, words};
use crate::{
    client::{json, output::is_harmful},
    error::Result,
    proto::v1,
};
use prost_types::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Goes up when a field is removed or means something else.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    version: u32,
    workers: Vec<Worker>,
    models: Vec<Model>,
}

#[derive(Serialize)]
struct Event {
    event: &'static str,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(flatten)]
    what: What,
}

/// What an event tells.
#[derive(Serialize)]
#[serde(untagged)]
enum What {
    Worker(Box<Worker>),
    Model(Box<Model>),
    Nothing {},
}

#[derive(Serialize)]
struct Worker {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    model: String,
    engine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    calls: i64,
    restarts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_death: Option<Death>,
    #[serde(skip_serializing_if = "String::is_empty")]
    build: String,
}

#[derive(Serialize)]
struct Model {
    name: String,
    engine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    capabilities: Vec<&'static str>,
    is_default: bool,
    workers: i32,
    deaths: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_death: Option<Death>,
    /// In the order of the alphabet.
    lies: BTreeMap<String, i64>,
    waiting: i32,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// In seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<f64>,
}

#[derive(Serialize)]
struct Death {
    cause: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    last_words: Vec<String>,
}

impl From<v1::Worker> for Worker {
    fn from(worker: v1::Worker) -> Self {
        Self {
            pid: Some(worker.pid).filter(|pid| *pid > 0),
            state: words::worker_state(worker.state()),
            origin: words::origin(worker.origin()),
            started: worker.started.as_ref().and_then(words::rfc3339),
            calls: worker.calls,
            restarts: worker.restarts,
            memory_bytes: Some(worker.memory_bytes).filter(|bytes| *bytes > 0),
            progress: words::progress(&worker),
            last_death: worker.last_death.map(Death::from),
            id: worker.id,
            model: worker.model,
            engine: worker.engine,
            address: worker.address,
            build: worker.build,
        }
    }
}

impl From<v1::Model> for Model {
    fn from(model: v1::Model) -> Self {
        Self {
            state: words::model_state(model.state()),
            capabilities: model.capabilities().filter_map(words::capability).collect(),
            is_default: model.is_default,
            workers: model.workers,
            deaths: model.deaths,
            retry_after: words::retry_after(&model).map(|wait| wait.as_secs_f64()),
            last_death: model.last_death.map(Death::from),
            lies: model.lies.into_iter().collect(),
            waiting: model.waiting,
            name: model.name,
            engine: model.engine,
            reason: model.reason,
        }
    }
}

impl From<v1::Death> for Death {
    fn from(death: v1::Death) -> Self {
        let time = death.time.as_ref().and_then(words::rfc3339);
        Self { cause: death.cause, message: death.message, time, last_words: death.last_words }
    }
}

/// All that was seen, as one document.
///
/// # Errors
/// None that can be thought of.
pub(super) fn whole(seen: Seen) -> Result<String> {
    let (workers, models) = seen.into_parts();
    let workers = workers.into_iter().map(Worker::from).collect();
    let document = Document { version: VERSION, workers, models: models.into_iter().map(Model::from).collect() };
    json::document(&document).map(|json| harmless(&json))
}

/// One event, as one line.
///
/// # Errors
/// None that can be thought of.
pub(super) fn event(event: v1::watch_response::Event, time: &Timestamp) -> Result<String> {
    use v1::watch_response::Event as Told;
    let (event, what) = match event {
        Told::Worker(worker) => ("worker", What::Worker(Box::new(worker.into()))),
        Told::Model(model) => ("model", What::Model(Box::new(model.into()))),
        Told::Complete(_) => ("complete", What::Nothing {}),
    };
    let event = Event { event, version: VERSION, time: words::rfc3339(time), what };
    json::line(&event).map(|json| harmless(&json))
}

/// JSON escapes the control characters of ASCII only; terminals obey others too. They stand in strings alone.
fn harmless(json: &str) -> String {
    let shown = |character: char| match character {
        '\n' => "\n".to_owned(),
        character if is_harmful(character) => format!("\\u{:04x}", u32::from(character)),
        character => character.to_string(),
    };
    json.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut seen = Seen::default();
        seen.worker(v1::Worker { id: "w1".to_owned(), state: 99, ..Default::default() }, SystemTime::UNIX_EPOCH);
        seen.model(v1::Model { name: "m".to_owned(), ..Default::default() }, SystemTime::UNIX_EPOCH);
        let json: serde_json::Value = serde_json::from_str(&whole(seen).expect("JSON")).expect("JSON");
        let expected = serde_json::json!({
            "version": 1,
            "workers": [{ "id": "w1", "model": "", "engine": "", "calls": 0, "restarts": 0 }],
            "models": [{
                "name": "m", "engine": "", "capabilities": [], "is_default": false, "workers": 0, "deaths": 0,
                "lies": {}, "waiting": 0,
            }],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn an_event_is_one_harmless_line() {
        let name = "a\nb\u{1b}[31m\u{9b}31m\u{7f}ü\"\\";
        let worker = v1::Worker { model: name.to_owned(), progress: f32::NAN, state: 1, ..Default::default() };
        let time = Timestamp { seconds: i64::MAX, nanos: 0 };
        let line = event(v1::watch_response::Event::Worker(worker), &time).expect("JSON");
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let json: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            (&json["model"], &json["event"], &json["state"]),
            (&name.into(), &"worker".into(), &"starting".into())
        );
        assert!(json.get("time").is_none() && json.get("progress").is_none(), "{json}");
    }

    #[test]
    fn the_end_of_the_telling_says_no_more() {
        let time = Timestamp { seconds: 1, nanos: 0 };
        let line = event(v1::watch_response::Event::Complete(v1::Complete {}), &time).expect("JSON");
        assert_eq!(line, r#"{"event":"complete","version":1,"time":"1970-01-01T00:00:01Z"}"#);
    }
}
