//! What the registry tells.

mod fields;
mod manifest_changes;
mod order;
mod permissions;
mod properties;
pub(crate) mod quick;
mod wire;

pub use acr_core::{
    Listed, UnknownFields,
    oci::{
        Architecture, ArtifactManifest, Descriptor, DescriptorView, Document, ImageIndex,
        ImageManifest, Manifest, MediaType, OperatingSystem, Platform,
    },
};

pub(crate) use self::{
    fields::{Fields, value},
    wire::Owner,
};
pub use self::{
    manifest_changes::ManifestChanges,
    order::Order,
    permissions::Permissions,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
};
