//! One repository as everything sees it that sends a request to it.

use acr_core::{
    Action, CallOptions, Digest, Pipeline, RepositoryName, Scope,
    http::{Operation, RequestBuilder},
};
use http::Method;

use crate::upload::Learned;

/// Where requests go, and what uploads learned on the way. Clones share what was learned.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) pipeline: Pipeline,
    pub(crate) name: RepositoryName,
    /// What every download needs, made once.
    pub(crate) pull: Scope,
    /// What every upload needs.
    pub(crate) push: Scope,
    pub(crate) learned: Learned,
}

impl Repository {
    pub(crate) fn new(pipeline: Pipeline, name: RepositoryName) -> Self {
        let pull = Scope::repository(&name, &[Action::PULL]);
        let push = Scope::repository(&name, &[Action::PULL, Action::PUSH]);
        Self { pipeline, name, pull, push, learned: Learned::default() }
    }

    /// The same, with further options for its calls.
    pub(crate) fn with(&self, options: CallOptions) -> Self {
        Self { pipeline: self.pipeline.with(options), ..self.clone() }
    }

    /// A request about one blob.
    pub(crate) fn blob_request(
        &self,
        method: Method,
        digest: &Digest,
        operation: &'static str,
    ) -> RequestBuilder {
        let path = ["v2", self.name.as_str(), "blobs", digest.as_str()];
        RequestBuilder::new(method, self.pipeline.endpoint(), &path)
            .operation(Operation::new(operation).on(format_args!("{}@{digest}", self.name)))
    }
}
