//! Whatever a server answers: no long log line, no long error, no memory kept in one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod hostile;

use std::{
    error::Error as _,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{
    ByteRange, CallOptions, Digest, Error, Pipeline, RepositoryName, Tag, Transport,
    layer::RetryPolicy,
};
use acr_registry::{ImageIndex, Permissions, RegistryClient};

use crate::hostile::{log::Captured, server::Server};

/// What one line of a log, one `Display` and one `Debug` may have.
const LINE: usize = 2 * 1024;

/// What one error may keep in memory.
const KEPT: i64 = 8 * 1024;

#[derive(Default)]
struct Longest {
    display: usize,
    debug: usize,
    kept: i64,
    errors: usize,
}

impl Longest {
    fn see(&mut self, error: Error) {
        self.errors += 1;
        let mut causes =
            vec![(error.to_string(), format!("{error:?}")), (String::new(), format!("{error:#?}"))];
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes.push((inner.to_string(), format!("{inner:?}")));
            causes.push((String::new(), format!("{inner:#?}")));
            cause = inner.source();
        }
        for (display, debug) in causes {
            self.display = self.display.max(display.len());
            self.debug = self.debug.max(debug.len());
            assert!(!display.contains(['\u{1b}', '\n', '\u{202e}']), "{display:?}");
            assert!(!display.contains("CANARY") && !debug.contains("CANARY"), "{debug}");
        }
        let freed = allocation_counter::measure(|| drop(error));
        self.kept = self.kept.max(-freed.bytes_current);
    }
}

/// Every kind of operation once; what fails is looked at.
async fn use_everything(pipeline: &Pipeline, longest: &mut Longest) {
    let registry = RegistryClient::new(pipeline.clone());
    let name: RepositoryName = "library/app".parse().unwrap();
    let tag: Tag = "v1".parse().unwrap();
    let digest = Digest::sha256(b"content");
    let repo = registry.repository("library/app").unwrap();
    let blobs = BlobClient::new(pipeline.clone(), name);
    let mut see = |result: Result<(), Error>| {
        if let Err(error) = result {
            longest.see(error);
        }
    };
    see(registry.ping().await);
    see(registry.list_repositories().try_next().await.map(drop));
    see(repo.list_tags().try_next().await.map(drop));
    see(repo.list_manifests().try_next().await.map(drop));
    see(repo.properties().await.map(drop));
    see(repo.list_referrers(&digest).try_next().await.map(drop));
    see(repo.tag_properties(&tag).await.map(drop));
    see(repo.manifest_properties(&digest).await.map(drop));
    let permissions = || Permissions::new().read(true);
    see(repo.update_properties(permissions()).await.map(drop));
    see(repo.update_tag_properties(&tag, permissions()).await.map(drop));
    see(repo.update_manifest_properties(&digest, permissions()).await.map(drop));
    see(repo.resolve(tag.clone()).await.map(drop));
    see(repo.get_manifest(tag.clone()).await.map(drop));
    let index = ImageIndex::new().to_json().unwrap();
    see(repo.put_manifest(index).tag(&tag).await.map(drop));
    see(repo.tag(&digest, &tag).await.map(drop));
    see(repo.delete_tag(&tag).await.map(drop));
    see(repo.delete_manifest(&digest).await.map(drop));
    see(repo.delete_manifest_of_tag(&tag).await.map(drop));
    see(repo.delete().await.map(drop));
    see(blobs.blob_properties(&digest).await.map(drop));
    see(blobs.delete_blob(&digest).await.map(drop));
    see(blobs.mount(&digest, &"library/other".parse().unwrap()).await.map(drop));
    see(blobs.upload(vec![7_u8; 100_000]).await.map(drop));
    see(session(&blobs).await);
    see(download(&blobs, &digest).await);
    see(part(&blobs, &digest).await);
}

async fn session(blobs: &BlobClient) -> Result<(), Error> {
    let mut session = blobs.start_upload().await?;
    session.status().await?;
    session.write(vec![7_u8; 100_000]).await?;
    session.complete("end", None).await.map(drop)
}

async fn download(blobs: &BlobClient, digest: &Digest) -> Result<(), Error> {
    let mut reader = blobs.download(digest).await?;
    while reader.chunk().await?.is_some() {}
    Ok(())
}

async fn part(blobs: &BlobClient, digest: &Digest) -> Result<(), Error> {
    let range = ByteRange::new(3, Some(6)).unwrap();
    let mut reader = blobs.download_range(digest, range).await?;
    while reader.chunk().await?.is_some() {}
    Ok(())
}

fn credential(seed: u64) -> Credential {
    if seed % 3 == 1 {
        return Credential::password("me", "CANARY-password");
    }
    Credential::entra(credential_fn(|_| async {
        let end = SystemTime::now() + Duration::from_secs(3600);
        Ok(AccessToken::new("CANARY-token", end))
    }))
}

#[tokio::test(start_paused = true)]
async fn d1_no_answer_makes_a_long_line_or_a_large_error() {
    let cases: u64 =
        std::env::var("ACR_HOSTILE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60);
    let log = Captured::start();
    let mut longest = Longest::default();
    for seed in 0..cases {
        let endpoint = "myregistry.azurecr.io".parse().unwrap();
        let pipeline = Pipeline::builder(endpoint)
            .transport(Transport::new(Server::new(seed)))
            .retry(RetryPolicy::default().retries(1).seed(seed));
        let pipeline = match seed % 3 {
            0 => pipeline,
            _ => {
                let endpoint = "myregistry.azurecr.io".parse().unwrap();
                pipeline.layer_per_hop(AuthLayer::new(&endpoint, credential(seed)))
            }
        };
        let pipeline = pipeline.build().unwrap().with(CallOptions::new());
        use_everything(&pipeline, &mut longest).await;
    }
    let lines = log.lines();
    let line = lines.iter().max_by_key(|line| line.len()).unwrap();
    println!(
        "{} errors, {} log lines; longest line {}, Display {}, Debug {}, largest error {} bytes",
        longest.errors,
        lines.len(),
        line.len(),
        longest.display,
        longest.debug,
        longest.kept
    );
    assert!(longest.errors as u64 > 5 * cases, "the server is not hostile enough");
    assert!(line.len() <= LINE, "{} bytes: {line}", line.len());
    assert!(longest.display <= LINE, "Display has {} bytes", longest.display);
    assert!(longest.debug <= LINE, "Debug has {} bytes", longest.debug);
    assert!(longest.kept <= KEPT, "an error keeps {} bytes", longest.kept);
    for secret in ["CANARY", "\u{1b}", "\u{202e}"] {
        assert!(!lines.iter().any(|line| line.contains(secret)), "{secret:?} in a log line");
    }
}
