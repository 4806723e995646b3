//! A secret in every place a source has one, and a search for it in every place it must not
//! be: errors and their causes, `Debug`, and the most verbose log.
//!
//! One test in its own program, since tracing decides once per process what is wanted.

#![cfg(all(feature = "entra", unix, any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

#[path = "entra/support.rs"]
#[allow(dead_code, reason = "shared with the other tests")]
mod support;

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use acr_auth::{
    TokenCredential,
    entra::{
        AzureCliCredential, AzureDeveloperCliCredential, ClientSecretCredential, Cloud,
        DefaultCredential, ManagedIdentity, ManagedIdentityCredential, SourceOptions,
        WorkloadIdentityCredential,
    },
};
use acr_testkit::{FakeEntra, FakeIdentityService};
use http::StatusCode;

use support::{Programs, TENANT, az_answer, azd_answer, environment, print, shown, token};

/// Every planted secret contains this.
const CANARY: &str = "CaNaRy";

/// Base64, percent and hexadecimal forms of it would be leaks as well.
const FORMS: [&str; 4] = [CANARY, "Q2FOYVJ5", "%43%61%4E%61%52%79", "43614e615279"];

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn note(&self, text: &str) {
        self.0.lock().unwrap().extend_from_slice(format!("{text}\n").as_bytes());
    }

    fn debug(&self, value: &(impl Debug + ?Sized)) {
        self.note(&format!("{value:?} {value:#?}"));
    }

    /// Asks a source and notes all there is to see; says whether it gave a token.
    async fn ask(&self, source: &dyn TokenCredential) -> bool {
        self.debug(source);
        let answer = token(source).await;
        self.debug(source);
        if let Err(error) = &answer {
            self.note(&shown(error));
        }
        answer.is_ok()
    }
}

fn canary(place: &str) -> String {
    format!("{CANARY}-{place}")
}

/// What a hostile or careless authority answers with everything it knows.
fn echo(secret: &str) -> String {
    let text = format!("AADSTS7000215: you sent '{secret}' and {}", secret.to_lowercase());
    serde_json::json!({
        "error": "invalid_client", "error_description": text, "error_codes": [7_000_215],
        "access_token": secret, "correlation_id": secret, "message": secret,
    })
    .to_string()
}

#[tokio::test]
async fn no_planted_secret_is_ever_seen() {
    let seen = Captured::default();
    let writer = seen.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);

    let given = [application(&seen).await, machine(&seen).await, tools(&seen).await];
    assert_eq!(given, [4, 2, 2], "tokens given, so the secrets were there");

    drop(guard);
    let text = String::from_utf8(seen.0.lock().unwrap().clone()).unwrap();
    for expected in ["http.exchange", "fetch_entra_token", "fetch_identity_token", "AADSTS7000215"]
    {
        assert!(text.contains(expected), "nothing was seen of `{expected}`");
    }
    for line in text.lines() {
        for form in FORMS {
            assert!(!line.contains(form), "{line}");
        }
        assert!(!line.to_lowercase().contains(&CANARY.to_lowercase()), "{line}");
    }
}

async fn application(seen: &Captured) -> usize {
    let (secret, assertion) = (canary("secret"), canary("assertion.of-the-pod"));
    let entra = FakeEntra::builder()
        .tenant(TENANT)
        .client_secret("app", &secret)
        .assertion("app", &assertion)
        .token(canary("entra-token"))
        .serve()
        .await
        .unwrap();
    let tls = acr_core::TlsConfig::only_roots(entra.ca_pem().as_bytes()).unwrap();
    let transport = acr_core::TransportBuilder::new().no_proxy().tls(tls).build().unwrap();
    let authority = entra.endpoint().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &assertion).unwrap();
    let variables = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", secret.as_str()),
        ("AZURE_FEDERATED_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", authority.as_str()),
    ];
    let options = SourceOptions::new().environment(environment(&variables)).transport(transport);
    seen.debug(&options);
    seen.debug(&options.clone().cloud(Cloud::custom(&authority).unwrap()));

    let mut given = 0;
    for round in 0..2 {
        let sources: [Box<dyn TokenCredential>; 3] = [
            Box::new(ClientSecretCredential::from_env(&options).unwrap()),
            Box::new(WorkloadIdentityCredential::from_env(&options).unwrap()),
            Box::new(DefaultCredential::configured(&options).unwrap()),
        ];
        for (source, sent) in sources.iter().zip([&secret, &assertion, &secret]) {
            if round == 1 {
                entra.answer_next(StatusCode::UNAUTHORIZED, echo(sent));
            }
            given += usize::from(seen.ask(source.as_ref()).await);
        }
    }
    // A refusal without echo, and a token of an odd form.
    let cloud = options.cloud(Cloud::custom(&authority).unwrap());
    let wrong = ClientSecretCredential::configured(TENANT, "app", canary("wrong"), &cloud).unwrap();
    assert!(!seen.ask(&wrong).await);
    entra.answer_next(StatusCode::OK, format!(r#"{{"access_token":"{}\n"}}"#, canary("odd")));
    assert!(!seen.ask(&wrong).await);
    entra.answer_next(StatusCode::OK, canary("no JSON"));
    assert!(!seen.ask(&wrong).await);
    entra.answer_next(StatusCode::OK, format!(r#"{{"access_token":"{}"}}"#, canary("fine")));
    given + usize::from(seen.ask(&wrong).await)
}

async fn machine(seen: &Captured) -> usize {
    let header = canary("identity-header");
    let app_service = FakeIdentityService::app_service(&header)
        .token(canary("app-service-token"))
        .serve()
        .await
        .unwrap();
    let imds = FakeIdentityService::imds().token(canary("imds-token")).serve().await.unwrap();
    let url = app_service.url();
    let variables = [("IDENTITY_ENDPOINT", url.as_str()), ("IDENTITY_HEADER", header.as_str())];
    let here = SourceOptions::new().environment(environment(&variables));
    let there = SourceOptions::new().environment(environment(&[])).imds(imds.endpoint());
    let mut given = 0;
    for options in [&here, &there] {
        for round in 0..2 {
            if round == 1 {
                app_service.answer_next(StatusCode::BAD_REQUEST, echo(&header));
            }
            let identity = match round {
                0 => ManagedIdentity::SystemAssigned,
                _ => ManagedIdentity::ClientId("unknown".into()),
            };
            let source = ManagedIdentityCredential::configured(identity, options).unwrap();
            given += usize::from(seen.ask(&source).await);
        }
    }
    given
}

async fn tools(seen: &Captured) -> usize {
    let jwt = format!("eyJhbGciOiJub25lIn0.{}.x", canary("payload").repeat(5));
    let mut given = 0;
    for round in 0..4 {
        let programs = Programs::new();
        let wrap = |answer: String| match round {
            0 => print(&answer),
            1 => format!(
                "{}exit 1\n",
                print(&format!("ERROR: sent {jwt}")).replacen("cat", "cat >&2", 1)
            ),
            2 => print(&answer.replace("expires", "ends")),
            _ => format!("{}exit 9\n", print(&answer)),
        };
        programs.add("az", &wrap(az_answer(&jwt)));
        programs.add("azd", &wrap(azd_answer(&jwt)));
        let variables = environment(&[("PATH", programs.path())]);
        let options = SourceOptions::new().environment(variables);
        given += usize::from(seen.ask(&AzureCliCredential::configured(&options)).await);
        given += usize::from(seen.ask(&AzureDeveloperCliCredential::configured(&options)).await);
    }
    given
}
