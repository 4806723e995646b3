//! What the strategies generate is what they say, and the fake takes it.

#![cfg(feature = "proptest")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use acr_core::{
    Digest, Reference, Transport,
    http::{Body, Request},
};
use acr_testkit::{FakeRegistry, Profile, strategy};
use bytes::Bytes;
use http::{Method, StatusCode};
use proptest::prelude::*;
use strategy::ManifestDocument;
use tower::ServiceExt as _;

const BASIC: &str = "Basic b3duZXI6c2VjcmV0";

fn block_on<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

async fn send(
    transport: &Transport,
    method: Method,
    uri: String,
    content_type: &str,
    body: Bytes,
) -> (StatusCode, http::HeaderMap, Bytes) {
    let request: Request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header("authorization", BASIC)
        .header("content-type", content_type)
        .header("accept", "*/*")
        .body(Body::from(body))
        .unwrap();
    let (head, body) = transport.clone().oneshot(request).await.unwrap().into_parts();
    (head.status, head.headers, body.bytes(1 << 20).await.unwrap())
}

/// Puts a manifest and all that it names, by digest and by tag.
async fn put(transport: &Transport, base: &str, document: &ManifestDocument, tag: &str) {
    for blob in &document.blobs {
        let digest = Digest::sha256(blob);
        let (status, head, _) =
            send(transport, Method::POST, format!("{base}/blobs/uploads/"), "", Bytes::new()).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        let location = head.get("location").unwrap().to_str().unwrap().to_owned();
        let origin = base.split("/v2/").next().unwrap();
        let uri = format!("{origin}{location}&digest={digest}");
        let (status, ..) =
            send(transport, Method::PUT, uri, "application/octet-stream", blob.clone()).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    let uri = format!("{base}/manifests/{tag}");
    let (status, _, body) =
        send(transport, Method::PUT, uri, document.media_type, document.bytes.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{body:?} for {:?}", document.bytes);
    let uri = format!("{base}/manifests/{}", document.digest());
    let (status, _, body) = send(transport, Method::GET, uri, "", Bytes::new()).await;
    assert_eq!((status, body), (StatusCode::OK, document.bytes.clone()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn names_print_and_parse(
        name in strategy::repository_name(),
        tag in strategy::tag(),
        reference in strategy::reference(),
        digest in strategy::digest(),
    ) {
        prop_assert_eq!(&name.to_string().parse::<acr_core::RepositoryName>().unwrap(), &name);
        prop_assert_eq!(&tag.to_string().parse::<acr_core::Tag>().unwrap(), &tag);
        prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
        prop_assert_eq!(&digest.to_string().parse::<Digest>().unwrap(), &digest);
    }

    #[test]
    fn a_plan_of_faults_is_read_back_from_its_text(plan in strategy::fault_plan()) {
        prop_assert!(!plan.faults().is_empty());
        let again: acr_testkit::FaultPlan = plan.to_string().parse().unwrap();
        prop_assert_eq!(again.to_string(), plan.to_string());
    }

    #[test]
    fn ranges_print_and_parse(
        asked in strategy::byte_range(),
        told in strategy::content_range(),
    ) {
        prop_assert_eq!(asked.to_string().parse::<acr_core::ByteRange>().unwrap(), asked);
        prop_assert_eq!(told.to_string().parse::<acr_core::value::ContentRange>().unwrap(), told);
    }

    #[test]
    fn pieces_are_the_content((content, pieces) in strategy::pieces(300)) {
        prop_assert_eq!(pieces.concat(), content);
    }

    #[test]
    fn cuts_are_inside_in_order_and_once(
        (len, cuts) in (0..50_usize).prop_flat_map(|len| (Just(len), strategy::split(len))),
    ) {
        prop_assert!(cuts.iter().all(|cut| 0 < *cut && *cut < len));
        prop_assert!(cuts.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_fake_takes_every_manifest(
        name in strategy::repository_name(),
        image in strategy::image_manifest(),
        artifact in strategy::artifact_manifest(),
        (images, index) in strategy::image_index(),
        tag in strategy::tag(),
    ) {
        for profile in [Profile::Acr, Profile::Oci] {
            let registry = FakeRegistry::builder().user("owner", "secret").profile(profile).build();
            let transport = registry.transport();
            let base = format!("https://{}/v2/{name}", registry.endpoint().authority());
            block_on(async {
                for document in images.iter().chain([&image, &artifact, &index]) {
                    put(&transport, &base, document, tag.as_str()).await;
                }
            });
        }
    }
}
