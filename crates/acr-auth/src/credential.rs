//! Who is asking.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use acr_core::{BoxError, Secret};

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
    RefreshToken(Secret),
    Password { user: Arc<str>, password: Secret },
}

impl Credential {
    /// Nobody: for registries that allow anonymous pull. Never turns into anything else.
    pub fn anonymous() -> Self {
        Self(Kind::Anonymous)
    }

    /// A registry refresh token obtained elsewhere, as `az acr login --expose-token` prints it.
    /// When it expires, so does the access: nothing here can renew it.
    pub fn refresh_token(token: impl Into<Secret>) -> Self {
        Self(Kind::RefreshToken(token.into()))
    }

    /// A user name and password: the admin user, a service principal (client id and
    /// secret), or a repository-scoped token. The user
    /// `00000000-0000-0000-0000-000000000000` stands for a refresh token as the password,
    /// as in `docker login`.
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let user = user.into();
        if user == NULL_USER {
            return Self::refresh_token(password);
        }
        Self(Kind::Password { user: user.into(), password: password.into() })
    }

    /// An Entra identity: its token is exchanged for a registry refresh token,
    /// and that for access tokens as needed.
    pub fn entra(source: impl TokenCredential) -> Self {
        Self(Kind::Entra(Arc::new(source)))
    }
}

/// The user name of whoever has a token instead of a name.
const NULL_USER: &str = "00000000-0000-0000-0000-000000000000";

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

impl<'a> TokenRequest<'a> {
    /// Asks for these scopes: for tests of a source, and for calling one directly.
    pub fn new(scopes: &'a [&'a str]) -> Self {
        Self { scopes }
    }
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
