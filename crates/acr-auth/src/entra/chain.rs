//! Sources in a row: the first that is available.

use std::{error::Error as StdError, fmt, sync::OnceLock};

use acr_core::{Error, ErrorKind, http::BoxError};

use super::{foreign_text::printable, unavailable::CredentialUnavailable};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Asks its links in order and takes the first that is available.
///
/// It goes on only when a link is "not available here" ([`CredentialUnavailable`]); any other
/// failure ends the search, so that a refused identity never turns into another one. The link
/// that gave the first token is asked alone from then on. The error of a chain says what each
/// link answered, and with the level `DEBUG` of `tracing` it is told once which one signed in.
/// Tokens are kept by the links, not by the chain.
///
/// ```
/// use acr_auth::{Credential, entra::{AzureCliCredential, ChainedCredential, ManagedIdentity, ManagedIdentityCredential}};
///
/// let chain = ChainedCredential::new()
///     .link("managed identity", ManagedIdentityCredential::new(ManagedIdentity::SystemAssigned)?)
///     .link("Azure CLI", AzureCliCredential::new());
/// let credential = Credential::entra(chain);
/// # let _ = credential;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Default)]
pub struct ChainedCredential {
    links: Vec<Link>,
    working: OnceLock<usize>,
}

struct Link {
    name: String,
    source: Box<dyn TokenCredential>,
}

impl ChainedCredential {
    /// A chain without links.
    ///
    /// ```
    /// use acr_auth::entra::{AzureCliCredential, ChainedCredential};
    ///
    /// let source = ChainedCredential::new().link("Azure CLI", AzureCliCredential::new());
    /// # let _ = source;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a link at the end; the name appears in errors, and so do the link's own errors,
    /// which must not hold secrets.
    ///
    /// ```
    /// use acr_auth::entra::{AzureCliCredential, AzureDeveloperCliCredential, ChainedCredential};
    ///
    /// let source = ChainedCredential::new()
    ///     .link("Azure CLI", AzureCliCredential::new())
    ///     .link("azd", AzureDeveloperCliCredential::new());
    /// # let _ = source;
    /// ```
    #[must_use]
    pub fn link(mut self, name: impl Into<String>, source: impl TokenCredential) -> Self {
        self.links.push(Link { name: name.into(), source: Box::new(source) });
        self
    }

    /// The link that gave the first token, if there was one already.
    ///
    /// ```
    /// use acr_auth::entra::{AzureCliCredential, ChainedCredential};
    ///
    /// let source = ChainedCredential::new().link("Azure CLI", AzureCliCredential::new());
    /// assert_eq!(source.working_link(), None); // nobody was asked yet
    /// # let _ = source;
    /// ```
    pub fn working_link(&self) -> Option<&str> {
        let link = self.links.get(*self.working.get()?)?;
        Some(&link.name)
    }

    async fn search(&self, request: TokenRequest<'_>) -> Result<AccessToken, BoxError> {
        if let Some(link) = self.working.get().and_then(|&index| self.links.get(index)) {
            return link.ask(request).await.map_err(|error| link.failed(error, &[]));
        }
        let mut answers = Vec::new();
        for (index, link) in self.links.iter().enumerate() {
            match link.ask(request).await {
                Ok(token) => {
                    // Of two first calls at once, the faster one decides.
                    if self.working.set(index).is_ok() {
                        tracing::debug!(link = %printable(&link.name, MAX_ANSWER), "signed in");
                    }
                    return Ok(token);
                }
                Err(error) if is_unavailable(&error) => answers.push(link.answer(&error)),
                Err(error) => return Err(link.failed(error, &answers)),
            }
        }
        let text = format!("no credential is available here: {}", answers.join("; "));
        Err(CredentialUnavailable::new(text).into())
    }
}

impl Link {
    async fn ask(&self, request: TokenRequest<'_>) -> Result<AccessToken, BoxError> {
        self.source.get_token(request).await
    }

    fn answer(&self, error: &BoxError) -> String {
        format!("{}: {}", self.name, printable(&error.to_string(), MAX_ANSWER))
    }

    /// The failure that ends the search, and what came before it.
    fn failed(&self, error: BoxError, before: &[String]) -> BoxError {
        let mut text = self.answer(&error);
        if !before.is_empty() {
            text = format!("{text} (before it: {})", before.join("; "));
        }
        Error::new(ErrorKind::Credential, text).with_source(error).into()
    }
}

impl TokenCredential for ChainedCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(self.search(request))
    }

    fn refused(&self, token: &AccessToken) {
        // Only the link that it came from knows it.
        self.links.iter().for_each(|link| link.source.refused(token));
    }
}

impl fmt::Debug for ChainedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.links.iter().map(|link| &link.name).collect();
        f.debug_struct("ChainedCredential")
            .field("links", &names)
            .field("working", &self.working_link())
            .finish()
    }
}

fn is_unavailable(error: &BoxError) -> bool {
    let error: &(dyn StdError + 'static) = error.as_ref();
    CredentialUnavailable::is_cause_of(error)
}

/// What is kept of a link's words, in characters.
const MAX_ANSWER: usize = 500;
