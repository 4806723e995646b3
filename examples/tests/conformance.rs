//! The conformance suite over TLS with a full sign-in: at the fake, and at the registry
//! that `ACR_CONFORMANCE_ENDPOINT` names, signed in as `ACR_CONFORMANCE_USER` with
//! `ACR_CONFORMANCE_PASSWORD`, if they are set. It writes to `conformance/<random>` there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests may stop at the first surprise"
)]

use acr_auth::{AuthLayer, Credential};
use acr_core::{Endpoint, Pipeline, RepositoryName, TlsConfig, TransportBuilder};
use acr_testkit::{FakeRegistry, Kind, Tls, conformance};

fn pipeline(endpoint: &Endpoint, user: &str, password: &str, tls: TlsConfig) -> Pipeline {
    let auth = AuthLayer::new(endpoint, Credential::password(user, password));
    let transport = TransportBuilder::new().tls(tls);
    // The fake is on this machine, where no proxy reaches it.
    let is_here = endpoint.host().starts_with("127.");
    let transport = if is_here { transport.no_proxy() } else { transport };
    Pipeline::builder(endpoint.clone())
        .transport(transport.build().unwrap())
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

#[tokio::test]
async fn the_fake_conforms_over_tls() {
    let registry = FakeRegistry::builder().user("owner", "secret").build();
    let server = registry.serve(Tls::On).await.unwrap();
    let roots = TlsConfig::only_roots(server.ca_pem().unwrap().as_bytes()).unwrap();
    let pipeline = pipeline(&server.endpoint(), "owner", "secret", roots);
    let report = conformance(&pipeline, &"conformance/tls".parse().unwrap()).await;
    assert_eq!(report.deviations().count(), 0, "{report}");
    assert_eq!(registry.journal().count(Kind::Challenge), 0, "all scopes were foreseen");
    assert_eq!(registry.open_uploads(), 0);
    server.shutdown().await;
}

#[tokio::test]
async fn the_registry_of_the_environment_conforms() {
    let variable = |name: &str| std::env::var(format!("ACR_CONFORMANCE_{name}"));
    let (Ok(endpoint), Ok(user), Ok(password)) =
        (variable("ENDPOINT"), variable("USER"), variable("PASSWORD"))
    else {
        println!("no live registry: ACR_CONFORMANCE_ENDPOINT, _USER, _PASSWORD are not set");
        return;
    };
    let endpoint: Endpoint = endpoint.parse().unwrap();
    let pipeline = pipeline(&endpoint, &user, &password, TlsConfig::new());
    let run = std::process::id();
    let scratch: RepositoryName = format!("conformance/run-{run}").parse().unwrap();
    let report = conformance(&pipeline, &scratch).await;
    println!("{report}");
    assert_eq!(report.deviations().count(), 0, "{report}");
}
