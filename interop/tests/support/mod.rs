//! What the tests of several suites share.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{Endpoint, Pipeline, TlsConfig, TransportBuilder};
use acr_interop::Facade;
use bytes::Bytes;

pub(crate) type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// A pipeline through a façade: TLS under its authority, signed in with this credential.
pub(crate) fn pipeline(facade: &Facade, credential: Credential) -> Result<Pipeline> {
    let endpoint: Endpoint = facade.origin().parse()?;
    let ca_pem = facade.ca_pem().ok_or("the façade does not speak TLS")?;
    let transport =
        TransportBuilder::new().tls(TlsConfig::only_roots(ca_pem.as_bytes())?).build()?;
    let auth = AuthLayer::new(&endpoint, credential).trust_entra_for("127.0.0.1");
    Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
}

/// An Entra credential that always has this token.
pub(crate) fn entra(token: &str) -> Credential {
    let token = token.to_owned();
    Credential::entra(credential_fn(move |_scopes| {
        let token = token.clone();
        async move { Ok(AccessToken::new(token, SystemTime::now() + Duration::from_secs(3600))) }
    }))
}

/// Content that is the same in every run and repeats nowhere.
pub(crate) fn noise(length: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
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
