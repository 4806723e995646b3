//! Whoever signed in with `az login`.

use std::time::SystemTime;

use acr_core::{Error, ErrorKind, Result, Timestamp, http::BoxError};
use jiff::{civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    answer,
    failure::Failure,
    foreign_text::without_tokens,
    options::SourceOptions,
    scopes, secret_text,
    token_cache::TokenCache,
    tool::{Output, Tool},
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
    printed_json,
};

/// Takes the identity that is signed in to the Azure CLI.
///
/// Runs `az account get-access-token --output json --scope …`: the first `az` in the absolute
/// folders of `PATH`, without a shell, in the root folder, for at most
/// [`SourceOptions::program_timeout`]. It is "not available here" when there is no `az` or
/// nobody is signed in.
#[derive(Debug)]
pub struct AzureCliCredential {
    tool: Tool,
    tenant: Option<String>,
    cache: TokenCache,
}

impl AzureCliCredential {
    /// The identity that is signed in.
    ///
    /// ```
    /// use acr_auth::entra::AzureCliCredential;
    ///
    /// let source = acr_auth::Credential::entra(AzureCliCredential::new());
    /// # let _ = source;
    /// ```
    pub fn new() -> Self {
        Self::configured(&SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{AzureCliCredential, SourceOptions};
    ///
    /// let patient = SourceOptions::new().program_timeout(std::time::Duration::from_secs(60));
    /// let source = AzureCliCredential::configured(&patient);
    /// # let _ = source;
    /// ```
    pub fn configured(options: &SourceOptions) -> Self {
        let tool = Tool::new("az", &options.environment, options.program_timeout);
        Self { tool, tenant: None, cache: TokenCache::default() }
    }

    /// Asks for a token of this tenant instead of that of the current subscription.
    ///
    /// ```
    /// use acr_auth::entra::AzureCliCredential;
    ///
    /// let source = AzureCliCredential::new().tenant("contoso.onmicrosoft.com")?;
    /// assert!(AzureCliCredential::new().tenant("--help").is_err());
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
            vec!["account", "get-access-token", "--output", "json", "--scope", scope];
        if let Some(tenant) = &self.tenant {
            arguments.extend(["--tenant", tenant]);
        }
        let output = self.tool.run(&arguments).await?;
        if !output.is_success {
            return Err(refusal("az", "az login", &output.stderr));
        }
        let answer = read("az", &output, |answer: &Answer| answer.token.is_some())?;
        answer.token(&TimeZone::system())
    }
}

impl Default for AzureCliCredential {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenCredential for AzureCliCredential {
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

/// What a tool printed on its way out. It names the command that signs in when nobody is
/// signed in; with a code of Entra, somebody is, and was refused.
pub(crate) fn refusal(tool: &str, sign_in: &str, stderr: &str) -> Failure {
    let words = without_tokens(stderr, MAX_WORDS);
    if stderr.contains(sign_in) && !stderr.contains("AADSTS") {
        return Failure::unavailable(format!("nobody is signed in to `{tool}`: {words}"));
    }
    let is_refused = stderr.contains("AADSTS");
    let kind = if is_refused { ErrorKind::Unauthenticated } else { ErrorKind::Credential };
    Failure::new(kind, format!("`{tool}` failed: {words}"))
}

/// Reads what a tool printed: the first object that is an answer. Nothing of it is quoted, for
/// it holds a token.
pub(crate) fn read<'de, T: Deserialize<'de>>(
    tool: &str,
    output: &'de Output,
    is_answer: impl Fn(&T) -> bool,
) -> Result<T> {
    printed_json::first(&output.stdout, is_answer).ok_or_else(|| {
        let text = format!("`{tool}` did not print the expected JSON");
        Error::new(ErrorKind::Protocol, text)
    })
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "accessToken", default)]
    token: Option<Zeroizing<String>>,
    /// Since version 2.54: seconds since 1970.
    #[serde(default, deserialize_with = "answer::seconds")]
    expires_on: Option<u64>,
    /// Before that: local time without saying so. In Cloud Shell: RFC 3339.
    #[serde(rename = "expiresOn", default)]
    local_expiry: Option<String>,
}

impl Answer {
    fn token(self, zone: &TimeZone) -> Result<AccessToken, Failure> {
        let token = secret_text::received(self.token, "accessToken")?;
        let expires_at = match (self.expires_on, self.local_expiry) {
            (Some(seconds), _) => Some(answer::epoch(seconds)),
            (None, Some(text)) => local_time(text.trim(), zone),
            (None, None) => None,
        };
        let expires_at = expires_at.ok_or_else(|| {
            let text = "`az` did not say when the token expires; a newer version does";
            Error::new(ErrorKind::Protocol, text)
        })?;
        Ok(AccessToken::new(token, expires_at))
    }
}

fn local_time(text: &str, zone: &TimeZone) -> Option<SystemTime> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.into());
    }
    let time: DateTime = text.parse().ok()?;
    // In the hour that a clock change repeats, the earlier time: a token may be renewed early.
    let zoned = zone.to_ambiguous_zoned(time).earlier().ok()?;
    Some(zoned.timestamp().into())
}

