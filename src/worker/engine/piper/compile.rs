//! Turns a stretch of a voice's graph, from one signal to another, into a tape.
//!
//! Only what the flow and the decoder of VITS are made of is understood. Anything else is refused by name, and rten
//! does that part then.

use super::{
    fuse::fuse,
    graph::Sliding,
    kernel::Weights,
    onnx::{Graph, Node},
    pointwise::{self, Join, Map},
    tape::{Action, Column, Register, Step, Tape, View},
};
use std::collections::{HashMap, HashSet};

/// Weights that a convolution in groups may have when it is written out as one over all channels.
const DENSE_LIMIT: usize = 1 << 20;

/// What is known of a value of the graph while it is compiled.
#[derive(Clone, Debug)]
enum Value {
    /// A signal.
    Signal(View),
    /// The same number everywhere, whatever the shape.
    Number(f32),
    /// One number for each channel.
    Column(Column),
    /// A shape, which only serves to make numbers of that shape.
    Shape,
}

/// A tape, and what it is to be given.
#[derive(Debug)]
pub(super) struct Compiled {
    /// The tape.
    pub(super) tape: Tape,
    /// Values that depend on the speaker alone, in the order of the tape's columns.
    pub(super) columns: Vec<String>,
}

struct Compiler<'a> {
    graph: &'a Graph,
    values: HashMap<&'a str, Value>,
    of_speaker: HashSet<&'a str>,
    registers: Vec<Register>,
    steps: Vec<Step>,
    columns: Vec<String>,
}

/// Compiles what leads from `from`, which has `channels` rows and one value for each frame, to `to`. `mask`, where there
/// is one, is 1 throughout.
///
/// # Errors
/// What is not understood.
pub(super) fn compile(
    graph: &Graph,
    (from, channels): (&str, usize),
    mask: Option<&str>,
    to: &str,
) -> Result<Compiled, String> {
    let given: Vec<&str> = std::iter::once(from).chain(mask).collect();
    let needed = graph.upstream(&[to], &given);
    let moving = graph.downstream(&[from]);
    let mut compiler = Compiler {
        graph,
        values: HashMap::new(),
        of_speaker: graph.downstream(&["sid"]),
        registers: vec![Register { rows: channels, rate: 1 }],
        steps: Vec::new(),
        columns: Vec::new(),
    };
    compiler.values.extend(graph.inputs.iter().map(|_| ("", Value::Shape)));
    compiler.values.insert(from_graph(graph, from), Value::Signal(View { register: 0, rows: 0..channels }));
    if let Some(mask) = mask {
        compiler.values.insert(from_graph(graph, mask), Value::Number(1.0));
    }
    for node in &graph.nodes {
        let wanted = node.outputs.iter().any(|name| needed.contains(name.as_str()));
        let known = node.outputs.iter().any(|name| given.contains(&name.as_str()));
        let follows = node.inputs.iter().any(|name| moving.contains(name.as_str()) || mask == Some(name));
        let derived = node
            .inputs
            .iter()
            .any(|name| matches!(compiler.values.get(name.as_str()), Some(Value::Shape | Value::Number(_))));
        if wanted && !known && (follows || derived && !compiler.of_speaker.contains(node.output(0))) {
            compiler.node(node).map_err(|why| format!("{} ({}): {why}", node.op, node.output(0)))?;
        }
    }
    let Some(Value::Signal(output)) = compiler.values.get(to).cloned() else {
        return Err(format!("{to:?} is no signal"));
    };
    let tape = Tape { registers: compiler.registers, steps: compiler.steps, output };
    Ok(Compiled { tape: fuse(tape), columns: compiler.columns })
}

/// The graph's own copy of a name.
fn from_graph<'a>(graph: &'a Graph, name: &str) -> &'a str {
    let outputs = graph.producer(name).into_iter().flat_map(|node| &node.outputs);
    outputs.map(String::as_str).find(|&output| output == name).unwrap_or("")
}

