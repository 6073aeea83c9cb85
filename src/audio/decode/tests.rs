//! Files of every dress, whole and broken, built by hand; `testdata` holds a quarter of a second of the same tone in
//! the formats that are too much to build by hand.

use std::f64::consts::TAU;
use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::audio::{to_f32, wav};

const TONE_HERTZ: f64 = 440.0;
const MP3: &[u8] = include_bytes!("../testdata/tone.mp3");
const M4A: &[u8] = include_bytes!("../testdata/tone.m4a");
const OGG: &[u8] = include_bytes!("../testdata/tone.ogg");
const FLAC: &[u8] = include_bytes!("../testdata/tone.flac");
const OPUS: &[u8] = include_bytes!("../testdata/tone.opus");
const WEBM: &[u8] = include_bytes!("../testdata/tone.webm");

/// What one decode gave.
struct Heard {
    samples: Vec<f32>,
    truncated: Option<Truncation>,
    hint: Option<f64>,
    rate: u32,
    channels: usize,
}

fn drain(mut decoder: Decoder) -> Result<Heard> {
    let hint = decoder.duration_hint();
    let mut samples = Vec::new();
    while let Some(block) = decoder.next()? {
        assert!(!block.is_empty());
        samples.extend(block);
    }
    assert!(decoder.next()?.is_none(), "the end stays the end");
    let (rate, channels) = (decoder.rate(), decoder.channels());
    Ok(Heard { samples, truncated: decoder.truncated(), hint, rate, channels })
}

fn hear(bytes: &[u8]) -> Result<Heard> {
    drain(Decoder::open(Source::Bytes(bytes.to_vec()), "`x.wav`")?)
}

fn refusal(bytes: &[u8]) -> String {
    let error = hear(bytes).err().expect("this must be refused");
    assert_eq!(error.kind(), Kind::InvalidInput, "{error}");
    assert!(error.to_string().starts_with("`x.wav` "), "{error}");
    error.to_string()
}

/// A pipe that gives a byte at a time, then fails or ends.
struct Drip {
    bytes: Vec<u8>,
    at: usize,
    fails: bool,
}

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.get(self.at) {
            Some(&byte) if !buffer.is_empty() => {
                buffer[0] = byte;
                self.at += 1;
                Ok(1)
            }
            None if self.fails => Err(io::Error::other("the cable is out")),
            _ => Ok(0),
        }
    }
}

fn drip(bytes: &[u8], fails: bool) -> Source {
    Source::Pipe(Box::new(Drip { bytes: bytes.to_vec(), at: 0, fails }))
}

/// How a sample is written.
#[derive(Clone, Copy, Debug)]
enum Width {
    Int(u16),
    Float(u16),
}

fn format_chunk(tag: u16, channels: u16, rate: u32, bits: u16) -> Vec<u8> {
    let block = (u32::from(channels) * u32::from(bits) / 8) as u16;
    let mut chunk = [tag.to_le_bytes(), channels.to_le_bytes()].concat();
    chunk.extend(rate.to_le_bytes());
    chunk.extend(rate.wrapping_mul(block.into()).to_le_bytes());
    chunk.extend([block.to_le_bytes(), bits.to_le_bytes()].concat());
    chunk
}

fn chunk(id: &[u8; 4], length: u32, body: &[u8]) -> Vec<u8> {
    [&id[..], &length.to_le_bytes(), body].concat()
}

/// A file with these format and data chunks; `length` is what its header says of the data.
fn riff(format: &[u8], data: &[u8], length: u32) -> Vec<u8> {
    let body = [chunk(b"fmt ", format.len() as u32, format), chunk(b"data", length, data)].concat();
    chunk(b"RIFF", length.saturating_add(28 + format.len() as u32 - 8 + 8), &[&b"WAVE"[..], &body].concat())
}

fn whole(format: &[u8], data: &[u8]) -> Vec<u8> {
    riff(format, data, data.len() as u32)
}

fn encode(value: f64, width: Width) -> Vec<u8> {
    let full = |bits: u16| (value * (1_u64 << (bits - 1)) as f64).round() as i64;
    match width {
        Width::Int(8) => vec![(full(8) + 128) as u8],
        Width::Int(bits) => full(bits).to_le_bytes()[..usize::from(bits / 8)].to_vec(),
        Width::Float(32) => (value as f32).to_le_bytes().to_vec(),
        Width::Float(_) => value.to_le_bytes().to_vec(),
    }
}

