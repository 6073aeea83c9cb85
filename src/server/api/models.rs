//! `speechctl.v1.Models`: which models there are, and the processes that run them.

use crate::{
    error::{Error, Kind, Result},
    models::shelf::State,
    proto::v1 as pb,
    server::{
        Shared,
        api::{
            page::{self, Listed, Wish},
            paths_of,
            respond::{Messages, Outlet, respond},
            stock,
        },
        guard::deadline,
        supervisor::{
            directory::Directory,
            memory,
            view::{Change, ModelState, ModelView, Obituary, Origin, View, WorkerNumber, WorkerState, WorkerView},
        },
    },
    speech::ModelId,
};
use std::{collections::BTreeMap, time::SystemTime};
use tokio::{sync::broadcast::error::RecvError, time::Instant};
use tonic::{Request, Response, Status};

/// The contract's service.
pub(crate) struct Models(pub(crate) Shared);

impl Models {
    /// The model of a request.
    fn named<T>(&self, request: &Request<T>, name: &str) -> Result<ModelId> {
        if name.is_empty() {
            return Err(Error::invalid("no model is named").in_field("model"));
        }
        self.0.model(name, paths_of(request))
    }

    /// How a model is, whether it was ever asked for or not.
    async fn seen(&self, model: &ModelId) -> Result<pb::Model> {
        let view = self.0.supervisor.view().await?;
        let seen = view.models.iter().find(|seen| seen.id == *model).cloned().unwrap_or_else(|| untouched(model));
        Ok(self.model(&seen))
    }

    fn model(&self, view: &ModelView) -> pb::Model {
        let capabilities =
            [(view.id.recognises(), pb::Capability::Recognition), (view.id.speaks(), pb::Capability::Synthesis)];
        pb::Model {
            name: self.0.supervisor.directory().name(&view.id),
            engine: view.id.engine().to_owned(),
            state: model_state(view.state).into(),
            capabilities: capabilities.into_iter().filter(|(can, _)| *can).map(|(_, what)| what.into()).collect(),
            is_default: self.0.defaults.contains(&view.id),
            workers: i32::try_from(view.workers).unwrap_or(i32::MAX),
            deaths: i64::try_from(view.deaths).unwrap_or(i64::MAX),
            last_death: view.last_death.as_ref().map(death),
            lies: view.lies.iter().map(|(lie, count)| (lie.word().to_owned(), *count as i64)).collect(),
            waiting: i32::try_from(view.waiting).unwrap_or(i32::MAX),
            reason: view.reason.clone().unwrap_or_default(),
            retry_after: view
                .not_before
                .map(|at| at.saturating_duration_since(Instant::now()))
                .and_then(|wait| prost_types::Duration::try_from(wait).ok()),
            ..Default::default()
        }
    }

    /// The models that the supervisor knows, and those that are always there.
    fn views(&self, view: &View) -> Vec<ModelView> {
        let known = view.models.iter().map(|model| &model.id);
        let always = [ModelId::Espeak, ModelId::SelfTest].into_iter().chain(self.0.supervisor.directory().models());
        let mut untouched: Vec<ModelView> =
            always.filter(|model| !known.clone().any(|known| known == model)).map(|model| untouched(&model)).collect();
        untouched.dedup_by(|a, b| a.id == b.id);
        view.models.iter().cloned().chain(untouched).collect()
    }

    /// The same, with what is installed and what could be.
    fn all(&self, view: &View) -> Vec<pb::Model> {
        let mut views = self.views(view);
        let library = &self.0.recognisers.library;
        let (shelf, index) = tokio::task::block_in_place(|| (library.shelf(), library.index()));
        let mut models = Vec::new();
        for installed in shelf.models.iter().filter(|model| model.state != State::Gone) {
            let id = stock::id(installed);
            let seen = match views.iter().position(|seen| seen.id == id) {
                Some(place) => views.swap_remove(place),
                None => untouched(&id),
            };
            models.push(stock::described(self.model(&seen), installed));
        }
        models.extend(views.iter().map(|view| self.model(view)));
        let could_be = stock::available(&shelf, index.as_ref());
        let is_new = |model: &pb::Model| models.iter().all(|known| known.name != model.name);
        let fresh: Vec<pb::Model> = could_be.into_iter().filter(is_new).collect();
        models.extend(fresh);
        models
    }
}

#[tonic::async_trait]
impl pb::models_server::Models for Models {
    type WatchStream = Messages<pb::WatchResponse>;

