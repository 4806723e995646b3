//! Who is asking.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use acr_core::BoxError;

use crate::access_token::AccessToken;

/// A boxed future, for object-safe asynchronous methods.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is asking. Opaque, so that a new kind is no breaking change.
#[derive(Clone, Debug)]
pub struct Credential(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Anonymous,
    Entra(Arc<dyn TokenCredential>),
}

impl Credential {
    /// Nobody: for registries that allow anonymous pull. Never turns into anything else.
    pub fn anonymous() -> Self {
        Self(Kind::Anonymous)
    }

    /// An Entra identity: its token is exchanged for a registry refresh token,
    /// and that for access tokens as needed.
    pub fn entra(source: impl TokenCredential) -> Self {
        Self(Kind::Entra(Arc::new(source)))
    }
}

/// A source of Entra access tokens. Implement it for your identity library, or use [`credential_fn`].
///
/// Asked when a registry refresh token is needed, about every three hours. Caching
/// is the source's own affair.
pub trait TokenCredential: fmt::Debug + Send + Sync + 'static {
    /// Fetches a token for the scopes of the request.
    ///
    /// # Errors
    ///
    /// Whatever the source fails with; it becomes the source of an error of kind
    /// [`acr_core::ErrorKind::Credential`].
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>>;
}

/// What an Entra token is needed for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenRequest<'a> {
    /// The Entra scopes: the audience with `/.default`.
    pub scopes: &'a [&'a str],
}

/// Makes a [`TokenCredential`] from a function that gets the Entra scopes.
pub fn credential_fn<F, Fut>(function: F) -> impl TokenCredential
where
    F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<AccessToken, BoxError>> + Send + 'static,
{
    FromFn(function)
}

struct FromFn<F>(F);

impl<F> fmt::Debug for FromFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("credential_fn")
    }
}

impl<F, Fut> TokenCredential for FromFn<F>
where
    F: Fn(Vec<String>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<AccessToken, BoxError>> + Send + 'static,
{
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin((self.0)(request.scopes.iter().map(ToString::to_string).collect()))
    }
}
