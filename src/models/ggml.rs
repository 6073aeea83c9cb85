//! Reads through a ggml model file before whisper.cpp does.
//!
//! whisper.cpp believes what it reads. A length from a damaged file becomes an allocation, a number of dimensions an
//! index, an unknown type an abort of the process; and of a file that is cut short within a tensor it leaves the rest
//! of the weights as they were in memory. So the whole file is walked here first, from table to table: what passes is
//! complete, and asks for no more memory than its own size explains. Weights are skipped, not read, and so are neither
//! verified nor slow. The names and shapes of tensors are left to whisper.cpp, which refuses wrong ones in peace.
//!
//! The format is the one of `whisper_model_load` in `src/whisper.cpp` (1.8.3) and of `models/convert-pt-to-ggml.py`,
//! which writes it. Numbers are of 32 bits, and little-endian:
//!
//! ```text
//! magic        "lmgg"
//! header       n_vocab n_audio_ctx n_audio_state n_audio_head n_audio_layer
//!              n_text_ctx n_text_state n_text_head n_text_layer n_mels ftype
//! mel filters  n_mel n_fft, then n_mel * n_fft floats
//! vocabulary   count, then as often: length, bytes
//! tensors      to the end of the file: n_dims, length of name, type, n_dims dimensions, name, data
//! ```

use crate::error::{Error, Kind, Result};
use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    ops::RangeInclusive,
    path::Path,
};

/// The magic number of a ggml model file, "ggml" read as a little-endian number.
const MAGIC: [u8; 4] = *b"lmgg";

/// The magic number of the format that came after, which whisper.cpp does not read.
const GGUF: [u8; 4] = *b"GGUF";

/// How much is read at a time. Most reads are of one tensor's few words, with all its weights skipped.
const BUFFER: usize = 4096;

/// Bins of the Fourier transform in a mel filter, which whisper.cpp has fixed: half of its 400 samples, and one.
const FILTER_BINS: u64 = 201;

/// The longest word of a vocabulary that is believed, in bytes. Published ones end at 128.
const MAX_WORD: u64 = 1024;

/// The longest name of a tensor, in bytes: ggml's own limit.
const MAX_NAME: u64 = 64;

/// What stands before the dimensions of a tensor, in bytes. whisper.cpp ends where less than this is left.
const TENSOR_HEAD: u64 = 12;

/// The `ggml_type` of the small tensors.
const F32: i32 = 0;

/// The `ggml_type` of the convolutions, except in a file that is all f32.
const F16: i32 = 1;

/// What a ftype is multiplied by to hold the version of the quantisation too.
const QUANTISATION: u64 = 1000;

/// Checks that a file is a whole ggml Whisper model, as far as that shows without its weights.
///
/// # Errors
/// `NotFound`, `Io`, or `InvalidInput` for a file that is no model or not a whole one.
pub(crate) fn check(path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let (file, length) = open(path, &name)?;
    inspect(file, length).map_err(|fault| fault.about(&name, length))
}

/// Opens a regular file that holds something. Looks before it opens: to open a pipe is to wait for its writer.
fn open(path: &Path, name: &str) -> Result<(File, u64)> {
    let cannot_open = |cause: io::Error| {
        let kind = if cause.kind() == io::ErrorKind::NotFound { Kind::NotFound } else { Kind::Io };
        Error::new(kind, format!("cannot open model `{name}`")).because(cause)
    };
    let metadata = fs::metadata(path).map_err(cannot_open)?;
    if metadata.is_dir() {
        return Err(Error::invalid(format!("model `{name}` is a folder; name the file in it")));
    }
    if !metadata.is_file() {
        return Err(Error::invalid(format!("model `{name}` is a device or a pipe; name a regular file")));
    }
    let file = File::open(path).map_err(cannot_open)?;
    match file.metadata().map_err(cannot_open)?.len() {
        0 => Err(Error::invalid(format!("model `{name}` is an empty file; get it again"))),
        length => Ok((file, length)),
    }
}

/// What is wrong with a file.
#[derive(Debug)]
enum Fault {
    /// It is something else.
    Foreign,
    /// It is a model for other programs.
    Gguf,
    /// It ends before its tables do.
    Short,
    /// It says something that cannot be.
    Damaged(String),
    /// It cannot be read.
    Unreadable(io::Error),
}

