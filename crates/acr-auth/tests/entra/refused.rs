//! A token that a registry refused is not given again.

use acr_auth::{
    TokenCredential, TokenRequest,
    entra::{
        ChainedCredential, ClientSecretCredential, DefaultCredential, ManagedIdentity,
        ManagedIdentityCredential, SourceOptions, WorkloadIdentityCredential,
    },
};
use acr_core::{
    Error, Transport,
    http::{Body, Request},
};
use tower::service_fn;

use crate::support::{SCOPE, TENANT, environment};

/// An authority and identity service that gives another token each time.
fn counting() -> Transport {
    let calls = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    Transport::new(service_fn(move |_: Request| {
        let number = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = format!(r#"{{"access_token":"token-{number}","expires_in":"3600"}}"#);
        async move { Ok::<_, Error>(http::Response::new(Body::from(body))) }
    }))
}

async fn is_dropped_by_value(name: &str, source: &dyn TokenCredential) {
    let get = async || source.get_token(TokenRequest::new(&[SCOPE])).await.unwrap();
    let text = |token: &acr_auth::AccessToken| token.token().expose().to_owned();
    let first = get().await;
    assert_eq!(text(&get().await), text(&first), "{name} keeps it");
    source.refused(&first);
    let second = get().await;
    assert_ne!(text(&second), text(&first), "{name}");
    source.refused(&first);
    assert_eq!(text(&get().await), text(&second), "{name}: a late refusal drops no newer one");
}

#[tokio::test]
async fn b2_every_source_drops_the_token_that_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("assertion");
    std::fs::write(&file, "an-assertion").unwrap();
    let options = |variables: &[(&str, &str)]| {
        SourceOptions::new()
            .environment(environment(variables))
            .transport(counting())
            .identity_transport(counting())
    };
    let none = options(&[]);
    let secret = || ClientSecretCredential::configured(TENANT, "app", "s3cret", &none).unwrap();
    is_dropped_by_value("a client secret", &secret()).await;
    let workload = WorkloadIdentityCredential::configured(TENANT, "app", &file, &none).unwrap();
    is_dropped_by_value("a workload identity", &workload).await;
    let identity = ManagedIdentity::SystemAssigned;
    let machine = ManagedIdentityCredential::configured(identity, &none).unwrap().without_probe();
    is_dropped_by_value("a managed identity", &machine).await;
    let chain = ChainedCredential::new().link("secret", secret());
    is_dropped_by_value("a chain", &chain).await;
    let variables = options(&[
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "s3cret"),
    ]);
    let default = DefaultCredential::configured(&variables).unwrap();
    is_dropped_by_value("the default chain", &default).await;
}

#[cfg(unix)]
#[tokio::test]
async fn b2_the_tools_are_started_again_for_a_token_that_was_refused() {
    use acr_auth::entra::{AzureCliCredential, AzureDeveloperCliCredential};

    use crate::support::{Programs, az_answer, azd_answer, print};
    let programs = Programs::new();
    let numbered = |answer: &str| {
        // The number of the start takes the place of the mark.
        let count = "echo x >>\"$0.starts\"; n=$(wc -l <\"$0.starts\" | tr -d ' ')";
        format!("{count}\n( {} ) | sed \"s/NUMBER/$n/\"", print(answer))
    };
    programs.add("az", &numbered(&az_answer("token-NUMBER")));
    programs.add("azd", &numbered(&azd_answer("token-NUMBER")));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", programs.path());
    let options = SourceOptions::new().environment(environment(&[("PATH", &path)]));
    is_dropped_by_value("az", &AzureCliCredential::configured(&options)).await;
    is_dropped_by_value("azd", &AzureDeveloperCliCredential::configured(&options)).await;
}
