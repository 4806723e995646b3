//! Who signs in where the program does not say it.

#[cfg(feature = "entra")]
use std::sync::Arc;

use acr_auth::{BoxFuture, Credential, CredentialSource};
use acr_core::{Endpoint, Result};

/// Looks for the credential of a registry in the program's surroundings, in this order:
///
/// 1. for a registry of Azure, or a host that is trusted by name, the identities of the
///    platform (`DefaultCredential`);
/// 2. the login that Docker, podman or skopeo left for this host;
/// 3. nobody.
///
/// Only what is not there leads on: an identity that is named and cannot be used, or a file that
/// cannot be read, ends the search, for the next one would be somebody else.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// For hosts that may see the identity of the platform.
    #[cfg(feature = "entra")]
    pub(crate) chain: Option<Chain>,
}

/// The chain, and what its tokens are asked for.
#[cfg(feature = "entra")]
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) source: Arc<acr_auth::entra::DefaultCredential>,
    pub(crate) audience: String,
}

impl CredentialSource for Surroundings {
    fn find<'a>(&'a self, registry: &'a Endpoint) -> BoxFuture<'a, Result<Credential>> {
        #[cfg(not(any(feature = "entra", feature = "docker-config")))]
        let _ = registry;
        Box::pin(async move {
            #[cfg_attr(
                not(any(feature = "entra", feature = "docker-config")),
                allow(unused_mut, reason = "there is nowhere to look")
            )]
            let mut tried: Vec<String> = Vec::new();
            #[cfg(feature = "entra")]
            match &self.chain {
                Some(chain) => match chain.ask().await? {
                    Ok(credential) => return Ok(credential),
                    Err(why) => tried.push(why),
                },
                None => tried.push(format!(
                    "`{}` is no registry of Azure, so the identities of the platform were not asked",
                    registry.host()
                )),
            }
            #[cfg(feature = "docker-config")]
            {
                let config = docker_config().await?;
                match config.credential_for(registry).await? {
                    Some(credential) => return Ok(credential),
                    None => tried.push(format!(
                        "nobody is logged in to `{}` with Docker, podman or skopeo",
                        registry.authority()
                    )),
                }
            }
            if tried.is_empty() {
                tried.push("this program was built without a source of credentials".to_owned());
            }
            Ok(Credential::anonymous_since(tried.join("; ")))
        })
    }
}

#[cfg(feature = "entra")]
impl Chain {
    /// The identity if there is one, or in words why there is none.
    async fn ask(&self) -> Result<std::result::Result<Credential, String>> {
        use acr_auth::{TokenCredential as _, TokenRequest, entra::CredentialUnavailable};
        use acr_core::{Error, ErrorKind};

        let scope = format!("{}/.default", self.audience);
        // The token is kept by its source: signing in asks for the same one.
        match self.source.get_token(TokenRequest::new(&[&scope])).await {
            Ok(_) => Ok(Ok(Credential::entra(Shared(Arc::clone(&self.source))))),
            Err(error) => match error.downcast::<CredentialUnavailable>() {
                Ok(unavailable) => Ok(Err(unavailable.to_string())),
                Err(error) => {
                    let words = error.downcast_ref::<Error>().map(ToString::to_string);
                    let words = words.unwrap_or_else(|| "it failed".to_owned());
                    let text = format!("the identity of the platform cannot be used: {words}");
                    Err(Error::new(ErrorKind::Credential, text).with_source(error))
                }
            },
        }
    }
}

#[cfg(feature = "entra")]
#[derive(Debug)]
struct Shared(Arc<acr_auth::entra::DefaultCredential>);

#[cfg(feature = "entra")]
impl acr_auth::TokenCredential for Shared {
    fn get_token<'a>(
        &'a self,
        request: acr_auth::TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<acr_auth::AccessToken, Box<dyn std::error::Error + Send + Sync>>>
    {
        self.0.get_token(request)
    }

    fn refused(&self, token: &acr_auth::AccessToken) {
        self.0.refused(token);
    }
}

/// Reads the files, off the threads of the runtime.
#[cfg(feature = "docker-config")]
async fn docker_config() -> Result<acr_auth::DockerConfig> {
    use acr_core::{Error, ErrorKind};

    let read = tokio::task::spawn_blocking(acr_auth::DockerConfig::load).await;
    read.unwrap_or_else(|error| {
        let text = "the logins of Docker, podman and skopeo could not be read";
        Err(Error::new(ErrorKind::Credential, text).with_source(error))
    })
}
