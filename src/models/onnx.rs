//! Whether an .onnx file is whole, as far as that shows without its weights: the outermost fields of its message are
//! walked to the end of the file.
//!
//! The format is that of protocol buffers (protobuf.dev/programming-guides/encoding); field 7 of ONNX's `ModelProto` is
//! the graph (onnx/onnx.proto).

use super::files;
use crate::error::{Error, Result};
use std::{
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

/// The field that holds the network.
const GRAPH: u64 = 7;

/// Outermost fields of a model: a dozen, and a few for what its tools noted.
const MOST_FIELDS: usize = 10_000;

/// Checks that a file can be a whole ONNX model.
///
/// # Errors
/// `NotFound`, `Io`, or `InvalidInput` for what is none, or is cut short.
pub(crate) fn check(path: &Path) -> Result<()> {
    let unreadable = |cause| files::unreadable(path, cause);
    let file = files::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    match walk(BufReader::new(file), length) {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Error::invalid(format!("`{}` is no ONNX model, or it is cut short; get it again", path.display())))
        }
        Err(cause) => Err(unreadable(cause)),
    }
}

/// Whether the fields end where the file does, and one of them is a graph.
fn walk(mut file: impl Read + Seek, length: u64) -> io::Result<bool> {
    let mut has_graph = false;
    for _ in 0..MOST_FIELDS {
        let at = file.stream_position()?;
        if at == length {
            return Ok(has_graph);
        }
        let Some(tag) = varint(&mut file)? else { return Ok(false) };
        let skipped = match tag & 7 {
            0 => varint(&mut file)?.map(|_| 0),
            1 => Some(8),
            2 => varint(&mut file)?,
            5 => Some(4),
            _ => None,
        };
        let end = match skipped {
            Some(skipped) => file.stream_position()?.checked_add(skipped),
            None => None,
        };
        match end {
            Some(end) if end <= length => file.seek(SeekFrom::Start(end))?,
            _ => return Ok(false),
        };
        has_graph |= tag >> 3 == GRAPH && tag & 7 == 2;
    }
    Ok(false)
}

/// A number of variable length; `None` for what is none, and at the end of the file.
fn varint(file: &mut impl Read) -> io::Result<Option<u64>> {
    let mut number = 0_u64;
    for place in 0..10 {
        let mut byte = [0];
        if file.read(&mut byte)? == 0 {
            return Ok(None);
        }
        number |= u64::from(byte[0] & 0x7f).checked_shl(7 * place).unwrap_or(0);
        if byte[0] < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn is_whole(bytes: &[u8]) -> bool {
        walk(Cursor::new(bytes), bytes.len() as u64).expect("memory can be read")
    }

    /// ir_version 8, a producer, a graph of 200 bytes.
    fn model() -> Vec<u8> {
        [&[0x08, 8, 0x12, 2, b'm', b'e', 0x3a, 0xc8, 0x01][..], &[7; 200]].concat()
    }

    #[test]
    fn a_model_is_whole_or_not() {
        let model = model();
        assert!(is_whole(&model));
        for length in 0..model.len() {
            assert!(!is_whole(&model[..length]), "{length}");
        }
        assert!(!is_whole(&[&model[..], &[0x3a]].concat()), "something behind it");
    }

    #[test]
    fn what_is_no_model_is_none() {
        assert!(!is_whole(b"<!DOCTYPE html>"));
        assert!(!is_whole(&[0x08, 8]), "no graph");
        assert!(!is_whole(&[0xff; 32]));
        assert!(!is_whole(&[0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]));
    }

    #[test]
    fn a_real_voice_is_one() {
        let voice = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/samples/voices/test-voice.onnx");
        check(&voice).expect("it is whole");
    }
}
