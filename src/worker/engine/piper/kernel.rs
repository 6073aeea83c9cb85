//! Convolution over time, as fast as the machine multiplies.
//!
//! rten turns each convolution into a matrix product, and for the 32 to 128 channels of a vocoder packs much for little
//! arithmetic. These kernels read the signal where it lies, so nothing is packed but the weights, once. They are written
//! once with rten-simd, which chooses AVX-512, AVX2, NEON or plain code when they run.
//!
//! Each output value is the same sum in the same order wherever it lies in a window, so windows agree to the bit.

use rten_simd::{
    Isa, SimdOp,
    ops::{BitOps, NumOps},
};

/// Space after each row, which kernels may read and write beyond its end: one vector of the widest machine, and to keep
/// rows from falling onto the same cache lines.
pub(super) const SLACK: usize = 64;

/// How many steps of time are worked off before the next rows of weights: so that a few hundred kilobytes of input stay
/// in the second-level cache. A multiple of every tile's width.
const BLOCK: usize = 480;

/// A signal of several channels: rows of equal length, each with [`SLACK`] values after it.
#[derive(Debug, Default)]
pub(super) struct Plane {
    /// All rows.
    pub(super) data: Vec<f32>,
    /// Rows.
    pub(super) rows: usize,
    /// Values in a row.
    pub(super) len: usize,
    /// The time of a row's first value, in this signal's own steps; may lie before the line's beginning.
    pub(super) start: i64,
}

impl Plane {
    /// From the beginning of a row to that of the next.
    pub(super) fn stride(&self) -> usize {
        self.len + SLACK
    }

    /// Makes it a plane of this size. What it holds then is anything.
    pub(super) fn shape(&mut self, rows: usize, start: i64, len: usize) {
        (self.rows, self.start, self.len) = (rows, start, len);
        self.data.resize(rows * self.stride(), 0.0);
    }

    /// One row without its slack.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.stride()..][..self.len]
    }

    /// One row without its slack.
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let (stride, len) = (self.stride(), self.len);
        &mut self.data[row * stride..][..len]
    }

    /// Silences what lies outside of `0..end`.
    pub(super) fn silence_outside(&mut self, end: i64) {
        let inside = |at: i64| (at - self.start).clamp(0, self.len as i64) as usize;
        let (from, to) = (inside(0), inside(end));
        if from == 0 && to == self.len {
            return;
        }
        for row in 0..self.rows {
            let row = self.row_mut(row);
            row[..from].fill(0.0);
            row[to..].fill(0.0);
        }
    }
}

/// The weights of a convolution, in the order in which the kernel reads them.
#[derive(Debug)]
pub(super) struct Weights {
    /// Blocks of `tile_rows` outputs; in each, inputs; in each, taps; in each, the outputs.
    packed: Vec<f32>,
    bias: Vec<f32>,
    tile: usize,
    /// Channels that go in.
    pub(super) inputs: usize,
    /// Channels that come out.
    pub(super) outputs: usize,
    /// Taps.
    pub(super) taps: usize,
    /// Distance between taps.
    pub(super) dilation: usize,
}

impl Weights {
    /// Packs weights, which `at(output, input, tap)` gives; `bias` has one value for each output.
    pub(super) fn pack(
        [outputs, inputs, taps]: [usize; 3],
        dilation: usize,
        bias: Vec<f32>,
        at: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let tile = if outputs == 1 { 1 } else { TileRows.dispatch() };
        let blocks = outputs.div_ceil(tile);
        let mut packed = Vec::with_capacity(blocks * tile * inputs * taps);
        for block in 0..blocks {
            for input in 0..inputs {
                for tap in 0..taps {
                    let rows = block * tile..(block + 1) * tile;
                    packed.extend(rows.map(|row| if row < outputs { at(row, input, tap) } else { 0.0 }));
                }
            }
        }
        Self { packed, bias, tile, inputs, outputs, taps, dilation }
    }
}

/// How many outputs are made at once: as many as the registers hold.
struct TileRows;

impl SimdOp for TileRows {
    type Output = usize;

    #[inline(always)]
    fn eval<I: Isa>(self, isa: I) -> usize {
        // AVX-512 and NEON have 32 registers, older x86-64 has 16.
        if cfg!(target_arch = "x86_64") && isa.f32().len() < 16 { 4 } else { 8 }
    }
}

/// Some rows of a plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a> {
    /// The plane.
    pub(super) plane: &'a Plane,
    /// The first of the rows.
    pub(super) first: usize,
}

/// `output[o][t] = bias[o] + sum(weight[o][i][k] * input[i][t + shift + k * dilation]) + residual[o][t]`, where times are
/// absolute and `shift` is that of the first tap. All that is read must lie in the planes.
pub(super) fn convolve(weights: &Weights, input: Rows<'_>, shift: i64, residual: Option<Rows<'_>>, output: &mut Plane) {
    let offset = |rows: Rows<'_>, at: i64| usize::try_from(at - rows.plane.start).unwrap_or(usize::MAX);
    let from = offset(input, output.start + shift);
    let reach = (weights.taps - 1) * weights.dilation;
    assert!(from.saturating_add(output.len + reach) <= input.plane.len, "a convolution reads beyond its input");
    assert!(input.first + weights.inputs <= input.plane.rows && weights.outputs == output.rows, "rows do not match");
    let residual = residual.map(|rows| {
        let from = offset(rows, output.start);
        assert!(from.saturating_add(output.len) <= rows.plane.len && rows.first + weights.outputs <= rows.plane.rows);
        (&rows.plane.data[rows.first * rows.plane.stride() + from..], rows.plane.stride())
    });
    let (input, stride) = (&input.plane.data[input.first * input.plane.stride() + from..], input.plane.stride());
    Convolution { weights, input, stride, residual, len: output.len, output, sums: [0.0; 8 * 4 * 16] }.dispatch();
}

