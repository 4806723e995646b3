//! Documents of the image specification: manifests, indexes, descriptors, platforms.
//!
//! A [`Manifest`] is exact bytes and their digest; [`Manifest::document`] is a view of them,
//! lenient and beside them. What is written is made of [`Descriptor`]s, which are strict.

mod descriptor;
mod descriptor_view;
mod document;
mod lenient_json;
mod manifest;
mod open;
mod parts;
mod place;
mod platform;
mod proof;
mod selection;
mod shape;
mod signed;
mod strict_json;
mod trouble;

pub use self::{
    descriptor::Descriptor,
    descriptor_view::DescriptorView,
    document::{ArtifactManifest, ImageIndex, ImageManifest},
    manifest::{Document, Manifest},
    open::{Architecture, MediaType, OperatingSystem},
    platform::Platform,
};
