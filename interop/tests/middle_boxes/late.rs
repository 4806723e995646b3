//! A front end that gives up before the registry behind it has stored a blob.

use std::time::Duration;

use acr_blob::{BlobClient, Content};
use acr_core::{Digest, Endpoint, Pipeline};
use acr_interop::{Habit, MiddleBox, MiddleBoxProcess, RegistryProcess, Relay, Spoils, Trials};
use bytes::Bytes;
use futures_util::stream;
use http::Method;

use crate::{
    SUITE,
    support::{Result, ensure, same},
};

const CHUNK: usize = 1 << 20;

const LENGTH: usize = 5 * CHUNK + 17;

/// How long the front end waits for the registry. The blob is looked for five times as long: enough
/// on a busy machine too.
const LIMIT: Duration = Duration::from_secs(3);

/// How often the blob is looked for in vain: more than once.
const LOOKS: usize = 2;

#[tokio::test]
async fn b5_a_commit_that_outlasts_nginx_sends_nothing_again() -> Result {
    outlasts(MiddleBox::Nginx).await
}

#[tokio::test]
async fn b5_a_commit_that_outlasts_haproxy_sends_nothing_again() -> Result {
    outlasts(MiddleBox::HaProxy).await
}

async fn outlasts(software: MiddleBox) -> Result {
    let registry = RegistryProcess::builder().start().await?;
    let mut trials = Trials::new(SUITE, software.to_string(), software.version().await?);
    for (is_known, operation) in [
        (false, "gives up before a blob is stored, upload gone: nothing is sent again"),
        (true, "gives up before a blob is stored, upload known: no chunk is sent again"),
    ] {
        let relay = Relay::start(registry.address(), Spoils::Commit { looks: LOOKS, is_known });
        let relay = relay.await?;
        let proxy = software.start(relay.address(), Habit::GivesUp(LIMIT)).await?;
        trials.pass(operation, uploads(&relay, &proxy, is_known)).await?;
    }
    Ok(trials.finish()?)
}

async fn uploads(relay: &Relay, proxy: &MiddleBoxProcess, is_known: bool) -> Result {
    let endpoint = Endpoint::insecure_loopback(proxy.address())?;
    let pipeline = Pipeline::builder(endpoint).build()?;
    let blobs = BlobClient::new(pipeline, "library/late".parse()?);
    let content = content(is_known.into());
    let pieces: Vec<_> = content.chunks(64 * 1024).map(Bytes::copy_from_slice).collect();
    // A stream cannot be sent twice, so that there is one try.
    let source = Content::stream(stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>)));
    let info = blobs.upload(source).chunk_size(CHUNK).await?;
    same(&info.digest, &Digest::sha256(&content), "digest")?;

    let passed = relay.passed();
    let told: Vec<_> = passed.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    let count = |method: Method| passed.iter().filter(|one| one.method == method).count();
    same(count(Method::POST), 1, &told)?;
    same(count(Method::PATCH), LENGTH / CHUNK, &told)?;
    ensure((LOOKS..=LOOKS + 4).contains(&count(Method::HEAD)), &told)?;
    // The rest goes with the closing request, which an upload that is still known gets again.
    let closed = count(Method::PUT);
    ensure(closed == 1 || (is_known && closed <= LOOKS + 1), &told)?;
    let sent: u64 = passed.iter().map(|one| one.sent).sum();
    same(sent, (LENGTH + (closed - 1) * (LENGTH % CHUNK)) as u64, &told)?;
    ensure(count(Method::GET) <= LOOKS + 2, &told)?;
    let back = blobs.download(&info.digest).await?.bytes(LENGTH).await?;
    ensure(back == content, "other bytes came back")
}

fn content(seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(70 + seed);
    std::iter::repeat_with(|| random.u8(..)).take(LENGTH).collect()
}