fn tone_at(rate: u32, at: usize) -> f64 {
    0.5 * (TAU * TONE_HERTZ * at as f64 / f64::from(rate)).sin()
}

fn tone_file(width: Width, channels: u16, rate: u32, frames: usize) -> Vec<u8> {
    let (tag, bits) = match width {
        Width::Int(bits) => (1, bits),
        Width::Float(bits) => (3, bits),
    };
    let data: Vec<u8> =
        (0..frames).flat_map(|at| encode(tone_at(rate, at), width).repeat(usize::from(channels))).collect();
    whole(&format_chunk(tag, channels, rate, bits), &data)
}

/// The root of the mean square of what differs from the tone, without the edges, where the tone itself begins
/// and ends and no filter can be right.
fn error_of(samples: &[f32]) -> f64 {
    let inner = 800..samples.len() - 800;
    let count = inner.len() as f64;
    let sum: f64 = inner.map(|at| (f64::from(samples[at]) - tone_at(16_000, at)).powi(2)).sum();
    (sum / count).sqrt()
}

#[test]
fn every_width_rate_and_layout_is_the_same_tone() {
    let widths = [Width::Int(8), Width::Int(16), Width::Int(24), Width::Int(32), Width::Float(32), Width::Float(64)];
    for width in widths {
        for channels in [1, 2, 6] {
            for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000] {
                let frames = rate as usize / 4;
                let heard = hear(&tone_file(width, channels, rate, frames)).unwrap();
                let due = (frames as f64 * 16_000.0 / f64::from(rate)).round() as usize;
                assert_eq!(heard.samples.len(), due, "{width:?} {channels} {rate}");
                assert_eq!((heard.rate, heard.channels), (rate, usize::from(channels)));
                assert!(heard.truncated.is_none());
                assert!((heard.hint.unwrap() - frames as f64 / f64::from(rate)).abs() < 1e-9);
                // Rounding to steps of 1/128 leaves 1/128/sqrt(12) = 0.00226; the other widths are finer than what
                // the filter leaves, which is under 1e-4.
                let allowed = if matches!(width, Width::Int(8)) { 0.0024 } else { 1e-4 };
                let error = error_of(&heard.samples);
                assert!(error < allowed, "{width:?} {channels} {rate}: {error}");
            }
        }
    }
}

#[test]
fn sixteen_bits_at_the_recognition_rate_pass_to_the_bit() {
    let samples: Vec<i16> = (0..20_000).map(|at| (at * 7_919 % 65_536 - 32_768) as i16).collect();
    let heard = hear(&wav::from_samples(16_000, &samples)).unwrap();
    assert!(heard.samples.iter().zip(&samples).all(|(&heard, &sample)| heard == to_f32(sample)));
    assert_eq!(heard.samples.len(), samples.len());
}

#[test]
fn other_formats_are_known_by_content() {
    // FLAC is lossless to a step of 16 bits. This Vorbis file fills its last block. LAME turns the level down by 5 %,
    // which alone is 0.018 of this tone.
    for (bytes, length, allowed) in [(FLAC, 4_000, 2e-5), (OGG, 4_032, 0.01), (MP3, 4_000, 0.02)] {
        let heard = hear(bytes).unwrap();
        assert_eq!(heard.samples.len(), length);
        assert!(error_of(&heard.samples) < allowed, "{}", error_of(&heard.samples));
        assert!(heard.truncated.is_none());
        assert_eq!(drain(Decoder::open(drip(bytes, false), "pipe").unwrap()).unwrap().samples, heard.samples);
    }
    // Opus turns the phase a little. What WebM says of its end, symphonia does not read.
    for (bytes, length) in [(OPUS, 4_000), (WEBM, 4_000 + 56)] {
        let heard = hear(bytes).unwrap();
        assert_eq!(heard.samples.len(), length);
        assert!(error_of(&heard.samples[..4_000]) < 0.03, "{}", error_of(&heard.samples[..4_000]));
        assert_eq!(drain(Decoder::open(drip(bytes, false), "pipe").unwrap()).unwrap().samples, heard.samples);
    }
    // AAC brings whole frames of 1024 samples, and begins within one.
    let heard = hear(M4A).unwrap();
    assert!((4_000..=4_000 + 2 * 1_024).contains(&heard.samples.len()), "{}", heard.samples.len());
}

