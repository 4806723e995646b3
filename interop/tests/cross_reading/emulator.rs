//! The emulator as a program, over TLS.

use std::fs;

use acr_auth::AuthLayer;
use acr_core::{Endpoint, Pipeline, TlsConfig, TransportBuilder};
use acr_interop::{EmulatorProcess, ForeignClient, Site};

use crate::support::{self, Result};

const LOGIN: (&str, &str) = ("tester", "secret");

pub(crate) struct Emulator {
    endpoint: Endpoint,
    ca_pem: String,
    entra_token: String,
    _process: EmulatorProcess,
}

impl Emulator {
    pub(crate) async fn start() -> Result<Self> {
        let login = format!("{}:{}", LOGIN.0, LOGIN.1);
        let process = EmulatorProcess::start(["--tls", "--user", &login]).await?;
        Ok(Self {
            endpoint: process.told("endpoint")?.parse()?,
            ca_pem: fs::read_to_string(process.told("ca")?)?,
            entra_token: process.told("entra_token")?.to_owned(),
            _process: process,
        })
    }

    /// How our clients get there: with Entra.
    pub(crate) fn pipeline(&self) -> Result<Pipeline> {
        let tls = TlsConfig::only_roots(self.ca_pem.as_bytes())?;
        let transport = TransportBuilder::new().no_proxy().tls(tls).build()?;
        let endpoint = self.endpoint.clone();
        let auth = AuthLayer::new(&endpoint, support::entra(&self.entra_token))
            .trust_entra_for(endpoint.host());
        Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
    }

    /// How others get there: with a password, and by name, for Go keeps a credential on a redirect
    /// to the same host, whatever the port, and the storage refuses it. crane does not, and follows
    /// no redirect from a name to an address of the machine.
    pub(crate) fn site(&self, client: ForeignClient) -> Site {
        let authority = self.endpoint.authority();
        let authority = match client {
            ForeignClient::Crane => authority.to_owned(),
            _ => authority.replace("127.0.0.1", "localhost"),
        };
        Site { authority, ca_pem: self.ca_pem.clone(), login: LOGIN }
    }
}
