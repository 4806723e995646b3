//! Which links the default chain has: `AZURE_TOKEN_CREDENTIALS`.

use acr_core::{Error, ErrorKind, Result};

use super::foreign_text::printable;

/// A link of the default chain, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Environment,
    WorkloadIdentity,
    ManagedIdentity,
    AzureCli,
    AzureDeveloperCli,
}

impl Choice {
    /// The name of the type in the official libraries.
    const fn credential(self) -> &'static str {
        match self {
            Self::Environment => "EnvironmentCredential",
            Self::WorkloadIdentity => "WorkloadIdentityCredential",
            Self::ManagedIdentity => "ManagedIdentityCredential",
            Self::AzureCli => "AzureCliCredential",
            Self::AzureDeveloperCli => "AzureDeveloperCliCredential",
        }
    }

    /// The name in errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::WorkloadIdentity => "workload identity",
            Self::ManagedIdentity => "managed identity",
            Self::AzureCli => "Azure CLI",
            Self::AzureDeveloperCli => "Azure Developer CLI",
        }
    }
}

/// The links that the variable selects; upper and lower case are the same.
pub(crate) fn selected(value: Option<&str>) -> Result<Vec<Choice>> {
    let Some(value) = value.map(str::trim) else {
        return Ok(ALL.to_vec());
    };
    if value.eq_ignore_ascii_case("prod") {
        return Ok(PROD.to_vec());
    }
    if value.eq_ignore_ascii_case("dev") {
        return Ok(DEV.to_vec());
    }
    let named = ALL.into_iter().find(|choice| value.eq_ignore_ascii_case(choice.credential()));
    named.map(|choice| vec![choice]).ok_or_else(|| {
        let names = ALL.map(Choice::credential).join(", ");
        let text = format!(
            "AZURE_TOKEN_CREDENTIALS is `{}`; known are dev, prod, {names}",
            printable(value, 60)
        );
        Error::new(ErrorKind::InvalidInput, text)
    })
}

const ALL: [Choice; 5] = [
    Choice::Environment,
    Choice::WorkloadIdentity,
    Choice::ManagedIdentity,
    Choice::AzureCli,
    Choice::AzureDeveloperCli,
];
const PROD: [Choice; 3] = [Choice::Environment, Choice::WorkloadIdentity, Choice::ManagedIdentity];
const DEV: [Choice; 2] = [Choice::AzureCli, Choice::AzureDeveloperCli];