#[test]
fn tags_in_front_of_mp3_are_passed_over() {
    // A picture of 300 KB, which may hold anything.
    let mut bytes = b"ID3\x04\x00\x00\x00\x12\x27\x60".to_vec();
    bytes.extend(vec![0x52; (0x12 << 14) + (0x27 << 7) + 0x60]);
    bytes.extend(MP3);
    assert_eq!(hear(&bytes).unwrap().samples, hear(MP3).unwrap().samples);
}

#[test]
fn an_m4a_with_its_index_at_the_end_needs_a_file() {
    let error = Decoder::open(drip(M4A, false), "standard input").err().unwrap();
    assert_eq!(error.to_string(), "standard input is an M4A that cannot be read from a pipe; save it to a file first");
}

#[test]
fn companded_samples_are_read() {
    // The quietest and the loudest code of each law.
    for (tag, codes, values) in [(6, [0xd5, 0xaa], [8, 32_256]), (7, [0xff, 0x80], [0, 32_124])] {
        let heard = hear(&whole(&format_chunk(tag, 1, 16_000, 8), &codes)).unwrap();
        assert_eq!(heard.samples, values.map(to_f32));
    }
}

#[test]
fn adpcm_is_read() {
    // A block of IMA: the first sample, the step index, a spare byte, then nibbles that stand for no change.
    let block = [&[0x00, 0x10, 0, 0][..], &[0; 32]].concat();
    let mut format = format_chunk(0x11, 1, 16_000, 4);
    format[12..14].copy_from_slice(&36_u16.to_le_bytes());
    let heard = hear(&whole(&format, &block.repeat(3))).unwrap();
    assert_eq!(heard.samples.len(), 3 * 65);
    assert!((heard.samples[0] - 0.125).abs() < 1e-3);
    // The same for Microsoft's: predictor, delta, two samples.
    let block = [&[0, 16, 0, 0x00, 0x10, 0x00, 0x10][..], &[0; 33]].concat();
    let mut format = format_chunk(2, 1, 16_000, 4);
    format[12..14].copy_from_slice(&40_u16.to_le_bytes());
    let heard = hear(&whole(&format, &block.repeat(2))).unwrap();
    assert_eq!(heard.samples.len(), 2 * 68);
    assert!((heard.samples[0] - 0.125).abs() < 1e-3);
}

#[test]
fn extensible_formats_name_the_real_one() {
    let mut format = format_chunk(0xfffe, 2, 16_000, 16);
    format.extend([22, 0, 16, 0, 3, 0, 0, 0, 1, 0]);
    format.extend([0; 14]);
    let heard = hear(&whole(&format, &[0, 0x40, 0, 0x40, 0, 0x20, 0, 0x40])).unwrap();
    assert_eq!(heard.samples, [0.5, 0.375]);
    // More channels than the usual layouts have names for.
    let heard = hear(&whole(&format_chunk(1, 32, 16_000, 16), &[0, 0x40].repeat(64))).unwrap();
    assert_eq!((heard.samples, heard.channels), (vec![0.5, 0.5], 32));
}

#[test]
fn long_files_have_long_lengths() {
    let format = chunk(b"fmt ", 16, &format_chunk(1, 1, 16_000, 16));
    let sizes = [200_u64, 4, 2].map(u64::to_le_bytes).concat();
    let body =
        [&b"WAVE"[..], &chunk(b"ds64", 24, &sizes), &format, &chunk(b"data", u32::MAX, &[0, 0x40, 0, 0xc0, 9, 9])];
    let heard = hear(&chunk(b"RF64", u32::MAX, &body.concat())).unwrap();
    assert_eq!(heard.samples, [0.5, -0.5]);

    let guid = |name: &[u8; 4], rest: &[u8; 12], length: u64| [&name[..], rest, &length.to_le_bytes()].concat();
    let tail = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
    let file = [
        guid(b"riff", b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 108),
        [&b"wave"[..], tail].concat(),
        guid(b"fmt ", tail, 40),
        format_chunk(1, 1, 16_000, 16),
        guid(b"data", tail, 28),
        vec![0, 0x40, 0, 0xc0, 7, 7, 7, 7],
    ];
    assert_eq!(hear(&file.concat()).unwrap().samples, [0.5, -0.5]);
}