impl Fault {
    /// The sentence to read, about a file of this name and length.
    fn about(self, name: &str, length: u64) -> Error {
        match self {
            Self::Foreign => Error::invalid(format!("`{name}` is not a ggml Whisper model")),
            Self::Gguf => Error::invalid(format!(
                "`{name}` is a GGUF file; whisper.cpp takes ggml files, such as ggml-base.en.bin"
            )),
            Self::Short => Error::invalid(format!(
                "model `{name}` is cut short: it has {length} bytes, its tables want more; get it again"
            )),
            Self::Damaged(what) => Error::invalid(format!("model `{name}` is damaged: {what}; get it again")),
            Self::Unreadable(cause) => Error::new(Kind::Io, format!("cannot read model `{name}`")).because(cause),
        }
    }
}

/// Walks a file of this length from its magic number to its end.
fn inspect(file: impl Read + Seek, length: u64) -> Result<(), Fault> {
    let mut walk = Walk { input: BufReader::with_capacity(BUFFER, file), left: length };
    match walk.bytes() {
        Ok(MAGIC) => {}
        Ok(GGUF) => return Err(Fault::Gguf),
        Ok(_) | Err(Fault::Short) => return Err(Fault::Foreign),
        Err(fault) => return Err(fault),
    }
    let header = walk.header()?;
    walk.filters(&header)?;
    walk.vocabulary()?;
    walk.tensors(&header)
}

/// What the header says, checked.
struct Header {
    vocab: u64,
    audio_ctx: u64,
    text_ctx: u64,
    /// The width of encoder and decoder.
    state: u64,
    audio_layers: u64,
    text_layers: u64,
    mels: u64,
    /// The `ggml_type` of the large tensors.
    weights: i32,
}

impl Header {
    /// How many tensors whisper.cpp makes room for, and all have to come.
    fn tensors(&self) -> u64 {
        11 + 15 * self.audio_layers + 24 * self.text_layers
    }

    /// How many numbers those tensors hold together. Within the limits of the header this is less than 2^36.
    fn elements(&self) -> u64 {
        let state = self.state;
        let convolutions = 3 * self.mels * state + 3 * state * state + 2 * state;
        let embeddings = (self.audio_ctx + self.text_ctx + self.vocab) * state;
        let norms = 4 * state;
        let audio = self.audio_layers * (12 * state * state + 12 * state);
        let text = self.text_layers * (16 * state * state + 17 * state);
        convolutions + embeddings + norms + audio + text
    }

    /// If there can be a tensor of this type. whisper.cpp makes room by the header's type: the small tensors are f32,
    /// and the convolutions f16 where the others are not f32.
    fn takes(&self, number: i32) -> bool {
        [F32, self.weights].contains(&number) || number == F16 && self.weights != F32
    }
}

/// How a type lays out numbers: so many of them in so many bytes.
struct Block {
    values: u64,
    bytes: u64,
}

impl Block {
    const fn of(values: u64, bytes: u64) -> Self {
        Self { values, bytes }
    }

    /// The layout of a `ggml_type`: `type_traits` in `ggml.c`, with the sizes that `ggml-common.h` asserts. Left out are
    /// the types that no ftype stands for: whisper.cpp has no tensor of them.
    fn of_type(number: i32) -> Option<Self> {
        Some(match number {
            0 => Self::of(1, 4),      // f32
            1 => Self::of(1, 2),      // f16
            2 => Self::of(32, 18),    // q4_0
            3 => Self::of(32, 20),    // q4_1
            6 => Self::of(32, 22),    // q5_0
            7 => Self::of(32, 24),    // q5_1
            8 => Self::of(32, 34),    // q8_0
            10 => Self::of(256, 84),  // q2_K
            11 => Self::of(256, 110), // q3_K
            12 => Self::of(256, 144), // q4_K
            13 => Self::of(256, 176), // q5_K
            14 => Self::of(256, 210), // q6_K
            16 => Self::of(256, 66),  // iq2_xxs
            17 => Self::of(256, 74),  // iq2_xs
            18 => Self::of(256, 98),  // iq3_xxs
            19 => Self::of(256, 50),  // iq1_s
            20 => Self::of(32, 18),   // iq4_nl
            21 => Self::of(256, 110), // iq3_s
            22 => Self::of(256, 82),  // iq2_s
            23 => Self::of(256, 136), // iq4_xs
            29 => Self::of(256, 56),  // iq1_m
            30 => Self::of(1, 2),     // bf16
            39 => Self::of(32, 17),   // mxfp4
            _ => return None,
        })
    }
}

