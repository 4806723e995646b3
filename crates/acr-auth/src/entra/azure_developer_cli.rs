//! Whoever signed in with `azd auth login`.

use acr_core::{Error, ErrorKind, Result, Timestamp, http::BoxError};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    azure_cli::{read, refusal},
    failure::Failure,
    options::SourceOptions,
    scopes, secret_text,
    token_cache::TokenCache,
    tool::Tool,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Takes the identity that is signed in to the Azure Developer CLI.
///
/// Runs `azd auth token --output json --no-prompt --scope …`, as
/// [`AzureCliCredential`](super::AzureCliCredential) runs `az`.
#[derive(Debug)]
pub struct AzureDeveloperCliCredential {
    tool: Tool,
    tenant: Option<String>,
    cache: TokenCache,
}

impl AzureDeveloperCliCredential {
    /// The identity that is signed in.
    ///
    /// ```
    /// use acr_auth::entra::AzureDeveloperCliCredential;
    ///
    /// let source = acr_auth::Credential::entra(AzureDeveloperCliCredential::new());
    /// # let _ = source;
    /// ```
    pub fn new() -> Self {
        Self::configured(&SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{AzureDeveloperCliCredential, SourceOptions};
    ///
    /// let patient = SourceOptions::new().program_timeout(std::time::Duration::from_secs(60));
    /// let source = AzureDeveloperCliCredential::configured(&patient);
    /// # let _ = source;
    /// ```
    pub fn configured(options: &SourceOptions) -> Self {
        let tool = Tool::new("azd", &options.environment, options.program_timeout);
        Self { tool, tenant: None, cache: TokenCache::default() }
    }

    /// Asks for a token of this tenant instead of that of the selected subscription.
    ///
    /// ```
    /// use acr_auth::entra::AzureDeveloperCliCredential;
    ///
    /// let source = AzureDeveloperCliCredential::new().tenant("contoso.onmicrosoft.com")?;
    /// assert!(AzureDeveloperCliCredential::new().tenant("--help").is_err());
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] unless it is a tenant's id or domain name.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Result<Self> {
        let tenant = tenant.into();
        scopes::check_tenant(&tenant).map_err(Failure::into_error)?;
        self.tenant = Some(tenant);
        self.cache = TokenCache::default();
        Ok(self)
    }

    async fn fetch(&self, scopes: &[&str]) -> Result<AccessToken, Failure> {
        let scope = scopes::single(scopes)?;
        let mut arguments =
            vec!["auth", "token", "--output", "json", "--no-prompt", "--scope", scope];
        if let Some(tenant) = &self.tenant {
            arguments.extend(["--tenant-id", tenant]);
        }
        let output = self.tool.run(&arguments).await?;
        if !output.is_success {
            return Err(refusal("azd", "azd auth login", &message(&output.stderr)));
        }
        let answer = read("azd", &output, |answer: &Answer| answer.token.is_some())?;
        let token = secret_text::received(answer.token, "token")?;
        let expires_at: Timestamp = answer.expires_at.parse().map_err(|_| {
            Error::new(ErrorKind::Protocol, "`azd` did not say when the token expires")
        })?;
        Ok(AccessToken::new(token, expires_at.into()))
    }
}

impl Default for AzureDeveloperCliCredential {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenCredential for AzureDeveloperCliCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(async move {
            let fetch = || self.fetch(request.scopes);
            self.cache.get(request.scopes, fetch).await.map_err(BoxError::from)
        })
    }

    fn refused(&self, token: &AccessToken) {
        self.cache.refused(token);
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<Zeroizing<String>>,
    #[serde(rename = "expiresOn", default)]
    expires_at: String,
}

/// The words for a person: newer versions print them inside of JSON, one object a line.
fn message(stderr: &str) -> String {
    #[derive(Deserialize)]
    struct Event {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        message: String,
    }
    let lines = stderr.lines().map(|line| match serde_json::from_str::<Event>(line) {
        Ok(event) => event.data.message,
        Err(_) => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_taken_out_of_its_event() {
        let event = r#"{"type":"consoleMessage","timestamp":"2023-10-31T21:59:10Z","data":{"message":"\nERROR: not logged in, run `azd auth login` to login\n"}}"#;
        assert_eq!(message(event).trim(), "ERROR: not logged in, run `azd auth login` to login");
        assert_eq!(message("ERROR: plain\n{\"x\":1}"), "ERROR: plain\n{\"x\":1}");
    }
}
