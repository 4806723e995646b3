//! Access tokens that end in the middle of a long transfer: it ends well all the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content};
use acr_core::{
    Action, ByteRange, Digest, Pipeline, RepositoryName, Scope,
    http::{BoxError, Effect, FollowRedirects, Operation, RequestBuilder},
};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault, Kind, Operation as Asked};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode, header};

const CHUNK: usize = 1024;
const CHUNKS: usize = 100;

/// One token in this many seconds; a chunk takes seven.
const LIFE: Duration = Duration::from_secs(60);
const PER_CHUNK: Duration = Duration::from_secs(7);

fn pipeline(registry: &FakeRegistry) -> Pipeline {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

fn repository() -> RepositoryName {
    "library/app".parse().unwrap()
}

fn content() -> Bytes {
    (0..CHUNK * CHUNKS).map(|n| (n / 7) as u8).collect()
}

/// The content in chunks, each of which takes its time.
fn slow_content(content: &Bytes) -> Content {
    let pieces: Vec<Bytes> = content.chunks(CHUNK).map(Bytes::copy_from_slice).collect();
    Content::stream(Box::pin(stream::unfold(pieces.into_iter(), |mut pieces| async {
        let piece = pieces.next()?;
        tokio::time::advance(PER_CHUNK).await;
        Some((Ok::<_, BoxError>(piece), pieces))
    })))
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_a_hundred_chunks_outlives_its_tokens_unnoticed() {
    let registry = FakeRegistry::builder().access_token_lifetime(LIFE).build();
    let blobs = BlobClient::new(pipeline(&registry), repository());
    let content = content();
    let info = blobs.upload(slow_content(&content)).chunk_size(CHUNK).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&content));
    let journal = registry.journal();
    assert_eq!(journal.count(Kind::Challenge), 0, "each token is replaced before its end");
    assert!(journal.count(Kind::Token) >= 11, "seven hundred seconds, a minute each");
    assert_eq!(journal.count(Kind::Exchange), 1);
    assert_eq!(registry.open_uploads(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_upload_goes_on_when_its_token_is_refused_before_its_end() {
    let registry = FakeRegistry::new();
    // Revoked three times on the way, once at the commit.
    for nth in [2, 40, 80] {
        registry.inject(Fault::status(Asked::UploadChunk, nth, 401));
    }
    registry.inject(Fault::status(Asked::CompleteUpload, 1, 401));
    let blobs = BlobClient::new(pipeline(&registry), repository());
    let content = content();
    let info = blobs.upload(slow_content(&content)).chunk_size(CHUNK).await.unwrap();
    assert_eq!(info.digest, Digest::sha256(&content));
    assert_eq!(registry.pending_faults(), 0, "all of them struck");
    assert_eq!(registry.journal().count(Kind::Exchange), 1);
    let back = blobs.download(&info.digest).await.unwrap().bytes(content.len()).await.unwrap();
    assert_eq!(back, content);
}

#[tokio::test(start_paused = true)]
async fn a_download_in_a_hundred_ranges_outlives_its_tokens() {
    for delivery in [BlobDelivery::Direct, BlobDelivery::Redirect] {
        let registry = FakeRegistry::builder().access_token_lifetime(LIFE).blobs(delivery).build();
        let pipeline = pipeline(&registry);
        let content = content();
        let blobs = BlobClient::new(pipeline.clone(), repository());
        let digest = blobs.upload(content.clone()).await.unwrap().digest;
        registry.inject(Fault::status(Asked::DownloadBlob, 50, 401));
        let mut back = Vec::new();
        for n in 0..CHUNKS {
            let range =
                ByteRange::new((n * CHUNK) as u64, Some((n * CHUNK + CHUNK - 1) as u64)).unwrap();
            let path = ["v2", "library/app", "blobs", digest.as_str()];
            let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &path)
                .operation(Operation::new("read_range"))
                .scope(Scope::repository(&repository(), &[Action::PULL]))
                .effect(Effect::Read)
                .header(header::RANGE, range.to_string().parse().unwrap());
            let mut request = request.build().unwrap();
            request.extensions_mut().insert(FollowRedirects::default());
            let answer = pipeline.send(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            back.extend_from_slice(&answer.into_body().bytes(CHUNK).await.unwrap());
            tokio::time::advance(PER_CHUNK).await;
        }
        assert_eq!(Digest::sha256(&back), digest);
        assert_eq!(registry.pending_faults(), 0);
        assert!(registry.journal().count(Kind::Token) >= 12);
    }
}
