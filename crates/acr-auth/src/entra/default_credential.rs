//! The chain that most programs want.

use acr_core::{ErrorKind, Result, http::BoxError};

use super::{
    azure_cli::AzureCliCredential,
    azure_developer_cli::AzureDeveloperCliCredential,
    chain::ChainedCredential,
    client_secret::ClientSecretCredential,
    failure::Failure,
    identity::ManagedIdentity,
    managed_identity::ManagedIdentityCredential,
    named_identity::{is_service_connection, unusable},
    options::SourceOptions,
    selection::{Choice, selected},
    workload_identity::WorkloadIdentityCredential,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Signs in as whoever the program's surroundings say it is.
///
/// A [`ChainedCredential`] of these links, in this order, the same as in the official
/// libraries as far as those have the sources:
///
/// | link | available if |
/// |---|---|
/// | environment: [`ClientSecretCredential`] | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET` are set |
/// | workload identity: [`WorkloadIdentityCredential`] | `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_FEDERATED_TOKEN_FILE` are set |
/// | managed identity: [`ManagedIdentityCredential`] | the platform's identity service answers; `AZURE_CLIENT_ID`, if set, names a user-assigned identity |
/// | Azure CLI: [`AzureCliCredential`] | `az` is installed and somebody is signed in |
/// | Azure Developer CLI: [`AzureDeveloperCliCredential`] | `azd` is installed and somebody is signed in |
///
/// Variables that name an identity which none of these can be end the chain with words when it
/// comes to their link, so that nobody is signed in as somebody else: a secret or a federated
/// token file without tenant or client id, `AZURE_CLIENT_CERTIFICATE_PATH`, `AZURE_USERNAME` and
/// `AZURE_PASSWORD`, `AZURE_KUBERNETES_TOKEN_PROXY`, a managed identity of Azure Arc, Service
/// Fabric or Machine Learning. Tenant and client id alone name nobody, as in the official
/// libraries; and a task of Azure Pipelines that runs as a service connection passes the
/// machine's identity over. Empty variables are as good as not set.
///
/// `AZURE_TOKEN_CREDENTIALS` shortens the chain: `prod` leaves the first three, `dev` the last
/// two, and `EnvironmentCredential`, `WorkloadIdentityCredential`, `ManagedIdentityCredential`,
/// `AzureCliCredential` or `AzureDeveloperCliCredential` that one (managed identity then without
/// asking first whether it is there). Set it in production, where no identity should be found by
/// accident. `AZURE_AUTHORITY_HOST` names the authority of another cloud.
///
/// The environment is read once, when this is made.
///
/// ```no_run
/// use acr_auth::{Credential, entra::DefaultCredential};
///
/// let credential = Credential::entra(DefaultCredential::new()?);
/// let pipeline = acr_auth::connect("myregistry.azurecr.io", credential)?;
/// # let _ = pipeline;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Debug)]
pub struct DefaultCredential(ChainedCredential);

impl DefaultCredential {
    /// The chain for the process environment.
    ///
    /// ```
    /// # fn example() -> acr_core::Result<()> {
    /// use acr_auth::{Credential, entra::DefaultCredential};
    ///
    /// let credential = Credential::entra(DefaultCredential::new()?);
    /// # let _ = credential;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`acr_core::ErrorKind::InvalidInput`] for an unknown `AZURE_TOKEN_CREDENTIALS`, an
    /// `AZURE_AUTHORITY_HOST` that is not https, and a malformed tenant. Identities that are
    /// named and cannot be used are what their link answers when a token is needed.
    pub fn new() -> Result<Self> {
        Self::configured(&SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{DefaultCredential, Environment, SourceOptions};
    ///
    /// // As if no variable were set.
    /// let bare = SourceOptions::new().environment(Environment::from_fn(|_| None));
    /// let source = DefaultCredential::configured(&bare)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`DefaultCredential::new`].
    pub fn configured(options: &SourceOptions) -> Result<Self> {
        let selection = options.environment.text_or_none("AZURE_TOKEN_CREDENTIALS")?;
        let choices = selected(selection.as_deref())?;
        let is_only_one = choices.len() == 1;
        let chain = choices.into_iter().try_fold(ChainedCredential::new(), |chain, choice| {
            let name = choice.name();
            match choice {
                Choice::Environment => {
                    add(chain, name, ClientSecretCredential::try_from_env(options))
                }
                Choice::WorkloadIdentity => {
                    add(chain, name, WorkloadIdentityCredential::try_from_env(options))
                }
                Choice::ManagedIdentity => add(chain, name, machine(options, is_only_one)),
                Choice::AzureCli => Ok(chain.link(name, AzureCliCredential::configured(options))),
                Choice::AzureDeveloperCli => {
                    Ok(chain.link(name, AzureDeveloperCliCredential::configured(options)))
                }
            }
        });
        chain.map(Self).map_err(Failure::into_error)
    }

    /// The link that gave the first token, if there was one already.
    ///
    /// ```
    /// use acr_auth::entra::{DefaultCredential, Environment, SourceOptions};
    ///
    /// let bare = SourceOptions::new().environment(Environment::from_fn(|_| None));
    /// let source = DefaultCredential::configured(&bare)?;
    /// assert_eq!(source.working_link(), None); // nobody was asked yet
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn working_link(&self) -> Option<&str> {
        self.0.working_link()
    }
}

impl TokenCredential for DefaultCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        self.0.get_token(request)
    }

    fn refused(&self, token: &AccessToken) {
        self.0.refused(token);
    }
}

/// Adds a source, or in its place why there is none. An identity that is named and cannot be
/// used ends the chain when it comes there; only what no chain can work with ends it at once.
fn add<T: TokenCredential>(
    chain: ChainedCredential,
    name: &str,
    source: Result<T, Failure>,
) -> Result<ChainedCredential, Failure> {
    match source {
        Ok(source) => Ok(chain.link(name, source)),
        Err(Failure::Failed(error)) if error.kind() == ErrorKind::InvalidInput => {
            Err(Failure::Failed(error))
        }
        Err(reason) => Ok(chain.link(name, NoSource(reason))),
    }
}

fn machine(
    options: &SourceOptions,
    is_only_one: bool,
) -> Result<ManagedIdentityCredential, Failure> {
    let environment = &options.environment;
    let identity = match environment.text(CLIENT_ID) {
        Some(id) => ManagedIdentity::ClientId(id.trim().to_owned()),
        // Never the machine's other identity for it.
        None if environment.is_set(CLIENT_ID) => {
            let found = format!("{CLIENT_ID} {}", environment.lack(CLIENT_ID));
            return Err(unusable(&found, "correct or unset it"));
        }
        None if is_service_connection(environment) && !is_only_one => {
            let text = "the task runs as a service connection of Azure Pipelines, \
                        which is not this machine's identity";
            return Err(Failure::unavailable(text));
        }
        None => ManagedIdentity::SystemAssigned,
    };
    let source = ManagedIdentityCredential::assemble(identity, options)?;
    Ok(if is_only_one { source.without_probe() } else { source })
}

const CLIENT_ID: &str = "AZURE_CLIENT_ID";

/// Stands in the place of a source that is not configured, or wrongly.
#[derive(Debug)]
struct NoSource(Failure);

impl TokenCredential for NoSource {
    fn get_token<'a>(
        &'a self,
        _: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        let reason = self.0.clone();
        Box::pin(async move { Err(reason.into()) })
    }
}
