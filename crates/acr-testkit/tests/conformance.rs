//! The conformance suite finds nothing at the fake, and finds what a broken one does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use acr_core::{Pipeline, http::Request};
use acr_testkit::{BlobDelivery, FakeRegistry, Fault, Operation, Report, conformance};
use http::{HeaderValue, header};
use tower::util::MapRequestLayer;

fn owned(delivery: BlobDelivery) -> FakeRegistry {
    FakeRegistry::builder().user("owner", "secret").blobs(delivery).build()
}

async fn run(registry: &FakeRegistry) -> Report {
    let sign_in = MapRequestLayer::new(|mut request: Request| {
        let value = HeaderValue::from_static("Basic b3duZXI6c2VjcmV0");
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request
    });
    let pipeline = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_call(sign_in)
        .build()
        .unwrap();
    conformance(&pipeline, &"conformance/test".parse().unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn the_fake_conforms_and_nothing_is_left_behind() {
    for delivery in [BlobDelivery::Redirect, BlobDelivery::Direct] {
        let registry = owned(delivery);
        let report = run(&registry).await;
        assert_eq!(report.deviations().count(), 0, "{report}");
        assert!(report.outcomes().len() >= 29, "{report}");
        assert_eq!(registry.open_uploads(), 0);
        // And once more, for the first run cleaned up.
        let again = run(&registry).await;
        assert_eq!(again.deviations().count(), 0, "{again}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_a_registry_does_otherwise_is_found() {
    for (fault, check) in [
        (Fault::status(Operation::UploadChunk, 2, 201), "an upload in chunks is stored"),
        (Fault::corrupt(Operation::GetStorage, 3), "an upload in two requests is stored"),
        (
            Fault::remove_header(Operation::CompleteUpload, "docker-content-digest"),
            "an upload in two requests is stored",
        ),
        (
            Fault::set_header(Operation::UploadChunk, "range", "0-99"),
            "an upload in chunks is stored",
        ),
        (Fault::status(Operation::MountBlob, 1, 202), "a blob is mounted from another repository"),
        (Fault::corrupt(Operation::GetManifest, 5), "a manifest comes back byte for byte"),
        (Fault::status(Operation::Ping, 1, 404), "the registry answers a ping"),
        (
            Fault::remove_header(Operation::ListTags, "link"),
            "tags are listed page by page, without gaps",
        ),
        (
            Fault::status(Operation::DeleteRepository, 1, 204),
            "a deleted repository is gone, and says what went",
        ),
        (Fault::corrupt(Operation::ListReferrers, 40), "a subject's referrers are listed"),
    ] {
        let (registry, told) = (owned(BlobDelivery::Redirect), fault.to_string());
        registry.inject(fault);
        let report = run(&registry).await;
        let found: Vec<_> = report.deviations().map(|outcome| outcome.check()).collect();
        assert!(found.contains(&check), "{told}: {found:?}\n{report}");
    }
}
