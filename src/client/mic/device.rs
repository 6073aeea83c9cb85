//! Which microphones there are, which of them is meant, and what is wrong with them in words.

use crate::error::{Error, Kind, Result};
use cpal::{
    DeviceId, Host, SupportedStreamConfig,
    traits::{DeviceTrait, HostTrait},
};
use std::{env, fmt, fs, path::PathBuf};

/// A microphone as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// What names it for ever, such as "alsa_input.pci-0000_00_1f.3.analog-stereo".
    pub(crate) id: String,
    /// What people call it, such as "Built-in Audio Analog Stereo".
    pub(crate) name: String,
    /// Whether it is taken where none is named.
    pub(crate) is_default: bool,
    /// Whether it is no microphone at all, but gives what a loudspeaker plays.
    pub(crate) is_monitor: bool,
    /// Its own rate in Hz, from which we convert.
    pub(crate) rate: u32,
    /// Its own channels, of which we take the mean.
    pub(crate) channels: u16,
}

/// As it is named in errors.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the microphone `{}`", self.name)
    }
}

/// A device, and what opens it.
pub(super) struct Found {
    pub(super) device: Device,
    pub(super) handle: cpal::Device,
    pub(super) config: SupportedStreamConfig,
    id: DeviceId,
}

impl Found {
    /// Whether the system lists it no more; may hang. A sound server moves whoever listens to a device that is unplugged
    /// to another one, and says nothing.
    pub(super) fn is_unplugged(&self, host: &Host) -> bool {
        let is_this = |handle: cpal::Device| handle.id().is_ok_and(|id| id == self.id);
        // A list that does not come says nothing of the device; whoever hears it, hears of that too.
        host.devices().is_ok_and(|mut handles| !handles.any(is_this))
    }
}

/// All that there are; may hang.
pub(super) fn list() -> Result<Vec<Device>> {
    Ok(find_all(&open_host()?)?.into_iter().map(|found| found.device).collect())
}

/// The one that is meant; may hang.
pub(super) fn find(host: &Host, wanted: Option<&str>) -> Result<Found> {
    let mut all = find_all(host)?;
    let devices: Vec<Device> = all.iter().map(|found| found.device.clone()).collect();
    let at = choose(&devices, wanted)?;
    Ok(all.swap_remove(at))
}

fn find_all(host: &Host) -> Result<Vec<Found>> {
    let default = host.default_input_device().and_then(|device| device.id().ok());
    let mut all = Vec::new();
    for handle in host.input_devices().map_err(|cause| no_server(Some(cause)))? {
        // One that cannot say what it is, or what it records, cannot be opened either.
        let (Ok(id), Ok(about), Ok(config)) = (handle.id(), handle.description(), handle.default_input_config()) else {
            continue;
        };
        let device = Device {
            is_default: default.as_ref() == Some(&id),
            is_monitor: id.id().ends_with(".monitor"),
            id: id.id().to_owned(),
            name: about.name().to_owned(),
            rate: config.sample_rate(),
            channels: config.channels(),
        };
        all.push(Found { device, handle, config, id });
    }
    all.sort_by_key(|found| (!found.device.is_default, found.device.is_monitor));
    Ok(all)
}

/// The first of the sound systems that answers; may hang. Not cpal's default one: where there is none, asking for that panics.
pub(super) fn open_host() -> Result<Host> {
    let mut first = None;
    for id in cpal::available_hosts() {
        match cpal::host_from_id(id) {
            Ok(host) => return Ok(host),
            // ALSA, which stands behind the others, fails always where it is a stub.
            Err(cause) if id.name() != "ALSA" => first = first.or(Some(cause)),
            Err(_) => {}
        }
    }
    Err(no_server(first))
}

/// The error of a machine on which nothing serves sound.
fn no_server(cause: Option<cpal::Error>) -> Error {
    let pulse_server = env::var("PULSE_SERVER").ok();
    let error = Error::new(Kind::Io, no_server_text(pulse_server.as_deref(), has_cookie()));
    match cause {
        Some(cause) => error.because(cause),
        None => error,
    }
}

/// What to do where nothing serves sound.
fn no_server_text(pulse_server: Option<&str>, has_cookie: bool) -> String {
    if !cfg!(target_os = "linux") {
        return "no microphone: the system's audio does not answer".to_owned();
    }
    let hint = match pulse_server {
        Some(server) if server.starts_with("unix:") && has_cookie => format!("PULSE_SERVER is `{server}`"),
        Some(server) if !server.is_empty() && !server.starts_with("unix:") => {
            format!("PULSE_SERVER is `{server}`, and only unix:PATH is understood")
        }
        _ if !has_cookie => "it wants a cookie of 256 bytes, which `pactl info` puts in ~/.config/pulse".to_owned(),
        _ => "PULSE_SERVER=unix:PATH or XDG_RUNTIME_DIR says where".to_owned(),
    };
    format!(
        "no microphone: neither PulseAudio nor PipeWire answers ({hint}); on a machine with bare ALSA, pipe it in: \
         `arecord -q -f S16_LE -r 16000 -t raw | speechctl stt - --raw 16000 --stream`"
    )
}

