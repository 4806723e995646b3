//! What the registry tells.

mod deletion;
mod manifest;
mod open;
mod permissions;
mod properties;

pub(crate) use self::properties::{WireManifest, null_is_empty};
pub use self::{
    deletion::RepositoryDeletion,
    manifest::Manifest,
    open::{Architecture, MediaType, OperatingSystem},
    permissions::Permissions,
    properties::{ManifestProperties, ManifestReference, RepositoryProperties, TagProperties},
};
