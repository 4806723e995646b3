//! Who is asking.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use acr_core::{Endpoint, Error, Secret, http::BoxError};

use crate::{access_token::AccessToken, secret_text};

/// A boxed future, for object-safe asynchronous methods.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is asking. Opaque, so that a new kind is no breaking change.
///
/// Texts that are read from files or typed end with a line break where nobody means one, and a
/// registry answers such a password with 500. So line breaks at the end are left out of user
/// names and passwords, and blanks around tokens, with a warning in the log. Any other
/// character that cannot be meant, such as a line break in the middle, makes the credential
/// unusable: calls end with [`acr_core::ErrorKind::InvalidInput`], and nothing is sent.
#[derive(Clone)]
pub struct Credential(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Anonymous {
        /// Why nobody is signed in, for the error of a refusal.
        why: Option<Arc<str>>,
    },
    Sought(Arc<dyn CredentialSource>),
    Entra(Arc<dyn TokenCredential>),
    RefreshToken(Secret),
    Password {
        user: Arc<str>,
        password: Secret,
    },
    /// It holds what cannot be sent; in words.
    Unusable(Arc<Error>),
}

impl Credential {
    /// Nobody: for registries that allow anonymous pull. Never turns into anything else.
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::anonymous())?;
    /// # let _ = pipeline;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn anonymous() -> Self {
        Self(Kind::Anonymous { why: None })
    }

    /// As [`Credential::anonymous`], for whoever looked for a credential and found none: where the
    /// registry refuses nobody, the error says why nobody is signed in. In lower case, without a
    /// secret. A [`CredentialSource`] that found nobody is asked again after a minute.
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// let nobody = Credential::anonymous_since("the vault is sealed");
    /// assert_eq!(format!("{nobody:?}"), "Credential(anonymous)");
    /// ```
    pub fn anonymous_since(reason: impl Into<String>) -> Self {
        Self(Kind::Anonymous { why: Some(reason.into().into()) })
    }

    /// One that is looked for when the registry is signed in to first.
    ///
    /// ```
    /// use acr_auth::{Credential, CredentialSource};
    ///
    /// fn from_vault(vault: impl CredentialSource) -> Credential {
    ///     Credential::sought(vault)
    /// }
    /// ```
    pub fn sought(source: impl CredentialSource) -> Self {
        Self(Kind::Sought(Arc::new(source)))
    }

    /// A registry refresh token obtained elsewhere, as `az acr login --expose-token` prints it.
    /// When it expires, so does the access: nothing here can renew it.
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// // `az acr login --name myregistry --expose-token`
    /// let credential = Credential::refresh_token("<token>");
    /// assert_eq!(format!("{credential:?}"), "Credential(refresh token)");
    /// ```
    pub fn refresh_token(token: impl Into<Secret>) -> Self {
        match secret_text::token(&token.into(), "refresh token") {
            Ok(token) => Self(Kind::RefreshToken(token)),
            Err(error) => Self(Kind::Unusable(Arc::new(error))),
        }
    }

    /// A user name and password: the admin user, a service principal (client id and
    /// secret), or a repository-scoped token. The user
    /// `00000000-0000-0000-0000-000000000000` stands for a refresh token as the password,
    /// as in `docker login`.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::{AuthLayer, Credential};
    /// use acr_core::Pipeline;
    ///
    /// let credential = Credential::password("me", "secret");
    /// let auth = AuthLayer::new(&registry.endpoint(), credential);
    /// let pipeline = Pipeline::builder(registry.endpoint()).transport(registry.transport());
    /// let pipeline = pipeline.layer_per_hop(auth).build()?;
    /// # let _ = pipeline;
    /// # Ok(()) });
    /// ```
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        let user = secret_text::line(&Secret::new(user), "user name");
        let user = match user {
            Ok(user) if user.expose() == NULL_USER => return Self::refresh_token(password),
            other => other,
        };
        match user.and_then(|user| Ok((user, secret_text::line(&password.into(), "password")?))) {
            Ok((user, password)) => Self(Kind::Password { user: user.expose().into(), password }),
            Err(error) => Self(Kind::Unusable(Arc::new(error))),
        }
    }

    /// An Entra identity: its token is exchanged for a registry refresh token,
    /// and that for access tokens as needed.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, pipeline| {
    /// use acr_auth::{AccessToken, Credential, credential_fn};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let token = registry.entra_token(); // that of your identity library
    /// let credential = Credential::entra(credential_fn(move |_scopes| {
    ///     let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
    ///     async { Ok(token) }
    /// }));
    /// # let _ = (credential, pipeline);
    /// # Ok(()) });
    /// ```
    pub fn entra(source: impl TokenCredential) -> Self {
        Self(Kind::Entra(Arc::new(source)))
    }
}

