//! Blob uploads: sessions, single requests and mounts.

use std::{io, sync::Arc};

use acr_core::{Algorithm, Digest, Digester};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{
    access::Grant,
    answer::{
        Answer, DOCKER_CONTENT_DIGEST, DOCKER_UPLOAD_UUID, Failure, Refusal, Reply, empty,
        malformed_digest, set, with, wrong_digest,
    },
    content::Content,
    exchange::Exchange,
    ledger::{Change, Table},
    sync::lock,
    upload::{Guard, Session, Told, UploadState, discard, invalid, receive, size_invalid},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RangeDetail<'a> {
    range: &'a str,
    reason: &'a str,
}

/// `POST /v2/{name}/blobs/uploads/`, with the whole blob where `digest` is given.
pub(crate) async fn start(x: &mut Exchange<'_>) -> Reply {
    let digest = x.query.get("digest").map(|text| parse_digest(x, Some(text))).transpose()?;
    if let Some(mounted) = mount_from_anywhere(x)? {
        return Ok(mounted);
    }
    let Some(digest) = digest else {
        let session = open_new(x).await?;
        return Ok(progress(x, &session, StatusCode::ACCEPTED));
    };
    let shared = x.shared;
    let session =
        Session::new(&x.route.repository, shared.upload_id(), shared.clock.stamp(), &shared.store);
    let session = Arc::new(Mutex::new(session)).lock_owned().await;
    let session = receive(session, x.body, None).await?;
    finish(x, session, &digest).await
}

/// A mount that names no source: only the profile of the specification looks everywhere, that is
/// wherever the client may pull.
fn mount_from_anywhere(x: &Exchange<'_>) -> Result<Option<Answer>, Refusal> {
    let blob = x.query.get("mount").filter(|_| x.shared.settings.is_oci());
    let Some(digest) = blob.and_then(|blob| blob.parse::<Digest>().ok()) else { return Ok(None) };
    let may_read = |name: &str| x.may(Some(&Grant::pull(name)));
    let is_mounted =
        lock(&x.shared.state).mount_blob(&x.route.repository, &digest, None, may_read)?;
    Ok(is_mounted.then(|| created(x, &digest)))
}

/// `POST /v2/{name}/blobs/uploads/?mount=…&from=…`: mounted, or an ordinary session.
pub(crate) async fn mount(x: &mut Exchange<'_>) -> Reply {
    let source = x.query.get("from").unwrap_or_default();
    let digest = x.query.get("mount").and_then(|blob| blob.parse::<Digest>().ok());
    if let Some(digest) = digest {
        let may_read = |name: &str| x.may(Some(&Grant::pull(name)));
        let name = &x.route.repository;
        if lock(&x.shared.state).mount_blob(name, &digest, Some(source), may_read)? {
            return Ok(created(x, &digest));
        }
    }
    let session = open_new(x).await?;
    Ok(progress(x, &session, StatusCode::ACCEPTED))
}

/// `PATCH` of a session: a chunk, in order.
pub(crate) async fn upload_chunk(x: &mut Exchange<'_>) -> Reply {
    let (session, state) = open(x).await?;
    check_type(x)?;
    let declared = check_position(x, &session, &state)?;
    let session = receive(session, x.body, declared).await?;
    Ok(progress(x, &session, StatusCode::ACCEPTED))
}

/// `GET` of a session, also with an older state, and while a chunk is under way.
pub(crate) async fn status(x: &mut Exchange<'_>) -> Reply {
    let (name, id) = (&x.route.repository, &x.route.item);
    x.shared.expire_uploads();
    let uploads = &x.shared.uploads;
    let (told, len) = uploads.look(&x.shared.key, name, id, x.query.get("_state")).await?;
    Ok(tell(x, &told, len, StatusCode::NO_CONTENT))
}

/// `PUT` of a session: the digest, and what is left of the content.
pub(crate) async fn complete(x: &mut Exchange<'_>) -> Reply {
    let (session, state) = open(x).await?;
    let declared = check_position(x, &session, &state)?;
    let digest = parse_digest(x, x.query.get("digest"))?;
    let session = receive(session, x.body, declared).await?;
    finish(x, session, &digest).await
}

/// `DELETE` of a session, also with an older state, and while a chunk is under way.
pub(crate) fn cancel(x: &Exchange<'_>) -> Reply {
    let (name, id) = (&x.route.repository, &x.route.item);
    x.shared.expire_uploads();
    x.shared.uploads.cancel(&x.shared.key, name, id, x.query.get("_state"))?;
    Ok(with(empty(StatusCode::NO_CONTENT), DOCKER_UPLOAD_UUID, id))
}

async fn open_new(x: &mut Exchange<'_>) -> Result<Guard, Failure> {
    let shared = x.shared;
    let started = shared.expire_uploads();
    shared.uploads.start(&x.route.repository, shared.upload_id(), started, &shared.store).await
}

async fn open(x: &mut Exchange<'_>) -> Result<(Guard, UploadState), Failure> {
    let (name, id) = (&x.route.repository, &x.route.item);
    x.shared.expire_uploads();
    x.shared.uploads.open(&x.shared.key, name, id, x.query.get("_state")).await
}

fn check_type(x: &Exchange<'_>) -> Result<(), Refusal> {
    match x.header(header::CONTENT_TYPE) {
        None | Some("" | "application/octet-stream") => Ok(()),
        Some(_) => {
            let message = "blob upload invalid";
            let refusal = Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", message);
            Err(refusal.detail("bad Content-Type"))
        }
    }
}

