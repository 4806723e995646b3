//! What must fail, whatever else holds.

use serde_json::json;

use super::{digest, fails, made, replayed};

#[tokio::test]
async fn an_operation_that_nobody_knows_fails() {
    for request in [
        "GET /v2/_catalog",
        "GET /v2/a/tags/list",
        "GET /acr/v1/_other/a",
        "GET /acr/v1/a/_later",
        "GET /acr/v2/a",
        "POST /acr/v1/a",
        "PUT /acr/v1/a/_tags/t",
        "PATCH /acr/v1/_catalog",
        "POST /v2/a/manifests/t",
        "GET /elsewhere",
    ] {
        fails("unknown operation", [made(request, 200).answers(&json!({}))]).await;
    }
}

#[tokio::test]
async fn only_a_front_ends_answer_beside_all_routes_is_none_of_ours() {
    let outside = || made("GET /wrong%20place", 404).answers_text("Not found");
    let table = replayed([outside().field("response_headers", json!([]))]).await;
    assert_eq!((table.failed.len(), table.not_ours.values().sum::<usize>()), (0, 1));
    fails("unknown operation", [outside()]).await;
}

#[tokio::test]
async fn a_request_that_ours_does_not_send_fails() {
    let catalog = json!({ "repositories": ["a"] });
    let get = |query: &str| made(&format!("GET /acr/v1/_catalog?{query}"), 200).answers(&catalog);
    fails("query", [get("n=2&filter=x")]).await;
    fails("query", [get("orderby=timeasc")]).await;
    let repository =
        json!({ "createdTime": "2031-02-03T04:05:06Z", "lastUpdateTime": "2031-02-03T04:05:06Z" });
    let patch = || made("PATCH /acr/v1/a", 200).answers(&repository);
    fails("body", [patch().sends(&json!({ "deleteEnabled": true, "later": 1 }))]).await;
    let text = patch().sends_text("{}").request_header("Content-Type", "text/plain");
    fails("content-type", [text]).await;
}

#[tokio::test]
async fn a_body_that_was_changed_after_it_was_vouched_for_fails() {
    let content = r#"{"schemaVersion":2,"manifests":[]}"#;
    let get = made("GET /v2/a/manifests/v1", 200)
        .header("Content-Type", "application/vnd.oci.image.index.v1+json")
        .header("Docker-Content-Digest", &digest(content))
        .note("response body matches Docker-Content-Digest");
    fails("vouches", [get.answers_text(&content.replace('2', "3"))]).await;
}

#[tokio::test]
async fn an_argument_that_the_registry_took_must_not_be_refused_by_ours() {
    let one = json!({ "tag": { "name": "t", "digest": digest("1"),
        "createdTime": "2031-02-03T04:05:06Z", "lastUpdateTime": "2031-02-03T04:05:06Z" } });
    fails("refused", [made("GET /acr/v1/a/_tags/.t", 200).answers(&one)]).await;
}

#[tokio::test]
async fn a_file_that_is_none_fails() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    let table = crate::replay::folder(folder.path()).await;
    assert_eq!((table.failed.len(), table.is_complete()), (1, true));
}
