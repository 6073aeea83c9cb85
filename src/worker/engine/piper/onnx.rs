//! An ONNX file as far as a voice needs it: its nodes and names are read, its weights are left where they are.
//!
//! rten shows neither the kinds of a model's operators nor their attributes, and it may optimise away any value that is
//! no input or output. So we read the graph ourselves, find where it can be cut, and hand rten each part as a model of
//! its own, in which the cuts are inputs and outputs. Nodes and weights that go into a part are copied byte for byte,
//! fields unknown to us included.

use crate::error::{Error, Result};
use file::{Weight, broken};
use prost::{Message, bytes::Bytes};
use proto::{Attribute, FloatAttribute, GraphProto, ModelProto, NodeProto, SeededNode, TensorProto, ValueInfoProto};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
};

mod file;
mod proto;

/// `TensorProto.DataType`: 32-bit floats, and 64-bit integers.
pub(super) const FLOAT: i32 = 1;
pub(super) const INT64: i32 = 7;

/// How deep bodies of control flow may lie in each other: voices have one level.
const DEEPEST: usize = 16;

/// One operation.
#[derive(Debug)]
pub(super) struct Node {
    /// What it does, such as "Conv".
    pub(super) op: String,
    /// Names of what goes in; "" where an optional input is left out. What bodies of control flow take from outside
    /// comes last.
    pub(super) inputs: Vec<String>,
    /// Names of what comes out.
    pub(super) outputs: Vec<String>,
    attributes: Vec<Attribute>,
    bytes: Bytes,
}

impl Node {
    /// An integer attribute.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name).map(|attribute| attribute.i)
    }

    /// A float attribute.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).map(|attribute| attribute.f)
    }

    /// A list of integers; empty when it is not there.
    pub(super) fn ints(&self, name: &str) -> &[i64] {
        self.attribute(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// A string attribute, where it is one.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.attribute(name).and_then(|attribute| std::str::from_utf8(&attribute.s).ok())
    }

    fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|attribute| attribute.t.as_ref())
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// Its bytes; where it makes noise, with a seed.
    fn seeded(&self) -> Bytes {
        if !self.op.starts_with("Random") || self.attribute("seed").is_some() {
            return self.bytes.clone();
        }
        let attribute = FloatAttribute { name: "seed".into(), f: 1.0, kind: 1 };
        // In this encoding, bytes that follow add to a message.
        [self.bytes.to_vec(), SeededNode { attribute: Some(attribute) }.encode_to_vec()].concat().into()
    }

    /// The `index`th input, "" when it is left out.
    pub(super) fn input(&self, index: usize) -> &str {
        self.inputs.get(index).map_or("", String::as_str)
    }

    /// The `index`th output, "" when there is none.
    pub(super) fn output(&self, index: usize) -> &str {
        self.outputs.get(index).map_or("", String::as_str)
    }
}

/// An input or output of the whole graph.
#[derive(Debug)]
pub(super) struct Port {
    /// Its name.
    pub(super) name: String,
    /// `TensorProto.DataType`; 0 when the file does not say.
    pub(super) kind: i32,
    /// How many dimensions it has, when the file says.
    pub(super) dims: Option<usize>,
    bytes: Bytes,
}

/// Floats with their shape.
#[derive(Clone, Debug)]
pub(super) struct Floats {
    /// The shape, outermost first.
    pub(super) dims: Vec<usize>,
    bytes: Bytes,
}

impl Floats {
    /// The value at a place; there are as many as the shape has places.
    pub(super) fn at(&self, place: usize) -> f32 {
        self.bytes.as_chunks().0.get(place).map_or(0.0, |&bytes| f32::from_le_bytes(bytes))
    }

