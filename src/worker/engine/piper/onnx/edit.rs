//! Changes voices, so that tests have broken and unusual ones.

use super::*;
use std::io::Write;

/// A model, weights and all.
#[derive(Clone, PartialEq, Message)]
struct Whole {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<WholeGraph>,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    opset_import: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct WholeGraph {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    node: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    initializer: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "11")]
    input: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "12")]
    output: Vec<Bytes>,
}

/// A file of these bytes.
pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// All weights of a file.
pub(super) fn weights(file: &[u8]) -> Vec<TensorProto> {
    let graph = Whole::decode(file).unwrap().graph.unwrap();
    graph.initializer.into_iter().map(|bytes| TensorProto::decode(bytes).unwrap()).collect()
}

/// The same file with other operations: `change` gets each node's operation and first output.
pub(crate) fn with_operations(file: &[u8], change: impl Fn(&str, &str) -> Option<&'static str>) -> Vec<u8> {
    let mut model = Whole::decode(file).unwrap();
    for bytes in &mut model.graph.as_mut().unwrap().node {
        let mut node = NodeProto::decode(bytes.clone()).unwrap();
        let output = node.output.first().cloned().unwrap_or_default();
        if let Some(operation) = change(&node.op_type, &output) {
            node.op_type = operation.into();
            *bytes = node.encode_to_vec().into();
        }
    }
    model.encode_to_vec()
}

/// The same file with another name for one of its inputs, everywhere.
pub(crate) fn with_input(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut model = Whole::decode(file).unwrap();
    for bytes in &mut model.graph.as_mut().unwrap().input {
        let mut info = ValueInfoProto::decode(bytes.clone()).unwrap();
        if info.name == from {
            info.name = to.into();
            *bytes = info.encode_to_vec().into();
        }
    }
    model.encode_to_vec()
}

/// The same file with one weight's first value replaced.
pub(crate) fn with_weight(file: &[u8], name: &str, value: f32) -> Vec<u8> {
    let mut model = Whole::decode(file).unwrap();
    for bytes in &mut model.graph.as_mut().unwrap().initializer {
        let mut tensor = TensorProto::decode(bytes.clone()).unwrap();
        if tensor.name == name {
            let mut data = tensor.raw_data.to_vec();
            data.as_chunks_mut().0.fill(value.to_le_bytes());
            tensor.raw_data = data.into();
            *bytes = tensor.encode_to_vec().into();
        }
    }
    model.encode_to_vec()
}
