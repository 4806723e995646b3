//! The default chain: what each link answers, for each value of `AZURE_TOKEN_CREDENTIALS`.

#[cfg(unix)]
use acr_auth::entra::Environment;
use acr_auth::entra::{Cloud, DefaultCredential, SourceOptions};
use acr_core::ErrorKind;
#[cfg(unix)]
use acr_core::{
    Error, Transport,
    http::{Body, Request},
};
#[cfg(unix)]
use tower::service_fn;

use crate::support::{environment, is_unavailable, nobody, shown, token};

#[cfg(unix)]
const LINKS: [&str; 5] =
    ["environment", "workload identity", "managed identity", "Azure CLI", "Azure Developer CLI"];

/// The values and the links they leave.
#[cfg(unix)]
const SELECTIONS: [(Option<&str>, &[usize]); 9] = [
    (None, &[0, 1, 2, 3, 4]),
    (Some("prod"), &[0, 1, 2]),
    (Some(" DEV\n"), &[3, 4]),
    (Some("EnvironmentCredential"), &[0]),
    (Some("WorkloadIdentityCredential"), &[1]),
    (Some("managedidentitycredential"), &[2]),
    (Some("AzureCLICredential"), &[3]),
    (Some("AzureDeveloperCliCredential"), &[4]),
    (Some("  "), &[0, 1, 2, 3, 4]),
];

/// What a link answers.
#[cfg(unix)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Unavailable,
    Fails,
    Works,
}

/// An authority that knows every secret or assertion, or refuses it, and an identity service
/// of the same kind: one line each.
#[cfg(unix)]
fn authority(secret: Link, assertion: Link) -> Transport {
    Transport::new(service_fn(move |request: Request| async move {
        let body = request.into_body().bytes(10_000).await?;
        let is_secret = String::from_utf8_lossy(&body).contains("client_secret=");
        let (answer, name) = if is_secret { (secret, LINKS[0]) } else { (assertion, LINKS[1]) };
        Ok::<_, Error>(json(answer, name))
    }))
}

#[cfg(unix)]
fn machine(answer: Link) -> Transport {
    if answer == Link::Unavailable {
        return nobody();
    }
    Transport::new(service_fn(move |request: Request| async move {
        let mut response = json(answer, LINKS[2]);
        if !request.headers().contains_key("metadata") {
            *response.status_mut() = http::StatusCode::BAD_REQUEST;
        }
        Ok::<_, Error>(response)
    }))
}

