//! Manifests whose digest is not the sha256 of their bytes.

use acr_core::{
    Action, Algorithm, Digest, Digester, ErrorKind, Pipeline, Scope,
    http::{Effect, RequestBuilder},
};
use acr_registry::{MediaType, RegistryClient, RepositoryClient};
use acr_testkit::{FakeRegistry, Profile};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Method;

use crate::support::{lines, pipeline, scripted, tag};

const SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const PAYLOAD: &str =
    "{\n   \"schemaVersion\": 1,\n   \"name\": \"a\",\n   \"fsLayers\": [],\n   \"history\": []\n}";

/// The same payload, signed at some time: other bytes each time.
fn signed_at(time: &str, rest: &str) -> String {
    let head = PAYLOAD.strip_suffix("\n}").unwrap();
    let protected = format!(
        r#"{{"formatLength":{},"formatTail":"{}","time":"{time}"}}"#,
        head.len(),
        BASE64_URL_SAFE_NO_PAD.encode("\n}")
    );
    let protected = BASE64_URL_SAFE_NO_PAD.encode(protected);
    format!(
        "{head},\n   \"signatures\": [\n      {{\"header\":{{\"alg\":\"ES256\"}},\"signature\":\"x\",\"protected\":\"{protected}\"}}\n   ]\n{rest}"
    )
}

fn sha512(content: &[u8]) -> Digest {
    let mut digester = Digester::new(Algorithm::Sha512);
    digester.update(content);
    digester.finish()
}

fn open(registry: &FakeRegistry) -> (RepositoryClient, Pipeline) {
    let pipeline = pipeline(registry);
    let repo = RegistryClient::new(pipeline.clone()).repository("library/app").unwrap();
    (repo, pipeline)
}

