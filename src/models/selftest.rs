//! The model that is built in: a real Whisper network that knows 153 English words in synthetic voices.
//!
//! It shows that everything works, with nothing downloaded, and what it writes down can be asserted. It is no
//! recogniser of human speech, and never chosen for a user's own audio unless named. Its recipe is in
//! `src/models/selftest/`.

use crate::error::{Error, Kind, Result};

/// The ggml model file, compressed with zstd.
const COMPRESSED: &[u8] = include_bytes!("selftest/selftest.en.bin.zst");

/// The unpacked size, in bytes: a bound for the decompressor.
const MAX_SIZE: usize = 32 * 1024 * 1024;

/// The ggml model file, unpacked.
///
/// # Errors
/// `Internal` if the copy inside the program is damaged.
pub(crate) fn unpack() -> Result<Vec<u8>> {
    zstd::bulk::decompress(COMPRESSED, MAX_SIZE)
        .map_err(|cause| Error::new(Kind::Internal, "the built-in model is damaged").because(cause))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_a_ggml_model() {
        let model = super::unpack().expect("it unpacks");
        assert_eq!(model.get(..4), Some(&b"lmgg"[..]), "the magic number of ggml, little-endian");
    }
}
