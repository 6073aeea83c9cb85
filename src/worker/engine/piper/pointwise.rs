//! What is done to each value of a signal alone, or to each pair of values.

use rten_simd::{
    Isa, SimdOp, SimdUnaryOp,
    ops::{BitOps, NumOps},
};
use rten_vecmath::{Exp, Sigmoid, Tanh};

/// What happens to each value alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Map {
    /// Times a number, and what is then below zero times another.
    ScaledLeaky(f32, f32),
    /// Times a number, plus a number.
    Affine(f32, f32),
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// The exponential.
    Exp,
}

/// Applies a map to a row.
pub(super) fn map(map: Map, input: &[f32], output: &mut [f32]) {
    OnRow { map, input, output }.dispatch();
}

struct OnRow<'a> {
    map: Map,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl SimdOp for OnRow<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) {
        let ops = isa.f32();
        let Self { map, input, output } = self;
        match map {
            Map::ScaledLeaky(scale, slope) => {
                let (scale, slope) = (ops.splat(scale), ops.splat(slope));
                each(
                    isa,
                    input,
                    output,
                    #[inline(always)]
                    |x| {
                        let x = ops.mul(x, scale);
                        ops.select(ops.mul(x, slope), x, ops.lt(x, ops.zero()))
                    },
                );
            }
            Map::Affine(scale, add) => {
                let (scale, add) = (ops.splat(scale), ops.splat(add));
                each(
                    isa,
                    input,
                    output,
                    #[inline(always)]
                    |x| ops.add(ops.mul(x, scale), add),
                );
            }
            Map::Tanh => each(
                isa,
                input,
                output,
                #[inline(always)]
                |x| Tanh::apply(isa, x),
            ),
            Map::Sigmoid => each(
                isa,
                input,
                output,
                #[inline(always)]
                |x| Sigmoid::apply(isa, x),
            ),
            Map::Exp => each(
                isa,
                input,
                output,
                #[inline(always)]
                |x| Exp::apply(isa, x),
            ),
        }
    }
}

/// Applies `f` to each vector, and to the rest as to a vector that is padded, so that every place is computed alike.
#[inline(always)]
fn each<I: Isa>(isa: I, input: &[f32], output: &mut [f32], f: impl Fn(I::F32) -> I::F32) {
    let ops = isa.f32();
    let width = ops.len();
    let mut inputs = input.chunks_exact(width);
    let mut outputs = output.chunks_exact_mut(width);
    for (input, output) in (&mut inputs).zip(&mut outputs) {
        ops.store(f(ops.load(input)), output);
    }
    let rest = inputs.remainder();
    let mut buffer = [0.0; 64];
    buffer[..rest.len()].copy_from_slice(rest);
    let value = f(ops.load(&buffer));
    ops.store(value, &mut buffer);
    let rest = outputs.into_remainder();
    rest.copy_from_slice(&buffer[..rest.len()]);
}

/// How two rows become one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Join {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
}

impl Join {
    /// The same for two numbers.
    pub(super) fn numbers(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
            Self::Div => a / b,
        }
    }
}

/// Joins two rows of one length.
pub(super) fn join(join: Join, a: &[f32], b: &[f32], output: &mut [f32]) {
    OnRows { join, a, b, output }.dispatch();
}

struct OnRows<'a> {
    join: Join,
    a: &'a [f32],
    b: &'a [f32],
    output: &'a mut [f32],
}

impl SimdOp for OnRows<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(self, _isa: I) {
        // Plain loops: the compiler vectorises them for the instruction set that this is compiled for.
        let rows = self.output.iter_mut().zip(self.a.iter().zip(self.b));
        match self.join {
            Join::Add => rows.for_each(|(out, (a, b))| *out = a + b),
            Join::Sub => rows.for_each(|(out, (a, b))| *out = a - b),
            Join::Mul => rows.for_each(|(out, (a, b))| *out = a * b),
            Join::Div => rows.for_each(|(out, (a, b))| *out = a / b),
        }
    }
}
