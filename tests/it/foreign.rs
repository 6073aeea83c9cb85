//! Workers and clients of the worker contracts that others have written: in Python, from the contracts as they were
//! before our additions.

use crate::harness::{
    PATIENCE,
    calls::{cause, hear, mock_text, prompted, recognize, speak},
    eventually,
    pb::{block_on, speech, v1},
    process::Sandbox,
    python::{PythonWorker, interpreter, protos, script},
    sample,
    server::Server,
    wav,
    worker::Worker,
};
use std::{net::TcpListener, process::Command, thread, time::Duration};
use tonic::Code;

/// A Python client of one of our workers.
fn python_client(engine: &str, flags: &[&str], kind: &str, more: &[&str]) {
    let Some(python) = interpreter() else { return };
    let sandbox = Sandbox::new();
    let worker = Worker::start(&sandbox, engine, flags);
    let mut command = Command::new(python);
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script("worker_client.py"));
    command.arg(kind).arg(&worker.address).arg(protos()).args(more);
    let output = command.output().expect("it starts");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    println!("worker_client.py {kind}: {} checks", said.matches("ok: ").count());
}

#[test]
fn a_python_client_of_our_recogniser() {
    let (wav, text) = (sample("timer.wav"), "set a timer for ten minutes");
    python_client("whisper", &["--model", "selftest", "--threads", "1"], "stt", &[wav.to_str().expect("text"), text]);
}

#[test]
fn a_python_client_of_our_synthesiser() {
    python_client("espeak", &[], "tts", &[]);
}

#[test]
fn a_worker_whose_address_is_taken_says_so() {
    let sandbox = Sandbox::new();
    // By us, or by somebody else: the usual ports are taken.
    let usual = [50_051, 50_052].map(|port| TcpListener::bind(("127.0.0.1", port)));
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let chosen = port.local_addr().expect("an address").to_string();
    for (engine, listen, address) in [
        (&["--engine", "whisper", "--model", "selftest"][..], &["--listen"][..], "50051"),
        (&["--engine", "espeak"], &["--listen"], "50052"),
        (&["--engine", "espeak"], &["--listen", &chosen], &chosen),
    ] {
        let shown = sandbox.run(&[&["worker"], engine, listen].concat());
        assert_eq!(shown.code(), "5", "{}", shown.stderr);
        assert!(shown.stderr.contains(address), "{}", shown.stderr);
    }
    drop(usual);
}

/// A server whose recogniser and voices are a Python worker's, with more flags.
fn served_by(sandbox: &Sandbox, worker: &PythonWorker, more: &[&str]) -> Server {
    let flags = worker.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Server::start(sandbox, &flags)
}

#[test]
fn a_python_worker_recognises_and_speaks() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &["--fault", "loading-for:1"]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    block_on(async {
        // The recogniser of requests that name none, for there is no other; and by its own name. The longer one has
        // three windows, of which the worker cannot say how far they are decided.
        for (model, seconds) in [("", 3), ("py-model", 3), ("", 65)] {
            let samples = wav::numbered(seconds);
            let text = hear(&server.address, recognize(model, &samples)).await.expect("it hears");
            assert_eq!(text, mock_text(&samples), "{model} {seconds}");
        }
        let request = v1::ListVoicesRequest { filter: "language=de".into(), page_size: 1000, ..Default::default() };
        let list = speech(&server.address).await.list_voices(request).await.expect("a page").into_inner();
        assert!(list.voices.iter().any(|voice| voice.id == "py-two" && voice.languages == ["de"]), "{list:?}");
        assert!(list.voices.iter().any(|voice| voice.id == "de"), "those of espeak are there as before: {list:?}");
    });
    // A character is a twentieth of a second, at whatever rate; a voice of ours and two of theirs.
    for (voice, text, twentieths) in [("py-two", "hello python", 12), ("py-one", "hi", 2)] {
        sandbox.run(&["tts", text, "--voice", voice, "-o", "out.wav", "--server", &server.address]).good();
        let (rate, samples) = wav::read(&sandbox.path().join("out.wav"));
        assert_eq!(samples.len() * 20, rate as usize * twentieths, "{voice} at {rate} Hz");
    }
    block_on(async { speak(&server.address, "en-us", "hello").await.expect("espeak speaks as before") });
}

