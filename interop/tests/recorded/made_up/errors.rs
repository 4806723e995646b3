//! Refusals of the registry.

use serde_json::json;

use super::{digest, fails, holds, made};

#[tokio::test]
async fn every_refusal_comes_out_with_its_status_code_and_message() {
    let d = digest("1");
    for (status, code) in [
        (400, "NAME_INVALID"),
        (400, "MANIFEST_INVALID"),
        (400, "DIGEST_INVALID"),
        (400, "A_CODE_OF_TOMORROW"),
        (403, "DENIED"),
        (404, "NAME_UNKNOWN"),
        (405, "REGISTRY_DISALLOWED_OPERATION"),
        (405, "UNSUPPORTED"),
        (409, "CONFLICT"),
        (416, "BLOB_UPLOAD_RANGE_INVALID"),
        (418, "TEAPOT"),
        (429, "TOOMANYREQUESTS"),
        (500, "UNKNOWN"),
        (503, "UNAVAILABLE"),
    ] {
        let calls = [
            "GET /acr/v1/_catalog?n=2",
            "GET /acr/v1/a/b",
            "GET /acr/v1/a/b/_tags?orderby=timeasc",
            "GET /acr/v1/a/b/_tags/t",
            "GET /acr/v1/a/b/_manifests",
            &format!("GET /acr/v1/a/b/_manifests/{d}"),
            "GET /v2/a/b/manifests/t",
            &format!("GET /v2/a/b/blobs/{d}"),
        ];
        let refused = calls.map(|call| made(call, status).fails(code, "a message"));
        holds(8, refused).await;
    }
}

#[tokio::test]
async fn refusals_without_a_code_come_out_as_such() {
    let d = digest("1");
    holds(
        5,
        [
            made("GET /acr/v1/a", 404).answers_text("404 page not found\n"),
            made("GET /acr/v1/a/_tags", 502).answers_text("<html>"),
            made("GET /acr/v1/a/_tags/t", 503),
            made(&format!("HEAD /v2/a/blobs/{d}"), 404).answers_text("gone"),
            made("GET /acr/v1/_catalog", 400).answers(&json!({ "errors": [] })),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_the_one_on_record_fails() {
    // Two errors of which the second is lost would show; that both are kept is checked.
    let two = json!({ "errors": [
        { "code": "A", "message": "first" }, { "code": "B", "message": "second" }] });
    holds(1, [made("GET /acr/v1/a", 400).answers(&two)]).await;
    // Success with a status that no operation of ours takes for one.
    fails("failed", [made("GET /acr/v1/a", 204)]).await;
}
