//! Tells a call that its caller gives up from one whose caller has said all.
//!
//! To tonic both are the end of the messages: it takes a stream that was reset for one that was closed. What comes in
//! is made to fail where the caller hangs up.

use bytes::Bytes;
use http::Request;
use hyper::body::{Body as Frames, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, body::Body};

/// What a caller sends, with an error at the end where the caller hangs up.
struct Heard(Body);

/// Has the messages of a request fail where its caller hangs up.
pub(crate) fn told(request: Request<Body>) -> Request<Body> {
    request.map(|body| Body::new(Heard(body)))
}

impl Frames for Heard {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|status| match status.code() {
                Code::Cancelled => Status::aborted("the caller has given up the call"),
                _ => status,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
