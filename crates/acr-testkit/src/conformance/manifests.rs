//! Manifests: exact bytes, names, refusals.

use acr_core::{Action, Digest};
use http::{Method, header};
use serde_json::json;

use super::{
    blobs,
    probe::{Answer, Found, Probe},
    report::Report,
};

pub(super) async fn run(probe: &Probe, report: &mut Report) {
    report.note("a manifest comes back byte for byte", round_trip(probe).await);
    report.note("a manifest that is not there is MANIFEST_UNKNOWN", unknown(probe).await);
    report.note("a manifest whose blobs are missing is refused", missing_blobs(probe).await);
    report.note("a body that is no manifest is refused", no_manifest(probe).await);
    report.note("a reference that is no digest is a plain 404", malformed(probe).await);
    report.note("a subject's referrers are listed", referrers(probe).await);
    report.note("a manifest is deleted by digest only, and once", delete(probe).await);
}

const PUSH: &[Action] = &[Action::PULL, Action::PUSH];
const PULL: &[Action] = &[Action::PULL];
const DELETE: &[Action] = &[Action::DELETE];
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest with odd white space, which must survive.
fn image(config: &Digest, note: &str) -> String {
    format!(
        "{{\n \"schemaVersion\":2, \"mediaType\":\"{IMAGE}\",\"config\":{{\"mediaType\":\"application\\/vnd.oci.image.config.v1+json\",\"digest\":\"{config}\",\"size\":2}},\n\"layers\":[],\"annotations\":{{\"note\":\"{note}\"}} }}\n"
    )
}

async fn put(probe: &Probe, reference: &str, body: String) -> Found<Answer> {
    let path = format!("/v2/{}/manifests/{reference}", probe.one);
    let ask = probe.ask(Method::PUT, &path, &probe.one, PUSH)?;
    ask.header(header::CONTENT_TYPE, IMAGE).body(body).send().await
}

async fn get(probe: &Probe, method: Method, reference: &str) -> Found<Answer> {
    let path = format!("/v2/{}/manifests/{reference}", probe.one);
    probe.ask(method, &path, &probe.one, PULL)?.header(header::ACCEPT, IMAGE).send().await
}

/// Stores an image under a tag; its digest.
pub(super) async fn tagged(probe: &Probe, tag: &str, note: &str) -> Found<Digest> {
    let config = blobs::store(probe, b"{}").await?;
    let body = image(&config, note);
    let digest = Digest::sha256(body.as_bytes());
    put(probe, tag, body).await?.status(201)?.has_digest(&digest)?;
    Ok(digest)
}

async fn round_trip(probe: &Probe) -> Found {
    let config = blobs::store(probe, b"{}").await?;
    let body = image(&config, "round trip");
    let digest = Digest::sha256(body.as_bytes());
    put(probe, "round-trip", body.clone()).await?.status(201)?.has_digest(&digest)?;
    for reference in ["round-trip", digest.as_str()] {
        let answer = get(probe, Method::GET, reference).await?.status(200)?;
        answer.has_digest(&digest)?.has("content-type", IMAGE)?.is(body.as_bytes())?;
        let head = get(probe, Method::HEAD, reference).await?.status(200)?;
        head.has_digest(&digest)?.has("content-length", &body.len().to_string())?.is(b"")?;
    }
    Ok(())
}

async fn unknown(probe: &Probe) -> Found {
    get(probe, Method::GET, "no-such-tag").await?.error(404, "MANIFEST_UNKNOWN")?;
    let digest = Digest::sha256(b"no such manifest");
    get(probe, Method::GET, digest.as_str()).await?.error(404, "MANIFEST_UNKNOWN").map(drop)
}

async fn missing_blobs(probe: &Probe) -> Found {
    let answer = put(probe, "broken", image(&Digest::sha256(b"never stored"), "x")).await?;
    match answer.status.is_client_error() {
        true => get(probe, Method::GET, "broken").await?.status(404).map(drop),
        false => answer.status(400).map(drop),
    }
}

async fn no_manifest(probe: &Probe) -> Found {
    put(probe, "broken", "{\"no\":".to_owned()).await?.error(400, "MANIFEST_INVALID").map(drop)
}

async fn malformed(probe: &Probe) -> Found {
    get(probe, Method::GET, "sha256:xyz").await?.status(404)?.is(b"404 page not found\n").map(drop)
}

async fn referrers(probe: &Probe) -> Found {
    let subject = tagged(probe, "subject", "subject").await?;
    let config = blobs::store(probe, b"{}").await?;
    let descriptor = |kind: &str, digest: &Digest, size: u64| json!({ "mediaType": kind, "digest": digest.as_str(), "size": size });
    let size = image(&config, "subject").len() as u64;
    let body = json!({
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": "application/vnd.example.note",
        "config": descriptor("application/vnd.oci.empty.v1+json", &config, 2),
        "layers": [descriptor("application/octet-stream", &config, 2)],
        "subject": descriptor(IMAGE, &subject, size),
    });
    let body = body.to_string();
    let digest = Digest::sha256(body.as_bytes());
    put(probe, digest.as_str(), body).await?.status(201)?.has("oci-subject", subject.as_str())?;
    let path = format!("/v2/{}/referrers/{subject}", probe.one);
    let list = probe.ask(Method::GET, &path, &probe.one, PULL)?.send().await?.status(200)?;
    list.at("/manifests/0/digest", &json!(digest.as_str()))?
        .at("/manifests/0/artifactType", &json!("application/vnd.example.note"))
        .map(drop)
}

async fn delete(probe: &Probe) -> Found {
    let digest = tagged(probe, "doomed", "doomed").await?;
    let delete = |reference: String| async move {
        let path = format!("/v2/{}/manifests/{reference}", probe.one);
        probe.ask(Method::DELETE, &path, &probe.one, DELETE)?.send().await
    };
    delete("doomed".to_owned()).await?.error(405, "UNSUPPORTED")?;
    delete(digest.to_string()).await?.status(202)?;
    delete(digest.to_string()).await?.error(404, "MANIFEST_UNKNOWN")?;
    get(probe, Method::GET, "doomed").await?.status(404).map(drop)
}