    async fn list_models(
        &self,
        request: Request<pb::ListModelsRequest>,
    ) -> Result<Response<pb::ListModelsResponse>, Status> {
        let request = request.into_inner();
        let models = self.all(&self.0.supervisor.view().await?);
        let wish = Wish {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let page = page::page(models, &wish)?;
        Ok(Response::new(pb::ListModelsResponse {
            models: page.entries,
            next_page_token: page.next_page_token,
            total_count: i32::try_from(page.total).unwrap_or(i32::MAX),
        }))
    }

    async fn load_model(
        &self,
        request: Request<pb::LoadModelRequest>,
    ) -> Result<Response<pb::LoadModelResponse>, Status> {
        let deadline = deadline::of(&request);
        let model = self.named(&request, &request.get_ref().model)?;
        let took = deadline::within(deadline, self.0.supervisor.load(model.clone(), deadline)).await?;
        let duration = prost_types::Duration::try_from(took).ok();
        Ok(Response::new(pb::LoadModelResponse { model: Some(self.seen(&model).await?), duration }))
    }

    async fn unload_model(
        &self,
        request: Request<pb::UnloadModelRequest>,
    ) -> Result<Response<pb::UnloadModelResponse>, Status> {
        let model = self.named(&request, &request.get_ref().model)?;
        let workers = self.0.supervisor.unload(model.clone()).await?;
        Ok(Response::new(pb::UnloadModelResponse {
            model: Some(self.seen(&model).await?),
            workers: i32::try_from(workers).unwrap_or(i32::MAX),
        }))
    }

    async fn list_workers(
        &self,
        request: Request<pb::ListWorkersRequest>,
    ) -> Result<Response<pb::ListWorkersResponse>, Status> {
        let request = request.into_inner();
        let view = self.0.supervisor.view().await?;
        let directory = self.0.supervisor.directory();
        let workers = view.workers.iter().map(|seen| worker(seen, directory)).collect();
        let wish = Wish {
            page_size: request.page_size,
            page_token: &request.page_token,
            filter: &request.filter,
            order_by: &request.order_by,
        };
        let page = page::page(workers, &wish)?;
        Ok(Response::new(pb::ListWorkersResponse {
            workers: page.entries,
            next_page_token: page.next_page_token,
            total_count: i32::try_from(page.total).unwrap_or(i32::MAX),
        }))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let deadline = deadline::of(&request);
        let models = Models(self.0.clone());
        let mut stop = self.0.stop.clone();
        Ok(Response::new(respond(deadline, move |out| async move {
            tokio::select! {
                told = watch(&models, out) => told,
                // Nothing else would end it, and the server would wait for it.
                () = stop.wanted(crate::shutdown::Stop::Drain) => {
                    Err(Error::new(Kind::Unavailable, "the server is stopping"))
                }
            }
        })))
    }
}

/// Tells everything, then what changes; everything anew where the listener was too slow.
async fn watch(models: &Models, out: Outlet<pb::WatchResponse>) -> Result<()> {
    use pb::watch_response::Event;
    let send = async |event| {
        let time = Some(SystemTime::now().into());
        out.send(pb::WatchResponse { time, event: Some(event) }).await
    };
    let directory = models.0.supervisor.directory();
    // Who has been told of, and not yet of the end.
    let mut told: BTreeMap<WorkerNumber, WorkerView> = BTreeMap::new();
    loop {
        let mut watched = models.0.supervisor.watch().await?;
        // Where changes were skipped, so were ends.
        for seen in &watched.view.workers {
            told.remove(&seen.number);
        }
        for (_, gone) in std::mem::take(&mut told) {
            send(Event::Worker(worker(&WorkerView { state: WorkerState::Gone, ..gone }, directory))).await?;
        }
        for view in models.views(&watched.view) {
            send(Event::Model(models.model(&view))).await?;
        }
        for seen in &watched.view.workers {
            told.insert(seen.number, seen.clone());
            send(Event::Worker(worker(seen, directory))).await?;
        }
        send(Event::Complete(pb::Complete {})).await?;
        loop {
            let event = tokio::select! {
                change = watched.changes.recv() => match change {
                    Ok(Change::Worker(seen)) => {
                        let event = Event::Worker(worker(&seen, directory));
                        match seen.state {
                            WorkerState::Gone => drop(told.remove(&seen.number)),
                            _ => drop(told.insert(seen.number, seen)),
                        }
                        event
                    }
                    Ok(Change::Model(model)) => Event::Model(models.model(&model)),
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Err(Error::new(Kind::Unavailable, "the server is stopping")),
                },
                () = out.closed() => return Err(Error::new(Kind::Cancelled, "the caller has gone")),
            };
            send(event).await?;
        }
    }
}

/// A model that nobody has asked for.
fn untouched(model: &ModelId) -> ModelView {
    ModelView {
        id: model.clone(),
        state: ModelState::NotLoaded,
        workers: 0,
        deaths: 0,
        last_death: None,
        waiting: 0,
        held: 0,
        since: None,
        used: None,
        lies: Vec::new(),
        reason: None,
        not_before: None,
    }
}

fn model_state(state: ModelState) -> pb::ModelState {
    match state {
        ModelState::NotLoaded => pb::ModelState::NotLoaded,
        ModelState::Loading => pb::ModelState::Loading,
        ModelState::Ready => pb::ModelState::Ready,
        ModelState::Failed => pb::ModelState::Failed,
    }
}

fn death(obituary: &Obituary) -> pb::Death {
    pb::Death {
        cause: obituary.death.cause.word(),
        message: obituary.death.to_string(),
        time: Some(obituary.time.into()),
        last_words: obituary.death.last_words.clone(),
    }
}

fn worker(view: &WorkerView, directory: &Directory) -> pb::Worker {
    let state = match view.state {
        WorkerState::Starting => pb::WorkerState::Starting,
        WorkerState::Idle => pb::WorkerState::Idle,
        WorkerState::Busy => pb::WorkerState::Busy,
        WorkerState::Checking => pb::WorkerState::Checking,
        WorkerState::Stopping => pb::WorkerState::Stopping,
        WorkerState::Gone => pb::WorkerState::Gone,
    };
    let origin = match view.origin {
        Origin::Started => pb::WorkerOrigin::Started,
        Origin::Called => pb::WorkerOrigin::Called,
        Origin::DialledIn => pb::WorkerOrigin::DialledIn,
    };
    let pid = view.body.pid;
    let memory = if pid > 0 && view.state != WorkerState::Gone { memory::resident(pid) } else { None };
    let engine = if view.body.engine.is_empty() { view.model.engine() } else { &view.body.engine };
    pb::Worker {
        id: format!("w{}", view.number.0),
        pid: pid.into(),
        state: state.into(),
        model: directory.name(&view.model),
        engine: engine.to_owned(),
        origin: origin.into(),
        address: view.body.address.clone(),
        started: Some(view.started.into()),
        calls: i64::try_from(view.calls).unwrap_or(i64::MAX),
        restarts: i64::try_from(view.restarts).unwrap_or(i64::MAX),
        memory_bytes: memory.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(0),
        progress: view.progress,
        last_death: view.last_death.as_ref().map(death),
        build: view.body.build.clone(),
    }
}

/// The word for a value of an enum, as filters use it: "MODEL_STATE_NOT_LOADED" is "not_loaded".
fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

impl Listed for pb::Model {
    const FIELDS: &'static [&'static str] = &["name", "engine", "state", "capability"];

