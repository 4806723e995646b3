//! What Go's `BlobClient` does one request at a time: an upload in steps, one that is given up,
//! a mount, a look at a blob and at a part of it, all its parts, the whole of it, its deletion.
//!
//! ```text
//! cargo run --example blob_steps -- [REPOSITORY] [OTHER-REPOSITORY]
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`), and deletes there what it stored.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_blob::{BlobClient, BlobInfo, Mount};
use acr_core::{ByteRange, Digest, http::BoxError};
use acr_examples::{Registry, Wire, connect};
use bytes::Bytes;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "samples/steps".to_owned());
    let other = arguments.next().unwrap_or_else(|| "samples/other".to_owned());
    let registry = Registry::from_env().await?;
    // NewBlobClient
    let pipeline = connect(&registry, &Wire::default())?;
    let blobs = BlobClient::new(pipeline.clone(), name.parse()?);
    let others = BlobClient::new(pipeline, other.parse()?);
    // All its calls together are large for a future on the stack.
    Box::pin(run(&blobs, &others)).await?;
    registry.shutdown().await;
    Ok(())
}

async fn run(blobs: &BlobClient, others: &BlobClient) -> Result<(), BoxError> {
    let blob = upload(blobs, b"sample layer").await?;
    // MountBlob
    match others.mount(&blob.digest, blobs.repository()).await? {
        Mount::Mounted => println!("mounted  in {}", others.repository()),
        _ => return Err("the registry does not mount".into()),
    }
    // CheckBlobExists
    let found = blobs.blob_properties(&blob.digest).await?;
    println!("exists   {} {} bytes", found.digest, found.size);
    // CheckChunkExists
    let part = ByteRange::new(7, Some(11))?;
    println!("part     7-11: {}", blobs.has_range(&blob.digest, part).await?);
    download(blobs, &blob).await?;
    // DeleteBlob
    for client in [blobs, others] {
        println!("deletion: {}", client.delete_blob(&blob.digest).await?);
    }
    Ok(())
}

/// In chunks, and another one that is given up.
async fn upload(blobs: &BlobClient, content: &[u8]) -> Result<BlobInfo, BoxError> {
    // StartUpload
    let mut session = blobs.start_upload().await?;
    // UploadChunk; the session knows the newest location and the range
    for chunk in content.chunks(CHUNK) {
        session.write(chunk.to_vec()).await?;
    }
    // GetUploadStatus
    println!("status   {} bytes", session.status().await?);
    // CompleteUpload; the session has hashed what it sent
    let blob = session.complete(Bytes::new(), None).await?;
    println!("stored   {} {} bytes", blob.digest, blob.size);
    // CancelUpload
    blobs.start_upload().await?.cancel().await?;
    Ok(blob)
}

/// In parts, which whoever asks for them verifies, and as a whole, which is verified.
async fn download(blobs: &BlobClient, blob: &BlobInfo) -> Result<(), BoxError> {
    // GetChunk
    let mut parts = Vec::new();
    while (parts.len() as u64) < blob.size {
        let first = parts.len() as u64;
        let range = ByteRange::new(first, Some(first + CHUNK as u64 - 1))?;
        parts.extend_from_slice(
            &blobs.download_range(&blob.digest, range).await?.bytes(CHUNK).await?,
        );
    }
    if Digest::sha256(&parts) != blob.digest {
        return Err("the parts do not make the blob".into());
    }
    println!("parts    {}", String::from_utf8_lossy(&parts));
    // GetBlob
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("blob_file");
    let size = blobs.download(&blob.digest).to_file(&file).await?;
    println!("file     {size} bytes, verified");
    Ok(())
}

const CHUNK: usize = 5;
