//! What it costs that audio goes from a client to the server to a worker, against two bare tonic echoes in a row.
//!
//! Ours: `speechctl serve` on TCP, with the mock engine in a worker behind it. It counts check sums, which costs next to
//! nothing. The client is in this process; it sends a recording of bare 16-bit samples by `RecognizeFile`, in the chunks
//! of the row, and reads what comes back until the end. Today the server gathers windows of 30 s, and hands each to the
//! worker in one unary call; that is part of what is measured.
//!
//! The rival: two echoes (`echo.rs`), with the same bytes in the same chunks, on one stream through both. A true echo
//! sends the audio back, which `RecognizeFile` does not; so a second row has the far echo answer each chunk with an empty
//! message. That one does strictly less than any forwarding service could, and has no goal.
//!
//! The throughput is audio bytes by the time from the call to its last message. The latency is that of one unary call with
//! 100 ms of audio, after another, over an open connection: `Recognize` against a unary call through both echoes. What is
//! added is the difference of the two at the 99th percentile of all calls; the turns are of 100 calls each.

use crate::{
    Result,
    bed::{Bed, Server},
    echo::{self, Echoes},
    report::{Goal, Row, Unit},
    stats::Sample,
    wire::{
        self,
        v1::{
            InputEncoding, RecognitionConfig, RecognizeFileRequest, RecognizeRequest, recognize_file_request::Message,
            recognize_file_response::Event, speech_recognition_client::SpeechRecognitionClient,
        },
    },
};
use bytes::Bytes;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// The recording: ten minutes, 18 MiB.
const RECORDING: usize = 600 * 32_000;

/// Chunks: 100 ms, as a microphone sends them, and 1 s, as a file is sent.
const CHUNKS: [(usize, &str); 2] = [(3_200, "100 ms"), (32_000, "1 s")];

const ROUNDS: usize = 15;

/// Turns of the latency, and calls in each.
const LATENCY_ROUNDS: usize = 20;
const CALLS: usize = 100;

pub(super) fn rows(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let server = Server::start(bed, "127.0.0.1:0", &["--model", "mock"])?;
    let echoes = Echoes::start(&bed.path("echo.socket"))?;
    wire::runtime()?.block_on(async {
        let ends = Ends { ours: wire::connect(&server.address).await?, rival: wire::connect(&echoes.address).await? };
        let mut rows = Vec::new();
        for (size, name) in CHUNKS {
            rows.extend(ends.throughput(bed.options.rounds(ROUNDS), size, name).await?);
        }
        rows.extend(ends.latency(bed.options.rounds(LATENCY_ROUNDS)).await?);
        Ok(rows)
    })
}

/// Connections to both.
struct Ends {
    ours: Channel,
    rival: Channel,
}

impl Ends {
    async fn throughput(&self, rounds: usize, size: usize, name: &str) -> Result<Vec<Row>> {
        let chunk = audio(size);
        let (mut ours, mut echoes, mut sinks) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=rounds {
            let speeds = [
                speed(recognize_file(self.ours.clone(), chunk.clone())).await?,
                speed(echo_all(self.rival.clone(), echo::STREAM, chunk.clone())).await?,
                speed(echo_all(self.rival.clone(), echo::SINK, chunk.clone())).await?,
            ];
            if round > 0 {
                ours.push(speeds[0]);
                echoes.push(speeds[1]);
                sinks.push(speeds[2]);
            }
        }
        let (ours, echoes, sinks) = (Sample::of(ours), Sample::of(echoes), Sample::of(sinks));
        let what = |rival: &str| format!("audio forwarded in chunks of {name}, against {rival}");
        Ok(vec![
            Row::compared(what("two tonic echoes"), Unit::Throughput, Goal::TimesAtLeast(0.85), &ours, &echoes),
            Row::compared(what("two that send nothing back"), Unit::Throughput, Goal::None, &ours, &sinks),
        ])
    }

