//! Reverse proxies in front of `docker-registry`.

use acr_blob::{BlobClient, Content};
use acr_core::{Digest, Endpoint, Pipeline, layer::RetryPolicy};
use acr_interop::{Habit, MiddleBox, MiddleBoxProcess, RegistryProcess, Trials};
use bytes::Bytes;
use futures_util::stream;

use crate::{
    SUITE,
    support::{Result, ensure, same},
};

const LIMIT: usize = 1 << 20;

/// Longer than any body that passes, and than what a proxy keeps in memory.
const LENGTH: usize = 5 << 20;

#[tokio::test]
async fn nginx() -> Result {
    run(MiddleBox::Nginx).await
}

#[tokio::test]
async fn haproxy() -> Result {
    run(MiddleBox::HaProxy).await
}

async fn run(software: MiddleBox) -> Result {
    let registry = RegistryProcess::builder().absolute_locations().start().await?;
    let mut trials = Trials::new(SUITE, software.to_string(), software.version().await?);
    let start = |habit| software.start(registry.address(), habit);
    let buffering = start(Habit::Buffers).await?;
    trials.pass("buffers: whole bodies, chunks, downloads", transfers(&buffering)).await?;
    let limiting = start(Habit::LimitsBodies(LIMIT)).await?;
    trials.pass("413 above 1 MiB: smaller chunks", smaller_chunks(software, &limiting)).await?;
    if software == MiddleBox::Nginx {
        trials.pass("413 above 1 MiB: known from then on", learns(&limiting)).await?;
    }
    let cutting = start(Habit::CutsIdle).await?;
    trials.pass("cuts idle connections: nobody notices", idle(&cutting)).await?;
    Ok(trials.finish()?)
}

fn blobs(proxy: &MiddleBoxProcess, retries: u32) -> Result<BlobClient> {
    let endpoint = Endpoint::insecure_loopback(proxy.address())?;
    let retry = RetryPolicy::default().retries(retries);
    let pipeline = Pipeline::builder(endpoint).retry(retry).build()?;
    Ok(BlobClient::new(pipeline, "library/behind".parse()?))
}

fn content(seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(LENGTH).collect()
}

async fn transfers(proxy: &MiddleBoxProcess) -> Result {
    let (blobs, whole, cut) = (blobs(proxy, 0)?, content(1), content(2));
    blobs.upload(whole.clone()).await?;
    blobs.upload(cut.clone()).chunk_size(LIMIT).await?;
    for content in [whole, cut] {
        let digest = Digest::sha256(&content);
        let back = blobs.download(&digest).await?.bytes(LENGTH).await?;
        ensure(back == content, "other bytes came back")?;
    }
    Ok(())
}

async fn smaller_chunks(software: MiddleBox, proxy: &MiddleBoxProcess) -> Result {
    for (seed, is_stream) in [(3, false), (4, true)] {
        let content = content(seed);
        let source = if is_stream {
            let pieces: Vec<_> = content.chunks(64 * 1024).map(Bytes::copy_from_slice).collect();
            Content::stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)))
        } else {
            Content::from(content.clone())
        };
        let refused = refusals(proxy)?;
        // A client of its own, which knows nothing of the limit yet.
        let info = blobs(proxy, 0)?.upload(source).await?;
        same(&info.digest, &Digest::sha256(&content), "digest")?;
        // HAProxy keeps no log here; it closes the connection, so that its answer is mostly lost.
        if software == MiddleBox::Nginx {
            ensure(refusals(proxy)? > refused, "nothing was refused")?;
        }
    }
    Ok(())
}

async fn learns(proxy: &MiddleBoxProcess) -> Result {
    let blobs = blobs(proxy, 0)?;
    blobs.upload(content(5)).await?;
    let refused = refusals(proxy)?;
    for seed in 6..14 {
        let info = blobs.upload(content(seed)).await?;
        same(&info.digest, &Digest::sha256(&content(seed)), "digest")?;
    }
    // A client that knew nothing has three refused each time; this one tries again after 4, 8,
    // 16 and 32 chunks of the 64, for the limit may be gone.
    let refused = refusals(proxy)? - refused;
    ensure(refused <= 4, &format!("{refused} refusals of 8 uploads"))
}

/// How often nginx said 413.
fn refusals(proxy: &MiddleBoxProcess) -> Result<usize> {
    Ok(proxy.statuses()?.iter().filter(|status| **status == 413).count())
}

/// A connection that waited in the pool was closed meanwhile; a request on it was never sent.
async fn idle(proxy: &MiddleBoxProcess) -> Result {
    let blobs = blobs(proxy, 2)?;
    for seed in 10..13 {
        let content = content(seed);
        let mut session = blobs.start_upload().await?;
        session.write(content.slice(..LIMIT)).await?;
        closed_by(proxy).await?;
        let info = session.complete(content.slice(LIMIT..), None).await?;
        same(&info.digest, &Digest::sha256(&content), "digest")?;
        closed_by(proxy).await?;
        let back = blobs.download(&info.digest).await?.bytes(LENGTH).await?;
        ensure(back == content, "other bytes came back")?;
    }
    Ok(())
}

/// Waits until the proxy has closed connections as old as the newest of ours: it closes one that
/// was opened after them.
async fn closed_by(proxy: &MiddleBoxProcess) -> Result {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(proxy.address()).await?;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    ensure(answer.starts_with(b"HTTP/1.1 200"), "no answer")
}
