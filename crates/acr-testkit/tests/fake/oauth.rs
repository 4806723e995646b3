//! Challenges and tokens.

use std::time::Duration;

use acr_testkit::{Anonymous, FakeRegistry, Kind};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::{ALL, Client, HOST, claims};

const TAGS: &str = "/v2/ocitest/alltests/tags/list";

#[tokio::test]
async fn the_challenge_is_exact() {
    let registry = FakeRegistry::new();
    let got = Client::bare(&registry).get(TAGS).await;
    assert_eq!(got.status, 401);
    assert_eq!(
        got.header("www-authenticate"),
        format!(
            "Bearer realm=\"https://{HOST}/oauth2/token\",service=\"{HOST}\",scope=\"repository:ocitest/alltests:metadata_read\""
        )
    );
    assert_eq!(got.header("content-length"), "219");
    assert_eq!(
        got.text(),
        "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required, visit https://aka.ms/acr/authorization for more information.\",\"detail\":[{\"Type\":\"repository\",\"Name\":\"ocitest/alltests\",\"Action\":\"metadata_read\"}]}]}\n"
    );
    assert_eq!(got.headers.get_all("strict-transport-security").iter().count(), 2);
    assert_eq!(got.headers.get_all("access-control-expose-headers").iter().count(), 4);
    assert!(!got.headers.contains_key("x-ms-request-id"));
    assert_eq!(got.header("x-ms-correlation-request-id").len(), 36);
    assert_eq!(registry.journal().count(Kind::Challenge), 1);
}

#[tokio::test]
async fn the_ping_has_a_challenge_without_scope() {
    let registry = FakeRegistry::new();
    let got = Client::bare(&registry).get("/v2/").await;
    let expected = format!("Bearer realm=\"https://{HOST}/oauth2/token\",service=\"{HOST}\"");
    assert_eq!(got.header("www-authenticate"), expected);
    assert!(got.json()["errors"][0]["detail"].is_null());
    assert!(got.text().contains("\"detail\":null"));
    let client = Client::with_scope(&registry, "repository:a:pull").await;
    assert_eq!(client.get("/v2/").await.text(), "{}");
}

#[tokio::test]
async fn actions_come_in_both_orders_and_the_detail_in_one() {
    let client = Client::bare(&FakeRegistry::builder().seed(7).build());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let got = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        seen.insert(got.header("www-authenticate").split("scope=").nth(1).unwrap().to_owned());
        assert_eq!(got.json()["errors"][0]["detail"][0]["Action"], "pull");
    }
    let seen: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(seen, ["\"repository:a:pull,push\"", "\"repository:a:push,pull\""]);
}

#[tokio::test]
async fn each_operation_names_its_scope() {
    let client = Client::bare(&FakeRegistry::new());
    let d = format!("sha256:{}", "a".repeat(64));
    for (method, path, scope) in [
        ("GET", "/acr/v1/_catalog".to_owned(), "registry:catalog:*"),
        ("GET", "/v2/_catalog".to_owned(), "registry:catalog:*"),
        ("GET", "/acr/v1/a%2Fb".to_owned(), "repository:a/b:metadata_read"),
        ("PATCH", "/acr/v1/a".to_owned(), "repository:a:metadata_write"),
        ("DELETE", "/acr/v1/a".to_owned(), "repository:a:delete"),
        ("DELETE", "/acr/v1/a/_tags/t".to_owned(), "repository:a:delete"),
        ("DELETE", format!("/v2/a/blobs/{d}"), "repository:a:delete"),
        ("DELETE", "/v2/a/blobs/uploads/u".to_owned(), "repository:a:delete"),
        ("GET", "/v2/a/blobs/uploads/u".to_owned(), "repository:a:pull"),
        ("GET", format!("/v2/a/referrers/{d}"), "repository:a:pull"),
        ("HEAD", format!("/v2/a/blobs/{d}"), "repository:a:pull"),
    ] {
        let got = client.send(method, &path, &[], "").await;
        assert_eq!(got.status, 401, "{path}");
        let challenge = got.header("www-authenticate");
        assert!(challenge.ends_with(&format!("scope=\"{scope}\"")), "{path}: {challenge}");
    }
    let got = client.send("POST", &format!("/v2/t/blobs/uploads/?mount={d}&from=s"), &[], "").await;
    assert!(got.header("www-authenticate").ends_with(" repository:s:pull\""));
}