/// Whether there is the file that a client of PulseAudio shows. Without it, and with one of another size, the server
/// hangs up, even where it lets everybody in.
fn has_cookie() -> bool {
    let home = env::home_dir().unwrap_or_default();
    let named = env::var_os("PULSE_COOKIE").map(PathBuf::from);
    let places = named.into_iter().chain([home.join(".config/pulse/cookie"), home.join(".pulse-cookie")]);
    places.flat_map(fs::metadata).next().is_some_and(|file| file.len() == 256)
}

/// The error of a device that was found and cannot be opened.
pub(super) fn unusable(device: &Device, cause: cpal::Error) -> Error {
    let hint = match cause.kind() {
        cpal::ErrorKind::DeviceBusy => "; another program may be using it",
        cpal::ErrorKind::PermissionDenied => "; the system does not let this program record",
        _ => "",
    };
    Error::new(Kind::Io, format!("cannot open {device}{hint}")).because(cause)
}

/// The error of a device that was heard and is heard no more.
pub(super) fn lost(device: &Device, cause: cpal::Error) -> Error {
    let what = match cause.kind() {
        cpal::ErrorKind::DeviceNotAvailable => format!("{device} is gone; was it unplugged?"),
        cpal::ErrorKind::StreamInvalidated => format!("{device} is gone; has the sound server ended?"),
        _ => format!("{device} has failed"),
    };
    Error::new(Kind::Io, what).because(cause)
}

/// Which of the devices is meant: the default one, or by its id, its name, or a part of its name, in this order. A real
/// microphone comes before what a loudspeaker of that name plays.
fn choose(devices: &[Device], wanted: Option<&str>) -> Result<usize> {
    let Some(wanted) = wanted else {
        let first = (0..devices.len()).min_by_key(|&at| (!devices[at].is_default, devices[at].is_monitor));
        return first.ok_or_else(|| Error::new(Kind::Io, "no microphone: this machine has none"));
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
                let message = format!("several microphones are called `{wanted}`; take one of these: {names}");
                return Err(Error::invalid(message));
            }
        }
    }
    let there = match devices {
        [] => "this machine has none".to_owned(),
        _ => format!("there are: {}", names(devices)),
    };
    Err(Error::new(Kind::NotFound, format!("no microphone is called `{wanted}`; {there}")))
}

/// Devices as they can be named, in one line.
fn names<'a>(devices: impl IntoIterator<Item = &'a Device>) -> String {
    let named: Vec<String> = devices.into_iter().map(|device| format!("{} ({})", device.id, device.name)).collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(id: &str, name: &str) -> Device {
        let is_monitor = id.ends_with(".monitor");
        Device { id: id.into(), name: name.into(), is_default: false, is_monitor, rate: 48_000, channels: 2 }
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
            assert_eq!(choose(&desk(), wanted).unwrap(), at, "{wanted:?}");
        }
    }

    #[test]
    fn a_name_that_fits_several_is_refused() {
        let error = choose(&desk(), Some("twin")).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        let text = "several microphones are called `twin`; take one of these: twin.1 (Twin), twin.2 (Twin)";
        assert_eq!(error.to_string(), text);
        assert_eq!(choose(&desk(), Some("t")).unwrap_err().kind(), Kind::InvalidInput);
    }

    #[test]
    fn a_name_that_fits_none_is_told_what_there_is() {
        let error = choose(&desk()[1..3], Some("webcam")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let text = "no microphone is called `webcam`; there are: alsa_input.pci (Built-in Audio Analog Stereo), \
                    alsa_input.usb-yeti (Yeti Nano)";
        assert_eq!(error.to_string(), text);
        assert_eq!(choose(&[], Some("webcam")).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(choose(&[], None).unwrap_err().kind(), Kind::Io);
    }

    #[test]
    fn without_a_default_one_a_real_microphone_is_taken() {
        let mut all = desk();
        all[1].is_default = false;
        assert_eq!(choose(&all, None).unwrap(), 1);
        assert_eq!(choose(&all[..1], None).unwrap(), 0);
    }

    #[test]
    fn a_missing_sound_server_is_told_with_the_way_out() {
        if cfg!(target_os = "linux") {
            let cases = [
                (None, true, "XDG_RUNTIME_DIR says where"),
                (Some(""), true, "XDG_RUNTIME_DIR says where"),
                (Some("unix:/nowhere"), true, "PULSE_SERVER is `unix:/nowhere`)"),
                (Some("tcp:desk"), true, "only unix:PATH is understood"),
                (Some("unix:/there"), false, "cookie"),
            ];
            for (server, has_cookie, hint) in cases {
                let text = no_server_text(server, has_cookie);
                assert!(text.contains(hint) && text.contains("arecord"), "{text}");
            }
        }
    }
}