impl<'a> Compiler<'a> {
    fn node(&mut self, node: &'a Node) -> Result<(), String> {
        let value = match node.op.as_str() {
            "Conv" => self.convolution(node)?,
            "ConvTranspose" => self.upsampling(node)?,
            "LeakyRelu" => self.map(node, Map::ScaledLeaky(1.0, node.float("alpha").unwrap_or(0.01)))?,
            "Relu" => self.map(node, Map::ScaledLeaky(1.0, 0.0))?,
            "Tanh" => self.map(node, Map::Tanh)?,
            "Sigmoid" => self.map(node, Map::Sigmoid)?,
            "Exp" => self.map(node, Map::Exp)?,
            "Neg" => self.map(node, Map::Affine(-1.0, 0.0))?,
            "Add" => self.join(node, Join::Add)?,
            "Sub" => self.join(node, Join::Sub)?,
            "Mul" => self.join(node, Join::Mul)?,
            "Div" => self.join(node, Join::Div)?,
            // A singled-out dimension of size one does not change a line of samples.
            "Identity" | "Cast" | "Unsqueeze" | "Squeeze" => self.value(node.input(0))?,
            "Shape" => Value::Shape,
            "ConstantOfShape" => Value::Number(Graph::fill(node).ok_or("its value is not understood")?),
            "Slice" => self.slice(node)?,
            "Split" => return self.split(node),
            "Concat" => self.concat(node)?,
            _ => return Err("not understood".into()),
        };
        self.values.insert(node.output(0), value);
        Ok(())
    }

    fn value(&mut self, name: &'a str) -> Result<Value, String> {
        if let Some(value) = self.values.get(name) {
            return Ok(value.clone());
        }
        let value = if let Some(floats) = self.graph.floats(name) {
            match floats.dims.as_slice() {
                dims if dims.iter().all(|&dim| dim == 1) => Value::Number(floats.at(0)),
                &[1, _, 1] | &[_, 1] => Value::Column(Column::Constant(floats.to_vec())),
                dims => return Err(format!("takes {name:?} of shape {dims:?}")),
            }
        } else if self.of_speaker.contains(name) {
            self.columns.push(name.into());
            Value::Column(Column::Speaker(self.columns.len() - 1))
        } else {
            return Err(format!("takes {name:?}, of which nothing is known"));
        };
        self.values.insert(name, value.clone());
        Ok(value)
    }

    fn signal(&mut self, name: &'a str) -> Result<View, String> {
        match self.value(name)? {
            Value::Signal(view) => Ok(view),
            other => Err(format!("takes {name:?}, which is no signal but {other:?}")),
        }
    }

    fn rate(&self, view: &View) -> usize {
        self.registers[view.register].rate
    }

    fn step(&mut self, rows: usize, rate: usize, action: Action) -> Value {
        let output = self.registers.len();
        self.registers.push(Register { rows, rate });
        self.steps.push(Step { action, output });
        Value::Signal(View { register: output, rows: 0..rows })
    }

    fn map(&mut self, node: &'a Node, map: Map) -> Result<Value, String> {
        Ok(match self.value(node.input(0))? {
            Value::Signal(input) => self.step(input.rows.len(), self.rate(&input), Action::Map { input, map }),
            Value::Number(number) => {
                let mut out = [0.0];
                pointwise::map(map, &[number], &mut out);
                Value::Number(out[0])
            }
            other => return Err(format!("of {other:?}")),
        })
    }

    fn join(&mut self, node: &'a Node, join: Join) -> Result<Value, String> {
        let (a, b) = (self.value(node.input(0))?, self.value(node.input(1))?);
        Ok(match (a, b) {
            (Value::Signal(a), Value::Signal(b)) => {
                if a.rows.len() != b.rows.len() || self.rate(&a) != self.rate(&b) {
                    return Err("signals differ in size".into());
                }
                self.step(a.rows.len(), self.rate(&a), Action::Join { a, b, join })
            }
            (Value::Signal(input), Value::Number(number)) => self.with_number(input, number, join),
            (Value::Number(number), Value::Signal(input)) if matches!(join, Join::Add | Join::Mul) => {
                self.with_number(input, number, join)
            }
            (Value::Number(number), Value::Signal(input)) => {
                self.shade(input, Column::Constant(vec![number]), join, true)?
            }
            (Value::Signal(input), Value::Column(column)) => self.shade(input, column, join, false)?,
            (Value::Column(column), Value::Signal(input)) => self.shade(input, column, join, true)?,
            (Value::Number(a), Value::Number(b)) => Value::Number(join.numbers(a, b)),
            (a, b) => return Err(format!("of {a:?} and {b:?}")),
        })
    }

