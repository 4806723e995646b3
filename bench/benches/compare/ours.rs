//! What is measured: our client, doing what the yardstick does.

use std::path::Path;

use acr_auth::{AuthLayer, Credential};
use acr_blob::{BlobClient, Content};
use acr_core::{
    Action, Digest, Endpoint, Pipeline, RepositoryName, Scope,
    http::{Body, Effect, Operation, Request, RequestBuilder},
};
use acr_registry::RepositoryClient;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;

/// A repository, and how it is asked.
#[derive(Clone)]
pub(crate) struct Ours {
    pipeline: Pipeline,
    blobs: BlobClient,
    repository: RepositoryClient,
    scope: Scope,
}

impl Ours {
    /// Signed in, as programs are: the first request to a scope asks for a token.
    pub(crate) fn new(endpoint: Endpoint, repository: &str) -> Self {
        let auth = AuthLayer::new(&endpoint, Credential::password("bench", "bench"));
        Self::over(Pipeline::builder(endpoint).layer_per_hop(auth).build().unwrap(), repository)
    }

    fn over(pipeline: Pipeline, repository: &str) -> Self {
        let name: RepositoryName = repository.parse().unwrap();
        let scope = Scope::repository(&name, &[Action::PULL]);
        let blobs = BlobClient::new(pipeline.clone(), name.clone());
        let repository = RepositoryClient::new(pipeline.clone(), name);
        Self { pipeline, blobs, repository, scope }
    }

    /// Another repository, through the same stack.
    pub(crate) fn beside(&self, repository: &str) -> Self {
        Self::over(self.pipeline.clone(), repository)
    }

    /// A request without a body, of which nothing but the stack is left. It has a scope, or it would
    /// be sent without a token.
    pub(crate) async fn ping(&self) {
        let request: Request =
            RequestBuilder::new(Method::GET, self.pipeline.endpoint(), &["v2", ""])
                .operation(Operation::new("ping"))
                .scope(self.scope.clone())
                .effect(Effect::Read)
                .body(Body::empty())
                .build()
                .unwrap();
        let answer = self.pipeline.send(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.into_body().collect().await.unwrap();
    }

    /// Reads a blob to nowhere, verified; its length.
    pub(crate) async fn get(&self, digest: &Digest) -> u64 {
        let mut reader = self.blobs.download(digest).await.unwrap();
        let mut len = 0;
        while let Some(piece) = reader.chunk().await.unwrap() {
            len += piece.len() as u64;
        }
        len
    }

    /// Uploads what is given; its length.
    pub(crate) async fn put(&self, content: impl Into<Content>) -> u64 {
        self.blobs.upload(content).await.unwrap().size
    }

    pub(crate) async fn put_file(&self, path: &Path) -> u64 {
        self.put(Content::file(path).await.unwrap()).await
    }

    /// Reads all tags with everything that is known of them, 100 a page; how many there are.
    pub(crate) async fn tags(&self) -> u64 {
        let mut tags = self.repository.list_tags().page_size(100);
        let mut count = 0;
        while tags.try_next().await.unwrap().is_some() {
            count += 1;
        }
        count
    }

    /// The first page of them.
    pub(crate) async fn first_tag(&self) {
        let mut tags = self.repository.list_tags().page_size(100);
        assert!(tags.try_next().await.unwrap().is_some());
    }
}
