//! Streaming recognition: how soon one sees what was said, and what it costs.
//!
//! Sessions speak as people do: chunks of 100 ms, one every 100 ms, of a recording of three commands with pauses. A
//! partial's latency is the time from sending the chunk with the last sample that it covers to its arrival; a final's, from
//! the chunk with the last sample of its audio, which is 0.8 s of silence behind the last word. No rival here keeps
//! what is said, so there is none to compare with; goals are the project's own.

use crate::{
    Result,
    bed::{Bed, Server},
    memory,
    report::{Goal, Row, Unit},
    stats::Sample,
    wire::{
        self,
        v1::{
            self, AudioChunk, EndOfAudio, RecognitionConfig, Resume, StreamingConfig, StreamingRecognizeRequest,
            StreamingRecognizeResponse, models_client::ModelsClient,
            speech_recognition_client::SpeechRecognitionClient, streaming_recognize_request::Message,
            streaming_recognize_response::Event,
        },
    },
};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    time::{Duration, Instant},
};
use tokio::{
    sync::mpsc,
    task::{JoinSet, LocalSet},
    time::sleep_until,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

/// The recording: three commands, with pauses between them.
const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/three-commands.wav");

/// Samples of a chunk: 100 ms.
const CHUNK: usize = 1_600;

/// Sessions at the same time.
const CROWDS: [usize; 3] = [1, 4, 16];

/// How long each crowd speaks, in chunks.
const TALK: usize = 140;

/// Kills, and restarts of the server.
const KILLS: usize = 15;
const RESTARTS: usize = 7;

/// Audio of the rows about cost, in seconds.
const LONG: usize = 300;

/// Idle sessions.
const IDLE: usize = 1_000;

/// How soon partials and finals come.
pub(super) fn latency(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let speech = recording()?;
    let mut rows = Vec::new();
    for model in ["mock", "selftest"] {
        let server = Server::start(bed, "127.0.0.1:0", &[])?;
        for crowd in CROWDS {
            let talking = talk(&server.address, model, crowd, &speech);
            let talked = wire::runtime()?.block_on(LocalSet::new().run_until(talking));
            let (partials, finals) = match talked {
                Err(error) if error.to_string().contains("keeps up with") => {
                    rows.push(Row::not_measured(format!("`{model}`, sessions: {crowd}"), "the server refuses so many"));
                    continue;
                }
                talked => talked?,
            };
            for (what, sample) in
                [("chunk → partial", partials), ("end of speech and 0.8 s of silence → final", finals)]
            {
                let what = format!("{what}, `{model}`, sessions: {crowd}");
                if sample.rounds() == 0 {
                    rows.push(Row::not_measured(what, "none came: the machine cannot keep up with so many"));
                    continue;
                }
                rows.push(Row::alone(format!("{what}, median"), Unit::Millis, Goal::None, &sample));
                let (p99, count) = (sample.quantile(0.99), sample.rounds());
                rows.push(Row::of_numbers(format!("{what}, p99"), Unit::Millis, Goal::None, p99, None).counting(count));
            }
        }
    }
    Ok(rows)
}

/// How soon it goes on after a death.
pub(super) fn recovery(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let speech = recording()?;
    let runtime = wire::runtime()?;
    let server = Server::start(bed, "127.0.0.1:0", &["--spares", "always", "--model", "selftest"])?;
    let killed = runtime.block_on(kills(&server, &speech, bed.options.rounds(KILLS)))?;
    drop(server);
    let decode = runtime.block_on(decode_time(bed, &speech))?;
    let restarted = runtime.block_on(restarts(bed, &speech, bed.options.rounds(RESTARTS)))?;
    Ok(vec![
        Row::alone("one decode of the same speech by `selftest`, alone", Unit::Millis, Goal::None, &decode),
        Row::alone(
            "kill -9 of the engine in a session → its next partial, warm spare",
            Unit::Millis,
            Goal::AtMost(100.0 + decode.median()),
            &killed,
        ),
        Row::alone("kill -9 of the server → started again, its session resumed", Unit::Millis, Goal::None, &restarted),
    ])
}

/// What sessions cost.
pub(super) fn cost(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let speech = recording()?;
    let runtime = wire::runtime()?;
    let server = Server::start(bed, "127.0.0.1:0", &["--model", "mock"])?;
    let mut rows = Vec::new();
    let silence = vec![0; LONG * 16_000];
    let talk: Vec<i16> = speech.iter().copied().cycle().take(LONG * 16_000).collect();
    for (name, audio) in [("silence", &silence), ("speech", &talk)] {
        let before = usage(server.pid());
        let start = Instant::now();
        runtime.block_on(say_all(&server.address, audio))?;
        let (time, after) = (start.elapsed(), usage(server.pid()));
        let per_hour = 3600.0 / LONG as f64;
        let mebibytes = LONG as f64 * 32_000.0 / f64::from(1 << 20);
        rows.push(Row::of_numbers(
            format!("processor time of the server for an hour of {name}, s"),
            Unit::Number,
            Goal::None,
            (after.processor - before.processor) * per_hour,
            None,
        ));
        rows.push(Row::of_numbers(
            format!("written to the log for an hour of {name}, MiB"),
            Unit::Number,
            Goal::None,
            (after.written - before.written) / f64::from(1 << 20) * per_hour,
            None,
        ));
        rows.push(Row::of_numbers(
            format!("{name} taken, logged and decided, one session, engine `mock`"),
            Unit::Throughput,
            Goal::None,
            mebibytes / time.as_secs_f64(),
            None,
        ));
    }
    drop(server);
    let server = Server::start(bed, "127.0.0.1:0", &["--model", "mock", "--max-sessions", "2000"])?;
    let resident = || memory::status_kib(server.pid(), "VmRSS:").map(memory::mebibytes).ok_or("no memory is told");
    let before = resident()?;
    let idle = runtime.block_on(idle(&server.address))?;
    let after = resident()?;
    drop(idle);
    rows.push(Row::of_numbers(
        format!("memory of the server with {IDLE} idle sessions"),
        Unit::Mebibytes,
        Goal::None,
        after,
        None,
    ));
    rows.push(Row::of_numbers(
        "memory of one idle session, KiB",
        Unit::Number,
        Goal::None,
        (after - before) * 1024.0 / IDLE as f64,
        None,
    ));
    Ok(rows)
}

/// What a process has used.
struct Usage {
    /// Seconds.
    processor: f64,
    /// Bytes that went to the disk, as the kernel counts them.
    written: f64,
}

fn usage(pid: u32) -> Usage {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    Usage { processor: (ticks(11) + ticks(12)) / per_second, written: written.unwrap_or(0.0) }
}

fn recording() -> Result<Vec<i16>> {
    let bytes = fs::read(RECORDING)?;
    let samples = bytes.get(44..).ok_or("the recording has no audio")?.as_chunks::<2>().0;
    let mut speech: Vec<i16> = samples.iter().map(|sample| i16::from_le_bytes(*sample)).collect();
    // The last command ends as the others do.
    speech.resize(speech.len() + 16_000, 0);
    Ok(speech)
}

/// One session, from the client's side.
struct Talk {
    messages: mpsc::Sender<StreamingRecognizeRequest>,
    events: Streaming<StreamingRecognizeResponse>,
}

impl Talk {
    async fn begin(channel: Channel, model: &str, interim: bool, resume: Option<(String, Resume)>) -> Result<Self> {
        let (messages, queue) = mpsc::channel(64);
        let recognition = RecognitionConfig {
            model: model.to_owned(),
            encoding: v1::InputEncoding::Pcm16.into(),
            sample_rate_hertz: 16_000,
            ..Default::default()
        };
        let (session_id, resume) = resume.map_or((String::new(), None), |(id, resume)| (id, Some(resume)));
        let config = StreamingConfig {
            session_id,
            recognition: Some(recognition),
            interim_results: interim,
            resume,
            ..Default::default()
        };
        let first = StreamingRecognizeRequest { message: Some(Message::Config(config)) };
        messages.send(first).await.map_err(|_| "the call did not begin")?;
        let call = SpeechRecognitionClient::new(channel).streaming_recognize(ReceiverStream::new(queue)).await?;
        Ok(Self { messages, events: call.into_inner() })
    }

    async fn say(&self, audio: &[i16]) -> Result<()> {
        let data: Vec<u8> = audio.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let message = Message::Audio(AudioChunk { data: data.into(), first_sample: None });
        Ok(self
            .messages
            .send(StreamingRecognizeRequest { message: Some(message) })
            .await
            .map_err(|_| "it broke off")?)
    }

    async fn end(&self) -> Result<()> {
        let message = Some(Message::End(EndOfAudio {}));
        Ok(self.messages.send(StreamingRecognizeRequest { message }).await.map_err(|_| "it broke off")?)
    }

    async fn next(&mut self) -> Result<Option<Event>> {
        Ok(self.events.message().await?.and_then(|message| message.event))
    }

    /// Waits for an event.
    async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> Result<T> {
        while let Some(event) = self.next().await? {
            if let Some(found) = wanted(event) {
                return Ok(found);
            }
        }
        Err("the stream ended before what was waited for".into())
    }
}

/// A crowd that speaks; the times to its partials and finals.
async fn talk(address: &str, model: &'static str, crowd: usize, speech: &[i16]) -> Result<(Sample, Sample)> {
    let mut sessions = JoinSet::new();
    for number in 0..crowd {
        let channel = wire::connect(address).await?;
        // They do not all speak at the same time.
        let turned: Vec<i16> = speech.iter().copied().cycle().skip(number * 7_919).take(CHUNK * TALK).collect();
        sessions.spawn_local(async move { speak(channel, model, turned).await.map_err(|error| error.to_string()) });
    }
    let (mut partials, mut finals) = (Vec::new(), Vec::new());
    while let Some(session) = sessions.join_next().await {
        let (partial, last) = session??;
        partials.extend(partial);
        finals.extend(last);
    }
    Ok((Sample::of_times(&partials), Sample::of_times(&finals)))
}

async fn speak(channel: Channel, model: &str, audio: Vec<i16>) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let mut talk = Talk::begin(channel, model, true, None).await?;
    let (mut partials, mut finals, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    let start = tokio::time::Instant::now();
    let mut chunks = audio.chunks(CHUNK);
    let since = |sent: &[Instant], end: i64| {
        let index = usize::try_from(end - 1).unwrap_or(0) / CHUNK;
        sent.get(index).map(Instant::elapsed)
    };
    loop {
        let due = start + Duration::from_millis(100) * u32::try_from(sent.len())?;
        tokio::select! {
            event = talk.next() => match event? {
                Some(Event::Partial(partial)) => partials.extend(since(&sent, partial.audio_end)),
                // The last one is hurried by the end of the audio.
                Some(Event::Final(told)) if (told.audio_end as usize) < audio.len() => {
                    finals.extend(since(&sent, told.audio_end));
                }
                Some(_) => {}
                None => return Ok((partials, finals)),
            },
            () = sleep_until(due), if sent.len() <= TALK => {
                match chunks.next() {
                    Some(chunk) => talk.say(chunk).await?,
                    None => talk.end().await?,
                }
                sent.push(Instant::now());
            }
        }
    }
}

/// From the kill of the engine that has a session's work to the session's next partial.
async fn kills(server: &Server, speech: &[i16], rounds: usize) -> Result<Sample> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let channel = wire::connect(&server.address).await?;
        let mut talk = Talk::begin(channel.clone(), "selftest", true, None).await?;
        // The middle of the second command: somebody speaks, and goes on to.
        talk.say(&speech[32_000..48_000]).await?;
        talk.until(|event| matches!(event, Event::Partial(_)).then_some(())).await?;
        talk.say(&speech[48_000..63_000]).await?;
        let Some(pid) = busy(channel).await? else { continue };
        let start = Instant::now();
        kill_process(pid, Signal::KILL)?;
        talk.until(|event| matches!(event, Event::Partial(partial) if partial.epoch > 1).then_some(())).await?;
        times.push(start.elapsed());
        talk.end().await?;
        while talk.next().await?.is_some() {}
    }
    if times.is_empty() { Err("no engine was caught at work".into()) } else { Ok(Sample::of_times(&times)) }
}

