//! A worker that dials in: it offers itself to a server's registration port, and serves on a connection of its own
//! making. The protocol is told in `proto/speechctl/v1/registry.proto`.
//!
//! With a token from the environment it lives for one connection. With a file of tokens, which the server renews, it
//! dials again whenever a connection is lost, and its engine stays loaded meanwhile.

mod backoff;
mod offer;

use crate::{
    error::{Error, Kind, Result},
    signals::Signals,
    worker::{
        Worker,
        connection::{self, DRAIN, Stopping},
        thread::Stage,
    },
};
use backoff::Backoff;
use offer::{Failure, Offer};
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a worker with one token tries to reach the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the server may take to renew a token in its file.
const RENEWAL: Duration = Duration::from_secs(1);

/// How often the file is looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(50);

/// A connection that held for so long was a good one: the next one need not wait.
const GOOD: Duration = Duration::from_secs(5);

/// The most of a file of tokens that is read, in bytes.
const MAX_TOKEN: u64 = 4096;

/// What lets a worker in.
#[derive(Clone, PartialEq)]
pub(super) enum Token {
    /// Good for one connection.
    Once(String),
    /// The file that holds the one that is good next.
    File(PathBuf),
}

/// Shows no secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Once(_) => f.write_str("Once"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// Dials one server.
#[derive(Debug)]
pub(super) struct Dialler {
    address: String,
    endpoint: Endpoint,
}

