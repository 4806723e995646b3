//! Builders of the operations on manifests.

use acr_core::{Digest, Error, Tag};
use acr_registry::{Manifest, MediaType, Platform};

use super::builder;

builder! {
    /// Gets a manifest when run; see [`acr_registry::GetManifest`].
    GetManifest of acr_registry::GetManifest => Manifest, r#"
let manifest = repo.get_manifest("v1").run()?;
assert_eq!(manifest.digest, repo.resolve("v1")?);"#;
    max_size(bytes: usize), r#"
assert!(repo.get_manifest("v1").max_size(16).run().is_err());"#;
    accept(media_types: impl IntoIterator<Item = MediaType>), r#"
use acr_client::MediaType;

let index = repo.get_manifest("v1").accept([MediaType::OCI_INDEX]).run()?;
assert_eq!(index.media_type, MediaType::OCI_INDEX);"#;
    allow_ambiguous(), r#"
// To keep its bytes, whatever they say.
let manifest = repo.get_manifest("v1").allow_ambiguous().run()?;
# drop(manifest);"#;
    platform(platform: impl TryInto<Platform, Error: Into<Error>>), r#"
use acr_client::Document;

let image = repo.get_manifest("v1").platform("linux/arm64").run()?;
assert!(matches!(image.document()?, Document::Image(_)));"#;
}

builder! {
    /// Puts a manifest when run, and gives its digest; see [`acr_registry::PutManifest`].
    PutManifest of acr_registry::PutManifest => Digest, r#"
let manifest = repo.get_manifest("v1").run()?;
assert_eq!(repo.put_manifest(manifest.content).run()?, manifest.digest);"#;
    tag(tag: impl TryInto<Tag, Error: Into<Error>>), r#"
let manifest = repo.get_manifest("v1").run()?;
repo.put_manifest(manifest.content).tag("v2").run()?;"#;
    if_tag_is(digest: impl TryInto<Digest, Error: Into<Error>>), r#"
let manifest = repo.get_manifest("v1").run()?;
repo.put_manifest(manifest.content).tag("latest").if_tag_is(&manifest.digest).run()?;"#;
    if_absent(), r#"
let manifest = repo.get_manifest("v1").run()?;
assert!(repo.put_manifest(manifest.content).tag("latest").if_absent().run().is_err());"#;
    media_type(media_type: impl Into<MediaType>), r#"
use acr_client::MediaType;

let manifest = repo.get_manifest("v1").run()?;
repo.put_manifest(manifest.content).media_type(MediaType::OCI_INDEX).run()?;"#;
    allow_ambiguous(), r#"
let manifest = repo.get_manifest("v1").allow_ambiguous().run()?;
repo.put_manifest(manifest.content).allow_ambiguous().tag("v2").run()?;"#;
}

builder! {
    /// Points a tag to a manifest when run; see [`acr_registry::TagManifest`].
    TagManifest of acr_registry::TagManifest => Digest, r#"
assert_eq!(repo.tag("v1", "stable").run()?, repo.resolve("v1")?);"#;
    if_tag_is(digest: impl TryInto<Digest, Error: Into<Error>>), r#"
let before = repo.resolve("latest")?;
repo.tag("v1", "latest").if_tag_is(&before).run()?;"#;
    if_absent(), r#"
assert!(repo.tag("v1", "latest").if_absent().run().is_err());"#;
}

#[cfg(feature = "preview")]
builder! {
    /// Restores a soft-deleted manifest when run; see [`acr_registry::RestoreManifest`].
    RestoreManifest of acr_registry::RestoreManifest => (), r#"
let digest = repo.resolve("v1")?;
repo.delete_manifest(&digest)?;
repo.restore_manifest(&digest).run()?;"#;
    tag(tag: impl TryInto<Tag, Error: Into<Error>>), r#"
let digest = repo.resolve("v1")?;
repo.delete_manifest(&digest)?;
repo.restore_manifest(&digest).tag("v1").run()?;"#;
    on_conflict(conflict: acr_registry::TagConflict), r#"
use acr_client::TagConflict;

let digest = repo.resolve("v1")?;
repo.delete_manifest(&digest)?;
repo.restore_manifest(&digest).tag("v1").on_conflict(TagConflict::Overwrite).run()?;"#;
}