/// The engine that is at work, as soon as one is.
async fn busy(channel: Channel) -> Result<Option<Pid>> {
    let mut models = ModelsClient::new(channel);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let workers = models.list_workers(v1::ListWorkersRequest::default()).await?.into_inner().workers;
        let busy = workers.iter().find(|worker| worker.state() == v1::WorkerState::Busy);
        if let Some(worker) = busy {
            return Ok(i32::try_from(worker.pid).ok().and_then(Pid::from_raw));
        }
    }
    Ok(None)
}

/// How long an engine takes for one partial of that speech.
async fn decode_time(bed: &Bed<'_>, speech: &[i16]) -> Result<Sample> {
    let server = Server::start(bed, "127.0.0.1:0", &["--model", "selftest"])?;
    let channel = wire::connect(&server.address).await?;
    let mut times = Vec::new();
    for round in 0..=bed.options.rounds(KILLS) {
        let config = RecognitionConfig {
            encoding: v1::InputEncoding::Pcm16.into(),
            sample_rate_hertz: 16_000,
            beam_size: 1,
            threads: 1,
            fast: true,
            ..Default::default()
        };
        let audio: Vec<u8> = speech[32_000..58_000].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let request = v1::RecognizeRequest { config: Some(config), audio: audio.into() };
        let start = Instant::now();
        SpeechRecognitionClient::new(channel.clone()).recognize(request).await?;
        if round > 0 {
            times.push(start.elapsed());
        }
    }
    Ok(Sample::of_times(&times))
}

