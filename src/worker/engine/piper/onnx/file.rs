//! The file of a model, whose weights stay in it until they are asked for.
//!
//! A voice is nearly all weights, and most of them are copied into another form when it is loaded. So that the two do not
//! lie in memory side by side, only where the weights are is read at first. The encoding is that of protocol buffers
//! (protobuf.dev/programming-guides/encoding): keys and lengths are read here, what small things mean is left to prost.

use super::proto::TensorProto;
use crate::error::{Error, Kind, Result};
use prost::{
    Message,
    bytes::Bytes,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::FileExt,
};

/// `ModelProto.graph`, `GraphProto.initializer`, `TensorProto.raw_data`.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
const RAW_DATA: u32 = 9;

/// The most bytes of a message beside its weights, or its values: more than a hundred times those of any voice.
const MAX_REST: u64 = 64 << 20;

/// A weight.
#[derive(Debug)]
pub(super) struct Weight {
    /// All about it but its values, unless they are few and written as numbers.
    head: TensorProto,
    values: Option<Range<u64>>,
    whole: Range<u64>,
}

impl Weight {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.head.name
    }

    /// Whether it lies in another file.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.head.data_location != 0
    }

    /// The sizes of its dimensions, outermost first.
    pub(super) fn dims(&self) -> &[i64] {
        &self.head.dims
    }

    /// It and its values.
    ///
    /// # Errors
    /// `Io` when the file cannot be read any more.
    pub(super) fn tensor(&self, file: &File) -> Result<TensorProto> {
        let mut tensor = self.head.clone();
        if let Some(values) = &self.values {
            tensor.raw_data = bytes(file, values)?.into();
        }
        Ok(tensor)
    }
}

/// A model without its weights, and those.
pub(super) struct Outline {
    /// The fields of the model but its graph.
    pub(super) model: Bytes,
    /// The fields of its graph but the weights; none where there is no graph.
    pub(super) graph: Option<Bytes>,
    /// The weights, as they follow each other.
    pub(super) weights: Vec<Weight>,
}

/// Reads a file's outline.
///
/// # Errors
/// `InvalidInput` when it is no model or breaks off, `Io` when it cannot be read.
pub(super) fn outline(file: &File) -> Result<Outline> {
    let length = file.metadata().map_err(unread)?.len();
    let mut scanner = Scanner { file: BufReader::new(file) };
    let (model, graphs) = scanner.split(&(0..length), GRAPH)?;
    let [graph] = graphs.as_slice() else {
        return Ok(Outline { model: model.into(), graph: None, weights: Vec::new() });
    };
    let (graph, initializers) = scanner.split(graph, INITIALIZER)?;
    let mut weights = Vec::with_capacity(initializers.len());
    for whole in initializers {
        let (head, mut values) = scanner.split(&whole, RAW_DATA)?;
        let head = TensorProto::decode(Bytes::from(head)).map_err(broken)?;
        weights.push(Weight { head, values: values.pop(), whole });
    }
    Ok(Outline { model: model.into(), graph: Some(graph.into()), weights })
}

/// A model of these parts, with these weights as they are in the file.
///
/// # Errors
/// `Io` when the file cannot be read any more.
pub(super) fn model(model: &[u8], graph: &[u8], weights: &[&Weight], file: &File) -> Result<Vec<u8>> {
    let length = |weight: &Weight| weight.whole.end - weight.whole.start;
    let field = |length: u64| key_len(INITIALIZER) as u64 + encoded_len_varint(length) as u64 + length;
    let all = graph.len() as u64 + weights.iter().map(|weight| field(length(weight))).sum::<u64>();
    let mut made = Vec::with_capacity(usize::try_from(all).map_err(|_| too_large())? + model.len() + 16);
    made.extend_from_slice(model);
    encode_key(GRAPH, WireType::LengthDelimited, &mut made);
    encode_varint(all, &mut made);
    made.extend_from_slice(graph);
    for weight in weights {
        encode_key(INITIALIZER, WireType::LengthDelimited, &mut made);
        encode_varint(length(weight), &mut made);
        let at = made.len();
        made.resize(at + usize::try_from(length(weight)).map_err(|_| too_large())?, 0);
        file.read_exact_at(made.get_mut(at..).unwrap_or_default(), weight.whole.start).map_err(unread)?;
    }
    Ok(made)
}

fn bytes(file: &File, range: &Range<u64>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(|_| too_large())?];
    file.read_exact_at(&mut bytes, range.start).map_err(unread)?;
    Ok(bytes)
}

/// Goes through the fields of messages.
struct Scanner<'a> {
    file: BufReader<&'a File>,
}

impl Scanner<'_> {
    /// The fields of the message at `range`, but not those of the number `apart`: of these, where their contents are.
    fn split(&mut self, range: &Range<u64>, apart: u32) -> Result<(Vec<u8>, Vec<Range<u64>>)> {
        let (mut rest, mut found) = (Vec::new(), Vec::new());
        let mut at = range.start;
        self.file.seek(SeekFrom::Start(at)).map_err(unread)?;
        while at < range.end {
            let begin = rest.len();
            let key = self.varint(&mut rest)?;
            let (number, kind) = (key >> 3, key & 7);
            let length = match kind {
                // It has been read as soon as its end is known.
                0 => {
                    self.varint(&mut rest)?;
                    0
                }
                1 => 8,
                2 => self.varint(&mut rest)?,
                5 => 4,
                _ => return Err(Error::invalid(NO_MODEL)),
            };
            at += (rest.len() - begin) as u64;
            if length > range.end.saturating_sub(at) {
                return Err(Error::invalid(NO_MODEL));
            }
            if kind == 2 && number == u64::from(apart) {
                rest.truncate(begin);
                found.push(at..at + length);
                self.file.seek_relative(length.cast_signed()).map_err(unread)?;
            } else {
                if rest.len() as u64 + length > MAX_REST {
                    return Err(Error::invalid("not an ONNX model of a voice: too much of it is no weight"));
                }
                let copied = (&mut self.file).take(length).read_to_end(&mut rest).map_err(unread)?;
                if copied as u64 != length {
                    return Err(Error::invalid(NO_MODEL));
                }
            }
            at += length;
        }
        Ok((rest, found))
    }

    /// A number of seven bits a byte, which is copied too.
    fn varint(&mut self, copy: &mut Vec<u8>) -> Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.file.read_exact(&mut byte).map_err(unread)?;
            copy.extend(byte);
            number |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(number);
            }
        }
        Err(Error::invalid(NO_MODEL))
    }
}

const NO_MODEL: &str = "not an ONNX model, or cut short";

/// What prost says of a file.
pub(super) fn broken(error: prost::DecodeError) -> Error {
    Error::invalid(NO_MODEL).because(error)
}

fn unread(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid(NO_MODEL),
        _ => Error::new(Kind::Io, "cannot be read").because(error),
    }
}

fn too_large() -> Error {
    Error::invalid("it has a weight that is too large for memory")
}
