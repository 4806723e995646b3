//! The content client of a container registry: uploads and verified downloads of blobs.
//!
//! ```no_run
//! use acr_blob::BlobClient;
//! use acr_core::Pipeline;
//!
//! # async fn run(pipeline: Pipeline) -> acr_core::Result<()> {
//! let blobs = BlobClient::new(pipeline, "library/app".parse()?);
//! let layer = blobs.upload(&b"sample layer"[..]).await?;
//! let content = blobs.download(&layer.digest).await?.bytes(1 << 20).await?;
//! assert_eq!(content, &b"sample layer"[..]);
//! # Ok(()) }
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
//! | `aws-lc-rs`, `ring` | `aws-lc-rs` | the default transport, see acr-core |

#![forbid(unsafe_code)]

mod client;
mod content;
mod download;
#[cfg(feature = "fs")]
mod file;
#[cfg(feature = "fs")]
mod file_content;
mod info;
mod look;
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
