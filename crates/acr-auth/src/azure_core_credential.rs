//! Credentials of the Azure SDK for Rust.

use std::{fmt, sync::Arc, time::SystemTime};

use acr_core::{Secret, http::BoxError};
use azure_core::credentials::TokenCredential as AzureCredential;

use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, Credential, TokenCredential, TokenRequest},
};

impl Credential {
    /// An Entra identity from the Azure SDK for Rust: any of `azure_identity`, or one of your
    /// own. How it reaches Entra is its own affair; `examples/azure_identity.rs` sends its
    /// requests through our transport. What the SDK keeps, it keeps: for a token that the registry
    /// refuses it is asked once more, and another one is used.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use acr_auth::Credential;
    /// use azure_core::credentials::TokenCredential;
    ///
    /// fn of_the_sdk(identity: Arc<dyn TokenCredential>) -> Credential {
    ///     Credential::azure_core(identity)
    /// }
    /// ```
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

#[cfg(test)]
mod tests {
    use std::{
        pin::Pin,
        time::{Duration, UNIX_EPOCH},
    };

    use azure_core::{
        credentials::{AccessToken as AzureToken, TokenRequestOptions},
        error::{Error as AzureError, ErrorKind as AzureErrorKind},
    };

    use super::*;
    use crate::credential::Kind;

    #[derive(Debug)]
    struct Sdk {
        #[expect(dead_code, reason = "printed by Debug, which must not happen")]
        secret: &'static str,
        works: bool,
    }

    type Answer<'a> = Pin<Box<dyn Future<Output = azure_core::Result<AzureToken>> + Send + 'a>>;

    // What `#[async_trait]` writes.
    impl AzureCredential for Sdk {
        fn get_token<'a, 'b, 'c, 'd, 'e>(
            &'a self,
            scopes: &'b [&'c str],
            _: Option<TokenRequestOptions<'d>>,
        ) -> Answer<'e>
        where
            'a: 'e,
            'b: 'e,
            'c: 'e,
            'd: 'e,
            Self: 'e,
        {
            assert_eq!(scopes, ["a/.default", "b"]);
            Box::pin(async move {
                if !self.works {
                    return Err(AzureError::with_message(AzureErrorKind::Credential, "signed out"));
                }
                let expires_on = (UNIX_EPOCH + Duration::from_secs(4_945_000_000)).into();
                Ok(AzureToken::new("the-token".to_owned(), expires_on))
            })
        }
    }

    #[tokio::test]
    async fn token_expiry_and_failure_come_through_and_nothing_is_printed() {
        for works in [true, false] {
            let credential = Credential::azure_core(Arc::new(Sdk { secret: "canary", works }));
            assert!(!format!("{credential:?}").contains("canary"));
            let Kind::Entra(source) = credential.0 else { panic!("an Entra identity") };
            match source.get_token(TokenRequest::new(&["a/.default", "b"])).await {
                Ok(token) => {
                    assert!(works);
                    assert_eq!(token.token().expose(), "the-token");
                    let life = token.expires_at().duration_since(UNIX_EPOCH).unwrap();
                    assert_eq!(life.as_secs(), 4_945_000_000);
                }
                Err(error) => {
                    assert!(!works);
                    assert_eq!(error.to_string(), "signed out");
                }
            }
        }
    }
}
