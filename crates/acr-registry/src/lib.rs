//! The metadata client of a container registry: repositories, tags, manifests,
//! their properties and locks.
//!
//! ```sh
//! cargo add acr-registry acr-auth acr-core
//! cargo add tokio --features macros,rt-multi-thread
//! cargo add --dev acr-testkit     # the registry of the program below
//! ```
//!
//! The clients send through an [`acr_core::Pipeline`]; whether that signs in,
//! retries or logs is the pipeline's affair. `acr_auth::connect` makes the one that most programs
//! need; here it leads to the fake registry of acr-testkit:
//!
//! ```
//! use acr_auth::{AuthLayer, Credential};
//! use acr_core::Pipeline;
//! use acr_registry::{ImageIndex, RegistryClient};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let fake = acr_testkit::FakeRegistry::builder().user("me", "secret").build();
//! let auth = AuthLayer::new(&fake.endpoint(), Credential::password("me", "secret"));
//! let pipeline = Pipeline::builder(fake.endpoint()).transport(fake.transport());
//! let repo = RegistryClient::new(pipeline.layer_per_hop(auth).build()?).repository("library/app")?;
//!
//! repo.put_manifest(ImageIndex::new().to_json()?).tag("v1").await?;
//! let mut tags = repo.list_tags();
//! while let Some(tag) = tags.try_next().await? {
//!     println!("{} {}", tag.name, tag.digest);
//! }
//! # Ok::<(), acr_core::Error>(()) }).unwrap();
//! ```
//!
//! In the examples of this documentation `registry` is a [`RegistryClient`] and `repo` a
//! [`RepositoryClient`] of such a registry, in which the tags `v1` and `latest` stand for an index
//! of two images.
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
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `preview` | no | soft-deleted artifacts: `list_deleted_…` and `restore_manifest` |
//! | `aws-lc-rs`, `ring`, `http2`, `webpki-roots` | the first | the default transport, as in acr-core |
//!
//! # Where to go next
//!
//! Blobs are `acr_blob`'s, sign-in is `acr_auth`'s, errors and the options of single calls are
//! [`acr_core::Error`] and [`acr_core::CallOptions`].

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