impl Credential {
    /// Whether an Entra token may be asked for with it. Settings about such tokens, the audience
    /// and whom to trust with them, do nothing beside any other. Of one that is looked for nobody
    /// knows yet.
    ///
    /// ```
    /// use acr_auth::Credential;
    ///
    /// assert!(!Credential::password("me", "secret").may_be_entra());
    /// assert!(!Credential::anonymous().may_be_entra());
    /// ```
    pub fn may_be_entra(&self) -> bool {
        match self.0 {
            Kind::Sought(_) | Kind::Entra(_) | Kind::Unusable(_) => true,
            Kind::Anonymous { .. } | Kind::RefreshToken(_) | Kind::Password { .. } => false,
        }
    }
}

impl fmt::Debug for Credential {
    /// The kind and nothing else: what a caller's source prints is not ours to show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Anonymous { .. } => "Credential(anonymous)",
            Kind::Sought(_) => "Credential(sought)",
            Kind::Entra(_) => "Credential(entra)",
            Kind::RefreshToken(_) => "Credential(refresh token)",
            Kind::Password { .. } => "Credential(password)",
            Kind::Unusable(_) => "Credential(unusable)",
        })
    }
}

/// The user name of whoever has a token instead of a name.
const NULL_USER: &str = "00000000-0000-0000-0000-000000000000";

/// A source of Entra access tokens. Implement it for your identity library, or use [`credential_fn`].
///
/// Asked when a registry refresh token is needed, about every three hours. Caching
/// is the source's own affair; one that caches implements [`TokenCredential::refused`] too.
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

    /// Told that a registry refused a token of this source. Whoever keeps tokens drops this
    /// one, compared by its text, since only the registry knows when a token was revoked. The
    /// source is then asked once more; the same token again ends the call.
    ///
    /// Does nothing by default, which is right for a source that keeps none.
    fn refused(&self, token: &AccessToken) {
        let _ = token;
    }
}

/// Looks for the credential of a registry when it is needed first.
///
/// For what takes time to find, or should not be asked for before it is needed: a file, a program,
/// a person. What is found is used for the registry that it was looked for and for no other. It is
/// looked for again, when a token is fetched next,
///
/// - after the token service refused it, or after the search failed and nobody had been found before;
/// - after its rights did not suffice, if it was looked for more than a minute ago;
/// - a minute after nobody was found ([`Credential::anonymous_since`]).
///
/// In the last two cases whoever was there before goes on while the search runs, and for another minute
/// if it fails or finds nobody. An Entra identity, which renews its own tokens, and
/// [`Credential::anonymous`], nobody by choice, are kept for good: a source that asks a person gives the
/// latter where the person declines, and is asked again for want of rights as above.
///
/// ```
/// use acr_auth::{BoxFuture, Credential, CredentialSource};
/// use acr_core::{Endpoint, Error, ErrorKind, Result};
///
/// #[derive(Debug)]
/// struct Vault;
///
/// impl CredentialSource for Vault {
///     fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
///         Box::pin(async move {
///             match registry.host() {
///                 "registry.example" => Ok(Credential::password("ci", "from the vault")),
///                 host => Err(Error::new(ErrorKind::Credential, format!("nothing for `{host}`"))),
///             }
///         })
///     }
/// }
///
/// let pipeline = acr_auth::connect("registry.example", Credential::sought(Vault))?;
/// # let _ = pipeline;
/// # Ok::<(), acr_core::Error>(())
/// ```
pub trait CredentialSource: fmt::Debug + Send + Sync + 'static {
    /// Finds the credential for this registry.
    ///
    /// # Errors
    ///
    /// Whatever it fails with becomes the error of the call that needed it.
    fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential, Error>>;
}

/// One source for several clients, which then share what it keeps.
impl<T: TokenCredential + ?Sized> TokenCredential for Arc<T> {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        (**self).get_token(request)
    }

    fn refused(&self, token: &AccessToken) {
        (**self).refused(token);
    }
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
    ///
    /// ```
    /// use acr_auth::{AccessToken, TokenCredential, TokenRequest, credential_fn};
    /// use std::time::SystemTime;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let source = credential_fn(|scopes| async move { Ok(AccessToken::new(scopes.join("+"), SystemTime::now())) });
    /// let token = source.get_token(TokenRequest::new(&["a", "b"])).await?;
    /// assert_eq!(token.token().expose(), "a+b");
    /// # Ok::<(), acr_core::http::BoxError>(()) }).unwrap();
    /// ```
    pub fn new(scopes: &'a [&'a str]) -> Self {
        Self { scopes }
    }
}

/// Makes a [`TokenCredential`] from a function that gets the Entra scopes.
///
/// ```
/// use acr_auth::{AccessToken, Credential, credential_fn};
/// use std::time::{Duration, SystemTime};
///
/// let identity = credential_fn(|_scopes| async {
///     // Ask your identity library here; trouble is any error.
///     Ok(AccessToken::new("<token from Entra>", SystemTime::now() + Duration::from_secs(3600)))
/// });
/// let credential = Credential::entra(identity);
/// # let _ = credential;
/// ```
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