#[test]
fn chunks_around_the_samples_are_no_audio() {
    // A list that claims four gigabytes would be an allocation if anybody believed it; this one is odd instead.
    let list = chunk(b"LIST", 5, b"INFOx\0");
    let format = chunk(b"fmt ", 16, &format_chunk(1, 1, 16_000, 16));
    let body = [&b"WAVE"[..], &list, &format, &chunk(b"data", 2, &[0, 0x40]), &chunk(b"LIST", 4, b"INFO")].concat();
    assert_eq!(hear(&chunk(b"RIFF", body.len() as u32, &body)).unwrap().samples, [0.5]);
    let greedy = [&b"WAVE"[..], &chunk(b"LIST", u32::MAX, b"INFO")].concat();
    assert!(refusal(&chunk(b"RIFF", 4_000, &greedy)).contains("ends within its header"));
    // An empty recording with a list behind it.
    let body = [&b"WAVE"[..], &format, &chunk(b"data", 0, &[]), &chunk(b"LIST", 4, b"INFO")].concat();
    assert!(hear(&chunk(b"RIFF", body.len() as u32, &body)).unwrap().samples.is_empty());
}

#[test]
fn what_is_no_audio_is_refused() {
    assert_eq!(refusal(b""), "`x.wav` is empty");
    let noise: Vec<u8> = (0..40_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let text = "RIFF is a word, and OggS is not; fLaC neither. ".repeat(400);
    for bytes in [&b"x"[..], b"RIFFabcdJUNK", b"hello world\n", text.as_bytes(), &noise, &[0; 30_000], b"OggS", b"fLaC"]
    {
        let message = refusal(bytes);
        assert!(message.contains("is not an audio file that is understood") || bytes.len() < 5, "{message}");
    }
}

#[test]
fn a_cut_header_is_refused_and_an_empty_recording_is_silence() {
    let file = wav::from_samples(16_000, &[1, 2, 3]);
    for length in 12..44 {
        assert!(refusal(&file[..length]).contains("ends within its header"), "{length}");
    }
    let heard = hear(&wav::from_samples(16_000, &[])).unwrap();
    assert!(heard.samples.is_empty() && heard.truncated.is_none());
    let no_format = chunk(b"RIFF", 20, &[&b"WAVE"[..], &chunk(b"data", 4, &[1, 2, 3, 4])].concat());
    assert!(refusal(&no_format).contains("has no format chunk"));
}

#[test]
fn a_recording_that_was_cut_short_is_heard_and_told() {
    let file = tone_file(Width::Int(16), 1, 8_000, 96_000);
    let cut = &file[..44 + 2 * 24_800 + 1];
    let heard = hear(cut).unwrap();
    assert_eq!(heard.samples.len(), 49_600);
    let truncated = heard.truncated.unwrap();
    assert!((truncated.announced - 12.0).abs() < 1e-9 && (truncated.found - 3.1).abs() < 1e-9);
    assert!((heard.hint.unwrap() - 3.1).abs() < 1e-9);
    assert!(drain(Decoder::open(drip(cut, false), "pipe").unwrap()).unwrap().truncated.is_some());
    let (whole, cut) = (hear(MP3).unwrap(), hear(&MP3[..MP3.len() / 2]).unwrap());
    assert!((1..whole.samples.len()).contains(&cut.samples.len()));
    // The header of FLAC is exact.
    let heard = hear(&FLAC[..FLAC.len() / 2]).unwrap();
    let truncated = heard.truncated.unwrap();
    assert_eq!(truncated.announced, 0.25);
    assert!(truncated.found < 0.25, "{truncated:?}");
}

#[test]
fn streamed_lengths_mean_to_the_end() {
    let format = format_chunk(1, 1, 16_000, 16);
    let data = [[0, 0x40].repeat(999), vec![7]].concat();
    for length in [0, u32::MAX, 0x7fff_ffff, 0x7fff_f000, 0x8000_0000, u32::MAX - 36, 0x7fff_ff00] {
        let heard = hear(&riff(&format, &data, length)).unwrap();
        assert_eq!(heard.samples, [0.5; 999], "{length:#x}");
        assert!(heard.truncated.is_none(), "{length:#x}");
        let file = riff(&format, &data, length);
        assert_eq!(drain(Decoder::open(drip(&file, false), "pipe").unwrap()).unwrap().samples, [0.5; 999]);
    }
    let ours = [&wav::header(16_000, None)[..], &data].concat();
    assert_eq!(hear(&ours).unwrap().samples, [0.5; 999]);
}

#[test]
fn impossible_formats_are_named() {
    let refused = |tag, channels, rate, bits| refusal(&whole(&format_chunk(tag, channels, rate, bits), &[0; 64]));
    assert!(refused(1, 0, 16_000, 16).contains("has no channels"));
    assert!(refused(1, 33, 16_000, 16).contains("has 33 channels"));
    assert!(refused(1, 1, 0, 16).contains("sample rate of 0 Hz"));
    assert!(refused(1, 1, 999, 16).contains("sample rate of 999 Hz"));
    assert!(refused(1, 1, 768_001, 16).contains("sample rate of 768001 Hz"));
    for bits in [0, 33, 64, 999, u16::MAX] {
        assert!(refused(1, 1, 16_000, bits).contains(&format!("samples of {bits} bits")));
    }
    assert!(refused(3, 1, 16_000, 16).contains("samples of 16 bits"));
    assert!(refused(0x55, 1, 16_000, 16).contains("WAV format 0x0055"));
    assert!(refused(0x11, 3, 16_000, 4).contains("3 channels of ADPCM"));
    assert!(refused(0x11, 1, 16_000, 4).contains("blocks of 0 bytes"));
}

#[test]
fn what_no_sample_can_be_is_silence_or_full_scale() {
    let values = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3.0, -0.25];
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let heard = hear(&whole(&format_chunk(3, 1, 16_000, 32), &data)).unwrap();
    assert_eq!(heard.samples, [0.0, 1.0, -1.0, 1.0, -0.25]);
    let data: Vec<u8> = values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect();
    let heard = hear(&whole(&format_chunk(3, 1, 16_000, 64), &data)).unwrap();
    assert_eq!(heard.samples, [0.0, 1.0, -1.0, 1.0, -0.25]);
    // One bad sample must not spoil the block that the resampler makes of it.
    let heard = hear(&whole(&format_chunk(3, 1, 48_000, 32), &data)).unwrap();
    assert!(heard.samples.iter().all(|sample| sample.is_finite()));
}

