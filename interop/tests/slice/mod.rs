//! What every registry must let us do with content: the same steps for each.

use std::{error::Error, fs, io::Cursor};

use acr_blob::{BlobClient, Content};
use acr_core::{Digest, ErrorKind, Pipeline, RepositoryName, Tag};
use acr_registry::RepositoryClient;
use bytes::Bytes;
use tempfile::TempDir;

pub(crate) type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Uploads in every way, puts, gets, downloads, misses and deletes.
pub(crate) async fn run(pipeline: &Pipeline) -> Result {
    let name: RepositoryName = "library/slice".parse()?;
    let blobs = BlobClient::new(pipeline.clone(), name.clone());
    let repository = RepositoryClient::new(pipeline.clone(), name);

    let large = upload_a_file_in_chunks(&blobs).await?;
    Box::pin(upload_a_stream_of_unknown_length(&blobs)).await?;
    upload_in_one_piece(&blobs).await?;
    download_into_a_file(&blobs, &large).await?;
    let manifest = put_and_get_a_manifest(&blobs, &repository, &large).await?;
    miss_a_manifest(&repository).await?;
    delete(&blobs, &large, &repository, &manifest).await
}

/// A small manifest with one blob of its own, for tests that look at the way there.
pub(crate) async fn put_something(pipeline: &Pipeline, name: &RepositoryName) -> Result<Digest> {
    let blobs = BlobClient::new(pipeline.clone(), name.clone());
    let config = Bytes::from_static(b"{}");
    blobs.upload(config.clone()).await?;
    let repository = RepositoryClient::new(pipeline.clone(), name.clone());
    let tag: Tag = "v1".parse()?;
    Ok(repository.put_manifest(manifest_of(&config, &config)).tag(&tag).await?)
}

async fn upload_a_file_in_chunks(blobs: &BlobClient) -> Result<Bytes> {
    let content = noise(5 * CHUNK + 17, 1);
    let folder = TempDir::new()?;
    let path = folder.path().join("layer");
    fs::write(&path, &content)?;

    let info = blobs.upload(Content::file(&path).await?).chunk_size(CHUNK).await?;

    assert_eq!(info.digest, Digest::sha256(&content));
    assert_eq!(info.size, content.len() as u64);
    assert!(blobs.exists(&info.digest).await?);
    Ok(content)
}

async fn upload_a_stream_of_unknown_length(blobs: &BlobClient) -> Result {
    // Also a whole number of chunks: the end is only known after the last of them.
    for (length, seed) in [(3 * CHUNK + 1, 2), (2 * CHUNK, 3)] {
        let content = noise(length, seed);
        let source = Content::reader(Cursor::new(content.clone()));
        assert_eq!(source.len(), None);

        let info = blobs.upload(source).chunk_size(CHUNK).await?;

        assert_eq!(info.digest, Digest::sha256(&content));
        let read = blobs.download(&info.digest).await?.bytes(content.len()).await?;
        assert_eq!(read, content);
    }
    Ok(())
}

async fn upload_in_one_piece(blobs: &BlobClient) -> Result {
    let content = noise(100, 4);
    let digest = Digest::sha256(&content);
    assert!(!blobs.exists(&digest).await?);

    let info = blobs.upload(content).digest(&digest).await?;

    assert_eq!((info.digest, info.size), (digest.clone(), 100));
    assert!(blobs.exists(&digest).await?);
    Ok(())
}

async fn download_into_a_file(blobs: &BlobClient, content: &Bytes) -> Result {
    let folder = TempDir::new()?;
    let path = folder.path().join("copy");

    let size = blobs.download(Digest::sha256(content)).to_file(&path).await?;

    assert_eq!(size, content.len() as u64);
    assert!(fs::read(&path)? == *content, "the copy differs");
    Ok(())
}

async fn put_and_get_a_manifest(
    blobs: &BlobClient,
    repository: &RepositoryClient,
    layer: &Bytes,
) -> Result<Digest> {
    let config = Bytes::from_static(br#"{"architecture":"amd64","os":"linux"}"#);
    blobs.upload(config.clone()).await?;
    let content = manifest_of(&config, layer);
    let tag: Tag = "v1".parse()?;

    let digest =
        repository.put_manifest(content.clone()).media_type(MANIFEST_TYPE).tag(&tag).await?;

    assert_eq!(digest, Digest::sha256(&content));
    let by_tag = repository.get_manifest(tag).await?;
    let by_digest = repository.get_manifest(&digest).await?;
    for manifest in [by_tag, by_digest] {
        assert_eq!(manifest.digest, digest);
        assert_eq!(manifest.media_type.as_str(), MANIFEST_TYPE);
        assert_eq!(manifest.content, content);
    }
    Ok(digest)
}

async fn miss_a_manifest(repository: &RepositoryClient) -> Result {
    let tag: Tag = "absent".parse()?;
    let by_tag = repository.get_manifest(tag).await.err();
    let by_digest = repository.get_manifest(Digest::sha256(b"absent")).await.err();
    for error in [by_tag, by_digest] {
        let error = error.ok_or("an absent manifest was found")?;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let code = error.code().map(ToString::to_string);
        assert_eq!(code.as_deref(), Some("MANIFEST_UNKNOWN"), "{error}");
    }
    Ok(())
}

async fn delete(
    blobs: &BlobClient,
    layer: &Bytes,
    repository: &RepositoryClient,
    manifest: &Digest,
) -> Result {
    repository.delete_manifest(manifest).await?;
    let error = repository.get_manifest(manifest).await.err().ok_or("it is still there")?;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");

    let layer = Digest::sha256(layer);
    blobs.delete_blob(&layer).await?;
    assert!(!blobs.exists(&layer).await?);
    Ok(())
}

fn manifest_of(config: &Bytes, layer: &Bytes) -> Bytes {
    let descriptor = |media_type: &str, content: &Bytes| {
        serde_json::json!({
            "mediaType": media_type,
            "digest": Digest::sha256(content).to_string(),
            "size": content.len(),
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    });
    Bytes::from(manifest.to_string())
}

/// Content that is the same in every run and repeats nowhere.
fn noise(length: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Small, so that a few megabytes are many chunks.
const CHUNK: usize = 512 * 1024;
