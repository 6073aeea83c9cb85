//! Where a voice's graph can be cut: between text, durations, latents and audio.
//!
//! The names inside a voice's file differ from export to export, but its structure is that of VITS
//! (<https://arxiv.org/abs/2106.06103>), which every Piper voice has. So each place is found by what leads to it. What is
//! not found costs speed, not speech: the voice is then spoken by whole sentences, and a warning says why.

use super::onnx::{FLOAT, Graph, INT64, Node, Port};
use crate::error::{Error, Kind, Result};
use std::collections::HashSet;

/// What is known of a voice's graph. A place that was not found is `None`, and `warnings` says what that costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Anatomy {
    /// Whether it has several speakers, chosen by the input `sid`.
    pub(super) speakers: bool,
    /// The audio.
    pub(super) output: String,
    /// How many frames each id lasts: whole numbers, as floats.
    pub(super) durations: Option<String>,
    /// The noise that varies the durations, to be given rather than drawn.
    pub(super) duration_noise: Option<Noise>,
    /// Where the sentence can be cut in time.
    pub(super) cuts: Option<Cuts>,
    /// What the listener or the owner of the voice should know.
    pub(super) warnings: Vec<String>,
}

/// A node that draws random numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Noise {
    /// What it makes; it is given instead.
    pub(super) value: String,
    /// The value whose shape the noise has.
    pub(super) like: String,
}

/// The places where a sentence can be cut into windows of time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cuts {
    /// The noise of the latents.
    pub(super) noise: Noise,
    /// The latents before the flow, channels by frames.
    pub(super) before_flow: String,
    /// One for each frame that is there; all ones for a single sentence.
    pub(super) mask: String,
    /// The latents after the flow, which the decoder turns into audio.
    pub(super) latents: String,
    /// How many channels `latents` has.
    pub(super) channels: usize,
    /// Samples for one frame.
    pub(super) hop: usize,
    /// How many frames beside a window have a say in its audio.
    pub(super) decoder_context: Context,
    /// How many frames beside a window have a say in its latents.
    pub(super) flow_context: Context,
}

/// Frames to the left and to the right of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    /// Earlier frames.
    pub(super) before: usize,
    /// Later frames.
    pub(super) after: usize,
}

/// Looks a graph over.
///
/// # Errors
/// `Unsupported` when it has not the inputs and the output of a Piper voice.
pub(super) fn anatomy(graph: &Graph) -> Result<Anatomy> {
    let speakers = ports(graph)?;
    let output = graph.outputs.first().map(|port| port.name.clone()).unwrap_or_default();
    let mut found = Anatomy { speakers, output, ..Anatomy::default() };
    let of_text = graph.downstream(&["input"]);
    let audio = found.output.clone();
    let to_audio = graph.upstream(&[&audio], &[]);
    let on_the_way = |value: &str| of_text.contains(value) && to_audio.contains(value);
    let ceilings: Vec<&Node> =
        graph.nodes.iter().filter(|node| node.op == "Ceil" && on_the_way(node.output(0))).collect();
    if let &[ceiling] = ceilings.as_slice() {
        found.durations = Some(ceiling.output(0).into());
    } else {
        found.warnings.push(format!("no durations: {} roundings where there should be one", ceilings.len()));
    }
    noises(graph, &to_audio, &mut found);
    Ok(found)
}