#[cfg(unix)]
fn json(answer: Link, name: &str) -> acr_core::http::Response {
    let token = name.replace(' ', "-");
    let (status, body) = match answer {
        Link::Works => (200, format!(r#"{{"access_token":"{token}","expires_in":3600}}"#)),
        _ => (403, r#"{"error":"refused"}"#.to_owned()),
    };
    let response = http::Response::builder().status(status);
    response.header("content-type", "application/json").body(Body::from(body)).unwrap()
}

/// The chain in a world where its links answer like this.
#[cfg(unix)]
fn world(
    answers: [Link; 5],
    selection: Option<&str>,
) -> (crate::support::Programs, DefaultCredential) {
    use crate::support::{Programs, az_answer, azd_answer, print};

    let programs = Programs::new();
    let tools = [("az", az_answer("Azure-CLI")), ("azd", azd_answer("Azure-Developer-CLI"))];
    for ((name, output), answer) in tools.into_iter().zip(&answers[3..]) {
        match answer {
            Link::Works => drop(programs.add(name, &print(&output))),
            Link::Fails => drop(programs.add(name, "echo refused >&2\nexit 1\n")),
            Link::Unavailable => {}
        }
    }
    let assertion = programs.file("assertion");
    std::fs::write(&assertion, "some.assertion").unwrap();
    let mut variables = vec![("PATH", programs.path())];
    let is_application = answers[..2].iter().any(|answer| *answer != Link::Unavailable);
    if is_application {
        variables.extend([("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")]);
    }
    if answers[0] != Link::Unavailable {
        variables.push(("AZURE_CLIENT_SECRET", "s"));
    }
    if answers[1] != Link::Unavailable {
        variables.push(("AZURE_FEDERATED_TOKEN_FILE", assertion.to_str().unwrap()));
    }
    variables.extend(selection.map(|value| ("AZURE_TOKEN_CREDENTIALS", value)));
    let options = SourceOptions::new()
        .environment(environment(&variables))
        .transport(authority(answers[0], answers[1]))
        .identity_transport(machine(answers[2]));
    let source = DefaultCredential::configured(&options).unwrap();
    (programs, source)
}

/// For every selection: nothing available, and each link as the first that is, working or
/// failing, with everything after it working, which must not matter.
#[cfg(unix)]
#[tokio::test]
async fn every_link_decides_in_its_turn_under_every_selection() {
    for (selection, left) in SELECTIONS {
        for first in 0..=5 {
            for answer in [Link::Works, Link::Fails] {
                let mut answers = [Link::Unavailable; 5];
                answers.iter_mut().skip(first).for_each(|answer| *answer = Link::Works);
                if let Some(first) = answers.get_mut(first) {
                    *first = answer;
                }
                let (_programs, source) = world(answers, selection);
                let result = token(&source).await;
                let decides = left.iter().find(|&&link| answers[link] != Link::Unavailable);
                let context = format!("{selection:?} {answers:?}: {result:?}");
                match (decides, result) {
                    (Some(&link), Ok(token)) => {
                        assert_eq!(answers[link], Link::Works, "{context}");
                        assert_eq!(token, LINKS[link].replace(' ', "-"), "{context}");
                        assert_eq!(source.working_link(), Some(LINKS[link]));
                    }
                    (Some(&link), Err(error)) => {
                        assert_eq!(answers[link], Link::Fails, "{context}");
                        assert!(error.to_string().starts_with(LINKS[link]), "{context}");
                        assert!(!is_unavailable(&error), "{context}");
                    }
                    (None, Err(error)) => {
                        assert!(is_unavailable(&error), "{context}");
                        for (link, name) in LINKS.iter().enumerate() {
                            let is_named = error.to_string().contains(&format!("{name}: "));
                            assert_eq!(is_named, left.contains(&link), "{context}");
                        }
                    }
                    (None, Ok(_)) => panic!("{context}"),
                }
            }
        }
    }
}

#[test]
fn an_unknown_selection_is_an_error_and_not_the_whole_chain() {
    for value in ["production", "AzurePowerShellCredential", "dev,prod", "Azure CLI"] {
        let options =
            SourceOptions::new().environment(environment(&[("AZURE_TOKEN_CREDENTIALS", value)]));
        let error = DefaultCredential::configured(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("`{value}`; known are dev, prod")), "{error}");
    }
}

/// Read as "not set", one would let the whole chain run, and the other send the secret to
/// another cloud.
#[cfg(unix)]
#[test]
fn g1_a_variable_that_is_no_unicode_is_an_error_and_not_absent() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    for odd in ["AZURE_TOKEN_CREDENTIALS", "AZURE_AUTHORITY_HOST"] {
        let lookup = move |name: &str| match name {
            "AZURE_TENANT_ID" | "AZURE_CLIENT_ID" | "AZURE_CLIENT_SECRET" => Some("x".into()),
            name if name == odd => Some(OsString::from_vec(b"prod\xff".to_vec())),
            _ => None,
        };
        let options = SourceOptions::new().environment(Environment::from_fn(lookup));
        let error = DefaultCredential::configured(&options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), format!("{odd} is not Unicode; correct or unset it"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_says_what_each_link_answered() {
    let variables = [("AZURE_TENANT_ID", "t"), ("PATH", "/nowhere-at-all")];
    let options = SourceOptions::new()
        .environment(environment(&variables))
        .identity_transport(nobody())
        .transport(nobody());
    let error = token(&DefaultCredential::configured(&options).unwrap()).await.unwrap_err();
    assert!(is_unavailable(&error));
    assert_eq!(
        error.to_string(),
        "no credential is available here: \
         environment: AZURE_CLIENT_ID, AZURE_CLIENT_SECRET are not set; \
         workload identity: AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE are not set; \
         managed identity: no identity service at `http://169.254.169.254`: it cannot be reached; \
         Azure CLI: `az` is not installed; \
         Azure Developer CLI: `azd` is not installed"
    );
}

#[test]
fn an_authority_that_is_not_https_is_refused_at_once() {
    let variables = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "canary"),
        ("AZURE_AUTHORITY_HOST", "http://login.example"),
    ];
    let options = SourceOptions::new().environment(environment(&variables)).transport(nobody());
    let error = DefaultCredential::configured(&options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("AZURE_AUTHORITY_HOST is `http://login."), "{error}");
    assert!(!shown(&error.into()).contains("canary"));
    // Who is told the cloud does not look there.
    let options = options.cloud(Cloud::public());
    assert!(DefaultCredential::configured(&options).is_ok());
}

#[tokio::test(start_paused = true)]
async fn malformed_variables_of_the_platform_do_not_matter_while_an_earlier_link_works() {
    use acr_testkit::FakeEntra;

    let entra = FakeEntra::builder().tenant("t").client_secret("c", "s").token("the-token");
    let entra = entra.in_process();
    let authority = entra.endpoint().to_string();
    let variables = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
        ("IDENTITY_ENDPOINT", "no url"),
        ("IDENTITY_HEADER", "h"),
    ];
    let options = SourceOptions::new()
        .environment(environment(&variables))
        .transport(entra.transport())
        .identity_transport(nobody());
    let source = DefaultCredential::configured(&options).unwrap();
    assert_eq!(token(&source).await.unwrap(), "the-token");
    assert_eq!(source.working_link(), Some("environment"));
}

#[tokio::test(start_paused = true)]
async fn a_managed_identity_that_is_named_is_not_asked_whether_it_is_there() {
    use acr_testkit::FakeIdentityService;

    for (selection, calls) in [("prod", 2), ("ManagedIdentityCredential", 1)] {
        let service = FakeIdentityService::imds().in_process();
        let options = SourceOptions::new()
            .environment(environment(&[("AZURE_TOKEN_CREDENTIALS", selection)]))
            .identity_transport(service.transport());
        token(&DefaultCredential::configured(&options).unwrap()).await.unwrap();
        assert_eq!(service.calls(), calls, "{selection}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_client_id_of_the_environment_names_the_machines_identity() {
    use acr_testkit::FakeIdentityService;

    let service = FakeIdentityService::imds().client_id("mine").token("the-token").in_process();
    for (id, is_known) in [("mine", true), ("other", false)] {
        let variables = [("AZURE_CLIENT_ID", id), ("AZURE_TOKEN_CREDENTIALS", "prod")];
        let options = SourceOptions::new()
            .environment(environment(&variables))
            .identity_transport(service.transport());
        let source = DefaultCredential::configured(&options).unwrap();
        assert_eq!(token(&source).await.is_ok(), is_known);
    }
}