/// From the kill of the server to a stream that is resumed with one that was started again.
async fn restarts(bed: &Bed<'_>, speech: &[i16], rounds: usize) -> Result<Sample> {
    let folder = bed.path("restarts");
    let folder = folder.to_str().ok_or("a folder that is no text")?;
    let flags = ["--model", "selftest", "--state-folder", folder];
    let mut server = Server::start(bed, "127.0.0.1:0", &flags)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        let address = server.address.clone();
        let mut talk = Talk::begin(wire::connect(&address).await?, "", true, None).await?;
        let ready = talk.until(|event| if let Event::Ready(ready) = event { Some(ready) } else { None }).await?;
        talk.say(&speech[..58_000]).await?;
        let last_seq = talk.until(|event| if let Event::Final(told) = event { Some(told.seq) } else { None }).await?;
        let start = Instant::now();
        server.kill()?;
        server = Server::start(bed, &address, &flags)?;
        let resume = (ready.session_id, Resume { last_seq, resume_key: ready.resume_key });
        let mut talk = Talk::begin(wire::connect(&address).await?, "", true, Some(resume)).await?;
        let again = talk.until(|event| if let Event::Ready(ready) = event { Some(ready) } else { None }).await?;
        times.push(start.elapsed());
        if again.next_sample != 58_000 {
            return Err(format!("audio was lost: it goes on at {}", again.next_sample).into());
        }
        talk.end().await?;
        while talk.next().await?.is_some() {}
    }
    Ok(Sample::of_times(&times))
}