/// Checks inputs and outputs; whether there is a `sid`.
fn ports(graph: &Graph) -> Result<bool> {
    let refuse = |why: String| Err(Error::new(Kind::Unsupported, format!("not a Piper voice: {why}")));
    for (name, kind, dims) in [("input", INT64, 2), ("input_lengths", INT64, 1), ("scales", FLOAT, 1)] {
        let Some(port) = graph.inputs.iter().find(|port| port.name == name) else {
            let names: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
            return refuse(format!("it has no input {name:?}, but {}", names.join(", ")));
        };
        if let Some(why) = differs(port, kind, dims) {
            return refuse(why);
        }
    }
    if let Some(port) =
        graph.inputs.iter().find(|port| !["input", "input_lengths", "scales", "sid"].contains(&port.name.as_str()))
    {
        return refuse(format!("nothing is known about its input {:?}", port.name));
    }
    let sid = graph.inputs.iter().find(|port| port.name == "sid");
    if let Some(why) = sid.and_then(|port| differs(port, INT64, 1)) {
        return refuse(why);
    }
    match graph.outputs.first() {
        None => refuse("it has no output".into()),
        Some(port) if port.kind != FLOAT && port.kind != 0 => refuse(format!("its output {:?} is no audio", port.name)),
        Some(_) => Ok(sid.is_some()),
    }
}

/// In what way an input differs from what it should be.
fn differs(port: &Port, kind: i32, dims: usize) -> Option<String> {
    let name = &port.name;
    if port.kind != kind && port.kind != 0 {
        let wanted = if kind == FLOAT { "32-bit floats" } else { "64-bit integers" };
        return Some(format!("its input {name:?} does not take {wanted}"));
    }
    let has = port.dims.filter(|&has| has != dims)?;
    Some(format!("its input {name:?} has {has} dimensions instead of {dims}"))
}

/// Finds the sources of noise, and the cuts behind them.
fn noises(graph: &Graph, to_audio: &HashSet<&str>, found: &mut Anatomy) {
    let to_durations = found.durations.as_deref().map(|value| graph.upstream(&[value], &[])).unwrap_or_default();
    let drawn = graph.nodes.iter().filter(|node| node.op.starts_with("Random") && to_audio.contains(node.output(0)));
    let (early, late): (Vec<&Node>, Vec<&Node>) = drawn.partition(|node| to_durations.contains(node.output(0)));
    let noise = |node: &Node| Noise { value: node.output(0).into(), like: node.input(0).into() };
    let like = |node: &&Node| node.op == "RandomNormalLike";
    match early.as_slice() {
        [] => {}
        &[node] if like(&node) => found.duration_noise = Some(noise(node)),
        _ => found.warnings.push("the seed has no effect on durations: their noise cannot be given".into()),
    }
    let cuts = match late.as_slice() {
        &[node] if found.durations.is_some() && like(&node) => cuts(graph, noise(node)),
        _ => Err(format!("{} sources of noise after the durations, where there should be one", late.len())),
    };
    match cuts {
        Ok(cuts) => found.cuts = Some(cuts),
        Err(why) => {
            found.warnings.push(format!("speech comes by whole sentences, since the voice cannot be cut: {why}"));
            if !late.is_empty() {
                found.warnings.push("the seed has no effect: the noise cannot be given".into());
            }
        }
    }
}

