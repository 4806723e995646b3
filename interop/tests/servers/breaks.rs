//! Downloads over a line that breaks, out of registries that know closed ranges, open ones or none.

use acr_blob::{BlobClient, DownloadCheckpoint};
use acr_core::{Endpoint, Pipeline};
use acr_interop::{Passed, RegistryProcess, RegistrySoftware, Relay, Spoils, Trials};
use http::Method;

use crate::{
    noise,
    support::{Result, ensure, same},
};

const SIZE: usize = 8 * 1024 * 1024;

/// About where the line breaks.
const MIDDLE: usize = SIZE / 2;

#[tokio::test]
async fn b10_a_download_that_breaks_in_the_middle_asks_for_the_rest_alone() -> Result {
    for software in RegistrySoftware::ALL {
        let mut trials = Trials::new("servers", software.to_string(), software.version().await?);
        let operation = "go on with a download that broke in the middle";
        trials.pass(operation, breaks(software)).await?;
        trials.finish()?;
    }
    Ok(())
}

async fn breaks(software: RegistrySoftware) -> Result {
    let registry = RegistryProcess::builder().software(software).start().await?;
    let relay = Relay::start(registry.address(), Spoils::Download(MIDDLE)).await?;
    let content = noise(SIZE, 30);
    let digest = client(&relay)?.upload(content.clone()).await?.digest;
    relay.passed();

    // By the same client, which knows the length of the answer that broke.
    let back = client(&relay)?.download(&digest).await?.bytes(SIZE).await?;
    ensure(back == content, "other bytes came back")?;
    let asked = relay.passed();
    let rest = first_of_closed(asked.get(1).ok_or("it did not break")?)?;
    same(asked.len(), 2, "requests")?;
    ensure((1..=SIZE as u64 / 2).contains(&rest), &format!("went on from {rest}"))?;

    // By another process, which knows it from the checkpoint.
    let mut reader = client(&relay)?.download(&digest).await?;
    let mut had = Vec::new();
    while had.len() < MIDDLE {
        had.extend_from_slice(&reader.chunk().await?.ok_or("it ended early")?);
    }
    let saved = serde_json::to_string(&reader.checkpoint())?;
    drop(reader);
    relay.passed();
    let checkpoint: DownloadCheckpoint = serde_json::from_str(&saved)?;
    let rest = client(&relay)?.download(&digest).resume(checkpoint).await?.bytes(SIZE).await?;
    let asked = relay.passed();
    same(asked.len(), 1, "requests")?;
    same(first_of_closed(asked.first().ok_or("nobody asked")?)?, had.len() as u64, "start")?;
    had.extend_from_slice(&rest);
    ensure(had == content, "the parts do not make the content")
}

/// Where the range of a `GET` begins, which ends with the last byte.
fn first_of_closed(asked: &Passed) -> Result<u64> {
    let wrong = || format!("asked with `{asked}`");
    let range = asked.range.as_deref().and_then(|range| range.strip_prefix("bytes="));
    let (first, last) = range.and_then(|range| range.split_once('-')).ok_or_else(wrong)?;
    ensure(asked.method == Method::GET && last == (SIZE - 1).to_string(), &wrong())?;
    Ok(first.parse()?)
}

fn client(relay: &Relay) -> Result<BlobClient> {
    let endpoint = Endpoint::insecure_loopback(relay.address())?;
    Ok(BlobClient::new(Pipeline::builder(endpoint).build()?, "library/broken".parse()?))
}
