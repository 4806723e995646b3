//! The address of an identity service, as the platform wrote it into a variable.

use acr_core::{Endpoint, ErrorKind};
use http::Uri;

use super::{environment::Environment, failure::Failure};

/// An identity service without TLS, as all of them are.
#[derive(Debug)]
pub(crate) struct PlatformUrl {
    pub(crate) endpoint: Endpoint,
    pub(crate) path: String,
}

/// Reads the URL in a variable: http, at an address that no packet leaves the private network
/// to reach, since whoever sees the answer has the token. Names are looked up by whoever
/// answers, so there is none but `localhost`.
///
/// Anything else is a failure and not "not available here": the variable says that there is an
/// identity. What it holds is left out of the words, for it may be a secret.
pub(crate) fn read(environment: &Environment, variable: &str) -> Result<PlatformUrl, Failure> {
    let refuse = || {
        let text = format!(
            "{variable} is not the http URL of an identity service at a loopback, link-local or \
             private address; correct or unset it, or name another identity with \
             AZURE_TOKEN_CREDENTIALS"
        );
        Failure::new(ErrorKind::Credential, text)
    };
    let text = environment.text(variable).ok_or_else(refuse)?;
    let uri: Uri = text.trim().parse().map_err(|_| refuse())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.filter(|_| uri.query().is_none()).ok_or_else(refuse)?;
    let endpoint = Endpoint::insecure_private(authority.as_str()).map_err(|_| refuse())?;
    Ok(PlatformUrl { endpoint, path: uri.path().to_owned() })
}