/// What is kept of a tool's message, in characters.
const MAX_WORDS: usize = 300;

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use jiff::tz::offset;

    use super::*;

    fn expiry(json: &str) -> Result<u64, String> {
        let answer: Answer = serde_json::from_str(json).unwrap();
        let token = answer.token(&TimeZone::fixed(offset(2)));
        let token = token.map_err(|failure| BoxError::from(failure).to_string())?;
        Ok(token.expires_at().duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn both_forms_of_expiry_are_read_and_the_exact_one_wins() {
        let soon = SystemTime::now() + Duration::from_secs(3_600);
        let soon = soon.duration_since(UNIX_EPOCH).unwrap().as_secs();
        for (json, seconds) in [
            (
                format!(
                    r#"{{"accessToken":"t","expires_on":{soon},"expiresOn":"2023-10-31 21:59:10.000000"}}"#
                ),
                soon,
            ),
            (format!(r#"{{"accessToken":"t","expires_on":"{soon}"}}"#), soon),
            (
                r#"{"accessToken":"t","expiresOn":"2023-10-31 21:59:10.000000"}"#.to_owned(),
                1_698_782_350,
            ),
            (r#"{"accessToken":"t","expiresOn":"2023-10-31 21:59:10"}"#.to_owned(), 1_698_782_350),
            (
                r#"{"accessToken":"t","expiresOn":"2023-10-31T19:59:10+00:00"}"#.to_owned(),
                1_698_782_350,
            ),
        ] {
            assert_eq!(expiry(&json), Ok(seconds), "{json}");
        }
        for json in [
            r#"{"accessToken":"canary"}"#,
            r#"{"accessToken":"canary","expiresOn":"soon"}"#,
            r#"{"accessToken":"canary\n","expires_on":1}"#,
            r#"{"expires_on":1}"#,
        ] {
            let error = expiry(json).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_repeated_hour_of_a_clock_change_is_read_as_the_earlier() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let time = local_time("2023-10-29 02:30:00", &zone).unwrap();
        assert_eq!(time.duration_since(UNIX_EPOCH).unwrap().as_secs(), 1_698_539_400);
    }

    #[test]
    fn not_signed_in_is_no_failure_and_a_refusal_is() {
        let unavailable =
            |stderr| matches!(refusal("az", "az login", stderr), Failure::Unavailable(_));
        assert!(unavailable("ERROR: Please run 'az login' to setup account.\n"));
        assert!(!unavailable("ERROR: AADSTS50173: expired. Please run: az login --tenant x"));
        let refused = |stderr| refusal("az", "az login", stderr).is_refusal();
        assert!(refused("ERROR: AADSTS50173: expired. Please run: az login --tenant x"));
        assert!(!refused("Traceback (most recent call last):"));
        assert!(!unavailable("Traceback (most recent call last):"));
        assert!(!unavailable(""));
    }
}
