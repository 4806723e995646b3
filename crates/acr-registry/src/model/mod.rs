//! What the registry tells.

mod deletion;
mod descriptor;
mod document;
mod fields;
mod listed;
mod manifest;
mod manifest_changes;
mod open;
mod permissions;
mod properties;
mod unknown_fields;
mod wire;

pub use self::{
    deletion::{RepositoryDeletion, TagDeletion},
    descriptor::{Descriptor, Platform},
    document::{ArtifactManifest, ImageIndex, ImageManifest},
    listed::Listed,
    manifest::{Document, Manifest},
    manifest_changes::ManifestChanges,
    open::{Architecture, MediaType, OperatingSystem, Order},
    permissions::Permissions,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
    unknown_fields::UnknownFields,
};
pub(crate) use self::{
    fields::{Fields, value},
    wire::{Owner, null_is_empty},
};
