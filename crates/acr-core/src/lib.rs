//! The foundation of the container registry client: a tower middleware stack
//! with a hyper and rustls transport, and the values all other crates speak in.
//!
//! Everything is a service from [`Request`] to [`Response`] or [`Error`]. A
//! [`Pipeline`] is the finished stack; every layer in it is public in [`layer`]
//! and works in any tower stack of the same types.
//!
//! ```
//! use acr_core::{Body, Effect, Endpoint, Operation, Pipeline, Request, RequestBuilder, Transport, response};
//! use http::{Method, StatusCode};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! // Any HTTP client can be the transport; here one that answers by itself.
//! let transport = Transport::new(tower::service_fn(|_: Request| async {
//!     Ok::<_, std::io::Error>(http::Response::new(Body::from(r#"{"repositories":["app"]}"#)))
//! }));
//! let endpoint: Endpoint = "myregistry.azurecr.io".parse()?;
//! let pipeline = Pipeline::builder(endpoint).transport(transport).build()?;
//!
//! let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", "_catalog"])
//!     .operation(Operation::new("list_repositories"))
//!     .effect(Effect::Read)
//!     .build()?;
//! let response = response::expect(pipeline.send(request).await?, &[StatusCode::OK]).await?;
//! # #[derive(serde::Deserialize)] struct Catalog { repositories: Vec<String> }
//! let catalog: Catalog = response::read_json(response, 1 << 20).await?;
//! assert_eq!(catalog.repositories, ["app"]);
//! # Ok::<_, acr_core::Error>(()) }).unwrap();
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `aws-lc-rs` | yes | transport on hyper-util and rustls with the aws-lc-rs provider |
//! | `ring` | no | the same with the ring provider; aws-lc-rs wins when both are on |
//! | `http2` | no | `TransportBuilder::http2`: HTTP/2 where the server speaks it, if asked for |
//! | `webpki-roots` | no | `TlsConfig::webpki_roots`, for machines without a trust store |
//!
//! Without either, bring your own transport: [`Transport::new`].

#![forbid(unsafe_code)]

#[cfg(feature = "_transport")]
mod address;
mod body;
mod call_options;
mod challenge;
#[cfg(feature = "_transport")]
mod client;
#[cfg(feature = "_transport")]
mod connect_error;
#[cfg(feature = "_transport")]
mod connections;
#[cfg(feature = "_transport")]
mod connector;
mod deletion;
mod digest;
mod endpoint;
mod error;
mod error_code;
mod foreign;
mod framing;
mod host;
pub mod layer;
pub mod link;
mod listed;
mod name;
#[cfg(feature = "_transport")]
mod no_proxy;
mod operation;
mod paced;
mod pager;
mod patience;
mod pipeline;
#[cfg(feature = "_transport")]
mod proxy;
mod range;
mod redact;
mod reference;
mod request;
pub mod response;
mod retry_after;
mod rights;
mod scope;
mod secret;
mod shortened;
#[cfg(feature = "_transport")]
mod stream;
mod timestamp;
#[cfg(feature = "_transport")]
mod tls;
mod transport;
#[cfg(feature = "_transport")]
mod tunnel;
mod unknown_fields;
mod unreadable;
pub mod url_policy;
mod verify;

pub use self::{
    body::{Body, DataStream},
    call_options::CallOptions,
    challenge::Challenge,
    deletion::{Deletion, Was},
    digest::{Algorithm, Digest, Digester, DigesterState, ParseDigestError},
    endpoint::Endpoint,
    error::{BoxError, Error, ErrorKind, Result},
    error_code::{ErrorCode, ErrorDetail},
    framing::Framing,
    layer::HttpService,
    listed::Listed,
    name::{ParseNameError, RepositoryName, Tag},
    operation::{Attempt, Effect, FollowRedirects, Operation, Recoveries},
    pager::{Continuation, Page, PageRequest, Pager, Pages},
    pipeline::{Pipeline, PipelineBuilder},
    range::{ByteRange, ContentRange, ParseRangeError, UploadRange},
    redact::Redaction,
    reference::Reference,
    request::{Request, RequestBuilder},
    response::Response,
    retry_after::{ParseRetryAfterError, RetryAfter},
    rights::MissingRights,
    scope::{Action, Scope},
    secret::Secret,
    timestamp::{ParseTimestampError, Timestamp},
    transport::Transport,
    unknown_fields::UnknownFields,
    unreadable::Unreadable,
    verify::Verified,
};
#[cfg(feature = "_transport")]
pub use self::{client::TransportBuilder, proxy::Proxy, tls::TlsConfig};