    fn matches(&self, field: &str, value: &str) -> bool {
        match field {
            "capability" => self
                .capabilities()
                .any(|capability| word(capability.as_str_name(), "CAPABILITY_").eq_ignore_ascii_case(value)),
            _ => self.key(field).eq_ignore_ascii_case(value),
        }
    }

    fn key(&self, field: &str) -> String {
        match field {
            "engine" => self.engine.clone(),
            "state" => word(self.state().as_str_name(), "MODEL_STATE_"),
            "capability" => {
                let words = self.capabilities().map(|capability| word(capability.as_str_name(), "CAPABILITY_"));
                words.collect::<Vec<_>>().join(" ")
            }
            _ => self.name.clone(),
        }
    }
}

impl Listed for pb::Worker {
    const FIELDS: &'static [&'static str] = &["id", "model", "engine", "state", "origin"];

    fn matches(&self, field: &str, value: &str) -> bool {
        match field {
            "id" => self.id == value,
            _ => self.key(field).eq_ignore_ascii_case(value),
        }
    }

    fn key(&self, field: &str) -> String {
        match field {
            "model" => self.model.clone(),
            "engine" => self.engine.clone(),
            "state" => word(self.state().as_str_name(), "WORKER_STATE_"),
            "origin" => word(self.origin().as_str_name(), "WORKER_ORIGIN_"),
            // By the number, not by its digits.
            _ => format!("{:0>20}", self.id.trim_start_matches('w')),
        }
    }
}