#[test]
fn killed_in_mid_call_and_started_again() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    let samples = wav::numbered(2);
    let text = "fault=die is what it is told, once";
    thread::scope(|scope| {
        let heard = scope.spawn(|| block_on(hear(&server.address, prompted("", "fault=slow:1", &samples))));
        eventually("it is called", || worker.said("call transcribe") == 1);
        worker.running.signal("KILL");
        let worker = worker.again(&sandbox, &[]);
        assert_eq!(heard.join().expect("no panic").expect("the call survives"), mock_text(&samples));
        assert_eq!(worker.said("call transcribe"), 1, "it was asked again, once");
        // And one that dies in the middle of what it says.
        let spoken = scope.spawn(|| block_on(speak(&server.address, "py-one", text)));
        // It ends by itself.
        let worker = worker.again(&sandbox, &[]);
        let spoken = spoken.join().expect("no panic").expect("the call survives");
        let calm = block_on(speak(&server.address, "py-one", text)).expect("it speaks");
        assert!(spoken == calm, "not the same, in length {} of {}", spoken.1.len(), calm.1.len());
        assert_eq!(worker.said("call synthesize"), 2);
    });
    assert!(server.log(&sandbox).contains("DISCONNECTED"), "{}", server.log(&sandbox));
}

#[test]
fn slow_is_not_dead_and_stopped_is() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &["--hang-timeout", "1"]);
    let samples = wav::numbered(1);
    let slow = || block_on(hear(&server.address, prompted("", "fault=slow:2", &samples)));
    assert_eq!(slow().expect("it gives signs of life"), mock_text(&samples));
    assert!(!server.log(&sandbox).contains("HUNG"));
    thread::scope(|scope| {
        let heard = scope.spawn(slow);
        eventually("it is called", || worker.said("call transcribe") == 2);
        worker.running.signal("STOP");
        eventually("it is noticed", || server.log(&sandbox).contains("HUNG"));
        worker.running.signal("CONT");
        assert_eq!(heard.join().expect("no panic").expect("the call survives"), mock_text(&samples));
    });
}

#[test]
fn a_worker_that_is_not_there() {
    let sandbox = Sandbox::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let server = Server::start(&sandbox, &["--worker", &format!("stt=http://{free}")]);
    let mut request = tonic::Request::new(recognize("", &wav::numbered(1)));
    request.set_timeout(PATIENCE / 2);
    block_on(async {
        let refused = speech(&server.address).await.recognize(request).await.expect_err("nobody is there");
        assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
        assert!(refused.message().contains(&free), "{}", refused.message());
    });
}

#[test]
fn addresses_of_workers_that_are_none() {
    let sandbox = Sandbox::new();
    for wrong in ["", "stt", "stt=", "http://127.0.0.1:1", "lmt=http://127.0.0.1:1", "stt=ftp://127.0.0.1:1"] {
        let shown = sandbox.run(&["serve", "--listen", "127.0.0.1:0", "--worker", wrong]);
        assert!(!["0", "1"].contains(&shown.code().as_str()), "{wrong}: {}", shown.code());
        assert!(shown.stderr.contains("--worker") || shown.stderr.contains(wrong), "{wrong}: {}", shown.stderr);
    }
}

/// A call that a Python worker answers with a lie or with a failure.
struct Fault {
    name: &'static str,
    speaks: bool,
    cause: &'static str,
    /// What the error's message must hold.
    says: &'static str,
}

impl Fault {
    const fn heard(name: &'static str, cause: &'static str, says: &'static str) -> Self {
        Self { name, speaks: false, cause, says }
    }

    const fn spoken(name: &'static str, cause: &'static str, says: &'static str) -> Self {
        Self { name, speaks: true, cause, says }
    }

    /// Makes the call to a server of its own, for three failures in a row close a model for a while.
    fn is_named(&self, worker: &PythonWorker) {
        let sandbox = Sandbox::new();
        let server = served_by(&sandbox, worker, &[]);
        let asked = format!("fault={}", self.name);
        let samples = wav::numbered(2);
        let refused = block_on(async {
            if self.speaks {
                speak(&server.address, "py-one", &asked).await.map(|_| ())
            } else {
                hear(&server.address, prompted("", &asked, &samples)).await.map(|_| ())
            }
        });
        let refused = refused.expect_err(self.name);
        let is_meant = cause(&refused) == self.cause && refused.message().contains(self.says);
        assert!(is_meant, "{} (speaks: {}): {} {}", self.name, self.speaks, cause(&refused), refused.message());
    }
}

