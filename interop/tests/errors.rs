//! Every error that registries are known to answer with, from the emulator, as the
//! clients tell it: kind, status, code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{
    Action, Continuation, Digest, Error, ErrorCode, ErrorKind, Pipeline, Scope, Tag,
    http::{Effect, RequestBuilder, response},
    layer::RetryPolicy,
};
use acr_registry::{ImageIndex, MediaType, Permissions, RegistryClient, RepositoryClient};
use acr_testkit::{FakeRegistry, Fault, Operation};
use http::{Method, StatusCode};

fn pipeline(registry: &FakeRegistry, credential: Credential) -> Pipeline {
    Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(AuthLayer::new(&registry.endpoint(), credential))
        .retry(RetryPolicy::default().retries(0))
        .build()
        .unwrap()
}

fn entra(registry: &FakeRegistry) -> Credential {
    let token = registry.entra_token();
    Credential::entra(credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    }))
}

fn clients(registry: &FakeRegistry) -> (RegistryClient, RepositoryClient, BlobClient) {
    let pipeline = pipeline(registry, entra(registry));
    let all = RegistryClient::new(pipeline.clone());
    let repo = all.repository("library/app").unwrap();
    let blobs = BlobClient::new(pipeline, repo.repository().clone());
    (all, repo, blobs)
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn is(error: &Error, kind: ErrorKind, status: u16, code: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{error}");
    assert_eq!(error.code().map_or("", ErrorCode::as_str), code, "{error}");
    assert!(!error.correlation_id().unwrap_or_default().is_empty(), "{error}");
}

/// What no method of the clients sends.
async fn raw(
    pipeline: &Pipeline,
    method: Method,
    path: &[&str],
    content: &'static str,
) -> Result<(), Error> {
    let scope = Scope::repository(
        &"library/app".parse().unwrap(),
        &[Action::PULL, Action::PUSH, Action::DELETE],
    );
    let request = RequestBuilder::new(method, pipeline.endpoint(), path)
        .scope(scope)
        .effect(Effect::Read)
        .header(http::header::CONTENT_TYPE, MediaType::OCI_INDEX.as_str().parse().unwrap())
        .body(content)
        .build()?;
    let answer = pipeline.send(request).await?;
    response::expect(answer, &[StatusCode::OK, StatusCode::CREATED]).await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_told_by_its_code() {
    let registry = FakeRegistry::new();
    let (_, repo, blobs) = clients(&registry);
    let nothing = Digest::sha256(b"nothing");
    let unknown = ErrorKind::NotFound;
    is(&repo.properties().await.unwrap_err(), unknown, 404, "NAME_UNKNOWN");
    is(&repo.list_tags().try_next().await.unwrap_err(), unknown, 404, "NAME_UNKNOWN");
    is(&repo.list_manifests().try_next().await.unwrap_err(), unknown, 404, "NAME_UNKNOWN");
    let changed = repo.update_properties(Permissions::new().read(true)).await;
    is(&changed.unwrap_err(), unknown, 404, "NAME_UNKNOWN");
    repo.put_manifest(ImageIndex::new().to_json().unwrap()).tag(tag("v1")).await.unwrap();
    is(&repo.tag_properties(&tag("v2")).await.unwrap_err(), unknown, 404, "TAG_UNKNOWN");
    let changed = repo.update_tag_properties(&tag("v2"), Permissions::new().read(true)).await;
    is(&changed.unwrap_err(), unknown, 404, "TAG_UNKNOWN");
    let by_tag = repo.manifest_properties(&tag("v2")).await.unwrap_err();
    is(&by_tag, unknown, 404, "TAG_UNKNOWN");
    let by_digest = repo.manifest_properties(&nothing).await.unwrap_err();
    is(&by_digest, unknown, 404, "MANIFEST_UNKNOWN");
    is(&repo.get_manifest(&nothing).await.unwrap_err(), unknown, 404, "MANIFEST_UNKNOWN");
    let by_tag = repo.get_manifest(tag("v2")).await.unwrap_err();
    is(&by_tag, unknown, 404, "MANIFEST_UNKNOWN");
    assert!(by_tag.details()[0].message().contains("v2"), "{by_tag}");
    is(&blobs.download(&nothing).await.unwrap_err(), unknown, 404, "BLOB_UNKNOWN");
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_missing_are_told_apart_from_a_missing_sign_in() {
    let registry = FakeRegistry::builder().user("robot", "right").build();
    let as_user = |password: &str| {
        let credential = Credential::password("robot", password.to_owned());
        RegistryClient::new(pipeline(&registry, credential))
    };
    assert!(as_user("right").list_repositories().try_next().await.unwrap().is_none());
    let error = as_user("wrong").list_repositories().try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error}");
    let nobody = RegistryClient::new(pipeline(&registry, Credential::anonymous()));
    let error = nobody.list_repositories().try_next().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden), "{error}");
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
}

