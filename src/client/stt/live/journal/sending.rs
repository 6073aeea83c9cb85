//! What the server is told, a message at a time, as fast as it takes them.

use super::{Journal, Link};
use crate::{
    audio::i16_to_bytes,
    proto::v1::{self, streaming_recognize_request::Message},
};

/// What can be sent now.
enum Due {
    Acknowledgement,
    Marker,
    Audio,
    End,
}

impl Journal {
    fn due(&self) -> Option<Due> {
        let Link::Open(sending) = &self.link else { return None };
        if self.timeline.server_seq(self.written) > self.acknowledged {
            return Some(Due::Acknowledgement);
        }
        if sending.is_end_sent || !sending.paused_until.is_zero() {
            return None;
        }
        if sending.cursor - sending.marked >= self.rules.marker {
            return Some(Due::Marker);
        }
        match (sending.cursor < self.kept.end(), self.is_over) {
            (true, _) => Some(Due::Audio),
            (false, true) => Some(Due::End),
            (false, false) => None,
        }
    }

    /// Whether there is something to send now.
    pub(in crate::client::stt::live) fn has_message(&self) -> bool {
        self.due().is_some()
    }

    /// What is to be sent next. It counts as sent.
    pub(in crate::client::stt::live) fn next_message(&mut self) -> Option<Message> {
        let due = self.due()?;
        let Link::Open(sending) = &mut self.link else { return None };
        Some(match due {
            Due::Acknowledgement => {
                self.acknowledged = self.timeline.server_seq(self.written);
                Message::Acknowledge(v1::Acknowledge { seq: self.acknowledged })
            }
            Due::Marker => {
                sending.marked = sending.cursor;
                Message::Marker(v1::Marker { id: sending.cursor.to_string() })
            }
            Due::Audio => {
                let samples = self.kept.read(sending.cursor, self.rules.chunk);
                let first_sample = Some(self.timeline.server_position(sending.cursor));
                sending.cursor += samples.len() as i64;
                Message::Audio(v1::AudioChunk { data: i16_to_bytes(&samples).into(), first_sample })
            }
            Due::End => {
                sending.is_end_sent = true;
                self.is_end_given = true;
                Message::End(v1::EndOfAudio {})
            }
        })
    }
}