#[tokio::test]
async fn tokens_are_exchanged_and_carry_what_was_granted() {
    let registry = FakeRegistry::new();
    let client = Client::bare(&registry);
    let refresh = client.refresh_token().await;
    let refresh_claims = claims(&refresh);
    let lifetime =
        refresh_claims["exp"].as_i64().unwrap() - refresh_claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 11_700);
    assert_eq!(refresh_claims["aud"], HOST);
    let access = client.access_token("repository:a:pull,push repository:b:fly").await;
    assert_eq!(
        claims(&access)["access"],
        serde_json::json!([{"type": "repository", "name": "a", "actions": ["pull", "push"]}])
    );
    for secret in [&refresh, &access, &registry.entra_token()] {
        assert!(secret.contains("canary") && secret.split('.').count() == 3);
    }
    assert_eq!(registry.journal().count(Kind::Exchange), 2);
    assert_eq!(registry.journal().count(Kind::Token), 1);
}

#[tokio::test]
async fn token_answers_tell_no_lifetime_and_no_length() {
    let registry = FakeRegistry::new();
    let client = Client::bare(&registry);
    let form = format!("grant_type=password&refresh_token=&scope=repository:a:pull&service={HOST}");
    let got = client.form("/oauth2/token", form).await;
    assert_eq!(got.status, 200);
    assert_eq!(got.json().as_object().unwrap().len(), 1);
    assert!(!got.headers.contains_key("content-length"));
    assert_eq!(got.header("x-ms-ratelimit-remaining-calls-per-second"), "333.283333");
    assert_eq!(got.headers.get_all("strict-transport-security").iter().count(), 1);
    assert!(got.text().ends_with("}\n"));
    let access = claims(got.json()["access_token"].as_str().unwrap())["access"].clone();
    assert_eq!(access, serde_json::json!([]), "anonymous access is off, the token is empty");
}

