//! The innermost service: any HTTP client, or the one on hyper-util and rustls.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tower::ServiceExt as _;
use tower_service::Service;

use crate::{
    body::Body,
    error::{BoxError, Error, ErrorKind, Result},
    foreign::ForeignError,
    layer::{HttpService, ResponseFuture, call},
    request::Request,
    response::Response,
};

/// Sends requests: an erased [`HttpService`], cheap to clone.
///
/// [`Transport::new`] takes any HTTP client whose bodies carry [`Bytes`]; the
/// feature `rustls` adds `Transport::rustls`, the default.
///
/// ```
/// use acr_core::{Body, Request, Transport};
///
/// // A transport that answers everything itself.
/// let transport = Transport::new(tower::service_fn(|_request: Request| async {
///     Ok::<_, std::io::Error>(http::Response::new(Body::from("{}")))
/// }));
/// # let _ = transport;
/// ```
#[derive(Clone)]
pub struct Transport(Arc<dyn Fn(Request) -> ResponseFuture + Send + Sync>);

impl Transport {
    /// Wraps an HTTP client.
    ///
    /// An error that is already an [`Error`] keeps its kind; any other becomes
    /// [`ErrorKind::Transport`], with the words of the error and its causes as the source: those
    /// that are known to be no secret, such as `connection refused`, with `…` for the rest.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request, Response = http::Response<B>, Future: Send, Error: Into<BoxError>>
            + Clone
            + Send
            + Sync
            + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let service = service
            .map_response(|response: http::Response<B>| response.map(Body::stream))
            .map_err(|error: S::Error| classify(error.into()));
        Self::erase(service)
    }

    /// Erases a stack of layers. A clone of the result is a reference, whatever the
    /// stack holds; the stack itself is cloned, one level deep, when it is called.
    pub(crate) fn erase<S: HttpService>(service: S) -> Self {
        Self(Arc::new(move |request| {
            let mut service = service.clone();
            // Readiness is asked for when the future runs, and not here: one that nobody
            // polls yet would keep a place that others wait for.
            Box::pin(async move { call(&mut service, request).await })
        }))
    }
}

impl Service<Request> for Transport {
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // The readiness of what is erased is awaited inside of the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        (self.0)(request)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

fn classify(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Transport, "the exchange with the server broke")
            .with_source(ForeignError::of(&*other)),
    }
}

#[cfg(test)]
mod tests {
    use tower::service_fn;

    use super::*;

    #[tokio::test]
    async fn a_foreign_error_keeps_its_words_and_loses_the_queries() {
        let transport = Transport::new(service_fn(|_: Request| async {
            let text =
                "error for url (https://s.example/b?se=1&sig=canary): reset, _state=x?y=canary";
            let inner = std::io::Error::other("sent Authorization: Bearer canary");
            Err::<http::Response<Body>, _>(Outer(text, inner))
        }));
        let error = transport.oneshot(Request::default()).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        let shown = format!("{error} {error:?} {source} {source:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("error for url") && shown.contains("reset"), "{shown}");
    }

    #[derive(Debug)]
    struct Outer(&'static str, std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.1)
        }
    }
}
