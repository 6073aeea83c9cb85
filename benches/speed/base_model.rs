//! Whisper models to measure with: the self-test model as a file, and one of the size that people use.
//!
//! The second has the shape of base.en: 74 million weights, 148 MB. Nothing can be downloaded where this must run, so
//! its weights are made up, by a generator that makes the same ones each time. Random weights alone would not do: the
//! decoder's output would be noise, each version of whisper.cpp would take another turn at it, fall back to another
//! temperature, go on for another number of tokens, and the two programs would not do the same work. So the decoder is
//! given a little sense, by which it says the same sentence of 22 words whatever it hears:
//!
//! - Each token of that sentence has a code of its own, 512 random signs, for its row of the token embedding. The rows of
//!   all other tokens are zero, and so are their logits.
//! - What the layers add to that code is small, for their output weights are; all of them are computed all the same.
//! - In the last layer, one neuron for each token of the sentence answers to that token's code, and writes the next
//!   token's code with four times the weight. Then the logit of the next token is 45 above every other.
//!
//! The sentence begins with the stamp 0.00 and ends with 30.00 and the end of text, as a segment that fills its window.
//! So there is no choice anywhere: all five beams hold the same 25 tokens, no threshold is met, nothing falls back, and
//! 60 s are two windows for everybody. The encoder's share of the time, and the number of tokens for each window, are
//! about those of speech.

use crate::Result;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

/// The self-test model, as it is in the repository.
const SELFTEST: &[u8] = include_bytes!("../../src/models/selftest/selftest.en.bin.zst");

/// A bound for the decompressor.
const MAX_SELFTEST: usize = 64 << 20;

const MAGIC: u32 = 0x6767_6d6c;
const VOCABULARY: usize = 51_864;
const AUDIO_CONTEXT: usize = 1500;
const TEXT_CONTEXT: usize = 448;
const STATE: usize = 512;
const HEADS: usize = 8;
const LAYERS: usize = 6;
const MELS: usize = 80;
const NEURONS: usize = 4 * STATE;

/// The `ggml_type`s, and the ftype of a file whose large tensors are f16.
const F32: u32 = 0;
const F16: u32 = 1;

/// Bytes of the header: the magic number and eleven others.
const HEADER: usize = 12 * 4;

/// Special tokens of English-only models; stamps are 20 ms apart.
const END_OF_TEXT: usize = 50_256;
const START: usize = 50_257;
const STAMP_0: usize = 50_363;
const STAMP_30: usize = STAMP_0 + AUDIO_CONTEXT;

/// What it says: words that are one token each. None comes twice, for each is followed by one other.
const SENTENCE: &str = "the time that people would have made for their work was over before they could see what most of \
    them had been";

/// Weights of the layers, as powers of two: 2^-6 to 2^-5, which keeps the size of what goes in.
const INNER: i32 = -6;

/// Weights by which a layer adds to what goes through: so small that a token's code shines through all layers.
const OUTER: i32 = -11;

/// A component of a code: 2^-3.
const CODE: i32 = -3;

/// The neuron of a token adds up to 32 before its own code, 2^-4 for each component, and less than 10 before others; half
/// is taken off.
const EAR: i32 = -4;
const EAR_BIAS: f32 = -16.0;

/// What is left writes the next token's code, at 16 times this: 2^-1, which is four times a code.
const MOUTH: i32 = -5;

/// Writes the self-test model.
pub(crate) fn write_selftest(path: &Path) -> Result<()> {
    Ok(std::fs::write(path, zstd::bulk::decompress(SELFTEST, MAX_SELFTEST)?)?)
}

/// Writes the model of the size of base.en.
pub(crate) fn write_base(path: &Path) -> Result<()> {
    let template = zstd::bulk::decompress(SELFTEST, MAX_SELFTEST)?;
    // The mel filters and the vocabulary are everybody's.
    let tables = Tables::of(&template)?;
    let mut maker =
        Maker { file: BufWriter::with_capacity(1 << 20, File::create(path)?), random: 0x2545_f491_4f6c_dd1d };
    let header =
        [VOCABULARY, AUDIO_CONTEXT, STATE, HEADS, LAYERS, TEXT_CONTEXT, STATE, HEADS, LAYERS, MELS, F16 as usize];
    maker.number(MAGIC)?;
    for number in header {
        maker.number(u32::try_from(number)?)?;
    }
    maker.file.write_all(tables.bytes)?;
    let tokens = tables.sentence()?;
    let codes: Vec<Code> = tokens.iter().map(|_| maker.code()).collect();
    maker.encoder()?;
    maker.decoder(&tokens, &codes)?;
    Ok(maker.file.flush()?)
}

