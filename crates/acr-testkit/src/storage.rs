//! The second origin: blobs behind signed links, in the manner of Azure Storage.

use http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;

use crate::{
    answer::{Answer, DOCKER_CONTENT_DIGEST, Reply, set, text},
    content::Content,
    exchange::Exchange,
    form::encode,
    operation::Operation,
    route::{Route, Unrouted},
    shared::Shared,
    sync::lock,
};

/// Everything on the storage is a download.
pub(crate) fn route(method: &Method) -> Result<Route, Unrouted> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Unrouted::Method);
    }
    let (repository, item) = (String::new(), String::new());
    Ok(Route { operation: Operation::GetStorage, repository, item })
}

/// A link to one blob, valid for a while.
pub(crate) fn link(shared: &Shared, storage: &str, is_https: bool, digest: &str) -> String {
    let expiry = shared.now().saturating_add(shared.settings.lifetimes().link);
    let expiry = Timestamp::from_second(expiry).unwrap_or(Timestamp::MAX).to_string();
    let (algorithm, hex) = digest.split_once(':').unwrap_or(("", digest));
    let start = hex.get(..2).unwrap_or_default();
    let path = format!("/{CONTAINER}//docker/registry/v2/blobs/{algorithm}/{start}/{hex}/data");
    let signature = encode(&sign(shared, &path, &expiry));
    let expiry = encode(&expiry);
    let https = if is_https { "&spr=https" } else { "" };
    format!(
        "{storage}{path}?se={expiry}&sig={signature}&sp=r{https}&sr=b&sv=2018-03-28&regid={REGISTRY_ID}"
    )
}

/// Serves a link: no credential, a good signature, in time.
pub(crate) async fn get(exchange: &mut Exchange<'_>) -> Reply {
    let Exchange { shared, site, head, query, .. } = *exchange;
    if head.headers.contains_key(header::AUTHORIZATION) {
        let message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
        return Ok(error(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo", message));
    }
    let path = head.uri.path();
    let expiry = query.get("se").unwrap_or_default();
    let signed = query.get("sig") == Some(sign(shared, path, expiry).as_str());
    let in_time = expiry.parse::<Timestamp>().is_ok_and(|end| shared.clock.timestamp() < end);
    let for_reading = query.get("sp") == Some("r") && query.get("sr") == Some("b");
    if !(signed && in_time && for_reading && query.get("sv").is_some()) {
        let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
        return Ok(error(StatusCode::FORBIDDEN, "AuthenticationFailed", message));
    }
    let digest = digest_of(path);
    let content = digest.as_ref().and_then(|digest| lock(&shared.state).content(digest).cloned());
    let Some(content) = content else {
        let message = "The specified blob does not exist.";
        return Ok(error(StatusCode::NOT_FOUND, "BlobNotFound", message));
    };
    let is_oci = shared.settings.is_oci();
    let mut answer = content_answer(&content, exchange.header(header::RANGE), is_oci).await?;
    if let Some(digest) = digest.filter(|_| is_oci) {
        // Real storage knows no digests; the specification would have every answer tell it.
        set(&mut answer, DOCKER_CONTENT_DIGEST, &digest);
    }
    let headers = answer.headers_mut();
    for (name, value) in FIXED_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let etag = format!("\"0x8DC{:012X}\"", content.len());
    set(&mut answer, header::ETAG, &etag);
    let modified = shared.clock.stamp().http_date();
    set(&mut answer, header::LAST_MODIFIED, &modified);
    let length = content.len();
    // What the storage tells of how the content came there: by a copy from the upload.
    for (name, value) in [
        ("x-ms-request-id", shared.uuid()),
        ("x-ms-copy-id", shared.uuid()),
        ("x-ms-copy-progress", format!("{length}/{length}")),
        (
            "x-ms-copy-source",
            format!("{}/{CONTAINER}/_uploads/{}/data", site.storage(""), shared.uuid()),
        ),
        ("x-ms-copy-completion-time", modified.clone()),
        ("x-ms-creation-time", modified),
        // Some blobs carry these two, which have names that some clients refuse.
        ("x-ms-meta-acr_to_delete", shared.uuid()),
        ("x-ms-meta-acr_to_delete_timestamp", shared.clock.timestamp().to_string()),
    ] {
        set(&mut answer, http::HeaderName::from_static(name), &value);
    }
    Ok(answer)
}

/// The content, or the part that a `Range` header names.
pub(crate) async fn content_answer(content: &Content, range: Option<&str>, is_oci: bool) -> Reply {
    let len = content.len();
    let parse = |text| parse_range(text).or_else(|| parse_rare_range(text, len).filter(|_| is_oci));
    let (status, from, to) = match range.and_then(parse) {
        None => (StatusCode::OK, 0, len),
        Some((from, _)) if from >= len => {
            let message = "The range specified is invalid for the current size of the resource.";
            let mut answer = error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message);
            set(&mut answer, header::CONTENT_RANGE, &format!("bytes */{len}"));
            return Ok(answer);
        }
        Some((from, last)) => {
            let to = last.map_or(len, |last| last.saturating_add(1).min(len));
            (StatusCode::PARTIAL_CONTENT, from, to)
        }
    };
    let part = to.saturating_sub(from);
    let mut answer = Answer::new(content.body(from, part).await?);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{len}", to.saturating_sub(1));
        set(&mut answer, header::CONTENT_RANGE, &range);
    }
    Ok(answer)
}

