//! Messages of PulseAudio's protocol, between bytes and sense. Nothing is read or written here.
//!
//! Only the crate's protocol is used, not its client: that one does not tell when a device is gone or has run dry, and
//! clears a megabyte each time it is woken.

use super::Fault;
use pulseaudio::protocol::{
    self, CommandTag, DESCRIPTOR_SIZE, MAX_VERSION, ProtocolError, PulseError, Request, TagStructRead, TagStructReader,
    TagStructWriter,
};

/// A message that claims to be longer is none. PulseAudio's own clients hang up then, too (`FRAME_SIZE_MAX_ALLOW`).
const LONGEST: usize = 16 << 20;

/// How much is read at once.
const GULP: usize = 64 << 10;

/// What the server says.
#[derive(Debug, PartialEq)]
pub(super) enum Message<'a> {
    /// The answer to a question of ours, by its number.
    Answer(u32, Result<&'a [u8], PulseError>),
    /// What was recorded.
    Sound(&'a [u8]),
    /// Room for so many bytes more to be played.
    Wants(usize),
    /// All has been played, and no more came.
    Underrun,
    /// The stream has another device now.
    Moved,
    /// The stream is no more.
    Killed,
    /// What does not concern us.
    Other,
}

/// One end of a conversation.
pub(super) struct Wire {
    /// What was read; of it, `start..end` is yet to be understood.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Of the protocol.
    pub(super) version: u16,
    questions: u32,
}

impl Wire {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, version: MAX_VERSION, questions: 0 }
    }

    /// Where to read to. To be called when [`Self::next`] has no more. Allocates nothing once it is as large as it must be.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.bytes.len() < self.end + GULP {
            self.bytes.resize(self.end + GULP, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// So much was read.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// The next message, if all of it is there.
    pub(super) fn next(&mut self) -> Result<Option<Message<'_>>, Fault> {
        let held = &self.bytes[self.start..self.end];
        let Some((mut head, rest)) = held.split_at_checked(DESCRIPTOR_SIZE) else { return Ok(None) };
        let head = protocol::read_descriptor(&mut head)?;
        let length = head.length as usize;
        if length > LONGEST {
            return Err(Fault::Garbled(format!("a message of {length} bytes")));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        self.start += DESCRIPTOR_SIZE + length;
        match (head.channel, head.flags.is_empty()) {
            (u32::MAX, true) => understand(body, self.version).map(Some),
            // Of memory that is shared; we share none.
            (_, false) => Ok(Some(Message::Other)),
            _ => Ok(Some(Message::Sound(body))),
        }
    }

    /// A question as it is sent, and its number.
    pub(super) fn question(
        &mut self,
        tag: CommandTag,
        write: impl FnOnce(&mut TagStructWriter<'_>) -> Result<(), ProtocolError>,
    ) -> Result<(u32, Vec<u8>), Fault> {
        self.questions = self.questions.wrapping_add(1);
        let (mut body, mut message) = (Vec::new(), Vec::new());
        let mut writer = TagStructWriter::new(&mut body, self.version);
        writer.write_u32(tag as u32)?;
        writer.write_u32(self.questions)?;
        write(&mut writer)?;
        protocol::write_memblock(&mut message, u32::MAX, &body, 0)?;
        Ok((self.questions, message))
    }
}

fn understand(body: &[u8], version: u16) -> Result<Message<'_>, Fault> {
    let mut rest = body;
    let mut reader = TagStructReader::new(&mut rest, version);
    // Newer servers may say what nobody knows yet.
    let Ok(tag) = reader.read_enum() else { return Ok(Message::Other) };
    let number = reader.read_u32()?;
    Ok(match tag {
        CommandTag::Error => Message::Answer(number, Err(reader.read_enum().unwrap_or(PulseError::Unknown))),
        CommandTag::Request => Message::Wants(reader.read::<Request>()?.length as usize),
        CommandTag::Reply => Message::Answer(number, Ok(rest)),
        CommandTag::Underflow => Message::Underrun,
        CommandTag::PlaybackStreamMoved | CommandTag::RecordStreamMoved => Message::Moved,
        CommandTag::PlaybackStreamKilled | CommandTag::RecordStreamKilled => Message::Killed,
        _ => Message::Other,
    })
}