/// The signs of a token's code: whether each component is negative.
type Code = Vec<bool>;

/// The parts of a model file that do not depend on the model.
struct Tables<'a> {
    bytes: &'a [u8],
    words: Vec<&'a [u8]>,
}

impl<'a> Tables<'a> {
    fn of(model: &'a [u8]) -> Result<Self> {
        let number = |at: usize| -> Result<usize> {
            let bytes = model.get(at..at + 4).ok_or("the self-test model is cut short")?;
            Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
        };
        let mut at = HEADER + 8 + number(HEADER)? * number(HEADER + 4)? * 4;
        let count = number(at)?;
        at += 4;
        let mut words = Vec::with_capacity(count);
        for _ in 0..count {
            let length = number(at)?;
            words.push(model.get(at + 4..at + 4 + length).ok_or("the self-test model is cut short")?);
            at += 4 + length;
        }
        Ok(Self { bytes: model.get(HEADER..at).ok_or("the self-test model is cut short")?, words })
    }

    /// The tokens of the sentence, from the start of a transcript to its end.
    fn sentence(&self) -> Result<Vec<usize>> {
        let mut tokens = vec![START, STAMP_0];
        for word in SENTENCE.split_whitespace() {
            let entry = format!(" {word}").into_bytes();
            let token = self.words.iter().position(|known| *known == entry);
            tokens.push(token.ok_or_else(|| format!("`{word}` is no single token"))?);
        }
        tokens.extend([STAMP_30, END_OF_TEXT]);
        Ok(tokens)
    }
}

/// Writes tensors.
struct Maker {
    file: BufWriter<File>,
    random: u64,
}

impl Maker {
    fn number(&mut self, number: u32) -> Result<()> {
        Ok(self.file.write_all(&number.to_le_bytes())?)
    }

    /// xorshift64*, by Vigna: fast, and the same everywhere.
    fn random(&mut self) -> u32 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn code(&mut self) -> Code {
        (0..STATE).map(|_| self.random() & 1 == 1).collect()
    }

    /// Random numbers of either sign, from 2^exponent to twice that.
    fn noise(&mut self, count: usize, exponent: i32) -> Vec<u16> {
        let base = half(exponent, false);
        (0..count).map(|_| base | (self.random() & 0x83ff) as u16).collect()
    }

    /// What stands before the data of a tensor. Shapes are written with the nearest dimension first.
    fn tensor(&mut self, name: &str, kind: u32, shape: &[usize]) -> Result<()> {
        self.number(u32::try_from(shape.len())?)?;
        self.number(u32::try_from(name.len())?)?;
        self.number(kind)?;
        for length in shape {
            self.number(u32::try_from(*length)?)?;
        }
        Ok(self.file.write_all(name.as_bytes())?)
    }

    fn halves(&mut self, name: &str, shape: &[usize], values: &[u16]) -> Result<()> {
        self.tensor(name, F16, shape)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Ok(self.file.write_all(&bytes)?)
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: impl Iterator<Item = f32>) -> Result<()> {
        self.tensor(name, F32, shape)?;
        let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        Ok(self.file.write_all(&bytes)?)
    }

    fn constant(&mut self, name: &str, shape: &[usize], value: f32) -> Result<()> {
        self.floats(name, shape, std::iter::repeat_n(value, shape.iter().product()))
    }

    fn weights(&mut self, name: &str, shape: &[usize], exponent: i32) -> Result<()> {
        let values = self.noise(shape.iter().product(), exponent);
        self.halves(name, shape, &values)
    }

