//! What has to hold still when a request is sent again.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::http::error::Result;

/// A look that is taken again before a request is repeated: a request extension.
///
/// [`RetryLayer`](super::RetryLayer) may wait for minutes before it sends a request again, and
/// what was seen before the first attempt need not be true then. After each wait it takes
/// this look; an error ends the call, and nothing more is sent. The look sends its own
/// requests; the deadline of the call holds for it too.
///
/// It is taken from inside of the call. What stands around the retry layer may keep a place for the
/// call meanwhile, as a limit of calls does, and a look that needs a place there would wait for the
/// end of its own call. So it must go another way, around those layers: with a pipeline through
/// [`Pipeline::without_layers_per_call`](crate::Pipeline::without_layers_per_call), in a stack of
/// your own through a clone of what stands inside of the limit.
///
/// ```
/// use acr_core::{Error, ErrorKind, layer::{Recheck, RetryLayer, RetryPolicy}};
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// # let busy = service_fn(|_: Request<Empty<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(Response::builder().status(503).body(Empty::<Bytes>::new()).unwrap())
/// # });
/// let stack = ServiceBuilder::new().layer(RetryLayer::new(RetryPolicy::default())).service(busy);
/// let moved = || async { Err(Error::new(ErrorKind::Conflict, "somebody else was here")) };
/// let mut request = Request::put("https://service.example/state").body(Empty::new())?;
/// request.extensions_mut().insert(Recheck::new(moved));
/// let error = Error::from(stack.oneshot(request).await.unwrap_err());
/// assert_eq!(error.kind(), ErrorKind::Conflict);
/// # Ok::<_, acr_core::http::BoxError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Recheck(Arc<Look>);

type Look = dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

impl Recheck {
    /// Takes this look, each time anew.
    pub fn new<F, Fut>(look: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self(Arc::new(move || Box::pin(look())))
    }

    pub(super) async fn look(&self) -> Result<()> {
        (self.0)().await
    }
}

impl fmt::Debug for Recheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recheck")
    }
}
