//! The example that signs in nowhere, at a registry that the environment names.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::process::{Output, Stdio};

use acr_examples::{Registry, Wire, connect, push_samples};
use acr_registry::RegistryClient;
use acr_testkit::{Anonymous, FakeRegistry, Operation, Tls};

/// Runs the example against the registry of this name.
async fn run(endpoint: &str, ca: &std::path::Path) -> Output {
    let mut program = tokio::process::Command::new(support::example("anonymous_tags"));
    program
        .arg("samples/public")
        .env("CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT", endpoint)
        .env("CONTAINERREGISTRY_CA_FILE", ca)
        .stdin(Stdio::null());
    program.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_lists_the_tags_of_the_registry_that_its_variable_names() {
    for (anonymous, succeeds) in [(Anonymous::Pull, true), (Anonymous::None, false)] {
        let fake = FakeRegistry::builder().anonymous(anonymous).build();
        let server = fake.serve(Tls::On).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, server.ca_pem().unwrap()).unwrap();
        let owner = Registry::emulator(&fake).await.unwrap();
        let client = RegistryClient::new(connect(&owner, &Wire::default()).unwrap());
        let repository = client.repository("samples/public").unwrap();
        push_samples(&repository, &["v1", "v2"]).await.unwrap();
        let pushed = fake.journal().entries().len();

        let output = run(&server.endpoint().to_string(), &ca).await;
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let asked = fake.journal().entries();
        let asked: Vec<_> = asked.iter().skip(pushed).map(|entry| entry.operation).collect();
        assert!(!asked.contains(&Some(Operation::ExchangeEntraToken)), "{asked:?}");
        if succeeds {
            assert_eq!(lines.len(), 2, "{text}");
            assert!(lines[0].starts_with("samples/public:v2 sha256:"), "{text}");
            assert!(asked.contains(&Some(Operation::ListTags)), "{asked:?}");
        } else {
            assert!(lines.is_empty(), "{text}");
        }
        owner.shutdown().await;
        server.shutdown().await;
    }
    let output = run("", std::path::Path::new("none")).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("CONTAINERREGISTRY_ANONREGISTRY_ENDPOINT"), "{errors}");
}