#[test]
fn lies_and_failures_are_named() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let Some(mute) = PythonWorker::start(&sandbox, &["--fault", "empty"]) else { return };
    let faults = [
        Fault::heard("utf8", "LIED_NOT_TEXT", "UTF-8"),
        Fault::heard("nan", "LIED_NOT_A_NUMBER", ""),
        Fault::heard("long", "LIED_LENGTH", ""),
        Fault::heard("exception", "FAILED", "the snake bit itself"),
        Fault::heard("internal", "FAILED", "the snake is internal"),
        Fault::heard("unknown", "FAILED", "the snake is unknown"),
        Fault::spoken("utf8", "LIED_NOT_TEXT", "UTF-8"),
        Fault::spoken("nan", "LIED_NOT_A_NUMBER", ""),
        Fault::spoken("long", "LIED_LENGTH", ""),
        Fault::spoken("rate", "LIED_SAMPLE_RATE", "rate"),
        Fault::spoken("exception", "FAILED", "the snake bit itself"),
    ];
    thread::scope(|scope| {
        for fault in &faults {
            scope.spawn(|| fault.is_named(&worker));
        }
        scope.spawn(|| Fault::spoken("empty", "LIED_EMPTY", "").is_named(&mute));
    });
    for (kind, calls) in [("transcribe", 6 * 3), ("synthesize", 5 * 3)] {
        assert_eq!(worker.said(&format!("call {kind}")), calls, "each is asked three times to {kind}, and no more");
    }
}

#[test]
fn words_in_digital_silence_are_dropped_and_counted() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    let text = block_on(hear(&server.address, prompted("", "fault=silence", &[0; 16_000])));
    assert_eq!(text.expect("nobody speaks"), "");
    let lies = block_on(crate::harness::calls::model(&server.address, "py-model AND capability=recognition")).lies;
    assert_eq!(lies["SILENCE"], 1, "{lies:?}");
}

#[test]
fn unavailable_is_passed_on_in_time() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    let refused = block_on(hear(&server.address, prompted("", "fault=unavailable", &wav::numbered(1))));
    let refused = refused.expect_err("it says that it is unavailable");
    assert_eq!(refused.code(), Code::Unavailable, "{}", refused.message());
    assert!(refused.message().contains("the snake is unavailable"), "{}", refused.message());
}

#[test]
fn a_worker_that_says_it_is_broken_is_not_used() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &["--fault", "error-health"]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    block_on(hear(&server.address, recognize("", &wav::numbered(1)))).expect_err("it is broken");
    assert_eq!(worker.said("call transcribe"), 0);
}

#[test]
fn another_worker_on_the_same_port_is_not_taken_for_the_first() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    let samples = wav::numbered(1);
    let call = || block_on(hear(&server.address, recognize("py-model", &samples)));
    assert_eq!(call().expect("it hears"), mock_text(&samples));
    worker.running.signal("KILL");
    let other = worker.again(&sandbox, &["--name", "other"]);
    // Until it is looked for again, one is told that nobody was there.
    eventually("it is refused for its name", || {
        let refused = call().expect_err("its name is another");
        refused.message().contains("other")
    });
    assert_eq!(other.said("call transcribe"), 0);
    // The right one comes back, and is found.
    other.running.signal("KILL");
    let again = other.again(&sandbox, &[]);
    eventually("it is found", || call().is_ok());
    assert_eq!(again.said("call transcribe"), 1);
}

#[test]
fn a_caller_that_goes_away_ends_the_work_of_a_python_worker() {
    let sandbox = Sandbox::new();
    let Some(worker) = PythonWorker::start(&sandbox, &[]) else { return };
    let server = served_by(&sandbox, &worker, &[]);
    block_on(async {
        let call = hear(&server.address, prompted("", "fault=slow:50", &wav::numbered(1)));
        let call = tokio::time::timeout(Duration::from_secs(1), call).await;
        assert!(call.is_err(), "it takes 50 s");
    });
    eventually("its work ends", || worker.said("cancelled") == 1);
    block_on(hear(&server.address, recognize("", &wav::numbered(1)))).expect("the next one is served");
}
