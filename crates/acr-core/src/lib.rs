//! The foundation of the container registry client: a tower middleware stack
//! with a hyper and rustls transport, and the values all other crates speak in.
//!
//! ```sh
//! cargo add acr-core http
//! cargo add tokio --features macros,rt-multi-thread
//! cargo add tower --features util     # for the transport of the program below
//! ```
//!
//! Everything is a service from [`Request`](crate::http::Request) to [`Response`](crate::http::Response) or [`Error`]. A
//! [`Pipeline`] is the finished stack; every layer in it is public in [`layer`]
//! and works in any tower stack of the same types.
//!
//! ```
//! use acr_core::{http::{Body, Effect, Operation, Request, RequestBuilder, response}, Endpoint, Pipeline, Transport};
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
//! Without either of the first two, bring your own transport: [`Transport::new`].
//!
//! # Where to go next
//!
//! | you want to | look at |
//! |---|---|
//! | sign in, list, push and pull | the crates `acr-auth`, `acr-registry`, `acr-blob` |
//! | put our layers around your client or server, or yours into ours | [`layer`], [`PipelineBuilder::layer_per_call`], [`PipelineBuilder::layer_per_hop`] |
//! | name things | [`Endpoint`], [`RepositoryName`], [`Tag`], [`Digest`], [`Reference`] |
//! | verify content | [`Digester`], [`http::Verified`] |
//! | say where content is hashed | [`hashing::Hashing`] |
//! | know what went wrong | [`Error`], [`ErrorKind`] |
//! | change a single call | [`CallOptions`] |
//! | read lists | [`Pager`] |
//! | read and write manifests | [`oci`] |
//! | build requests and read answers of an interface of your own | [`http`] |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// What a reader enables instead is said below.
#![cfg_attr(docsrs, doc(auto_cfg(hide(feature = "_transport"))))]

pub mod hashing;
pub mod http;
pub mod layer;
pub mod oci;
mod pipeline;
mod transport;
pub mod value;

#[cfg(feature = "_transport")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "aws-lc-rs", feature = "ring"))))]
pub use self::transport::{Proxy, TlsConfig, TransportBuilder};
pub use self::{
    http::{
        endpoint::Endpoint,
        error::{Error, ErrorKind, Result, code::ErrorCode},
        pager::{Continuation, Page, Pager},
    },
    layer::call_options::CallOptions,
    pipeline::{Pipeline, PipelineBuilder},
    transport::Transport,
    value::{
        deletion::{Deletion, Was},
        digest::{Algorithm, Digest, Digester},
        image_reference::ImageReference,
        listed::Listed,
        name::{RepositoryName, Tag},
        range::ByteRange,
        reference::Reference,
        rights::MissingRights,
        scope::{Action, Scope},
        secret::Secret,
        timestamp::Timestamp,
        unknown_fields::UnknownFields,
    },
};
