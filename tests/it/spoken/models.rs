//! What a server says of itself to orchestrators, and the models that they load and unload.

use super::{AT_ONCE, ID, begun, piper};
use crate::harness::{
    calls::serves,
    eventually,
    orchestrator::{FRAME, Orchestrator},
    pb::{block_on, connect, spoken},
    proc::command_line,
    process::{Sandbox, send_signal},
    server::Server,
};
use spoken::{
    GetCapabilitiesRequest, GetCapabilitiesResponse, ListModelsRequest, LoadModelRequest, LoadModelResponse, ModelInfo,
    UnloadModelRequest, UnloadModelResponse,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

/// The name of the service.
const SERVICE: &str = "tts.TTSService";

async fn capabilities(caller: &Orchestrator) -> GetCapabilitiesResponse {
    caller.client().get_capabilities(GetCapabilitiesRequest {}).await.expect("it tells").into_inner()
}

async fn models(caller: &Orchestrator) -> Vec<ModelInfo> {
    caller.client().list_models(ListModelsRequest {}).await.expect("it lists them").into_inner().models
}

async fn load(caller: &Orchestrator, model: &str, preload_only: bool) -> LoadModelResponse {
    let request = LoadModelRequest { model_id: model.to_owned(), preload_only };
    let loaded = caller.client().load_model(request).await.expect("it is answered").into_inner();
    assert!(loaded.success, "{model}: {}", loaded.message);
    loaded
}

async fn unload(caller: &Orchestrator, model: &str) -> UnloadModelResponse {
    let request = UnloadModelRequest { model_id: model.to_owned() };
    let unloaded = caller.client().unload_model(request).await.expect("it is answered").into_inner();
    assert!(unloaded.success, "{model}: {}", unloaded.message);
    unloaded
}

#[test]
fn what_it_can_do_and_how_it_is() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        let told = capabilities(&caller).await;
        let can = told.capabilities.as_ref().expect("it is told");
        assert!(can.streaming && can.cpu_ok && !can.zero_shot && !can.lora && !can.emotive_zero_prompt, "{can:?}");
        assert!(can.max_concurrent_sessions > 0, "{can:?}");
        for language in ["de", "es-419", "ja"] {
            assert!(can.languages.iter().any(|spoken| spoken == language), "{language}: {:?}", can.languages);
        }
        let names =
            ["rtf", "queue_depth", "active_sessions", "frames_late", "first_audio_ms_p50", "first_audio_ms_p95"];
        let metric = |told: &GetCapabilitiesResponse, name: &str| {
            let value = told.metrics.get(name).copied();
            value.unwrap_or_else(|| panic!("{name} is not in {:?}", told.metrics))
        };
        for name in names {
            let value = metric(&told, name);
            assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
        }
        assert!(metric(&told, "active_sessions") == 0.0);
        caller.begin(ID, "mock", AT_ONCE).await;
        caller.hear(ID, &["Hello there. How are you?"]).await;
        let told = capabilities(&caller).await;
        for name in names {
            let value = metric(&told, name);
            assert!(value.is_finite() && value >= 0.0, "{name} is {value}");
        }
        assert!(metric(&told, "active_sessions") == 1.0);
        let (half, most) = (metric(&told, "first_audio_ms_p50"), metric(&told, "first_audio_ms_p95"));
        assert!(half > 0.0 && most >= half, "{half} and {most}");
        caller.end(ID).await.expect("it is there");
        assert!(metric(&capabilities(&caller).await, "active_sessions") == 0.0);
    });
}

#[test]
fn models_that_speak_are_listed() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--voice", &piper()]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        let models = models(&caller).await;
        let mut names: Vec<&str> = models.iter().map(|model| model.model_id.as_str()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "none twice");
        let espeak = models.iter().find(|model| model.model_id == "espeak").expect("it is built in");
        assert_eq!(espeak.family, "espeak");
        assert!(espeak.languages.iter().any(|language| language == "de"), "{:?}", espeak.languages);
        // Each can be named by who begins a session.
        let voice = models.iter().find(|model| model.family == "piper").expect("the server's own");
        assert!(voice.is_loaded, "the server has tried it");
        caller.begin(ID, &voice.model_id, AT_ONCE).await;
        let heard = caller.hear(ID, &["Hello there."]).await;
        caller.begin("talk-2", "", AT_ONCE).await;
        assert!(caller.hear("talk-2", &["Hello there."]).await == heard, "it is who speaks where none is named");
        assert!(!models.iter().any(|model| model.family == "whisper"), "{names:?} hear");
    });
}