/// As recorded of Go (2024-01) and Python (2022-07): nobody in particular lists repositories and changes none.
#[tokio::test]
async fn anonymous_pull_lists_repositories() {
    for (anonymous, status) in [(Anonymous::Pull, 200), (Anonymous::None, 401)] {
        let registry = FakeRegistry::builder().anonymous(anonymous).build();
        Client::full(&registry).await.push_image("alpine", "v1", "layer").await;
        let bare = Client::bare(&registry);
        let scope = "registry:catalog:*&scope=repository:alpine:metadata_read,metadata_write";
        let form = format!("grant_type=password&refresh_token=&scope={scope}&service={HOST}");
        let got = bare.form("/oauth2/token", form).await;
        let token = got.json()["access_token"].as_str().unwrap().to_owned();
        let nobody = bare.authorized(&format!("Bearer {token}"));
        let got = nobody.get("/acr/v1/_catalog").await;
        assert_eq!(got.status, status, "{got:?}");
        if status == 200 {
            assert_eq!(got.json(), serde_json::json!({"repositories": ["alpine"]}));
        }
        assert_eq!(nobody.get("/acr/v1/alpine").await.status, status);
        let got = nobody.send("PATCH", "/acr/v1/alpine", &[], r#"{"deleteEnabled":false}"#).await;
        assert_eq!(got.status, 401, "{got:?}");
    }
}

#[tokio::test]
async fn bad_credentials_have_the_recorded_forms() {
    let client = Client::bare(&FakeRegistry::new());
    let garbage = format!("grant_type=access_token&service={HOST}&access_token=x");
    let got = client.form("/oauth2/exchange", garbage).await;
    assert_eq!((got.status, got.header("content-length")), (401, "0"));
    assert!(!got.headers.contains_key("content-type"));
    assert!(!got.headers.contains_key("www-authenticate"));
    let arm = "e30.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQuYXp1cmUuY29tIn0.x";
    let form = format!("grant_type=access_token&service={HOST}&access_token={arm}");
    let got = client.form("/oauth2/exchange", form).await;
    assert_eq!((got.status, got.header("content-type")), (401, "application/json"));
    assert!(got.text().contains("token validation failed"));
    for form in [
        format!("grant_type=access_token&access_token={}", client.registry.entra_token()),
        format!(
            "grant_type=access_token&service=evil&access_token={}",
            client.registry.entra_token()
        ),
        format!("grant_type=magic&service={HOST}"),
    ] {
        assert_eq!(client.form("/oauth2/exchange", form).await.status, 400);
    }
    let form = format!("grant_type=refresh_token&service={HOST}&refresh_token=x&scope={ALL}");
    assert_eq!(client.form("/oauth2/token", form).await.status, 401);
    assert_eq!(client.get("/oauth2/exchange").await.text(), "404 page not found\n");
}

#[tokio::test(start_paused = true)]
async fn tokens_expire() {
    let registry = FakeRegistry::builder().access_token_lifetime(Duration::from_secs(60)).build();
    let client = Client::full(&registry).await;
    assert_eq!(client.get("/acr/v1/_catalog").await.status, 200);
    tokio::time::advance(Duration::from_secs(61)).await;
    let got = client.get("/acr/v1/_catalog").await;
    assert_eq!(got.status, 401);
    assert!(got.header("www-authenticate").ends_with(",error=\"invalid_token\""));
}

#[tokio::test]
async fn narrow_tokens_are_insufficient() {
    let registry = FakeRegistry::new();
    let client = Client::with_scope(&registry, "repository:a:pull").await;
    let got = client.send("PATCH", "/acr/v1/a", &[], "{}").await;
    assert_eq!(got.status, 401);
    assert!(
        got.header("www-authenticate")
            .ends_with("scope=\"repository:a:metadata_write\",error=\"insufficient_scope\"")
    );
    assert_eq!(Client::bare(&registry).authorized("Bearer junk").get("/v2/").await.status, 401);
}

#[tokio::test]
async fn docker_asks_with_get() {
    let registry =
        FakeRegistry::builder().user("ann", "se:cret").anonymous(Anonymous::Pull).build();
    let bare = Client::bare(&registry);
    let path = format!("/oauth2/token?service={HOST}&scope=repository:a:pull,push");
    let granted = |got: crate::support::Got| {
        assert_eq!(got.status, 200, "{got:?}");
        claims(got.json()["access_token"].as_str().unwrap())["access"][0]["actions"].clone()
    };
    assert_eq!(granted(bare.get(&path).await), serde_json::json!(["pull"]));
    let ann = bare.authorized(&format!("Basic {}", STANDARD.encode("ann:se:cret")));
    assert_eq!(granted(ann.get(&path).await), serde_json::json!(["pull", "push"]));
    assert_eq!(ann.get("/acr/v1/_catalog").await.status, 200);
    let refresh = bare.refresh_token().await;
    let zero = format!("00000000-0000-0000-0000-000000000000:{refresh}");
    let zero = bare.authorized(&format!("Basic {}", STANDARD.encode(zero)));
    assert_eq!(granted(zero.get(&path).await), serde_json::json!(["pull", "push"]));
    let wrong = bare.authorized(&format!("Basic {}", STANDARD.encode("ann:wrong")));
    for path in [path.as_str(), "/acr/v1/_catalog"] {
        let got = wrong.get(path).await;
        assert_eq!(got.status, 401);
        let challenge = got.header("www-authenticate");
        assert_eq!(challenge, "Basic realm=\"Azure Container Registry\"");
    }
}

#[tokio::test]
async fn malformed_paths_are_refused_before_any_question_of_rights() {
    let registry = FakeRegistry::new();
    let client = Client::bare(&registry);
    for path in ["/acr/v1/missingRepo", "/v2/a/manifests/sha256:totallywrong", "/v2/a/blobs/x"] {
        let got = client.get(path).await;
        assert_eq!((got.status, got.text()), (404, "404 page not found\n"), "{path}");
        assert_eq!(got.header("content-length"), "19");
        assert_eq!(got.header("content-type"), "text/plain; charset=utf-8");
        assert!(got.headers.contains_key("x-ms-correlation-request-id"));
        assert!(!got.headers.contains_key("access-control-expose-headers"));
    }
    let got = client.get("/wrong%20location").await;
    assert_eq!((got.status, got.text()), (404, "Not found"));
    assert!(!got.headers.contains_key("x-ms-correlation-request-id"));
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
    assert_eq!(registry.journal().count_of(None), 4);
}
