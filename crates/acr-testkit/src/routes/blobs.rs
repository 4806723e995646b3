//! Blobs: head, download, delete.

use http::{HeaderValue, StatusCode, header};

use crate::{
    answer::{DOCKER_CONTENT_DIGEST, Refusal, Reply, empty, set, text},
    content::Content,
    exchange::Exchange,
    locks, storage,
    sync::lock,
};

/// `HEAD /v2/{name}/blobs/{digest}`: always from the registry, and the whole length.
pub(crate) fn head(x: &Exchange<'_>) -> Reply {
    let content = find(x)?;
    let mut answer = empty(StatusCode::OK);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(content.len()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    set(&mut answer, DOCKER_CONTENT_DIGEST, &x.route.item);
    Ok(answer)
}

/// `GET /v2/{name}/blobs/{digest}`: a redirect, or the content.
pub(crate) async fn get(x: &mut Exchange<'_>) -> Reply {
    let content = find(x)?;
    let mut answer = if x.shared.settings.redirects() {
        let link =
            storage::link(x.shared, x.site.storage(x.authority), x.site.is_https(), &x.route.item);
        let quoted = link.replace('&', "&amp;");
        let page = format!("<a href=\"{quoted}\">Temporary Redirect</a>.\n\n");
        let status = StatusCode::TEMPORARY_REDIRECT;
        let mut answer = text(status, "text/html; charset=utf-8", page);
        set(&mut answer, header::LOCATION, &link);
        answer
    } else {
        storage::content_answer(&content, x.header(header::RANGE), x.shared.settings.is_oci())
            .await?
    };
    set(&mut answer, DOCKER_CONTENT_DIGEST, &x.route.item);
    Ok(answer)
}

/// `DELETE /v2/{name}/blobs/{digest}`, used or not.
pub(crate) fn delete(x: &Exchange<'_>) -> Reply {
    if lock(&x.shared.state).remove_blob(&x.route.repository, &x.route.item)? {
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(unknown().into())
    }
}

fn find(x: &Exchange<'_>) -> Result<Content, Refusal> {
    let digest = &x.route.item;
    let state = lock(&x.shared.state);
    state.repositories.get(&x.route.repository).map_or(Ok(()), locks::read)?;
    let content = state.blob(&x.route.repository, digest).cloned();
    content.ok_or_else(|| unknown().detail(digest))
}

fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry")
}
