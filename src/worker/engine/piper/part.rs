//! A part of a voice as a model of its own, run by rten.

use super::onnx::Graph;
use crate::error::{Error, Kind, Result};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, op_registry};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The operations that voices are made of: those of every Piper voice, and a few that other exports of the same network
/// may have. Naming them, rather than taking all that rten has, leaves a megabyte or more out of the program.
macro_rules! operations {
    ($($operation:ident),* $(,)?) => {
        /// Names of all operations that can be carried out.
        const OPERATIONS: &[&str] = &["Constant", $(stringify!($operation)),*];

        fn registry() -> rten::OpRegistry {
            op_registry!($($operation),*)
        }
    };
}

operations!(
    Abs,
    Add,
    And,
    Cast,
    Ceil,
    Clip,
    Concat,
    ConstantOfShape,
    Conv,
    ConvTranspose,
    CumSum,
    Div,
    Equal,
    Erf,
    Exp,
    Expand,
    Floor,
    Gather,
    GatherElements,
    GatherND,
    Greater,
    GreaterOrEqual,
    Identity,
    If,
    LayerNormalization,
    LeakyRelu,
    Less,
    LessOrEqual,
    Log,
    MatMul,
    Max,
    Min,
    Mul,
    Neg,
    NonZero,
    Not,
    Or,
    Pad,
    Pow,
    RandomNormal,
    RandomNormalLike,
    Range,
    ReduceMax,
    ReduceMean,
    ReduceSum,
    Relu,
    Reshape,
    Round,
    ScatterND,
    Shape,
    Sigmoid,
    Slice,
    Softmax,
    Softplus,
    Split,
    Sqrt,
    Squeeze,
    Sub,
    Tanh,
    Transpose,
    Unsqueeze,
    Where,
);

/// The first operation of a graph that cannot be carried out.
pub(super) fn missing_operation(graph: &Graph) -> Option<&str> {
    graph.nodes.iter().map(|node| node.op.as_str()).find(|operation| !OPERATIONS.contains(operation))
}

/// A part of a voice.
#[derive(Debug)]
pub(super) struct Part {
    model: Model,
    takes: Vec<(String, NodeId)>,
    makes: Vec<NodeId>,
}

impl Part {
    /// Loads what leads from `given` and inputs of the graph to `made`.
    ///
    /// # Errors
    /// `InvalidInput` when the file does not hold together, `Io` when it cannot be read any more.
    pub(super) fn load(graph: &Graph, given: &[&str], made: &[&str]) -> Result<Self> {
        let (bytes, takes) = graph.part(given, made)?;
        let broken = |why: String| Error::invalid(format!("the voice is broken: {why}"));
        let options = ModelOptions::with_ops(registry());
        // rten trusts its files in places, and a panic there would take the whole process along.
        let model = catch_unwind(AssertUnwindSafe(|| options.load(bytes)))
            .map_err(|_| broken("its parts do not fit together".into()))?
            .map_err(|error| broken(error.to_string()))?;
        let node = |name: &str| model.find_node(name).ok_or_else(|| broken(format!("{name:?} is missing")));
        let takes = takes.into_iter().map(|name| node(&name).map(|id| (name, id))).collect::<Result<_>>()?;
        let makes = made.iter().map(|name| node(name)).collect::<Result<_>>()?;
        Ok(Self { model, takes, makes })
    }

    /// Makes the values that `which` picks out of those that it was loaded for, on the calling thread's own pool.
    ///
    /// # Errors
    /// `Internal` when rten fails.
    pub(super) fn run<'a>(
        &self,
        give: impl Fn(&str) -> Option<ValueOrView<'a>>,
        which: &[usize],
        pool: &Arc<ThreadPool>,
    ) -> Result<Vec<Value>> {
        let inputs = self.takes.iter().filter_map(|(name, id)| give(name).map(|value| (*id, value))).collect();
        let outputs: Vec<NodeId> = which.iter().filter_map(|&index| self.makes.get(index).copied()).collect();
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        let failed = |why: String| Error::new(Kind::Internal, format!("the voice failed: {why}"));
        catch_unwind(AssertUnwindSafe(|| self.model.run(inputs, &outputs, Some(options))))
            .map_err(|_| failed("its numbers do not fit together".into()))?
            .map_err(|error| failed(error.to_string()))
    }
}
