//! Which identity the environment names, where that is one we cannot be.
//!
//! Variables that name somebody are used or are an error: taken for "not configured", they
//! would let a chain sign in as somebody else without a word. The table is in `docs/design.md`.

use acr_core::ErrorKind;

use super::{environment::Environment, failure::Failure};

/// The values of variables that name an identity together.
///
/// The last of them names it alone: nothing else has a use for it. So where that is set and
/// another is missing, somebody is meant, and it is not known who. The others also serve
/// other sources, and without the last one nobody is meant.
pub(crate) fn required<const N: usize>(
    environment: &Environment,
    names: [&str; N],
) -> Result<[String; N], Failure> {
    let values = names.map(|name| environment.text(name));
    let missing: Vec<_> = names
        .iter()
        .zip(&values)
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| (*name, environment.lack(name)))
        .collect();
    if missing.is_empty() {
        return Ok(values.map(Option::unwrap_or_default));
    }
    let missing = lacks(&missing);
    match names.last() {
        Some(teller) if environment.is_set(teller) => {
            Err(unusable(&format!("{teller} is set, but {missing}"), "set all of them or none"))
        }
        _ => Err(Failure::unavailable(missing)),
    }
}

/// An application or a person that the variables of the official libraries name, beside the
/// secret and the assertion that we know.
pub(crate) fn check_application(environment: &Environment) -> Result<(), Failure> {
    let names_secret = environment.is_set("AZURE_CLIENT_SECRET");
    for (name, what) in APPLICATIONS {
        if environment.is_set(name) && !names_secret {
            return Err(unusable(
                &format!("{name} is set, and to sign in with {what} is not supported yet"),
                "set AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE in its place",
            ));
        }
    }
    Ok(())
}

/// Ways of handing over a federated assertion that we lack.
pub(crate) fn check_federation(environment: &Environment) -> Result<(), Failure> {
    for (name, what) in FEDERATIONS {
        if environment.is_set(name) {
            return Err(unusable(
                &format!("{name} is set, and {what} is not supported yet"),
                "set AZURE_FEDERATED_TOKEN_FILE to a file with an assertion for Entra in its place",
            ));
        }
    }
    Ok(())
}

/// Whether a task of Azure Pipelines runs as a service connection: an identity that `az` has
/// in that task, and the machine of the agent has not.
pub(crate) fn is_service_connection(environment: &Environment) -> bool {
    environment.is_set("SYSTEM_OIDCREQUESTURI") && environment.is_set("AZURESUBSCRIPTION_CLIENT_ID")
}

/// What was found, and what to do: the same way out for all of them.
pub(crate) fn unusable(found: &str, remedy: &str) -> Failure {
    let text = format!("{found}; {remedy}, or name another identity with AZURE_TOKEN_CREDENTIALS");
    Failure::new(ErrorKind::Credential, text)
}

/// `A is not set`, `A, B are not set`, `A is empty, B is not set`.
fn lacks(missing: &[(&str, &str)]) -> String {
    let all_unset = missing.iter().all(|(_, lack)| *lack == "is not set");
    if all_unset && missing.len() > 1 {
        let names: Vec<_> = missing.iter().map(|(name, _)| *name).collect();
        return format!("{} are not set", names.join(", "));
    }
    let lacks: Vec<_> = missing.iter().map(|(name, lack)| format!("{name} {lack}")).collect();
    lacks.join(", ")
}

const APPLICATIONS: [(&str, &str); 4] = [
    ("AZURE_CLIENT_CERTIFICATE_PATH", "a certificate"),
    ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "a certificate"),
    ("AZURE_USERNAME", "a user name and a password"),
    ("AZURE_PASSWORD", "a user name and a password"),
];

const FEDERATIONS: [(&str, &str); 2] = [
    ("AZURE_KUBERNETES_TOKEN_PROXY", "the token proxy of identity bindings"),
    ("AZURE_FEDERATED_TOKEN", "an assertion in a variable"),
];