#[tokio::test(start_paused = true)]
async fn what_the_registry_will_not_take_says_why() {
    let registry = FakeRegistry::new();
    let (all, repo, blobs) = clients(&registry);
    let refused = ErrorKind::Rejected;
    let malformed = repo.put_manifest("{").media_type(MediaType::OCI_INDEX).await.unwrap_err();
    is(&malformed, refused, 400, "MANIFEST_INVALID");
    let missing = acr_registry::Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let index = ImageIndex::new().manifest(missing).to_json().unwrap();
    let error = repo.put_manifest(index).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (refused, Some(StatusCode::BAD_REQUEST)));
    assert!(error.details()[0].detail().is_some(), "{error}");
    let zero = all.list_repositories().resume(Continuation::from_query("n=0"));
    is(&zero.into_pages().try_next().await.unwrap_err(), refused, 400, "PAGINATION_NUMBER_INVALID");
    let wrong = Digest::sha256(b"other").to_string();
    let pipeline = pipeline(&registry, entra(&registry));
    let put = ["v2", "library/app", "manifests", &wrong];
    let content = r#"{"schemaVersion":2,"manifests":[]}"#;
    let error = raw(&pipeline, Method::PUT, &put, content).await.unwrap_err();
    is(&error, ErrorKind::Integrity, 400, "DIGEST_INVALID");
    repo.put_manifest(content).media_type(MediaType::OCI_INDEX).tag(tag("v1")).await.unwrap();
    let by_tag = ["v2", "library/app", "manifests", "v1"];
    let error = raw(&pipeline, Method::DELETE, &by_tag, "").await.unwrap_err();
    is(&error, refused, 405, "UNSUPPORTED");
    let upper = ["acr", "v1", "Upper"];
    let error = raw(&pipeline, Method::GET, &upper, "").await.unwrap_err();
    is(&error, ErrorKind::NotFound, 404, "");
    // The storage refuses a part beyond the end, in XML.
    let blob = blobs.upload(&b"abc"[..]).await.unwrap();
    let beyond = acr_core::ByteRange::new(10, Some(20)).unwrap();
    let error = blobs.download_range(&blob.digest, beyond).await.unwrap_err();
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (refused, 416), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_is_locked_is_told_for_every_operation_that_a_lock_stops() {
    let registry = FakeRegistry::new();
    let (_, repo, blobs) = clients(&registry);
    let content = ImageIndex::new().to_json().unwrap();
    let digest = repo.put_manifest(content.clone()).tag(tag("v1")).await.unwrap();
    let blob = blobs.upload(&b"abc"[..]).await.unwrap();
    let locked = Permissions::new().delete(false).write(false).read(false);
    repo.update_properties(locked).await.unwrap();
    let errors = [
        repo.delete().await.unwrap_err(),
        repo.delete_tag(&tag("v1")).await.unwrap_err(),
        repo.delete_manifest(&digest).await.unwrap_err(),
        repo.put_manifest(content).tag(tag("v2")).await.unwrap_err(),
        repo.get_manifest(&digest).await.unwrap_err(),
        blobs.upload(&b"other"[..]).await.unwrap_err(),
        blobs.download(&blob.digest).await.unwrap_err(),
        blobs.delete_blob(&blob.digest).await.unwrap_err(),
    ];
    for error in errors {
        is(&error, ErrorKind::Disallowed, 405, "REGISTRY_DISALLOWED_OPERATION");
    }
    // Its flags stay readable, and can be changed back.
    assert_eq!(repo.properties().await.unwrap().permissions.can_write(), Some(false));
    let open = Permissions::new().delete(true).write(true).read(true);
    repo.update_properties(open).await.unwrap();
    assert!(repo.get_manifest(&digest).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn uploads_that_are_gone_or_out_of_step_are_told() {
    let registry = FakeRegistry::new();
    let (_, _, blobs) = clients(&registry);
    let mut session = blobs.start_upload().await.unwrap();
    session.write(&b"abc"[..]).await.unwrap();
    registry.inject(Fault::lose_session(Operation::UploadChunk));
    let error = session.write(&b"def"[..]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Session, "{error}");
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<Error>().unwrap();
    assert_eq!(source.status(), Some(StatusCode::NOT_FOUND));
    let code = source.code().map_or("", ErrorCode::as_str);
    assert!(code.starts_with("BLOB_UPLOAD_"), "{code}");
    // A digest that is not that of the content.
    let session = blobs.start_upload().await.unwrap();
    let other = Digest::sha256(b"other");
    let error = session.complete(&b"abc"[..], Some(&other)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Integrity, "{error}");
}

#[tokio::test(start_paused = true)]
async fn trouble_on_the_way_is_told_by_its_status_for_every_read() {
    for (status, kind, code) in [
        (403, ErrorKind::Forbidden, "UNKNOWN"),
        (409, ErrorKind::Conflict, "UNKNOWN"),
        (413, ErrorKind::Rejected, "UNKNOWN"),
        (429, ErrorKind::Throttled, "TOOMANYREQUESTS"),
        (500, ErrorKind::Server, "UNKNOWN"),
        (502, ErrorKind::Server, ""),
        (503, ErrorKind::Server, "UNAVAILABLE"),
        (504, ErrorKind::Server, ""),
    ] {
        let registry = FakeRegistry::new();
        let (all, repo, blobs) = clients(&registry);
        let digest =
            repo.put_manifest(ImageIndex::new().to_json().unwrap()).tag(tag("v1")).await.unwrap();
        let fault = |operation: Operation| registry.inject(Fault::status(operation, 1, status));
        fault(Operation::Ping);
        is(&all.ping().await.unwrap_err(), kind, status, code);
        fault(Operation::ListRepositories);
        is(&all.list_repositories().try_next().await.unwrap_err(), kind, status, code);
        fault(Operation::RepositoryProperties);
        is(&repo.properties().await.unwrap_err(), kind, status, code);
        fault(Operation::UpdateRepositoryProperties);
        is(&repo.update_properties(Permissions::new()).await.unwrap_err(), kind, status, code);
        fault(Operation::ListTags);
        let mut tags = repo.list_tags().page_size(1);
        is(&tags.try_next().await.unwrap_err(), kind, status, code);
        // The same page is asked for again.
        assert_eq!(tags.try_next().await.unwrap().unwrap().name, tag("v1"));
        fault(Operation::TagProperties);
        is(&repo.tag_properties(&tag("v1")).await.unwrap_err(), kind, status, code);
        fault(Operation::UpdateTagProperties);
        let changed = repo.update_tag_properties(&tag("v1"), Permissions::new()).await;
        is(&changed.unwrap_err(), kind, status, code);
        fault(Operation::ListManifests);
        is(&repo.list_manifests().try_next().await.unwrap_err(), kind, status, code);
        fault(Operation::ManifestProperties);
        is(&repo.manifest_properties(&digest).await.unwrap_err(), kind, status, code);
        fault(Operation::UpdateManifestProperties);
        let changed = repo.update_manifest_properties(&digest, Permissions::new()).await;
        is(&changed.unwrap_err(), kind, status, code);
        fault(Operation::GetManifest);
        is(&repo.get_manifest(&digest).await.unwrap_err(), kind, status, code);
        fault(Operation::PutManifest);
        let put = repo.put_manifest(ImageIndex::new().to_json().unwrap()).await;
        is(&put.unwrap_err(), kind, status, code);
        fault(Operation::ListReferrers);
        is(&repo.list_referrers(&digest).try_next().await.unwrap_err(), kind, status, code);
        fault(Operation::DeleteTag);
        is(&repo.delete_tag(&tag("v1")).await.unwrap_err(), kind, status, code);
        fault(Operation::DeleteManifest);
        is(&repo.delete_manifest(&digest).await.unwrap_err(), kind, status, code);
        fault(Operation::DeleteRepository);
        is(&repo.delete().await.unwrap_err(), kind, status, code);
        fault(Operation::DownloadBlob);
        is(&blobs.download(&digest).await.unwrap_err(), kind, status, code);
        fault(Operation::DeleteBlob);
        is(&blobs.delete_blob(&digest).await.unwrap_err(), kind, status, code);
        assert_eq!(registry.pending_faults(), 0);
    }
}

/// Lets one operation after another fail, and compares its names on both sides.
struct Names {
    registry: FakeRegistry,
    asked: Vec<Operation>,
}

impl Names {
    fn fault(&mut self, operation: Operation) {
        // A mount that is refused becomes an upload.
        let status = if operation == Operation::MountBlob { 503 } else { 403 };
        self.registry.inject(Fault::status(operation, 1, status));
        self.asked.push(operation);
    }

    fn same(&self, error: &Error) {
        // An upload that failed is cancelled after it.
        let entries = self.registry.journal().entries();
        let refused = entries.iter().rev().find(|entry| entry.status >= 400).unwrap();
        assert_eq!(error.operation(), refused.operation.map(Operation::name), "{error}");
    }
}

/// Every request that the clients send, by the name that they and the emulator give to it.
#[tokio::test(start_paused = true)]
async fn e4_the_journal_calls_every_request_as_the_clients_do() {
    let registry = FakeRegistry::new();
    let (all, repo, blobs) = clients(&registry);
    let blob = blobs.upload(&b"layer"[..]).await.unwrap();
    let digest =
        repo.put_manifest(ImageIndex::new().to_json().unwrap()).tag(tag("v1")).await.unwrap();
    let mut names = Names { registry: registry.clone(), asked: Vec::new() };
    names_of_metadata(&mut names, &all, &repo, &digest).await;
    names_of_content(&mut names, &blobs, &blob.digest).await;
    names.fault(Operation::DeleteBlob);
    names.same(&blobs.delete_blob(&blob.digest).await.unwrap_err());
    names.fault(Operation::DeleteTag);
    names.same(&repo.delete_tag(&tag("v1")).await.unwrap_err());
    names.fault(Operation::DeleteManifest);
    names.same(&repo.delete_manifest(&digest).await.unwrap_err());
    names.fault(Operation::DeleteRepository);
    names.same(&repo.delete().await.unwrap_err());
    assert_eq!(registry.pending_faults(), 0, "{}", registry.journal());
    for operation in [Operation::ExchangeEntraToken, Operation::FetchAccessToken] {
        let (_, repo, _) = clients(&registry);
        names.fault(operation);
        names.same(&repo.properties().await.unwrap_err());
    }
    // What the clients name otherwise, or do not ask for.
    let rest = Operation::ALL.iter().filter(|operation| !names.asked.contains(operation));
    let rest: Vec<_> = rest.copied().collect();
    let expected = [
        Operation::Connect,
        Operation::GetStorage,
        Operation::ListDeletedRepositories,
        Operation::ListDeletedManifests,
        Operation::ListDeletedTags,
        Operation::RestoreManifest,
        Operation::ListCatalog,
        Operation::ListTagNames,
    ];
    assert_eq!(rest, expected);
}

async fn names_of_metadata(
    names: &mut Names,
    all: &RegistryClient,
    repo: &RepositoryClient,
    digest: &Digest,
) {
    names.fault(Operation::Ping);
    names.same(&all.ping().await.unwrap_err());
    names.fault(Operation::ListRepositories);
    names.same(&all.list_repositories().try_next().await.unwrap_err());
    names.fault(Operation::RepositoryProperties);
    names.same(&repo.properties().await.unwrap_err());
    names.fault(Operation::UpdateRepositoryProperties);
    names.same(&repo.update_properties(Permissions::new()).await.unwrap_err());
    names.fault(Operation::ListTags);
    names.same(&repo.list_tags().try_next().await.unwrap_err());
    names.fault(Operation::TagProperties);
    names.same(&repo.tag_properties(&tag("v1")).await.unwrap_err());
    names.fault(Operation::UpdateTagProperties);
    names.same(&repo.update_tag_properties(&tag("v1"), Permissions::new()).await.unwrap_err());
    names.fault(Operation::ListManifests);
    names.same(&repo.list_manifests().try_next().await.unwrap_err());
    names.fault(Operation::ManifestProperties);
    names.same(&repo.manifest_properties(digest).await.unwrap_err());
    names.fault(Operation::UpdateManifestProperties);
    names.same(&repo.update_manifest_properties(digest, Permissions::new()).await.unwrap_err());
    names.fault(Operation::Resolve);
    names.same(&repo.resolve(tag("v1")).await.unwrap_err());
    names.fault(Operation::GetManifest);
    names.same(&repo.get_manifest(digest).await.unwrap_err());
    names.fault(Operation::PutManifest);
    names.same(&repo.put_manifest(ImageIndex::new().to_json().unwrap()).await.unwrap_err());
    names.fault(Operation::ListReferrers);
    names.same(&repo.list_referrers(digest).try_next().await.unwrap_err());
}

async fn names_of_content(names: &mut Names, blobs: &BlobClient, digest: &Digest) {
    let other = "library/other".parse().unwrap();
    names.fault(Operation::BlobProperties);
    names.same(&blobs.blob_properties(digest).await.unwrap_err());
    names.fault(Operation::DownloadBlob);
    names.same(&blobs.download(digest).await.unwrap_err());
    names.fault(Operation::MountBlob);
    names.same(&blobs.mount(digest, &other).await.unwrap_err());
    names.fault(Operation::StartUpload);
    names.same(&blobs.start_upload().await.unwrap_err());
    let mut session = blobs.start_upload().await.unwrap();
    names.fault(Operation::UploadChunk);
    names.same(&session.write(vec![7; 6 << 20]).await.unwrap_err());
    let session = blobs.start_upload().await.unwrap();
    names.fault(Operation::CompleteUpload);
    names.same(&session.complete(&b"abc"[..], None).await.unwrap_err());
    let mut session = blobs.start_upload().await.unwrap();
    names.fault(Operation::UploadStatus);
    names.same(&session.status().await.unwrap_err());
    let session = blobs.start_upload().await.unwrap();
    names.fault(Operation::CancelUpload);
    names.same(&session.cancel().await.unwrap_err());
}
