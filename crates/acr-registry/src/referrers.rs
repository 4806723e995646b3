//! The manifests that refer to another: signatures, SBOMs, attestations.

use std::{collections::HashSet, sync::Arc};

use acr_core::{
    Action, Digest, Error, ErrorKind, Page, Pager, Result, Scope, Tag, http::PageRequest,
    value::Given,
};
use serde_json::value::RawValue;

use crate::{
    list::{Filter, Item, List},
    list_pager::ListPager,
    model::{DescriptorView, Fields, Manifest, Owner, value},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// Lists what refers to a manifest: `GET /v2/{name}/referrers/{digest}`, one request
    /// per page. The manifest itself need not exist.
    ///
    /// Where a registry does not know this interface (404, 400, 405, 406 or 501 for the
    /// first page), the index under the fallback tag (`sha256-…`) is read instead, with one
    /// request, and a second one for the subject: what it contains cannot refer to it.
    ///
    /// No referrer is reported only on the registry's word: an answer without a list, and
    /// something else than a list of referrers under the fallback tag, are
    /// [`ErrorKind::Protocol`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::ImageManifest;
    ///
    /// let image = repo.get_manifest("v1").await?;
    /// let sbom = ImageManifest::artifact("application/spdx+json").subject(image.descriptor());
    /// let sbom = repo.put_manifest(sbom.to_json()?).await?;
    /// let found = repo.list_referrers(&image.digest).try_next().await?.expect("the SBOM");
    /// assert_eq!(found.digest()?, sbom);
    /// # Ok(()) });
    /// ```
    pub fn list_referrers(
        &self,
        subject: impl TryInto<Digest, Error: Into<Error>>,
    ) -> ListPager<DescriptorView> {
        let (subject, refused) = match Given::<Digest>::new(subject).get() {
            Ok(subject) => (subject.to_string(), None),
            Err(error) => (String::new(), Some(Arc::new(error))),
        };
        let path = ["v2", self.name.as_str(), "referrers", &subject];
        let scope = Scope::repository(&self.name, &[Action::PULL]);
        let mut list = self.list(&path, "list_referrers", scope);
        list.api_version = None;
        list.refused = refused;
        ListPager::new(list, open)
    }
}

fn open(list: List) -> Pager<DescriptorView> {
    let fallback = list.clone();
    list.pager_or(move |page: PageRequest, error| {
        let list = fallback.clone();
        async move {
            if is_unknown_interface(&error) && page.continuation.is_none() {
                fallback_page(&list).await
            } else {
                Err(error)
            }
        }
    })
}

/// How registries say that they have no list of referrers.
fn is_unknown_interface(error: &Error) -> bool {
    error.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404 | 405 | 406 | 501))
}

/// The index that clients keep under a tag where the registry keeps no list.
async fn fallback_page(list: &List) -> Result<Page<DescriptorView>> {
    let malformed = || Error::new(ErrorKind::InvalidInput, "a subject that is no digest");
    let owner = list.owner.as_ref().ok_or_else(malformed)?;
    let (subject, tag) =
        list.path.last().and_then(|text| fallback_tag(text)).ok_or_else(malformed)?;
    let client = RepositoryClient::new(list.pipeline.clone(), owner.repository.clone());
    let manifest = match client.get_manifest(&tag).await {
        Ok(manifest) => manifest,
        Err(error) if is_absent(&error) => return Ok(Page::new(Vec::new(), None)),
        Err(error) => return Err(error),
    };
    let refuse = |why: &str| {
        let text = format!("the fallback tag `{tag}` stands for no list of referrers: {why}");
        Error::new(ErrorKind::Protocol, text).with_operation(Some(&list.operation))
    };
    if manifest.digest == subject {
        return Err(refuse("it is the subject itself"));
    }
    let (mut items, unreadable) =
        entries(&manifest, list).map_err(|why| refuse(&format!("`{}` {why}", manifest.digest)))?;
    // Kept by clients that may race each other, so that an entry can be there twice.
    let mut seen = HashSet::new();
    items.retain(|entry| seen.insert(entry.digest.clone()));
    if !items.is_empty() {
        let parts = children(&client, &subject).await?;
        if parts.contains(manifest.digest.as_str()) {
            return Err(refuse("the subject contains it"));
        }
        let mut listed = seen.iter().flatten();
        if listed.any(|digest| digest == subject.as_str() || parts.contains(digest)) {
            return Err(refuse("it lists what the subject itself is or contains"));
        }
    }
    Ok(Page::new(items, None).with_unreadable(unreadable))
}

type Entries = (Vec<DescriptorView>, Vec<acr_core::value::Unreadable>);

/// The entries of an index; what else it is, otherwise.
fn entries(manifest: &Manifest, list: &List) -> Result<Entries, String> {
    let fields: Fields<'_> =
        serde_json::from_slice(&manifest.content).map_err(|_| "is no index".to_owned())?;
    let foreign = ["config", "layers", "blobs", "fsLayers"].iter().find(|name| fields.has(name));
    if let Some(field) = foreign {
        return Err(format!("is no index: it has `{field}`"));
    }
    if !fields.has(DescriptorView::LIST) {
        return Err("is no index: it has no `manifests`".to_owned());
    }
    list.items(fields)
}

/// The manifests that the subject contains. Content is named by its hash, so what a manifest
/// contains cannot name that manifest: neither such an entry nor such a list is about it.
async fn children(client: &RepositoryClient, subject: &Digest) -> Result<HashSet<String>> {
    let subject = match client.get_manifest(subject).allow_ambiguous().await {
        Ok(subject) => subject,
        // It need not exist.
        Err(error) if is_absent(&error) => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let Ok(mut fields) = serde_json::from_slice::<Fields<'_>>(&subject.content) else {
        return Ok(HashSet::new());
    };
    let children = fields.list(DescriptorView::LIST).unwrap_or_default();
    let digest = |raw: &RawValue| value::<Fields<'_>>(raw).ok()?.take::<String>("digest");
    Ok(children.into_iter().filter_map(digest).collect())
}

/// Whether it is the registry that says that a manifest does not exist.
fn is_absent(error: &Error) -> bool {
    error.is_not_found() && !error.is_foreign()
}

fn fallback_tag(subject: &str) -> Option<(Digest, Tag)> {
    let (algorithm, hex) = subject.split_once(':')?;
    let hex: String = hex.chars().take(MAX_HEX).collect();
    Some((subject.parse().ok()?, format!("{algorithm}-{hex}").parse().ok()?))
}

impl Item for DescriptorView {
    const LIST: &'static str = "manifests";

    fn read(raw: &RawValue, _: Option<&Owner>) -> Result<Self, String> {
        let descriptor: Self = value(raw)?;
        match descriptor.digest {
            Some(_) => Ok(descriptor),
            None => Err("no usable `digest`".to_owned()),
        }
    }

    fn belongs(&self, filter: &Filter) -> bool {
        match filter {
            Filter::ArtifactType(wanted) => self.artifact_type.as_ref() == Some(wanted),
            Filter::Digest(_) => true,
        }
    }

    fn key(&self) -> impl std::hash::Hash {
        &self.digest
    }
}

/// What the specification leaves of a long digest in a tag.
const MAX_HEX: usize = 64;
