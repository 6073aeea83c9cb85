//! `speechctl.v1.Models` of a real server: list, load, unload, watch.

use crate::harness::{
    calls::{hear, recognize, serves},
    eventually,
    pb::{block_on, connect, v1},
    process::{Sandbox, send_signal},
    server::Server,
    wav,
};
use tonic::Code;
use v1::{
    ListModelsRequest, ListWorkersRequest, LoadModelRequest, ModelState, UnloadModelRequest, WatchRequest, WorkerState,
    models_client::ModelsClient, watch_response::Event,
};

type Client = ModelsClient<tonic::transport::Channel>;

async fn client(server: &Server) -> Client {
    ModelsClient::new(connect(&server.address).await)
}

async fn load(client: &mut Client, model: &str) -> v1::LoadModelResponse {
    client.load_model(LoadModelRequest { model: model.to_owned() }).await.expect("it loads").into_inner()
}

async fn unload(client: &mut Client, model: &str) -> v1::UnloadModelResponse {
    client.unload_model(UnloadModelRequest { model: model.to_owned() }).await.expect("it unloads").into_inner()
}

#[test]
fn loading_and_unloading_change_nothing_the_second_time() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let mut client = client(&server).await;
        for model in ["selftest", "espeak", "mock"] {
            for _ in 0..2 {
                let loaded = load(&mut client, model).await.model.expect("it says how it is");
                assert_eq!((loaded.state(), loaded.workers), (ModelState::Ready, 1), "{model}");
            }
            let pid = server.worker(&[]);
            assert_eq!(unload(&mut client, model).await.workers, 1, "{model}");
            assert_eq!(unload(&mut client, model).await.workers, 0, "{model}");
            eventually("its worker ends", || !server.workers().contains(&pid));
            let request = ListModelsRequest { filter: format!("name={model}"), ..Default::default() };
            let page = client.list_models(request).await.expect("a page").into_inner();
            assert_eq!(page.models[0].state(), ModelState::NotLoaded);
        }
        for (model, code) in [("", Code::InvalidArgument), ("nobody", Code::NotFound), ("a/b", Code::InvalidArgument)] {
            let request = LoadModelRequest { model: model.to_owned() };
            assert_eq!(client.load_model(request).await.expect_err(model).code(), code, "{model}");
        }
        let request = LoadModelRequest { model: "mock:unloadable".to_owned() };
        assert_eq!(client.load_model(request).await.expect_err("it is damaged").code(), Code::InvalidArgument);
    });
}

#[test]
fn what_is_in_use_is_unloaded_afterwards() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    let samples = wav::numbered(1);
    block_on(async {
        let mut client = client(&server).await;
        let call = std::thread::spawn({
            let (address, request) = (server.address.clone(), recognize("mock:slow", &samples));
            move || block_on(hear(&address, request))
        });
        // One that is only starting would make room for another, for somebody waits for it.
        let mut is_busy = async || {
            let workers =
                client.list_workers(ListWorkersRequest::default()).await.expect("a page").into_inner().workers;
            workers.iter().any(|worker| worker.state() == WorkerState::Busy)
        };
        while !is_busy().await {}
        assert_eq!(unload(&mut client, "mock:slow").await.workers, 1);
        call.join().expect("no panic").expect("it is answered all the same");
        eventually("then it goes", || server.workers().is_empty());
    });
}

#[test]
fn lists_come_in_pages_and_nonsense_is_refused_by_name() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let mut client = client(&server).await;
        load(&mut client, "mock").await;
        load(&mut client, "selftest").await;
        let request = ListWorkersRequest { page_size: 1, ..Default::default() };
        let first = client.list_workers(request.clone()).await.expect("a page").into_inner();
        assert_eq!((first.workers.len(), first.total_count), (1, 2));
        let request = ListWorkersRequest { page_token: first.next_page_token, ..request };
        let second = client.list_workers(request).await.expect("a page").into_inner();
        assert!(second.next_page_token.is_empty() && second.workers[0].id != first.workers[0].id);
        let worker = &second.workers[0];
        assert!(worker.pid > 0 && worker.memory_bytes > 1_000_000 && worker.started.is_some(), "{worker:?}");
        let request = ListModelsRequest { filter: "capability=synthesis".to_owned(), ..Default::default() };
        let names: Vec<String> = client
            .list_models(request)
            .await
            .expect("a page")
            .into_inner()
            .models
            .into_iter()
            .map(|model| model.name)
            .collect();
        assert_eq!(names, ["espeak", "mock"]);
        for filter in ["colour=red", "state"] {
            let request = ListModelsRequest { filter: filter.to_owned(), ..Default::default() };
            assert_eq!(client.list_models(request).await.expect_err(filter).code(), Code::InvalidArgument);
        }
    });
}

#[test]
fn a_watcher_is_told_of_a_life_from_its_start_to_its_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let mut watch = client(&server).await.watch(WatchRequest {}).await.expect("it begins").into_inner();
        let mut next =
            async || watch.message().await.expect("it goes on").and_then(|told| told.event).expect("an event");
        while !matches!(next().await, Event::Complete(_)) {}
        load(&mut client(&server).await, "mock").await;
        let mut states = Vec::new();
        let mut killed = false;
        while states.last() != Some(&WorkerState::Gone) {
            if let Event::Worker(worker) = next().await {
                if states.last() != Some(&worker.state()) {
                    states.push(worker.state());
                }
                if worker.state() == WorkerState::Idle && !killed {
                    killed = true;
                    send_signal(u32::try_from(worker.pid).expect("a process"), "KILL");
                }
                if worker.state() == WorkerState::Gone {
                    assert_eq!(worker.last_death.expect("how it ended").cause, "SIGKILL");
                }
            }
        }
        let first_and_last = (states.first(), states.last());
        assert_eq!(first_and_last, (Some(&WorkerState::Starting), Some(&WorkerState::Gone)), "{states:?}");
        // A server that stops tells its watchers, and does not wait for them.
        server.running.signal("TERM");
        let end = loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert_eq!(end.expect_err("a status").code(), Code::Unavailable);
    });
}

#[test]
fn health_follows_a_default_model_that_cannot_be_had() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--model", "mock:unloadable"]);
    let is_serving = |name: &str| block_on(serves(&server.address, name));
    assert!(is_serving("stt") && is_serving("tts"));
    block_on(hear(&server.address, recognize("", &wav::numbered(1)))).expect_err("it is damaged");
    eventually("it is told", || !is_serving("stt"));
    assert!(is_serving("tts") && is_serving(""), "the rest goes on");
}
