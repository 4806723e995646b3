//! Content operations against `docker-registry` with token authentication, through
//! a façade on the registry's own origin. The registry verifies every token.
#![cfg(feature = "servers")]

mod slice;

use std::{
    collections::HashSet,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{
    Digest, Endpoint, ErrorKind, Pipeline, RepositoryName, TlsConfig, TransportBuilder,
};
use acr_interop::{Counts, Facade, ForeignListener, Grant, GuardedRegistry};
use acr_registry::RepositoryClient;

use crate::slice::Result;

#[tokio::test]
async fn entra_flow_over_tls() -> Result {
    let registry = GuardedRegistry::builder().start().await?;
    let facade = registry.facade();

    Box::pin(slice::run(&pipeline(facade, entra(facade))?)).await?;

    let counts = facade.counts();
    assert_eq!(counts.exchanges, 1);
    assert_one_call_per_scope(&counts, Grant::RefreshToken);
    assert_eq!((counts.challenges, counts.refused), (0, 0), "{counts:?}");
    assert!(counts.forwarded > 20, "{counts:?}");
    Ok(())
}

#[tokio::test]
async fn anonymous_flow_over_tls_may_read_and_not_write() -> Result {
    let registry = GuardedRegistry::builder().start().await?;
    let facade = registry.facade();
    let name: RepositoryName = "library/public".parse()?;
    let digest = slice::put_something(&pipeline(facade, entra(facade))?, &name).await?;
    let before = facade.counts();

    let anonymous = pipeline(facade, Credential::anonymous())?;
    let repository = RepositoryClient::new(anonymous.clone(), name.clone());
    let blobs = BlobClient::new(anonymous, name);
    let manifest = repository.get_manifest(&digest).await?;
    assert_eq!(manifest.digest, digest);
    let config = Digest::sha256(b"{}");
    assert_eq!(blobs.download(&config).await?.bytes(2).await?, "{}");

    let counts = facade.counts();
    assert_eq!(counts.exchanges, before.exchanges);
    assert_eq!(counts.token_calls.len() - before.token_calls.len(), 1, "one scope: pull");
    assert_eq!(counts.token_calls.last().map(|call| call.grant), Some(Grant::Anonymous));
    assert_eq!((counts.challenges, counts.refused), (0, 0), "{counts:?}");

    let error = blobs.upload("mine").await.err().ok_or("an anonymous upload was taken")?;
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let error = repository.delete_manifest(&digest).await.err().ok_or("it was deleted")?;
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    assert_eq!(repository.get_manifest(&digest).await?.digest, digest);
    Ok(())
}

#[tokio::test]
async fn foreign_realm_is_not_needed() -> Result {
    let foreign = ForeignListener::start().await?;
    let registry = GuardedRegistry::builder().realm(realm_of(&foreign)).start().await?;
    let facade = registry.facade();

    Box::pin(slice::run(&pipeline(facade, entra(facade))?)).await?;

    assert_eq!(facade.counts().challenges, 0);
    assert_eq!(foreign.finish().await?, 0);
    Ok(())
}

#[tokio::test]
async fn foreign_realm_of_a_registry_that_takes_no_token_is_not_followed() -> Result {
    let foreign = ForeignListener::start().await?;
    let registry = GuardedRegistry::builder().realm(realm_of(&foreign)).distrust().start().await?;
    let facade = registry.facade();

    for credential in [entra(facade), Credential::anonymous()] {
        let repository =
            RepositoryClient::new(pipeline(facade, credential)?, "library/app".parse()?);
        let absent = Digest::sha256(b"absent");
        let error = repository.get_manifest(absent).await.err().ok_or("a token was taken")?;
        assert_eq!(error.kind(), ErrorKind::Policy, "{error}");
    }

    let counts = facade.counts();
    assert_eq!((counts.exchanges, counts.challenges), (1, 2), "{counts:?}");
    assert_eq!(foreign.finish().await?, 0);
    Ok(())
}

#[tokio::test]
async fn foreign_realm_is_not_followed_without_credentials_either() -> Result {
    let foreign = ForeignListener::start().await?;
    let registry = GuardedRegistry::builder().realm(realm_of(&foreign)).start().await?;
    // Straight to the registry, which has no token service of its own.
    let endpoint = Endpoint::insecure_loopback(registry.registry().address())?;
    let pipeline = Pipeline::builder(endpoint).build()?;

    let repository = RepositoryClient::new(pipeline, "library/app".parse()?);
    let absent = Digest::sha256(b"absent");
    let error = repository.get_manifest(absent).await.err().ok_or("no token was asked for")?;

    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    assert_eq!(foreign.finish().await?, 0);
    Ok(())
}

#[tokio::test]
async fn wrong_entra_token_ends_in_an_error_without_a_token_call() -> Result {
    let registry = GuardedRegistry::builder().start().await?;
    let facade = registry.facade();
    let pipeline = pipeline(facade, entra_token("not the one"))?;

    let repository = RepositoryClient::new(pipeline, "library/app".parse()?);
    let absent = Digest::sha256(b"absent");
    let error = repository.get_manifest(absent).await.err().ok_or("a token was given")?;

    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    let counts = facade.counts();
    assert_eq!((counts.exchanges, counts.token_calls.len(), counts.forwarded), (0, 0, 0));
    Ok(())
}

/// Every token call had this grant, and no scope was asked for twice.
fn assert_one_call_per_scope(counts: &Counts, grant: Grant) {
    let scopes: HashSet<_> = counts.token_calls.iter().map(|call| &call.scope).collect();
    assert_eq!(scopes.len(), counts.token_calls.len(), "{:?}", counts.token_calls);
    assert!(counts.token_calls.iter().all(|call| call.grant == grant));
    assert!(!scopes.is_empty());
}

fn entra(facade: &Facade) -> Credential {
    entra_token(facade.accounts().entra_token())
}

fn entra_token(token: &str) -> Credential {
    let token = token.to_owned();
    Credential::entra(credential_fn(move |_scopes| {
        let token = token.clone();
        async move { Ok(AccessToken::new(token, SystemTime::now() + Duration::from_secs(3600))) }
    }))
}

fn pipeline(facade: &Facade, credential: Credential) -> Result<Pipeline> {
    let endpoint: Endpoint = facade.origin().parse()?;
    let ca_pem = facade.ca_pem().ok_or("the façade does not speak TLS")?;
    let transport = TransportBuilder::new()
        .no_proxy()
        .tls(TlsConfig::only_roots(ca_pem.as_bytes())?)
        .build()?;
    let auth = AuthLayer::new(&endpoint, credential).trust_entra_for("127.0.0.1");
    Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
}

fn realm_of(foreign: &ForeignListener) -> String {
    format!("https://{}/oauth2/token", foreign.address())
}
