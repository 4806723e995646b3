//! Settings about Entra that would do nothing.

use acr_auth::Credential;
use acr_core::{Endpoint, Error, ErrorKind, Result};

/// What decides whether an Entra token is asked for at all.
pub(crate) struct Idle<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) trusted: &'a [String],
    pub(crate) credential: Option<&'a Credential>,
}

impl Idle<'_> {
    /// A name with a typing error would leave the program nobody, without a word.
    pub(crate) fn refuse_trusted(&self) -> Result<()> {
        let host = self.endpoint.host();
        match self.trusted.iter().find(|name| !is_host(name, self.endpoint)) {
            Some(name) => Err(refuse(format!(
                "`trust_entra_for`: `{name}` is not `{host}`, the host of this registry: name that, \
                 or leave it out"
            ))),
            None if self.trusted.is_empty() => Ok(()),
            None if !self.endpoint.is_https() => Err(refuse(format!(
                "`trust_entra_for` does nothing for `{host}` without TLS, where no Entra token is sent: use \
                 https"
            ))),
            None => self.refuse_beside_others("trust_entra_for"),
        }
    }

    #[cfg(feature = "entra")]
    pub(crate) fn refuse_cloud(&self) -> Result<()> {
        if self.credential.is_some() {
            let text = "`cloud` does nothing beside `credential`, which has a cloud of its own: say \
                it there (`SourceOptions::cloud`)";
            return Err(refuse(text));
        }
        self.refuse_elsewhere("cloud")
    }

    pub(crate) fn refuse_audience(&self) -> Result<()> {
        self.refuse_beside_others("audience")?;
        self.refuse_elsewhere("audience")
    }

    /// Beside a credential that is none of Entra's.
    fn refuse_beside_others(&self, setting: &str) -> Result<()> {
        match self.credential.filter(|credential| !credential.may_be_entra()) {
            Some(credential) => Err(refuse(format!(
                "`{setting}` does nothing beside `{credential:?}`, with which Entra is not asked: \
                 leave it out"
            ))),
            None => Ok(()),
        }
    }

    /// For a host that sees no Entra token.
    fn refuse_elsewhere(&self, setting: &str) -> Result<()> {
        if may_see_entra(self.endpoint, self.trusted) {
            return Ok(());
        }
        let host = self.endpoint.host();
        let remedy = match self.endpoint.is_https() {
            true => "if it is one, name it with `trust_entra_for`",
            false => "use https",
        };
        let text = format!(
            "`{setting}` does nothing for `{host}`, which is not known for a registry of Azure behind \
             TLS and sees no Entra token: {remedy}"
        );
        Err(refuse(text))
    }
}

/// Whether this host may see a token of Entra.
pub(crate) fn may_see_entra(endpoint: &Endpoint, trusted: &[String]) -> bool {
    let is_azure = endpoint.is_azure_registry() && endpoint.port() == 443;
    endpoint.is_https() && (is_azure || trusted.iter().any(|name| is_host(name, endpoint)))
}

fn is_host(name: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.host();
    name.eq_ignore_ascii_case(host)
        || name.parse::<Endpoint>().is_ok_and(|named| named.host() == host)
}

fn refuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}
