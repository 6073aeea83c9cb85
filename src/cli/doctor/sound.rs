//! What hears and what is heard. A machine without is none the worse for recordings.

use super::finding::{Finding, State};
use crate::client::sound::{self, Device, Role};

/// Microphones, and loudspeakers.
pub(super) async fn findings() -> [Finding; 2] {
    let (microphones, loudspeakers) = tokio::join!(sound::devices(Role::Microphone), sound::devices(Role::Loudspeaker));
    [("microphone", Role::Microphone, microphones), ("loudspeaker", Role::Loudspeaker, loudspeakers)].map(
        |(name, role, devices)| match devices {
            Ok(devices) => of_devices(name, role, &devices),
            Err(error) => Finding::of(name, State::Note, &error),
        },
    )
}

fn of_devices(name: &'static str, role: Role, devices: &[Device]) -> Finding {
    let real: Vec<&Device> = devices.iter().filter(|device| !device.is_monitor).collect();
    let Some(first) = real.iter().find(|device| device.is_default).or(real.first()) else {
        return Finding::note(name, format!("there is no {role}"), "see whether one is plugged in and allowed");
    };
    let default = if first.is_default { " (default)" } else { "" };
    let more = match real.len() {
        1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    Finding::ok(name, format!("`{}`{default}{more}", first.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, is_default: bool, is_monitor: bool) -> Device {
        let (id, name) = (name.to_lowercase(), name.to_owned());
        Device { role: Role::Microphone, id, name, is_default, is_monitor, rate: 48_000, channels: 1 }
    }

    #[test]
    fn what_a_loudspeaker_plays_is_no_microphone() {
        let line = |devices: &[Device]| of_devices("microphone", Role::Microphone, devices).line();
        let none = "note   microphone    there is no microphone; see whether one is plugged in and allowed";
        assert_eq!(line(&[]), none);
        assert_eq!(line(&[device("Echo", true, true)]), none);
        let all = [device("A", false, false), device("B", true, false), device("Echo", false, true)];
        assert_eq!(line(&all), "ok     microphone    `B` (default), and 1 more");
        assert_eq!(line(&all[..1]), "ok     microphone    `A`");
    }
}
