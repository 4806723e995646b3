//! What all lists have in common: one page is one request.

use std::sync::{Arc, Mutex, PoisonError};

use acr_core::{
    Action, Continuation, Digest, Error, ErrorKind, Page, Pager, Pipeline, Result, Scope,
    Timestamp,
    http::{Effect, Operation, PageRequest, RequestBuilder, response, url_policy},
    value::Unreadable,
};
use http::{Method, StatusCode, Uri};
use serde_json::value::RawValue;

use crate::{
    after::Place,
    answer,
    api_version::ApiVersion,
    model::{Fields, Order, Owner},
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
    /// Where the first page begins.
    pub(crate) after: Option<Place>,
    /// Repeated with every page: the registry's links forget it.
    pub(crate) filter: Option<Filter>,
    /// What is wrong with what is listed: said instead of the first page.
    pub(crate) refused: Option<Arc<Error>>,
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

/// An item of a list.
pub(crate) trait Item: Sized + Send + 'static {
    /// The key that holds the list in a page. It must be there: an answer without it is
    /// no list, and not an empty one.
    const LIST: &'static str;

    /// The key that holds one item in the answer at its own path, where it has one.
    const ONE: Option<&'static str> = None;

    /// Reads an item, or says what it lacks.
    fn read(raw: &RawValue, owner: Option<&Owner>) -> Result<Self, String>;

    /// The items of a page all of whose parts are as registries write them, read at once; whatever
    /// else a page is, [`Item::read`] reads it item by item.
    fn quick(_body: &[u8], _owner: Option<&Owner>) -> Option<Vec<Self>> {
        None
    }

    /// Whether it belongs to the list: registries do not filter every page.
    fn belongs(&self, _: &Filter) -> bool {
        true
    }

    /// What makes an item this one and no other, its time included where it has one.
    fn key(&self) -> impl std::hash::Hash;
}

impl List {
    /// A pager of its items.
    pub(crate) fn pager<T: Item>(self) -> Pager<T> {
        self.pager_or(|_, error| std::future::ready(Err(error)))
    }

    /// A pager that asks `otherwise` for a page that failed.
    pub(crate) fn pager_or<T, F, Fut>(self, otherwise: F) -> Pager<T>
    where
        T: Item,
        F: Fn(PageRequest, Error) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Page<T>>> + Send,
    {
        let state = Arc::new((self, otherwise, Mutex::new(Repeats::default())));
        Pager::new(move |request| {
            let state = Arc::clone(&state);
            async move {
                let (list, otherwise, repeats) = &*state;
                let mut page: Page<T> = match list.page(request.clone()).await {
                    Ok(page) => page,
                    Err(error) => otherwise(request, error).await?,
                };
                let mut repeats = repeats.lock().unwrap_or_else(PoisonError::into_inner);
                // What cannot be read is no progress: it could be the same for ever.
                repeats
                    .count_empty(page.items.is_empty())
                    .and_then(|()| repeats.check(page.items.iter().map(T::key)))
                    .map_err(|error| error.with_operation(Some(&list.operation)))?;
                if let Some(filter) = &list.filter {
                    page.items.retain(|item| item.belongs(filter));
                }
                Ok(page)
            }
        })
    }

    /// One page, as the registry has it.
    async fn page<T: Item>(&self, page: PageRequest) -> Result<Page<T>> {
        if let Some(wrong) = &self.refused {
            return Err(Error::shared(wrong).with_operation(Some(&self.operation)));
        }
        let last = match (&self.after, &page.continuation) {
            (Some(place), None) => Some(self.marker::<T>(place).await?),
            _ => None,
        };
        let request = self.request(&page, last.as_deref()).build()?;
        let uri = request.uri().clone();
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        let next = self.next(&uri, answer.headers())?;
        let (head, body) = response::read_body(answer, MAX_PAGE).await?;
        let (items, unreadable) = match T::quick(&body, self.owner.as_ref()) {
            Some(items) => (items, Vec::new()),
            None => answer::parse(&head, &body, |fields| self.items(fields))?,
        };
        Ok(Page::new(items, next).with_unreadable(unreadable))
    }

    /// The items of a page, each by itself: one that cannot be read is told and keeps no
    /// other back.
    pub(crate) fn items<T: Item>(
        &self,
        fields: Fields<'_>,
    ) -> Result<(Vec<T>, Vec<Unreadable>), String> {
        items(fields, self.owner.clone())
    }

    fn next(&self, uri: &Uri, headers: &http::HeaderMap) -> Result<Option<Continuation>> {
        url_policy::next_page(self.pipeline.endpoint(), uri, headers)
            .map_err(|error| error.with_operation(Some(&self.operation)))
    }

    /// What the registry calls a place in the list: the name, and in an order of time the
    /// time before it, which is asked for if it is not known.
    async fn marker<T: Item>(&self, place: &Place) -> Result<String> {
        let by_time = [Order::OLDEST_FIRST, Order::NEWEST_FIRST];
        let is_by_time = self.order.as_ref().is_some_and(|order| by_time.contains(order));
        match (T::ONE, place.updated_at) {
            (Some(_), Some(time)) if is_by_time => Ok(place.in_time(time)),
            (Some(one), None) if is_by_time => {
                Ok(place.in_time(self.time_of(one, &place.name).await?))
            }
            _ => Ok(place.name.clone()),
        }
    }

    async fn time_of(&self, one: &str, name: &str) -> Result<Timestamp> {
        let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        path.push(name);
        let answer = self.pipeline.send(self.versioned(&path).build()?).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        let time = answer::object(answer, MAX_ITEM, |mut fields| {
            fields.need::<Fields<'_>>(one)?.need("lastUpdateTime")
        });
        time.await.map_err(|error| {
            let text = format!("the list cannot begin after `{name}`: its time cannot be read");
            Error::new(ErrorKind::Protocol, text)
                .with_operation(Some(&self.operation))
                .with_source(error)
        })
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        RequestBuilder::new(Method::GET, self.pipeline.endpoint(), path)
            .accept_json()
            .operation(self.operation.clone())
            .scope(self.scope.clone())
            .effect(Effect::Read)
    }

    fn versioned(&self, path: &[&str]) -> RequestBuilder {
        match &self.api_version {
            Some(version) => self.get(path).query("api-version", version),
            None => self.get(path),
        }
    }

    fn request(&self, page: &PageRequest, last: Option<&str>) -> RequestBuilder {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let mut request = self.get(&path);
        let filter = self.filter.as_ref().map(Filter::parameter);
        if let Some(next) = &page.continuation {
            let kept = without(next.query(), filter.map(|(name, _)| name));
            request = request.encoded_query(&kept);
        } else {
            if let Some(last) = last {
                request = request.query("last", last);
            }
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

pub(crate) fn items<T: Item>(
    mut fields: Fields<'_>,
    owner: Option<Owner>,
) -> Result<(Vec<T>, Vec<Unreadable>), String> {
    let raw = fields.list(T::LIST)?;
    let owner = owner.map(|owner| owner.or_of(&mut fields));
    let (mut items, mut unreadable) = (Vec::new(), Vec::new());
    for item in raw {
        match T::read(item, owner.as_ref()) {
            Ok(read) => items.push(read),
            Err(reason) => unreadable.push(Unreadable::new(item.get(), reason)),
        }
    }
    Ok((items, unreadable))
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

/// A manifest with all its tags and references stays far below.
const MAX_ITEM: usize = 1024 * 1024;

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
