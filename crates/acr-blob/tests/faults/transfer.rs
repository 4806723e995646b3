//! One transfer under a plan of faults.

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{
    Digest, Endpoint, Pipeline, TlsConfig, Transport, TransportBuilder,
    layer::{RetryPolicy, Timeouts},
};
use acr_testkit::{FakeRegistry, FaultPlan, Tls};

use crate::matrix::{Door, Outcome};

const CHUNK: usize = 1024;

/// Three chunks, and some bytes that ride on the closing request.
const LENGTH: usize = 3 * CHUNK + 17;

/// Over sockets time is real: long enough for loopback, short enough to be waited for.
const LIMIT: Duration = Duration::from_millis(500);

/// What the faults of a case do to a whole upload, or a download of what is there.
pub(crate) async fn run(step: &str, plan: &str, door: Door) -> Result<Outcome, String> {
    let registry = FakeRegistry::new();
    let server = match door {
        Door::Process => None,
        Door::Socket => Some(registry.serve(Tls::On).await.map_err(|e| e.to_string())?),
    };
    let (endpoint, transport) = match &server {
        None => (registry.endpoint(), registry.transport()),
        Some(server) => {
            let roots = server.ca_pem().unwrap_or_default();
            let tls = TlsConfig::only_roots(roots.as_bytes()).map_err(|e| e.to_string())?;
            let transport = TransportBuilder::new().no_proxy().tls(tls).connect_timeout(LIMIT);
            (server.endpoint(), transport.build().map_err(|e| e.to_string())?)
        }
    };
    let content: Vec<u8> = (0..LENGTH).map(|n| (n * 7 + n / 251) as u8).collect();
    let digest = Digest::sha256(&content);
    // Other connections and other tokens, so that the faults meet the transfer and nothing before.
    let before = client(&registry, &endpoint, transport.clone(), door)?;
    let is_download = step == "DL" && !plan.contains("op=complete_upload");
    if is_download {
        before.upload(content.clone()).await.map_err(|e| e.to_string())?;
    }
    let plan: FaultPlan = plan.parse().map_err(|error| format!("{error}"))?;
    registry.inject_plan(&plan);
    let blobs = client(&registry, &endpoint, transport, door)?;

    let (error, is_clean) = if is_download {
        match download(&blobs, &digest).await {
            (seen, None) => (None, seen == content),
            (seen, Some(error)) => (Some(error), content.starts_with(&seen) && seen.len() < LENGTH),
        }
    } else {
        let outcome = blobs.upload(content.clone()).chunk_size(CHUNK).await;
        let error = outcome.err();
        let is_stored = error.is_some() || stored(&registry, &digest, &content).await;
        (error, is_stored)
    };
    let open = if cannot_be_cancelled(&plan.to_string()) { 0 } else { registry.open_uploads() };
    let unused = if plan.to_string().contains("forever") { 0 } else { registry.pending_faults() };
    if let Some(server) = server {
        server.shutdown().await;
    }
    Ok(Outcome { error, is_clean, open, unused })
}

/// We do not know where the session is, or cannot get there.
fn cannot_be_cancelled(plan: &str) -> bool {
    let unknown =
        ["lose_response op=start_upload", "cut op=start_upload", "length op=start_upload"];
    unknown.iter().any(|fault| plan.contains(fault))
        || plan.contains("name=location")
        || (plan.contains("op=connect") && plan.contains("forever"))
}

async fn download(blobs: &BlobClient, digest: &Digest) -> (Vec<u8>, Option<acr_core::Error>) {
    let mut seen = Vec::new();
    let mut reader = match blobs.download(digest).await {
        Ok(reader) => reader,
        Err(error) => return (seen, Some(error)),
    };
    loop {
        match reader.chunk().await {
            Ok(Some(piece)) => seen.extend_from_slice(&piece),
            Ok(None) => return (seen, None),
            Err(error) => return (seen, Some(error)),
        }
    }
}

/// Looks past all faults, which are for other operations or used up.
async fn stored(registry: &FakeRegistry, digest: &Digest, content: &[u8]) -> bool {
    let Ok(blobs) = client(registry, &registry.endpoint(), registry.transport(), Door::Process)
    else {
        return false;
    };
    download(&blobs, digest).await.0 == content
}

fn client(
    registry: &FakeRegistry,
    endpoint: &Endpoint,
    transport: Transport,
    door: Door,
) -> Result<BlobClient, String> {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(endpoint, Credential::entra(source));
    let auth = if door == Door::Socket { auth.trust_entra_for("127.0.0.1") } else { auth };
    let mut pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(auth)
        .hashing(crate::modes::hashing());
    if door == Door::Socket {
        let retry = RetryPolicy::default().base(Duration::from_millis(5));
        pipeline = pipeline
            .retry(retry)
            .timeouts(Timeouts::default().head(LIMIT).commit(LIMIT).idle(LIMIT));
    }
    let pipeline = pipeline.build().map_err(|error| error.to_string())?;
    Ok(BlobClient::new(pipeline, "library/app".parse().unwrap()))
}
