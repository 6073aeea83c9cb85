//! A server that has the workers and tells the changes that a test wants.

use super::{
    eventually,
    pb::v1::{self, models_server::Models},
};
use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, transport::Server};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};
use v1::watch_response::Event;

/// So many are on a page.
const PAGE: usize = 2;

/// A server of models alone. It dies when dropped, in the middle of whatever it does.
pub(crate) struct FakeServer {
    pub(crate) address: String,
    events: mpsc::Sender<v1::WatchResponse>,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// What it lists.
#[derive(Default)]
pub(crate) struct Listed {
    pub(crate) workers: Vec<v1::Worker>,
    pub(crate) models: Vec<v1::Model>,
}

/// What the test steers while it runs.
#[derive(Default)]
struct Shared {
    listed: Listed,
    /// Somebody watches.
    is_watched: AtomicBool,
    /// It takes calls and answers none.
    is_silent: AtomicBool,
}

struct Fake {
    shared: Arc<Shared>,
    /// What is left for whoever watches; there is one.
    events: Mutex<Option<mpsc::Receiver<v1::WatchResponse>>>,
}

struct Alive(Arc<Shared>);

impl FakeServer {
    /// One that knows nothing of models, as it was before there were any.
    pub(crate) fn without_models() -> Self {
        Self::serve(Listed::default(), false)
    }

    /// One that lists this.
    pub(crate) fn start(listed: Listed) -> Self {
        Self::serve(listed, true)
    }

    fn serve(listed: Listed, has_models: bool) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (events, receiver) = mpsc::channel(64);
        let shared = Arc::new(Shared { listed, ..Shared::default() });
        let fake = Fake { shared: Arc::clone(&shared), events: Mutex::new(Some(receiver)) };
        let models = has_models.then(|| v1::models_server::ModelsServer::new(fake));
        let router =
            Server::builder().add_service(HealthServer::new(Alive(Arc::clone(&shared)))).add_optional_service(models);
        runtime.spawn(router.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, events, shared, runtime: Some(runtime) }
    }

    /// Tells of a worker.
    pub(crate) fn worker(&self, worker: v1::Worker) {
        self.tell(Event::Worker(worker));
    }

    /// Tells of a model.
    pub(crate) fn model(&self, model: v1::Model) {
        self.tell(Event::Model(model));
    }

    /// Says that all has been told.
    pub(crate) fn complete(&self) {
        self.tell(Event::Complete(v1::Complete {}));
    }

    fn tell(&self, event: Event) {
        let noon = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 };
        let response = v1::WatchResponse { time: Some(noon), event: Some(event) };
        self.events.try_send(response).expect("there is room, and somebody to hear it");
    }

    /// Waits until somebody watches.
    pub(crate) fn wait_until_watched(&self) {
        eventually("somebody watches", || self.shared.is_watched.load(Ordering::SeqCst));
    }

    /// From now on, takes calls and answers none.
    pub(crate) fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::SeqCst);
    }

    /// Ends its streams in order.
    pub(crate) fn end_streams(&mut self) {
        let (nobody, _) = mpsc::channel(1);
        self.events = nobody;
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A page of a list, and the token of the next one.
fn page<T: Clone>(all: &[T], token: &str) -> (Vec<T>, String) {
    let start: usize = if token.is_empty() { 0 } else { token.parse().expect("it is one of ours") };
    let end = all.len().min(start + PAGE);
    (all[start..end].to_vec(), if end < all.len() { end.to_string() } else { String::new() })
}

#[tonic::async_trait]
impl Models for Fake {
    async fn list_models(
        &self,
        request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let all = &self.shared.listed.models;
        let (models, next_page_token) = page(all, &request.into_inner().page_token);
        Ok(Response::new(v1::ListModelsResponse { models, next_page_token, total_count: all.len() as i32 }))
    }

    async fn list_workers(
        &self,
        request: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        if self.shared.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let all = &self.shared.listed.workers;
        let (workers, next_page_token) = page(all, &request.into_inner().page_token);
        Ok(Response::new(v1::ListWorkersResponse { workers, next_page_token, total_count: all.len() as i32 }))
    }

    async fn load_model(&self, _: Request<v1::LoadModelRequest>) -> Result<Response<v1::LoadModelResponse>, Status> {
        Err(Status::unimplemented("it only looks"))
    }

    async fn unload_model(
        &self,
        _: Request<v1::UnloadModelRequest>,
    ) -> Result<Response<v1::UnloadModelResponse>, Status> {
        Err(Status::unimplemented("it only looks"))
    }

    type WatchStream = Events;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Events>, Status> {
        self.shared.is_watched.store(true, Ordering::SeqCst);
        let events = self.events.lock().expect("nobody panics").take();
        Ok(Response::new(Events(events.ok_or_else(|| Status::resource_exhausted("one watches already"))?)))
    }
}

/// Changes, as the test tells them.
pub(crate) struct Events(mpsc::Receiver<v1::WatchResponse>);

impl Stream for Events {
    type Item = Result<v1::WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

#[tonic::async_trait]
impl Health for Alive {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if self.0.is_silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
