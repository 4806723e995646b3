//! What the registry tells.

mod descriptor;
mod descriptor_view;
mod document;
mod fields;
pub(crate) mod lenient_json;
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
mod wire;

pub use acr_core::{Listed, UnknownFields};

pub use self::{
    descriptor::Descriptor,
    descriptor_view::DescriptorView,
    document::{ArtifactManifest, ImageIndex, ImageManifest},
    manifest::{Document, Manifest},
    manifest_changes::ManifestChanges,
    open::{Architecture, MediaType, OperatingSystem, Order},
    permissions::Permissions,
    platform::Platform,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
};
pub(crate) use self::{
    fields::{Fields, value},
    shown::Shown,
    strict_json::NotRead,
    wire::Owner,
};