/// The `ggml_type` of the large tensors in a file of this `ggml_ftype`: `ggml_ftype_to_ggml_type` in `ggml.c`, which
/// aborts on all others.
fn type_of_file(ftype: u64) -> Option<i32> {
    Some(match ftype {
        0 => 0,   // f32
        1 => 1,   // f16
        2 => 2,   // q4_0
        3 => 3,   // q4_1
        7 => 8,   // q8_0
        8 => 6,   // q5_0
        9 => 7,   // q5_1
        10 => 10, // q2_K
        11 => 11, // q3_K
        12 => 12, // q4_K
        13 => 13, // q5_K
        14 => 14, // q6_K
        15 => 16, // iq2_xxs
        16 => 17, // iq2_xs
        17 => 18, // iq3_xxs
        18 => 19, // iq1_s
        19 => 20, // iq4_nl
        20 => 21, // iq3_s
        21 => 22, // iq2_s
        22 => 23, // iq4_xs
        23 => 29, // iq1_m
        24 => 30, // bf16
        25 => 39, // mxfp4
        _ => return None,
    })
}

/// A tensor: its name, its `ggml_type`, and how many numbers it holds.
struct Tensor {
    name: Vec<u8>,
    number: i32,
    count: u64,
}

/// A place in a file, and what is left from there to its end. Nothing is read or skipped that is not there.
struct Walk<R> {
    input: BufReader<R>,
    left: u64,
}

