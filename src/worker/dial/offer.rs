//! The offer of a worker to a server: the registration, the second connection, the reports.

use crate::{
    error::{Error, Kind, Result},
    proto::v1::{RegisterRequest, ReportRequest, report_request::Report, worker_registry_client::WorkerRegistryClient},
    speech,
    worker::{
        Worker,
        dial::{CONNECT, Dialler},
        engine,
        thread::{EngineThread, Stage},
    },
};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};

/// The version of the protocol that is spoken here.
const PROTOCOL: i32 = 1;

/// How long the server may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The longest line that the server may answer with, in bytes.
const MAX_LINE: u64 = 300;

/// The longest ticket that is believed, in bytes.
const MAX_TICKET: usize = 128;

/// How often progress is looked at.
const GLANCE: Duration = Duration::from_millis(200);

/// Reports that wait for the server: the next one knows better than all of them.
const REPORTS: usize = 1;

/// Why an offer came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The token is not good.
    Refused(Error),
    /// It would come to nothing again.
    Final(Error),
    /// The server is away, or busy, or went away.
    Lost(Error),
}

/// An offer that was taken.
pub(super) struct Offer<R> {
    /// On this the server calls.
    pub(super) stream: BufReader<TcpStream>,
    /// Reports to the server; ends with the connection on which it does.
    pub(super) report: R,
}

/// Registers, and opens the connection that is served on.
pub(super) async fn offer(
    dialler: &Dialler,
    worker: &Worker,
    token: &str,
) -> Result<Offer<impl Future<Output = ()>>, Failure> {
    let address = dialler.address.as_str();
    let away = |cause: tonic::transport::Error| {
        Failure::Lost(Error::new(Kind::Unavailable, format!("no server is at `{address}`")).because(cause))
    };
    let channel = timeout(CONNECT, dialler.endpoint.connect()).await.map_err(|_| silent(address))?.map_err(away)?;
    let mut registry = WorkerRegistryClient::new(channel);
    let registered = timeout(ANSWER, registry.register(request(worker, token))).await.map_err(|_| silent(address))?;
    let ticket = registered.map_err(|status| judged(status, address))?.into_inner().ticket;
    if ticket.is_empty() || ticket.len() > MAX_TICKET || !ticket.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("the server at `{address}` gave a ticket that is none");
        return Err(Failure::Final(Error::new(Kind::Internal, message)));
    }
    let stream = timeout(CONNECT, present(address, &ticket)).await.map_err(|_| silent(address))??;
    Ok(Offer { stream, report: report(registry, ticket, worker.engine.clone()) })
}

fn silent(address: &str) -> Failure {
    Failure::Lost(Error::new(Kind::Deadline, format!("the server at `{address}` does not answer")))
}

fn request(worker: &Worker, token: &str) -> RegisterRequest {
    RegisterRequest {
        protocol: PROTOCOL,
        build_id: speech::BUILD_ID.to_owned(),
        engine: worker.model.engine().to_owned(),
        model: worker.name.clone(),
        capabilities: engine::capabilities(&worker.model).iter().map(|capability| (*capability).into()).collect(),
        token: token.to_owned(),
        pid: std::process::id().into(),
    }
}

/// What a refusal means for the next try.
fn judged(status: Status, address: &str) -> Failure {
    let code = status.code();
    let error = Error::from(status).context(format!("the server at `{address}` does not take this worker"));
    match code {
        Code::Unauthenticated => Failure::Refused(error),
        // In our own table of codes the word means a missing model, which is not what is meant here.
        Code::FailedPrecondition => Failure::Final(Error::new(Kind::Config, error.to_string())),
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::OutOfRange
        | Code::Unimplemented => Failure::Final(error),
        // Also connections that break are told by a code, and not by the same one each time.
        _ => Failure::Lost(Error::new(Kind::Unavailable, error.to_string())),
    }
}

