//! Times, sizes and states, as people and programs read them.

use crate::proto::v1;
use prost_types::Timestamp;
use std::time::{Duration, SystemTime};

/// The seconds of the years 1 to 9999: all that a timestamp may say.
const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A span in the largest unit that still says something: "90 s", "3 min", "2 h", "4 d".
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was, if it is known. Clocks of two machines may disagree: what is yet to come was just now.
pub(super) fn age(time: Option<&Timestamp>, now: SystemTime) -> Option<String> {
    let time = SystemTime::try_from(*time.filter(|time| is_sound(time))?).ok()?;
    Some(span(now.duration_since(time).unwrap_or_default()))
}

/// A time as RFC 3339 has it.
pub(super) fn rfc3339(time: &Timestamp) -> Option<String> {
    is_sound(time).then(|| time.to_string())
}

/// The time of day, of the world's clock: "12:00:01Z".
pub(super) fn clock(time: &Timestamp) -> String {
    let second = time.seconds.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

fn is_sound(time: &Timestamp) -> bool {
    YEARS.contains(&time.seconds) && (0..1_000_000_000).contains(&time.nanos)
}

/// A state for programs; nothing for one that this version does not know.
pub(super) fn worker_state(state: v1::WorkerState) -> Option<&'static str> {
    match state {
        v1::WorkerState::Unspecified => None,
        v1::WorkerState::Starting => Some("starting"),
        v1::WorkerState::Idle => Some("idle"),
        v1::WorkerState::Busy => Some("busy"),
        v1::WorkerState::Checking => Some("checking"),
        v1::WorkerState::Stopping => Some("stopping"),
        v1::WorkerState::Gone => Some("gone"),
    }
}

/// A model's state for programs.
pub(super) fn model_state(state: v1::ModelState) -> Option<&'static str> {
    match state {
        v1::ModelState::Unspecified => None,
        v1::ModelState::NotLoaded => Some("not_loaded"),
        v1::ModelState::Loading => Some("loading"),
        v1::ModelState::Ready => Some("ready"),
        v1::ModelState::Failed => Some("failed"),
        v1::ModelState::NotInstalled => Some("not_installed"),
    }
}

/// Where a worker comes from, for programs.
pub(super) fn origin(origin: v1::WorkerOrigin) -> Option<&'static str> {
    match origin {
        v1::WorkerOrigin::Unspecified => None,
        v1::WorkerOrigin::Started => Some("started"),
        v1::WorkerOrigin::Called => Some("called"),
        v1::WorkerOrigin::DialledIn => Some("dialled_in"),
    }
}

/// What a model is for, for programs.
pub(super) fn capability(capability: v1::Capability) -> Option<&'static str> {
    match capability {
        v1::Capability::Unspecified => None,
        v1::Capability::Recognition => Some("recognition"),
        v1::Capability::Synthesis => Some("synthesis"),
    }
}

/// How much of a model is loaded, 0 to 1, if that is known.
pub(super) fn progress(worker: &v1::Worker) -> Option<f32> {
    let is_starting = worker.state() == v1::WorkerState::Starting;
    Some(worker.progress).filter(|progress| is_starting && *progress > 0.0 && *progress <= 1.0)
}

/// How long until a model is tried again, if it says so.
pub(super) fn retry_after(model: &v1::Model) -> Option<Duration> {
    model.retry_after.and_then(|wait| Duration::try_from(wait).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_largest_unit_that_says_something() {
        let told = [0, 119, 120, 7_199, 7_200, 172_799, 172_800, 8_640_000]
            .map(|seconds| span(Duration::from_millis(seconds * 1000 + 999)));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d", "100 d"]);
    }

    #[test]
    fn ages_of_clocks_that_disagree_or_lie() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let at = |seconds| age(Some(&Timestamp { seconds, nanos: 0 }), now);
        assert_eq!((at(900).as_deref(), at(1_100).as_deref()), (Some("100 s"), Some("0 s")));
        assert_eq!((at(i64::MIN), at(i64::MAX), age(None, now)), (None, None, None));
        let wrong = Timestamp { seconds: 0, nanos: -1 };
        assert_eq!((age(Some(&wrong), now), rfc3339(&wrong)), (None, None));
    }

    #[test]
    fn times_are_those_of_the_worlds_clock() {
        let time = Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 };
        assert_eq!(clock(&time), "22:13:20Z");
        assert_eq!(rfc3339(&time).as_deref(), Some("2023-11-14T22:13:20.500Z"));
        assert_eq!(clock(&Timestamp { seconds: i64::MIN, nanos: 0 }).len(), 9);
    }
}
