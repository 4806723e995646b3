//! One `x-ms-client-request-id` per call.

use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue};
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    call_options::CallOptions,
    error::{Error, Result},
    layer::HttpService,
    request::Request,
};

/// Gives every call an id that its attempts share and that the registry logs.
///
/// Adds the header `x-ms-client-request-id` and the extension [`RequestId`]. A
/// header the caller has set is kept. Must stand outside of [`super::RetryLayer`].
///
/// ```
/// use acr_core::{Body, Request, Transport, layer::RequestIdLayer};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let transport = Transport::new(service_fn(|request: Request| async move {
///     assert!(request.headers().contains_key("x-ms-client-request-id"));
///     Ok::<_, acr_core::Error>(http::Response::new(Body::empty()))
/// }));
/// let stack = ServiceBuilder::new().layer(RequestIdLayer::new()).service(transport);
/// stack.oneshot(Request::default()).await?;
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestIdLayer(());

/// The service of [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    inner: S,
}

/// The id of a call: a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestIdLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }
}

impl RequestId {
    /// The id as it stands in the header.
    pub fn as_str(&self) -> &str {
        // Never anything else: see `of` and `random`.
        self.0.to_str().unwrap_or_default()
    }

    /// The id a request carries, or a new one, which it then carries.
    pub(crate) fn of(request: &mut Request) -> Self {
        let header = request.headers().get(&CLIENT_REQUEST_ID);
        let header = header.filter(|value| value.to_str().is_ok()).cloned();
        let options = request.extensions().get::<CallOptions>();
        let given = header.or_else(|| options.and_then(CallOptions::client_request_id));
        let known = request.extensions().get::<Self>().cloned();
        let id = given.map(Self).or(known).unwrap_or_else(Self::random);
        request.extensions_mut().insert(id.clone());
        id
    }

    /// A random id in the form of a version 4 UUID. It is a name, not a secret.
    fn random() -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut bits =
            (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let mut text = [b'-'; 36];
        let digits =
            text.iter_mut().enumerate().rev().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        for (_, digit) in digits {
            *digit = DIGITS.get(usize::from(bits.to_le_bytes()[0] & 0xf)).copied().unwrap_or(b'0');
            bits >>= 4;
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0")))
    }
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIdService { inner }
    }
}

impl<S: HttpService> Service<Request> for RequestIdService<S> {
    type Response = S::Response;
    type Error = Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let id = match request.extensions().get::<RequestId>() {
            Some(known) if !request.headers().contains_key(&CLIENT_REQUEST_ID) => known.clone(),
            _ => RequestId::of(&mut request),
        };
        request.headers_mut().insert(CLIENT_REQUEST_ID, id.0);
        self.inner.call(request)
    }
}

pub(crate) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_form_of_a_version_4_uuid() {
        for _ in 0..100 {
            let id = RequestId::random();
            let parts: Vec<_> = id.as_str().split('-').collect();
            assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(
                parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']),
                "{id:?}"
            );
        }
    }
}
