//! What a reference stands for.

use acr_core::{Digest, Error, ErrorKind, Reference, Result, Scope, http::response};
use http::{Method, StatusCode};

use crate::{
    answer::refuse_errors,
    locks,
    manifest_request::{operation, read_request},
    repository::RepositoryClient,
};

impl RepositoryClient {
    /// The digest a tag or digest stands for now: `HEAD /v2/{name}/manifests/{reference}`.
    ///
    /// Where a registry does not name the digest in its answer, or knows no `HEAD` (405,
    /// 501, 400 or 406), the manifest is got and the digest computed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let digest = repo.resolve("v1".parse::<Tag>()?).await?;
    /// assert_eq!(digest, repo.resolve("latest".parse::<Tag>()?).await?);
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Protocol`] when the registry names no digest
    /// that could be one.
    ///
    /// # Cancellation
    ///
    /// Dropping the future sends nothing more.
    pub async fn resolve(&self, reference: impl Into<Reference> + Send) -> Result<Digest> {
        let scope = self.pull.clone();
        self.resolve_in(reference.into(), scope).await
    }

    /// The same, with a token of this scope.
    pub(crate) async fn resolve_in(&self, reference: Reference, scope: Scope) -> Result<Digest> {
        let operation = operation("resolve", &self.name, &reference);
        let request = read_request(Method::HEAD, self, &reference, operation, None)?;
        let request = request.scope(scope).build()?;
        let answer = self.pipeline.send(request).await?;
        if HEAD_UNKNOWN.contains(&answer.status()) {
            // A lock answers 405 too, and says so in the body that only `GET` has.
            return Ok(self.get_manifest(reference).allow_ambiguous().await?.digest);
        }
        let answer = response::expect(answer, &[StatusCode::OK])
            .await
            .map_err(|error| locks::explain(error, locks::GET_MANIFEST))?;
        let (head, _) = answer.into_parts();
        refuse_errors(&head, &[])?;
        let named = response::header_text(&head.headers, &response::DOCKER_CONTENT_DIGEST);
        match (named, reference.digest()) {
            (Some(named), asked) => {
                let digest: Digest = named.parse().map_err(|error| {
                    let error = Error::new(ErrorKind::Protocol, "the registry names no digest")
                        .with_source(error);
                    response::describe(error, &head)
                })?;
                let Some(asked) = asked else { return Ok(digest) };
                response::check_digest_header(&head, asked)?;
                Ok(asked.clone())
            }
            (None, Some(asked)) => Ok(asked.clone()),
            (None, None) => Ok(self.get_manifest(reference).allow_ambiguous().await?.digest),
        }
    }
}

/// How a server says that it has no `HEAD` here.
const HEAD_UNKNOWN: [StatusCode; 4] = [
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::NOT_IMPLEMENTED,
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_ACCEPTABLE,
];
