//! One request on a connection: it has a time limit, and its answer counts against the client's budget.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use concord_runtime::{BoxFuture, Clock, Full, Guest, Held};
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use tonic::Status;
use tonic::codegen::Service as _;

use concord_rpc::grpc::{ATTACH, SnapshotService};

use super::frames::StreamsHeld;
use super::limits::{ATTACHED_BYTES, REQUEST_TIMEOUT};
use super::messages::Messages;
use super::outgoing;
use super::progress::{Piece, Progress};
use super::public::Public;
use super::xds::{self, Discovery};

/// What the streams of a connection share.
#[derive(Clone)]
pub(super) struct Streams {
    pub(super) service: SnapshotService,
    pub(super) discovery: Discovery,
    pub(super) public: Public,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) guest: Arc<Guest>,
    pub(super) progress: Arc<Progress>,
    pub(super) held: Arc<Together>,
}

/// What a connection holds until the last of its streams has ended. That can be after the connection itself.
pub(super) struct Together {
    pub(super) _speaking: Held,
    pub(super) _streams: StreamsHeld,
}

impl Streams {
    /// Answers one request.
    pub(super) async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
        let headers: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
        self.guest.settled(&*self.clock).await;
        let path = request.uri().path();
        let is_discovery = xds::serves(path);
        let lasts = path == ATTACH || path == xds::DELTA || Public::lasts(path);
        let (is_public, attached) = (Public::has(path), if lasts { ATTACHED_BYTES } else { 0 });
        let held = match self.guest.hold(headers + attached) {
            Ok(held) => held,
            Err(full) => return Ok(self.wrap(exhausted(full).into_http(), None)),
        };
        let reading = match self.guest.hold(0) {
            Ok(reading) => reading,
            Err(full) => return Ok(self.wrap(exhausted(full).into_http(), Some(held))),
        };
        let pace = if is_discovery {
            Pace::Stream(Messages::default())
        } else {
            Pace::Whole(self.clock.sleep(REQUEST_TIMEOUT))
        };
        let request = request.map(|body| Bounded { body, held: reading, pace });
        let Ok(response) = if is_discovery {
            Box::pin(self.discovery.call(request)).await
        } else if is_public {
            Ok(Box::pin(self.public.call(request)).await)
        } else {
            self.service.call(request).await
        };
        // A client that gets what it asks for is authenticated. A refusal has `grpc-status` in its headers.
        if !response.headers().contains_key("grpc-status") {
            self.guest.prove();
        }
        Ok(self.wrap(response, Some(held)))
    }

    fn wrap(self, response: Response<tonic::body::Body>, held: Option<Held>) -> Response<Answer> {
        let Self { service: _, discovery: _, public: _, clock: _, guest, progress, held: together } = self;
        response.map(|body| Answer { body, guest, progress, ended: false, _held: held, _together: together })
    }
}

fn exhausted(full: Full) -> Status {
    Status::resource_exhausted(format!("{full}; try again later"))
}

/// A request's body, counted against the budget.
pub(super) struct Bounded {
    body: Incoming,
    held: Held,
    pace: Pace,
}

/// How a request arrives.
enum Pace {
    /// As a whole, before this ends.
    Whole(BoxFuture<'static, ()>),
    /// As messages, for as long as the client likes. One that has arrived counts no longer.
    Stream(Messages),
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let Pace::Whole(late) = &mut this.pace else { return Poll::Pending };
            ready!(late.as_mut().poll(cx));
            return Poll::Ready(Some(Err(Status::deadline_exceeded("the request took too long to arrive"))));
        };
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(|error| Status::cancelled(format!("cannot read the request: {error}")));
        let data = frame.as_ref().ok().and_then(Frame::data_ref).map_or(&[][..], |data| data);
        let more = match &mut this.pace {
            Pace::Whole(_) => data.len(),
            Pace::Stream(messages) => {
                this.held.shrink_to(0);
                messages.pass(data)
            }
        };
        Poll::Ready(Some(this.held.grow(more).map_err(exhausted).and(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// The body of an answer. Each part counts against the budget until it has been sent; a part that does not fit ends
/// the stream.
pub(super) struct Answer {
    body: tonic::body::Body,
    guest: Arc<Guest>,
    progress: Arc<Progress>,
    ended: bool,
    _held: Option<Held>,
    _together: Arc<Together>,
}

impl Body for Answer {
    type Data = Piece;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else { return Poll::Ready(None) };
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
        };
        Poll::Ready(Some(match self.guest.hold(bytes.len()) {
            Ok(held) => Ok(Frame::data(Piece::new(bytes, &self.progress, held))),
            Err(full) => {
                self.ended = true;
                outgoing::end(&exhausted(full))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }
}
