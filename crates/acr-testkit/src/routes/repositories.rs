//! A repository as a whole.

use http::StatusCode;
use serde::Serialize;

use crate::{
    answer::{Answer, Refusal, Reply, json},
    attributes::{Attributes, MAX_ATTRIBUTES},
    clock::Stamp,
    exchange::Exchange,
    state::Repository,
    sync::lock,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    registry: &'a str,
    image_name: &'a str,
    created_time: Stamp,
    last_update_time: Stamp,
    manifest_count: usize,
    tag_count: usize,
    changeable_attributes: &'a Attributes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Deleted {
    manifests_deleted: Option<Vec<String>>,
    tags_deleted: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

/// `GET /acr/v1/{name}`.
pub(crate) fn get(x: &Exchange<'_>) -> Reply {
    let state = lock(&x.shared.state);
    let name = &x.route.repository;
    let repository = state.repositories.get(name).ok_or_else(|| unknown(name))?;
    Ok(describe(x, repository))
}

/// `PATCH /acr/v1/{name}`.
pub(crate) async fn update(x: &mut Exchange<'_>) -> Reply {
    let body = x.small_body(MAX_ATTRIBUTES).await?;
    let mut state = lock(&x.shared.state);
    let name = &x.route.repository;
    let repository = state.update_repository(name, &body)?.ok_or_else(|| unknown(name))?;
    Ok(describe(x, repository))
}

/// `DELETE /acr/v1/{name}`.
pub(crate) fn delete(x: &Exchange<'_>) -> Reply {
    let name = x.route.repository.as_str();
    let mut state = lock(&x.shared.state);
    let now = state.stamp(&x.shared.clock);
    let Some(repository) = state.remove_repository(name, now)? else {
        let message = "repository name not known to registry";
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message);
        return Err(refusal.detail(&Name { name }).into());
    };
    let list = |items: Vec<String>| (!items.is_empty()).then_some(items);
    let deleted = Deleted {
        manifests_deleted: list(repository.manifests.into_keys().collect()),
        tags_deleted: list(repository.tags.into_keys().collect()),
    };
    Ok(json(StatusCode::ACCEPTED, &deleted))
}

/// The 404 of a repository that does not exist.
pub(crate) fn unknown(name: &str) -> Refusal {
    let message = format!("repository \"{name}\" is not found");
    Refusal::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", message)
}

fn describe(x: &Exchange<'_>, repository: &Repository) -> Answer {
    let properties = Properties {
        registry: x.authority,
        image_name: &x.route.repository,
        created_time: repository.created,
        last_update_time: repository.updated,
        manifest_count: repository.manifests.len(),
        tag_count: repository.tags.len(),
        changeable_attributes: &repository.attributes,
    };
    json(StatusCode::OK, &properties)
}
