//! Lists, properties and deletions.

use serde_json::{Value, json};

use super::{Made, attributes, challenge, digest, fails, holds, made, sign_in};

fn tag(name: &str, of: &str) -> Value {
    json!({ "name": name, "digest": digest(of), "createdTime": "2031-02-03T04:05:06.1234567Z",
        "lastUpdateTime": "2031-02-03T04:05:06.12345Z", "signed": true, "quarantineState": "Odd",
        "changeableAttributes": attributes(), "later": { "a": 1 } })
}

fn manifest(of: &str) -> Value {
    json!({ "digest": digest(of), "imageSize": 9_000_000_000_u64, "architecture": "quantum",
        "os": "unknown", "mediaType": "application/x+json", "configMediaType": "text/plain",
        "createdTime": "2031-02-03T04:05:06Z", "lastUpdateTime": "2031-02-03T04:05:06.12Z",
        "changeableAttributes": attributes(), "tags": ["a", "B_1"], "later": [2],
        "references": [{ "digest": digest("x"), "architecture": "amd64", "os": "plan10", "v": 8 }] })
}

fn page(request: &str, next: Option<&str>, tags: &Value) -> Made {
    let body = json!({ "registry": "other.azurecr.io", "imageName": "a/b", "tags": tags });
    let page = made(request, 200).answers(&body);
    match next {
        Some(query) => page.header("Link", &format!("</acr/v1/a/b/_tags?{query}>; rel=\"next\"")),
        None => page,
    }
}

#[tokio::test]
async fn lists_of_any_size_and_order_are_one_operation_with_all_their_pages() {
    let second = "last=1%262&n=7&orderby=timedesc";
    let table = holds(
        3 + 2 + 2,
        [
            page(
                "GET /acr/v1/a%2Fb/_tags?n=7&orderby=timedesc",
                Some(second),
                &json!([tag("a", "1")]),
            ),
            page(
                &format!("GET /acr/v1/a%2Fb/_tags?{second}"),
                Some("last=2&n=7&orderby=timedesc"),
                &Value::Null,
            ),
            page(
                "GET /acr/v1/a/b/_tags?last=2&n=7&orderby=timedesc",
                None,
                &json!([tag("b", "1")]),
            ),
            made("GET /acr/v1/_catalog?n=3&api-version=2019-08-15-preview", 200)
                .header("Link", "</acr/v1/_catalog?last=x&n=3&orderby=>; rel=\"next\"")
                .answers(&json!({ "repositories": ["w", "x"] })),
            made("GET /acr/v1/_catalog?last=x&n=3&orderby=", 200)
                .answers(&json!({ "repositories": null })),
            made("GET /acr/v1/a/b/_manifests?orderby=timeasc", 200)
                .answers(&json!({ "manifests": [manifest("1")] })),
            // Its beginning was not recorded.
            page("GET /acr/v1/a/b/_tags?last=q&n=1", None, &json!([tag("r", "1")])),
        ],
    )
    .await;
    assert_eq!(table.by_operation["GET /acr/v1/{name}/_tags"], 4);
}

#[tokio::test]
async fn a_filter_is_put_back_whether_the_recorded_client_did_so_or_not() {
    let of = digest("1").replace(':', "%3A");
    let first = format!("GET /acr/v1/a/b/_tags?digest={of}&n=1");
    let link = "last=a&n=1&orderby=";
    holds(
        4,
        [
            page(&first, Some(link), &json!([tag("a", "1")])),
            page(
                &format!("GET /acr/v1/a/b/_tags?{link}&digest={of}"),
                None,
                &json!([tag("c", "1")]),
            ),
            page(&first, Some(link), &json!([tag("a", "1")])),
            // The tags of another manifest, since the filter is gone: another list.
            page(&format!("GET /acr/v1/a/b/_tags?{link}"), None, &json!([tag("b", "2")])),
        ],
    )
    .await;
}

