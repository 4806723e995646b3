//! Entra identities, built in: each source is a [`TokenCredential`](crate::TokenCredential).
//!
//! | source | whose identity | what it needs |
//! |---|---|---|
//! | [`DefaultCredential`] | the first of the others that is available | nothing to write |
//! | [`ClientSecretCredential`] | a service principal | tenant, client id, secret |
//! | [`WorkloadIdentityCredential`] | a pod's, or a federated one | tenant, client id, the file with the assertion |
//! | [`ManagedIdentityCredential`] | the machine's | a virtual machine, App Service, Container Apps, Container Instances |
//! | [`AzureCliCredential`] | yours | `az login` |
//! | [`AzureDeveloperCliCredential`] | yours | `azd auth login` |
//! | [`ChainedCredential`] | the first that is available of those you name | |
//!
//! Every source keeps its tokens, one per scope, and fetches a token once for any number of
//! callers. In the last part of its life (five to six minutes of an hour) one caller replaces it
//! while the others go on; trouble of whoever gives it is no failure then, a refusal is. So one
//! source can serve many registries: clone the [`Credential`](crate::Credential) made of it.
//!
//! # What goes where
//!
//! Client secrets and assertions go to the token endpoint of the configured [`Cloud`] and
//! nowhere else, with TLS, no redirect followed. Managed identity asks the platform's own
//! service on this machine or its private network, the only one that is asked without TLS, and
//! never through a proxy. The command line tools are started without a shell.
//!
//! Errors name what was tried and what Entra said (its `AADSTS` code, and its words escaped and
//! capped); they never hold a secret, an assertion or a token.
//!
//! # "Not available here" is no failure
//!
//! A source that does not apply where the program runs fails with [`CredentialUnavailable`]: no
//! variable is set, no identity service answers, no tool is installed. A chain goes on then, and
//! on nothing else: a secret that was refused must not turn into another identity.

mod answer;
mod authority;
mod azure_cli;
mod azure_developer_cli;
mod chain;
mod client_secret;
mod cloud;
mod default_credential;
mod environment;
mod failure;
mod identity;
mod identity_service;
mod imds_retry;
mod managed_identity;
mod named_identity;
mod options;
mod platform_url;
mod scopes;
mod selection;
mod token_cache;
mod tool;
mod unavailable;
mod workload_identity;

use crate::{foreign_text, secret_text};

pub use self::{
    azure_cli::AzureCliCredential, azure_developer_cli::AzureDeveloperCliCredential,
    chain::ChainedCredential, client_secret::ClientSecretCredential, cloud::Cloud,
    default_credential::DefaultCredential, environment::Environment, identity::ManagedIdentity,
    managed_identity::ManagedIdentityCredential, options::SourceOptions,
    unavailable::CredentialUnavailable, workload_identity::WorkloadIdentityCredential,
};
