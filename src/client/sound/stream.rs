//! A stream of sound from or to one device: what its messages mean. Whoever owns it reads and writes.

use super::{
    Fault, Role,
    wire::{Message, Wire},
};
use pulseaudio::protocol::{self, CommandTag, GetSinkInfo, GetSourceInfo, PulseError};

/// What happens to a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Event<'a> {
    /// This was heard.
    Sound(&'a [u8]),
    /// There is room for so many bytes more.
    Wants(usize),
    /// All has been played, and no more came.
    Underrun,
    /// All has been heard, as was asked for.
    Drained,
    /// It has another device now, of the user's choice, or as its own is gone: the moment to look.
    Moved,
    /// What does not concern us.
    Nothing,
}

/// A stream that is open.
pub(crate) struct Stream {
    pub(super) wire: Wire,
    pub(super) role: Role,
    /// Its number among all of its connection.
    pub(super) channel: u32,
    /// The number of its device.
    pub(super) device: u32,
    /// The question whether the device is there, until it is answered.
    pub(super) look: Option<u32>,
    /// The question for an end.
    pub(super) drain: Option<u32>,
}

impl Stream {
    /// Where to read to, once there are no more events.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.wire.room()
    }

    /// So much was read.
    pub(crate) fn filled(&mut self, count: usize) {
        self.wire.filled(count);
    }

    /// The next event of what was read.
    ///
    /// # Errors
    /// What ends the stream.
    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, Fault> {
        let Some(message) = self.wire.next()? else { return Ok(None) };
        Ok(Some(match message {
            Message::Sound(bytes) => Event::Sound(bytes),
            Message::Wants(bytes) => Event::Wants(bytes),
            // Nothing else is to come.
            Message::Underrun if self.drain.is_some() => Event::Nothing,
            Message::Underrun => Event::Underrun,
            Message::Moved => Event::Moved,
            Message::Killed => return Err(Fault::Unplugged),
            Message::Answer(number, answer) if self.look == Some(number) => {
                self.look = None;
                match answer {
                    // Whoever listens to a device that is unplugged is moved to another one by the server.
                    Err(PulseError::NoEntity) => return Err(Fault::Unplugged),
                    _ => Event::Nothing,
                }
            }
            Message::Answer(number, answer) if self.drain == Some(number) => match answer {
                Ok(_) => Event::Drained,
                Err(PulseError::NoEntity) => return Err(Fault::Unplugged),
                Err(refusal) => return Err(Fault::Refused(refusal)),
            },
            Message::Answer(..) | Message::Other => Event::Nothing,
        }))
    }

    /// Asks whether the device is there, unless that is being asked. To be sent.
    ///
    /// # Errors
    /// A bug.
    pub(crate) fn look(&mut self) -> Result<Vec<u8>, Fault> {
        if self.look.is_some() {
            return Ok(Vec::new());
        }
        let index = Some(self.device);
        let (number, question) = match self.role {
            Role::Microphone => {
                self.wire.question(CommandTag::GetSourceInfo, |w| w.write(GetSourceInfo { index, name: None }))
            }
            Role::Loudspeaker => {
                self.wire.question(CommandTag::GetSinkInfo, |w| w.write(GetSinkInfo { index, name: None }))
            }
        }?;
        self.look = Some(number);
        Ok(question)
    }

    /// Asks to be told when all is heard. To be sent after all else.
    ///
    /// # Errors
    /// A bug.
    pub(crate) fn drain(&mut self) -> Result<Vec<u8>, Fault> {
        let channel = self.channel;
        let (number, question) = self.wire.question(CommandTag::DrainPlaybackStream, |w| w.write_u32(channel))?;
        self.drain = Some(number);
        Ok(question)
    }

    /// Sound as it is sent.
    ///
    /// # Errors
    /// A bug.
    pub(crate) fn sound(&self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut message = Vec::with_capacity(protocol::DESCRIPTOR_SIZE + bytes.len());
        protocol::write_memblock(&mut message, self.channel, bytes, 0)?;
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::wire::tests::message, *};

    fn stream() -> Stream {
        Stream { wire: Wire::new(), role: Role::Loudspeaker, channel: 3, device: 9, look: None, drain: None }
    }

    fn hear(stream: &mut Stream, bytes: &[u8]) {
        stream.room()[..bytes.len()].copy_from_slice(bytes);
        stream.filled(bytes.len());
    }

    #[test]
    fn a_device_that_is_not_known_any_more_is_unplugged() {
        let mut stream = stream();
        assert!(!stream.look().unwrap().is_empty());
        assert!(stream.look().unwrap().is_empty(), "once is enough");
        let number = stream.look.unwrap();
        hear(&mut stream, &message(CommandTag::Reply, number, &[]));
        assert_eq!(stream.next().unwrap(), Some(Event::Nothing));
        assert!(!stream.look().unwrap().is_empty());
        let number = stream.look.unwrap();
        hear(&mut stream, &message(CommandTag::Error, number, &[PulseError::NoEntity as u32]));
        assert!(matches!(stream.next(), Err(Fault::Unplugged)));
    }

    #[test]
    fn answers_are_told_apart() {
        let mut stream = stream();
        stream.look().unwrap();
        stream.drain().unwrap();
        let drain = stream.drain.unwrap();
        hear(&mut stream, &message(CommandTag::Error, drain + 1, &[PulseError::NoEntity as u32]));
        assert_eq!(stream.next().unwrap(), Some(Event::Nothing));
        hear(&mut stream, &message(CommandTag::Reply, drain, &[]));
        assert_eq!(stream.next().unwrap(), Some(Event::Drained));
    }

    #[test]
    fn an_end_is_no_underrun() {
        let mut stream = stream();
        let underrun = message(CommandTag::Underflow, u32::MAX, &[3]);
        hear(&mut stream, &underrun);
        assert_eq!(stream.next().unwrap(), Some(Event::Underrun));
        stream.drain().unwrap();
        hear(&mut stream, &underrun);
        assert_eq!(stream.next().unwrap(), Some(Event::Nothing));
        assert!(stream.next().unwrap().is_none());
    }
}
