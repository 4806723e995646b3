//! The `User-Agent` of every exchange.

use std::task::{Context, Poll};

use http::{HeaderValue, header};
use tower_layer::Layer;
use tower_service::Service;

use crate::http::error::{Error, ErrorKind, Result};

/// Sets `User-Agent` on every exchange, token calls and redirects included.
///
/// The text names this library, its version and the platform, and before it the
/// application, if given; it holds no host or user data. A header the caller has
/// set is kept. It stands around any service of `http::Request<B>` and changes nothing of its
/// answers and errors.
///
/// ```
/// use acr_core::layer::UserAgentLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let echo = service_fn(|request: http::Request<()>| async move {
///     Ok::<_, acr_core::Error>(request.headers()["user-agent"].clone())
/// });
/// let layer = UserAgentLayer::new(Some("my-service/1.2"))?;
/// let sent = ServiceBuilder::new().layer(layer).service(echo).oneshot(http::Request::new(())).await?;
/// assert!(sent.as_bytes().starts_with(b"my-service/1.2 acr-rust/"));
/// # Ok::<_, acr_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct UserAgentLayer {
    value: HeaderValue,
}

/// The service of [`UserAgentLayer`].
#[derive(Clone, Debug)]
pub struct UserAgent<S> {
    inner: S,
    value: HeaderValue,
}

impl UserAgentLayer {
    /// The layer, with the name of the application in front.
    ///
    /// ```
    /// use acr_core::{ErrorKind, layer::UserAgentLayer};
    ///
    /// assert!(UserAgentLayer::new(None)?.value().starts_with("acr-rust/"));
    /// let error = UserAgentLayer::new(Some("line\nbreak")).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the name has characters no header can carry
    /// or makes the whole text longer than 256 bytes.
    pub fn new(application_id: Option<&str>) -> Result<Self> {
        let library = concat!("acr-rust/", env!("CARGO_PKG_VERSION"));
        let platform = format!("({}; {})", std::env::consts::OS, std::env::consts::ARCH);
        let text = match application_id {
            None => format!("{library} {platform}"),
            Some(id) => format!("{id} {library} {platform}"),
        };
        let refuse = || {
            Error::new(ErrorKind::InvalidInput, "the application id is not usable in a user agent")
        };
        if text.len() > MAX_USER_AGENT || !text.is_ascii() {
            return Err(refuse());
        }
        let value = HeaderValue::from_str(&text).map_err(|e| refuse().with_source(e))?;
        Ok(Self { value })
    }

    /// The text that is sent.
    ///
    /// ```
    /// use acr_core::layer::UserAgentLayer;
    ///
    /// assert!(UserAgentLayer::new(Some("my-service/1.2"))?.value().starts_with("my-service/1.2 acr-rust/"));
    /// # Ok::<_, acr_core::Error>(())
    /// ```
    pub fn value(&self) -> &str {
        self.value.to_str().unwrap_or_default()
    }
}

impl<S> Layer<S> for UserAgentLayer {
    type Service = UserAgent<S>;

    fn layer(&self, inner: S) -> Self::Service {
        UserAgent { inner, value: self.value.clone() }
    }
}

impl<S, B> Service<http::Request<B>> for UserAgent<S>
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
        request.headers_mut().entry(header::USER_AGENT).or_insert_with(|| self.value.clone());
        self.inner.call(request)
    }
}

const MAX_USER_AGENT: usize = 256;

#[cfg(test)]
mod tests {
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::{
        http::{body::Body, request::Request},
        transport::Transport,
    };

    #[tokio::test]
    async fn a_user_agent_of_the_callers_own_stays() {
        for own in [None, Some("mine/1")] {
            let echo = Transport::new(service_fn(|request: Request| async move {
                let agent = request.headers()[header::USER_AGENT].to_str().unwrap().to_owned();
                Ok::<_, Error>(http::Response::new(Body::from(agent)))
            }));
            let layer = UserAgentLayer::new(None).unwrap();
            let mut request = Request::default();
            if let Some(own) = own {
                request.headers_mut().insert(header::USER_AGENT, own.parse().unwrap());
            }
            let answer = layer.layer(echo).oneshot(request).await.unwrap();
            let sent = answer.into_body().bytes(500).await.unwrap();
            assert_eq!(sent, own.unwrap_or(layer.value()));
        }
    }

    #[test]
    fn an_application_id_that_breaks_the_header_is_refused() {
        for bad in ["a\nb", "é", &"x".repeat(300)] {
            let error = UserAgentLayer::new(Some(bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
