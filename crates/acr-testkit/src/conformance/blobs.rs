//! Uploads, downloads, mounts.

use acr_core::{Action, Digest, RepositoryName};
use http::{Method, header};

use super::{
    probe::{Answer, Found, Probe},
    report::Report,
};

pub(super) async fn run(probe: &Probe, report: &mut Report) {
    report.note("an upload in two requests is stored", two_requests(probe).await);
    report.note("an upload in chunks is stored", chunks(probe).await);
    report.note("a session tells how far it is", status(probe).await);
    report.note("a chunk at the wrong place is refused and does no harm", gap(probe).await);
    report.note("a first chunk not at the start is refused by code", bad_start(probe).await);
    report.note("content with another digest is refused", wrong_digest(probe).await);
    report.note("a cancelled session is gone", cancel(probe).await);
    report.note("a blob is read whole and in ranges", reads(probe).await);
    report.note("a blob that is not there is BLOB_UNKNOWN", unknown(probe).await);
    report.note("a blob is mounted from another repository", mount(probe).await);
    report.note("a mount of nothing becomes a session", mount_nothing(probe).await);
    report.note("an empty blob is a blob", empty(probe).await);
    report.note("a blob is deleted once", delete(probe).await);
}

const PUSH: &[Action] = &[Action::PULL, Action::PUSH];
const PULL: &[Action] = &[Action::PULL];
const DELETE: &[Action] = &[Action::DELETE];

/// Starts a session; its location.
async fn start(probe: &Probe, repository: &RepositoryName) -> Found<String> {
    let path = format!("/v2/{repository}/blobs/uploads/");
    let answer = probe.ask(Method::POST, &path, repository, PUSH)?.send().await?.status(202)?;
    answer.header("docker-upload-uuid")?;
    location(&answer)
}

/// The location as a path: registries may send it with or without the host.
fn location(answer: &Answer) -> Found<String> {
    let text = answer.header("location")?;
    let uri: http::Uri = text.parse().map_err(|_| format!("location `{text}` is no URL"))?;
    uri.path_and_query().map(ToString::to_string).ok_or_else(|| format!("no path in `{text}`"))
}

async fn patch(probe: &Probe, at: &str, range: &str, chunk: &'static [u8]) -> Found<Answer> {
    let ask = probe.ask(Method::PATCH, at, &probe.one, PUSH)?;
    let ask = ask.header(header::CONTENT_TYPE, "application/octet-stream");
    ask.header(header::CONTENT_RANGE, range).body(chunk).send().await
}

async fn commit(probe: &Probe, at: &str, digest: &Digest, rest: &'static [u8]) -> Found<Answer> {
    let joint = if at.contains('?') { '&' } else { '?' };
    let path = format!("{at}{joint}digest={}", digest.as_str().replace(':', "%3A"));
    let ask = probe.ask(Method::PUT, &path, &probe.one, PUSH)?;
    ask.header(header::CONTENT_TYPE, "application/octet-stream").body(rest).send().await
}

/// Stores content in the first repository.
pub(super) async fn store(probe: &Probe, content: &'static [u8]) -> Found<Digest> {
    let digest = Digest::sha256(content);
    let at = start(probe, &probe.one).await?;
    commit(probe, &at, &digest, content).await?.status(201)?.has_digest(&digest)?;
    Ok(digest)
}

async fn get(probe: &Probe, repository: &RepositoryName, digest: &Digest) -> Found<Answer> {
    let path = format!("/v2/{repository}/blobs/{digest}");
    probe.ask(Method::GET, &path, repository, PULL)?.send().await
}

async fn two_requests(probe: &Probe) -> Found {
    let digest = store(probe, b"two requests").await?;
    get(probe, &probe.one, &digest).await?.status(200)?.is(b"two requests").map(drop)
}

async fn chunks(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    let first = patch(probe, &at, "0-4", b"first").await?.status(202)?.has("range", "0-4")?;
    let second = patch(probe, &location(&first)?, "5-10", b"second").await?;
    let second = second.status(202)?.has("range", "0-10")?;
    let digest = Digest::sha256(b"firstsecondlast");
    commit(probe, &location(&second)?, &digest, b"last").await?.status(201)?.has_digest(&digest)?;
    get(probe, &probe.one, &digest).await?.status(200)?.is(b"firstsecondlast").map(drop)
}

async fn status(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    let first = patch(probe, &at, "0-4", b"first").await?.status(202)?;
    let ask = probe.ask(Method::GET, &location(&first)?, &probe.one, PULL)?;
    let told = ask.send().await?.status(204)?.has("range", "0-4")?;
    told.header("docker-upload-uuid")?;
    let ask = probe.ask(Method::DELETE, &location(&told)?, &probe.one, DELETE)?;
    ask.send().await?.status(204).map(drop)
}

