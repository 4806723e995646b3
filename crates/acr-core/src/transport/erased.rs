//! The innermost service: any HTTP client, or the one on hyper-util and rustls.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tower_service::Service;

use crate::{
    http::{
        body::Body,
        error::{BoxError, Error, Result},
        request::Request,
        response::Response,
    },
    layer::{HttpService, ResponseFuture, Unidentified, call},
};

/// Sends requests: an erased [`HttpService`], cheap to clone.
///
/// [`Transport::new`] takes any HTTP client whose bodies carry [`Bytes`]; the
/// feature `aws-lc-rs` or `ring` adds `Transport::rustls`, the default. As a service it takes requests with
/// any body of bytes, so that layers that put theirs around a body find it fitting.
///
/// ```
/// use acr_core::{http::{Body, Request}, Transport};
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
    /// Wraps an HTTP client, or a stack of layers around one.
    ///
    /// An error that is already an [`Error`] keeps its kind; what any other becomes is written
    /// at [`Error::from`].
    pub fn new<S: HttpService>(service: S) -> Self {
        // A clone of the result is a reference, whatever the stack holds; the stack itself is
        // cloned, one level deep, when it is called.
        Self(Arc::new(move |request| {
            let mut service = service.clone();
            // Readiness is asked for when the future runs, and not here: one that nobody
            // polls yet would keep a place that others wait for.
            Box::pin(async move { call(&mut service, request).await })
        }))
    }

    /// The same transport for other hosts than the registry: it shows them no client certificate.
    /// With the same settings otherwise, and the same connections where none was shown on them.
    /// The sources of Entra tokens send through it by themselves.
    ///
    /// Our own transport knows what this asks for; one of yours is sent the same requests as before.
    ///
    /// ```
    /// use acr_core::{TlsConfig, TransportBuilder};
    ///
    /// # let made = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).unwrap();
    /// # let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// let tls = TlsConfig::only_roots(pem.as_bytes())?;
    /// let tls = tls.client_certificate(pem.as_bytes(), key.as_bytes())?;
    /// let registry = TransportBuilder::new().tls(tls).build()?;
    /// let vault = registry.without_client_certificate();
    /// # let _ = vault;
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    #[must_use]
    pub fn without_client_certificate(&self) -> Self {
        let inner = Arc::clone(&self.0);
        Self(Arc::new(move |mut request: Request| {
            request.extensions_mut().insert(Unidentified);
            inner(request)
        }))
    }
}

impl<B> Service<http::Request<B>> for Transport
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        // The readiness of what is erased is awaited inside of the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        (self.0)(request.map(Body::new))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transport")
    }
}

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

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
