//! What the registry tells.

mod deletion;
mod descriptor;
mod document;
mod fields;
pub(crate) mod lenient_json;
mod listed;
mod manifest;
mod manifest_changes;
mod open;
mod parts;
mod permissions;
pub(crate) mod place;
mod platform;
mod properties;
mod selection;
mod shown;
pub(crate) mod strict_json;
mod trouble;
mod unknown_fields;
mod wire;

pub use self::{
    deletion::{RepositoryDeletion, TagDeletion},
    descriptor::Descriptor,
    document::{ArtifactManifest, ImageIndex, ImageManifest},
    listed::Listed,
    manifest::{Document, Manifest},
    manifest_changes::ManifestChanges,
    open::{Architecture, MediaType, OperatingSystem, Order},
    permissions::Permissions,
    platform::Platform,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
    unknown_fields::UnknownFields,
};
pub(crate) use self::{
    fields::{Fields, value},
    shown::Shown,
    strict_json::NotRead,
    wire::Owner,
};
