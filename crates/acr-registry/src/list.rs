//! What all lists have in common: one page is one request.

use std::sync::{Arc, Mutex, PoisonError};

use acr_core::{
    Action, Continuation, Digest, Effect, Error, Operation, Page, PageRequest, Pager, Pipeline,
    RequestBuilder, Result, Scope, response, url_policy,
};
use http::{Method, StatusCode, Uri};
use serde::de::DeserializeOwned;

use crate::{
    api_version::ApiVersion,
    model::{Order, Owner},
    repeats::Repeats,
};

/// A list at a fixed path.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) pipeline: Pipeline,
    pub(crate) path: Vec<String>,
    pub(crate) operation: Operation,
    pub(crate) scope: Scope,
    /// None where the interface has no version.
    pub(crate) api_version: Option<ApiVersion>,
    pub(crate) order: Option<Order>,
    /// Repeated with every page: the registry's links forget it.
    pub(crate) filter: Option<Filter>,
    /// Whose items they are, for what the envelope leaves out.
    pub(crate) owner: Option<Owner>,
}

/// Narrows a list.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// Tags of this manifest.
    Digest(Digest),
    /// Referrers of this type.
    ArtifactType(String),
}

/// A page as the wire has it.
pub(crate) trait WirePage: DeserializeOwned + Send + 'static {
    /// What the caller gets.
    type Item: Send + 'static;

    /// Whether the registry sent no item.
    fn is_empty(&self) -> bool;

    /// The items that belong to the list.
    fn items(self, list: &List) -> Vec<Self::Item>;

    /// What makes an item this one and no other, its time included where it has one.
    fn key(item: &Self::Item) -> impl std::hash::Hash;
}

impl List {
    /// A pager whose pages have the shape `W`.
    pub(crate) fn pager<W: WirePage>(self) -> Pager<W::Item> {
        self.pager_or::<W, _, _>(|_, error| std::future::ready(Err(error)))
    }

    /// A pager that asks `otherwise` for a page that failed.
    pub(crate) fn pager_or<W, F, Fut>(self, otherwise: F) -> Pager<W::Item>
    where
        W: WirePage,
        F: Fn(PageRequest, Error) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Page<W::Item>>> + Send,
    {
        let state = Arc::new((self, otherwise, Mutex::new(Repeats::default())));
        Pager::new(move |request| {
            let state = Arc::clone(&state);
            async move {
                let (list, otherwise, repeats) = &*state;
                let (page, is_empty) = match list.page::<W>(request.clone()).await {
                    Ok(page) => page,
                    Err(error) => (otherwise(request, error).await?, false),
                };
                let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
                repeats
                    .count_empty(is_empty)
                    .and_then(|()| repeats.check(page.items.iter().map(W::key)))
                    .map_err(|error| error.with_operation(Some(&list.operation)))?;
                Ok(page)
            }
        })
    }

    /// One page, and whether the registry sent no item for it.
    async fn page<W: WirePage>(&self, page: PageRequest) -> Result<(Page<W::Item>, bool)> {
        let request = self.request(&page).build()?;
        let uri = request.uri().clone();
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        let next = self.next(&uri, answer.headers())?;
        let items: W = response::read_json(answer, MAX_PAGE).await?;
        let is_empty = items.is_empty();
        Ok((Page::new(items.items(self), next), is_empty))
    }

    fn next(&self, uri: &Uri, headers: &http::HeaderMap) -> Result<Option<Continuation>> {
        url_policy::next_page(self.pipeline.endpoint(), uri, headers)
            .map_err(|error| error.with_operation(Some(&self.operation)))
    }

    fn request(&self, page: &PageRequest) -> RequestBuilder {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let mut request = RequestBuilder::new(Method::GET, self.pipeline.endpoint(), &path)
            .accept_json()
            .operation(self.operation.clone())
            .scope(self.scope.clone())
            .effect(Effect::Read);
        let filter = self.filter.as_ref().map(Filter::parameter);
        if let Some(next) = &page.continuation {
            let kept = without(next.query(), filter.map(|(name, _)| name));
            request = request.encoded_query(&kept);
        } else {
            if let Some(n) = page.page_size {
                request = request.query("n", n);
            }
            if let Some(order) = &self.order {
                request = request.query("orderby", order);
            }
            if let Some(version) = &self.api_version {
                request = request.query("api-version", version);
            }
        }
        match filter {
            Some((name, value)) => request.query(name, value),
            None => request,
        }
    }
}

impl Filter {
    fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Digest(digest) => ("digest", digest.as_str()),
            Self::ArtifactType(artifact_type) => ("artifactType", artifact_type),
        }
    }
}

/// A query without one of its parameters, the others byte for byte.
fn without(query: &str, name: Option<&str>) -> String {
    let is_kept = |pair: &&str| Some(pair.split('=').next().unwrap_or_default()) != name;
    query.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
}

/// The scope of everything that reads properties of a repository.
pub(crate) fn metadata_read(name: &acr_core::RepositoryName) -> Scope {
    Scope::repository(name, &[Action::METADATA_READ])
}

/// A page of 1,000 manifests has about half a mebibyte.
const MAX_PAGE: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_goes_and_the_others_stay_as_they_are() {
        for (query, rest) in [
            ("digest=sha256%3Aab&last=a%26b&n=2&orderby=", "last=a%26b&n=2&orderby="),
            ("last=x&digest=y&digest=z", "last=x"),
            ("last=digest=1", "last=digest=1"),
            ("digest", ""),
        ] {
            assert_eq!(without(query, Some("digest")), rest);
        }
        assert_eq!(without("a=1&&b", None), "a=1&&b");
    }
}
