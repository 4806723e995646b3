//! Waits for a call's turn, and for its answer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep_until};
use tower_service::Service;

use super::{
    ending::Ending,
    lane::{Permit, Place, Turn},
};
use crate::http::error::BoxError;

pin_project! {
    /// The future of [`Governed`](super::Governed).
    pub struct GovernedFuture<S, B>
    where
        S: Service<http::Request<B>>,
    {
        // Dropped first: a call is over before its permit is given back.
        #[pin]
        exchange: Option<S::Future>,
        service: S,
        request: Option<http::Request<B>>,
        has_content: bool,
        permit: Option<Permit>,
        place: Option<Place>,
        // Made when there is something to wait for.
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<S, B> GovernedFuture<S, B>
where
    S: Service<http::Request<B>>,
    B: Body,
{
    pub(super) fn new(service: S, request: http::Request<B>, place: Option<Place>) -> Self {
        let has_content = !request.body().is_end_stream();
        let (exchange, request) = (None, Some(request));
        Self { exchange, service, request, has_content, permit: None, place, timer: None }
    }
}

impl<S, B, R> Future for GovernedFuture<S, B>
where
    S: Service<http::Request<B>, Response = http::Response<R>, Error: Into<BoxError> + 'static>,
{
    type Output = Result<http::Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        while let Some(place) = this.place {
            match place.turn(cx) {
                Turn::Now(permit) => {
                    this.timer.set(None);
                    *this.permit = Some(permit);
                    *this.place = None;
                }
                Turn::Full(error) => return Poll::Ready(Err(error.into())),
                Turn::Later => {
                    this.timer.set(None);
                    return Poll::Pending;
                }
                Turn::At(time) => {
                    match this.timer.as_mut().as_pin_mut() {
                        Some(timer) => timer.reset(time),
                        None => this.timer.set(Some(sleep_until(time))),
                    }
                    if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                        ready!(timer.poll(cx));
                    }
                }
            }
        }
        loop {
            if let Some(exchange) = this.exchange.as_mut().as_pin_mut() {
                let result = ready!(exchange.poll(cx));
                this.exchange.set(None);
                if let Some(permit) = this.permit.take() {
                    permit.end(Ending::of(&result, *this.has_content));
                }
                return Poll::Ready(result.map_err(Into::into));
            }
            ready!(this.service.poll_ready(cx)).map_err(Into::into)?;
            // None is left only for who polls what has ended.
            let Some(request) = this.request.take() else { return Poll::Pending };
            this.exchange.set(Some(this.service.call(request)));
        }
    }
}

impl<S, B> fmt::Debug for GovernedFuture<S, B>
where
    S: Service<http::Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GovernedFuture")
            .field("is_waiting", &self.place.is_some())
            .finish_non_exhaustive()
    }
}
