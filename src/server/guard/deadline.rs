//! Deadlines of callers: read from `grpc-timeout`, known to the call, and answered with DEADLINE_EXCEEDED.
//!
//! tonic honours the header too, but answers CANCELLED, which tells a caller something else. Ours is a little earlier.

use crate::error::{Error, Kind, Result};
use http::{Request, Response};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// The header of the gRPC protocol.
const HEADER: &str = "grpc-timeout";

/// How much earlier than tonic we are: above the resolution of timers, below what anybody notices.
const EARLIER: Duration = Duration::from_millis(3);

/// When the caller stops waiting. An extension of every request that has a deadline.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

/// Puts [`Deadlines`] before a service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DeadlineLayer;

/// A service whose calls end at their deadlines.
#[derive(Clone, Debug)]
pub(crate) struct Deadlines<S>(S);

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadlines<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadlines(inner)
    }
}

impl<S> Service<Request<Body>> for Deadlines<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let timeout = request.headers().get(HEADER).and_then(|value| value.to_str().ok()).and_then(parse);
        let Some(timeout) = timeout else {
            return Box::pin(self.0.call(request));
        };
        let deadline = Instant::now() + timeout.saturating_sub(EARLIER).max(timeout / 2);
        request.extensions_mut().insert(Deadline(deadline));
        let call = self.0.call(request);
        Box::pin(async move {
            match timeout_at(deadline, call).await {
                Ok(response) => response,
                Err(_) => Ok(Status::from(expired()).into_http()),
            }
        })
    }
}

/// The deadline of a request, if its caller has one.
pub(crate) fn of<T>(request: &tonic::Request<T>) -> Option<Instant> {
    request.extensions().get::<Deadline>().map(|deadline| deadline.0)
}

/// Does something until it is done or the deadline is there.
///
/// # Errors
/// `Deadline`, or what the work says.
pub(crate) async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = Result<T>>) -> Result<T> {
    match deadline {
        None => work.await,
        Some(deadline) => timeout_at(deadline, work).await.unwrap_or_else(|_| Err(expired())),
    }
}

fn expired() -> Error {
    Error::new(Kind::Deadline, "the deadline passed before the work was done; allow more time")
}

/// Reads a `grpc-timeout`: up to eight digits and a unit. What cannot be read is no deadline.
fn parse(value: &str) -> Option<Duration> {
    let unit = value.chars().next_back()?;
    let digits = value.strip_suffix(unit)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        'H' => Duration::from_secs(amount * 3600),
        'M' => Duration::from_secs(amount * 60),
        'S' => Duration::from_secs(amount),
        'm' => Duration::from_millis(amount),
        'u' => Duration::from_micros(amount),
        'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read() {
        assert_eq!(parse("100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for nonsense in ["", "m", "100", "-1S", "123456789S", "1x", "1ü"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }
}