/// One session that takes audio as fast as it can, to its end.
async fn say_all(address: &str, audio: &[i16]) -> Result<()> {
    let talk = Talk::begin(wire::connect(address).await?, "mock", false, None).await?;
    let Talk { messages, mut events } = talk;
    let heard = tokio::spawn(async move {
        let mut is_done = false;
        while let Some(message) = events.message().await? {
            is_done |= matches!(message.event, Some(Event::Done(_)));
        }
        Ok::<bool, tonic::Status>(is_done)
    });
    for chunk in audio.chunks(16_000) {
        let data: Vec<u8> = chunk.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let message = Message::Audio(AudioChunk { data: data.into(), first_sample: None });
        messages.send(StreamingRecognizeRequest { message: Some(message) }).await.map_err(|_| "it broke off")?;
    }
    messages.send(StreamingRecognizeRequest { message: Some(Message::End(EndOfAudio {})) }).await?;
    if heard.await?? { Ok(()) } else { Err("it did not come to its end".into()) }
}

/// Sessions that have said a second of silence, and nothing since.
async fn idle(address: &str) -> Result<Vec<Talk>> {
    let channel = wire::connect(address).await?;
    let mut all = Vec::new();
    for _ in 0..IDLE {
        let mut talk = Talk::begin(channel.clone(), "mock", true, None).await?;
        talk.until(|event| matches!(event, Event::Ready(_)).then_some(())).await?;
        talk.say(&[0; 16_000]).await?;
        all.push(talk);
    }
    Ok(all)
}
