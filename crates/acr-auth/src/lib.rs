//! Sign-in to Azure container registries, as one tower layer.
//!
//! ```sh
//! cargo add acr-auth acr-core     # and acr-registry or acr-blob, to list, push and pull
//! cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```text
//! Entra access token ──POST /oauth2/exchange──▶ registry refresh token (about 3 h)
//!                                                     │ POST /oauth2/token, one per scope
//!                                                     ▼
//!                                               access token (about 75 min) ──▶ Authorization: Bearer …
//! ```
//!
//! Clients say with each request which permission it needs
//! ([`acr_core::Scope`]); the layer fetches a token for it *before* the request
//! is sent, so nothing is ever challenged in normal operation. Tokens are cached
//! by scope, and any number of concurrent calls cause one fetch.
//!
//! What goes where: registry tokens only to the configured endpoint, whatever a
//! challenge or redirect names; Entra tokens only to hosts of Azure Container
//! Registry, or hosts the caller trusts by name, and never without TLS.
//!
//! ```no_run
//! # #[cfg(feature = "entra")] {
//! use acr_auth::{Credential, entra::DefaultCredential};
//!
//! // Whoever the surroundings say this program is: a service principal, a pod, a machine, you.
//! let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::entra(DefaultCredential::new()?))?;
//! # let _ = pipeline;
//! # }
//! # Ok::<(), acr_core::Error>(())
//! ```
//!
//! The module `entra` has this chain, its links, and other ways to put them together. An identity
//! library of your own comes in through [`TokenCredential`] or [`credential_fn`]:
//!
//! ```
//! use acr_auth::{AccessToken, Credential, credential_fn};
//! use std::time::{Duration, SystemTime};
//!
//! // It is asked about every three hours.
//! let identity = credential_fn(|_scopes| async {
//!     Ok(AccessToken::new("<token from Entra>", SystemTime::now() + Duration::from_secs(3600)))
//! });
//! let pipeline = acr_auth::connect("myregistry.azurecr.io", Credential::entra(identity))?;
//! # let _ = pipeline;
//! # Ok::<(), acr_core::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `entra` | yes | the module `entra`: built-in sources of Entra tokens |
//! | `docker-config` | no | `DockerConfig`: the logins that Docker, podman and skopeo left on this machine, credential helpers included |
//! | `azure-core` | no | `Credential::azure_core`: credentials of the Azure SDK for Rust |
//! | `aws-lc-rs`, `ring`, `http2`, `webpki-roots` | the first | as in acr-core |
//!
//! # Where to go next
//!
//! | you want to | look at |
//! |---|---|
//! | the stack that most programs need | [`connect`], [`connect_anonymous`] |
//! | say who signs in | [`Credential`]; `entra` has the sources of Entra tokens, `DockerConfig` the logins of other tools |
//! | sign in within a stack of your own, trust a host, name an audience | [`AuthLayer`] |
//! | get tokens for another program | [`TokenClient`] |
//! | list, push and pull then | the crates `acr-registry` and `acr-blob` |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access_token;
#[cfg(feature = "azure-core")]
mod azure_core_credential;
mod cache;
mod challenged;
mod clock;
mod credential;
#[cfg(feature = "docker-config")]
mod docker_config;
#[cfg(feature = "entra")]
#[cfg_attr(docsrs, doc(cfg(feature = "entra")))]
pub mod entra;
mod exchange;
#[cfg_attr(
    not(feature = "entra"),
    allow(dead_code, reason = "tools and chains of the sources have words of their own")
)]
mod foreign_text;
mod form;
mod grant_type;
mod jwt;
mod layer;
#[cfg(any(feature = "entra", feature = "docker-config"))]
mod printed_json;
#[cfg(any(feature = "entra", feature = "docker-config"))]
#[cfg_attr(
    not(all(feature = "entra", feature = "docker-config")),
    allow(dead_code, reason = "complaints are read by the one and dropped by the other")
)]
mod program;
#[cfg(any(feature = "entra", feature = "docker-config"))]
mod ready_made;
mod refusal;
mod secret_text;
mod sought;
mod token_client;
mod tokens;
mod trust;