/// What an answer holds.
pub(super) fn parse<T: TagStructRead>(mut answer: &[u8], version: u16) -> Result<T, Fault> {
    Ok(TagStructReader::new(&mut answer, version).read()?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a server would send.
    pub(in super::super) fn message(tag: CommandTag, number: u32, values: &[u32]) -> Vec<u8> {
        let (mut body, mut message) = (Vec::new(), Vec::new());
        let mut writer = TagStructWriter::new(&mut body, MAX_VERSION);
        for value in [tag as u32, number].iter().chain(values) {
            writer.write_u32(*value).unwrap();
        }
        protocol::write_memblock(&mut message, u32::MAX, &body, 0).unwrap();
        message
    }

    /// Reads what comes in pieces, to its end; gives what [`Wire::next`] says, as text.
    fn told(wire: &mut Wire, pieces: &[&[u8]]) -> Vec<String> {
        let mut told = Vec::new();
        for piece in pieces {
            wire.room()[..piece.len()].copy_from_slice(piece);
            wire.filled(piece.len());
            while let Some(message) = wire.next().unwrap() {
                told.push(format!("{message:?}"));
            }
        }
        told
    }

    fn conversation() -> Vec<u8> {
        let mut sound = Vec::new();
        protocol::write_memblock(&mut sound, 3, &[7, 8, 9], 0).unwrap();
        let not_ours = protocol::Descriptor {
            length: 0,
            channel: u32::MAX,
            offset: 0,
            flags: protocol::DescriptorFlags::FLAG_SHMRELEASE,
        };
        let mut released = Vec::new();
        protocol::write_descriptor(&mut released, &not_ours).unwrap();
        [
            message(CommandTag::Reply, 5, &[1]),
            sound,
            message(CommandTag::Error, 6, &[PulseError::NoEntity as u32]),
            message(CommandTag::Error, 7, &[4_711]),
            released,
            message(CommandTag::Request, u32::MAX, &[3, 4_800]),
            message(CommandTag::Underflow, u32::MAX, &[3]),
            message(CommandTag::RecordStreamMoved, u32::MAX, &[3]),
            message(CommandTag::PlaybackStreamKilled, u32::MAX, &[3]),
            message(CommandTag::Started, u32::MAX, &[3]),
        ]
        .concat()
    }

    const SENSE: [&str; 10] = [
        "Answer(5, Ok([76, 0, 0, 0, 1]))",
        "Sound([7, 8, 9])",
        "Answer(6, Err(NoEntity))",
        "Answer(7, Err(Unknown))",
        "Other",
        "Wants(4800)",
        "Underrun",
        "Moved",
        "Killed",
        "Other",
    ];

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_comes() {
        let mut wire = Wire::new();
        let head = [[0xff; 4], [0; 4], [0; 4], [0; 4], [0; 4]].concat();
        wire.room()[..head.len()].copy_from_slice(&head);
        wire.filled(head.len());
        assert!(matches!(wire.next(), Err(Fault::Garbled(_))));
    }

    #[test]
    fn questions_have_numbers_of_their_own() {
        let mut wire = Wire::new();
        let (one, first) = wire.question(CommandTag::Stat, |_| Ok(())).unwrap();
        let (two, _) = wire.question(CommandTag::Stat, |_| Ok(())).unwrap();
        assert_ne!(one, two);
        assert_eq!(first, message(CommandTag::Stat, one, &[]));
    }

    proptest! {
        #[test]
        fn messages_mean_the_same_in_whatever_pieces_they_come(cuts in prop::collection::vec(0_usize..300, 0..20)) {
            let bytes = conversation();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(told(&mut Wire::new(), &pieces), SENSE);
        }

        #[test]
        fn noise_is_no_panic(noise in prop::collection::vec(any::<u8>(), 0..200), tag in 0_u32..120) {
            let mut wire = Wire::new();
            let (mut body, mut bytes) = (Vec::new(), Vec::new());
            TagStructWriter::new(&mut body, MAX_VERSION).write_u32(tag).unwrap();
            body.extend(&noise);
            protocol::write_memblock(&mut bytes, u32::MAX, &body, 0).unwrap();
            bytes.extend(noise);
            wire.room()[..bytes.len()].copy_from_slice(&bytes);
            wire.filled(bytes.len());
            while let Ok(Some(_)) = wire.next() {}
        }
    }
}