/// Whether the body continues what arrived; gives the length that the client declared.
///
/// Without `Content-Range` only the state tells the position, and a stale one is no session.
/// With it the client learns where to go on, except for a first chunk that is not the first.
fn check_position(
    x: &Exchange<'_>,
    session: &Guard,
    state: &UploadState,
) -> Result<Option<u64>, Failure> {
    let received = session.len();
    let Some(text) = x.header(header::CONTENT_RANGE) else {
        return if state.offset == received { Ok(None) } else { Err(invalid().into()) };
    };
    let Some((start, end)) = parse_range(text) else {
        let reason = "the Content-Range header format is invalid";
        return Err(range_invalid(text, reason).into());
    };
    if received == 0 && start > 0 {
        let reason = "out of order chunk: content range should start at 0";
        return Err(range_invalid(text, reason).into());
    }
    if start != received || state.offset != received {
        return Err(progress(x, session, StatusCode::RANGE_NOT_SATISFIABLE).into());
    }
    let declared = end.saturating_sub(start).saturating_add(1);
    let length = x.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
    if length.is_some_and(|length: u64| length != declared) {
        return Err(size_invalid().into());
    }
    Ok(Some(declared))
}

/// Ends a session: with the digest it is a blob, without it nothing is left.
async fn finish(x: &mut Exchange<'_>, session: Guard, digest: &Digest) -> Reply {
    let spool = x.shared.uploads.close(session)?;
    let is_sha256 = digest.algorithm() == Algorithm::Sha256;
    if is_sha256 && spool.digest() != *digest {
        discard(spool);
        return Err(wrong_digest("digest does not match the content").into());
    }
    let id = spool.name().to_owned();
    let content = spool.finish()?;
    // Read again: which algorithm the client wants is told only at the end.
    if !is_sha256 && rehash(&content, digest.digester()).await? != *digest {
        forget(x, &id, &content);
        return Err(wrong_digest("digest does not match the content").into());
    }
    if let (None, Some(ledger)) = (content.file(), &x.shared.ledger) {
        // Empty content has no file that tells which upload it came from.
        ledger.stage([Change::remove(Table::Uploads, &id, "")]);
    }
    let added = lock(&x.shared.state).add_blob(&x.route.repository, digest, content.clone());
    if let Err(locked) = added {
        forget(x, &id, &content);
        return Err(locked.into());
    }
    Ok(created(x, digest))
}

/// Leaves nothing of a finished upload that became no blob.
fn forget(x: &Exchange<'_>, id: &str, content: &Content) {
    if let Some(ledger) = &x.shared.ledger {
        let change = Change::remove(Table::Uploads, id, "");
        ledger.stage_and_retire([change], content.file().cloned());
    }
}

async fn rehash(content: &Content, mut digester: Digester) -> Result<Digest, Failure> {
    let mut body = content.body(0, content.len()).await?;
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
            digester.update(&piece);
        }
    }
    Ok(digester.finish())
}

fn created(x: &Exchange<'_>, digest: &Digest) -> Answer {
    let location = format!("/v2/{}/blobs/{digest}", x.route.repository);
    let answer = with(empty(StatusCode::CREATED), header::LOCATION, &location);
    with(answer, DOCKER_CONTENT_DIGEST, digest.as_str())
}

/// Where the session stands and where it goes on.
fn progress(x: &Exchange<'_>, session: &Guard, status: StatusCode) -> Answer {
    tell(x, &session.told, session.len(), status)
}

/// That so many bytes are there; `0-0` also stands for nothing.
fn tell(x: &Exchange<'_>, told: &Told, len: u64, status: StatusCode) -> Answer {
    let mut answer = empty(status);
    set(&mut answer, header::LOCATION, &told.location(&x.shared.key, len));
    set(&mut answer, header::RANGE, &format!("0-{}", len.saturating_sub(1)));
    set(&mut answer, DOCKER_UPLOAD_UUID, &told.id);
    answer
}

/// `START-END`: no unit, no total.
fn parse_range(text: &str) -> Option<(u64, u64)> {
    let (start, end) = text.split_once('-')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (start, end) = (number(start)?, number(end)?);
    (start <= end).then_some((start, end))
}

/// The digest of a finished upload; Azure Container Registry knows only sha256.
fn parse_digest(x: &Exchange<'_>, text: Option<&str>) -> Result<Digest, Refusal> {
    let text =
        text.filter(|text| !text.is_empty()).ok_or_else(|| wrong_digest("digest missing"))?;
    let digest = text.parse::<Digest>().ok();
    let digest = digest
        .filter(|digest| digest.algorithm() == Algorithm::Sha256 || x.shared.settings.is_oci());
    digest.ok_or_else(malformed_digest)
}

fn range_invalid(range: &str, reason: &str) -> Refusal {
    let (status, code) = (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_RANGE_INVALID");
    Refusal::new(status, code, "blob upload range invalid").detail(&RangeDetail { range, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        assert_eq!(parse_range("0-0"), Some((0, 0)));
        assert_eq!(parse_range("22-41"), Some((22, 41)));
        for bad in ["-1--1", "bytes 0-5/*", "bytes=0-5", "0-5/9", "5-4", "+1-2", "1-", "-", ""] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
