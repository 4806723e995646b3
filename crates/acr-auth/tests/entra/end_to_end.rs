//! From the environment to the registry, over TLS on loopback.

use acr_auth::{
    AuthLayer, Credential,
    entra::{DefaultCredential, SourceOptions},
};
use acr_core::{
    Pipeline, Scope, TlsConfig, TransportBuilder,
    http::{Effect, RequestBuilder, response},
};
use acr_testkit::{FakeEntra, FakeIdentityService, FakeRegistry, Kind, Tls};
use http::{Method, StatusCode};

use crate::support::{TENANT, environment};

#[tokio::test]
async fn the_default_credential_opens_two_registries_with_one_entra_token() {
    let registry = FakeRegistry::new();
    let (first, second) =
        (registry.serve(Tls::On).await.unwrap(), registry.serve(Tls::On).await.unwrap());
    let entra = FakeEntra::builder()
        .tenant(TENANT)
        .client_secret("app", "s3cret")
        .token(registry.entra_token())
        .serve()
        .await
        .unwrap();
    let roots: String =
        [first.ca_pem().unwrap(), second.ca_pem().unwrap(), entra.ca_pem()].concat();
    let tls = TlsConfig::only_roots(roots.as_bytes()).unwrap();
    let transport = TransportBuilder::new().no_proxy().tls(tls).build().unwrap();

    let authority = entra.endpoint().to_string();
    let variables = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "s3cret"),
        ("AZURE_AUTHORITY_HOST", &authority),
    ];
    let options =
        SourceOptions::new().environment(environment(&variables)).transport(transport.clone());
    let credential = Credential::entra(DefaultCredential::configured(&options).unwrap());

    for endpoint in [first.endpoint(), second.endpoint()] {
        let auth = AuthLayer::new(&endpoint, credential.clone()).trust_entra_for(endpoint.host());
        let pipeline = Pipeline::builder(endpoint)
            .transport(transport.clone())
            .layer_per_hop(auth)
            .build()
            .unwrap();
        list_repositories(&pipeline).await;
    }
    assert_eq!(entra.calls(), 1);
    assert_eq!(registry.journal().count(Kind::Exchange), 2);
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
}

#[tokio::test]
async fn the_identity_of_a_machine_opens_a_registry() {
    let registry = FakeRegistry::new();
    let service = FakeIdentityService::imds().token(registry.entra_token()).serve().await.unwrap();
    let options = SourceOptions::new()
        .environment(environment(&[("AZURE_TOKEN_CREDENTIALS", "prod")]))
        .imds(service.endpoint());
    let credential = Credential::entra(DefaultCredential::configured(&options).unwrap());
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(AuthLayer::new(&registry.endpoint(), credential))
        .build()
        .unwrap();
    list_repositories(&pipeline).await;
    assert_eq!(service.calls(), 2, "the probe and the token");
}

async fn list_repositories(pipeline: &Pipeline) {
    let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["acr", "v1", "_catalog"])
        .scope(Scope::catalog())
        .effect(Effect::Read)
        .build()
        .unwrap();
    let answer = pipeline.send(request).await.unwrap();
    response::expect(answer, &[StatusCode::OK]).await.unwrap();
}
