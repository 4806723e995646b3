//! What the tests of several suites share.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, Credential, credential_fn};

pub(crate) type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// An Entra credential that always has this token.
pub(crate) fn entra(token: &str) -> Credential {
    let token = token.to_owned();
    Credential::entra(credential_fn(move |_scopes| {
        let token = token.clone();
        async move { Ok(AccessToken::new(token, SystemTime::now() + Duration::from_secs(3600))) }
    }))
}

/// Says what was wrong where something is not as it should be.
pub(crate) fn ensure(holds: bool, what: &str) -> Result {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Says both sides where they differ.
#[allow(clippy::needless_pass_by_value, reason = "so that callers can pass what they just made")]
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T, what: &str) -> Result {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}").into())
}
