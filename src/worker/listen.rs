//! A worker that stands alone: it listens, and serves whoever comes.
//!
//! Beside the contracts it answers `grpc.health.v1.Health` and server reflection, so that tools which know nothing of it
//! can look and call.

use crate::{
    error::{Error, Kind, Result},
    proto::{
        self, stt::stt_worker_server::SERVICE_NAME as RECOGNITION, tts::tts_worker_server::SERVICE_NAME as SYNTHESIS,
        v1::Capability,
    },
    signals::Signals,
    socket::{self, Socket},
    worker::{
        Worker,
        connection::{self, DRAIN},
        engine,
    },
};
use std::{io, pin::pin};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::timeout,
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

/// Connections at the same time. More of them wait to be accepted.
const CONNECTIONS: usize = 256;

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn accept(socket: &Socket) -> io::Result<Box<dyn Stream>> {
    match socket {
        Socket::Tcp(listener, _) => {
            let (stream, _) = listener.accept().await?;
            socket::undelayed(&stream);
            Ok(Box::new(stream))
        }
        Socket::Unix(listener, _) => Ok(Box::new(listener.accept().await?.0)),
    }
}

/// Serves whoever comes until a signal, then lets open calls end, up to the deadline for that; a second signal ends at
/// once.
///
/// # Errors
/// Why the model cannot be loaded: whoever started the worker by hand wants to see that, not to ask for it.
pub(super) async fn serve(worker: &Worker, socket: Socket, mut signals: Signals) -> Result<()> {
    let (mut health, health_service) = tonic_health::server::health_reporter();
    let names = names(worker);
    tell_health(&health, &names, ServingStatus::NotServing).await;
    let routes = with_reflection(worker.contracts().add_service(health_service), &names)?.prepare();
    let (stop, stopping) = connection::stopping();
    let mut connections = JoinSet::new();
    let mut loaded = pin!(worker.engine.loaded());
    let mut is_loaded = false;
    let outcome = loop {
        tokio::select! {
            () = signals.next() => break Ok(()),
            outcome = loaded.as_mut(), if !is_loaded => match outcome {
                Ok(()) => {
                    is_loaded = true;
                    tell_health(&health, &names, ServingStatus::Serving).await;
                }
                Err(error) => break Err(error),
            },
            Some(_) = connections.join_next() => {}
            accepted = accept(&socket), if connections.len() < CONNECTIONS => {
                if let Ok(stream) = socket::rested(accepted).await {
                    connections.spawn(connection::serve(stream, routes.clone(), stopping.clone()));
                }
            }
        }
    };
    drop(socket);
    tell_health(&health, &names, ServingStatus::NotServing).await;
    for name in &names {
        // Ends the streams of those who watch, which nothing else would end.
        health.clear_service_status(name).await;
    }
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = signals.next() => tracing::warn!("Stopping at once."),
        drained = timeout(DRAIN, drained) => if drained.is_err() {
            tracing::warn!(seconds = DRAIN.as_secs(), "Calls were still open at the deadline for draining.");
        },
    }
    connections.shutdown().await;
    outcome
}

/// The names under which health is asked for: the whole, and each contract that the engine can keep.
fn names(worker: &Worker) -> Vec<&'static str> {
    let contracts = engine::capabilities(&worker.model).iter().filter_map(|capability| match capability {
        Capability::Recognition => Some(RECOGNITION),
        Capability::Synthesis => Some(SYNTHESIS),
        Capability::Unspecified => None,
    });
    std::iter::once("").chain(contracts).collect()
}

async fn tell_health(health: &HealthReporter, names: &[&str], status: ServingStatus) {
    for name in names {
        health.set_service_status(*name, status).await;
    }
}

/// Adds server reflection, which shows these services.
fn with_reflection(routes: Routes, names: &[&'static str]) -> Result<Routes> {
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        let contracts = names.iter().filter(|name| !name.is_empty());
        contracts.fold(builder, |builder, name| builder.with_service_name(*name))
    };
    let broken = |cause| Error::new(Kind::Internal, "the descriptors are broken").because(cause);
    let v1 = builder().build_v1().map_err(|cause| broken(Box::new(cause)))?;
    let v1alpha = builder().build_v1alpha().map_err(|cause| broken(Box::new(cause)))?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}