#[tokio::test(start_paused = true)]
async fn a10_signed_schema_1_has_the_digest_of_what_is_signed() {
    let digest = Digest::sha256(PAYLOAD.as_bytes());
    for time in ["one", "another"] {
        let document = signed_at(time, "}");
        let named = [("content-type", SIGNED), ("docker-content-digest", digest.as_str())];
        for headers in [&named[..], &named[..1]] {
            let (all, _) = scripted(200, headers, &document);
            let repo = all.repository("a").unwrap();
            for manifest in [repo.get_manifest(tag("v1")).await, repo.get_manifest(&digest).await] {
                let manifest = manifest.unwrap();
                assert_eq!(
                    (&manifest.digest, manifest.content),
                    (&digest, document.clone().into())
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a10_what_is_not_signed_proves_nothing() {
    let digest = Digest::sha256(PAYLOAD.as_bytes());
    for document in [
        // Beside its signatures it holds what nobody signed.
        signed_at("now", ",\"fsLayers\":[{\"blobSum\":\"sha256:evil\"}]}"),
        signed_at("now", "}").replacen("\"a\"", "\"b\"", 1),
        PAYLOAD.replace("\"a\"", "\"b\""),
    ] {
        for headers in [
            &[("content-type", SIGNED)][..],
            &[("content-type", SIGNED), ("docker-content-digest", digest.as_str())],
        ] {
            let (all, _) = scripted(200, headers, &document);
            let repo = all.repository("a").unwrap();
            let error = repo.get_manifest(&digest).allow_ambiguous().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Integrity, "{document}");
        }
        let headers = [("content-type", SIGNED), ("docker-content-digest", digest.as_str())];
        let (all, _) = scripted(200, &headers, &document);
        let repo = all.repository("a").unwrap();
        let error = repo.get_manifest(tag("v1")).allow_ambiguous().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Integrity, "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a10_the_emulator_keeps_signed_schema_1_and_tags_it_again() {
    let registry = FakeRegistry::builder().profile(Profile::Oci).build();
    let (repo, _) = open(&registry);
    let digest = Digest::sha256(PAYLOAD.as_bytes());
    let put = |time: &str| repo.put_manifest(signed_at(time, "}"));
    // Without a type given: its fields say what it is.
    assert_eq!(put("one").tag(tag("v1")).await.unwrap(), digest);
    assert_eq!(put("two").await.unwrap(), digest, "under its digest, too");
    let manifest = repo.get_manifest(tag("v1")).await.unwrap();
    assert_eq!((&manifest.digest, manifest.media_type.as_str()), (&digest, SIGNED));
    assert_eq!(repo.resolve(tag("v1")).await.unwrap(), digest);
    assert_eq!(repo.tag(tag("v1"), tag("v2")).await.unwrap(), digest);
    assert_eq!(repo.get_manifest(tag("v2")).await.unwrap().digest, digest);
    // Unsigned ones are hashed as they are.
    let plain = PAYLOAD.replace("\"a\"", "\"plain\"");
    let digest = repo.put_manifest(plain.clone()).tag(tag("v3")).await.unwrap();
    assert_eq!(digest, Digest::sha256(plain.as_bytes()));
    let manifest = repo.get_manifest(tag("v3")).await.unwrap();
    assert_eq!((manifest.media_type, manifest.content), (MediaType::DOCKER_SCHEMA1, plain.into()));

    let strict = FakeRegistry::new();
    let error = open(&strict).0.put_manifest(signed_at("one", "}")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[tokio::test(start_paused = true)]
async fn a10_a_tag_of_a_sha512_digest_is_verified_by_that() {
    let registry = FakeRegistry::builder().profile(Profile::Oci).build();
    let (repo, pipeline) = open(&registry);
    let content = r#"{"schemaVersion":2,"manifests":[]}"#;
    let digest = sha512(content.as_bytes());
    let path = ["v2", "library/app", "manifests", digest.as_str()];
    let request = RequestBuilder::new(Method::PUT, pipeline.endpoint(), &path)
        .query("tag", "long")
        .header(http::header::CONTENT_TYPE, MediaType::OCI_INDEX.as_str().parse().unwrap())
        .scope(Scope::repository(&"library/app".parse().unwrap(), &[Action::PULL, Action::PUSH]))
        .effect(Effect::Set)
        .body(content)
        .build()
        .unwrap();
    assert_eq!(pipeline.send(request).await.unwrap().status(), 201);
    for manifest in [repo.get_manifest(tag("long")).await, repo.get_manifest(&digest).await] {
        assert_eq!(manifest.unwrap().digest, digest);
    }
    let moved = repo.tag(tag("long"), tag("other")).await.unwrap();
    assert_eq!(repo.get_manifest(tag("other")).await.unwrap().digest, moved);
}

#[tokio::test(start_paused = true)]
async fn a10_whatever_digest_is_named_is_checked_by_its_algorithm() {
    let content = r#"{"manifests":[]}"#;
    let kept = ("content-type", MediaType::OCI_INDEX);
    let (short, long) = (Digest::sha256(content.as_bytes()), sha512(content.as_bytes()));
    let other = sha512(b"other");
    for (named, outcome) in [
        (long.as_str(), None),
        (short.as_str(), None),
        (other.as_str(), Some(ErrorKind::Integrity)),
        ("sha256:short", Some(ErrorKind::Integrity)),
        ("blake3:abcdef", Some(ErrorKind::Protocol)),
    ] {
        let headers = [(kept.0, kept.1.as_str()), ("docker-content-digest", named)];
        let (all, _) = scripted(200, &headers, content);
        let repo = all.repository("a").unwrap();
        // Also where another one was asked for: both are of the same bytes.
        for asked in [tag("v1").into(), acr_core::Reference::from(&short)] {
            let got = repo.get_manifest(asked).await;
            assert_eq!(got.as_ref().err().map(acr_core::Error::kind), outcome, "{named}");
        }
        let (all, asked) = scripted(201, &headers[1..], "");
        let put = all.repository("a").unwrap().put_manifest(content).tag(tag("v1")).await;
        assert_eq!(put.as_ref().err().map(acr_core::Error::kind), outcome, "{named}");
        assert!(put.is_err() || put.unwrap().as_str() == named);
        assert_eq!(lines(&asked).len(), 1);
    }
}
