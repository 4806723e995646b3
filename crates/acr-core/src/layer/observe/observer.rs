//! Who is told.

use std::sync::Arc;

use super::events::{
    AttemptEnded, CallEnded, CallStarted, Connected, Observed, Throttled, TokenCallEnded,
    Transferred, Waited,
};

/// Is told what an operator counts: calls, attempts, token calls, 429s, waits, bytes and
/// connections, each by operation and host.
///
/// [`PipelineBuilder::observer`](crate::PipelineBuilder::observer) puts one into a pipeline;
/// in a stack of one's own it goes into an [`ObserveCallLayer`](super::ObserveCallLayer) and an
/// [`ObserveExchangeLayer`](super::ObserveExchangeLayer). Each method does nothing unless it is
/// written, and later ones will do nothing too.
///
/// The methods are called in the middle of requests, some while a future is dropped: they must
/// not block, and should not panic. They are never called under a lock. An `Arc` of an observer
/// is one, and so are several in a `Vec`.
///
/// ```
/// use acr_core::http::{Body, Request, RequestBuilder};
/// use acr_core::layer::{AttemptEnded, Observed, Observer};
/// use acr_core::{Endpoint, Pipeline, Transport};
/// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
///
/// #[derive(Default)]
/// struct Attempts(AtomicU32);
///
/// impl Observer for Attempts {
///     fn attempt_ended(&self, _: &Observed, _: &AttemptEnded) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// # let transport = Transport::new(tower::service_fn(|_: Request| async {
/// #     Ok::<_, acr_core::Error>(http::Response::new(Body::from("{}")))
/// # }));
/// let attempts = Arc::new(Attempts::default());
/// let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
/// let pipeline =
///     Pipeline::builder(endpoint).transport(transport).observer(attempts.clone()).build()?;
/// let request = RequestBuilder::new(http::Method::GET, pipeline.endpoint(), &["v2", ""]).build()?;
/// pipeline.send(request).await?;
/// assert_eq!(attempts.0.load(Ordering::Relaxed), 1);
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
///
/// # Tests
///
/// Each event can be made by hand, so an observer needs no pipeline in its own test:
///
/// ```
/// use acr_core::layer::{AttemptEnded, Ending, Observed, Observer, Waited};
/// use std::{sync::atomic::{AtomicU64, Ordering}, time::Duration};
///
/// /// Time lost to throttling, and attempts that were no repetition of sign-in.
/// #[derive(Default)]
/// struct Exporter { throttled_ms: AtomicU64, attempts: AtomicU64 }
///
/// impl Observer for Exporter {
///     fn waited(&self, _: &Observed, wait: &Waited) {
///         if wait.reason.status().is_some_and(|status| status == 429) {
///             let ms = wait.duration.as_millis().try_into().unwrap_or(u64::MAX);
///             self.throttled_ms.fetch_add(ms, Ordering::Relaxed);
///         }
///     }
///     fn attempt_ended(&self, _: &Observed, attempt: &AttemptEnded) {
///         if !attempt.is_signed_anew {
///             self.attempts.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// // In `#[test] fn …`:
/// let exporter = Exporter::default();
/// let of = Observed::new("myregistry.azurecr.io").operation("get_manifest");
/// let status = |code: u16| Ending::Answered(http::StatusCode::from_u16(code).unwrap());
/// let second = Duration::from_secs(1);
/// exporter.waited(&of, &Waited::new(1, status(429), 7 * second).asked());
/// exporter.waited(&of, &Waited::new(2, status(503), second));
/// exporter.attempt_ended(&of, &AttemptEnded::new(3, status(401), second));
/// exporter.attempt_ended(&of, &AttemptEnded::new(3, status(200), second).signed_anew());
/// assert_eq!(exporter.throttled_ms.into_inner(), 7_000);
/// assert_eq!(exporter.attempts.into_inner(), 1);
/// ```
pub trait Observer: Send + Sync {
    /// A call begins.
    fn call_started(&self, of: &Observed, event: &CallStarted) {
        let _ = (of, event);
    }

    /// A call is over; told once for each that started, also when its future is dropped.
    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        let _ = (of, event);
    }

    /// An attempt, or a hop of it, is over; told again, and
    /// [marked](AttemptEnded::is_signed_anew), where sign-in sends it once more.
    fn attempt_ended(&self, of: &Observed, event: &AttemptEnded) {
        let _ = (of, event);
    }

    /// A request to a token service is over.
    fn token_call_ended(&self, of: &Observed, event: &TokenCallEnded) {
        let _ = (of, event);
    }

    /// An attempt or a token call was answered 429.
    fn throttled(&self, of: &Observed, event: &Throttled) {
        let _ = (of, event);
    }

    /// A call waited before its next attempt.
    fn waited(&self, of: &Observed, event: &Waited) {
        let _ = (of, event);
    }

    /// Bytes of a body moved, or it ended.
    fn transferred(&self, of: &Observed, event: &Transferred) {
        let _ = (of, event);
    }

    /// An exchange got a connection, or none.
    fn connected(&self, of: &Observed, event: &Connected) {
        let _ = (of, event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn call_started(&self, of: &Observed, event: &CallStarted) {
        (**self).call_started(of, event);
    }

    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        (**self).call_ended(of, event);
    }

    fn attempt_ended(&self, of: &Observed, event: &AttemptEnded) {
        (**self).attempt_ended(of, event);
    }

    fn token_call_ended(&self, of: &Observed, event: &TokenCallEnded) {
        (**self).token_call_ended(of, event);
    }

    fn throttled(&self, of: &Observed, event: &Throttled) {
        (**self).throttled(of, event);
    }

    fn waited(&self, of: &Observed, event: &Waited) {
        (**self).waited(of, event);
    }

    fn transferred(&self, of: &Observed, event: &Transferred) {
        (**self).transferred(of, event);
    }

    fn connected(&self, of: &Observed, event: &Connected) {
        (**self).connected(of, event);
    }
}

/// All of them are told, in their order.
impl<O: Observer> Observer for Vec<O> {
    fn call_started(&self, of: &Observed, event: &CallStarted) {
        self.iter().for_each(|each| each.call_started(of, event));
    }

    fn call_ended(&self, of: &Observed, event: &CallEnded) {
        self.iter().for_each(|each| each.call_ended(of, event));
    }

    fn attempt_ended(&self, of: &Observed, event: &AttemptEnded) {
        self.iter().for_each(|each| each.attempt_ended(of, event));
    }

    fn token_call_ended(&self, of: &Observed, event: &TokenCallEnded) {
        self.iter().for_each(|each| each.token_call_ended(of, event));
    }

    fn throttled(&self, of: &Observed, event: &Throttled) {
        self.iter().for_each(|each| each.throttled(of, event));
    }

    fn waited(&self, of: &Observed, event: &Waited) {
        self.iter().for_each(|each| each.waited(of, event));
    }

    fn transferred(&self, of: &Observed, event: &Transferred) {
        self.iter().for_each(|each| each.transferred(of, event));
    }

    fn connected(&self, of: &Observed, event: &Connected) {
        self.iter().for_each(|each| each.connected(of, event));
    }
}
