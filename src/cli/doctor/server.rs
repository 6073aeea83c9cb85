//! Who is where other verbs look for a server.
//!
//! Where nobody named one and another program has the port, that is no more than a note: other verbs start a server of
//! their own then, and `serve` can listen elsewhere. A server that was named is one that every verb needs.

use super::finding::Finding;
use crate::{
    client::{Connection, is_unknown_call},
    config::DEFAULT_ADDRESS,
    error::{Error, Kind, Result},
    proto::v1,
};
use std::{collections::BTreeSet, io, net::TcpListener, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// How long a port of this machine may take to take a connection.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a server may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way out where `serve` cannot have the port.
const ELSEWHERE: &str = "`speechctl serve --listen HOST:PORT` takes another, and `--server` finds it there";

/// What is found at the server that was named, else at the default address.
pub(super) async fn finding(named: Option<&str>) -> Finding {
    match named {
        Some(address) => of_named("server", address).await,
        None => of_default("default port").await,
    }
}

async fn of_named(name: &'static str, address: &str) -> Finding {
    match Connection::to(address).await {
        Ok(connection) => of_server(name, address, &connection).await,
        Err(error) => Finding::of_error(name, &error).or_way_out("name another with `--server` or SPEECHCTL_SERVER"),
    }
}

async fn of_default(name: &'static str) -> Finding {
    let address = DEFAULT_ADDRESS;
    let silent = || io::Error::from(io::ErrorKind::TimedOut);
    match timeout(CONNECT, TcpStream::connect(address)).await.unwrap_or_else(|_| Err(silent())) {
        Ok(_) => match Connection::to(address).await {
            Ok(connection) => of_server(name, address, &connection).await,
            Err(error) => Finding::note(name, format!("another program has it: {}", first_words(&error)), ELSEWHERE),
        },
        // For a moment it is ours: a port may be taken without anybody who listens.
        Err(cause) if cause.kind() == io::ErrorKind::ConnectionRefused => match TcpListener::bind(address) {
            Ok(_) => Finding::ok(name, format!("{address} is free")),
            Err(cause) => Finding::note(name, format!("{address} cannot be had: {cause}"), ELSEWHERE),
        },
        Err(cause) => Finding::note(name, format!("{address} cannot be reached: {cause}"), ELSEWHERE),
    }
}

/// What a server of ours has to say.
async fn of_server(name: &'static str, address: &str, connection: &Connection) -> Finding {
    let asked = timeout(PATIENCE, ask(connection)).await;
    let late = || Error::new(Kind::Unavailable, format!("the server at {address} does not answer in time"));
    match asked.unwrap_or_else(|_| Err(late())) {
        Ok(seen) => seen.finding(name, address),
        Err(error) if is_unknown_call(&error) => {
            let found = format!("the server at {address} is of an earlier version");
            Finding::note(name, found, "start one of this version")
        }
        Err(error) => Finding::of_error(name, &error),
    }
}

/// What a server has.
#[derive(Debug, Default)]
struct Seen {
    models: usize,
    /// Why models failed, each with its name.
    failed: Vec<String>,
    builds: BTreeSet<String>,
}

impl Seen {
    fn finding(&self, name: &'static str, address: &str) -> Finding {
        let builds: Vec<&str> = self.builds.iter().map(String::as_str).collect();
        let build = if builds.is_empty() { String::new() } else { format!(", build {}", builds.join(", ")) };
        let models = if self.models == 1 { "1 model".to_owned() } else { format!("{} models", self.models) };
        let found = format!("a server answers at {address}{build}, with {models}");
        match self.failed.first() {
            None => Finding::ok(name, found),
            Some(first) => Finding::note(name, format!("{found}, of which {first}"), "`speechctl ps` tells more"),
        }
    }
}

async fn ask(connection: &Connection) -> Result<Seen> {
    let mut client = connection.models();
    let request = v1::ListModelsRequest { page_size: 1000, ..Default::default() };
    let models = connection.answer(client.list_models(connection.request(request))).await?.into_inner().models;
    let request = v1::ListWorkersRequest { page_size: 1000, ..Default::default() };
    let workers = connection.answer(client.list_workers(connection.request(request))).await?.into_inner().workers;
    let is_failed = |model: &&v1::Model| model.state() == v1::ModelState::Failed;
    let why = |model: &v1::Model| format!("`{}` has failed: {}", model.name, model.reason);
    let builds = workers.into_iter().map(|worker| worker.build).filter(|build| !build.is_empty()).collect();
    let is_there = |model: &&v1::Model| model.state() != v1::ModelState::NotInstalled;
    let count = models.iter().filter(is_there).count();
    Ok(Seen { models: count, failed: models.iter().filter(is_failed).map(why).collect(), builds })
}

/// An error without its causes and its way out, which is not ours.
fn first_words(error: &Error) -> String {
    let text = error.to_string();
    let text = text.split_once("; ").map_or(text.as_str(), |(text, _)| text);
    text.split_once(": ").map_or(text, |(text, _)| text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_has_is_told() {
        let line = |seen: &Seen| seen.finding("server", "[::1]:1").line();
        let mut seen = Seen { models: 1, ..Seen::default() };
        assert_eq!(line(&seen), "ok     server        a server answers at [::1]:1, with 1 model");
        seen.builds.insert("0.1.0-3".to_owned());
        seen.failed = vec!["`a` has failed: it lied".to_owned(), "`b` has failed: it died".to_owned()];
        let rest = "build 0.1.0-3, with 1 model, of which `a` has failed: it lied; `speechctl ps` tells more";
        assert_eq!(line(&seen), format!("note   server        a server answers at [::1]:1, {rest}"));
    }

    #[test]
    fn of_another_program_only_what_it_is_not_is_told() {
        let error = Error::new(Kind::Unavailable, "what answers at [::1]:1 is no server; start one").because("h2");
        assert_eq!(first_words(&error), "what answers at [::1]:1 is no server");
    }
}
