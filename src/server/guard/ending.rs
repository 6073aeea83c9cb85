//! Whether a client has said that it was all, or has just gone.
//!
//! tonic ends a stream of requests alike in both cases: it takes a reset with CANCEL, which is what a client sends that
//! gives up, for the end. For a session that outlives its connection this is the difference between a transcript that is
//! finished and one that goes on; so we look at the body ourselves.

use bytes::Bytes;
use http::Request;
use http_body::{Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

/// Whether the whole of a request has come. An extension of every request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whole(Arc<AtomicBool>);

impl Whole {
    /// Whether the client has ended its side in good order.
    pub(crate) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Puts [`Endings`] before a service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct EndingLayer;

/// A service that is told how its requests end.
#[derive(Clone, Debug)]
pub(crate) struct Endings<S>(S);

impl<S> Layer<S> for EndingLayer {
    type Service = Endings<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Endings(inner)
    }
}

impl<S: Service<Request<Body>>> Service<Request<Body>> for Endings<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let whole = Whole::default();
        let (mut head, body) = request.into_parts();
        head.extensions.insert(whole.clone());
        self.0.call(Request::from_parts(head, Body::new(Watched { body, whole })))
    }
}

/// A body that notes its end.
struct Watched {
    body: Body,
    whole: Whole,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() {
            self.whole.0.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
