//! Client secret and workload identity.

use std::sync::{Arc, Mutex};

use acr_auth::{
    TokenCredential, TokenRequest,
    entra::{
        ClientSecretCredential, Cloud, Environment, SourceOptions, WorkloadIdentityCredential,
    },
};
use acr_core::{
    Error, ErrorKind, Transport,
    http::{Body, Request},
};
use acr_testkit::{FakeEntra, FakeEntraBuilder};
use futures_util::future::join_all;
use http::StatusCode;
use tower::service_fn;

use crate::support::{TENANT, environment, is_unavailable, shown, token};

fn fake() -> FakeEntraBuilder {
    FakeEntra::builder().tenant(TENANT).client_secret("app", "p&ss=word %+").token("the-token")
}

fn options(entra: &FakeEntra) -> SourceOptions {
    let cloud = Cloud::custom(&entra.endpoint().to_string()).unwrap();
    SourceOptions::new().cloud(cloud).transport(entra.transport()).environment(environment(&[]))
}

fn secret(entra: &FakeEntra, tenant: &str, id: &str, secret: &str) -> ClientSecretCredential {
    ClientSecretCredential::configured(tenant, id, secret, &options(entra)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_secret_gives_a_token_that_is_kept_for_all_callers() {
    let entra = fake().in_process();
    let source = secret(&entra, TENANT, "app", "p&ss=word %+");
    let tokens = join_all((0..100).map(|_| token(&source))).await;
    assert!(tokens.into_iter().all(|token| token.unwrap() == "the-token"));
    assert_eq!(entra.calls(), 1);
    tokio::time::advance(std::time::Duration::from_secs(3_200)).await;
    token(&source).await.unwrap();
    assert_eq!(entra.calls(), 1);
    tokio::time::advance(std::time::Duration::from_secs(200)).await;
    token(&source).await.unwrap();
    assert_eq!(entra.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_go_on_with_a_living_token_while_the_authority_is_in_trouble() {
    let entra = fake().in_process();
    let source = secret(&entra, TENANT, "app", "p&ss=word %+");
    token(&source).await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(3_310)).await;
    (0..20).for_each(|_| entra.answer_next(StatusCode::SERVICE_UNAVAILABLE, "{}"));
    let start = tokio::time::Instant::now();
    let callers = (0..20).map(|_| async {
        assert_eq!(token(&source).await.unwrap(), "the-token");
        start.elapsed()
    });
    let waits = join_all(callers).await;
    assert_eq!(waits.iter().filter(|wait| !wait.is_zero()).count(), 1, "{waits:?}");
    let calls = entra.calls();
    assert!((2..=10).contains(&calls), "{calls}: the retries of one caller");
    token(&source).await.unwrap();
    assert_eq!(entra.calls(), calls, "it is left alone for a while");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_code_and_never_the_secret() {
    let entra = fake().in_process();
    for (tenant, id, secret_text, expected) in [
        (TENANT, "app", "wrong-canary", "401 AADSTS7000215: invalid_client: Invalid client secret"),
        (TENANT, "other", "canary", "400 AADSTS700016: unauthorized_client: Application was not"),
        ("contoso.example", "app", "canary", "400 AADSTS90002: invalid_request: Tenant not found."),
    ] {
        let source = secret(&entra, tenant, id, secret_text);
        let error = token(&source).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().starts_with("fetch_entra_token"), "{error}");
        assert!(!is_unavailable(&error));
        assert!(!shown(&error).contains("canary") && !format!("{source:?}").contains("canary"));
        let ours = error.downcast_ref::<Error>().unwrap();
        assert!(ours.code().unwrap().as_str().starts_with("AADSTS"));
    }
    assert_eq!(entra.calls(), 3, "a refusal is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_scope_of_another_form_is_refused_by_the_authority() {
    let entra = fake().in_process();
    let source = secret(&entra, TENANT, "app", "p&ss=word %+");
    for (scopes, code) in [
        (&["https://management.azure.com/.default"][..], "AADSTS500011"),
        (&["openid"], "AADSTS1002012"),
        (&[], "AADSTS90014"),
    ] {
        let error = source.get_token(TokenRequest::new(scopes)).await.unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_of_the_authority_is_waited_out() {
    let entra = fake().in_process();
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE] {
        entra.answer_next(status, "{}");
    }
    assert_eq!(token(&secret(&entra, TENANT, "app", "p&ss=word %+")).await.unwrap(), "the-token");
    assert_eq!(entra.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_echo_of_what_was_sent_is_left_out() {
    let entra = fake().in_process();
    let description = "AADSTS7000215: you sent P&SS=WORD %+ to us";
    let body = serde_json::json!({"error": "invalid_client", "error_description": description});
    entra.answer_next(StatusCode::UNAUTHORIZED, body.to_string());
    let error = token(&secret(&entra, TENANT, "app", "p&ss=word %+")).await.unwrap_err();
    assert!(error.to_string().contains("401 AADSTS7000215: invalid_client ("), "{error}");
    assert!(!shown(&error).to_lowercase().contains("p&ss"));
}

#[tokio::test(start_paused = true)]
async fn no_redirect_takes_the_secret_elsewhere() {
    let hosts = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&hosts);
    let transport = Transport::new(service_fn(move |request: Request| {
        log.lock().unwrap().push(request.uri().to_string());
        async {
            let answer = http::Response::builder().status(307);
            let answer = answer.header("location", "https://evil.example/token");
            Ok::<_, Error>(answer.body(Body::empty()).unwrap())
        }
    }));
    let options = SourceOptions::new().transport(transport);
    let source = ClientSecretCredential::configured(TENANT, "app", "s", &options).unwrap();
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Protocol);
    let expected = format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token");
    assert_eq!(*hosts.lock().unwrap(), [expected]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_sent() {
    let options = SourceOptions::new().transport(crate::support::nobody());
    for (tenant, id, secret) in [
        ("../common", "app", "s"),
        ("", "app", "s"),
        ("a/b", "app", "s"),
        ("t", "", "s"),
        ("t", "app", ""),
    ] {
        let result = ClientSecretCredential::configured(tenant, id, secret, &options);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput, "{tenant}");
    }
    for bad in
        ["http://login.example", "https://login.example/adfs", "https://u:p@login.example", ""]
    {
        let error = Cloud::custom(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
        let text = error.to_string();
        assert!(text.contains("not the https address of an authority"), "{text}");
        assert!(!text.contains("u:p") && !text.contains("registry"), "{text}");
    }
}

#[test]
fn clouds_are_those_of_the_official_libraries() {
    for (cloud, authority, arm) in [
        (
            Cloud::public(),
            "https://login.microsoftonline.com",
            Some("https://management.azure.com"),
        ),
        (
            Cloud::china(),
            "https://login.chinacloudapi.cn",
            Some("https://management.chinacloudapi.cn"),
        ),
        (
            Cloud::us_government(),
            "https://login.microsoftonline.us",
            Some("https://management.usgovcloudapi.net"),
        ),
        (Cloud::custom("login.example").unwrap(), "https://login.example", None),
    ] {
        assert_eq!(cloud.authority(), authority);
        assert_eq!(cloud.arm_audience(), arm);
        assert_eq!(cloud.registry_audience(), "https://containerregistry.azure.net");
    }
    assert_eq!(Cloud::custom("https://login.microsoftonline.us/").unwrap(), Cloud::us_government());
}

#[tokio::test(start_paused = true)]
async fn the_environment_names_client_and_authority() {
    let entra = fake().in_process();
    let authority = format!("{}/", entra.endpoint());
    let all = [
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "p&ss=word %+"),
        ("AZURE_AUTHORITY_HOST", &authority),
    ];
    let options = |variables: &[(&str, &str)]| {
        SourceOptions::new().transport(entra.transport()).environment(environment(variables))
    };
    let source = ClientSecretCredential::from_env(&options(&all)).unwrap();
    assert_eq!(token(&source).await.unwrap(), "the-token");

    let error = ClientSecretCredential::from_env(&options(&all[..1])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    let error = error.into();
    assert!(is_unavailable(&error));
    assert!(shown(&error).contains("AZURE_CLIENT_ID, AZURE_CLIENT_SECRET are not set"));
}

#[test]
fn c10_a_bad_authority_of_the_environment_is_named_as_such() {
    for bad in ["http://login.example", "ftp://x", "https://a/b", "a b", "https://u:canary@x"] {
        let variables = [
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", "app"),
            ("AZURE_CLIENT_SECRET", "canary"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/file"),
            ("AZURE_AUTHORITY_HOST", bad),
        ];
        let options = SourceOptions::new().environment(environment(&variables));
        for error in [
            ClientSecretCredential::from_env(&options).unwrap_err(),
            WorkloadIdentityCredential::from_env(&options).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bad}");
            let text = error.to_string();
            assert!(text.starts_with("AZURE_AUTHORITY_HOST is `"), "{text}");
            assert!(text.contains("`https://login.microsoftonline.com`"), "{text}");
            assert!(!text.contains("registry endpoint") && !text.contains("canary"), "{text}");
        }
    }
}

#[tokio::test]
async fn an_assertion_is_read_anew_for_every_token() {
    let entra = fake()
        .assertion("app", "first.assertion")
        .assertion("app", "second.assertion")
        .lifetime(std::time::Duration::ZERO)
        .in_process();
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let authority = entra.endpoint().to_string();
    let environment = environment(&[
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_FEDERATED_TOKEN_FILE", &path),
        ("AZURE_AUTHORITY_HOST", &authority),
    ]);
    let options = SourceOptions::new().transport(entra.transport()).environment(environment);
    let source = WorkloadIdentityCredential::from_env(&options).unwrap();
    for (content, expected) in [
        ("first.assertion\n", Ok("the-token")),
        ("second.assertion", Ok("the-token")),
        ("canary-third.assertion", Err("401 AADSTS700211: invalid_client")),
        ("", Err("holds no assertion")),
        ("two words canary", Err("holds no assertion")),
    ] {
        std::fs::write(&path, content).unwrap();
        match (token(&source).await, expected) {
            (Ok(token), Ok(expected)) => assert_eq!(token, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
                assert!(!shown(&error).contains("canary") && !is_unavailable(&error));
            }
            (got, _) => panic!("{content}: {got:?}"),
        }
    }
    std::fs::write(&path, "a".repeat(100_000)).unwrap();
    assert!(token(&source).await.unwrap_err().to_string().contains("is too large"));
    file.close().unwrap();
    let error = token(&source).await.unwrap_err();
    assert!(error.to_string().contains("cannot be opened") && !is_unavailable(&error));
    assert_eq!(entra.calls(), 3);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_regular_file_is_no_assertion() {
    let entra = fake().assertion("app", "first.assertion").in_process();
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.as_path(), folder.path(), "/dev/zero".as_ref()] {
        let source = WorkloadIdentityCredential::configured(TENANT, "app", path, &options(&entra));
        let source = source.unwrap();
        let limit = std::time::Duration::from_secs(5);
        let answer = tokio::time::timeout(limit, token(&source)).await;
        // Whoever waits for a writer is let go: else the end of the test would wait for it.
        drop(std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap());
        let error = answer.expect("it is refused at once").unwrap_err();
        assert!(error.to_string().ends_with("is not a regular file"), "{error}");
        assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Source);
    }
    // A cluster gives the file as a link to one that it replaces.
    std::fs::write(folder.path().join("data"), "first.assertion").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("data", &link).unwrap();
    let source = WorkloadIdentityCredential::configured(TENANT, "app", &link, &options(&entra));
    assert_eq!(token(&source.unwrap()).await.unwrap(), "the-token");
}

#[tokio::test]
async fn the_authority_is_reached_with_tls_and_only_if_it_is_trusted() {
    let entra = fake().serve().await.unwrap();
    let cloud = Cloud::custom(&entra.endpoint().to_string()).unwrap();
    let tls = acr_core::TlsConfig::only_roots(entra.ca_pem().as_bytes()).unwrap();
    let transport = acr_core::TransportBuilder::new().no_proxy().tls(tls).build().unwrap();
    let options = SourceOptions::new().cloud(cloud).environment(Environment::from_fn(|_| None));
    let trusting = options.clone().transport(transport);
    let make = |options| ClientSecretCredential::configured(TENANT, "app", "p&ss=word %+", options);
    assert_eq!(token(&make(&trusting).unwrap()).await.unwrap(), "the-token");

    let tls = acr_core::TlsConfig::no_roots();
    let transport = acr_core::TransportBuilder::new().no_proxy().tls(tls).build().unwrap();
    let error = token(&make(&options.transport(transport)).unwrap()).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Connect);
    assert_eq!(entra.calls(), 1);
}
