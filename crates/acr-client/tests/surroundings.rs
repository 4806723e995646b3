//! Who signs in where the program does not say it: each case is a process with an environment of
//! its own, this test binary again.

#![cfg(all(unix, feature = "docker-config", feature = "entra"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{env, path::Path, process::Command};

use acr_client::{Error, Registry};
use acr_testkit::FakeRegistry;

/// Set in the process that connects.
const CASE: &str = "ACR_TEST_CASE";

/// What a program in this environment is told: `signed in`, or the error.
fn told(docker: &Path, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "in_another_process", "--nocapture", "--test-threads=1"]).env_clear();
    command.env(CASE, "1").env("DOCKER_CONFIG", docker).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = text.lines().find_map(|line| line.split_once("TOLD ")).map(|(_, told)| told);
    told.unwrap_or_else(|| panic!("{text} {output:?}")).to_owned()
}

/// Not a test of its own: what the other process does.
#[tokio::test]
async fn in_another_process() {
    if env::var_os(CASE).is_none() {
        return;
    }
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let outcome = async {
        let registry = Registry::builder(fake.endpoint()).transport(fake.transport()).build()?;
        registry.list_repositories().try_next().await
    };
    match outcome.await {
        Ok(_) => println!("\nTOLD signed in"),
        Err(error) => println!("\nTOLD {:?}: {error}", Error::kind(&error)),
    }
}

/// `me:secret`, for this host.
fn login(folder: &Path, host: &str) {
    let config = format!(r#"{{"auths":{{"{host}":{{"auth":"bWU6c2VjcmV0"}}}}}}"#);
    std::fs::write(folder.join("config.json"), config).unwrap();
}

/// No identity of the platform, and no waiting for one that is not there.
const NO_IDENTITY: (&str, &str) = ("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential");

#[test]
fn dockers_login_counts_for_its_own_host_only() {
    let folder = tempfile::tempdir().unwrap();
    login(folder.path(), "fakeregistry.azurecr.io");
    assert_eq!(told(folder.path(), &[NO_IDENTITY]), "signed in");
    login(folder.path(), "another.azurecr.io");
    let told = told(folder.path(), &[NO_IDENTITY]);
    assert!(told.starts_with("Forbidden: ") && told.contains("nobody is signed in"), "{told}");
}

#[test]
fn a_refusal_of_nobody_says_what_was_tried() {
    let folder = tempfile::tempdir().unwrap();
    let told = told(folder.path(), &[NO_IDENTITY]);
    for words in [
        "Forbidden: ",
        "nobody is signed in, since no credential is available here: Azure CLI: `az` is not installed",
        "nobody is logged in to `fakeregistry.azurecr.io` with Docker, podman or skopeo",
    ] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn an_identity_that_is_named_and_cannot_be_used_ends_the_search() {
    let folder = tempfile::tempdir().unwrap();
    login(folder.path(), "fakeregistry.azurecr.io");
    // Half of an application: nobody is taken in its place.
    let told = told(folder.path(), &[("AZURE_CLIENT_SECRET", "hunter2")]);
    assert!(told.starts_with("Credential: "), "{told}");
    assert!(told.contains("AZURE_TENANT_ID") && !told.contains("hunter2"), "{told}");
}

#[test]
fn a_file_of_docker_that_cannot_be_read_ends_the_search() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{").unwrap();
    let told = told(folder.path(), &[NO_IDENTITY]);
    assert!(told.starts_with("Credential: ") && told.contains("config.json"), "{told}");
}