    /// All values.
    pub(super) fn to_vec(&self) -> Vec<f32> {
        self.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

/// A voice's graph.
#[derive(Debug)]
pub(super) struct Graph {
    /// All operations, in an order in which they can be carried out (ONNX demands that of a file).
    pub(super) nodes: Vec<Node>,
    /// What has to be given.
    pub(super) inputs: Vec<Port>,
    /// What comes out.
    pub(super) outputs: Vec<Port>,
    file: File,
    weights: HashMap<String, Weight>,
    producer: HashMap<String, usize>,
    users: HashMap<String, Vec<usize>>,
    ir_version: i64,
    opset_import: Vec<Bytes>,
}

impl Graph {
    /// Reads a file, but for its weights. They are read when they are asked for.
    ///
    /// # Errors
    /// `InvalidInput` when it is no ONNX model or breaks off, `Io` when it cannot be read.
    pub(super) fn read(file: File) -> Result<Self> {
        let outline = file::outline(&file)?;
        let model = ModelProto::decode(outline.model).map_err(broken)?;
        let graph = outline.graph.map(GraphProto::decode).transpose().map_err(broken)?;
        let Some(graph) = graph.filter(|graph| !graph.node.is_empty()) else {
            return Err(Error::invalid("not an ONNX model: it has no graph"));
        };
        // It comes last in files as PyTorch writes them.
        if model.opset_import.is_empty() {
            return Err(Error::invalid("not an ONNX model, or cut short: it does not say which operations it uses"));
        }
        if let Some(weight) = outline.weights.iter().find(|weight| weight.is_elsewhere()) {
            return Err(Error::invalid(format!("the weight {:?} lies in another file", weight.name())));
        }
        let weights: HashMap<_, _> =
            outline.weights.into_iter().map(|weight| (weight.name().to_owned(), weight)).collect();
        let nodes = graph.node.into_iter().map(|bytes| node(bytes, 0)).collect::<Result<Vec<_>>>()?;
        let ports = |list: Vec<Bytes>| list.into_iter().map(port).collect::<Result<Vec<_>, _>>().map_err(broken);
        let mut inputs = ports(graph.input)?;
        // Files of ONNX before 1.4 list their weights among the inputs too.
        inputs.retain(|input| !weights.contains_key(&input.name));
        let outputs = ports(graph.output)?;
        let mut producer = HashMap::new();
        let mut users: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in nodes.iter().enumerate() {
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                producer.insert(name.clone(), index);
            }
            for name in node.inputs.iter().filter(|name| !name.is_empty()) {
                users.entry(name.clone()).or_default().push(index);
            }
        }
        let (ir_version, opset_import) = (model.ir_version, model.opset_import);
        Ok(Self { nodes, inputs, outputs, file, weights, producer, users, ir_version, opset_import })
    }

    /// The operation that makes a value; none for an input or a weight.
    pub(super) fn producer(&self, value: &str) -> Option<&Node> {
        self.producer.get(value).and_then(|&index| self.nodes.get(index))
    }

    /// The operations that take a value.
    pub(super) fn users<'a>(&'a self, value: &str) -> impl Iterator<Item = &'a Node> {
        self.users.get(value).into_iter().flatten().filter_map(|&index| self.nodes.get(index))
    }

    /// All values that depend on one of `values`, those included.
    pub(super) fn downstream<'a>(&'a self, values: &[&'a str]) -> HashSet<&'a str> {
        let (mut found, mut open) = (HashSet::new(), values.to_vec());
        while let Some(value) = open.pop() {
            if found.insert(value) {
                open.extend(self.users(value).flat_map(|node| node.outputs.iter().map(String::as_str)));
            }
        }
        found
    }

    /// All values that one of `values` depends on, those included; nothing is looked for behind `stop`.
    pub(super) fn upstream<'a>(&'a self, values: &[&'a str], stop: &[&str]) -> HashSet<&'a str> {
        let (mut found, mut open) = (HashSet::new(), values.to_vec());
        while let Some(value) = open.pop() {
            if value.is_empty() || !found.insert(value) || stop.contains(&value) {
                continue;
            }
            open.extend(self.producer(value).into_iter().flat_map(|node| node.inputs.iter().map(String::as_str)));
        }
        found
    }

    /// A constant: a weight, or what a `Constant` node holds.
    fn constant(&self, value: &str) -> Option<TensorProto> {
        match self.stored(value)? {
            Stored::Weight(weight) => weight.tensor(&self.file).ok(),
            Stored::Constant(tensor) => Some(tensor.clone()),
        }
    }

    fn stored<'a>(&'a self, mut value: &'a str) -> Option<Stored<'a>> {
        // Each step goes to an earlier operation, unless the file is broken.
        for _ in 0..=self.nodes.len() {
            if let Some(weight) = self.weights.get(value) {
                return Some(Stored::Weight(weight));
            }
            let node = self.producer(value)?;
            match node.op.as_str() {
                "Constant" => return node.tensor("value").map(Stored::Constant),
                "Identity" => value = node.input(0),
                _ => return None,
            }
        }
        None
    }

    /// A constant of floats.
    pub(super) fn floats(&self, value: &str) -> Option<Floats> {
        floats(&self.constant(value)?)
    }

    /// A float attribute that is a tensor of one value, such as the value of a `ConstantOfShape`; 0 when left out.
    pub(super) fn fill(node: &Node) -> Option<f32> {
        let Some(tensor) = node.tensor("value") else { return Some(0.0) };
        Some(floats(tensor)?.at(0))
    }

    /// A constant of integers, in a row.
    pub(super) fn integers(&self, value: &str) -> Option<Vec<i64>> {
        let tensor = self.constant(value)?;
        if tensor.data_type != INT64 {
            return None;
        }
        if tensor.raw_data.is_empty() {
            return Some(tensor.int64_data);
        }
        Some(tensor.raw_data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect())
    }

    /// The shape of a weight, without its values.
    pub(super) fn weight_shape(&self, value: &str) -> Option<Vec<usize>> {
        let dims = match self.stored(value)? {
            Stored::Weight(weight) => weight.dims(),
            Stored::Constant(tensor) => &tensor.dims,
        };
        dims.iter().map(|&dim| usize::try_from(dim).ok()).collect()
    }

    /// A model of its own that makes `outputs` from `given` and such inputs of the graph as it still needs, and the
    /// names of all it takes. `given` and `outputs` may be any values of the graph. Its noise is the same in every run.
    ///
    /// # Errors
    /// `Io` when the file cannot be read any more.
    pub(super) fn part(&self, given: &[&str], outputs: &[&str]) -> Result<(Vec<u8>, Vec<String>)> {
        let needed = self.upstream(outputs, given);
        let made = |node: &Node| {
            node.outputs.iter().any(|name| needed.contains(name.as_str()) && !given.contains(&name.as_str()))
        };
        let node: Vec<Bytes> = self.nodes.iter().filter(|node| made(node)).map(Node::seeded).collect();
        let mut weights: Vec<&Weight> = self.weights.values().filter(|weight| needed.contains(weight.name())).collect();
        weights.sort_by_key(|weight| weight.name());
        let takes = self.takes(given, outputs);
        let model = ModelProto { ir_version: self.ir_version, opset_import: self.opset_import.clone() };
        let graph = GraphProto {
            node,
            input: takes.iter().map(|name| self.port_bytes(name)).collect(),
            output: outputs.iter().map(|name| self.port_bytes(name)).collect(),
        };
        Ok((file::model(&model.encode_to_vec(), &graph.encode_to_vec(), &weights, &self.file)?, takes))
    }

    /// What has to be given to make `outputs`: those of `given` that have a say, and inputs of the graph.
    pub(super) fn takes(&self, given: &[&str], outputs: &[&str]) -> Vec<String> {
        let needed = self.upstream(outputs, given);
        let inputs = self.inputs.iter().map(|input| input.name.as_str()).filter(|name| !given.contains(name));
        given.iter().copied().chain(inputs).filter(|name| needed.contains(name)).map(String::from).collect()
    }

    /// How a value is declared as an input or output: as in the file, otherwise by its name alone.
    fn port_bytes(&self, name: &str) -> Bytes {
        let known = self.inputs.iter().chain(&self.outputs).find(|port| port.name == name);
        known.map_or_else(
            || ValueInfoProto { name: name.into(), of: None }.encode_to_vec().into(),
            |port| port.bytes.clone(),
        )
    }
}

/// Where a constant is.
enum Stored<'a> {
    Weight(&'a Weight),
    Constant(&'a TensorProto),
}

/// Reads an operation that lies so deep in the bodies of others.
fn node(bytes: Bytes, depth: usize) -> Result<Node> {
    if depth > DEEPEST {
        return Err(Error::invalid(format!("the model has bodies in each other more than {DEEPEST} deep")));
    }
    let proto = NodeProto::decode(bytes.clone()).map_err(broken)?;
    let mut inputs = proto.input;
    for body in proto.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
        captured(body, &mut inputs, depth + 1)?;
    }
    Ok(Node { op: proto.op_type, inputs, outputs: proto.output, attributes: proto.attribute, bytes })
}

/// Adds what the body of an `If` or a `Loop` may take from outside: every name that it mentions, for a name that it
/// makes itself is found nowhere outside and does no harm.
fn captured(body: &GraphProto, names: &mut Vec<String>, depth: usize) -> Result<()> {
    for bytes in &body.node {
        names.extend(node(bytes.clone(), depth)?.inputs);
    }
    for bytes in &body.output {
        names.push(ValueInfoProto::decode(bytes.clone()).map_err(broken)?.name);
    }
    Ok(())
}

fn port(bytes: Bytes) -> Result<Port, prost::DecodeError> {
    let info = ValueInfoProto::decode(bytes.clone())?;
    let tensor = info.of.and_then(|of| of.tensor).unwrap_or_default();
    Ok(Port { name: info.name, kind: tensor.elem_type, dims: tensor.shape.map(|shape| shape.dim.len()), bytes })
}

fn floats(tensor: &TensorProto) -> Option<Floats> {
    if tensor.data_type != FLOAT {
        return None;
    }
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect::<Option<Vec<_>>>()?;
    let bytes = if tensor.raw_data.is_empty() {
        tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect()
    } else {
        tensor.raw_data.clone()
    };
    let places = dims.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
    (places.checked_mul(4) == Some(bytes.len())).then_some(Floats { dims, bytes })
}

#[cfg(test)]
pub(super) mod edit;

#[cfg(test)]
mod tests;
