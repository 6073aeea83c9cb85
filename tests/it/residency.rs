//! Which models a server keeps loaded, and which go for others: `serve` with `--preload`, `--max-models`,
//! `--min-residency` and `--max-loads`.

use crate::harness::{
    calls::{hear, model, recognize},
    eventually,
    pb::{block_on, connect, v1},
    process::{Sandbox, send_signal},
    server::Server,
    wav,
};
use std::{collections::BTreeMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use v1::{
    ListWorkersRequest, LoadModelRequest, ModelState, UnloadModelRequest, WatchRequest, WorkerState,
    models_client::ModelsClient, watch_response::Event,
};

/// Three models, none of which does anything bad in these tests.
const MODELS: [&str; 3] = ["mock:crash@1001", "mock:crash@1002", "mock:crash@1003"];

async fn load(address: &str, model: &str) -> Result<v1::LoadModelResponse, Status> {
    let request = LoadModelRequest { model: model.to_owned() };
    ModelsClient::new(connect(address).await).load_model(request).await.map(tonic::Response::into_inner)
}

async fn unload(address: &str, model: &str) {
    let request = UnloadModelRequest { model: model.to_owned() };
    ModelsClient::new(connect(address).await).unload_model(request).await.expect("it unloads");
}

async fn workers(address: &str) -> Vec<v1::Worker> {
    let mut client = ModelsClient::new(connect(address).await);
    client.list_workers(ListWorkersRequest::default()).await.expect("a page").into_inner().workers
}

/// Waits until nobody is at work: a call is over for its caller a moment before.
async fn rest(address: &str) {
    while workers(address).await.iter().any(|worker| worker.state() == WorkerState::Busy) {}
}

fn state(server: &Server, name: &str) -> ModelState {
    block_on(model(&server.address, name)).state()
}

/// When to try again. The call must have been refused because too many models are loaded.
#[track_caller]
fn retry_after(refused: &Status) -> Duration {
    assert_eq!(refused.code(), Code::ResourceExhausted, "{}", refused.message());
    assert!(refused.message().contains("--max-models"), "{}", refused.message());
    refused.get_details_retry_info().and_then(|info| info.retry_delay).expect("it says when")
}

#[test]
fn what_is_preloaded_is_there_and_stays() {
    let sandbox = Sandbox::new();
    let preload = ["--preload", "mock", "--preload", "selftest", "--preload", "mock"];
    let others = ["--idle-timeout", "0.2", "--min-residency", "0", "--max-models", "3", "--spares", "never"];
    let server = Server::start(&sandbox, &[&preload[..], &others].concat());
    let at_first = block_on(workers(&server.address));
    let names: Vec<&str> = at_first.iter().map(|worker| worker.model.as_str()).collect();
    assert_eq!(names, ["mock", "selftest"], "each once");
    assert!(names.iter().all(|model| state(&server, model) == ModelState::Ready));
    // Two that are loaded later go, one for the other, or because nobody uses them.
    for model in &MODELS[..2] {
        block_on(rest(&server.address));
        block_on(load(&server.address, model)).expect("it takes the third place");
    }
    eventually("they go", || MODELS[..2].iter().all(|model| state(&server, model) == ModelState::NotLoaded));
    assert!(names.iter().all(|model| state(&server, model) == ModelState::Ready));
    // One that dies comes back, though nobody asks.
    let mock = u32::try_from(at_first[0].pid).expect("a process");
    send_signal(mock, "KILL");
    let is_back = |worker: &v1::Worker| worker.model == "mock" && worker.pid != i64::from(mock);
    eventually("it is back", || block_on(workers(&server.address)).iter().any(is_back));
    // Who says so unloads it.
    block_on(unload(&server.address, "mock"));
    eventually("it goes", || server.workers().len() == 1);
    assert_eq!(state(&server, "mock"), ModelState::NotLoaded);
}

#[test]
fn the_least_recently_used_goes_for_another() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-models", "2", "--min-residency", "0", "--spares", "never"]);
    let [first, second, third] = MODELS;
    let samples = wav::numbered(1);
    for model in [first, second, first, third] {
        block_on(hear(&server.address, recognize(model, &samples))).expect("there is a place");
        block_on(rest(&server.address));
    }
    let states = MODELS.map(|model| state(&server, model));
    assert_eq!(states, [ModelState::Ready, ModelState::NotLoaded, ModelState::Ready]);
}

