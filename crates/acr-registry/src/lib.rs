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
//! | [`ListPager`], [`After`] | repositories, tags, manifests and referrers: in an order, filtered, after an item |
//! | [`RepositoryProperties`], [`TagProperties`], [`ManifestProperties`], [`Listed`] | what the registry knows |
//! | [`Permissions`], [`ManifestChanges`] | the locks, and the quarantine |
//! | [`Manifest`], [`Document`] | the exact bytes of a manifest, verified; a typed view of them |
//! | [`ImageManifest`], [`ImageIndex`], [`ArtifactManifest`] | views, and builders of new ones |
//! | [`Descriptor`], [`DescriptorView`] | a part of a manifest: whole, to write; as it was found, to read |

#![forbid(unsafe_code)]

mod after;
mod answer;
mod api_version;
mod child;
#[cfg(feature = "preview")]
mod deleted;
mod get_manifest;
mod list;
mod list_pager;
mod locks;
mod manifest_request;
mod manifests;
mod model;
mod put_manifest;
mod referrers;
mod registry;
mod repeats;
mod repository;
mod resolve;
#[cfg(feature = "preview")]
mod restore_manifest;
mod stands;
mod tag_manifest;
mod tags;

pub use acr_core::{Deletion, Was};

pub use self::{
    after::After,
    api_version::ApiVersion,
    get_manifest::GetManifest,
    list_pager::ListPager,
    model::{
        Architecture, ArtifactManifest, Descriptor, DescriptorView, Document, ImageIndex,
        ImageManifest, Listed, Manifest, ManifestChanges, ManifestProperties, ManifestReference,
        MediaType, OperatingSystem, Order, Permissions, Platform, RepositoryProperties,
        TagProperties, UnknownFields,
    },
    put_manifest::PutManifest,
    registry::RegistryClient,
    repository::RepositoryClient,
    tag_manifest::TagManifest,
};
#[cfg(feature = "preview")]
pub use self::{
    deleted::{DeletedManifest, DeletedRepository, DeletedTag},
    restore_manifest::{RestoreManifest, TagConflict},
};
