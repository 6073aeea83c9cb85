//! The server and the worker by themselves: how soon they are there, and how much they take.

use crate::{
    Result,
    bed::{self, Bed, Server},
    memory,
    report::{Goal, Row, Unit},
    stats::Sample,
    turns,
    wire::{self, stt},
};
use std::{
    os::{fd::OwnedFd, unix::net::UnixStream as StdUnixStream},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};
use tokio::net::UnixStream;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

const ROUNDS: usize = 30;
const IDLE_ROUNDS: usize = 5;

/// How long a server is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(1);

/// How often to ask something that may not be there yet.
const ASK: Duration = Duration::from_micros(500);

/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// From the start of a worker to its first healthy answer, over the socket that it is born with, as the server does it:
/// with the mock engine, and with the one that speaks, which has its voices to look through.
pub(super) fn worker(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let runtime = wire::quick_runtime()?;
    let row = |engine: &str, goal| -> Result<Row> {
        let times = (0..=bed.options.rounds(ROUNDS)).map(|_| runtime.block_on(start_worker(bed, engine)));
        let times = times.collect::<Result<Vec<_>>>()?;
        let sample = Sample::of_times(times.get(1..).unwrap_or_default());
        let what = format!("start of a worker to its first healthy answer, engine `{engine}`");
        Ok(Row::alone(what, Unit::Millis, goal, &sample))
    };
    Ok(vec![row("mock", Goal::AtMost(20.0))?, row("espeak", Goal::None)?])
}

/// A process that ends when this is dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        bed::end(&mut self.0);
    }
}

async fn start_worker(bed: &Bed<'_>, engine: &str) -> Result<Duration> {
    let start = Instant::now();
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let mut command = bed.speechctl(["worker", "--engine", engine]);
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null()).stderr(Stdio::null());
    let _worker = Ended(command.spawn()?);
    // Ours must be the only other end: else the worker would not see it close.
    drop(command);
    let mut client = stt::stt_worker_client::SttWorkerClient::new(wire::over(UnixStream::from_std(ours)?));
    while start.elapsed() < PATIENCE {
        if client.health(stt::HealthRequest {}).await?.into_inner().status == "ok" {
            return Ok(start.elapsed());
        }
        tokio::time::sleep(ASK).await;
    }
    Err("a worker did not become healthy".into())
}

/// From the start of `serve` to the answer that it serves, over TCP.
pub(super) fn start(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let once = || {
        let start = Instant::now();
        let server = Server::start(bed, "127.0.0.1:0", &[])?;
        // The runtime ends before the server, which would wait for a connection that nobody minds any more.
        wire::quick_runtime()?.block_on(healthy(&server.address))?;
        Ok(start.elapsed())
    };
    let times = (0..=bed.options.rounds(ROUNDS)).map(|_| once()).collect::<Result<Vec<_>>>()?;
    let sample = Sample::of_times(times.get(1..).unwrap_or_default());
    Ok(vec![Row::alone("start of `serve` to its first answer SERVING", Unit::Millis, Goal::None, &sample)])
}

async fn healthy(address: &str) -> Result<()> {
    let mut client = HealthClient::new(wire::connect(address).await?);
    let reply = client.check(HealthCheckRequest { service: String::new() }).await?.into_inner();
    if reply.status() == ServingStatus::Serving { Ok(()) } else { Err("a server says that it does not serve".into()) }
}

/// The memory of a server without a model, which nobody has called.
pub(super) fn idle(bed: &Bed<'_>) -> Result<Vec<Row>> {
    let (mut resident, mut proportional) = (Vec::new(), Vec::new());
    for _ in 0..bed.options.rounds(IDLE_ROUNDS).min(IDLE_ROUNDS) {
        let server = Server::start(bed, "127.0.0.1:0", &[])?;
        thread::sleep(SETTLE);
        let tree = memory::tree(server.pid());
        let sum = |measure: &dyn Fn(u32) -> Option<u64>| -> Result<f64> {
            let kib = tree.iter().map(|pid| measure(*pid)).sum::<Option<u64>>();
            Ok(memory::mebibytes(kib.ok_or_else(|| turns::gone("the server"))?))
        };
        resident.push(sum(&|pid| memory::status_kib(pid, "VmRSS:"))?);
        proportional.push(sum(&memory::proportional_kib)?);
    }
    let (resident, proportional) = (Sample::of(resident), Sample::of(proportional));
    Ok(vec![
        Row::alone("memory of an idle `serve`, resident", Unit::Mebibytes, Goal::AtMost(30.0), &resident),
        Row::alone("memory of an idle `serve`, its share (Pss)", Unit::Mebibytes, Goal::None, &proportional),
    ])
}
