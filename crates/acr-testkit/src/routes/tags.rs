//! Tags: their properties and their names.

use http::{HeaderName, StatusCode};
use serde::Serialize;

use super::repositories;
use crate::{
    answer::{Answer, Refusal, Reply, empty, json, with},
    attributes::{Attributes, MAX_ATTRIBUTES},
    clock::Stamp,
    exchange::Exchange,
    paging::Paging,
    state::{Repository, TagRecord},
    sync::lock,
};

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TagItem {
    name: String,
    digest: String,
    created_time: Stamp,
    last_update_time: Stamp,
    signed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine_state: Option<String>,
    changeable_attributes: Attributes,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    registry: &'a str,
    image_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<TagItem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Option<&'a [TagItem]>>,
}

#[derive(Serialize)]
struct Names<'a> {
    name: &'a str,
    tags: Option<&'a [String]>,
}

/// `GET /acr/v1/{name}/_tags`. The link to the next page forgets the `digest` filter.
pub(crate) fn list(x: &Exchange<'_>) -> Reply {
    let paging = Paging::read(x.query)?;
    let state = lock(&x.shared.state);
    let name = &x.route.repository;
    let repository = state.repositories.get(name).ok_or_else(|| repositories::unknown(name))?;
    let page = match x.query.filled("digest") {
        Some(digest) => {
            let tags = repository.tags_of(digest).filter(|(_, tag)| tag.attributes.is_listed());
            paging.cut(tags.map(|(name, tag)| (name.clone(), tag.updated, item(name, tag))))
        }
        None => paging.walk(&repository.tags, &repository.tags_by_time, |name, tag| {
            tag.attributes.is_listed().then(|| item(name, tag))
        }),
    };
    let envelope =
        Envelope { registry: x.authority, image_name: name, tag: None, tags: Some(page.or_null()) };
    let mut answer = json(StatusCode::OK, &envelope);
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `GET /v2/{name}/tags/list`.
pub(crate) fn list_names(x: &Exchange<'_>) -> Reply {
    let is_oci = x.shared.settings.is_oci();
    let paging = Paging::read_by_name(x.query, is_oci)?;
    let state = lock(&x.shared.state);
    let name = &x.route.repository;
    let repository = state.repositories.get(name).ok_or_else(|| repositories::unknown(name))?;
    let page = paging.walk(&repository.tags, &repository.tags_by_time, |name, tag| {
        tag.attributes.is_listed().then(|| name.to_owned())
    });
    let mut answer = json(StatusCode::OK, &Names { name, tags: page.names(is_oci) });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

/// `GET /acr/v1/{name}/_tags/{tag}`.
pub(crate) fn get(x: &Exchange<'_>) -> Reply {
    let state = lock(&x.shared.state);
    let repository = state.repositories.get(&x.route.repository).ok_or_else(unknown)?;
    describe(x, repository)
}

/// `PATCH /acr/v1/{name}/_tags/{tag}`.
pub(crate) async fn update(x: &mut Exchange<'_>) -> Reply {
    let body = x.small_body(MAX_ATTRIBUTES).await?;
    let mut state = lock(&x.shared.state);
    let (name, item) = (&x.route.repository, &x.route.item);
    let repository = state.update_tag(name, item, &body)?.ok_or_else(unknown)?;
    describe(x, repository)
}

/// `DELETE /acr/v1/{name}/_tags/{tag}`: the manifest stays.
pub(crate) fn delete(x: &Exchange<'_>) -> Reply {
    untag(x)?.ok_or_else(|| unknown().into())
}

/// Removes a tag; `None` if there is none.
pub(crate) fn untag(x: &Exchange<'_>) -> Result<Option<Answer>, Refusal> {
    let mut state = lock(&x.shared.state);
    let now = state.stamp(&x.shared.clock);
    let tag = state.remove_tag(&x.route.repository, &x.route.item, now)?;
    Ok(tag.map(|tag| with(empty(StatusCode::ACCEPTED), POINTED_TO, &tag.digest)))
}

/// One tag, with what a scan found in its manifest: lists do not tell that.
fn describe(x: &Exchange<'_>, repository: &Repository) -> Reply {
    let tag = repository.tags.get(&x.route.item).ok_or_else(unknown)?;
    let mut item = item(&x.route.item, tag);
    let manifest = repository.manifests.get(&tag.digest);
    let state = manifest.and_then(|manifest| manifest.attributes.quarantine_state());
    item.quarantine_state = state.map(str::to_owned);
    let envelope = Envelope {
        registry: x.authority,
        image_name: &x.route.repository,
        tag: Some(item),
        tags: None,
    };
    Ok(json(StatusCode::OK, &envelope))
}

fn item(name: &str, tag: &TagRecord) -> TagItem {
    TagItem {
        name: name.to_owned(),
        digest: tag.digest.clone(),
        created_time: tag.created,
        last_update_time: tag.updated,
        signed: false,
        quarantine_state: None,
        changeable_attributes: tag.attributes.clone(),
    }
}

/// The 404 of a tag, also when its repository does not exist.
fn unknown() -> Refusal {
    let message = "the specified tag does not exist";
    Refusal::new(StatusCode::NOT_FOUND, "TAG_UNKNOWN", message)
}

/// The digest that a deleted tag pointed to.
const POINTED_TO: HeaderName = HeaderName::from_static("x-ms-int-docker-content-digest");
