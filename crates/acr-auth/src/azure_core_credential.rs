//! Credentials of the Azure SDK for Rust.

use std::{fmt, sync::Arc, time::SystemTime};

use acr_core::{BoxError, Secret};
use azure_core::credentials::TokenCredential as AzureCredential;

use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, Credential, TokenCredential, TokenRequest},
};

impl Credential {
    /// An Entra identity from the Azure SDK for Rust: any of `azure_identity`, or one of your
    /// own. How it reaches Entra is its own affair; `examples/azure_identity.rs` sends its
    /// requests through our transport.
    #[cfg_attr(docsrs, doc(cfg(feature = "azure-core")))]
    pub fn azure_core(credential: Arc<dyn AzureCredential>) -> Self {
        Self::entra(AzureCore(credential))
    }
}

struct AzureCore(Arc<dyn AzureCredential>);

impl TokenCredential for AzureCore {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(async move {
            let token = self.0.get_token(request.scopes, None).await?;
            let expires_at = SystemTime::from(token.expires_on);
            Ok(AccessToken::new(Secret::new(token.token.secret()), expires_at))
        })
    }
}

impl fmt::Debug for AzureCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what is inside: what it prints is not ours to promise.
        f.write_str("AzureCore")
    }
}
