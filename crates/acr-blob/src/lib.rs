//! The content client of a container registry: uploads and verified downloads of blobs.
//!
//! ```sh
//! cargo add acr-blob acr-auth acr-core
//! cargo add tokio --features macros,rt-multi-thread
//! cargo add --dev acr-testkit     # the registry of the program below
//! ```
//!
//! The client sends through an [`acr_core::Pipeline`]. `acr_auth::connect` makes the one that most
//! programs need; here it leads to the fake registry of acr-testkit:
//!
//! ```
//! use acr_auth::{AuthLayer, Credential};
//! use acr_blob::BlobClient;
//! use acr_core::Pipeline;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let fake = acr_testkit::FakeRegistry::builder().user("me", "secret").build();
//! let auth = AuthLayer::new(&fake.endpoint(), Credential::password("me", "secret"));
//! let pipeline = Pipeline::builder(fake.endpoint()).transport(fake.transport());
//! let blobs = BlobClient::new(pipeline.layer_per_hop(auth).build()?, "library/app".parse()?);
//!
//! let layer = blobs.upload(&b"sample layer"[..]).await?;
//! let content = blobs.download(&layer.digest).await?.bytes(1 << 20).await?;
//! assert_eq!(content, &b"sample layer"[..]);
//! # Ok::<(), acr_core::Error>(()) }).unwrap();
//! ```
//!
//! An upload hashes its source once while it passes. After a failure whose outcome
//! is unknown it asks the registry how far it got and goes on from there; nothing is
//! repeated blindly. A download never yields the whole content unless its digest
//! matched, and goes on by range where the connection broke. Both can be written down
//! as checkpoints and gone on with in another process.
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `fs` | yes | uploads from files, downloads into files |
//! | `tokio-io` | with `fs` | uploads from any `tokio::io::AsyncRead` |
//! | `aws-lc-rs`, `ring`, `http2`, `webpki-roots` | the first | the default transport, as in acr-core |
//!
//! # Where to go next
//!
//! | you want to | look at |
//! |---|---|
//! | send bytes, files, readers, streams | [`BlobClient::upload`], [`Content`] |
//! | get a blob into a file, into memory, or as a stream | [`BlobClient::download`], [`BlobReader`] |
//! | go on in another process | [`UploadCheckpoint`], [`DownloadCheckpoint`] |
//! | show progress | [`Progress`] |
//! | upload step by step | [`UploadSession`] |
//! | name the blobs in a manifest and tag it | the crate `acr-registry` |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod content;
mod download;
#[cfg(feature = "fs")]
mod file;
#[cfg(feature = "fs")]
mod file_content;
mod info;
mod look;
mod measured;
mod pace;
mod progress;
mod range;
mod repository;
mod source;
mod stamp;
mod upload;

pub use acr_core::{Deletion, Was};

pub use self::{
    client::BlobClient,
    content::Content,
    download::{BlobReader, Download, DownloadCheckpoint, DownloadRange, PartialReader},
    info::BlobInfo,
    progress::{Phase, Progress},
    upload::{Chunker, Mount, Upload, UploadCheckpoint, UploadSession},
};
