//! The settings of a registry.

use std::fmt;
#[cfg(feature = "entra")]
use std::sync::Arc;

use acr_auth::{AuthLayer, Credential};
use acr_core::{
    Endpoint, Pipeline, PipelineBuilder, Result, Transport,
    layer::{RetryPolicy, Timeouts},
};

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use crate::connection::Connection;
use crate::{idle::Idle, login_server::LoginServer, surroundings::Surroundings};

/// Builds a [`Registry`](crate::Registry), or with `build_blocking` a `blocking::Registry`.
///
/// What is set here is for one registry: neither the credential nor what it gets tokens for goes to
/// another host.
#[must_use]
pub struct RegistryBuilder {
    login_server: LoginServer,
    credential: Option<Credential>,
    audience: Option<String>,
    trusted: Vec<String>,
    #[cfg(feature = "entra")]
    cloud: Option<acr_auth::entra::Cloud>,
    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    connection: Connection,
    transport: Option<Transport>,
    user_agent: Option<String>,
    timeouts: Option<Timeouts>,
    retry: Option<RetryPolicy>,
    stack: Vec<Stack>,
}

type Stack = Box<dyn FnOnce(PipelineBuilder) -> PipelineBuilder + Send>;

impl RegistryBuilder {
    pub(crate) fn new(login_server: LoginServer) -> Self {
        Self {
            login_server,
            credential: None,
            audience: None,
            trusted: Vec::new(),
            #[cfg(feature = "entra")]
            cloud: None,
            #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
            connection: Connection::default(),
            transport: None,
            user_agent: None,
            timeouts: None,
            retry: None,
            stack: Vec::new(),
        }
    }

    /// Signs in as this one, whatever the surroundings say.
    ///
    /// ```
    /// use acr_client::{Credential, Registry};
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .credential(Credential::docker_config())
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Asks Entra for tokens of another audience than `https://containerregistry.azure.net`,
    /// which is that of registries in all clouds. [`acr_core::ErrorKind::InvalidInput`] where no such
    /// token is asked for: beside a password, or for a host that may not see one.
    ///
    /// ```
    /// use acr_client::Registry;
    /// use acr_client::entra::Cloud;
    ///
    /// // A registry whose policy refuses tokens for registries only.
    /// let audience = Cloud::public().arm_audience().unwrap_or_default();
    /// let registry = Registry::builder("myregistry.azurecr.io").audience(audience).build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Lets Entra tokens be sent to this host although it is not one of
    /// `*.azurecr.{io,cn,us,de}`: a registry behind a name of your own. An Entra token opens
    /// every registry that its owner may reach, so name only hosts that are yours. TLS is required
    /// all the same. A name that is not the host of this registry is
    /// [`acr_core::ErrorKind::InvalidInput`].
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let registry = Registry::builder("registry.contoso.example")
    ///     .trust_entra_for("registry.contoso.example")
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn trust_entra_for(mut self, host: impl Into<String>) -> Self {
        self.trusted.push(host.into());
        self
    }