use acr_core::{Endpoint, Pipeline, Result};

#[cfg(feature = "docker-config")]
#[cfg_attr(docsrs, doc(cfg(feature = "docker-config")))]
pub use self::docker_config::DockerConfig;
pub use self::{
    access_token::AccessToken,
    credential::{
        BoxFuture, Credential, CredentialSource, TokenCredential, TokenRequest, credential_fn,
    },
    grant_type::GrantType,
    layer::{Auth, AuthLayer},
    token_client::{ExchangeRequest, RefreshToken, RegistryToken, TokenClient},
};

/// The default stack for one registry.
///
/// Sends nothing yet: the first operation signs in. Goes through the proxy that the
/// environment names (`acr_core::Proxy::from_env`); to choose otherwise, give
/// [`Pipeline::builder`] a transport, with `TransportBuilder::no_proxy` for none.
///
/// ```
/// use acr_auth::Credential;
/// use acr_core::ErrorKind;
///
/// let credential = Credential::password("me", "secret");
/// let pipeline = acr_auth::connect("myregistry.azurecr.io", credential.clone())?;
/// assert_eq!(pipeline.endpoint().host(), "myregistry.azurecr.io");
/// let error = acr_auth::connect("myregistry", credential).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// # Ok::<(), acr_core::Error>(())
/// ```
///
/// # Errors
///
/// [`acr_core::ErrorKind::InvalidInput`] for a malformed endpoint, and for a registry's bare name:
/// `myreg` in place of `myreg.azurecr.io`. A host that really has such
/// a name is given as its URL, `https://myreg`.
pub fn connect(endpoint: &str, credential: Credential) -> Result<Pipeline> {
    let endpoint = login_server(endpoint)?;
    let auth = AuthLayer::new(&endpoint, credential);
    Pipeline::builder(endpoint).layer_per_hop(auth).build()
}

/// Reads the address of a registry as a person gives it: its login server, or a URL of it.
///
/// ```
/// assert_eq!(acr_auth::login_server("myregistry.azurecr.io")?.host(), "myregistry.azurecr.io");
/// let error = acr_auth::login_server("myregistry").unwrap_err();
/// assert!(error.to_string().contains("connect to `myregistry.azurecr.io`"));
/// # Ok::<(), acr_core::Error>(())
/// ```
///
/// # Errors
///
/// [`acr_core::ErrorKind::InvalidInput`] for a malformed address, and for what the portal calls a
/// registry's name: as a host it would end as "unknown host".
pub fn login_server(text: &str) -> Result<Endpoint> {
    check_login_server(text)?;
    text.parse()
}

fn check_login_server(endpoint: &str) -> Result<()> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let is_name = !endpoint.is_empty() && endpoint.bytes().all(is_plain);
    if !is_name || endpoint.eq_ignore_ascii_case("localhost") {
        return Ok(());
    }
    let text = format!(
        "`{0}` is no login server: connect to `{0}.azurecr.io` (or the suffix of your cloud), or \
         to `https://{0}` for a host of that name",
        endpoint.get(..MAX_NAME).unwrap_or(endpoint)
    );
    Err(acr_core::Error::new(acr_core::ErrorKind::InvalidInput, text))
}

/// Names of hosts are no longer.
const MAX_NAME: usize = 63;

/// The default stack for a registry that allows anonymous pull.
///
/// ```
/// let pipeline = acr_auth::connect_anonymous("mcr.microsoft.com")?;
/// assert_eq!(pipeline.endpoint().host(), "mcr.microsoft.com");
/// # Ok::<(), acr_core::Error>(())
/// ```
///
/// # Errors
///
/// As [`connect`].
pub fn connect_anonymous(endpoint: &str) -> Result<Pipeline> {
    connect(endpoint, Credential::anonymous())
}