#[test]
fn a_pipe_of_single_bytes_gives_the_same() {
    let file = tone_file(Width::Int(24), 2, 44_100, 8_000);
    let heard = drain(Decoder::open(drip(&file, false), "standard input").unwrap()).unwrap();
    assert_eq!(heard.samples, hear(&file).unwrap().samples);
}

#[test]
fn an_input_that_fails_is_no_end() {
    for bytes in [&tone_file(Width::Int(16), 1, 16_000, 4_000)[..], MP3, OGG, FLAC] {
        for length in [0, 3, 20, bytes.len() - 500] {
            let result = Decoder::open(drip(&bytes[..length], true), "standard input").and_then(drain);
            let error = result.err().unwrap();
            assert_eq!(error.kind(), Kind::Io, "{error}");
            assert_eq!(error.to_string(), "standard input cannot be read: the cable is out");
        }
    }
    let folder = Source::File(std::fs::File::open("/").unwrap());
    assert_eq!(Decoder::open(folder, "/").err().unwrap().kind(), Kind::Io);
}

/// Frames whose channels hold their own numbers, in hundredths.
fn numbered_file(channels: u16, frames: usize) -> Vec<u8> {
    let frame = (1..=channels).flat_map(|number| (f32::from(number) / 100.0).to_le_bytes()).collect::<Vec<u8>>();
    whole(&format_chunk(3, channels, 16_000, 32), &frame.repeat(frames))
}