/// Finds the cuts in time; otherwise, what is missing.
fn cuts(graph: &Graph, noise: Noise) -> Result<Cuts, String> {
    let noisy = graph.downstream(&[&noise.value]);
    let first = graph.nodes.iter().find(|node| node.op == "ConvTranspose" && noisy.contains(node.output(0)));
    let first = first.ok_or("nothing in it makes audio out of frames")?;
    // Back over activations and the speaker's part, which does not depend on the noise, to the first convolution.
    let before = |node: &Node| {
        node.inputs.iter().find(|value| noisy.contains(value.as_str())).and_then(|value| graph.producer(value))
    };
    let steps = graph.nodes.len();
    let entry = std::iter::successors(before(first), |node| before(node)).take(steps).find(|node| node.op == "Conv");
    let entry = entry.ok_or("its decoder does not begin with a convolution")?;
    let mut masked = before(entry);
    for _ in 0..steps {
        masked = match masked {
            Some(node) if matches!(node.op.as_str(), "Slice" | "Identity" | "Cast") => before(node),
            other => other,
        };
    }
    let masked = masked.filter(|node| node.op == "Mul").ok_or("its decoder does not begin with masked frames")?;
    let mask = masked
        .inputs
        .iter()
        .find(|value| !noisy.contains(value.as_str()))
        .ok_or("the mask of its frames is not found")?;
    let sum = std::iter::successors(graph.users(&noise.value).next(), |node| graph.users(node.output(0)).next());
    let sum = sum.take(steps).find(|node| node.op == "Add").ok_or("nothing adds its noise")?;
    let (before_flow, latents) = (sum.output(0), masked.output(0));
    for (what, given, made) in [
        ("flow", vec![before_flow, mask.as_str()], latents),
        ("decoder", vec![latents], graph.outputs.first().map_or("", |port| &port.name)),
    ] {
        let takes = graph.takes(&given, &[made]);
        if let Some(more) = takes.iter().find(|name| !given.contains(&name.as_str()) && *name != "sid") {
            return Err(format!("its {what} takes {more:?} too"));
        }
    }
    let kernel = graph.weight_shape(entry.input(1)).ok_or("the weights of its decoder are not found")?;
    let groups = usize::try_from(entry.int("group").unwrap_or(1)).unwrap_or(0);
    let channels = kernel.get(1).and_then(|channels| channels.checked_mul(groups)).unwrap_or(0);
    if channels == 0 || channels > MOST_CHANNELS {
        return Err(format!("its frames have {channels} channels"));
    }
    let output = graph.outputs.first().map_or("", |port| &port.name);
    let hop = hop(graph, latents, output).ok_or("it is not known how many samples a frame has")?;
    let decoder_context = context(graph, latents, output, hop).ok_or("how far its decoder looks is not found")?;
    let flow_context = context(graph, before_flow, latents, 1).ok_or("how far its flow looks is not found")?;
    let (before_flow, latents, mask) = (before_flow.into(), latents.into(), mask.clone());
    Ok(Cuts { noise, before_flow, mask, latents, channels, hop, decoder_context, flow_context })
}

/// Operations that look neither to the left nor to the right, as voices use them.
const STAYS: &[&str] = &[
    "Abs",
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Erf",
    "Exp",
    "Expand",
    "Gather",
    "Identity",
    "LeakyRelu",
    "Log",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "Pow",
    "Relu",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Tanh",
    "Unsqueeze",
    "Where",
];

/// Ten times those of any voice.
const MOST_CHANNELS: usize = 4096;

/// Samples for one frame: the product of the strides along the way.
fn hop(graph: &Graph, from: &str, to: &str) -> Option<usize> {
    let after = graph.downstream(&[from]);
    let mut hop = 1usize;
    let mut node = graph.producer(to);
    for _ in 0..graph.nodes.len() {
        let Some(here) = node.filter(|_| hop <= 1 << 16) else { break };
        if here.op == "ConvTranspose" {
            hop = hop.checked_mul(Sliding::of(graph, here)?.stride)?;
        }
        node = here.inputs.iter().find(|value| after.contains(value.as_str())).and_then(|value| graph.producer(value));
        if here.inputs.iter().any(|value| value == from) {
            return Some(hop);
        }
    }
    None
}

/// The numbers of a convolution in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sliding {
    /// Taps.
    pub(super) kernel: usize,
    /// Distance between taps.
    pub(super) dilation: usize,
    /// Steps in the input, or in the output when it is transposed.
    pub(super) stride: usize,
    /// Zeros before the first value.
    pub(super) pad: usize,
    /// Zeros after the last.
    pub(super) pad_end: usize,
    /// Groups of channels.
    pub(super) groups: usize,
}