impl Dialler {
    /// Of the server at `HOST:PORT`.
    ///
    /// # Errors
    /// `Config` for what is no address.
    pub(super) fn try_new(address: String) -> Result<Self> {
        let wrong = || Error::new(Kind::Config, format!("cannot connect to `{address}`: give HOST:PORT"));
        let authority: http::uri::Authority = address.parse().map_err(|cause| wrong().because(cause))?;
        if authority.port_u16().is_none() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|cause| wrong().because(cause))?;
        let (interval, answer) = connection::KEEPALIVE;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(interval)
            .keep_alive_timeout(answer)
            .keep_alive_while_idle(true);
        Ok(Self { address, endpoint })
    }

    /// Serves whoever is at the other end, as often as the token lets it, until a signal; then lets open calls end, up
    /// to the deadline for that. A second signal ends at once.
    ///
    /// # Errors
    /// What the server refuses; `Unavailable` where it cannot be reached with the one token there is; why the model
    /// cannot be loaded.
    pub(super) async fn serve(&self, worker: &Worker, token: Token, mut signals: Signals) -> Result<()> {
        let (stop, stopping) = connection::stopping();
        let mut work = pin!(async {
            match token {
                Token::Once(token) => self.serve_once(worker, &token, &stopping).await,
                Token::File(file) => self.serve_always(worker, &file, &stopping).await,
            }
        });
        tokio::select! {
            ended = work.as_mut() => return ended,
            () = signals.next() => {}
        }
        stop.send_replace(true);
        tokio::select! {
            () = signals.next() => tracing::warn!("Stopping at once."),
            drained = timeout(DRAIN, work) => if drained.is_err() {
                tracing::warn!(seconds = DRAIN.as_secs(), "Calls were still open at the deadline for draining.");
            },
        }
        Ok(())
    }

    /// One connection, and the end.
    async fn serve_once(&self, worker: &Worker, token: &str, stop: &Stopping) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut backoff = Backoff::default();
        // The token may have been used up by a try that was lost all the same: that loss is what is wrong then.
        let mut lost: Option<Error> = None;
        loop {
            match self.life(worker, token, stop).await {
                Ok(_) => return loaded(worker),
                Err(Failure::Refused(error)) => return Err(lost.unwrap_or(error)),
                Err(Failure::Lost(error)) => {
                    let wait = backoff.next();
                    if Instant::now() + wait >= deadline {
                        return Err(error);
                    }
                    if self.pause(wait, stop).await {
                        return Ok(());
                    }
                    lost = Some(error);
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    /// One connection after another.
    async fn serve_always(&self, worker: &Worker, file: &Path, stop: &Stopping) -> Result<()> {
        let mut backoff = Backoff::default();
        let mut complained = false;
        while !stop.is_wanted() {
            loaded(worker)?;
            let outcome = match token_in(file)? {
                Some(token) => match self.life(worker, &token, stop).await {
                    Err(Failure::Refused(error)) => {
                        renewed(file, &token, error).await?;
                        continue;
                    }
                    other => other,
                },
                None => Err(Failure::Lost(Error::new(
                    Kind::Unavailable,
                    format!("no token is in `{}` yet; the server writes it", file.display()),
                ))),
            };
            match outcome {
                Ok(length) => {
                    complained = false;
                    if length >= GOOD {
                        backoff = Backoff::default();
                    }
                    if !stop.is_wanted() {
                        tracing::info!(address = %self.address, "Connection ended; dialling again.");
                    }
                }
                Err(Failure::Lost(error)) => {
                    if !complained {
                        tracing::warn!(address = %self.address, %error, "Not in anybody's service yet; trying again.");
                    }
                    complained = true;
                }
                Err(Failure::Refused(error) | Failure::Final(error)) => return Err(error),
            }
            if self.pause(backoff.next(), stop).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One connection from its beginning to its end. Says how long it held.
    async fn life(&self, worker: &Worker, token: &str, stop: &Stopping) -> Result<Duration, Failure> {
        let offered = tokio::select! {
            offered = offer::offer(self, worker, token) => offered?,
            () = stop.wanted() => return Ok(Duration::ZERO),
        };
        tracing::info!(address = %self.address, model = %worker.name, "Worker is in the server's service.");
        let began = Instant::now();
        let Offer { stream, report } = offered;
        tokio::select! {
            () = connection::serve(stream, worker.contracts().prepare(), stop.clone()) => {}
            () = report => tracing::debug!("The server ended the registration."),
        }
        Ok(began.elapsed())
    }

    /// Waits; says whether a stop is wanted.
    async fn pause(&self, wait: Duration, stop: &Stopping) -> bool {
        tokio::select! {
            () = sleep(wait) => false,
            () = stop.wanted() => true,
        }
    }
}

/// That the model can be loaded, as far as that is known. A worker that has none is not offered again.
fn loaded(worker: &Worker) -> Result<()> {
    match worker.engine.stage() {
        Stage::Failed(kind, message) => Err(Error::new(kind, message)),
        Stage::Loading | Stage::Ready => Ok(()),
    }
}

/// Waits until the file holds another token than the one that was refused.
async fn renewed(file: &Path, refused: &str, error: Error) -> Result<()> {
    let deadline = Instant::now() + RENEWAL;
    while Instant::now() < deadline {
        if token_in(file)?.is_some_and(|token| token != refused) {
            return Ok(());
        }
        sleep(GLANCE).await;
    }
    Err(error)
}

/// The token in a file; `None` where there is none yet.
fn token_in(file: &Path) -> Result<Option<String>> {
    use io::Read;
    let cannot = |cause: io::Error| {
        Error::new(Kind::Io, format!("cannot read the token in `{}`", file.display())).because(cause)
    };
    let mut text = String::new();
    match fs::File::open(file) {
        Ok(opened) => opened.take(MAX_TOKEN).read_to_string(&mut text).map_err(cannot)?,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cannot(cause)),
    };
    let token = text.trim();
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        for good in ["localhost:50061", "127.0.0.1:1", "[::1]:50061", "speech.lan:50061"] {
            assert!(Dialler::try_new(good.to_owned()).is_ok(), "{good}");
        }
        for wrong in ["", "localhost", "http://localhost:1", "a b:1", "user@host:1", "host:port", "unix:/x"] {
            let error = Dialler::try_new(wrong.to_owned()).expect_err(wrong);
            assert_eq!(error.kind(), Kind::Config);
        }
    }

    #[test]
    fn tokens_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        assert_eq!(token_in(&file).expect("it may come yet"), None);
        fs::write(&file, " \n").expect("it is written");
        assert_eq!(token_in(&file).expect("it may come yet"), None);
        fs::write(&file, "secret\n").expect("it is written");
        assert_eq!(token_in(&file).expect("it is there").as_deref(), Some("secret"));
        assert!(token_in(folder.path()).is_err(), "a folder");
        assert_eq!(format!("{:?}", Token::Once("secret".to_owned())), "Once");
    }
}
