//! What locked repositories, tags and manifests refuse.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{answer::Refusal, attributes::Attributes, repository::Repository};

/// Whether a repository and all that is in it may go.
pub(crate) fn delete_repository(repository: &Repository) -> Result<(), Refusal> {
    delete(repository)?;
    let tags = repository.tags.values().map(|tag| &tag.attributes);
    let manifests = repository.manifests.values().map(|manifest| &manifest.attributes);
    allowed(tags.chain(manifests).all(Attributes::can_delete))
}

/// Whether anything of a repository may go.
pub(crate) fn delete(repository: &Repository) -> Result<(), Refusal> {
    allowed(repository.attributes.can_delete())
}

/// Whether a tag may go.
pub(crate) fn delete_tag(repository: &Repository, tag: &str) -> Result<(), Refusal> {
    delete(repository)?;
    allowed(repository.tags.get(tag).is_none_or(|tag| tag.attributes.can_delete()))
}

/// Whether a manifest may go, and its tags with it.
pub(crate) fn delete_manifest(repository: &Repository, digest: &str) -> Result<(), Refusal> {
    delete(repository)?;
    let manifest = repository.manifests.get(digest);
    allowed(
        manifest.is_none_or(|manifest| manifest.attributes.can_delete())
            && repository.tags_of(digest).all(|(_, tag)| tag.attributes.can_delete()),
    )
}

/// Whether anything may come.
pub(crate) fn write(repository: &Repository) -> Result<(), Refusal> {
    allowed(repository.attributes.can_write())
}

/// Whether a manifest may come as this tag or digest.
pub(crate) fn push(repository: &Repository, reference: &str) -> Result<(), Refusal> {
    write(repository)?;
    let (tag, manifest) = (repository.tags.get(reference), repository.manifests.get(reference));
    allowed(
        tag.is_none_or(|tag| tag.attributes.can_write())
            && manifest.is_none_or(|known| known.attributes.can_write()),
    )
}

/// Whether content may be read.
pub(crate) fn read(repository: &Repository) -> Result<(), Refusal> {
    allowed(repository.attributes.can_read())
}

/// Whether the manifest of this tag or digest may be read.
pub(crate) fn read_manifest(repository: &Repository, reference: &str) -> Result<(), Refusal> {
    read(repository)?;
    let tag = repository.tags.get(reference);
    let manifest = repository.manifests.get(tag.map_or(reference, |tag| &tag.digest));
    allowed(
        tag.is_none_or(|tag| tag.attributes.can_read())
            && manifest.is_none_or(|manifest| {
                // By tag a manifest in quarantine is not there at all: see the handler.
                manifest.attributes.can_read()
                    && (tag.is_some() || !manifest.attributes.is_quarantined())
            }),
    )
}

fn allowed(is_allowed: bool) -> Result<(), Refusal> {
    if is_allowed { Ok(()) } else { Err(disallowed()) }
}

pub(crate) fn disallowed() -> Refusal {
    let message = "The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "REGISTRY_DISALLOWED_OPERATION", message)
        .detail(&Value::Object(Map::new()))
}
