//! Users of limited rights, permissions by attributes, tokens of a certain shape.

use std::time::Duration;

use acr_testkit::{FakeRegistry, JwtShape, Kind, ScopeMap};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use crate::support::{Client, HOST, claims};

const MAP: &str = "repositories/team/*/content/read repositories/team/*/metadata/read \
                   repositories/team/x/content/write";

fn registry() -> FakeRegistry {
    let map: ScopeMap = MAP.parse().unwrap();
    FakeRegistry::builder().scoped_user("bob", "secret", map).user("ann", "all").build()
}

async fn token(registry: &FakeRegistry, scope: &str) -> String {
    let form = format!(
        "grant_type=password&service={HOST}&username=bob&password=secret&scope={}",
        scope.replace(' ', "+")
    );
    let got = Client::bare(registry).form("/oauth2/token", form).await;
    got.json()["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_says_exactly_what_was_granted() {
    let registry = registry();
    let scope = "repository:team/x:pull,push,delete repository:team/y:pull,push repository:z:pull registry:catalog:*";
    assert_eq!(
        claims(&token(&registry, scope).await)["access"],
        json!([
            {"type": "repository", "name": "team/x", "actions": ["pull", "push"]},
            {"type": "repository", "name": "team/y", "actions": ["pull"]},
        ])
    );
    assert_eq!(claims(&token(&registry, "repository:*:*").await)["access"], json!([]));
    let calls = registry.journal().token_calls();
    assert_eq!((calls["repository:z:pull"], calls["repository:*:*"]), (1, 1));
}

#[tokio::test]
async fn limited_users_reach_what_they_may_and_are_challenged_elsewhere() {
    let registry = registry();
    Client::full(&registry).await.push_image("team/y", "v1", "layer").await;
    let token = token(&registry, "repository:team/y:pull,push,metadata_read").await;
    let bob = Client::bare(&registry).authorized(&format!("Bearer {token}"));
    assert_eq!(bob.get("/acr/v1/team/y/_tags").await.status, 200);
    let got = bob.send("POST", "/v2/team/y/blobs/uploads/", &[], "").await;
    assert_eq!(got.status, 401);
    assert!(got.header("www-authenticate").ends_with("error=\"insufficient_scope\""));
    let basic = format!("Basic {}", STANDARD.encode("bob:secret"));
    let got = Client::bare(&registry).authorized(&basic).get("/acr/v1/team/y").await;
    assert_eq!(got.status, 401);
    assert!(got.header("www-authenticate").starts_with("Bearer "), "a token must be asked for");
    let path = format!("/oauth2/token?service={HOST}&scope=repository:team/y:pull");
    assert_eq!(Client::bare(&registry).authorized(&basic).get(&path).await.status, 200);
}

#[tokio::test]
async fn abac_passes_over_wildcards_and_names_the_identity() {
    let map: ScopeMap = MAP.parse().unwrap();
    let registry =
        FakeRegistry::builder().abac().scoped_entra_token("entra", map.catalog()).build();
    let client = Client::bare(&registry);
    let refresh = claims(&client.refresh_token().await);
    assert!(refresh["aad_identity"].is_string());
    assert_eq!(refresh["permissions"]["Actions"], json!(["read", "write"]));
    for (scope, access) in [
        ("repository:*:*", json!([])),
        ("repository:team/x:*", json!([])),
        (
            "registry:catalog:* repository:team/x:metadata_read,pull",
            json!([
                {"type": "registry", "name": "catalog", "actions": ["*"]},
                {"type": "repository", "name": "team/x", "actions": ["metadata_read", "pull"]},
            ]),
        ),
    ] {
        assert_eq!(claims(&client.access_token(scope).await)["access"], access, "{scope}");
    }
    let plain = Client::bare(&FakeRegistry::new()).refresh_token().await;
    assert!(claims(&plain).get("aad_identity").is_none());
}

#[tokio::test]
async fn revoked_refresh_tokens_are_refused() {
    let registry = FakeRegistry::new();
    let client = Client::bare(&registry);
    let refresh = |token: String| {
        let form = format!("grant_type=refresh_token&service={HOST}&refresh_token={token}");
        let client = client.clone();
        async move { client.form("/oauth2/token", form).await.status }
    };
    let old = client.refresh_token().await;
    assert_eq!(refresh(old.clone()).await, 200);
    registry.revoke_refresh_tokens();
    assert_eq!(refresh(old).await, 401);
    assert_eq!(refresh(client.refresh_token().await).await, 200);
    assert_eq!(registry.journal().count(Kind::Exchange), 2);
}

#[tokio::test]
async fn tokens_take_any_shape() {
    for remainder in [0, 2, 3] {
        let shape = JwtShape::new().remainder(remainder).dash().underscore();
        let registry = FakeRegistry::builder().jwt_shape(shape).build();
        let client = Client::bare(&registry);
        for token in [client.refresh_token().await, client.access_token("repository:a:pull").await]
        {
            let payload = token.split('.').nth(1).unwrap();
            assert_eq!(payload.len() % 4, usize::from(remainder));
            assert!(payload.contains('-') && payload.contains('_'), "{payload}");
            assert_eq!(claims(&token)["iss"], "Azure Container Registry");
        }
        let client = Client::with_scope(&registry, "repository:a:pull").await;
        assert_eq!(client.get("/v2/").await.status, 200, "the token works");
    }
}

#[tokio::test(start_paused = true)]
async fn time_can_be_set_and_run_ahead() {
    let registry = FakeRegistry::builder().clock_rate(60).build();
    let client = Client::with_scope(&registry, "repository:a:pull,push").await;
    let location = client.start("a").await;
    assert_eq!(registry.open_uploads(), 1);
    tokio::time::advance(Duration::from_secs(74)).await;
    assert_eq!(client.get("/v2/").await.status, 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(client.get("/v2/").await.status, 401, "75 minutes are over");
    let client = Client::with_scope(&registry, "repository:a:pull,push").await;
    assert_eq!(client.get(&location).await.status, 204);
    registry.clock().advance(Duration::from_secs(7 * 24 * 3600));
    assert_eq!(registry.open_uploads(), 0);
    let client = Client::with_scope(&registry, "repository:a:pull,push").await;
    let got = client.get(&location).await;
    assert_eq!((got.status, got.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"));
}
