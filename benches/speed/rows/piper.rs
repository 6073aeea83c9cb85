//! Piper voices, against piper-tts with the same voice: its command, and its HTTP server.
//!
//! The rival's server answers when all is spoken; ours speaks while it computes. Both make the noise of the voice's own
//! settings, and both have all cores.

use crate::{
    Result,
    bed::{self, Bed, Server},
    memory::{mebibytes, status_kib, tree},
    report::{Goal, Row, Unit},
    stats::Sample,
    turns,
    wire::{self, v1},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};
use v1::{synthesize_request::Input, synthesize_response::Event};

/// A command to a house.
const SHORT: &str = "Turn on the kitchen lights.";

/// Ten sentences, as a book has them.
const PARAGRAPH: &str = "The quick brown fox jumps over the lazy dog near the river. She sells sea shells by the sea \
    shore every summer. It was a bright cold day in April, and the clocks were striking thirteen. Nobody expected the \
    meeting to last more than an hour. Please remember to lock the back door before you leave. The train to Edinburgh \
    departs from platform nine at noon. He wondered whether the weather would ever change. A good book is the best of \
    friends, today and forever. We walked along the beach until the sun went down. That is all there is to say about it.";

/// How long the rival may take to be ready.
const PATIENCE: Duration = Duration::from_secs(120);

const COLD_ROUNDS: usize = 10;
const WARM_ROUNDS: usize = 20;

/// With everything started for it.
pub(super) fn cold(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let what = "`tts` of a short sentence, Piper voice, cold, against `piper`";
    let Some((python, voice)) = rival(bed) else { return Ok(vec![missing(what)]) };
    let ours = || {
        let mut command = bed.speechctl(["tts", SHORT, "-o", "ours.wav", "--voice"]);
        command.arg(voice);
        command
    };
    let theirs = || {
        let mut command = bed.command(python, ["-m", "piper", "-f", "rival.wav", "-m"]);
        command.arg(voice).args(["--", SHORT]);
        command
    };
    let (our, their) = turns::times(bed.options.rounds(COLD_ROUNDS), &ours, &theirs)?;
    for file in ["ours.wav", "rival.wav"] {
        if std::fs::metadata(bed.path(file))?.len() < 10_000 {
            return Err(format!("there is no speech in {file}").into());
        }
    }
    Ok(vec![Row::compared(what, Unit::Millis, Goal::TimesAtMost(0.25), &our, &their)])
}

/// With servers that run and have the voice loaded.
pub(super) fn warm(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let what = "Piper voice, warm, against piper's HTTP server";
    let Some((python, voice)) = rival(bed) else { return Ok(vec![missing(what)]) };
    let voice_name = voice.to_string_lossy().into_owned();
    let server = Server::start(bed, "127.0.0.1:0", &["--voice", &voice_name])?;
    let piper = Piper::start(bed, python, voice)?;
    let mut rows = Vec::new();
    for (name, text, first_goal, whole_goal) in [
        ("a short sentence", SHORT, Goal::TimesAtMost(0.5), Goal::None),
        ("ten sentences", PARAGRAPH, Goal::TimesAtMost(0.05), Goal::TimesAtMost(1.7)),
    ] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=bed.options.rounds(WARM_ROUNDS) {
            let (our, their) = (speak(&server.address, text)?.0, piper.speak(text)?);
            // The first is for warming up.
            if round > 0 {
                ours.push(our);
                theirs.push(their);
            }
        }
        let times = |spoken: &[Spoken], of: fn(&Spoken) -> Duration| {
            Sample::of_times(&spoken.iter().map(of).collect::<Vec<_>>())
        };
        let first = |spoken: &[Spoken]| times(spoken, |spoken| spoken.first);
        let whole = |spoken: &[Spoken]| times(spoken, |spoken| spoken.whole);
        let row = format!("Piper voice, warm, {name}: first audio");
        rows.push(Row::compared(row, Unit::Millis, first_goal, &first(&ours), &first(&theirs)));
        let row = format!("Piper voice, warm, {name}: all of it");
        rows.push(Row::compared(row, Unit::Millis, whole_goal, &whole(&ours), &whole(&theirs)));
    }
    let peak = |root: u32| mebibytes(tree(root).into_iter().filter_map(|pid| status_kib(pid, "VmHWM:")).sum());
    let (with_spare, their) = (peak(server.pid()), peak(piper.child.id()));
    drop((server, piper));
    let alone = Server::start(bed, "127.0.0.1:0", &["--voice", &voice_name, "--spares", "never"])?;
    for text in [PARAGRAPH, SHORT, PARAGRAPH] {
        speak(&alone.address, text)?;
    }
    for (row, our) in [
        ("Piper voice, memory of the server after that, without a spare worker", peak(alone.pid())),
        ("the same, with the spare worker that it keeps by default", with_spare),
    ] {
        rows.push(Row::of_numbers(row, Unit::Mebibytes, Goal::TimesAtMost(0.5), our, Some(their)));
    }
    Ok(rows)
}

