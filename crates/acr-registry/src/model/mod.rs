//! What the registry tells.

mod deletion;
mod descriptor;
mod document;
mod manifest;
mod manifest_changes;
mod open;
mod permissions;
mod properties;
mod unknown_fields;
mod wire;

pub(crate) use self::wire::{Owner, WireManifest, WireRepository, WireTag, null_is_empty};
pub use self::{
    deletion::{RepositoryDeletion, TagDeletion},
    descriptor::{Descriptor, Platform},
    document::{ArtifactManifest, ImageIndex, ImageManifest},
    manifest::{Document, Manifest},
    manifest_changes::ManifestChanges,
    open::{Architecture, MediaType, OperatingSystem, Order},
    permissions::Permissions,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
    unknown_fields::UnknownFields,
};
