//! What a document is: what it says, else its fields, else what the registry says.

use acr_core::ErrorKind;
use acr_registry::{Document, Manifest, MediaType};

use crate::support::{scripted, tag};

const IMAGE: &str = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
const INDEX: &str = r#"{"schemaVersion":2,"manifests":[]}"#;

async fn got(kept_as: &str, document: &str) -> Manifest {
    let (all, _) = scripted(200, &[("content-type", kept_as)], document);
    all.repository("a").unwrap().get_manifest(tag("v1")).await.unwrap()
}

fn saying(media_type: &MediaType, document: &str) -> String {
    document.replacen('{', &format!("{{\"mediaType\":\"{media_type}\","), 1)
}

#[tokio::test(start_paused = true)]
async fn f2_the_document_says_what_it_is_then_its_fields_then_the_registry() {
    for (kept_as, document, is_index) in [
        ("application/json", saying(&MediaType::OCI_INDEX, INDEX), true),
        ("text/plain", saying(&MediaType::DOCKER_MANIFEST, IMAGE), false),
        ("application/octet-stream", INDEX.to_owned(), true),
        ("application/json; charset=utf-8", IMAGE.to_owned(), false),
        ("application/json", INDEX.replacen('{', "{\"mediaType\":\"\",", 1), true),
        ("Application/vnd.oci.image.INDEX.v1+json", INDEX.to_owned(), true),
        (MediaType::OCI_INDEX.as_str(), "{}".to_owned(), true),
        (MediaType::OCI_MANIFEST.as_str(), "{}".to_owned(), false),
    ] {
        let read = got(kept_as, &document).await.document().unwrap();
        assert_eq!(matches!(read, Document::Index(_)), is_index, "{kept_as}: {document}");
    }
}

#[tokio::test(start_paused = true)]
async fn f2_a_refusal_names_the_type() {
    for (kept_as, document, named) in [
        ("application/json", "{}", "application/json"),
        (MediaType::DOCKER_SCHEMA1.as_str(), r#"{"fsLayers":[]}"#, "manifest.v1+json"),
        ("application/json", r#"{"fsLayers":[]}"#, "schema 1"),
        ("text/x", r#"{"mediaType":"application/vnd.own+json"}"#, "application/vnd.own+json"),
    ] {
        let error = got(kept_as, document).await.document().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(named), "{document}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn f2_what_is_put_without_a_type_is_sent_as_what_its_fields_say() {
    for (document, sent) in [
        (INDEX, MediaType::OCI_INDEX),
        (IMAGE, MediaType::OCI_MANIFEST),
        (r#"{"schemaVersion":2,"mediaType":"","manifests":[]}"#, MediaType::OCI_INDEX),
        (r#"{"blobs":[]}"#, MediaType::OCI_ARTIFACT),
        (r#"{"fsLayers":[]}"#, MediaType::DOCKER_SCHEMA1),
        (r#"{"fsLayers":[],"signatures":[]}"#, MediaType::DOCKER_SCHEMA1_SIGNED),
        ("{}", MediaType::OCI_MANIFEST),
    ] {
        let (all, asked) = scripted(201, &[], "");
        all.repository("a").unwrap().put_manifest(document).await.unwrap();
        assert_eq!(asked.lock().unwrap()[0].1["content-type"], sent.as_str(), "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn f4_what_is_no_json_is_named_with_its_place() {
    for (document, words) in [
        ("\u{FEFF}{\"layers\":[]}", "byte order mark (line 1, column 1)"),
        ("{\n  // what\n  \"layers\": []}", "comment (line 2, column 3)"),
        ("{\"layers\":[]", "ends too early (line 1, column 12)"),
        ("\u{1F}\u{8B}\u{8}", "not JSON (line 1, column 1)"),
        ("[]", "another shape than asked for"),
    ] {
        let manifest = got(MediaType::OCI_MANIFEST.as_str(), document).await;
        assert_eq!(manifest.content, document, "the bytes come back all the same");
        let error = manifest.document().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains(manifest.digest.as_str()), "{error}");
    }
}