    /// The cloud whose authority the identities of the surroundings ask, in place of the public
    /// one or that of `AZURE_AUTHORITY_HOST`. [`acr_core::ErrorKind::InvalidInput`] beside a
    /// [`RegistryBuilder::credential`], which has a cloud of its own.
    ///
    /// ```
    /// use acr_client::Registry;
    /// use acr_client::entra::Cloud;
    ///
    /// let registry =
    ///     Registry::builder("myregistry.azurecr.us").cloud(Cloud::us_government()).build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    #[cfg(feature = "entra")]
    #[cfg_attr(docsrs, doc(cfg(feature = "entra")))]
    pub fn cloud(mut self, cloud: acr_auth::entra::Cloud) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// Sends through this HTTP client, to the registry and to the authority that gives Entra
    /// tokens. It has its own certificates and its own proxy, so those of this builder are then
    /// [`acr_core::ErrorKind::InvalidInput`].
    ///
    /// ```
    /// use acr_client::{Credential, Registry};
    ///
    /// let fake = acr_testkit::FakeRegistry::new();
    /// let registry = Registry::builder(fake.endpoint())
    ///     .credential(Credential::anonymous())
    ///     .transport(fake.transport())
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Puts the application's name in front of the user agent.
    ///
    /// ```
    /// use acr_client::Registry;
    ///
    /// let registry =
    ///     Registry::builder("myregistry.azurecr.io").user_agent("my-service/1.0").build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn user_agent(mut self, application: impl Into<String>) -> Self {
        self.user_agent = Some(application.into());
        self
    }

    /// How long an exchange may be silent.
    ///
    /// ```
    /// use acr_client::{Registry, Timeouts};
    /// use std::time::Duration;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .timeouts(Timeouts::default().head(Duration::from_secs(120)))
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// How often and how long to retry.
    ///
    /// ```
    /// use acr_client::{Registry, RetryPolicy};
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .retry(RetryPolicy::default().retries(8))
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// The door to the stack: further layers, and all other settings of the pipeline. Its layers
    /// per hop stand outside of the one that signs in. What is set here wins over this builder's.
    ///
    /// ```
    /// use acr_client::Registry;
    /// use tower::limit::ConcurrencyLimitLayer;
    ///
    /// let registry = Registry::builder("myregistry.azurecr.io")
    ///     .stack(|pipeline| pipeline.layer_per_call(ConcurrencyLimitLayer::new(32)))
    ///     .build()?;
    /// # drop(registry);
    /// # Ok::<(), acr_client::Error>(())
    /// ```
    pub fn stack(
        mut self,
        change: impl FnOnce(PipelineBuilder) -> PipelineBuilder + Send + 'static,
    ) -> Self {
        self.stack.push(Box::new(change));
        self
    }

    /// The stack of these settings.
    pub(crate) fn pipeline(self) -> Result<Pipeline> {
        self.stacked()?.build()
    }

    /// What the stack is built of. The caller's functions run here, layers are built later.
    pub(crate) fn stacked(mut self) -> Result<PipelineBuilder> {
        let endpoint = self.login_server.clone().endpoint()?;
        self.refuse_idle(&endpoint)?;
        let transport = self.take_transport()?;
        let auth = self.auth(&endpoint, transport.as_ref())?;
        let mut pipeline = Pipeline::builder(endpoint).layer_per_hop(auth);
        if let Some(transport) = transport {
            pipeline = pipeline.transport(transport);
        }
        if let Some(application) = self.user_agent {
            pipeline = pipeline.application_id(application);
        }
        if let Some(timeouts) = self.timeouts {
            pipeline = pipeline.timeouts(timeouts);
        }
        if let Some(policy) = self.retry {
            pipeline = pipeline.retry(policy);
        }
        Ok(self.stack.into_iter().fold(pipeline, |pipeline, change| change(pipeline)))
    }

    /// Refuses settings that would do nothing: whoever makes one expects something of it.
    fn refuse_idle(&self, endpoint: &Endpoint) -> Result<()> {
        let idle = Idle { endpoint, trusted: &self.trusted, credential: self.credential.as_ref() };
        idle.refuse_trusted()?;
        #[cfg(feature = "entra")]
        if self.cloud.is_some() {
            idle.refuse_cloud()?;
        }
        self.audience.as_ref().map_or(Ok(()), |_| idle.refuse_audience())
    }

    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    fn take_transport(&mut self) -> Result<Option<Transport>> {
        let connection = std::mem::take(&mut self.connection);
        match self.transport.take() {
            Some(transport) => connection.refuse_settings().map(|()| Some(transport)),
            None => connection.transport().map(Some),
        }
    }

    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    fn take_transport(&mut self) -> Result<Option<Transport>> {
        Ok(self.transport.take())
    }

    fn auth(&mut self, endpoint: &Endpoint, transport: Option<&Transport>) -> Result<AuthLayer> {
        let credential = match self.credential.take() {
            Some(credential) => credential,
            None => Credential::sought(self.surroundings(endpoint, transport)?),
        };
        let mut auth = AuthLayer::new(endpoint, credential);
        if let Some(audience) = self.audience.take() {
            auth = auth.audience(audience);
        }
        Ok(self.trusted.drain(..).fold(auth, AuthLayer::trust_entra_for))
    }

    #[cfg(feature = "entra")]
    fn surroundings(
        &self,
        endpoint: &Endpoint,
        transport: Option<&Transport>,
    ) -> Result<Surroundings> {
        use acr_auth::entra::{Cloud, DefaultCredential, SourceOptions};

        use crate::surroundings::Chain;

        if !crate::idle::may_see_entra(endpoint, &self.trusted) {
            return Ok(Surroundings { chain: None });
        }
        let mut options = SourceOptions::new();
        if let Some(cloud) = &self.cloud {
            options = options.cloud(cloud.clone());
        }
        if let Some(transport) = transport {
            options = options.transport(transport.clone());
        }
        let source = Arc::new(DefaultCredential::configured(&options)?);
        let audience = self.audience.clone();
        let audience = audience.unwrap_or_else(|| Cloud::public().registry_audience().to_owned());
        Ok(Surroundings { chain: Some(Chain { source, audience }) })
    }

    #[cfg(not(feature = "entra"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the chain")]
    fn surroundings(&self, _: &Endpoint, _: Option<&Transport>) -> Result<Surroundings> {
        Ok(Surroundings {})
    }

    #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    pub(crate) fn connection(mut self, change: impl FnOnce(&mut Connection)) -> Self {
        change(&mut self.connection);
        self
    }
}

impl fmt::Debug for RegistryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryBuilder")
            .field("login_server", &self.login_server)
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}