struct Convolution<'a> {
    weights: &'a Weights,
    input: &'a [f32],
    stride: usize,
    residual: Option<(&'a [f32], usize)>,
    len: usize,
    output: &'a mut Plane,
    /// Where the sums of a tile lie for a moment: 8 rows of 4 vectors of 16 at most.
    sums: [f32; 8 * 4 * 16],
}

impl SimdOp for Convolution<'_> {
    type Output = ();

    #[inline(always)]
    fn eval<I: Isa>(mut self, isa: I) {
        match self.weights.tile {
            1 => self.tiles::<I, 1, 4>(isa),
            4 => self.tiles::<I, 4, 3>(isa),
            _ => self.tiles::<I, 8, 3>(isa),
        }
    }
}

impl Convolution<'_> {
    #[inline(always)]
    fn tiles<I: Isa, const TILE: usize, const VECTORS: usize>(&mut self, isa: I) {
        let (wide, narrow) = (isa.f32().len() * VECTORS, isa.f32().len());
        let block = self.weights.inputs * self.weights.taps * TILE;
        for begin in (0..self.len).step_by(BLOCK) {
            let end = (begin + BLOCK).min(self.len);
            for (index, packed) in self.weights.packed.chunks_exact(block).enumerate() {
                let mut at = begin;
                while at + wide <= end {
                    self.tile::<I, TILE, VECTORS>(isa, index * TILE, packed, at);
                    at += wide;
                }
                while at < end {
                    self.tile::<I, TILE, 1>(isa, index * TILE, packed, at);
                    at += narrow;
                }
            }
        }
    }

    /// `TILE` outputs from `row` on, `VECTORS` vectors of time from `at` on.
    #[inline(always)]
    fn tile<I: Isa, const TILE: usize, const VECTORS: usize>(&mut self, isa: I, row: usize, packed: &[f32], at: usize) {
        let ops = isa.f32();
        let (taps, dilation) = (self.weights.taps, self.weights.dilation);
        let reach = (taps - 1) * dilation + ops.len() * VECTORS;
        let mut sums = [[ops.zero(); VECTORS]; TILE];
        // Numbered loops: with iterators the sums leave the registers, which halves the speed.
        for (channel, packed) in packed.chunks_exact(taps * TILE).enumerate() {
            let signal = &self.input[channel * self.stride + at..][..reach];
            for (tap, factors) in packed.as_chunks::<TILE>().0.iter().enumerate() {
                let values = ops.load_many::<VECTORS>(&signal[tap * dilation..]);
                for m in 0..TILE {
                    let factor = ops.splat(factors[m]);
                    for n in 0..VECTORS {
                        sums[m][n] = ops.mul_add(values[n], factor, sums[m][n]);
                    }
                }
            }
        }
        // Through memory, so that nothing but constant numbers index the sums: otherwise they would live there.
        let width = ops.len() * VECTORS;
        let (places, _) = self.sums.split_at_mut(TILE * width);
        for m in 0..TILE {
            for n in 0..VECTORS {
                ops.store(sums[m][n], &mut places[m * width + n * ops.len()..]);
            }
        }
        self.finish(isa, row, width, at);
    }

    /// Brings the sums of a tile into the output, with the bias and the residual.
    #[inline(always)]
    fn finish<I: Isa>(&mut self, isa: I, row: usize, width: usize, at: usize) {
        let ops = isa.f32();
        let stride = self.output.stride();
        for (row, sums) in (row..self.weights.outputs).zip(self.sums.chunks_exact(width)).take(self.weights.tile) {
            let bias = ops.splat(self.weights.bias[row]);
            let output = &mut self.output.data[row * stride + at..][..width];
            let residual = self.residual.map(|(residual, stride)| &residual[row * stride + at..][..width]);
            for (n, (sum, output)) in sums.chunks_exact(ops.len()).zip(output.chunks_exact_mut(ops.len())).enumerate() {
                let mut sum = ops.add(ops.load(sum), bias);
                if let Some(residual) = residual {
                    sum = ops.add(sum, ops.load(&residual[n * ops.len()..]));
                }
                ops.store(sum, output);
            }
        }
    }
}

/// Brings the phases of a transposed convolution, `stride` rows for each channel, into one row each: the value of phase
/// `p` at step `q` comes at time `q * stride + p - pad`.
pub(super) fn interleave(phases: &Plane, stride: usize, pad: i64, output: &mut Plane) {
    let start = output.start + pad;
    for channel in 0..output.rows {
        for phase in 0..stride {
            // The first value of this phase that lies in the output.
            let skip = (phase as i64 - start).rem_euclid(stride as i64);
            let step = (start + skip).div_euclid(stride as i64) - phases.start;
            let from = phases.row(channel * stride + phase).get(step as usize..).unwrap_or_default();
            let into = output.row_mut(channel).iter_mut().skip(skip as usize).step_by(stride);
            for (out, &value) in into.zip(from) {
                *out = value;
            }
        }
    }
}
