//! The properties of manifests, as the metadata interface tells them.

use http::StatusCode;
use serde::Serialize;

use super::repositories;
use crate::{
    answer::{Answer, Failure, Refusal, Reply, json},
    attributes::{Attributes, MAX_ATTRIBUTES},
    clock::Stamp,
    exchange::Exchange,
    manifest::{Form, Platform},
    paging::Paging,
    state::{ManifestRecord, Repository},
    sync::lock,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestItem {
    digest: String,
    image_size: u64,
    created_time: Stamp,
    last_update_time: Stamp,
    #[serde(flatten)]
    platform: Platform,
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_media_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<String>>,
    changeable_attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Vec<Child>>,
}

#[derive(Serialize)]
struct Child {
    digest: String,
    #[serde(flatten)]
    platform: Platform,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    registry: &'a str,
    image_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<ManifestItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<Option<&'a [ManifestItem]>>,
}

/// `GET /acr/v1/{name}/_manifests`.
pub(crate) fn list(x: &Exchange<'_>) -> Reply {
    let paging = Paging::read(x.query)?;
    let state = lock(&x.shared.state);
    let name = &x.route.repository;
    let repository = state.repositories.get(name).ok_or_else(|| repositories::unknown(name))?;
    let times = &repository.manifests_by_time;
    let page = paging.walk(&repository.manifests, times, |digest, manifest| {
        manifest.attributes.is_listed().then(|| item(x, repository, digest, manifest))
    });
    let envelope = Envelope {
        registry: x.authority,
        image_name: name,
        manifest: None,
        manifests: Some(page.or_null()),
    };
    let mut answer = json(StatusCode::OK, &envelope);
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `GET /acr/v1/{name}/_manifests/{digest}`.
pub(crate) fn get(x: &Exchange<'_>) -> Reply {
    let state = lock(&x.shared.state);
    let repository = state.repositories.get(&x.route.repository).ok_or_else(unknown)?;
    describe(x, repository)
}

/// `PATCH /acr/v1/{name}/_manifests/{digest}`.
pub(crate) async fn update(x: &mut Exchange<'_>) -> Reply {
    let body = x.small_body(MAX_ATTRIBUTES).await?;
    let mut state = lock(&x.shared.state);
    let (name, digest) = (&x.route.repository, &x.route.item);
    let repository = state.update_manifest(name, digest, &body)?.ok_or_else(unknown)?;
    describe(x, repository)
}

/// One manifest, with the children of an index.
fn describe(x: &Exchange<'_>, repository: &Repository) -> Result<Answer, Failure> {
    let digest = &x.route.item;
    let manifest = repository.manifests.get(digest).ok_or_else(unknown)?;
    let mut item = item(x, repository, digest, manifest);
    if manifest.form == Form::Index {
        item.references = Some(references(repository, manifest));
    }
    let envelope = Envelope {
        registry: x.authority,
        image_name: &x.route.repository,
        manifest: Some(item),
        manifests: None,
    };
    Ok(json(StatusCode::OK, &envelope))
}

fn item(
    x: &Exchange<'_>,
    repository: &Repository,
    digest: &str,
    manifest: &ManifestRecord,
) -> ManifestItem {
    let tags: Vec<_> = repository.tags_of(digest).map(|(name, _)| name.clone()).collect();
    let told = manifest.form == Form::Image && x.shared.settings.era.tells_config_type();
    let config = manifest.parsed.config.as_ref().filter(|_| told);
    ManifestItem {
        digest: digest.to_owned(),
        image_size: manifest.image_size,
        created_time: manifest.created,
        last_update_time: manifest.updated,
        platform: manifest.platform.clone(),
        media_type: manifest.media_type.clone(),
        config_media_type: config.map(|config| config.media_type.clone()),
        tags: (!tags.is_empty()).then_some(tags),
        changeable_attributes: manifest.attributes.clone(),
        references: None,
    }
}

/// What an index says of its children, else what they say of themselves.
fn references(repository: &Repository, index: &ManifestRecord) -> Vec<Child> {
    let children = index.parsed.manifests.iter().flatten();
    let child = children.map(|child| {
        let own = repository.manifests.get(&child.digest).map(|known| known.platform.clone());
        let named = Some(&child.platform).filter(|platform| **platform != Platform::default());
        Child { digest: child.digest.clone(), platform: named.cloned().or(own).unwrap_or_default() }
    });
    child.collect()
}

/// The 404 of a manifest, also when its repository does not exist.
fn unknown() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown")
}
