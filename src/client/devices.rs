//! `speechctl stt mic --list-devices` and `speechctl tts --list-devices`: what hears, and what is heard.

use crate::{
    client::{
        Context, json,
        output::printable,
        sound::{self, Device, Role},
    },
    error::{Error, Kind, Result},
};

/// The document of `--json`.
#[derive(serde::Serialize)]
struct Document<'a> {
    version: u32,
    devices: Vec<Entry<'a>>,
}

#[derive(serde::Serialize)]
struct Entry<'a> {
    id: &'a str,
    name: &'a str,
    is_default: bool,
    is_monitor: bool,
    rate: u32,
    channels: u8,
}

impl<'a> From<&'a Device> for Entry<'a> {
    fn from(device: &'a Device) -> Self {
        let Device { id, name, is_default, is_monitor, rate, channels, .. } = device;
        let (is_default, is_monitor) = (*is_default, *is_monitor);
        Self { id, name, is_default, is_monitor, rate: *rate, channels: *channels }
    }
}

/// Lists the microphones, or the loudspeakers.
///
/// # Errors
/// `Io` where the system cannot tell, or has none.
pub(super) async fn list(role: Role, is_json: bool, context: &Context) -> Result<()> {
    let devices = sound::devices(role).await?;
    if is_json {
        let document = Document { version: 1, devices: devices.iter().map(Entry::from).collect() };
        return context.output.line(&json::document(&document)?);
    }
    if devices.is_empty() {
        return Err(Error::new(
            Kind::Io,
            format!("this machine has no {role}; see whether one is plugged in and allowed"),
        ));
    }
    context.output.bytes(table(&devices).as_bytes())
}

/// A line for each, in columns as wide as they must be.
fn table(devices: &[Device]) -> String {
    let row = |device: &Device| {
        let mark = match (device.is_default, device.is_monitor) {
            (true, false) => " (default)",
            (true, true) => " (default; what a loudspeaker plays)",
            (false, true) => " (what a loudspeaker plays)",
            (false, false) => "",
        };
        [printable(&device.id), device.rate.to_string(), device.channels.to_string(), printable(&device.name) + mark]
    };
    let head = ["DEVICE", "RATE", "CHANNELS", "NAME"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(devices.iter().map(row)).collect();
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (widest(0), widest(1));
    let line =
        |[id, rate, channels, name]: &[String; 4]| format!("{id:first$}  {rate:second$}  {channels:8}  {name}\n");
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let device = |id: &str, name: &str, is_default| Device {
            role: Role::Microphone,
            id: id.to_owned(),
            name: name.to_owned(),
            is_default,
            is_monitor: false,
            rate: 48_000,
            channels: 2,
        };
        let devices = [device("hw:0", "Built-in", true), device("hw:CARD=1", "Head\nset", false)];
        assert_eq!(
            table(&devices),
            "DEVICE     RATE   CHANNELS  NAME\n\
             hw:0       48000  2         Built-in (default)\n\
             hw:CARD=1  48000  2         Head\\nset\n"
        );
    }
}