    async fn latency(&self, rounds: usize) -> Result<Vec<Row>> {
        let message = audio(3_200);
        let (mut ours, mut echoes) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let (mut our, mut their) = (Vec::new(), Vec::new());
            for _ in 0..CALLS {
                our.push(timed(recognize(self.ours.clone(), message.clone())).await?);
            }
            for _ in 0..CALLS {
                their.push(timed(echo_one(self.rival.clone(), message.clone())).await?);
            }
            if round > 0 {
                ours.extend(our);
                echoes.extend(their);
            }
        }
        let (ours, echoes) = (Sample::of_times(&ours), Sample::of_times(&echoes));
        let slowest = [&ours, &echoes].map(|sample| sample.quantile(0.99));
        let what = "latency of 100 ms of audio, against two tonic echoes";
        Ok(vec![
            Row::compared(format!("{what}, median"), Unit::Millis, Goal::None, &ours, &echoes),
            Row::of_numbers(
                format!("{what}, p99"),
                Unit::Millis,
                Goal::MoreByAtMost(1.0),
                slowest[0],
                Some(slowest[1]),
            )
            .counting(ours.rounds()),
        ])
    }
}

/// MiB of audio a second, of work that carries the recording.
async fn speed(work: impl Future<Output = Result<()>>) -> Result<f64> {
    let time = timed(work).await?;
    Ok(RECORDING as f64 / f64::from(1 << 20) / time.as_secs_f64())
}

async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let start = Instant::now();
    work.await?;
    Ok(start.elapsed())
}

/// Something that is not silence.
fn audio(size: usize) -> Bytes {
    (0..size).map(|place| (place % 251) as u8).collect()
}

fn config() -> RecognitionConfig {
    RecognitionConfig { encoding: InputEncoding::Pcm16.into(), sample_rate_hertz: 16_000, ..Default::default() }
}

async fn recognize_file(channel: Channel, chunk: Bytes) -> Result<()> {
    let count = RECORDING / chunk.len();
    let first = RecognizeFileRequest { message: Some(Message::Config(config())) };
    let chunks = (0..count).map(move |_| RecognizeFileRequest { message: Some(Message::Audio(chunk.clone())) });
    let messages = tokio_stream::iter(std::iter::once(first).chain(chunks));
    let mut answers = SpeechRecognitionClient::new(channel).recognize_file(messages).await?.into_inner();
    let (mut segments, mut is_done) = (0, false);
    while let Some(answer) = answers.message().await? {
        match answer.event {
            Some(Event::Segment(_)) => segments += 1,
            Some(Event::Done(_)) => is_done = true,
            _ => {}
        }
    }
    // The mock engine answers with a segment for each second.
    if is_done && segments == RECORDING / 32_000 { Ok(()) } else { Err("audio was lost on its way".into()) }
}

async fn recognize(channel: Channel, audio: Bytes) -> Result<()> {
    let request = RecognizeRequest { config: Some(config()), audio };
    let answer = SpeechRecognitionClient::new(channel).recognize(request).await?.into_inner();
    if answer.segments.len() == 1 { Ok(()) } else { Err("audio was lost on its way".into()) }
}

async fn echo_all(channel: Channel, path: &'static str, chunk: Bytes) -> Result<()> {
    let (count, size) = (RECORDING / chunk.len(), chunk.len());
    let messages = tokio_stream::iter((0..count).map(move |_| chunk.clone()));
    let mut answers = echo::open(channel, path, messages).await?;
    let (mut back, mut bytes) = (0, 0);
    while let Some(answer) = answers.message().await? {
        back += 1;
        bytes += answer.len();
    }
    let is_whole = back == count && (path == echo::SINK || bytes == count * size);
    if is_whole { Ok(()) } else { Err("an echo lost something".into()) }
}

async fn echo_one(channel: Channel, message: Bytes) -> Result<()> {
    let size = message.len();
    let answer = echo::call(channel, message).await?.into_inner();
    if answer.len() == size { Ok(()) } else { Err("an echo lost something".into()) }
}
