//! The desk where workers register: checks what they say, and hands out tickets.

use super::tokens::{self, Tokens};
use crate::{
    error::{Error, Kind, Result},
    proto::v1::{
        self as pb,
        report_request::Report,
        worker_registry_server::{WorkerRegistry, WorkerRegistryServer},
    },
    server::supervisor::view::Body,
    speech::{BUILD_ID, ModelId},
};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Request, Response, Status, Streaming};

/// The version of the protocol.
const PROTOCOL: i32 = 1;

/// How long a ticket is good, and how long a worker may take to begin its reports.
const LIFETIME: Duration = Duration::from_secs(10);

/// Tickets that are not used yet, at the same time.
const TICKETS: usize = 64;

/// Report lines that wait. The keeper reads them at once.
const REPORTS: usize = 64;

/// The longest name of a model.
const NAME: usize = 200;

/// The desk. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Desk(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    tokens: Tokens,
    /// Who has a ticket, and has not used it.
    visitors: HashMap<String, (Instant, Visitor)>,
    /// Who has a ticket, and has not begun to report.
    reporters: HashMap<String, (Instant, mpsc::Sender<String>)>,
}

/// A worker that has registered.
#[derive(Debug)]
pub(super) struct Visitor {
    /// What it has.
    pub(super) model: ModelId,
    /// What it said of itself.
    pub(super) body: Body,
    /// What it will report.
    pub(super) reports: mpsc::Receiver<String>,
}

impl Desk {
    /// Opens the desk.
    ///
    /// # Errors
    /// `Io` where the token file cannot be written.
    pub(super) fn try_new(token_file: PathBuf) -> Result<Self> {
        let tokens = Tokens::try_new(token_file)?;
        let books = Books { tokens, visitors: HashMap::new(), reporters: HashMap::new() };
        Ok(Self(Arc::new(Mutex::new(books))))
    }

    /// What first connections speak to.
    pub(super) fn service(&self) -> WorkerRegistryServer<Self> {
        WorkerRegistryServer::new(self.clone())
    }

    /// Uses a ticket up.
    ///
    /// # Errors
    /// `Unauthenticated` for one that is not good, or not any more.
    pub(super) fn admit(&self, ticket: &str) -> Result<Visitor> {
        self.sweep();
        let no = || Error::new(Kind::Unauthenticated, "the ticket is not good; each is good once, for ten seconds");
        self.books().visitors.remove(ticket).map(|(_, visitor)| visitor).ok_or_else(no)
    }

    /// Throws away what was not used in time. A worker that does not report in time loses its connection with that.
    pub(super) fn sweep(&self) {
        let mut books = self.books();
        books.visitors.retain(|_, (since, _)| since.elapsed() < LIFETIME);
        books.reporters.retain(|_, (since, _)| since.elapsed() < LIFETIME);
    }

    fn register(&self, request: pb::RegisterRequest) -> Result<pb::RegisterResponse> {
        if request.protocol != PROTOCOL {
            let message = format!(
                "this server speaks version {PROTOCOL} of the registration protocol, the worker version {}; use the \
                 same speechctl for both",
                request.protocol
            );
            return Err(Error::new(Kind::Unsupported, message).in_field("protocol"));
        }
        let mut books = self.books();
        if books.visitors.len() >= TICKETS {
            return Err(Error::new(Kind::Busy, "too many workers register at once").retry_after(LIFETIME));
        }
        books.tokens.redeem(&request.token)?;
        let model = model(&request)?;
        let ticket = tokens::secret()?;
        let (sender, reports) = mpsc::channel(REPORTS);
        let body = Body {
            pid: u32::try_from(request.pid).unwrap_or(0),
            address: String::new(),
            engine: request.engine,
            build: request.build_id,
        };
        books.visitors.insert(ticket.clone(), (Instant::now(), Visitor { model, body, reports }));
        books.reporters.insert(ticket.clone(), (Instant::now(), sender));
        let lifetime = prost_types::Duration { seconds: LIFETIME.as_secs() as i64, nanos: 0 };
        Ok(pb::RegisterResponse { ticket, lifetime: Some(lifetime) })
    }

