//! What was soft-deleted: lists, and how it comes back.
//!
//! Without the policy nothing is ever listed and nothing can be restored.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Refusal, Reply, json},
    attributes::MAX_ATTRIBUTES,
    clock::Stamp,
    exchange::Exchange,
    locks,
    paging::Paging,
    state::{RestoreError, TagConflict},
    sync::lock,
};

#[derive(Serialize)]
struct Repositories<'a> {
    repositories: Option<&'a [RepositoryItem]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RepositoryItem {
    created_at: Stamp,
    deleted_at: Stamp,
    repository: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Items<'a> {
    registry: &'a str,
    image_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Option<&'a [Item]>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Option<&'a [Item]>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    created_at: Stamp,
    deleted_at: Stamp,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

#[derive(Default, Deserialize)]
struct Restore {
    tag: Option<String>,
}

#[derive(Serialize)]
struct Restored<'a> {
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a str>,
}

/// `GET /acr/v1/_deleted/_catalog`: the repositories of which nothing is left but this.
pub(crate) fn list_repositories(x: &Exchange<'_>) -> Reply {
    let paging = prepare(x)?;
    let mut state = lock(&x.shared.state);
    state.purge(x.shared.clock.stamp());
    let gone = state.deleted.iter().filter(|(name, _)| !state.repositories.contains_key(*name));
    let page = paging.cut(gone.map(|(name, remains)| {
        let (created_at, deleted_at) = (remains.created, remains.deleted());
        let item = RepositoryItem { created_at, deleted_at, repository: name.clone() };
        (name.clone(), deleted_at, item)
    }));
    let mut answer = json(StatusCode::OK, &Repositories { repositories: page.or_null() });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `GET /acr/v1/_deleted/{name}/_manifests`.
pub(crate) fn list_manifests(x: &Exchange<'_>) -> Reply {
    let paging = prepare(x)?;
    let mut state = lock(&x.shared.state);
    state.purge(x.shared.clock.stamp());
    let remains = state.deleted.get(&x.route.repository);
    let manifests = remains.iter().flat_map(|remains| &remains.manifests);
    let page = paging.cut(manifests.map(|(digest, manifest)| {
        let (created_at, deleted_at) = (manifest.record.created, manifest.deleted);
        let item = Item { created_at, deleted_at, digest: digest.clone(), tag: None };
        (digest.clone(), deleted_at, item)
    }));
    let manifests = Some(page.or_null());
    let (registry, image_name) = (x.authority, x.route.repository.as_str());
    let mut answer = json(StatusCode::OK, &Items { registry, image_name, manifests, tags: None });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `GET /acr/v1/_deleted/{name}/_tags`: a tag that was deleted more than once comes more than
/// once, with each digest it had.
pub(crate) fn list_tags(x: &Exchange<'_>) -> Reply {
    let paging = prepare(x)?;
    let mut state = lock(&x.shared.state);
    state.purge(x.shared.clock.stamp());
    let remains = state.deleted.get(&x.route.repository);
    let tags = remains.iter().flat_map(|remains| &remains.tags);
    let page = paging.cut(tags.map(|((tag, digest), deleted)| {
        let (created_at, deleted_at) = (deleted.record.created, deleted.deleted);
        let digest = digest.clone();
        let item = Item { created_at, deleted_at, digest: digest.clone(), tag: Some(tag.clone()) };
        (format!("{tag}@{digest}"), deleted_at, item)
    }));
    let tags = Some(page.or_null());
    let (registry, image_name) = (x.authority, x.route.repository.as_str());
    let mut answer = json(StatusCode::OK, &Items { registry, image_name, manifests: None, tags });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `POST /acr/v1/_deleted/{name}/_manifests/{digest}?force=…` with `{}` or `{"tag":"…"}`.
pub(crate) async fn restore(x: &mut Exchange<'_>) -> Reply {
    let body = x.small_body(MAX_ATTRIBUTES).await?;
    check_version(x)?;
    let malformed =
        || Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", "the body is malformed");
    let Restore { tag } = match body.as_ref() {
        b"" => Restore::default(),
        body => serde_json::from_slice(body).map_err(|_| malformed())?,
    };
    let conflict = match x.query.get("force") {
        Some(text) if text.eq_ignore_ascii_case("true") => TagConflict::Overwrite,
        _ => TagConflict::Fail,
    };
    let (name, digest) = (&x.route.repository, &x.route.item);
    let mut state = lock(&x.shared.state);
    let now = state.stamp(&x.shared.clock);
    state.purge(now);
    state.restore_manifest(name, digest, tag.as_deref(), conflict, now).map_err(refusal)?;
    Ok(json(StatusCode::OK, &Restored { digest, tag: tag.as_deref() }))
}

fn refusal(error: RestoreError) -> Refusal {
    let (status, code, message) = match error {
        RestoreError::NoManifest => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown"),
        RestoreError::NoTag => {
            (StatusCode::NOT_FOUND, "TAG_UNKNOWN", "the specified tag does not exist")
        }
        RestoreError::NoSubject => (
            StatusCode::CONFLICT,
            "SUBJECT_SOFT_DELETED",
            "the subject is deleted; restore it first",
        ),
        RestoreError::Locked => return locks::disallowed(),
        RestoreError::TagExists => {
            (StatusCode::CONFLICT, "TAG_ALREADY_EXISTS", "the tag exists; use force to move it")
        }
    };
    Refusal::new(status, code, message)
}

fn prepare(x: &Exchange<'_>) -> Result<Paging, Refusal> {
    check_version(x)?;
    Paging::read(x.query)
}

/// These routes know the one version of the interface, or none.
fn check_version(x: &Exchange<'_>) -> Result<(), Refusal> {
    match x.query.get("api-version") {
        None | Some("2021-07-01") => Ok(()),
        Some(version) => {
            let message = format!("the api-version `{version}` is not supported");
            let message = message.escape_debug().to_string();
            Err(Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED_API_VERSION", message))
        }
    }
}
