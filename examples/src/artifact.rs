//! An OCI artifact of one layer: how it is pushed, and how its manifest is read.

use std::{fmt, path::Path, str::FromStr};

use acr_client::{
    BlobInfo, Descriptor, DescriptorView, Digest, ImageManifest, MediaType, Registry,
    RepositoryName, Tag, http::BoxError,
};
use serde_json::json;

/// A tag of a repository, `REPOSITORY:TAG`: of the registry that an example talks to. A name with its
/// registry is an [`acr_client::ImageReference`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RepositoryTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
}

/// The name of the file that a layer was made of.
pub fn title(layer: &DescriptorView) -> Option<&str> {
    layer.annotations.get(TITLE).map(String::as_str)
}

impl FromStr for RepositoryTag {
    type Err = BoxError;

    fn from_str(text: &str) -> Result<Self, BoxError> {
        let (repository, tag) = text.rsplit_once(':').ok_or("expected REPOSITORY:TAG")?;
        Ok(Self { repository: repository.parse()?, tag: tag.parse()? })
    }
}

impl fmt::Display for RepositoryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

/// Puts an empty config and a manifest around a layer, and tags it.
///
/// # Errors
///
/// Those of the registry.
pub async fn push(
    registry: &Registry,
    image: &RepositoryTag,
    file: impl AsRef<Path> + Send,
    layer: &BlobInfo,
) -> Result<Digest, BoxError> {
    let title = file.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let repo = registry.repository(&image.repository)?;
    let empty = Digest::sha256(b"{}");
    repo.upload("{}").digest(&empty).skip_existing().await?;
    let layer = Descriptor::new("application/octet-stream", &layer.digest, layer.size);
    let manifest = ImageManifest::artifact("application/vnd.acr-rust.sample")
        .layer(layer.annotation(TITLE, title));
    Ok(repo.put_manifest(manifest.to_json()?).tag(&image.tag).await?)
}

/// Pushes what `sample_set_get_image.py` of the Python package pushes: a manifest without a
/// media type, whose config has `sizeInBytes` and no `size`, and whose layer has no title.
///
/// # Errors
///
/// Those of the registry.
pub async fn push_as_python(registry: &Registry) -> Result<RepositoryTag, BoxError> {
    let image: RepositoryTag = "samples/from-python:latest".parse()?;
    let repo = registry.repository(&image.repository)?;
    let layer = repo.upload("Sample layer").await?;
    let config = repo.upload(r#"{"sample config":"content"}"#).await?;
    let document = json!({
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config.digest,
            "sizeInBytes": config.size,
        },
        "schemaVersion": 2,
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer.digest,
            "size": layer.size,
            "annotations": { "org.opencontainers.image.ref.name": "artifact.txt" },
        }],
    });
    repo.put_manifest(serde_json::to_vec(&document)?).tag(&image.tag).await?;
    Ok(image)
}

/// Pushes what `example_upload_image_test.go` of the Go package pushes: a manifest of Docker's type,
/// whose config and layer stand in each other's place, so that each has the size of the other.
///
/// # Errors
///
/// Those of the registry.
pub async fn push_as_go(registry: &Registry) -> Result<RepositoryTag, BoxError> {
    let image: RepositoryTag = "library/hello-world:1.0.0".parse()?;
    let repo = registry.repository(&image.repository)?;
    let layer = repo.upload("hello world").await?;
    // No JSON either: its keys have no quotes.
    let config = format!(
        "{{\n  architecture: \"amd64\",\n  os: \"windows\",\n  rootfs: {{\n\ttype: \"layers\",\n\tdiff_ids: [{}],\n  }},\n}}",
        layer.digest
    );
    let config = repo.upload(config).await?;
    let document = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::DOCKER_MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": layer.digest,
            "size": config.size,
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": config.digest,
            "size": layer.size,
            "annotations": { "title": "artifact.txt" },
        }],
    });
    let manifest = repo.put_manifest(serde_json::to_vec(&document)?);
    manifest.media_type(MediaType::DOCKER_MANIFEST).tag(&image.tag).await?;
    Ok(image)
}

/// The manifest a tag names: its digest and what it says.
///
/// # Errors
///
/// Those of the registry, or when it is not of this form.
pub async fn read_manifest(
    registry: &Registry,
    image: &RepositoryTag,
) -> Result<(Digest, ImageManifest), BoxError> {
    let repo = registry.repository(&image.repository)?;
    let manifest = repo.get_manifest(&image.tag).await?;
    let document = manifest.json()?;
    Ok((manifest.digest, document))
}

const TITLE: &str = "org.opencontainers.image.title";
