//! What the sources share.

use std::{fmt, time::Duration};

use acr_core::{Endpoint, Pipeline, Result, Transport, layer::RetryPolicy};

use super::{
    cloud::{Cloud, no_authority},
    environment::Environment,
    failure::Failure,
    platform_url,
};

/// Settings of the built-in sources. The defaults serve the public cloud.
///
/// ```
/// use acr_auth::{Credential, entra::{Cloud, DefaultCredential, SourceOptions}};
///
/// let options = SourceOptions::new().cloud(Cloud::china());
/// let credential = Credential::entra(DefaultCredential::configured(&options)?);
/// # let _ = credential;
/// # Ok::<(), acr_core::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct SourceOptions {
    pub(crate) environment: Environment,
    cloud: Option<Cloud>,
    transport: Option<Transport>,
    identity_transport: Option<Transport>,
    imds: Option<Endpoint>,
    pub(crate) probe_timeout: Duration,
    pub(crate) program_timeout: Duration,
}

impl SourceOptions {
    /// The defaults.
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// let options = SourceOptions::new();
    /// # let _ = options;
    /// ```
    pub fn new() -> Self {
        Self {
            environment: Environment::process(),
            cloud: None,
            transport: None,
            identity_transport: None,
            imds: None,
            probe_timeout: PROBE_TIMEOUT,
            program_timeout: PROGRAM_TIMEOUT,
        }
    }

    /// Where variables are looked up; the process environment by default.
    ///
    /// ```
    /// use acr_auth::entra::{Environment, SourceOptions};
    ///
    /// let options = SourceOptions::new().environment(Environment::from_fn(|_| None));
    /// # let _ = options;
    /// ```
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Whom to ask for tokens; the public cloud by default. Sources that read the environment
    /// take `AZURE_AUTHORITY_HOST` from there unless this is set.
    ///
    /// ```
    /// use acr_auth::entra::{Cloud, SourceOptions};
    ///
    /// let options = SourceOptions::new().cloud(Cloud::us_government());
    /// # let _ = options;
    /// ```
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// How to reach the authority: a proxy, other certificates. By default the same as for a
    /// registry. It is shown no client certificate, whatever the transport has.
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// # use acr_testkit::FakeEntra;
    /// # let entra = FakeEntra::builder().in_process();
    /// // As it goes through a proxy of yours, for example.
    /// let options = SourceOptions::new().transport(entra.transport());
    /// # let _ = options;
    /// ```
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// How to reach the identity service of the platform. The default connects directly and
    /// needs no trust store. Another one must not use a proxy: whoever sees such a request can
    /// repeat it.
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// # use acr_testkit::FakeEntra;
    /// # let service = FakeEntra::builder().in_process();
    /// let options = SourceOptions::new().identity_transport(service.transport());
    /// # let _ = options;
    /// ```
    pub fn identity_transport(mut self, transport: Transport) -> Self {
        self.identity_transport = Some(transport);
        self
    }

    /// Another address for the identity service of virtual machines, such as an emulator's
    /// ([`Endpoint::insecure_link_local`]); `http://169.254.169.254` by default.
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// # use acr_core::Endpoint;
    /// let options = SourceOptions::new().imds(Endpoint::insecure_link_local("169.254.169.254")?);
    /// # let _ = options;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    pub fn imds(mut self, endpoint: Endpoint) -> Self {
        self.imds = Some(endpoint);
        self
    }

    /// How long the identity service of virtual machines has to show that it is there (default
    /// 1 s): outside of Azure, packets to its address may vanish.
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// let options = SourceOptions::new().probe_timeout(std::time::Duration::from_secs(3));
    /// # let _ = options;
    /// ```
    pub fn probe_timeout(mut self, limit: Duration) -> Self {
        self.probe_timeout = limit;
        self
    }

    /// How long a command line tool may run (default 30 s).
    ///
    /// ```
    /// use acr_auth::entra::SourceOptions;
    ///
    /// let options = SourceOptions::new().program_timeout(std::time::Duration::from_secs(60));
    /// # let _ = options;
    /// ```
    pub fn program_timeout(mut self, limit: Duration) -> Self {
        self.program_timeout = limit;
        self
    }

    /// The cloud of a source that is told everything by its caller.
    pub(crate) fn explicit_cloud(&self) -> Cloud {
        self.cloud.clone().unwrap_or_default()
    }

    /// The cloud of a source that reads the environment.
    pub(crate) fn environment_cloud(&self) -> Result<Cloud> {
        if let Some(cloud) = &self.cloud {
            return Ok(cloud.clone());
        }
        match self.environment.text_or_none("AZURE_AUTHORITY_HOST")? {
            Some(authority) => authority_of_environment(authority.trim()),
            None => Ok(Cloud::default()),
        }
    }

    pub(crate) fn authority_pipeline(&self, cloud: &Cloud) -> Result<Pipeline> {
        let builder = Pipeline::builder(cloud.endpoint()?);
        match &self.transport {
            // It may be the registry's, whose client certificate is nobody else's to see.
            Some(transport) => builder.transport(transport.without_client_certificate()).build(),
            None => builder.build(),
        }
    }

    /// Where the identity service of virtual machines is. `AZURE_POD_IDENTITY_AUTHORITY_HOST`
    /// names one that a cluster puts in its place.
    pub(crate) fn imds_endpoint(&self) -> Result<Endpoint, Failure> {
        match (&self.imds, self.environment.is_set(POD_IDENTITY)) {
            (Some(endpoint), _) => Ok(endpoint.clone()),
            (None, true) => {
                platform_url::read(&self.environment, POD_IDENTITY).map(|url| url.endpoint)
            }
            (None, false) => Ok(Endpoint::insecure_link_local(IMDS)?),
        }
    }

    /// The transport for identity services; `None` where the crate has none of its own.
    pub(crate) fn local_transport(&self) -> Result<Option<Transport>> {
        match &self.identity_transport {
            Some(transport) => Ok(Some(transport.without_client_certificate())),
            None => direct_transport(),
        }
    }

    /// For the one question whether there is an identity service.
    pub(crate) fn no_retry() -> RetryPolicy {
        RetryPolicy::default().retries(0)
    }
}

impl Default for SourceOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SourceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceOptions")
            .field("cloud", &self.cloud)
            .field("imds", &self.imds)
            .field("probe_timeout", &self.probe_timeout)
            .field("program_timeout", &self.program_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn direct_transport() -> Result<Option<Transport>> {
    let builder = acr_core::TransportBuilder::new()
        .no_proxy()
        .tls(acr_core::TlsConfig::no_roots())
        .connect_timeout(CONNECT_TIMEOUT);
    builder.build().map(Some)
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn direct_transport() -> Result<Option<Transport>> {
    Ok(None)
}

/// The authority that `AZURE_AUTHORITY_HOST` names.
fn authority_of_environment(authority: &str) -> Result<Cloud> {
    Cloud::custom(authority).map_err(|_| no_authority("AZURE_AUTHORITY_HOST", authority))
}

const POD_IDENTITY: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

/// The same on every virtual machine of Azure.
const IMDS: &str = "169.254.169.254";

/// The identity service is at most one hop away.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// As the official libraries have it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// `az` is a Python program and takes some seconds on a slow disk.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(30);
