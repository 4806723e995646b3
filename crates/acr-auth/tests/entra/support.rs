//! What the tests share.

use std::{collections::HashMap, error::Error as StdError, ffi::OsString};

use acr_auth::{
    TokenCredential, TokenRequest,
    entra::{CredentialUnavailable, Environment},
};
use acr_core::{Error, Transport, http::BoxError};

pub(crate) const SCOPE: &str = "https://containerregistry.azure.net/.default";
pub(crate) const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// An environment with these variables and no other.
pub(crate) fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: HashMap<String, OsString> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    Environment::from_fn(move |name| variables.get(name).cloned())
}

pub(crate) async fn token(source: &dyn TokenCredential) -> Result<String, BoxError> {
    let token = source.get_token(TokenRequest::new(&[SCOPE])).await?;
    Ok(token.token().expose().to_owned())
}

pub(crate) fn is_unavailable(error: &BoxError) -> bool {
    let error: &(dyn StdError + 'static) = error.as_ref();
    CredentialUnavailable::is_cause_of(error)
}

/// Everything an error shows, its causes included.
pub(crate) fn shown(error: &BoxError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}

/// A network where nobody is.
pub(crate) fn nobody() -> Transport {
    Transport::new(tower::service_fn(|_: acr_core::http::Request| async {
        let error = Error::new(acr_core::ErrorKind::Connect, "no route to host").permanent();
        Err::<acr_core::http::Response, _>(error)
    }))
}

/// A folder with programs, which are shell scripts.
#[cfg(unix)]
pub(crate) struct Programs(tempfile::TempDir);

#[cfg(unix)]
impl Programs {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Adds a program. Another process writes its file: one that this process has open for
    /// writing while another test starts a program could not be started for a moment.
    pub(crate) fn add(&self, name: &str, script: &str) -> &Self {
        let source = self.file(&format!("{name}.source"));
        std::fs::write(&source, format!("#!/bin/sh\n{script}")).unwrap();
        let status = std::process::Command::new("install")
            .args(["-m", "755"])
            .args([&source, &self.file(name)])
            .status();
        assert!(status.unwrap().success());
        self
    }
}

/// What `az account get-access-token` prints.
#[cfg(unix)]
pub(crate) fn az_answer(token: &str) -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!(
        r#"{{
  "accessToken": "{token}",
  "expiresOn": "2023-10-31 21:59:10.000000",
  "expires_on": {},
  "subscription": "00000000-0000-0000-0000-000000000001",
  "tenant": "{TENANT}",
  "tokenType": "Bearer"
}}"#,
        seconds.as_secs() + 3_600
    )
}

/// What `azd auth token` prints.
#[cfg(unix)]
pub(crate) fn azd_answer(token: &str) -> String {
    format!(r#"{{"token":"{token}","expiresOn":"2126-10-31T21:59:10Z"}}"#)
}

/// A script that prints a text.
#[cfg(unix)]
pub(crate) fn print(text: &str) -> String {
    format!("cat <<'END'\n{text}\nEND\n")
}