    /// Small numbers for each position.
    fn positions(&mut self, name: &str, context: usize) -> Result<()> {
        let values: Vec<f32> = (0..context * STATE).map(|_| (self.random() >> 8) as f32 / 16_777_216.0 - 0.5).collect();
        self.floats(name, &[STATE, context], values.into_iter().map(|value| value * 0.02))
    }

    fn norm(&mut self, name: &str) -> Result<()> {
        self.constant(&format!("{name}.weight"), &[STATE], 1.0)?;
        self.constant(&format!("{name}.bias"), &[STATE], 0.0)
    }

    fn attention(&mut self, name: &str) -> Result<()> {
        self.norm(&format!("{name}_ln"))?;
        for (part, exponent, has_bias) in
            [("query", INNER, true), ("key", INNER, false), ("value", INNER, true), ("out", OUTER, true)]
        {
            self.weights(&format!("{name}.{part}.weight"), &[STATE, STATE], exponent)?;
            if has_bias {
                self.constant(&format!("{name}.{part}.bias"), &[STATE], 0.0)?;
            }
        }
        Ok(())
    }

    /// The two layers between attentions; with codes, the first neurons say for each token which comes next.
    fn feed_forward(&mut self, block: &str, codes: &[Code]) -> Result<()> {
        self.norm(&format!("{block}.mlp_ln"))?;
        let mut ears = self.noise(NEURONS * STATE, INNER);
        let mut biases = vec![0.0; NEURONS];
        let mut mouths = self.noise(STATE * NEURONS, OUTER);
        for (neuron, pair) in codes.windows(2).enumerate() {
            biases[neuron] = EAR_BIAS;
            for component in 0..STATE {
                ears[neuron * STATE + component] = half(EAR, pair[0][component]);
                mouths[component * NEURONS + neuron] = half(MOUTH, pair[1][component]);
            }
        }
        self.halves(&format!("{block}.mlp.0.weight"), &[STATE, NEURONS], &ears)?;
        self.floats(&format!("{block}.mlp.0.bias"), &[NEURONS], biases.into_iter())?;
        self.halves(&format!("{block}.mlp.2.weight"), &[NEURONS, STATE], &mouths)?;
        self.constant(&format!("{block}.mlp.2.bias"), &[STATE], 0.0)
    }

    fn encoder(&mut self) -> Result<()> {
        self.positions("encoder.positional_embedding", AUDIO_CONTEXT)?;
        for (name, inputs) in [("encoder.conv1", MELS), ("encoder.conv2", STATE)] {
            self.weights(&format!("{name}.weight"), &[3, inputs, STATE], INNER)?;
            self.constant(&format!("{name}.bias"), &[1, STATE], 0.0)?;
        }
        self.norm("encoder.ln_post")?;
        for layer in 0..LAYERS {
            let block = format!("encoder.blocks.{layer}");
            self.attention(&format!("{block}.attn"))?;
            self.feed_forward(&block, &[])?;
        }
        Ok(())
    }

    fn decoder(&mut self, tokens: &[usize], codes: &[Code]) -> Result<()> {
        self.positions("decoder.positional_embedding", TEXT_CONTEXT)?;
        let mut embedding = vec![0; VOCABULARY * STATE];
        for (token, code) in tokens.iter().zip(codes) {
            let row = embedding.get_mut(token * STATE..(token + 1) * STATE).ok_or("a token outside the vocabulary")?;
            for (value, is_negative) in row.iter_mut().zip(code) {
                *value = half(CODE, *is_negative);
            }
        }
        self.halves("decoder.token_embedding.weight", &[STATE, VOCABULARY], &embedding)?;
        self.norm("decoder.ln")?;
        for layer in 0..LAYERS {
            let block = format!("decoder.blocks.{layer}");
            self.attention(&format!("{block}.attn"))?;
            self.attention(&format!("{block}.cross_attn"))?;
            self.feed_forward(&block, if layer + 1 == LAYERS { codes } else { &[] })?;
        }
        Ok(())
    }
}

/// 2^exponent or its negative as a half-precision float.
fn half(exponent: i32, is_negative: bool) -> u16 {
    let bits = u16::try_from(exponent + 15).expect("exponents here are between -14 and 15") << 10;
    if is_negative { bits | 0x8000 } else { bits }
}