#[test]
fn channels_are_given_as_they_are_wanted() {
    let open = |channels| {
        let part = Part { channels, ..Part::default() };
        Decoder::open_part(Source::Bytes(numbered_file(3, 1_000)), part, "`x.wav`")
    };
    let one = drain(open(Channels::One(2)).unwrap()).unwrap();
    assert_eq!(one.samples, [0.02; 1_000]);
    let mut each = open(Channels::Each).unwrap();
    let mut heard = vec![Vec::new(); 3];
    while let Some(block) = each.next_block().unwrap() {
        heard.iter_mut().zip(block).for_each(|(heard, block)| heard.extend(block));
    }
    assert_eq!(heard, [vec![0.01; 1_000], vec![0.02; 1_000], vec![0.03; 1_000]]);
    let error = open(Channels::One(4)).err().unwrap();
    assert_eq!(error.to_string(), "`x.wav` has 3 channels; there is no channel 4");
}

#[test]
fn a_part_is_exact_to_the_sample() {
    let samples: Vec<i16> = (0..16_000).collect();
    for (rate, from, length) in
        [(16_000, 0.25, Some(0.5)), (8_000, 0.5, Some(1.0)), (16_000, 0.9, None), (16_000, 0.0, Some(9.0))]
    {
        let part = Part { from, length, ..Part::default() };
        let open = |source| Decoder::open_part(source, part, "`x.wav`").unwrap();
        let file = wav::from_samples(rate, &samples);
        let decoder = open(Source::Bytes(file.clone()));
        let hint = decoder.duration_hint().unwrap();
        let heard = drain(decoder).unwrap();
        let whole = 16_000.0 / f64::from(rate);
        let due = length.map_or(whole - from, |length| length.min(whole - from));
        assert_eq!(heard.samples.len(), (due * 16_000.0).round() as usize, "{rate} {from} {length:?}");
        assert!((hint - due).abs() < 1e-9 || length.is_some(), "{hint} {due}");
        if rate == 16_000 {
            assert_eq!(heard.samples[0], to_f32(samples[(from * 16_000.0) as usize]));
        }
        assert_eq!(drain(open(drip(&file, false))).unwrap().samples, heard.samples);
    }
    let part = Part { from: 2.0, ..Part::default() };
    let mut decoder = Decoder::open_part(Source::Bytes(wav::from_samples(16_000, &samples)), part, "`x.wav`").unwrap();
    assert!(decoder.next().unwrap().is_none());
    let error = decoder.verdict().unwrap_err();
    assert_eq!(error.to_string(), "`x.wav` is 1.0 s long; nothing of it is after 2.0 s");
}

#[test]
fn a_part_of_a_cut_file_is_whole_where_it_lies_before_the_cut() {
    let file = &wav::from_samples(16_000, &[5; 32_000])[..40_000];
    let heard = |length| {
        let part = Part { length, ..Part::default() };
        let mut decoder = Decoder::open_part(Source::Bytes(file.to_vec()), part, "`x.wav`").unwrap();
        while decoder.next().unwrap().is_some() {}
        decoder.verdict().unwrap()
    };
    assert_eq!(heard(Some(1.0)), [""; 0]);
    assert_eq!(heard(None), ["`x.wav` ends early: its header announces 2.0 s, 1.2 s are there"]);
}

#[test]
fn bare_samples_are_read_as_they_are_named() {
    for (name, bytes) in [
        ("16000,u8", vec![0xc0]),
        ("16000,s8", vec![0x40]),
        ("16000,s16", vec![0, 0x40]),
        ("16000,s16be", vec![0x40, 0]),
        ("16000,s24le", vec![0, 0, 0x40]),
        ("16000,s24be", vec![0x40, 0, 0]),
        ("16000,s32le", vec![0, 0, 0, 0x40]),
        ("16000,s32be", vec![0x40, 0, 0, 0]),
        ("16000,f32le", 0.5_f32.to_le_bytes().to_vec()),
        ("16000,f32be", 0.5_f32.to_be_bytes().to_vec()),
        ("16000,f64le", 0.5_f64.to_le_bytes().to_vec()),
        ("16000,f64be", 0.5_f64.to_be_bytes().to_vec()),
    ] {
        for channels in [1, 2] {
            let raw = Some(format!("{name},{channels}").parse().unwrap());
            let part = Part { raw, ..Part::default() };
            let decoder = Decoder::open_part(Source::Bytes(bytes.repeat(channels * 100)), part, "`x`").unwrap();
            assert_eq!(decoder.duration_hint(), Some(100.0 / 16_000.0));
            let heard = drain(decoder).unwrap();
            assert_eq!(heard.samples, [0.5; 100], "{name}");
        }
    }
}