impl<R: Read + Seek> Walk<R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Fault> {
        self.left = self.left.checked_sub(buffer.len() as u64).ok_or(Fault::Short)?;
        self.input.read_exact(buffer).map_err(|cause| match cause.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Short,
            _ => Fault::Unreadable(cause),
        })
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<i32, Fault> {
        self.bytes().map(i32::from_le_bytes)
    }

    /// A number that has to lie within these limits.
    fn number_in(&mut self, what: impl fmt::Display, limits: RangeInclusive<u64>) -> Result<u64, Fault> {
        let number = self.number()?;
        match u64::try_from(number) {
            Ok(number) if limits.contains(&number) => Ok(number),
            _ => Err(Fault::Damaged(format!("{what} is {number}"))),
        }
    }

    fn skip(&mut self, length: u64) -> Result<(), Fault> {
        self.left = self.left.checked_sub(length).ok_or(Fault::Short)?;
        let offset = i64::try_from(length).map_err(|_| Fault::Short)?;
        self.input.seek_relative(offset).map_err(Fault::Unreadable)
    }

    /// The header. Its limits are wide of every published model, except where whisper.cpp knows no other number.
    fn header(&mut self) -> Result<Header, Fault> {
        // The numbers of special tokens follow from this one: fewer, and they lie outside; more, and whisper.cpp asks
        // for the name of a language that it has not, and is ended by a null pointer.
        let vocab = self.number_in("its n_vocab", 51_864..=51_866)?;
        let audio_ctx = self.number_in("its n_audio_ctx", 16..=16_384)?;
        let state = self.number_in("its n_audio_state", 1..=4096)?;
        let audio_heads = self.number_in("its n_audio_head", 1..=state)?;
        let audio_layers = self.number_in("its n_audio_layer", 1..=64)?;
        let text_ctx = self.number_in("its n_text_ctx", 16..=4096)?;
        // The decoder attends to the encoder's states as they are.
        self.number_in("its n_text_state", state..=state)?;
        let text_heads = self.number_in("its n_text_head", 1..=state)?;
        let text_layers = self.number_in("its n_text_layer", 1..=64)?;
        let mels = self.number_in("its n_mels", 1..=256)?;
        let ftype = self.number_in("its ftype", 0..=3 * QUANTISATION - 1)?;
        for (what, heads) in [("n_audio_head", audio_heads), ("n_text_head", text_heads)] {
            if !state.is_multiple_of(heads) {
                return Err(Fault::Damaged(format!("its {what} is {heads}, for a state of {state}")));
            }
        }
        let damaged = || Fault::Damaged(format!("its ftype is {ftype}, for a state of {state}"));
        let weights = type_of_file(ftype % QUANTISATION).ok_or_else(damaged)?;
        // ggml takes whole blocks for granted, and aborts over its own strides.
        Block::of_type(weights).filter(|block| state.is_multiple_of(block.values)).ok_or_else(damaged)?;
        Ok(Header { vocab, audio_ctx, text_ctx, state, audio_layers, text_layers, mels, weights })
    }

    fn filters(&mut self, header: &Header) -> Result<(), Fault> {
        let mels = self.number_in("the n_mel of its filters", header.mels..=header.mels)?;
        let bins = self.number_in("the n_fft of its filters", FILTER_BINS..=FILTER_BINS)?;
        self.skip(mels * bins * 4)
    }

    /// The vocabulary. It is shorter than the header says: whisper.cpp makes up the special tokens.
    fn vocabulary(&mut self) -> Result<(), Fault> {
        for _ in 0..self.number_in("the length of its vocabulary", 1..=65_536)? {
            let length = self.number_in("the length of a word in its vocabulary", 0..=MAX_WORD)?;
            self.skip(length)?;
        }
        Ok(())
    }

    /// All tensors, and that nothing follows that whisper.cpp would take for one.
    fn tensors(&mut self, header: &Header) -> Result<(), Fault> {
        let mut names = BTreeSet::new();
        let mut elements = 0;
        let mut has_weights = false;
        for index in 1..=header.tensors() {
            let Tensor { name, number, count } = self.tensor(header, index)?;
            // whisper.cpp only counts them: one that comes twice would hide one that is missing.
            if !names.insert(name) {
                return Err(Fault::Damaged(format!("tensor {index} has the name of another")));
            }
            elements += count;
            has_weights |= number == header.weights;
        }
        if !has_weights {
            return Err(Fault::Damaged("its ftype is not that of its tensors".to_owned()));
        }
        if self.left >= TENSOR_HEAD {
            return Err(Fault::Damaged(format!("{} bytes follow its last tensor", self.left)));
        }
        if elements != header.elements() {
            let wanted = header.elements();
            return Err(Fault::Damaged(format!("its tensors hold {elements} numbers, its header wants {wanted}")));
        }
        Ok(())
    }

    /// One tensor, without its weights.
    fn tensor(&mut self, header: &Header, index: u64) -> Result<Tensor, Fault> {
        let dimensions = self.number_in(format_args!("the number of dimensions of tensor {index}"), 1..=4)?;
        let length = self.number_in(format_args!("the length of the name of tensor {index}"), 1..=MAX_NAME)?;
        let number = self.number()?;
        let block = Block::of_type(number)
            .filter(|_| header.takes(number))
            .ok_or_else(|| Fault::Damaged(format!("the type of tensor {index} is {number}")))?;
        let too_large = || Fault::Damaged(format!("tensor {index} is too large"));
        let mut row = None;
        let mut count = 1_u64;
        for _ in 0..dimensions {
            let dimension = self.number_in(format_args!("a dimension of tensor {index}"), 1..=i32::MAX as u64)?;
            row.get_or_insert(dimension);
            // whisper.cpp counts in 32 bits.
            count = count.checked_mul(dimension).filter(|&count| count <= i32::MAX as u64).ok_or_else(too_large)?;
        }
        if !row.is_some_and(|row| row.is_multiple_of(block.values)) {
            return Err(Fault::Damaged(format!("the rows of tensor {index} are not whole blocks of its type")));
        }
        let mut name = vec![0; usize::try_from(length).map_err(|_| too_large())?];
        self.fill(&mut name)?;
        let size = (count / block.values).checked_mul(block.bytes).ok_or_else(too_large)?;
        self.skip(size)?;
        Ok(Tensor { name, number, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, io::SeekFrom, path::PathBuf};

    /// The model that is built in.
    fn real_model() -> Vec<u8> {
        crate::models::selftest::unpack().unwrap()
    }

    /// What a model is made of.
    #[derive(Clone, Copy)]
    struct Shape {
        vocab: i32,
        state: i32,
        heads: i32,
        audio_layers: i32,
        text_layers: i32,
        mels: i32,
        ftype: i32,
        words: i32,
    }

    /// The least that whisper.cpp would load.
    const SMALL: Shape =
        Shape { vocab: 51_864, state: 4, heads: 2, audio_layers: 1, text_layers: 1, mels: 2, ftype: 1, words: 20 };

    const LARGE: Shape = Shape {
        vocab: 51_866,
        state: 1280,
        heads: 20,
        audio_layers: 32,
        text_layers: 32,
        mels: 128,
        ftype: 1,
        words: 50_257,
    };

    /// A file in memory, except for its long runs of zeros.
    #[derive(Clone, Default)]
    struct Sparse {
        /// Where bytes stand that are written down, in order.
        runs: Vec<(u64, Vec<u8>)>,
        length: u64,
    }

    impl Sparse {
        fn push(&mut self, bytes: &[u8]) {
            match self.runs.last_mut() {
                Some((start, run)) if *start + run.len() as u64 == self.length => run.extend(bytes),
                _ => self.runs.push((self.length, bytes.to_vec())),
            }
            self.length += bytes.len() as u64;
        }

        fn push_numbers(&mut self, numbers: &[i32]) {
            numbers.iter().for_each(|number| self.push(&number.to_le_bytes()));
        }

        fn put(&mut self, at: u64, bytes: &[u8]) {
            let (start, run) = self.runs.iter_mut().rev().find(|(start, _)| *start <= at).unwrap();
            let at = (at - *start) as usize;
            run[at..at + bytes.len()].copy_from_slice(bytes);
        }

        fn tensor(&mut self, name: &str, number: i32, dimensions: &[i32]) {
            self.push_numbers(&[dimensions.len() as i32, name.len() as i32, number]);
            self.push_numbers(dimensions);
            self.push(name.as_bytes());
            let block = Block::of_type(number).unwrap();
            self.length += dimensions.iter().map(|&d| d as u64).product::<u64>() / block.values * block.bytes;
        }

        fn inspect(&self) -> Result<(), Fault> {
            inspect(Reader { file: self, position: 0, reads: &Cell::new(0) }, self.length)
        }
    }

    /// Reads such a file, and counts how often.
    struct Reader<'a> {
        file: &'a Sparse,
        position: u64,
        reads: &'a Cell<usize>,
    }

    impl Read for Reader<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.reads.set(self.reads.get() + 1);
            let end = (self.position + buffer.len() as u64).min(self.file.length);
            buffer.fill(0);
            let first = self.file.runs.partition_point(|(start, run)| start + (run.len() as u64) <= self.position);
            for (start, run) in self.file.runs[first..].iter().take_while(|(start, _)| *start < end) {
                let (from, to) = (self.position.max(*start), end.min(start + run.len() as u64));
                buffer[(from - self.position) as usize..(to - self.position) as usize]
                    .copy_from_slice(&run[(from - start) as usize..(to - start) as usize]);
            }
            let length = end.saturating_sub(self.position);
            self.position += length;
            Ok(length as usize)
        }
    }

    impl Seek for Reader<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            let SeekFrom::Current(by) = to else { unreachable!("the walk goes forward only") };
            self.position = self.position.checked_add_signed(by).unwrap();
            Ok(self.position)
        }
    }

    /// All up to the tensors: what whisper.cpp's own `for-tests` files hold.
    fn front(shape: Shape) -> Sparse {
        let Shape { vocab, state, heads, audio_layers, text_layers, mels, ftype, words } = shape;
        let mut file = Sparse::default();
        file.push(b"lmgg");
        file.push_numbers(&[vocab, 1500, state, heads, audio_layers, 448, state, heads, text_layers, mels, ftype]);
        file.push_numbers(&[mels, 201]);
        file.length += mels as u64 * 201 * 4;
        file.push_numbers(&[words]);
        for word in 0..words {
            file.push_numbers(&[word % 3]);
            file.push(&b"ab"[..word as usize % 3]);
        }
        file
    }

    /// A model with weights of zero, tensor by tensor as `convert-pt-to-ggml.py` names and shapes them.
    fn model(shape: Shape) -> Sparse {
        let Shape { vocab, state: s, mels, .. } = shape;
        let mut file = front(shape);
        let weights = match shape.ftype % 1000 {
            7 => 8,
            8 => 6,
            9 => 7,
            same => same,
        };
        let convolution = weights.min(1);
        file.tensor("encoder.positional_embedding", 0, &[s, 1500]);
        file.tensor("encoder.conv1.weight", convolution, &[3, mels, s]);
        file.tensor("encoder.conv1.bias", 0, &[1, s]);
        file.tensor("encoder.conv2.weight", convolution, &[3, s, s]);
        file.tensor("encoder.conv2.bias", 0, &[1, s]);
        file.tensor("decoder.positional_embedding", 0, &[s, 448]);
        file.tensor("decoder.token_embedding.weight", weights, &[s, vocab]);
        for norm in ["encoder.ln_post", "decoder.ln"] {
            file.tensor(&format!("{norm}.weight"), 0, &[s]);
            file.tensor(&format!("{norm}.bias"), 0, &[s]);
        }
        let blocks = (0..shape.audio_layers).map(|layer| ("encoder", layer));
        for (side, layer) in blocks.chain((0..shape.text_layers).map(|layer| ("decoder", layer))) {
            let block = format!("{side}.blocks.{layer}");
            for attention in ["attn", "cross_attn"].into_iter().take(if side == "encoder" { 1 } else { 2 }) {
                for part in ["query", "key", "value", "out"] {
                    file.tensor(&format!("{block}.{attention}.{part}.weight"), weights, &[s, s]);
                    if part != "key" {
                        file.tensor(&format!("{block}.{attention}.{part}.bias"), 0, &[s]);
                    }
                }
                file.tensor(&format!("{block}.{attention}_ln.weight"), 0, &[s]);
                file.tensor(&format!("{block}.{attention}_ln.bias"), 0, &[s]);
            }
            for (part, from, to) in [("mlp.0", s, 4 * s), ("mlp.2", 4 * s, s)] {
                file.tensor(&format!("{block}.{part}.weight"), weights, &[from, to]);
                file.tensor(&format!("{block}.{part}.bias"), 0, &[to]);
            }
            file.tensor(&format!("{block}.mlp_ln.weight"), 0, &[s]);
            file.tensor(&format!("{block}.mlp_ln.bias"), 0, &[s]);
        }
        file
    }

    /// Random numbers, the same each time (SplitMix64).
    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn sentence(result: Result<(), Fault>) -> String {
        result.map_or_else(|fault| fault.about("x", 7).to_string(), |()| "sound".to_owned())
    }

    fn on_disk(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bin");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    /// Where the vocabulary of a model of this shape starts.
    fn vocabulary_at(shape: Shape) -> u64 {
        48 + 8 + shape.mels as u64 * 201 * 4
    }

    #[test]
    fn published_models_pass() {
        let widths = [(384, 6, 4), (512, 8, 6), (768, 12, 12), (1024, 16, 24), (1280, 20, 32)];
        for (state, heads, layers) in widths {
            for (vocab, mels) in [(51_864, 80), (51_865, 80), (51_866, 128)] {
                for ftype in [0, 1, 2002, 2003, 2007, 2008, 2009, 8, 1002] {
                    for text_layers in [layers, 2, 4] {
                        let file = model(Shape {
                            vocab,
                            state,
                            heads,
                            audio_layers: layers,
                            text_layers,
                            mels,
                            ftype,
                            words: 9,
                        });
                        assert_eq!(sentence(file.inspect()), "sound", "{state} {vocab} {ftype} {text_layers}");
                    }
                }
            }
        }
        for ftype in [2010, 2012, 2014] {
            let weights = Shape { state: 512, heads: 8, ftype, ..SMALL };
            assert_eq!(sentence(model(weights).inspect()), "sound", "{ftype}");
        }
    }

    #[test]
    fn a_large_model_takes_few_reads() {
        let file = model(LARGE);
        assert!(file.length > 3_000_000_000);
        let reads = Cell::new(0);
        inspect(Reader { file: &file, position: 0, reads: &reads }, file.length).unwrap();
        assert!(reads.get() < 2500, "{}", reads.get());
    }

    #[test]
    fn the_model_that_is_built_in_passes_and_its_parts_do_not() {
        let model = real_model();
        let (_folder, path) = on_disk(&model);
        check(&path).unwrap();
        let mut lengths: Vec<u64> = (0..=200).collect();
        let mut seed = 1;
        lengths.extend((0..20).map(|_| random(&mut seed) % model.len() as u64));
        lengths.extend((1..=5).map(|less| model.len() as u64 - less));
        // Each shorter than the one before, so that nothing has to be written again.
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        let file = File::options().write(true).open(&path).unwrap();
        for length in lengths {
            file.set_len(length).unwrap();
            let error = check(&path).unwrap_err();
            let words = match length {
                0 => "is an empty file".to_owned(),
                1..4 => "is not a ggml Whisper model".to_owned(),
                _ => format!("is cut short: it has {length} bytes"),
            };
            assert_eq!(error.kind(), Kind::InvalidInput);
            assert!(error.to_string().contains(&words), "{error}");
        }
    }

    #[test]
    fn every_part_of_a_model_is_cut_short() {
        let whole = model(SMALL);
        let mut seed = 2;
        let random = (0..2000).map(|_| random(&mut seed) % whole.length).collect::<Vec<_>>();
        for length in random.into_iter().chain(4..200).chain(whole.length - 200..whole.length) {
            let part = Sparse { length, ..whole.clone() };
            assert!(matches!(part.inspect(), Err(Fault::Short)), "{length}");
        }
        // whisper.cpp takes a model without any tensor for one to test with, and decodes with what was in memory.
        assert!(matches!(front(SMALL).inspect(), Err(Fault::Short)));
    }

    #[test]
    fn damage_does_no_harm() {
        let mut file = model(SMALL);
        let written: u64 = file.runs.iter().map(|(_, run)| run.len() as u64).sum();
        let mut seed = 3;
        for _ in 0..20_000 {
            let mut at = random(&mut seed) % written;
            let run = file.runs.iter().position(|(_, run)| {
                let here = at < run.len() as u64;
                at -= if here { 0 } else { run.len() as u64 };
                here
            });
            let byte = &mut file.runs[run.unwrap()].1[at as usize];
            let before = std::mem::replace(byte, random(&mut seed) as u8);
            // Some damage is harmless, such as another letter in a word.
            drop(file.inspect());
            file.runs[run.unwrap()].1[at as usize] = before;
        }
        assert_eq!(sentence(file.inspect()), "sound");
    }

    #[test]
    fn every_number_of_the_header_has_limits() {
        for index in 1..12 {
            for number in [-1, 0, i32::MAX, i32::MIN] {
                let mut file = model(SMALL);
                file.put(index * 4, &number.to_le_bytes());
                let text = sentence(file.inspect());
                assert!(text.starts_with("model `x` is damaged: ") && text.ends_with("; get it again"), "{text}");
            }
        }
    }

    #[test]
    fn every_number_of_the_header_fits_the_tensors() {
        for index in 1..12 {
            let mut file = model(SMALL);
            let at = index as usize * 4;
            let number = i32::from_le_bytes(file.runs[0].1[at..at + 4].try_into().unwrap());
            file.put(index * 4, &(number + 1).to_le_bytes());
            assert!(file.inspect().is_err(), "{index}");
        }
    }

    #[test]
    fn damage_is_named() {
        let tables = vocabulary_at(SMALL);
        let first = front(SMALL).length;
        let cases: &[(u64, i32, &str)] = &[
            (4, 51_867, "its n_vocab is 51867"),
            (16, 3, "its n_audio_head is 3, for a state of 4"),
            (44, 4, "its ftype is 4, for a state of 4"),
            (44, 3001, "its ftype is 3001"),
            (44, 2005, "its ftype is 2005, for a state of 4"),
            (44, 2002, "its ftype is 2002, for a state of 4"),
            (44, 0, "the type of tensor 2 is 1"),
            (44, 24, "its ftype is not that of its tensors"),
            (48, 3, "the n_mel of its filters is 3"),
            (52, 400, "the n_fft of its filters is 400"),
            (tables, 0xffff_fff0_u32 as i32, "the length of its vocabulary is -16"),
            (tables, i32::MAX, "the length of its vocabulary is 2147483647"),
            (tables + 4, 0x4000_0000, "the length of a word in its vocabulary is 1073741824"),
            (first, 5, "the number of dimensions of tensor 1 is 5"),
            (first, 0, "the number of dimensions of tensor 1 is 0"),
            (first + 4, -1, "the length of the name of tensor 1 is -1"),
            (first + 4, 65, "the length of the name of tensor 1 is 65"),
            (first + 8, 4, "the type of tensor 1 is 4"),
            (first + 8, -1, "the type of tensor 1 is -1"),
            (first + 8, 40, "the type of tensor 1 is 40"),
            (first + 12, 0, "a dimension of tensor 1 is 0"),
            (first + 16, i32::MAX, "tensor 1 is too large"),
        ];
        for (at, number, words) in cases {
            let mut file = model(SMALL);
            file.put(*at, &number.to_le_bytes());
            assert_eq!(sentence(file.inspect()), format!("model `x` is damaged: {words}; get it again"));
        }
        let mut file = model(SMALL);
        file.put(first + 12, &8_i32.to_le_bytes());
        file.put(first + 16, &750_i32.to_le_bytes());
        assert_eq!(sentence(file.inspect()), "sound", "whisper.cpp itself refuses another shape of the same size");
        let mut rows = model(Shape { state: 32, ftype: 2, ..SMALL });
        rows.put(first + 8, &2_i32.to_le_bytes());
        rows.put(first + 12, &33_i32.to_le_bytes());
        assert!(sentence(rows.inspect()).contains("the rows of tensor 1 are not whole blocks of its type"));
    }

    #[test]
    fn a_tensor_that_comes_twice_is_refused() {
        let mut file = model(SMALL);
        let run = file.runs.iter_mut().find(|(_, run)| run.ends_with(b"decoder.ln.weight")).unwrap();
        let at = run.1.len() - 17;
        run.1[at..].copy_from_slice(b"decoder.ln.weighs");
        assert_eq!(sentence(file.inspect()), "sound", "whisper.cpp itself refuses names that it does not know");
        let run = file.runs.iter_mut().find(|(_, run)| run.ends_with(b"encoder.conv1.bias")).unwrap();
        let at = run.1.len() - 18;
        run.1[at..].copy_from_slice(b"encoder.conv2.bias");
        assert!(sentence(file.inspect()).contains("damaged: tensor 5 has the name of another"));
    }

    #[test]
    fn a_few_bytes_may_follow() {
        let mut file = model(SMALL);
        file.length += 11;
        assert_eq!(sentence(file.inspect()), "sound");
        file.length += 1;
        assert!(sentence(file.inspect()).contains("damaged: 12 bytes follow its last tensor"));
    }

    #[test]
    fn other_files_are_told_apart() {
        let (_folder, path) = on_disk(b"GGUF\x03\0\0\0");
        let words = "is a GGUF file; whisper.cpp takes ggml files, such as ggml-base.en.bin";
        assert_eq!(check(&path).unwrap_err().to_string(), format!("`{}` {words}", path.display()));
        let (_folder, path) = on_disk(b"RIFF\x03\0\0\0");
        let error = check(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is not a ggml Whisper model", path.display()));
        assert_eq!(error.kind(), Kind::InvalidInput);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let (folder, path) = on_disk(b"");
        assert!(check(&path).unwrap_err().to_string().contains("is an empty file; get it again"));
        let error = check(folder.path()).unwrap_err();
        assert!(error.to_string().contains("is a folder; name the file in it"), "{error}");
        let error = check(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().starts_with("cannot open model `"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [pipe.as_path(), Path::new("/dev/zero")] {
            let error = check(path).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput);
            assert!(error.to_string().contains("is a device or a pipe"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_may_not_be_opened_is_an_io_error() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let (folder, path) = on_disk(b"lmgg");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o0)).unwrap();
        // Root may open everything.
        if File::open(&path).is_err() {
            assert_eq!(check(&path).unwrap_err().kind(), Kind::Io);
        }
        let circle = folder.path().join("circle");
        symlink(&circle, &circle).unwrap();
        assert_eq!(check(&circle).unwrap_err().kind(), Kind::Io);
    }
}