/// How long a second of speech takes to make, where both have so many threads: our worker by a server, and onnxruntime
/// in the rival's own process.
pub(super) fn threads(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let what = "Piper voice, ten sentences, time for a second of speech";
    let Some((python, voice)) = rival(bed) else { return Ok(vec![missing(what)]) };
    let voice_name = voice.to_string_lossy().into_owned();
    let mut rows = Vec::new();
    for threads in ["1", "2"] {
        let server = Server::start(bed, "127.0.0.1:0", &["--voice", &voice_name, "--threads", threads])?;
        let mut session = Session::start(bed, python, voice, threads)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=bed.options.rounds(WARM_ROUNDS / 2) {
            let ((our, audio), their) = (speak(&server.address, PARAGRAPH)?, session.speak(PARAGRAPH)?);
            if round > 0 {
                ours.push(our.whole.as_secs_f64() / audio);
                theirs.push(their);
            }
        }
        let row = format!("{what}, threads: {threads}, against onnxruntime");
        rows.push(Row::compared(row, Unit::Factor, Goal::None, &Sample::of(ours), &Sample::of(theirs)));
    }
    Ok(rows)
}

/// The rival's voice in a process of its own: a line in, the time for a second of its speech out.
struct Session {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Session {
    const PROGRAM: &str = r#"
import sys, time, onnxruntime
from piper import PiperVoice
voice = PiperVoice.load(sys.argv[1])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
options.inter_op_num_threads = 1
voice.session = onnxruntime.InferenceSession(sys.argv[1], sess_options=options, providers=["CPUExecutionProvider"])
for line in sys.stdin:
    start, samples = time.perf_counter(), 0
    for chunk in voice.synthesize(line):
        samples += len(chunk.audio_int16_bytes) // 2
    print((time.perf_counter() - start) * voice.config.sample_rate / samples, flush=True)
"#;

    fn start(bed: &Bed<'_>, python: &Path, voice: &Path, threads: &str) -> Result<Self> {
        let mut command = bed.command(python, ["-c", Self::PROGRAM]);
        command.arg(voice).arg(threads).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let answers = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, answers })
    }

    fn speak(&mut self, text: &str) -> Result<f64> {
        writeln!(self.child.stdin.as_mut().ok_or("no standard input")?, "{text}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse().map_err(|_| "the rival said nothing")?)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        bed::end(&mut self.child);
    }
}

fn rival<'a>(bed: &'a Bed<'_>) -> Option<(&'a Path, &'a Path)> {
    bed.options.piper.as_deref().zip(bed.options.piper_voice.as_deref())
}

fn missing(what: &str) -> Row {
    Row::not_measured(what, "no piper; give --piper and --piper-voice")
}

/// How long a text took.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    /// From the request to the first audio.
    first: Duration,
    /// To the last.
    whole: Duration,
}

/// By our server; and how many seconds of speech it made.
fn speak(address: &str, text: &str) -> Result<(Spoken, f64)> {
    wire::quick_runtime()?.block_on(async {
        let mut client = v1::speech_recognition_client::SpeechRecognitionClient::new(wire::connect(address).await?);
        let request =
            v1::SynthesizeRequest { input: Some(Input::Text(text.to_owned())), ..v1::SynthesizeRequest::default() };
        let start = Instant::now();
        let mut stream = client.synthesize(request).await?.into_inner();
        let (mut first, mut rate, mut bytes) = (None, 1, 0);
        while let Some(message) = stream.message().await? {
            match message.event {
                Some(Event::Format(format)) => rate = format.sample_rate_hertz,
                Some(Event::Audio(audio)) => {
                    first.get_or_insert_with(|| start.elapsed());
                    bytes += audio.len();
                }
                Some(Event::Mark(_)) | None => {}
            }
        }
        let spoken = Spoken { first: first.ok_or("it said nothing")?, whole: start.elapsed() };
        Ok((spoken, bytes as f64 / 2.0 / f64::from(rate)))
    })
}

/// The rival's HTTP server. Ended when dropped.
struct Piper {
    child: Child,
    port: u16,
}

impl Piper {
    fn start(bed: &Bed<'_>, python: &Path, voice: &Path) -> Result<Self> {
        // Free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = bed.command(python, ["-m", "piper.http_server", "--host", "127.0.0.1", "--port"]);
        command.arg(port.to_string()).arg("-m").arg(voice);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut piper = Self { child, port };
        let start = Instant::now();
        while piper.speak("a").is_err() {
            if let Some(status) = piper.child.try_wait()? {
                return Err(turns::failure(&command, &format!("it ended: {status}")));
            }
            if start.elapsed() > PATIENCE {
                return Err(turns::failure(&command, "it does not answer"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(piper)
    }

    fn speak(&self, text: &str) -> Result<Spoken> {
        let body = format!("{{\"text\": \"{text}\"}}");
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        let start = Instant::now();
        let head = format!(
            "POST /synthesize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes())?;
        socket.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        let mut buffer = [0; 64 * 1024];
        let mut first = None;
        loop {
            let count = socket.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&buffer[..count]);
            // The header of the WAV file and a sample.
            if first.is_none() && body_of(&answer).is_some_and(|body| body.len() > 44) {
                first = Some(start.elapsed());
            }
        }
        if !answer.starts_with(b"HTTP/1.1 200") && !answer.starts_with(b"HTTP/1.0 200") {
            return Err("the rival refused".into());
        }
        Ok(Spoken { first: first.ok_or("the rival said nothing")?, whole: start.elapsed() })
    }
}

/// What stands behind the head of an answer.
fn body_of(answer: &[u8]) -> Option<&[u8]> {
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    answer.get(at + 4..)
}

impl Drop for Piper {
    fn drop(&mut self) {
        bed::end(&mut self.child);
    }
}
