//! Which devices there are, which of them is meant, and what is wrong with them in words.

use super::{
    fault::Fault,
    server::{Found, Server},
    stream::Stream,
};
use crate::error::{Error, Kind, Result};
use std::{env, fmt, os::unix::net::UnixStream, time::Duration};

/// What a device is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It hears.
    Microphone,
    /// It is heard.
    Loudspeaker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Microphone => "microphone",
            Role::Loudspeaker => "loudspeaker",
        })
    }
}

/// A device as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// What it is to us.
    pub(crate) role: Role,
    /// What names it for ever, such as "alsa_input.pci-0000_00_1f.3.analog-stereo".
    pub(crate) id: String,
    /// What people call it, such as "Built-in Audio Analog Stereo".
    pub(crate) name: String,
    /// Whether it is taken where none is named.
    pub(crate) is_default: bool,
    /// Whether it is no microphone at all, but gives what a loudspeaker plays.
    pub(crate) is_monitor: bool,
    /// Its own rate in Hz. We convert from a microphone's; the server converts to a loudspeaker's.
    pub(crate) rate: u32,
    /// Its own channels. We take the mean of a microphone's; the server gives ours to all of a loudspeaker's.
    pub(crate) channels: u8,
}

/// As it is named in errors.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} `{}`", self.role, self.name)
    }
}

/// A device that was found, and the server that has it.
pub(crate) struct Opened {
    /// Which one.
    pub(crate) device: Device,
    found: Found,
    server: Server,
}

impl Opened {
    /// Hears it in pieces of so much time; see [`Server::record`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn record(self, piece: Duration) -> Result<(UnixStream, Stream), Fault> {
        self.server.record(&self.found, piece)
    }

    /// Plays at this rate, with so much time of it in the server; see [`Server::play`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn play(self, rate: u32, held: Duration) -> Result<(UnixStream, Stream, usize), Fault> {
        self.server.play(&self.found, rate, held)
    }
}

/// All that there are; may hang.
pub(super) fn list(role: Role) -> Result<Vec<Device>> {
    Ok(find_all(role)?.1.into_iter().map(|found| found.device).collect())
}

/// The one that is meant; may hang.
///
/// # Errors
/// `InvalidInput`: several have this part in their names. `NotFound`: none has. `Io`: there is none, or no server.
pub(crate) fn open(role: Role, wanted: Option<&str>) -> Result<Opened> {
    let (server, mut all) = find_all(role)?;
    let devices: Vec<Device> = all.iter().map(|found| found.device.clone()).collect();
    let found = all.swap_remove(choose(role, &devices, wanted)?);
    Ok(Opened { device: found.device.clone(), found, server })
}

fn find_all(role: Role) -> Result<(Server, Vec<Found>)> {
    let mut server = Server::connect().map_err(|cause| no_server(role, cause))?;
    let mut all = server.devices(role).map_err(|cause| no_server(role, cause))?;
    // One that cannot say what it records cannot be opened either.
    all.retain(|found| found.device.rate > 0 && found.device.channels > 0);
    all.sort_by_key(|found| (!found.device.is_default, found.device.is_monitor));
    Ok((server, all))
}

/// The error of a machine on which nothing serves sound.
fn no_server(role: Role, cause: Fault) -> Error {
    let pulse_server = env::var("PULSE_SERVER").ok();
    Error::new(Kind::Io, no_server_text(role, pulse_server.as_deref(), cause.is_denied())).because(cause)
}