    /// The books are in order between any two statements, so a panic elsewhere does not spoil them.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker brings.
///
/// A name of ours means what is built into this very build; any other name is the worker's own.
fn model(request: &pb::RegisterRequest) -> Result<ModelId> {
    let name = request.model.as_str();
    let wrong = |message: String| Err(Error::invalid(message).in_field("model"));
    if name.is_empty() || name.len() > NAME || name.chars().any(char::is_control) {
        return wrong(format!("a model's name has 1 to {NAME} bytes, all of them printable"));
    }
    if request.engine.len() > NAME || request.build_id.len() > NAME {
        return Err(Error::invalid(format!("names have {NAME} bytes at most")).in_field("engine"));
    }
    let can = |capability: pb::Capability| request.capabilities.contains(&capability.into());
    let (recognises, speaks) = (can(pb::Capability::Recognition), can(pb::Capability::Synthesis));
    if !recognises && !speaks {
        return Err(Error::invalid("the worker can neither recognise nor speak").in_field("capabilities"));
    }
    let ours = match name {
        "selftest" => Some((ModelId::SelfTest, "whisper")),
        "mock" => Some((ModelId::Mock(String::new()), "mock")),
        // No model either, but one that tests take apart.
        _ if name.starts_with("mock:") => Some((ModelId::Mock(name.trim_start_matches("mock:").to_owned()), "mock")),
        "espeak" => {
            return wrong(
                "model `espeak`: the server starts its own, a fresh one for each text; give it a name of its own by \
                 `--name`"
                    .to_owned(),
            );
        }
        _ if name.contains('/') || name.starts_with("unix:") => {
            return wrong(format!("model `{name}`: such names mean something else; give it another by `--name`"));
        }
        _ => None,
    };
    match ours {
        None => Ok(ModelId::DialledIn { name: name.to_owned(), recognises, speaks }),
        Some((_, engine)) if request.engine != engine => {
            wrong(format!("model `{name}` is one of the {engine} engine, not of `{}`", request.engine))
        }
        Some(_) if request.build_id != BUILD_ID => wrong(format!(
            "model `{name}` is built in, and the worker is of another build than the server ({} and {}); use the same, \
             or `--name`",
            request.build_id, BUILD_ID
        )),
        Some((model, _)) => Ok(model),
    }
}

#[tonic::async_trait]
impl WorkerRegistry for Desk {
    async fn register(&self, request: Request<pb::RegisterRequest>) -> Result<Response<pb::RegisterResponse>, Status> {
        let request = request.into_inner();
        // Whoever is not let in may say anything.
        let short = |text: &str| text.chars().take(NAME).collect::<String>();
        let (engine, model) = (short(&request.engine), short(&request.model));
        // The method of the same name, not this one.
        let answer = Desk::register(self, request);
        if let Err(error) = &answer {
            tracing::warn!(?engine, ?model, %error, "A worker that dialled in was refused.");
        }
        Ok(Response::new(answer?))
    }

    async fn report(
        &self,
        request: Request<Streaming<pb::ReportRequest>>,
    ) -> Result<Response<pb::ReportResponse>, Status> {
        let mut messages = request.into_inner();
        let late = |_| Error::new(Kind::Deadline, "the first report did not come in time");
        let first = timeout(LIFETIME, messages.message()).await.map_err(late)??;
        let first = first.and_then(|message| message.report);
        let reporter = match &first {
            Some(Report::Ticket(ticket)) => self.books().reporters.remove(ticket),
            _ => return Err(Error::invalid("the first report must be the ticket").in_field("ticket").into()),
        };
        let Some((_, reports)) = reporter else {
            return Err(Error::new(Kind::Unauthenticated, "the ticket is not good").in_field("ticket").into());
        };
        // As long as this stream lives the worker does; with it goes the sender, which its keeper notices.
        loop {
            tokio::select! {
                () = reports.closed() => return Ok(Response::new(pb::ReportResponse {})),
                message = messages.message() => match message?.and_then(|message| message.report) {
                    Some(Report::LogLine(line)) => {
                        // A keeper that does not keep up loses lines, not time.
                        drop(reports.try_send(line));
                    }
                    // How loading goes its Health tells, too, and of all workers alike.
                    Some(Report::Loading(_)) => {}
                    Some(Report::Ticket(_)) => {
                        return Err(Error::invalid("a second ticket").in_field("ticket").into());
                    }
                    None => return Ok(Response::new(pb::ReportResponse {})),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(engine: &str, model: &str) -> pb::RegisterRequest {
        pb::RegisterRequest {
            engine: engine.to_owned(),
            model: model.to_owned(),
            build_id: BUILD_ID.to_owned(),
            capabilities: vec![pb::Capability::Recognition.into()],
            ..Default::default()
        }
    }

    #[test]
    fn names_of_ours_mean_what_is_ours() {
        assert_eq!(model(&request("whisper", "selftest")).expect("ours"), ModelId::SelfTest);
        let far = model(&request("whisper", "far")).expect("its own");
        assert_eq!(far, ModelId::DialledIn { name: "far".to_owned(), recognises: true, speaks: false });
        let older = pb::RegisterRequest { build_id: "0".to_owned(), ..request("whisper", "selftest") };
        for wrong in [older, request("espeak", "selftest"), request("espeak", "espeak"), request("x", "a\nb")] {
            let error = model(&wrong).expect_err("it is refused");
            assert_eq!((error.kind(), error.details().field.as_deref()), (Kind::InvalidInput, Some("model")));
        }
    }

    #[test]
    fn a_worker_that_can_do_nothing_is_refused() {
        let idle = pb::RegisterRequest { capabilities: Vec::new(), ..request("x", "y") };
        assert_eq!(model(&idle).expect_err("refused").details().field.as_deref(), Some("capabilities"));
    }
}