/// An error as the storage writes it: XML.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    text(status, "application/xml", body)
}

fn sign(shared: &Shared, path: &str, expiry: &str) -> String {
    // Base64 of another length would end so; the padding tests that clients keep the text.
    shared.key.sign("canary-link-0000", format!("{path}\n{expiry}").as_bytes()) + "="
}

fn digest_of(path: &str) -> Option<String> {
    let mut parts = path.strip_suffix("/data")?.rsplit('/');
    let hex = parts.next()?;
    let algorithm = parts.nth(1)?;
    Some(format!("{algorithm}:{hex}"))
}

/// `bytes=FROM-` or `bytes=FROM-TO`. Other forms are ignored, as the storage does.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(from) || !digits(to) {
        return None;
    }
    let from = from.parse().ok()?;
    match to {
        "" => Some((from, None)),
        to => to.parse().ok().filter(|to| *to >= from).map(|to| (from, Some(to))),
    }
}

/// What the storage ignores and others serve: `bytes=-LENGTH`, and a range that ends before it
/// begins, which is then one that begins after the end.
fn parse_rare_range(text: &str, len: u64) -> Option<(u64, Option<u64>)> {
    let (from, to) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let to: u64 = to.parse().ok()?;
    match from {
        "" if to > 0 => Some((len.saturating_sub(to), None)),
        "" => Some((len, None)),
        from => from.parse().ok().filter(|from: &u64| *from > to).map(|_| (len, None)),
    }
}

const REGISTRY_ID: &str = "c0ffee00c0ffee00c0ffee00c0ffee00";
const CONTAINER: &str = "c0ffee00c0ffee00c0ffee00c0ffee00-fakestore0";
const FIXED_HEADERS: [(&str, &str); 8] = [
    ("x-ms-blob-committed-block-count", "1"),
    ("x-ms-copy-status", "success"),
    ("x-ms-lease-state", "available"),
    ("x-ms-lease-status", "unlocked"),
    ("server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0"),
    ("x-ms-blob-type", "AppendBlob"),
    ("x-ms-version", "2018-03-28"),
    ("x-ms-server-encrypted", "true"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("bytes=0-299"), Some((0, Some(299))));
        assert_eq!(parse_range("bytes=5-"), Some((5, None)));
        for ignored in ["bytes=-5", "bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2", ""] {
            assert_eq!(parse_range(ignored), None, "{ignored}");
        }
    }

    #[test]
    fn the_path_tells_the_digest() {
        let path = "/c//docker/registry/v2/blobs/sha256/b9/b94d/data";
        assert_eq!(digest_of(path).as_deref(), Some("sha256:b94d"));
        assert_eq!(digest_of("/x"), None);
    }
}
