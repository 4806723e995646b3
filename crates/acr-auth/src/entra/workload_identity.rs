//! A pod's identity: an assertion in a file that the platform renews.

use std::{
    future::Future,
    path::{Path, PathBuf},
    time::Duration,
};

use acr_core::{Error, ErrorKind, Result, Secret, http::BoxError};
use tokio::{fs::File, io::AsyncReadExt as _};
use zeroize::Zeroizing;

use super::{
    authority::Application,
    cloud::Cloud,
    failure::Failure,
    named_identity::{self, required},
    options::SourceOptions,
    scopes, secret_text,
    token_cache::TokenCache,
};
use crate::{
    access_token::AccessToken,
    credential::{BoxFuture, TokenCredential, TokenRequest},
};

/// Signs in with a federated assertion from a file, as Kubernetes clusters project it.
///
/// The file is read anew for every token, since the platform replaces it about every hour: a
/// regular file of at most 64 KiB, within ten seconds.
/// Sends `POST /{tenant}/oauth2/v2.0/token` to the authority of the cloud.
#[derive(Debug)]
pub struct WorkloadIdentityCredential {
    application: Application,
    file: PathBuf,
    cache: TokenCache,
}

impl WorkloadIdentityCredential {
    /// An application of the public cloud and the file with its assertion.
    ///
    /// ```
    /// use acr_auth::entra::WorkloadIdentityCredential;
    ///
    /// let source = WorkloadIdentityCredential::new("contoso.onmicrosoft.com", "<client id>", "/var/run/secrets/token")?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a malformed tenant or an empty client id. The file is not
    /// looked at yet.
    pub fn new(tenant: &str, client_id: &str, file: impl AsRef<Path>) -> Result<Self> {
        Self::configured(tenant, client_id, file, &SourceOptions::new())
    }

    /// The same with other settings.
    ///
    /// ```
    /// use acr_auth::entra::{Cloud, SourceOptions, WorkloadIdentityCredential};
    ///
    /// let china = SourceOptions::new().cloud(Cloud::china());
    /// let source = WorkloadIdentityCredential::configured("contoso.onmicrosoft.com", "<client id>", "/var/run/secrets/token", &china)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`WorkloadIdentityCredential::new`].
    pub fn configured(
        tenant: &str,
        client_id: &str,
        file: impl AsRef<Path>,
        options: &SourceOptions,
    ) -> Result<Self> {
        Self::assemble(tenant, client_id, file.as_ref(), options, &options.explicit_cloud())
            .map_err(Failure::into_error)
    }

    /// What the workload identity webhook sets: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and
    /// `AZURE_FEDERATED_TOKEN_FILE`, at `AZURE_AUTHORITY_HOST` if that is set.
    ///
    /// ```
    /// use acr_auth::entra::{Environment, SourceOptions, WorkloadIdentityCredential};
    ///
    /// let environment = Environment::from_fn(|name| match name {
    ///     "AZURE_TENANT_ID" => Some("contoso.onmicrosoft.com".into()),
    ///     "AZURE_CLIENT_ID" => Some("11111111-2222-3333-4444-555555555555".into()),
    ///     "AZURE_FEDERATED_TOKEN_FILE" => Some("/var/run/secrets/token".into()),
    ///     _ => None,
    /// });
    /// let options = SourceOptions::new().environment(environment);
    /// let source = WorkloadIdentityCredential::from_env(&options)?;
    /// # let _ = source;
    /// # Ok::<(), acr_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Credential`] with [`CredentialUnavailable`] as its source when no file is
    /// named, and without it when variables name an identity that this source cannot be: a file
    /// without tenant or client id, the token proxy of identity bindings. Else as
    /// [`WorkloadIdentityCredential::new`].
    ///
    /// [`CredentialUnavailable`]: super::CredentialUnavailable
    pub fn from_env(options: &SourceOptions) -> Result<Self> {
        Self::try_from_env(options).map_err(Failure::into_error)
    }

