//! The emulator as a program, over TLS.

use std::{ffi::OsStr, fs};

use acr_auth::AuthLayer;
use acr_core::{Endpoint, Pipeline, TlsConfig, TransportBuilder};
use acr_interop::{EmulatorProcess, Site};
use serde::Deserialize;
use tempfile::TempDir;

use crate::support::{self, Result};

const LOGIN: (&str, &str) = ("tester", "secret");

pub(crate) struct Emulator {
    endpoint: Endpoint,
    ca_pem: String,
    entra_token: String,
    // Fields drop in order: the process ends before its folder goes.
    _process: EmulatorProcess,
    folder: TempDir,
}

impl Emulator {
    pub(crate) async fn start() -> Result<Self> {
        let login = format!("{}:{}", LOGIN.0, LOGIN.1);
        let folder = TempDir::with_prefix("emulator-")?;
        let journal = folder.path().join(JOURNAL);
        let arguments = ["--tls", "--user", &login, "--journal"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([journal.as_os_str()]);
        let process = EmulatorProcess::start(arguments).await?;
        Ok(Self {
            endpoint: process.told("endpoint")?.parse()?,
            ca_pem: fs::read_to_string(process.told("ca")?)?,
            entra_token: process.told("entra_token")?.to_owned(),
            _process: process,
            folder,
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

    /// How others get there: with a password, by the address that the emulator printed.
    pub(crate) fn site(&self) -> Site {
        let authority = self.endpoint.authority().to_owned();
        Site { authority, ca_pem: self.ca_pem.clone(), login: LOGIN }
    }

    /// What the storage was asked so far: the status, and whether with a credential.
    pub(crate) fn at_the_storage(&self) -> Result<Vec<(u16, bool)>> {
        let journal = fs::read_to_string(self.folder.path().join(JOURNAL))?;
        let mut found = Vec::new();
        for line in journal.lines() {
            let entry: Entry = serde_json::from_str(line)?;
            if entry.origin == "storage" {
                found.push((entry.status, entry.authorized));
            }
        }
        Ok(found)
    }
}

/// What is read of the journal's lines.
#[derive(Deserialize)]
struct Entry {
    origin: String,
    status: u16,
    authorized: bool,
}

const JOURNAL: &str = "journal";
