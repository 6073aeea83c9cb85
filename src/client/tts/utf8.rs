//! Text out of bytes that come in pieces, which may end in the middle of a character. Pure.

use std::str;

/// Reads UTF-8, and knows where it is.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// Bytes that have become text.
    read: u64,
    /// The beginning of a character: three bytes at most.
    rest: Vec<u8>,
}

impl Utf8 {
    /// Takes more bytes, and gives the characters that are whole.
    ///
    /// # Errors
    /// The number, counted from 1, of the byte that is wrong.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<String, u64> {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let valid = match str::from_utf8(&all) {
            Ok(_) => all.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(self.read + error.valid_up_to() as u64 + 1),
        };
        self.rest = all.split_off(valid);
        self.read += valid as u64;
        // It was just seen to be text.
        String::from_utf8(all).map_err(|_| self.read)
    }

    /// Sees that the last character is whole.
    ///
    /// # Errors
    /// The number, counted from 1, of the byte that it begins with.
    pub(super) fn finish(&self) -> Result<(), u64> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.read + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn read(pieces: &[&[u8]]) -> Result<String, u64> {
        let mut utf8 = Utf8::default();
        let mut text = String::new();
        for piece in pieces {
            text.push_str(&utf8.push(piece)?);
            assert!(utf8.rest.len() < 4, "no more is kept than the beginning of a character");
        }
        utf8.finish().map(|()| text)
    }

    /// What is right, for bytes that come at once.
    fn at_once(bytes: &[u8]) -> Result<String, u64> {
        String::from_utf8(bytes.to_vec()).map_err(|error| error.utf8_error().valid_up_to() as u64 + 1)
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_read_as_the_whole(text in ".{0,40}", sizes in vec(1..6_usize, 200)) {
            let pieces = cut(text.as_bytes(), &sizes);
            prop_assert_eq!(read(&pieces), Ok(text.clone()));
        }

        #[test]
        fn the_wrong_byte_is_the_same_however_they_are_cut(
            text in ".{0,12}",
            wrong in vec(any::<u8>(), 0..6),
            more in "[aü€🙂]{0,6}",
            sizes in vec(1..6_usize, 100),
        ) {
            let bytes = [text.as_bytes(), &wrong, more.as_bytes()].concat();
            prop_assert_eq!(read(&cut(&bytes, &sizes)), at_once(&bytes));
        }
    }

    fn cut<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        for size in sizes {
            let (piece, rest) = bytes.split_at((*size).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        pieces.push(bytes);
        pieces
    }

    #[test]
    fn a_character_that_is_cut_off_is_told_at_its_beginning() {
        assert_eq!(read(&[b"caf\xe9"]), Err(4));
        assert_eq!(read(&[b"a\xf0\x9f", b"\x99"]), Err(2));
        assert_eq!(read(&[b"caf", b"\xe9 au lait"]), Err(4));
    }
}