#[tokio::test]
async fn properties_are_read_and_changed_with_all_their_fields() {
    let changes = json!({ "deleteEnabled": false, "listEnabled": true });
    let quarantine = json!({ "quarantineState": "Passed", "quarantineDetails": "{\"a\":1}" });
    let d = digest("1");
    let repository = json!({ "registry": "other.azurecr.io", "imageName": "a", "tagCount": 3,
        "manifestCount": 4, "createdTime": "2031-02-03T04:05:06Z", "extra": {},
        "lastUpdateTime": "2031-02-03T04:05:05Z", "changeableAttributes": attributes() });
    let one_tag =
        json!({ "registry": "other.azurecr.io", "imageName": "a", "tag": tag("v_1", "1") });
    let one_manifest =
        json!({ "registry": "other.azurecr.io", "imageName": "a", "manifest": manifest("1") });
    holds(
        7,
        [
            made("GET /acr/v1/a", 200).answers(&repository),
            made("PATCH /acr/v1/a", 200).sends(&changes).answers(&repository),
            made("GET /acr/v1/a/_tags/v_1", 200).answers(&one_tag),
            made("PATCH /acr/v1/a/_tags/v_1", 200).sends(&changes).answers(&one_tag),
            made(&format!("GET /acr/v1/a/_manifests/{d}?api-version=2031-01-01"), 200)
                .answers(&one_manifest),
            made(&format!("PATCH /acr/v1/a/_manifests/{d}"), 200)
                .sends(&quarantine)
                .answers(&one_manifest),
            made("PATCH /acr/v1/a", 200).answers(&repository),
        ],
    )
    .await;
}

#[tokio::test]
async fn deletions_end_as_recorded() {
    let d = digest("1");
    let table = holds(
        8,
        [
            made("DELETE /acr/v1/a", 202)
                .answers(&json!({ "manifestsDeleted": [d], "tagsDeleted": ["x"] })),
            made("DELETE /acr/v1/a", 202)
                .answers(&json!({ "manifestsDeleted": null, "tagsDeleted": null })),
            made("DELETE /acr/v1/a", 404).fails("NAME_UNKNOWN", "no"),
            made("DELETE /acr/v1/a/_tags/t", 202).header("X-Ms-Int-Docker-Content-Digest", &d),
            made("DELETE /acr/v1/a/_tags/t", 404).fails("TAG_UNKNOWN", "no"),
            made(&format!("DELETE /v2/a/manifests/{d}"), 202),
            // Without a code: absent, as the official packages take it.
            made(&format!("DELETE /v2/a/manifests/{d}"), 404).answers_text("404 page not found\n"),
            made(&format!("DELETE /v2/a/manifests/{d}"), 405)
                .fails("REGISTRY_DISALLOWED_OPERATION", "locked"),
            made("DELETE /v2/a/manifests/latest", 405).fails("UNSUPPORTED", "by digest"),
        ],
    )
    .await;
    assert_eq!(table.refused, 1);
}

#[tokio::test]
async fn manifests_are_got_and_put_under_any_media_type() {
    let content = r#"{"schemaVersion":2,"config":{"mediaType":"m","digest":"sha256:x","sizeInBytes":2},"layers":[{"later":1}],"annotations":{"b":"1","a":"2"},"new":[]}"#;
    let d = digest(content);
    let image = "application/vnd.oci.image.manifest.v1+json";
    let table = holds(
        8,
        [
            made("PUT /v2/a/manifests/v1", 201)
                .sends_text(content)
                .request_header("Content-Type", image)
                .header("Docker-Content-Digest", &d),
            made(&format!("PUT /v2/a/manifests/{d}"), 201)
                .sends_text(content)
                .request_header("Content-Type", "application/x+json")
                .header("Docker-Content-Digest", &d),
            made("GET /v2/a/manifests/v1", 200)
                .request_header("Accept", &format!("{image}, text/x"))
                .header("Content-Type", image)
                .header("Docker-Content-Digest", &d)
                .answers_text(content)
                .note("response body matches Docker-Content-Digest"),
            made(&format!("GET /v2/a/manifests/{d}"), 200)
                .header("Content-Type", "application/x+json; charset=utf-8")
                .answers_text(content),
            made("HEAD /v2/a/manifests/v1", 200).header("Docker-Content-Digest", &d),
            made("HEAD /v2/a/manifests/v2", 404),
            made("GET /v2/a/manifests/v1", 404).fails("MANIFEST_UNKNOWN", "narrow accept"),
            // Laid out anew: compared under the digest that it has now.
            made("GET /v2/a/manifests/v1", 200)
                .header("Content-Type", image)
                .header("Docker-Content-Digest", &digest("as it was"))
                .answers_text(content),
        ],
    )
    .await;
    assert_eq!(table.unverifiable.len(), 1, "{table:?}");
}