async fn gap(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    let first = patch(probe, &at, "0-4", b"first").await?.status(202)?;
    let at = location(&first)?;
    patch(probe, &at, "7-8", b"xx").await?.status(416)?.has("range", "0-4")?;
    let digest = Digest::sha256(b"first");
    commit(probe, &at, &digest, b"").await?.status(201)?.has_digest(&digest).map(drop)
}

async fn bad_start(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    patch(probe, &at, "7-8", b"xx").await?.error(416, "BLOB_UPLOAD_RANGE_INVALID")?;
    let first = patch(probe, &at, "0-4", b"first").await?.status(202)?.has("range", "0-4")?;
    let ask = probe.ask(Method::DELETE, &location(&first)?, &probe.one, DELETE)?;
    ask.send().await?.status(204).map(drop)
}

async fn wrong_digest(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    let other = Digest::sha256(b"something else");
    commit(probe, &at, &other, b"content").await?.error(400, "DIGEST_INVALID")?;
    let path = format!("/v2/{}/blobs/{other}", probe.one);
    probe.ask(Method::HEAD, &path, &probe.one, PULL)?.send().await?.status(404).map(drop)
}

async fn cancel(probe: &Probe) -> Found {
    let at = start(probe, &probe.one).await?;
    probe.ask(Method::DELETE, &at, &probe.one, DELETE)?.send().await?.status(204)?;
    let again = probe.ask(Method::GET, &at, &probe.one, PULL)?.send().await?;
    again.error(404, "BLOB_UPLOAD_UNKNOWN").map(drop)
}

async fn reads(probe: &Probe) -> Found {
    let digest = store(probe, b"0123456789").await?;
    let path = format!("/v2/{}/blobs/{digest}", probe.one);
    let head = probe.ask(Method::HEAD, &path, &probe.one, PULL)?.send().await?.status(200)?;
    head.has("content-length", "10")?.has_digest(&digest)?.is(b"")?;
    for (range, content, told) in [
        ("bytes=0-3", &b"0123"[..], "bytes 0-3/10"),
        ("bytes=7-9", b"789", "bytes 7-9/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
    ] {
        let ask = probe.ask(Method::GET, &path, &probe.one, PULL)?.header(header::RANGE, range);
        let part = ask.send().await?.status(206).map_err(|found| format!("{range}: {found}"))?;
        part.has("content-range", told)?.is(content)?;
    }
    Ok(())
}

async fn unknown(probe: &Probe) -> Found {
    let nobody = Digest::sha256(b"nobody stored this");
    get(probe, &probe.one, &nobody).await?.error(404, "BLOB_UNKNOWN").map(drop)
}

async fn mount(probe: &Probe) -> Found {
    let digest = store(probe, b"mounted").await?;
    ask_mount(probe, &digest).await?.status(201)?.has_digest(&digest)?;
    get(probe, &probe.two, &digest).await?.status(200)?.is(b"mounted").map(drop)
}

async fn mount_nothing(probe: &Probe) -> Found {
    let answer = ask_mount(probe, &Digest::sha256(b"not there")).await?.status(202)?;
    let at = location(&answer)?;
    probe.ask(Method::DELETE, &at, &probe.two, DELETE)?.send().await?.status(204).map(drop)
}

async fn ask_mount(probe: &Probe, digest: &Digest) -> Found<Answer> {
    let from = probe.one.as_str().replace('/', "%2F");
    let digest = digest.as_str().replace(':', "%3A");
    let path = format!("/v2/{}/blobs/uploads/?from={from}&mount={digest}", probe.two);
    let scope = acr_core::Scope::repository(&probe.two, PUSH)
        .union(acr_core::Scope::repository(&probe.one, PULL));
    probe.scoped(Method::POST, &path, scope)?.send().await
}

async fn empty(probe: &Probe) -> Found {
    let digest = store(probe, b"").await?;
    let path = format!("/v2/{}/blobs/{digest}", probe.one);
    let head = probe.ask(Method::HEAD, &path, &probe.one, PULL)?.send().await?.status(200)?;
    head.has("content-length", "0").map(drop)
}

async fn delete(probe: &Probe) -> Found {
    let digest = store(probe, b"to be deleted").await?;
    let path = format!("/v2/{}/blobs/{digest}", probe.one);
    let delete = || async { probe.ask(Method::DELETE, &path, &probe.one, DELETE)?.send().await };
    delete().await?.status(202)?;
    delete().await?.error(404, "BLOB_UNKNOWN").map(drop)
}
