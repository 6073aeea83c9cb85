//! Files that are read in part, and files that are none.

use super::{
    edit::{file, weights},
    *,
};
use crate::error::Kind;
use crate::worker::engine::piper::voice::tests::path;
use proptest::prelude::*;

fn voice() -> Vec<u8> {
    std::fs::read(path("test-voice.onnx")).unwrap()
}

fn read(bytes: &[u8]) -> Result<Graph> {
    Graph::read(file(bytes))
}

#[test]
fn weights_are_those_of_the_file() {
    let bytes = voice();
    let graph = read(&bytes).unwrap();
    let weights = weights(&bytes);
    assert!(weights.len() > 5);
    for tensor in &weights {
        let (known, expected) = (graph.floats(&tensor.name), floats(tensor));
        assert_eq!(known.is_some(), expected.is_some(), "{}", tensor.name);
        assert_eq!(known.map(|known| known.to_vec()), expected.map(|expected| expected.to_vec()), "{}", tensor.name);
        let dims: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
        assert_eq!(graph.weight_shape(&tensor.name), Some(dims));
    }
}

#[test]
fn a_part_that_is_all_of_it_holds_all_of_it() {
    let bytes = voice();
    let graph = read(&bytes).unwrap();
    let outputs: Vec<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
    let (made, takes) = graph.part(&[], &outputs).unwrap();
    assert_eq!(takes, ["input", "scales"], "the test voice does not look at the length");
    let again = read(&made).unwrap();
    let operations = |graph: &Graph| graph.nodes.iter().map(|node| node.op.clone()).collect::<Vec<_>>();
    assert_eq!(operations(&again), operations(&graph));
    let mut known = weights(&made);
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let needed = graph.upstream(&outputs, &[]);
    let mut expected: Vec<_> =
        weights(&bytes).into_iter().filter(|weight| needed.contains(weight.name.as_str())).collect();
    expected.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(known == expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn bytes_that_mean_nothing_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert_eq!(read(&bytes).unwrap_err().kind(), Kind::InvalidInput);
    }

    /// A length that promises more than the file has takes no memory.
    #[test]
    fn a_length_that_is_not_true_is_refused(field in 1..12_u8, length in 1_000_000..u64::MAX) {
        let mut bytes = vec![field << 3 | 2];
        prost::encoding::encode_varint(length, &mut bytes);
        prop_assert_eq!(read(&bytes).unwrap_err().kind(), Kind::InvalidInput);
    }
}