#[tokio::test]
async fn referrers_are_listed_with_their_filter() {
    let d = digest("subject");
    let index = |n: &str| {
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{ "mediaType": "m", "digest": digest(n), "size": 1, "artifactType": "t",
                "annotations": { "k": "v" }, "later": true }] })
    };
    holds(
        2,
        [
            made(&format!("GET /v2/a/referrers/{d}?artifactType=t&n=1"), 200)
                .answers(&index("1"))
                .header("Link", &format!("</v2/a/referrers/{d}?last=z&n=1>; rel=\"next\"")),
            made(&format!("GET /v2/a/referrers/{d}?last=z&n=1&artifactType=t"), 200)
                .answers(&index("2")),
        ],
    )
    .await;
}

#[tokio::test]
async fn words_of_sanitising_are_rewritten_the_same_for_the_same_word() {
    let one = |name: &str, word: &str| {
        json!({ "registry": "REDACTED", "imageName": name, "manifest": {
            "digest": word, "createdTime": "2031-02-03T04:05:06Z",
            "lastUpdateTime": "2031-02-03T04:05:06Z" } })
    };
    let [exchange, token] = sign_in("repository:Sanitized:metadata_read");
    let table = holds(
        7,
        [
            challenge("GET /acr/v1/Sanitized/_manifests/Sanitized", "fake_scope"),
            exchange,
            token,
            made("GET /acr/v1/Sanitized/_manifests/Sanitized", 200)
                .answers(&one("Sanitized", "Sanitized")),
            made("GET /acr/v1/a/_manifests/sha256_encoded_stream", 200)
                .answers(&one("a", "sha256_encoded_stream")),
            made("GET /acr/v1/a/_manifests/sha256%3A00", 200).answers(&one("a", "sha256:00")),
            made("HEAD /v2/a/blobs/sha256:0000", 200)
                .at("Third.azurecr.io")
                .header("Content-Length", "12"),
            made("GET /acr/v1/a/_manifests/sha256:0001", 404).fails("MANIFEST_UNKNOWN", "no"),
            made("DELETE /acr/v1/Upper", 404).answers_text("404 page not found\n"),
            made("GET /v2/", 200).answers_text("{}"),
        ],
    )
    .await;
    assert_eq!((table.refused, table.challenges), (2, 1), "{table:?}");
    for what in ["digests", "names", "scopes", "hosts, realms and services"] {
        assert!(table.rewritten[what] > 0, "{what}: {table:?}");
    }
}

#[tokio::test]
async fn what_we_lose_shows() {
    let lost = json!({ "registry": "other.azurecr.io", "imageName": "a", "tag": tag("v", "1") });
    let mut other = lost.clone();
    other["tag"]["digest"] = json!("not a digest");
    fails("failed", [made("GET /acr/v1/a/_tags/v", 200).answers(&other)]).await;
    let page = json!({ "repositories": ["a"], "beside": 1 });
    fails("beside", [made("GET /acr/v1/_catalog", 200).answers(&page)]).await;
    let link = "<https://evil.example/acr/v1/_catalog?last=a>; rel=\"next\"";
    let page = json!({ "repositories": ["a"] });
    fails("failed", [made("GET /acr/v1/_catalog", 200).header("Link", link).answers(&page)]).await;
    let page = json!({ "repositories": ["a", "a"] });
    fails("failed", [made("GET /acr/v1/_catalog", 200).answers(&page)]).await;
}
