//! The manifests that refer to another: signatures, SBOMs, attestations.

use std::collections::HashSet;

use acr_core::{Action, Digest, ErrorKind, Page, PageRequest, Pager, Result, Scope, Tag};
use serde::Deserialize;

use crate::{
    list::{Filter, List, WirePage},
    list_pager::ListPager,
    model::{self, Descriptor, ImageIndex},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists what refers to a manifest: `GET /v2/{name}/referrers/{digest}`, one request
    /// per page. The manifest itself need not exist.
    ///
    /// Where a registry does not know this list, the index under the fallback tag
    /// (`sha256-…`) is read instead.
    pub fn list_referrers(&self, subject: &Digest) -> ListPager<Descriptor> {
        let path = ["v2", self.name.as_str(), "referrers", subject.as_str()];
        let scope = Scope::repository(&self.name, &[Action::PULL]);
        let mut list = self.list(&path, "list_referrers", scope);
        list.api_version = None;
        ListPager::new(list, open)
    }
}

fn open(list: List) -> Pager<Descriptor> {
    let fallback = list.clone();
    list.pager_or::<Referrers, _, _>(move |page, error| {
        let list = fallback.clone();
        async move {
            if error.is_not_found() && page.continuation.is_none() {
                fallback_page(&list, page).await
            } else {
                Err(error)
            }
        }
    })
}

/// The index that clients keep under a tag where the registry keeps no list.
async fn fallback_page(list: &List, _: PageRequest) -> Result<Page<Descriptor>> {
    let (Some(owner), Some(tag)) = (&list.owner, fallback_tag(list)) else {
        return Ok(Page::new(Vec::new(), None));
    };
    let client = RepositoryClient::new(list.pipeline.clone(), owner.repository.clone());
    let mut index: ImageIndex = match client.get_manifest(tag).await {
        Ok(manifest) => manifest.json()?,
        Err(error) if error.kind() == ErrorKind::NotFound => ImageIndex::default(),
        Err(error) => return Err(error),
    };
    // Kept by clients that may race each other, so that an entry can be there twice.
    let mut seen = HashSet::new();
    index.manifests.retain(|entry| seen.insert(entry.digest.clone()));
    Ok(Page::new(Referrers { manifests: index.manifests }.items(list), None))
}

fn fallback_tag(list: &List) -> Option<Tag> {
    let (algorithm, hex) = list.path.last()?.split_once(':')?;
    let hex: String = hex.chars().take(MAX_HEX).collect();
    format!("{algorithm}-{hex}").parse().ok()
}

#[derive(Deserialize)]
struct Referrers {
    #[serde(default, deserialize_with = "model::null_is_empty")]
    manifests: Vec<Descriptor>,
}

impl WirePage for Referrers {
    type Item = Descriptor;

    fn is_empty(&self) -> bool {
        self.manifests.is_empty()
    }

    fn items(self, list: &List) -> Vec<Descriptor> {
        let belongs = |descriptor: &Descriptor| match &list.filter {
            Some(Filter::ArtifactType(wanted)) => descriptor.artifact_type.as_ref() == Some(wanted),
            _ => true,
        };
        self.manifests.into_iter().filter(belongs).collect()
    }

    fn key(descriptor: &Descriptor) -> impl std::hash::Hash {
        descriptor.digest.clone()
    }
}

/// What the specification leaves of a long digest in a tag.
const MAX_HEX: usize = 64;