#[test]
fn a_file_that_grows_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("growing.wav");
    std::fs::write(&path, [&wav::header(16_000, None)[..], &[0; 64_000]].concat()).unwrap();
    let mut decoder = Decoder::open(Source::File(std::fs::File::open(&path).unwrap()), "`x.wav`").unwrap();
    while decoder.next().unwrap().is_some() {}
    assert_eq!(decoder.verdict().unwrap(), [""; 0]);
    let mut file = std::fs::File::options().append(true).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &[1; 2_000]).unwrap();
    assert_eq!(decoder.verdict().unwrap(), ["`x.wav` is still being written: what came after 2.0 s is left out"]);
}

#[test]
fn an_mp4_needs_its_index_but_not_its_end() {
    let as_file = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        Source::File(file)
    };
    let whole = hear(M4A).unwrap();
    assert_eq!(drain(Decoder::open(as_file(M4A), "`x`").unwrap()).unwrap().samples, whole.samples);
    assert!(error_of(&whole.samples[..4_000]) < 0.03, "the lead of the encoder is left out");
    // This one has its index behind its audio.
    for length in [40, M4A.len() / 2, M4A.len() - 100] {
        let error = Decoder::open(as_file(&M4A[..length]), "`x.m4a`").err().unwrap();
        assert_eq!(error.to_string(), "`x.m4a` has no index: it was cut short, or is still being recorded");
    }
}

#[test]
fn a_piece_that_never_ends_is_not_gathered() {
    // CAF: a description of 16 kHz ALAC, then a cookie that claims to be 2^44 bytes, and goes on and on.
    let mut file = b"caff\x00\x01\x00\x00desc".to_vec();
    file.extend(32_u64.to_be_bytes());
    file.extend(16_000_f64.to_be_bytes());
    file.extend(b"alac");
    file.extend([0_u32, 0, 4_096, 1, 16].map(u32::to_be_bytes).concat());
    file.extend(b"kuki");
    file.extend((1_u64 << 44).to_be_bytes());
    let source = Source::Pipe(Box::new(io::Cursor::new(file).chain(io::repeat(0))));
    let error = Decoder::open(source, "`x`").and_then(drain).err().unwrap();
    assert_eq!(error.to_string(), "`x` is damaged: a piece of it claims to be larger than 64 MiB");
}

#[test]
fn boxes_that_claim_more_than_there_is_are_no_fault_of_the_disk() {
    let mut bytes = M4A.to_vec();
    let at = bytes.windows(4).position(|name| name == b"trak").unwrap();
    // A track of nearly 2^64 bytes, in which is a box of more than 2^63.
    bytes[at - 4..at].copy_from_slice(&1_u32.to_be_bytes());
    bytes[at + 4..at + 12].copy_from_slice(&(u64::MAX - 4_096).to_be_bytes());
    bytes[at + 12..at + 16].copy_from_slice(&1_u32.to_be_bytes());
    bytes[at + 16..at + 20].copy_from_slice(b"xxxx");
    bytes[at + 20..at + 28].copy_from_slice(&((1_u64 << 63) + 5).to_be_bytes());
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, &bytes).unwrap();
    io::Seek::rewind(&mut file).unwrap();
    let error = Decoder::open(Source::File(file), "`x`").and_then(drain).err().unwrap();
    assert_eq!(error.kind(), Kind::InvalidInput, "{error}");
}

#[test]
fn a_decoder_can_move_to_a_thread() {
    fn moves<T: Send>() {}
    moves::<Decoder>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn broken_files_end(
        original in prop::sample::select(vec![
            wav::from_samples(16_000, &[7; 400]), tone_file(Width::Float(32), 6, 44_100, 300), MP3.to_vec(), M4A.to_vec(),
            OGG.to_vec(), FLAC.to_vec(), OPUS.to_vec(), WEBM.to_vec(),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = original;
        for (at, value, is_early) in changes {
            let range = if is_early { bytes.len().min(64) } else { bytes.len() };
            bytes[at.index(range)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        match hear(&bytes) {
            // No format is denser than a frame of silence in a few bytes.
            Ok(heard) => prop_assert!(heard.samples.len() <= 1_000_000),
            Err(error) => prop_assert_eq!(error.kind(), Kind::InvalidInput),
        }
    }
}
