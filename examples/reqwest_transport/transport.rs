//! reqwest as the transport of a pipeline: all it takes.

use acr_core::{
    Error, ErrorKind, Transport,
    http::{BoxError, Request, SyncBody},
};
use reqwest::{Body, Client};
use tower::service_fn;

/// Bodies stream both ways. reqwest asks for request bodies that are `Sync`: a [`SyncBody`] is.
pub(crate) fn over_reqwest(client: Client) -> Transport {
    Transport::new(service_fn(move |request: Request| {
        let client = client.clone();
        async move {
            let request = request.map(|body| Body::wrap(SyncBody::new(body)));
            let request = reqwest::Request::try_from(request).map_err(known)?;
            let answer = client.execute(request).await.map_err(known)?;
            Ok::<http::Response<Body>, Error>(answer.into())
        }
    }))
}

/// What reqwest's errors mean is known to reqwest only. Their text has the URL in it.
fn known(error: reqwest::Error) -> Error {
    let kind = match &error {
        error if error.is_builder() => ErrorKind::InvalidInput,
        error if error.is_connect() => ErrorKind::Connect,
        error if error.is_timeout() => ErrorKind::Timeout,
        // One of ours may be inside: that of the content that was to be sent.
        _ => return Error::from(BoxError::from(error.without_url())),
    };
    Error::new(kind, "reqwest cannot do it").with_source(error.without_url())
}