    fn with_number(&mut self, input: View, number: f32, join: Join) -> Value {
        let map = match join {
            Join::Add if number == 0.0 => return Value::Signal(input),
            Join::Sub if number == 0.0 => return Value::Signal(input),
            Join::Mul | Join::Div if number == 1.0 => return Value::Signal(input),
            Join::Add => Map::Affine(1.0, number),
            Join::Sub => Map::Affine(1.0, -number),
            Join::Mul => Map::Affine(number, 0.0),
            Join::Div => Map::Affine(1.0 / number, 0.0),
        };
        self.step(input.rows.len(), self.rate(&input), Action::Map { input, map })
    }

    fn shade(&mut self, input: View, column: Column, join: Join, column_first: bool) -> Result<Value, String> {
        if let Column::Constant(values) = &column
            && values.len() != 1
            && values.len() != input.rows.len()
        {
            return Err(format!("{} values for {} channels", values.len(), input.rows.len()));
        }
        let (rows, rate) = (input.rows.len(), self.rate(&input));
        Ok(self.step(rows, rate, Action::Shade { input, column, join, column_first }))
    }

    fn convolution(&mut self, node: &'a Node) -> Result<Value, String> {
        let input = self.signal(node.input(0))?;
        let sliding = Sliding::of(self.graph, node).ok_or("its numbers are not understood")?;
        let kernel = self.graph.floats(node.input(1)).ok_or("its weights are not floats")?;
        let &[outputs, per_group, taps] = kernel.dims.as_slice() else { return Err("not in one dimension".into()) };
        let (rows, groups) = (input.rows.len(), sliding.groups);
        let reach = (taps - 1) * sliding.dilation;
        if sliding.stride != 1 || sliding.pad + sliding.pad_end != reach {
            return Err("it changes the length".into());
        }
        if per_group.checked_mul(groups) != Some(rows) || outputs == 0 || outputs % groups != 0 {
            return Err("its weights do not fit its input".into());
        }
        let dense = outputs.checked_mul(rows).and_then(|product| product.checked_mul(taps));
        if groups > 1 && dense.is_none_or(|dense| dense > DENSE_LIMIT) {
            return Err("too many groups".into());
        }
        let outputs_per_group = outputs / groups;
        let at = |output: usize, input: usize, tap: usize| {
            if groups == 1 {
                return kernel.at((output * per_group + input) * taps + tap);
            }
            let group = output / outputs_per_group;
            match input.checked_sub(group * per_group) {
                Some(input) if input < per_group => kernel.at((output * per_group + input) * taps + tap),
                _ => 0.0,
            }
        };
        let bias = self.bias(node, outputs)?;
        let weights = Weights::pack([outputs, rows, taps], sliding.dilation, bias, at);
        let (rate, shift) = (self.rate(&input), -(sliding.pad as i64));
        Ok(self.step(outputs, rate, Action::Convolve { input, weights, shift, residual: None }))
    }

    fn upsampling(&mut self, node: &'a Node) -> Result<Value, String> {
        let input = self.signal(node.input(0))?;
        let sliding = Sliding::of(self.graph, node).ok_or("its numbers are not understood")?;
        let kernel = self.graph.floats(node.input(1)).ok_or("its weights are not floats")?;
        let &[inputs, outputs, width] = kernel.dims.as_slice() else { return Err("not in one dimension".into()) };
        let stride = sliding.stride;
        if sliding.groups != 1 || sliding.dilation != 1 || inputs != input.rows.len() || outputs == 0 {
            return Err("its weights do not fit its input".into());
        }
        if width.checked_sub(sliding.pad + sliding.pad_end) != Some(stride) {
            return Err("it does not multiply the length by its stride".into());
        }
        let taps = width.div_ceil(stride);
        let phases = outputs.checked_mul(stride).filter(|phases| phases.saturating_mul(inputs * taps) <= 1 << 26);
        let phases = phases.ok_or("too large")?;
        // Output `o` at phase `p` is a sum over taps of `x[q - m] * w[p + m * stride]`; the kernel reads in rising time.
        let at = |row: usize, input: usize, tap: usize| {
            let place = row % stride + (taps - 1 - tap) * stride;
            if place < width { kernel.at((input * outputs + row / stride) * width + place) } else { 0.0 }
        };
        let bias = self.bias(node, outputs)?.into_iter().flat_map(|value| std::iter::repeat_n(value, stride)).collect();
        let weights = Weights::pack([phases, inputs, taps], 1, bias, at);
        let rate = self.rate(&input).checked_mul(stride).filter(|&rate| rate < 1 << 16).ok_or("too large")?;
        Ok(self.step(outputs, rate, Action::Upsample { input, weights, stride, pad: sliding.pad as i64 }))
    }

