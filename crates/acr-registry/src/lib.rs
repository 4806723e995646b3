//! The metadata client of a container registry: repositories, tags, manifests,
//! their properties and locks.
//!
//! The clients send through an [`acr_core::Pipeline`]; whether that signs in,
//! retries or logs is the pipeline's affair.
//!
//! ```no_run
//! use acr_core::Pipeline;
//! use acr_registry::RegistryClient;
//!
//! # async fn run(pipeline: Pipeline) -> acr_core::Result<()> {
//! let repo = RegistryClient::new(pipeline).repository("library/hello-world")?;
//! let mut tags = repo.list_tags();
//! while let Some(tag) = tags.try_next().await? {
//!     println!("{} {}", tag.name, tag.digest);
//! }
//! # Ok(()) }
//! ```
//!
//! | type | what |
//! |---|---|
//! | [`RegistryClient`] | lists repositories, opens one |
//! | [`RepositoryClient`] | everything inside one repository |
//! | [`RepositoryProperties`], [`TagProperties`], [`ManifestProperties`] | what the registry knows |
//! | [`Permissions`] | the locks |
//! | [`Manifest`] | the exact bytes of a manifest, verified |

#![forbid(unsafe_code)]

mod content;
mod list;
mod manifests;
mod model;
mod registry;
mod repository;
mod tags;

pub use acr_core::Deletion;

pub use self::{
    content::{GetManifest, PutManifest},
    model::{
        Architecture, Manifest, ManifestProperties, ManifestReference, MediaType, OperatingSystem,
        Permissions, RepositoryDeletion, RepositoryProperties, TagProperties,
    },
    registry::RegistryClient,
    repository::RepositoryClient,
};