/// What to do where nothing serves sound.
fn no_server_text(role: Role, pulse_server: Option<&str>, is_denied: bool) -> String {
    if !cfg!(target_os = "linux") {
        return format!("no {role}: no sound devices are supported on this system, but those of a PulseAudio server");
    }
    let hint = match pulse_server {
        Some(server) if !server.is_empty() && !server.starts_with("unix:") => {
            format!("PULSE_SERVER is `{server}`, and only unix:PATH is understood")
        }
        _ if is_denied => {
            "it wants a cookie of 256 bytes, which `pactl info` puts in ~/.config/pulse; PULSE_COOKIE names another"
                .to_owned()
        }
        Some(server) if !server.is_empty() => format!("PULSE_SERVER is `{server}`"),
        _ => "PULSE_SERVER=unix:PATH or XDG_RUNTIME_DIR says where".to_owned(),
    };
    let pipe = match role {
        Role::Microphone => "pipe it in: `arecord -q -f S16_LE -r 16000 -t raw | speechctl stt - --raw 16000 --stream`",
        Role::Loudspeaker => "pipe it out: `speechctl tts TEXT -o - | aplay -q`",
    };
    format!("no {role}: neither PulseAudio nor PipeWire answers ({hint}); on a machine with bare ALSA, {pipe}")
}

/// The error of a device that was found and cannot be opened.
pub(crate) fn unusable(device: &Device, cause: Fault) -> Error {
    let hint = match (cause.is_busy(), cause.is_denied(), device.role) {
        (true, ..) => "; another program may be using it",
        (_, true, Role::Microphone) => "; the system does not let this program record",
        (_, true, Role::Loudspeaker) => "; the system does not let this program play",
        _ => "",
    };
    Error::new(Kind::Io, format!("cannot open {device}{hint}")).because(cause)
}

/// The error of a device that worked and works no more.
pub(crate) fn lost(device: &Device, cause: Fault) -> Error {
    let what = match cause {
        Fault::Unplugged => format!("{device} is gone; was it unplugged?"),
        Fault::Ended(_) => format!("{device} is gone; has the sound server ended?"),
        Fault::Stalled => format!("{device} takes no sound; is it suspended?"),
        _ => format!("{device} has failed"),
    };
    Error::new(Kind::Io, what).because(cause)
}

/// Which of the devices is meant: the default one, or by its id, its name, or a part of its name, in this order. A real
/// microphone comes before what a loudspeaker of that name plays.
fn choose(role: Role, devices: &[Device], wanted: Option<&str>) -> Result<usize> {
    let Some(wanted) = wanted else {
        let first = (0..devices.len()).min_by_key(|&at| (!devices[at].is_default, devices[at].is_monitor));
        return first.ok_or_else(|| Error::new(Kind::Io, format!("no {role}: this machine has none")));
    };
    let part = wanted.to_lowercase();
    let has_part = |device: &Device| device.name.to_lowercase().contains(&part);
    let tests: [&dyn Fn(&Device) -> bool; 5] = [
        &|device| device.id == wanted,
        &|device| device.name == wanted && !device.is_monitor,
        &|device| device.name == wanted,
        &|device| has_part(device) && !device.is_monitor,
        &has_part,
    ];
    for test in tests {
        let matching: Vec<usize> = (0..devices.len()).filter(|&at| test(&devices[at])).collect();
        match *matching {
            [] => {}
            [one] => return Ok(one),
            _ => {
                let names = names(matching.iter().map(|&at| &devices[at]));
                let message = format!("several {role}s are called `{wanted}`; take one of these: {names}");
                return Err(Error::invalid(message));
            }
        }
    }
    let there = match devices {
        [] => "this machine has none".to_owned(),
        _ => format!("there are: {}", names(devices)),
    };
    Err(Error::new(Kind::NotFound, format!("no {role} is called `{wanted}`; {there}")))
}

