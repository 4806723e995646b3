//! What all lists have in common: one page is one request.

use acr_core::{
    Action, Effect, Operation, Page, PageRequest, Pager, Pipeline, RequestBuilder, Result, Scope,
    response, url_policy,
};
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;

/// A list at a fixed path.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) pipeline: Pipeline,
    pub(crate) path: Vec<String>,
    pub(crate) operation: Operation,
    pub(crate) scope: Scope,
}

impl List {
    /// A pager whose pages have the shape `W`, which turns into items.
    pub(crate) fn pager<W, T>(self) -> Pager<T>
    where
        W: DeserializeOwned + Into<Vec<T>> + Send + 'static,
        T: Send + 'static,
    {
        Pager::new(move |request| {
            let list = self.clone();
            async move { list.page::<W, T>(request).await }
        })
    }

    async fn page<W, T>(self, page: PageRequest) -> Result<Page<T>>
    where
        W: DeserializeOwned + Into<Vec<T>>,
    {
        let request = self.request(&page).build()?;
        let uri = request.uri().clone();
        let answer = self.pipeline.send(request).await?;
        let answer = response::expect(answer, &[StatusCode::OK]).await?;
        let next = url_policy::next_page(self.pipeline.endpoint(), &uri, answer.headers())
            .map_err(|error| error.with_operation(Some(&self.operation)))?;
        let items: W = response::read_json(answer, MAX_PAGE).await?;
        Ok(Page::new(items.into(), next))
    }

    fn request(&self, page: &PageRequest) -> RequestBuilder {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let request = RequestBuilder::new(Method::GET, self.pipeline.endpoint(), &path)
            .accept_json()
            .operation(self.operation.clone())
            .scope(self.scope.clone())
            .effect(Effect::Read);
        match (&page.continuation, page.page_size) {
            (Some(next), _) => request.encoded_query(next.query()),
            (None, Some(n)) => request.query("n", n).query("api-version", API_VERSION),
            (None, None) => request.query("api-version", API_VERSION),
        }
    }
}

/// The scope of everything that reads properties of a repository.
pub(crate) fn metadata_read(name: &acr_core::RepositoryName) -> Scope {
    Scope::repository(name, &[Action::METADATA_READ])
}

/// The data-plane API this client was written against.
pub(crate) const API_VERSION: &str = "2021-07-01";

/// A page of 1,000 manifests has about half a mebibyte.
const MAX_PAGE: usize = 8 * 1024 * 1024;