#[test]
fn loading_and_unloading_change_nothing_the_second_time() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        for preload_only in [false, true] {
            let model = "mock:load-slow@0.1";
            assert!(load(&caller, model, preload_only).await.load_duration_ms >= 100, "it takes a tenth of a second");
            assert_eq!(load(&caller, model, preload_only).await.load_duration_ms, 0, "it is loaded");
            let worker = server.worker(&[]);
            unload(&caller, model).await;
            unload(&caller, model).await;
            eventually("its worker ends", || !server.workers().contains(&worker));
        }
        // As a list of models has it, and as the capabilities have it.
        let told = async || {
            let is_listed = models(&caller).await.iter().any(|model| model.model_id == "espeak" && model.is_loaded);
            let is_resident = capabilities(&caller).await.resident_models.iter().any(|model| model == "espeak");
            [is_listed, is_resident]
        };
        // Whoever lists the voices of espeak for the first time has it loaded.
        told().await;
        for _ in 0..2 {
            unload(&caller, "espeak").await;
            while told().await != [false, false] {}
            load(&caller, "espeak", true).await;
            while told().await != [true, true] {}
        }
    });
}

#[test]
fn what_was_loaded_comes_back_when_its_worker_dies() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let caller = Orchestrator::connect(&server.address).await;
        load(&caller, "mock", false).await;
        let worker = server.worker(&[]);
        send_signal(worker, "KILL");
        let other = server.worker(&[worker]);
        unload(&caller, "mock").await;
        eventually("it goes", || !server.workers().contains(&other));
    });
}

#[test]
fn a_session_loads_what_it_needs_and_unloaded_models_come_back() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--spares", "never"]);
    block_on(async {
        let caller = begun(&server, "mock").await;
        let calm = caller.hear(ID, &["Hello."]).await;
        assert_eq!(load(&caller, "mock", false).await.load_duration_ms, 0, "the session has loaded it");
        caller.end(ID).await.expect("it is there");
        let is_mock = |pid: &u32| command_line(*pid).contains("mock");
        let worker = server.workers().into_iter().find(is_mock).expect("it is there for the next one");
        unload(&caller, "mock").await;
        eventually("its worker ends", || !server.workers().contains(&worker));
        caller.begin(ID, "mock", AT_ONCE).await;
        assert!(caller.hear(ID, &["Hello."]).await == calm);
    });
}

#[test]
fn it_is_served_on_every_address_and_found_by_reflection() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &["--listen", "127.0.0.1:0"]);
    let addresses: Vec<&str> = server.address.split(", ").collect();
    assert_eq!(addresses.len(), 2);
    block_on(async {
        for address in addresses {
            let caller = Orchestrator::connect(address).await;
            caller.begin(ID, "mock", AT_ONCE).await;
            assert_eq!(caller.hear(ID, &["Hello."]).await.len() / FRAME, "Hello.".len());
            caller.end(ID).await.expect("it is there");
            assert!(serves(address, SERVICE).await, "health is told of it, too");

            let mut client = ServerReflectionClient::new(connect(address).await);
            let mut ask = async |request: MessageRequest| {
                let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
                let stream = client.server_reflection_info(tokio_stream::once(request)).await.expect("a stream");
                let reply = stream.into_inner().message().await.expect("it goes on").expect("an answer");
                reply.message_response.expect("an answer")
            };
            let MessageResponse::ListServicesResponse(list) = ask(MessageRequest::ListServices(String::new())).await
            else {
                panic!("no list")
            };
            assert!(list.service.iter().any(|service| service.name == SERVICE), "{:?}", list.service);
            for symbol in [SERVICE, "tts.AudioFrame", "tts.ControlCommand"] {
                let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
                assert!(matches!(answer, MessageResponse::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
            }
        }
    });
}
