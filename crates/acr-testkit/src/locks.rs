//! What locked repositories, tags and manifests refuse.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    answer::Refusal,
    operation::Operation,
    route::{Route, is_digest},
    state::{Repository, State},
};

/// Refuses what a lock forbids. What does not exist is not locked.
pub(crate) fn check(state: &State, route: &Route) -> Result<(), Refusal> {
    let Some(repository) = state.repositories.get(&route.repository) else {
        return Ok(());
    };
    if is_allowed(repository, route) { Ok(()) } else { Err(disallowed()) }
}

fn is_allowed(repository: &Repository, route: &Route) -> bool {
    let whole = &repository.attributes;
    let item = route.item.as_str();
    match route.operation {
        Operation::DeleteRepository => {
            whole.can_delete()
                && repository.tags.values().all(|tag| tag.attributes.can_delete())
                && repository.manifests.values().all(|manifest| manifest.attributes.can_delete())
        }
        Operation::DeleteTag => {
            whole.can_delete()
                && repository.tags.get(item).is_none_or(|tag| tag.attributes.can_delete())
        }
        Operation::DeleteManifest if is_digest(item) => {
            let manifest = repository.manifests.get(item);
            whole.can_delete()
                && manifest.is_none_or(|manifest| manifest.attributes.can_delete())
                && repository.tags_of(item).all(|(_, tag)| tag.attributes.can_delete())
        }
        Operation::DeleteBlob => whole.can_delete(),
        Operation::PutManifest => {
            whole.can_write()
                && repository.tags.get(item).is_none_or(|tag| tag.attributes.can_write())
                && repository.manifests.get(item).is_none_or(|known| known.attributes.can_write())
        }
        Operation::StartUpload
        | Operation::MountBlob
        | Operation::WriteChunk
        | Operation::CompleteUpload => whole.can_write(),
        Operation::GetManifest | Operation::HeadManifest => {
            let tag = repository.tags.get(item);
            let digest = tag.map_or(item, |tag| &tag.digest);
            let manifest = repository.manifests.get(digest);
            whole.can_read()
                && tag.is_none_or(|tag| tag.attributes.can_read())
                && manifest.is_none_or(|manifest| {
                    // By tag a manifest in quarantine is not there at all: see the handler.
                    manifest.attributes.can_read()
                        && (tag.is_some() || !manifest.attributes.is_quarantined())
                })
        }
        Operation::GetBlob | Operation::HeadBlob => whole.can_read(),
        _ => true,
    }
}

fn disallowed() -> Refusal {
    let message = "The operation is disallowed on this registry, repository or image. View troubleshooting steps at https://aka.ms/acr/faq/#why-does-my-pull-or-push-request-fail-with-disallowed-operation";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "REGISTRY_DISALLOWED_OPERATION", message)
        .detail(&Value::Object(Map::new()))
}
