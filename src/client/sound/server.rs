//! A connection to the sound server, until a stream is made of it. Waits for each answer.

use super::{
    Device, Fault, Role,
    stream::Stream,
    wire::{self, Message, Wire},
};
use pulseaudio::protocol::{
    self, AuthParams, AuthReply, ChannelMap, CommandTag, CreatePlaybackStreamReply, CreateRecordStreamReply,
    GetSinkInfo, GetSourceInfo, PlaybackStreamParams, Prop, Props, ProtocolError, RecordStreamParams, SampleFormat,
    SampleSpec, SetClientNameReply, SinkInfo, SourceInfo, TagStructRead, TagStructWriter,
    stream::{BufferAttr, StreamFlags},
};
use std::{
    ffi::CStr,
    fs,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

/// How long an answer may take. Whoever waits for us gives up before, and has words for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of a cookie.
const COOKIE: usize = 256;

/// The bytes of a sample of a microphone. The server converts whatever the device gives.
const FLOAT: u32 = 4;

/// The bytes of a sample for a loudspeaker.
const SHORT: u32 = 2;

/// A connection.
pub(super) struct Server {
    socket: UnixStream,
    wire: Wire,
}

/// A device, and what opens it.
pub(super) struct Found {
    pub(super) device: Device,
    index: u32,
    map: ChannelMap,
}

/// Ends a stream when it is dropped: at once, whoever reads or writes at that moment. What has come until then can
/// still be read.
pub(crate) struct Leash(UnixStream);

impl Leash {
    /// For a stream over this socket.
    ///
    /// # Errors
    /// `Ended`: the system gives no descriptor.
    pub(crate) fn of(socket: &UnixStream) -> Result<Self, Fault> {
        socket.try_clone().map(Self).map_err(|cause| Fault::Ended(Some(cause)))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        self.0.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

impl Server {
    /// Connects to the server of the environment.
    pub(super) fn connect() -> Result<Self, Fault> {
        let path = pulseaudio::socket_path_from_env().ok_or(Fault::Absent(None))?;
        let absent = |cause| Fault::Absent(Some(cause));
        let socket = UnixStream::connect(path).map_err(absent)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(absent)?;
        socket.set_write_timeout(Some(PATIENCE)).map_err(absent)?;
        // Has the kernel tell the server who asks: that lets in whoever runs it, without a cookie.
        #[cfg(target_os = "linux")]
        rustix::net::sockopt::set_socket_passcred(&socket, true).map_err(|cause| absent(cause.into()))?;
        let mut server = Self { socket, wire: Wire::new() };
        let version = server.wire.version;
        let auth = AuthParams { version, supports_shm: false, supports_memfd: false, cookie: cookie() };
        let reply: AuthReply = server.ask(CommandTag::Auth, |w| w.write(auth))?;
        if reply.version < protocol::MIN_VERSION {
            return Err(Fault::Garbled(format!("version {} of the protocol", reply.version)));
        }
        server.wire.version = reply.version.min(version);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"speechctl");
        let _: SetClientNameReply = server.ask(CommandTag::SetClientName, |w| w.write(props))?;
        Ok(server)
    }

    /// All devices of a role.
    pub(super) fn devices(&mut self, role: Role) -> Result<Vec<Found>, Fault> {
        let name = |name: &CStr| Some(name.to_owned());
        // Where there is no device there is no default one.
        Ok(match role {
            Role::Microphone => {
                let query = GetSourceInfo { index: None, name: name(protocol::DEFAULT_SOURCE) };
                let default = self.ask::<SourceInfo>(CommandTag::GetSourceInfo, |w| w.write(query));
                let default = default.map_or(None, |info| Some(info.index));
                let all: Vec<SourceInfo> = self.ask(CommandTag::GetSourceInfoList, |_| Ok(()))?;
                all.into_iter().map(|info| Found::microphone(&info, default)).collect()
            }
            Role::Loudspeaker => {
                let query = GetSinkInfo { index: None, name: name(protocol::DEFAULT_SINK) };
                let default = self.ask::<SinkInfo>(CommandTag::GetSinkInfo, |w| w.write(query));
                let default = default.map_or(None, |info| Some(info.index));
                let all: Vec<SinkInfo> = self.ask(CommandTag::GetSinkInfoList, |_| Ok(()))?;
                all.into_iter().map(|info| Found::loudspeaker(&info, default)).collect()
            }
        })
    }

    /// Hears a microphone as it is: 32-bit floats, little-endian, at its own rate, of all its channels, in pieces of so
    /// much time. The server keeps what is not fetched as long as it can, 4 MiB.
    pub(super) fn record(mut self, found: &Found, piece: Duration) -> Result<(UnixStream, Stream), Fault> {
        let Device { rate, channels, .. } = found.device;
        let sample_spec = SampleSpec { format: SampleFormat::Float32Le, channels, sample_rate: rate };
        let bytes = bytes(rate, u32::from(channels) * FLOAT, piece);
        let params = RecordStreamParams {
            sample_spec,
            channel_map: found.map,
            source_index: Some(found.index),
            buffer_attr: BufferAttr { fragment_size: bytes, ..BufferAttr::default() },
            // Left to itself PulseAudio saves sound up for 2 s.
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: stream_props(),
            ..RecordStreamParams::default()
        };
        let reply: CreateRecordStreamReply = self.ask(CommandTag::CreateRecordStream, |w| w.write(params))?;
        Ok(self.into_stream(Role::Microphone, reply.channel, found.index))
    }

    /// Feeds a loudspeaker: mono, 16 bits, little-endian, at this rate. The server holds so much time of it. Gives also
    /// for how many bytes there is room.
    pub(super) fn play(
        mut self,
        found: &Found,
        rate: u32,
        held: Duration,
    ) -> Result<(UnixStream, Stream, usize), Fault> {
        let params = PlaybackStreamParams {
            sample_spec: SampleSpec { format: SampleFormat::S16Le, channels: 1, sample_rate: rate },
            channel_map: ChannelMap::mono(),
            sink_index: Some(found.index),
            buffer_attr: BufferAttr { target_length: bytes(rate, SHORT, held), ..BufferAttr::default() },
            flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
            props: stream_props(),
            ..PlaybackStreamParams::default()
        };
        let reply: CreatePlaybackStreamReply = self.ask(CommandTag::CreatePlaybackStream, |w| w.write(params))?;
        let (socket, stream) = self.into_stream(Role::Loudspeaker, reply.channel, found.index);
        Ok((socket, stream, reply.requested_bytes as usize))
    }

    fn into_stream(self, role: Role, channel: u32, device: u32) -> (UnixStream, Stream) {
        (self.socket, Stream { wire: self.wire, role, channel, device, look: None, drain: None })
    }

    /// Asks, and waits for the answer.
    fn ask<T: TagStructRead>(
        &mut self,
        tag: CommandTag,
        write: impl FnOnce(&mut TagStructWriter<'_>) -> Result<(), ProtocolError>,
    ) -> Result<T, Fault> {
        let (number, question) = self.wire.question(tag, write)?;
        self.socket.write_all(&question).map_err(|cause| Fault::Ended(Some(cause)))?;
        let version = self.wire.version;
        loop {
            while let Some(message) = self.wire.next()? {
                if let Message::Answer(to, answer) = message
                    && to == number
                {
                    return wire::parse(answer.map_err(Fault::Refused)?, version);
                }
            }
            match self.socket.read(self.wire.room()) {
                Ok(0) => return Err(Fault::Ended(None)),
                Ok(count) => self.wire.filled(count),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(Fault::Ended(Some(cause))),
            }
        }
    }
}

impl Found {
    fn microphone(info: &SourceInfo, default: Option<u32>) -> Self {
        let is_monitor = info.monitor_of_sink_index.is_some();
        let described = (info.name.as_c_str(), info.description.as_deref());
        let is_default = default == Some(info.index);
        let device = device(Role::Microphone, described, info.sample_spec, is_default, is_monitor);
        Self { device, index: info.index, map: info.channel_map }
    }

    fn loudspeaker(info: &SinkInfo, default: Option<u32>) -> Self {
        let described = (info.name.as_c_str(), info.description.as_deref());
        let is_default = default == Some(info.index);
        let device = device(Role::Loudspeaker, described, info.sample_spec, is_default, false);
        Self { device, index: info.index, map: info.channel_map }
    }
}

fn device(
    role: Role,
    (id, name): (&CStr, Option<&CStr>),
    spec: SampleSpec,
    is_default: bool,
    is_monitor: bool,
) -> Device {
    let text = |text: &CStr| text.to_string_lossy().into_owned();
    let SampleSpec { sample_rate: rate, channels, .. } = spec;
    Device { role, id: text(id), name: text(name.unwrap_or(id)), is_default, is_monitor, rate, channels }
}

/// What mixers show of a stream.
fn stream_props() -> Props {
    let mut props = Props::new();
    props.set(Prop::MediaName, c"speech");
    props
}

/// The bytes of so much time.
fn bytes(rate: u32, frame: u32, time: Duration) -> u32 {
    let frames = u128::from(rate) * time.as_millis() / 1_000;
    u32::try_from(frames * u128::from(frame)).unwrap_or(u32::MAX)
}

/// What shows the server that we may come in. Whoever runs it needs none; but it always wants to see some, and of no
/// other length.
fn cookie() -> Vec<u8> {
    let file = pulseaudio::cookie_path_from_env().and_then(|path| fs::read(path).ok());
    file.filter(|cookie| cookie.len() == COOKIE).unwrap_or_else(|| vec![0; COOKIE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_becomes_bytes() {
        assert_eq!(bytes(48_000, 8, Duration::from_millis(50)), 19_200);
        assert_eq!(bytes(22_050, 2, Duration::from_millis(1)), 44, "whole frames only");
        assert_eq!(bytes(u32::MAX, 128, Duration::from_secs(60)), u32::MAX);
    }
}
