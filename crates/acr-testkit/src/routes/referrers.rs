//! The manifests that refer to another.

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::{
    answer::{Reply, json, page_not_found, set},
    exchange::Exchange,
    manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX},
    paging::Paging,
    state::ManifestRecord,
    sync::lock,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u8,
    media_type: &'a str,
    manifests: Vec<Referrer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    media_type: String,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<std::collections::BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
}

/// `GET /v2/{name}/referrers/{digest}`: an index, empty for a subject nobody knows.
pub(crate) fn list(x: &Exchange<'_>) -> Reply {
    if !x.shared.settings.serves_referrers() {
        return Ok(page_not_found());
    }
    let paging = Paging::read_by_name(x.query, false)?;
    let wanted = x.query.filled("artifactType");
    let state = lock(&x.shared.state);
    let repository = state.repositories.get(&x.route.repository);
    let manifests = repository.into_iter().flat_map(|known| known.referrers_of(&x.route.item));
    let referring = manifests.filter(|(_, manifest)| {
        ![DOCKER_MANIFEST, DOCKER_LIST].contains(&manifest.media_type.as_str())
    });
    let fitting = referring.filter(|(_, manifest)| {
        wanted.is_none_or(|wanted| manifest.parsed.effective_artifact_type() == Some(wanted))
    });
    let mut page =
        paging.cut(fitting.map(|(digest, m)| (digest.clone(), m.updated, referrer(digest, m))));
    let manifests = std::mem::take(&mut page.items);
    let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests };
    let mut answer = json(StatusCode::OK, &index);
    set(&mut answer, header::CONTENT_TYPE, OCI_INDEX);
    if wanted.is_some() {
        let filter = HeaderValue::from_static("artifactType");
        answer.headers_mut().insert(FILTERS_APPLIED, filter);
    }
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}

fn referrer(digest: &str, manifest: &ManifestRecord) -> Referrer {
    Referrer {
        media_type: manifest.media_type.clone(),
        digest: digest.to_owned(),
        size: manifest.bytes.len(),
        annotations: manifest.parsed.annotations.clone(),
        artifact_type: manifest.parsed.effective_artifact_type().map(str::to_owned),
    }
}

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
