//! Something to look at in a registry that is empty.

use acr_core::{Digest, Result, Tag};
use acr_registry::{Descriptor, ImageIndex, MediaType, RepositoryClient};

/// Pushes indexes without children, one for each tag, the first one first.
///
/// # Errors
///
/// Those of the registry; a text that is no tag.
pub async fn push_samples(repository: &RepositoryClient, tags: &[&str]) -> Result<Vec<Digest>> {
    let mut digests = Vec::new();
    for &text in tags {
        let tag: Tag = text.parse()?;
        let sample = ImageIndex::new().annotation("sample", text);
        digests.push(repository.put_manifest(sample.to_json()?).tag(&tag).await?);
    }
    Ok(digests)
}

/// Pushes an index that names these, as a multi-platform image names its images.
///
/// # Errors
///
/// Those of the registry; a text that is no tag.
pub async fn push_parent(
    repository: &RepositoryClient,
    children: &[Digest],
    tag: &str,
) -> Result<Digest> {
    let mut parent = ImageIndex::new().annotation("sample", tag);
    for child in children {
        let manifest = repository.get_manifest(child).await?;
        parent = parent.manifest(Descriptor::of(MediaType::OCI_INDEX, &manifest.content));
    }
    repository.put_manifest(parent.to_json()?).tag(&tag.parse::<Tag>()?).await
}