#[test]
fn a_model_is_not_unloaded_for_another_at_once() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-models", "1", "--spares", "never"]);
    block_on(load(&server.address, "mock")).expect("there is a place");
    let refused = block_on(load(&server.address, "selftest")).expect_err("there is none");
    let wait = retry_after(&refused);
    assert!(Duration::from_secs(30) < wait && wait <= Duration::from_secs(120), "{wait:?}");
    insta::assert_snapshot!(refused.message());
    sandbox.file("one.wav", &wav::mono16(&wav::numbered(1)));
    let args = |model| ["stt", "one.wav", "--model", model, "--server", &server.address].map(str::to_owned);
    assert_eq!(sandbox.run(&args("selftest")).code(), "5");
    sandbox.run(&args("mock")).good();
    block_on(unload(&server.address, "mock"));
    sandbox.run(&args("selftest")).good();
}

#[test]
fn what_is_in_work_does_not_go_for_another() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-models", "1", "--min-residency", "0", "--spares", "never"]);
    let address = server.address.clone();
    block_on(async {
        // Much longer than all that is asked meanwhile.
        let call = tokio::spawn(async move { hear(&address, recognize("mock:slow", &wav::numbered(60))).await });
        while !workers(&server.address).await.iter().any(|worker| worker.state() == WorkerState::Busy) {}
        let refused = load(&server.address, "mock").await.expect_err("it works");
        assert!(!retry_after(&refused).is_zero());
        call.abort();
        while let Err(refused) = load(&server.address, "mock").await {
            retry_after(&refused);
        }
    });
    assert_eq!(state(&server, "mock:slow"), ModelState::NotLoaded);
}

/// Has models loaded at once, and gives the most that were on their way together until `is_enough` of that, and of how
/// many are there.
fn load_together(server: &Server, models: &[&str], is_enough: impl Fn(usize, usize) -> bool) -> usize {
    block_on(async {
        let mut client = ModelsClient::new(connect(&server.address).await);
        let mut watch = client.watch(WatchRequest {}).await.expect("it begins").into_inner();
        let mut loads = tokio::task::JoinSet::new();
        for model in models {
            let (address, model) = (server.address.clone(), (*model).to_owned());
            loads.spawn(async move { load(&address, &model).await });
        }
        let (mut states, mut most) = (BTreeMap::new(), 0);
        let count =
            |states: &BTreeMap<String, WorkerState>, state| states.values().filter(|other| **other == state).count();
        while !is_enough(most, count(&states, WorkerState::Idle)) {
            let told = watch.message().await.expect("it goes on").expect("it goes on");
            if let Some(Event::Worker(worker)) = told.event {
                states.insert(worker.id.clone(), worker.state());
                most = most.max(count(&states, WorkerState::Starting));
            }
        }
        most
    })
}

#[test]
fn models_load_one_after_the_other() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-loads", "1", "--spares", "never"]);
    let models = ["mock:load-slow@0.2", "mock:load-slow@0.21", "mock:load-slow@0.22"];
    assert_eq!(load_together(&server, &models, |_, idle| idle == models.len()), 1);
}

#[test]
fn as_many_load_side_by_side_as_may() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--max-loads", "2", "--spares", "never"]);
    let models = ["mock:load-slow@30", "mock:load-slow@31"];
    assert_eq!(load_together(&server, &models, |most, _| most == 2), 2);
}

#[test]
fn it_is_told_how_long_loading_took() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let took = || {
        let loaded = block_on(load(&server.address, "mock:load-slow@0.2")).expect("it loads");
        Duration::try_from(loaded.duration.expect("it is told")).expect("a time")
    };
    assert!(took() >= Duration::from_millis(200));
    assert_eq!(took(), Duration::ZERO, "it was loaded");
}

#[test]
fn what_cannot_be_kept() {
    let sandbox = Sandbox::new();
    let rows: String = [
        "serve -q --listen 127.0.0.1:0 --preload no-such-model",
        "serve -q --listen 127.0.0.1:0 --preload mock:unloadable",
        "serve -q --listen 127.0.0.1:0 --preload mock --preload espeak --max-models 1",
        "serve --max-loads 0",
        "serve --min-residency soon",
    ]
    .iter()
    .map(|line| sandbox.row(line))
    .collect();
    insta::assert_snapshot!(rows);
}
