//! What Go's `BlobClient` does one request at a time: an upload in steps, one that is given up,
//! a mount, a look at a blob and at a part of it, a part and the whole of it, its deletion.
//!
//! ```text
//! cargo run -p acr-examples --example blob_steps -- [REPOSITORY] [OTHER-REPOSITORY]
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT`
//! (see `src/registry.rs`), and deletes there what it stored.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_blob::{BlobClient, Mount};
use acr_core::{BoxError, ByteRange};
use acr_examples::{Registry, Wire, connect};

const LIMIT: usize = 1 << 20;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "samples/steps".to_owned());
    let other = arguments.next().unwrap_or_else(|| "samples/other".to_owned());
    let registry = Registry::from_env().await?;
    let pipeline = connect(&registry, &Wire::default())?;
    let blobs = BlobClient::new(pipeline.clone(), name.parse()?);
    let others = BlobClient::new(pipeline, other.parse()?);
    // All its calls together are large for a future on the stack.
    Box::pin(run(&blobs, &others)).await?;
    registry.shutdown().await;
    Ok(())
}

async fn run(blobs: &BlobClient, others: &BlobClient) -> Result<(), BoxError> {
    // StartUpload, UploadChunk, GetUploadStatus, CompleteUpload
    let mut session = blobs.start_upload().await?;
    session.write("sample ").await?;
    println!("status   {} bytes", session.status().await?);
    let blob = session.complete("layer", None).await?;
    println!("stored   {} {} bytes", blob.digest, blob.size);
    // CancelUpload
    blobs.start_upload().await?.cancel().await?;
    // MountBlob
    match others.mount(&blob.digest, blobs.repository()).await? {
        Mount::Mounted => println!("mounted  in {}", others.repository()),
        _ => return Err("the registry does not mount".into()),
    }
    // CheckBlobExists, CheckChunkExists
    let part = ByteRange::new(7, Some(11))?;
    let has_part = blobs.has_range(&blob.digest, part).await?;
    println!("exists   {}, its part {has_part}", blobs.exists(&blob.digest).await?);
    // GetChunk, GetBlob
    let bytes = blobs.download_range(&blob.digest, part).await?.bytes(LIMIT).await?;
    println!("part     {}", String::from_utf8_lossy(&bytes));
    let bytes = blobs.download(&blob.digest).await?.bytes(LIMIT).await?;
    println!("whole    {}", String::from_utf8_lossy(&bytes));
    // DeleteBlob
    for client in [blobs, others] {
        println!("deletion {:?}", client.delete(&blob.digest).await?);
    }
    Ok(())
}