    fn bias(&self, node: &Node, outputs: usize) -> Result<Vec<f32>, String> {
        if node.input(2).is_empty() {
            return Ok(vec![0.0; outputs]);
        }
        let bias = self.graph.floats(node.input(2)).ok_or("its bias is not floats")?.to_vec();
        if bias.len() == outputs { Ok(bias) } else { Err("its bias does not fit".into()) }
    }

    /// A slice of channels; slices of other dimensions have to take all.
    fn slice(&mut self, node: &'a Node) -> Result<Value, String> {
        let view = match self.value(node.input(0))? {
            Value::Signal(view) => view,
            other @ (Value::Shape | Value::Number(_)) => return Ok(other),
            Value::Column(_) => return Err("of a column".into()),
        };
        let list = |index: usize| self.graph.integers(node.input(index));
        let (Some(starts), Some(ends)) = (list(1), list(2)) else { return Err("its ends are computed".into()) };
        let axes =
            if node.input(3).is_empty() { (0..starts.len() as i64).collect() } else { list(3).unwrap_or_default() };
        let steps = if node.input(4).is_empty() { vec![1; starts.len()] } else { list(4).unwrap_or_default() };
        let mut value = view;
        if axes.len() != starts.len() || ends.len() != starts.len() || steps.len() != starts.len() {
            return Err("its ends are not understood".into());
        }
        for (((&axis, &start), &end), &step) in axes.iter().zip(&starts).zip(&ends).zip(&steps) {
            let rows = value.rows.len() as i64;
            let place = |at: i64| if at < 0 { at.saturating_add(rows) } else { at }.clamp(0, rows);
            match (axis, step) {
                (1 | -2, 1) => {
                    let (from, to) = (place(start) as usize, place(end) as usize);
                    let base = value.rows.start;
                    value.rows = base + from..base + to.max(from);
                }
                (1 | -2, -1) if (start == -1 || start >= rows - 1) && end < -rows => {
                    let (rows, rate) = (value.rows.len(), self.rate(&value));
                    match self.step(rows, rate, Action::Stack { inputs: vec![(value, true)] }) {
                        Value::Signal(view) => value = view,
                        _ => return Err("of no signal".into()),
                    }
                }
                (0 | 2 | -1 | -3, 1) if start == 0 && end >= i64::from(i32::MAX) => {}
                _ => return Err(format!("{start}..{end} by {step} of dimension {axis}")),
            }
        }
        if value.rows.is_empty() { Err("of nothing".into()) } else { Ok(Value::Signal(value)) }
    }

    fn split(&mut self, node: &'a Node) -> Result<(), String> {
        let view = self.signal(node.input(0))?;
        if !matches!(node.int("axis").unwrap_or(0), 1 | -2) {
            return Err("not by channels".into());
        }
        let sizes = match node.input(1) {
            "" if node.ints("split").is_empty() => {
                vec![(view.rows.len() / node.outputs.len()) as i64; node.outputs.len()]
            }
            "" => node.ints("split").to_vec(),
            name => self.graph.integers(name).ok_or("its sizes are computed")?,
        };
        let mut at = view.rows.start;
        for (name, size) in node.outputs.iter().zip(&sizes) {
            let end = usize::try_from(*size).ok().and_then(|size| at.checked_add(size));
            let end = end.filter(|&end| end <= view.rows.end && end > at).ok_or("its sizes do not fit")?;
            self.values.insert(name, Value::Signal(View { register: view.register, rows: at..end }));
            at = end;
        }
        if at == view.rows.end && sizes.len() == node.outputs.len() {
            Ok(())
        } else {
            Err("its sizes do not fit".into())
        }
    }

    fn concat(&mut self, node: &'a Node) -> Result<Value, String> {
        if !matches!(node.int("axis"), Some(1 | -2)) {
            return Err("not by channels".into());
        }
        let views = node.inputs.iter().map(|name| self.signal(name)).collect::<Result<Vec<_>, _>>()?;
        let rate = views.first().map(|view| self.rate(view)).ok_or("of nothing")?;
        if views.iter().any(|view| self.rate(view) != rate) {
            return Err("signals differ in length".into());
        }
        let rows = views.iter().map(|view| view.rows.len()).sum();
        let inputs = views.into_iter().map(|view| (view, false)).collect();
        Ok(self.step(rows, rate, Action::Stack { inputs }))
    }
}
