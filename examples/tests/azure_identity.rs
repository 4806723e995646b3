//! Real credentials of `azure_identity` against the emulated authority and registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "../azure_identity.rs"]
#[allow(dead_code, reason = "its main function is not called here")]
mod example;

#[tokio::test]
async fn credentials_of_the_azure_sdk_open_the_registry() {
    let seen = example::run().await.unwrap();
    let names: Vec<_> = seen.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["client secret", "workload identity", "managed identity"]);
    assert!(seen.iter().all(|(_, repositories)| *repositories == 0));
}