/// Opens the connection that is served on.
async fn present(address: &str, ticket: &str) -> Result<BufReader<TcpStream>, Failure> {
    let lost = |cause: std::io::Error| {
        let message = format!("the server at `{address}` broke off the second connection");
        Failure::Lost(Error::new(Kind::Unavailable, message).because(cause))
    };
    let stream = TcpStream::connect(address).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(format!("SPEECHCTL-TICKET {ticket}\n").as_bytes()).await.map_err(lost)?;
    let mut line = Vec::new();
    // Byte for byte its line and no more: what comes behind it belongs to HTTP/2, and stays in the buffer.
    (&mut stream).take(MAX_LINE).read_until(b'\n', &mut line).await.map_err(lost)?;
    verdict(&line, address)?;
    Ok(stream)
}

/// What the line means that answers a ticket.
fn verdict(line: &[u8], address: &str) -> Result<(), Failure> {
    let line = String::from_utf8_lossy(line);
    match line.strip_suffix('\n').map(str::trim_end) {
        Some("OK") => Ok(()),
        Some(answer) if answer == "NO" || answer.starts_with("NO ") => {
            let reason = answer.trim_start_matches("NO").trim();
            let message = format!("the server at `{address}` does not take this worker: {reason}");
            Err(Failure::Lost(Error::new(Kind::Unavailable, message)))
        }
        _ => {
            let message = format!("the server at `{address}` does not answer a ticket as it should");
            Err(Failure::Lost(Error::new(Kind::Unavailable, message)))
        }
    }
}

/// Reports how loading goes; ends when the server does not listen any more.
async fn report(mut registry: WorkerRegistryClient<Channel>, ticket: String, engine: EngineThread) {
    let (sender, receiver) = mpsc::channel(REPORTS);
    let tell = async move {
        let send = async |report| sender.send(ReportRequest { report: Some(report) }).await;
        send(Report::Ticket(ticket)).await?;
        let mut told = 0.0;
        let mut is_whole = !matches!(engine.stage(), Stage::Loading);
        while !is_whole {
            if let Some(progress) = engine.progress().filter(|progress| *progress > told) {
                told = progress;
                send(Report::Loading(progress)).await?;
            }
            tokio::select! {
                // Why it failed is told by `Health`.
                _ = engine.loaded() => is_whole = true,
                () = sleep(GLANCE) => {}
            }
        }
        if matches!(engine.stage(), Stage::Ready) {
            send(Report::Loading(1.0)).await?;
        }
        // The end of the stream would be the end of the registration.
        std::future::pending::<Result<(), mpsc::error::SendError<ReportRequest>>>().await
    };
    tokio::select! {
        answer = registry.report(ReceiverStream::new(receiver)) => if let Err(status) = answer {
            tracing::debug!(%status, "Registration ended.");
        },
        Err(error) = tell => tracing::debug!(%error, "Nobody to report to."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let judge = |code| judged(Status::new(code, "no"), "a:1");
        assert!(
            matches!(judge(Code::Unauthenticated), Failure::Refused(error) if error.kind() == Kind::Unauthenticated)
        );
        assert!(matches!(judge(Code::FailedPrecondition), Failure::Final(error) if error.kind() == Kind::Config));
        assert!(matches!(judge(Code::InvalidArgument), Failure::Final(error) if error.kind() == Kind::InvalidInput));
        for code in [Code::Unavailable, Code::ResourceExhausted, Code::Unknown, Code::Internal, Code::Cancelled] {
            assert!(matches!(judge(code), Failure::Lost(error) if error.kind() == Kind::Unavailable), "{code}");
        }
    }

    #[test]
    fn only_ok_is_ok() {
        assert!(verdict(b"OK\n", "a:1").is_ok() && verdict(b"OK\r\n", "a:1").is_ok());
        let Err(Failure::Lost(error)) = verdict(b"NO the ticket is too old\n", "a:1") else { panic!("it is refused") };
        assert_eq!(error.to_string(), "the server at `a:1` does not take this worker: the ticket is too old");
        for line in [&b""[..], b"OK", b"OKAY\n", b"HTTP/1.1 400 Bad Request\n", &[b'O'; 300]] {
            assert!(verdict(line, "a:1").is_err(), "{line:?}");
        }
    }
}