/// Devices as they can be named, in one line.
fn names<'a>(devices: impl IntoIterator<Item = &'a Device>) -> String {
    let named: Vec<String> = devices.into_iter().map(|device| format!("{} ({})", device.id, device.name)).collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulseaudio::protocol::PulseError;

    fn device(id: &str, name: &str) -> Device {
        let is_monitor = id.ends_with(".monitor");
        let (role, id, name) = (Role::Microphone, id.into(), name.into());
        Device { role, id, name, is_default: false, is_monitor, rate: 48_000, channels: 2 }
    }

    fn desk() -> Vec<Device> {
        let mut all = vec![
            device("alsa_output.usb-yeti.monitor", "Monitor of Yeti Nano"),
            device("alsa_input.pci", "Built-in Audio Analog Stereo"),
            device("alsa_input.usb-yeti", "Yeti Nano"),
            device("twin.1", "Twin"),
            device("twin.2", "Twin"),
            device("Twin", "Odd one"),
        ];
        all[1].is_default = true;
        all
    }

    #[test]
    fn a_microphone_is_found_by_what_it_is_called() {
        let cases = [
            (None, 1),
            (Some("alsa_input.usb-yeti"), 2),
            (Some("alsa_output.usb-yeti.monitor"), 0),
            (Some("Yeti Nano"), 2),
            (Some("yeti"), 2),
            (Some("BUILT-IN"), 1),
            (Some("monitor"), 0),
            (Some("twin.2"), 4),
            (Some("Twin"), 5),
        ];
        for (wanted, at) in cases {
            assert_eq!(choose(Role::Microphone, &desk(), wanted).unwrap(), at, "{wanted:?}");
        }
    }

    #[test]
    fn a_name_that_fits_several_is_refused() {
        let error = choose(Role::Microphone, &desk(), Some("twin")).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        let text = "several microphones are called `twin`; take one of these: twin.1 (Twin), twin.2 (Twin)";
        assert_eq!(error.to_string(), text);
        assert_eq!(choose(Role::Microphone, &desk(), Some("t")).unwrap_err().kind(), Kind::InvalidInput);
    }

    #[test]
    fn a_name_that_fits_none_is_told_what_there_is() {
        let error = choose(Role::Microphone, &desk()[1..3], Some("webcam")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let text = "no microphone is called `webcam`; there are: alsa_input.pci (Built-in Audio Analog Stereo), \
                    alsa_input.usb-yeti (Yeti Nano)";
        assert_eq!(error.to_string(), text);
        assert_eq!(choose(Role::Microphone, &[], Some("webcam")).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(choose(Role::Microphone, &[], None).unwrap_err().kind(), Kind::Io);
    }

    #[test]
    fn without_a_default_one_a_real_microphone_is_taken() {
        let mut all = desk();
        all[1].is_default = false;
        assert_eq!(choose(Role::Microphone, &all, None).unwrap(), 1);
        assert_eq!(choose(Role::Microphone, &all[..1], None).unwrap(), 0);
    }

    #[test]
    fn a_missing_sound_server_is_told_with_the_way_out() {
        if cfg!(target_os = "linux") {
            let cases = [
                (None, false, "XDG_RUNTIME_DIR says where"),
                (Some(""), false, "XDG_RUNTIME_DIR says where"),
                (Some("unix:/nowhere"), false, "PULSE_SERVER is `unix:/nowhere`)"),
                (Some("tcp:desk"), false, "only unix:PATH is understood"),
                (Some("unix:/there"), true, "cookie"),
                (None, true, "cookie"),
            ];
            for (server, is_denied, hint) in cases {
                let text = no_server_text(Role::Microphone, server, is_denied);
                assert!(
                    text.starts_with("no microphone: ") && text.contains(hint) && text.contains("arecord"),
                    "{text}"
                );
                let text = no_server_text(Role::Loudspeaker, server, is_denied);
                assert!(
                    text.starts_with("no loudspeaker: ") && text.contains(hint) && text.contains("aplay"),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_words() {
        let mut device = device("speaker", "Speaker");
        device.role = Role::Loudspeaker;
        let words = |fault| lost(&device, fault).to_string();
        assert!(words(Fault::Unplugged).starts_with("the loudspeaker `Speaker` is gone; was it unplugged?: "));
        assert!(
            words(Fault::Ended(None)).starts_with("the loudspeaker `Speaker` is gone; has the sound server ended?")
        );
        assert!(words(Fault::Stalled).starts_with("the loudspeaker `Speaker` takes no sound; is it suspended?"));
        let words = |answer| unusable(&device, Fault::Refused(answer)).to_string();
        assert!(words(PulseError::AccessDenied).contains("does not let this program play"));
        assert!(words(PulseError::Busy).contains("another program"));
        assert!(words(PulseError::NoEntity).starts_with("cannot open the loudspeaker `Speaker`: "));
    }
}
