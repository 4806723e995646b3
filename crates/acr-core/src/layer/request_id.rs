//! One id per call, in a header.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tower_layer::Layer;
use tower_service::Service;

use crate::layer::call_options::CallOptions;

/// Gives every call an id that its attempts share and that the server can log.
///
/// Adds the header and the extension [`RequestId`]. The header is `x-ms-client-request-id`,
/// which registries of Azure log, unless [`RequestIdLayer::header`] says otherwise. One that
/// the caller has set is kept. Must stand outside of [`super::RetryLayer`]. It stands around
/// any service of `http::Request<B>` and changes nothing of its answers and errors.
///
/// ```
/// use acr_core::layer::RequestIdLayer;
/// use http::{HeaderName, Request};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let echo = service_fn(|request: Request<()>| async move {
///     Ok::<_, std::io::Error>(request.headers().get("x-request-id").cloned())
/// });
/// let layer = RequestIdLayer::new().header(HeaderName::from_static("x-request-id"));
/// let id = ServiceBuilder::new().layer(layer).service(echo).oneshot(Request::new(())).await?;
/// assert_eq!(id.map(|id| id.len()), Some(36));
/// # Ok::<_, std::io::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct RequestIdLayer {
    header: HeaderName,
}

/// The service of [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIdService<S> {
    inner: S,
    header: HeaderName,
}

/// The id of a call: a request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    header: HeaderName,
    value: HeaderValue,
}

impl RequestIdLayer {
    /// The layer.
    pub fn new() -> Self {
        Self { header: CLIENT_REQUEST_ID }
    }

    /// Sends the id in another header, such as `x-request-id`. Logs show its value only if
    /// [`Redaction::show_header`](crate::http::Redaction::show_header) names it.
    ///
    /// ```
    /// use acr_core::layer::{RequestId, RequestIdLayer};
    /// use http::HeaderName;
    /// # use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let layer = RequestIdLayer::new().header(HeaderName::from_static("x-request-id"));
    /// let stack = ServiceBuilder::new().layer(layer).service(service_fn(|request: http::Request<()>| async move {
    ///     let id = request.extensions().get::<RequestId>().cloned().unwrap();
    ///     assert_eq!(request.headers()[id.header()], id.as_str());
    ///     Ok::<_, std::io::Error>(id.header().clone())
    /// }));
    /// assert_eq!(stack.oneshot(http::Request::new(())).await?, "x-request-id");
    /// # Ok::<_, std::io::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// The id a request carries, or a new one, which it then carries as an extension.
    pub(crate) fn note<B>(&self, request: &mut http::Request<B>) -> RequestId {
        let header = request.headers().get(&self.header);
        let header = header.filter(|value| value.to_str().is_ok()).cloned();
        let options = request.extensions().get::<CallOptions>();
        let given = header.or_else(|| options.and_then(CallOptions::client_request_id));
        let known = || request.extensions().get::<RequestId>().map(|id| id.value.clone());
        let value = given.or_else(known).unwrap_or_else(random);
        let id = RequestId { header: self.header.clone(), value };
        request.extensions_mut().insert(id.clone());
        id
    }
}

impl Default for RequestIdLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl RequestId {
    /// The id as it stands in the header.
    pub fn as_str(&self) -> &str {
        // Never anything else: see `note` and `random`.
        self.value.to_str().unwrap_or_default()
    }

    /// The header that it is sent in.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }
}

/// A random id in the form of a version 4 UUID. It is a name, not a secret.
fn random() -> HeaderValue {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let mut text = [b'-'; 36];
    let digits =
        text.iter_mut().enumerate().rev().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
    for (_, digit) in digits {
        *digit = DIGITS.get(usize::from(bits.to_le_bytes()[0] & 0xf)).copied().unwrap_or(b'0');
        bits >>= 4;
    }
    // Shared from the start: every attempt clones it.
    HeaderValue::from_maybe_shared(Bytes::from_owner(text))
        .unwrap_or_else(|_| HeaderValue::from_static("0"))
}

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIdService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIdService { inner, header: self.header.clone() }
    }
}

impl<S, B> Service<http::Request<B>> for RequestIdService<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let id = RequestIdLayer { header: self.header.clone() }.note(&mut request);
        request.headers_mut().insert(id.header, id.value);
        self.inner.call(request)
    }
}

/// The header of the call's id where no other is chosen: `x-ms-client-request-id`.
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_the_form_of_a_version_4_uuid() {
        for _ in 0..100 {
            let id = random();
            let parts: Vec<_> = id.to_str().unwrap().split('-').collect();
            assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
            assert!(
                parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']),
                "{id:?}"
            );
        }
    }
}
