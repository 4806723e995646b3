//! Challenges and the ways to sign in.

use serde_json::json;

use super::{challenge, digest, fails, holds, made, sign_in};

const CATALOG: &str = "registry:catalog:*";

fn catalog() -> super::Made {
    made("GET /acr/v1/_catalog", 200).answers(&json!({ "repositories": ["a"] }))
}

#[tokio::test]
async fn a_refusal_and_what_follows_it_are_one_operation() {
    let [exchange, token] = sign_in(CATALOG);
    let first = challenge("GET /acr/v1/_catalog", CATALOG);
    let table = holds(3, [first, exchange, token, catalog()]).await;
    assert_eq!(table.challenges, 1);
}

#[tokio::test]
async fn operations_that_ran_side_by_side_are_told_apart() {
    let delete = "repository:a:delete";
    let read = "repository:b:metadata_read";
    let one = json!({ "registry": "r", "imageName": "b", "tag": {
        "name": "t", "digest": digest("1"), "createdTime": "2031-02-03T04:05:06Z",
        "lastUpdateTime": "2031-02-03T04:05:06Z" } });
    let [exchange, token_a] = sign_in(delete);
    let [_, token_b] = sign_in(read);
    let table = holds(
        5,
        [
            challenge("DELETE /acr/v1/a", delete),
            challenge("GET /acr/v1/b/_tags/t", read),
            exchange,
            token_b,
            token_a,
            made("GET /acr/v1/b/_tags/t", 200).answers(&one),
            made("DELETE /acr/v1/a", 202).answers(&json!({ "manifestsDeleted": [] })),
        ],
    )
    .await;
    assert_eq!(table.challenges, 2);
}

#[tokio::test]
async fn every_way_to_sign_in_is_a_call_of_the_token_client() {
    let answer = json!({ "access_token": "t" });
    let token = |form: &str| made("POST /oauth2/token", 200).sends_text(form).answers(&answer);
    let scope = "scope=repository%3Aa%3Apull";
    let refresh = json!({ "refresh_token": "r" });
    let exchange =
        |form: &str| made("POST /oauth2/exchange", 200).sends_text(form).answers(&refresh);
    holds(
        9,
        [
            token(&format!("grant_type=password&service=s&{scope}")),
            token(&format!("grant_type=password&service=s&{scope}&refresh_token=")),
            token(&format!("grant_type=password&service=s&{scope}&username=u&password=p")),
            token(&format!("service=s&refresh_token=x&{scope}+repository%3Ab%3Apush,pull&grant_type=refresh_token")),
            exchange("grant_type=access_token&service=s&access_token=e"),
            exchange("grant_type=access_token&service=s&tenant=t&access_token=e"),
            exchange("grant_type=access_token_refresh_token&service=s&access_token=e&refresh_token=r"),
            made("POST /oauth2/exchange", 401),
            made("POST /oauth2/exchange", 401)
                .sends_text("grant_type=access_token&service=s&access_token=the-entra-token")
                .fails("UNAUTHORIZED", "another wording"),
        ],
    )
    .await;
}

#[tokio::test]
async fn missing_rights_end_in_a_refusal() {
    let scope = "repository:a:delete";
    let insufficient = || {
        made("DELETE /acr/v1/a/_tags/t", 401)
            .header(
                "WWW-Authenticate",
                &format!("Bearer realm=\"https://REDACTED\",service=\"REDACTED\",scope=\"{scope}\",error=\"insufficient_scope\""),
            )
            .fails("UNAUTHORIZED", "authentication required")
    };
    let anonymous = || {
        made("POST /oauth2/token", 200)
            .sends_text("grant_type=password&service=s&scope=repository%3Aa%3Adelete")
            .answers(&json!({ "access_token": "a" }))
    };
    let first = || challenge("DELETE /acr/v1/a/_tags/t", scope);
    let table = holds(2, [first(), anonymous(), insufficient()]).await;
    assert_eq!(table.challenges, 1);
    // Nobody who could sign in.
    holds(1, [first()]).await;
}

#[tokio::test]
async fn another_scope_than_ours_or_another_token_endpoint_fails() {
    let [exchange, token] = sign_in("repository:a:pull");
    let first = challenge("GET /acr/v1/_catalog", "repository:a:pull");
    fails("the registry wants", [first, exchange, token, catalog()]).await;
    fails("unknown operation", [made("POST /oauth2/other", 200)]).await;
    fails("unknown operation", [made("GET /oauth2/token?service=s", 200)]).await;
    let answer = json!({ "access_token": "t" });
    let more = "grant_type=refresh_token&service=s&scope=a&refresh_token=r&more=1";
    fails("more", [made("POST /oauth2/token", 200).sends_text(more).answers(&answer)]).await;
}