impl Sliding {
    /// Reads a `Conv` or `ConvTranspose`; `None` when it is not one-dimensional or has numbers that make no sense.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let &[_, _, kernel] = graph.weight_shape(node.input(1))?.as_slice() else { return None };
        let number = |name: &str, index: usize, missing: usize| match node.ints(name).get(index) {
            Some(&value) => usize::try_from(value).ok().filter(|&value| value < 1 << 16),
            None => Some(missing),
        };
        let plain = matches!(node.text("auto_pad").unwrap_or(""), "" | "NOTSET");
        let output_padding =
            node.ints("output_padding").iter().chain(node.ints("output_shape")).all(|&value| value == 0);
        let groups = usize::try_from(node.int("group").unwrap_or(1)).ok()?;
        let sliding = Self {
            kernel,
            dilation: number("dilations", 0, 1)?,
            stride: number("strides", 0, 1)?,
            pad: number("pads", 0, 0)?,
            pad_end: number("pads", 1, 0)?,
            groups,
        };
        let sane = kernel > 0 && kernel < 1 << 16 && sliding.dilation > 0 && sliding.stride > 0 && groups > 0;
        (plain && output_padding && sane).then_some(sliding)
    }

    /// The inputs that outputs `first..=last` are made of, in a `Conv` or, if so, in a `ConvTranspose`.
    pub(super) fn reach(self, first: i64, last: i64, transposed: bool) -> (i64, i64) {
        let [span, stride, pad] = [(self.kernel - 1) * self.dilation, self.stride, self.pad].map(|n| n as i64);
        if transposed {
            (-((-(first + pad - span)).div_euclid(stride)), (last + pad).div_euclid(stride))
        } else {
            (first * stride - pad, last * stride - pad + span)
        }
    }
}

/// How many frames of `from` beside a frame have a say in that frame's part of `to`, where a frame has `hop` values.
///
/// Walks back from one frame's values, widening the range at each convolution by what its taps reach. `None` where
/// something else may look to the left or to the right.
fn context(graph: &Graph, from: &str, to: &str, hop: usize) -> Option<Context> {
    let between = graph.downstream(&[from]);
    let mut ranges = std::collections::HashMap::from([(to, (0i64, i64::try_from(hop).ok()? - 1))]);
    // Backwards through an order of execution, every user comes before its producer.
    for node in graph.nodes.iter().rev() {
        let outputs = node.outputs.iter().filter_map(|name| ranges.get(name.as_str()).copied());
        let Some((first, last)) = outputs.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { continue };
        if node.outputs.iter().any(|name| name == from) {
            break;
        }
        let (first, last) = match node.op.as_str() {
            "Conv" => Sliding::of(graph, node)?.reach(first, last, false),
            "ConvTranspose" => Sliding::of(graph, node)?.reach(first, last, true),
            other if STAYS.contains(&other) => (first, last),
            _ => return None,
        };
        for input in node.inputs.iter().filter(|name| between.contains(name.as_str())) {
            let range = ranges.entry(input).or_insert((first, last));
            *range = (range.0.min(first), range.1.max(last));
        }
    }
    let &(first, last) = ranges.get(from)?;
    Some(Context { before: usize::try_from(-first.min(0)).ok()?, after: usize::try_from(last.max(0)).ok()? })
}

/// What the way from `from` to `to` takes beside these and the graph's inputs: values that are to be computed before.
pub(super) fn frontier(graph: &Graph, from: &[&str], to: &str) -> Vec<String> {
    let (after, before) = (graph.downstream(from), graph.upstream(&[to], from));
    let sources: Vec<&str> = graph.inputs.iter().map(|port| port.name.as_str()).collect();
    let drawn = graph.nodes.iter().filter(|node| node.op.starts_with("Random")).map(|node| node.output(0));
    let live = graph.downstream(&sources.iter().copied().chain(drawn).collect::<Vec<_>>());
    let between = |value: &str| after.contains(value) && before.contains(value);
    let on_the_way = |node: &&Node| node.outputs.iter().any(|name| between(name) && !from.contains(&name.as_str()));
    let mut found: Vec<String> = Vec::new();
    for value in graph.nodes.iter().filter(on_the_way).flat_map(|node| &node.inputs) {
        let name = value.as_str();
        if live.contains(name) && !between(name) && !sources.contains(&name) && !found.contains(value) {
            found.push(value.clone());
        }
    }
    found
}