    pub(crate) fn try_from_env(options: &SourceOptions) -> Result<Self, Failure> {
        named_identity::check_federation(&options.environment)?;
        let [tenant, client_id, _] = required(&options.environment, VARIABLES)?;
        scopes::check_tenant_of(tenant.trim(), "AZURE_TENANT_ID is set, but ")?;
        let file = options.environment.path("AZURE_FEDERATED_TOKEN_FILE").unwrap_or_default();
        let cloud = options.environment_cloud()?;
        Self::assemble(tenant.trim(), client_id.trim(), &file, options, &cloud)
    }

    fn assemble(
        tenant: &str,
        client_id: &str,
        file: &Path,
        options: &SourceOptions,
        cloud: &Cloud,
    ) -> Result<Self, Failure> {
        let application = Application::new(options, cloud, tenant, client_id)?;
        Ok(Self { application, file: file.to_owned(), cache: TokenCache::default() })
    }

    async fn fetch(&self, scopes: &[&str]) -> Result<AccessToken, Failure> {
        let assertion = read_assertion(&self.file).await?;
        self.application.with_assertion(scopes, &assertion).await
    }
}

impl TokenCredential for WorkloadIdentityCredential {
    fn get_token<'a>(
        &'a self,
        request: TokenRequest<'a>,
    ) -> BoxFuture<'a, Result<AccessToken, BoxError>> {
        Box::pin(async move {
            let fetch = || self.fetch(request.scopes);
            self.cache.get(request.scopes, fetch).await.map_err(BoxError::from)
        })
    }

    fn refused(&self, token: &AccessToken) {
        self.cache.refused(token);
    }
}

/// Reads the assertion, within the limit. What blocks inside of the file system, such as a
/// network share that is gone, keeps one thread of the runtime's pool until it ends.
async fn read_assertion(path: &Path) -> Result<Secret> {
    in_time(path, contents(path)).await.and_then(|text| assertion(path, &text))
}

async fn in_time<T>(path: &Path, read: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(READ_LIMIT, read).await.unwrap_or_else(|_| {
        let what = format!("could not be read within {READ_LIMIT:?}");
        Err(fault(ErrorKind::Timeout, path, &what))
    })
}

async fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let fail = |what: &str| fault(ErrorKind::Source, path, what);
    let found = tokio::fs::metadata(path).await;
    // A pipe or a device could block for ever.
    if !found.map_err(|e| fail("cannot be opened").with_source(e))?.is_file() {
        return Err(fail("is not a regular file"));
    }
    let file = File::open(path).await.map_err(|e| fail("cannot be opened").with_source(e))?;
    let mut text = Zeroizing::new(Vec::new());
    let read = file.take(MAX_ASSERTION + 1).read_to_end(&mut text).await;
    read.map_err(|e| fail("cannot be read").with_source(e))?;
    if text.len() as u64 > MAX_ASSERTION {
        return Err(fail("is too large"));
    }
    Ok(text)
}

fn assertion(path: &Path, text: &[u8]) -> Result<Secret> {
    let assertion = std::str::from_utf8(text).map(str::trim).unwrap_or_default();
    if !secret_text::is_token(assertion) {
        return Err(fault(ErrorKind::Source, path, "holds no assertion"));
    }
    Ok(Secret::new(assertion))
}

fn fault(kind: ErrorKind, path: &Path, what: &str) -> Error {
    Error::new(kind, format!("the assertion file `{}` {what}", path.display()))
}

const VARIABLES: [&str; 3] = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"];

/// Assertions are one or two thousand bytes.
const MAX_ASSERTION: u64 = 64 * 1024;

/// A local file takes milliseconds.
const READ_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_file_system_that_hangs_is_left_after_ten_seconds() {
        let start = Instant::now();
        let error = in_time::<()>(Path::new("/f"), std::future::pending()).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, READ_LIMIT));
        let text = "the assertion file `/f` could not be read within 10s";
        assert_eq!(error.to_string(), text);
    }
}
