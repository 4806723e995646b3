//! What is asked of the connection of one exchange while it is looked for: by an observer, or by a
//! call that waits only so long for one.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use hyper_util::client::legacy::{
    self,
    connect::{CaptureConnection, capture_connection},
};

use crate::{
    http::{
        error::{Error, ErrorKind, Result},
        request::Request,
    },
    layer::{Connection, Marks},
    transport::{peer::Peer, stream::Usage},
};

/// Costs a channel for each request, so most have none.
pub(crate) struct Watch(Option<Watched>);

struct Watched {
    capture: CaptureConnection,
    limit: Option<Duration>,
    marks: Option<Marks>,
    is_unreachable: bool,
}

impl Watch {
    pub(crate) fn new(
        request: &mut Request,
        marks: Option<&Marks>,
        limit: Option<Duration>,
    ) -> Self {
        Self((marks.is_some() || limit.is_some()).then(|| Watched {
            capture: capture_connection(request),
            limit,
            marks: marks.cloned(),
            is_unreachable: false,
        }))
    }

    /// The answer, unless there is no connection by the time limit.
    pub(crate) async fn exchange<T>(
        self,
        peer: &Peer,
        exchange: impl Future<Output = Result<T, legacy::Error>>,
    ) -> Result<Result<T, legacy::Error>> {
        let Some(mut watched) = self.0 else {
            return Ok(exchange.await);
        };
        let answer = watched.connected_within(peer, exchange).await;
        watched.is_unreachable = match &answer {
            Ok(answer) => answer.as_ref().is_err_and(legacy::Error::is_connect),
            Err(_) => true,
        };
        answer
    }
}

impl Watched {
    async fn connected_within<F: Future>(&self, peer: &Peer, exchange: F) -> Result<F::Output> {
        let Some(limit) = self.limit else {
            return Ok(exchange.await);
        };
        let mut exchange = pin!(exchange);
        let mut timer = pin!(tokio::time::sleep(limit));
        poll_fn(|cx| {
            if let Poll::Ready(output) = exchange.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if timer.as_mut().poll(cx).is_pending() || self.capture.connection_metadata().is_some()
            {
                return Poll::Pending;
            }
            let text = format!("no connection to {peer} within the call's {limit:?}");
            Poll::Ready(Err(Error::new(ErrorKind::Connect, text)))
        })
        .await
    }
}

/// Tells an observer which connection the exchange got, once: also if it is dropped meanwhile.
impl Drop for Watched {
    fn drop(&mut self) {
        let Some(marks) = &self.marks else {
            return;
        };
        let found = self.capture.connection_metadata().as_ref().and_then(Usage::of);
        match found {
            Some(usage) if usage.note_told() => marks.connected(Connection::Reused),
            Some(_) => marks.connected(Connection::Opened),
            None if self.is_unreachable => marks.connected(Connection::Failed),
            None => {}
        }
    }
}
