//! Tokens of the façade, and what happens without.

use acr_auth::Credential;
use acr_core::{Digest, Endpoint, ErrorKind, Pipeline};
use acr_interop::{Grant, RegistrySoftware, Trials};
use acr_registry::{RegistryClient, RepositoryClient};

use crate::{
    Server, pipeline,
    support::{Result, ensure, same},
};

pub(crate) async fn run(server: &Server, trials: &mut Trials) -> Result {
    trials.pass("sign in with Entra over TLS", sign_in(server)).await?;
    if server.software.verifies_tokens() {
        trials.pass("refuse who has no token", no_token(server)).await?;
        trials.pass("read anonymously, refuse to write", anonymous(server)).await?;
    } else {
        let evidence = match server.software {
            RegistrySoftware::Olareg => {
                "verifies only tokens that it gave itself (`--auth-token-opaque`), so it was \
                 started to let everybody in"
            }
            _ => "has no sign-in: it lets in whoever comes",
        };
        for operation in ["refuse who has no token", "read anonymously, refuse to write"] {
            trials.unsupported(operation, evidence, no_token_needed(server)).await?;
        }
    }
    Ok(())
}

async fn sign_in(server: &Server) -> Result {
    RegistryClient::new(server.pipeline.clone()).ping().await?;
    let absent = Digest::sha256(b"absent");
    ensure(!server.blobs("library/none")?.exists(&absent).await?, "it has what nobody pushed")?;
    let counts = server.registry.facade().counts();
    same((counts.exchanges, counts.refused), (1, 0), "exchanges, refusals")?;
    // Nobody knows the scope of a ping before it is asked for.
    let challenges = usize::from(server.software.verifies_tokens());
    same(counts.challenges, challenges, "challenges")?;
    let refreshed = counts.token_calls.iter().all(|call| call.grant == Grant::RefreshToken);
    ensure(refreshed && !counts.token_calls.is_empty(), "no token by the refresh token")
}

async fn no_token(server: &Server) -> Result {
    let error = straight(server)?.resolve(Digest::sha256(b"absent")).await;
    let error = error.err().ok_or("it answered somebody without a token")?;
    same(error.kind(), ErrorKind::Unauthenticated, "kind")
}

async fn no_token_needed(server: &Server) -> Result {
    let error = straight(server)?.resolve(Digest::sha256(b"absent")).await;
    let error = error.err().ok_or("it has what nobody pushed")?;
    same(error.kind(), ErrorKind::NotFound, "kind")
}

async fn anonymous(server: &Server) -> Result {
    let blob = server.blobs("library/public")?.upload("for everybody").await?;
    let pipeline = pipeline(server.registry.facade(), Credential::anonymous())?;
    let blobs = acr_blob::BlobClient::new(pipeline, "library/public".parse()?);
    let back = blobs.download(&blob.digest).await?.bytes(100).await?;
    same(&back[..], b"for everybody", "content")?;
    let error = blobs.upload("from nobody").await.err().ok_or("an anonymous upload was taken")?;
    same(error.kind(), ErrorKind::Forbidden, "kind")
}

/// Past the façade, with no token.
fn straight(server: &Server) -> Result<RepositoryClient> {
    let endpoint = Endpoint::insecure_loopback(server.registry.registry().address())?;
    let pipeline = Pipeline::builder(endpoint).build()?;
    Ok(RepositoryClient::new(pipeline, "library/none".parse()?))
}
