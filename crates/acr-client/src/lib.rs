//! A client for Azure container registries: signs in, lists, inspects, locks, pushes, pulls and
//! deletes. The front door of the crates below it; with async, or without ([`blocking`]).
//!
//! ```sh
//! cargo add acr-client
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use acr_client::Registry;
//!
//! #[tokio::main]
//! async fn main() -> acr_client::Result<()> {
//!     let registry = Registry::connect("myregistry.azurecr.io")?;
//!     let mut tags = registry.repository("library/hello-world")?.list_tags();
//!     while let Some(tag) = tags.try_next().await? {
//!         println!("{} {}", tag.name, tag.digest);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! | type | what |
//! |---|---|
//! | [`Registry`], [`RegistryBuilder`] | a registry and its settings |
//! | [`Repository`] | all operations on tags, manifests and blobs |
//! | [`blocking::Registry`], [`blocking::Repository`] | the same without async |
//! | [`ImageReference`] | where an image is: `myregistry.azurecr.io/library/app:v1` |
//! | [`Credential`], [`entra`] | who signs in, where the program says it |
//! | [`Error`], [`ErrorKind`] | what went wrong, and what to do about it |
//!
//! # Names
//!
//! A name may be text wherever one is asked for: `repo.get_manifest("v1")`, `repo.tag("v1", "stable")`.
//! What is wrong with it is said when the call is awaited, and nothing is sent. What gives something
//! at once, a repository, says it at once.
//!
//! The whole name of an image is an [`ImageReference`]: it leads to its registry, its repository and
//! its manifest.
//!
//! ```no_run
//! use acr_client::{ImageReference, Registry};
//!
//! # async fn run() -> acr_client::Result<()> {
//! let image: ImageReference = "myregistry.azurecr.io/library/app:v1".parse()?;
//! let repo = Registry::connect(&image)?.repository(image.repository())?;
//! if let Some(reference) = image.reference() {
//!     println!("{}", repo.resolve(reference).await?);
//! }
//! # Ok(()) }
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `blocking` | yes | the module `blocking` |
//! | `entra` | yes | the identities of the surroundings, and the module `entra` |
//! | `docker-config` | yes | the logins of Docker, podman and skopeo |
//! | `fs` | yes | uploads from files, downloads into files |
//! | `tokio-io` | with `fs`, `blocking` | uploads from any `tokio::io::AsyncRead` |
//! | `azure-core` | no | `Credential::azure_core`: credentials of the Azure SDK for Rust |
//! | `preview` | no | soft-deleted artifacts |
//! | `http2`, `webpki-roots` | no | as in acr-core |
//! | `aws-lc-rs`, `ring` | `aws-lc-rs` | the default transport, see acr-core |
//!
//! # Where to go next
//!
//! | you want to | look at |
//! |---|---|
//! | say who signs in, which proxy, which certificates, how long to wait | [`Registry::builder`] |
//! | list, inspect, lock, tag, delete | [`Repository`] |
//! | push and pull | [`Repository::upload`], [`Repository::download`], [`Repository::put_manifest`] |
//! | put layers of your own into the stack, or an observer | [`RegistryBuilder::stack`], with [`layer`] and [`mod@http`] |
//! | know what an error means | [`ErrorKind`] |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "blocking")]
#[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
pub mod blocking;
mod builder;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connecting;
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
mod connection;
mod idle;
mod login_server;
mod registry;
mod repository;
mod surroundings;

#[cfg(feature = "docker-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "docker-config")))]
pub use acr_auth::DockerConfig;
#[cfg(feature = "entra")]
#[cfg_attr(docsrs, doc(cfg(feature = "entra")))]
pub use acr_auth::entra;
pub use acr_auth::{
    AccessToken, Credential, CredentialSource, TokenCredential, TokenRequest, credential_fn,
};
pub use acr_blob::{
    BlobClient, BlobInfo, BlobReader, Content, Download, DownloadCheckpoint, DownloadRange, Mount,
    PartialReader, Phase, Progress, Upload, UploadCheckpoint, UploadSession,
};
pub use acr_core::{
    Action, Algorithm, ByteRange, CallOptions, Continuation, Deletion, Digest, Endpoint, Error,
    ErrorCode, ErrorKind, ImageReference, Listed, MissingRights, Page, Pipeline, PipelineBuilder,
    Reference, RepositoryName, Result, Scope, Secret, Tag, Timestamp, Transport, UnknownFields,
    Was,
    http::{ErrorDetail, Pages},
    layer::{RetryPolicy, Timeouts},
    value::Unreadable,
};
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
pub use acr_core::{Proxy, TlsConfig, TransportBuilder};
/// What layers, observers and transports of one's own are made of, for [`RegistryBuilder::stack`]
/// and [`Transport::new`]; and the errors of parsers.
pub use acr_core::{http, layer, value};
pub use acr_registry::{
    After, ApiVersion, Architecture, ArtifactManifest, Descriptor, DescriptorView, Document,
    GetManifest, ImageIndex, ImageManifest, ListPager, Manifest, ManifestChanges,
    ManifestProperties, ManifestReference, MediaType, OperatingSystem, Order, Permissions,
    Platform, PutManifest, RegistryClient, RepositoryClient, RepositoryProperties, TagManifest,
    TagProperties,
};
#[cfg(feature = "preview")]
#[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
pub use acr_registry::{
    DeletedManifest, DeletedRepository, DeletedTag, RestoreManifest, TagConflict,
};

pub use self::{
    builder::RegistryBuilder, login_server::LoginServer, registry::Registry, repository::Repository,
};
