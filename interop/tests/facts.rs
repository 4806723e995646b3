//! The ten facts of recorded traffic that client writers get wrong, each shown by the
//! emulator and survived by the clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may stop at the first surprise"
)]

use std::time::{Duration, SystemTime};

use acr_auth::{AccessToken, AuthLayer, Credential, TokenClient, credential_fn};
use acr_blob::BlobClient;
use acr_core::{
    Action, Digest, ErrorKind, Pipeline, RepositoryName, Scope, Secret, Tag, Transport, Was,
    http::{Body, Effect, Request, RequestBuilder},
};
use acr_registry::{
    Architecture, Descriptor, ImageIndex, ImageManifest, MediaType, OperatingSystem, Platform,
    RegistryClient, RepositoryClient,
};
use acr_testkit::{Anonymous, FakeRegistry, Fault, Kind, Operation};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::json;

fn pipeline(registry: &FakeRegistry) -> Pipeline {
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let token = AccessToken::new(token.clone(), SystemTime::now() + Duration::from_secs(3600));
        async move { Ok(token) }
    });
    let auth = AuthLayer::new(&registry.endpoint(), Credential::entra(source));
    Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap()
}

fn client(registry: &FakeRegistry) -> RepositoryClient {
    RegistryClient::new(pipeline(registry)).repository("library/app").unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// An index without children, one of many.
fn index(n: usize) -> ImageIndex {
    ImageIndex::new().annotation("n", n.to_string())
}

/// What the emulator itself answers.
async fn raw(
    pipeline: &Pipeline,
    path: &[&str],
    query: &str,
    scope: Scope,
    accept: Option<&str>,
) -> (StatusCode, HeaderMap, String) {
    let mut request = RequestBuilder::new(Method::GET, pipeline.endpoint(), path)
        .scope(scope)
        .effect(Effect::Read);
    if !query.is_empty() {
        request = request.encoded_query(query);
    }
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept.parse().unwrap());
    }
    let (head, body) = pipeline.send(request.build().unwrap()).await.unwrap().into_parts();
    let body = body.bytes(1 << 20).await.unwrap();
    (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
}

fn reading() -> Scope {
    Scope::repository(&"library/app".parse().unwrap(), &[Action::METADATA_READ])
}

#[tokio::test(start_paused = true)]
async fn fact_1_the_link_of_a_filtered_list_forgets_the_filter() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let wanted = repo.put_manifest(index(1).to_json().unwrap()).tag(tag("a")).await.unwrap();
    for (n, name) in [(2, "b"), (1, "c"), (2, "d"), (1, "e")] {
        repo.put_manifest(index(n).to_json().unwrap()).tag(tag(name)).await.unwrap();
    }
    let query = format!("n=1&digest={wanted}");
    let tags = ["acr", "v1", "library/app", "_tags"];
    let (_, headers, _) = raw(&pipeline(&registry), &tags, &query, reading(), None).await;
    let link = headers["link"].to_str().unwrap();
    assert!(link.contains("last=a") && !link.contains("digest"), "{link}");

    registry.journal().clear();
    let mut pager = repo.list_tags().of(&wanted).page_size(1);
    let mut names = Vec::new();
    while let Some(item) = pager.try_next().await.unwrap() {
        assert_eq!(item.digest, wanted);
        names.push(item.name.to_string());
    }
    assert_eq!(names, ["a", "c", "e"]);
    let asked = registry.journal().entries();
    let mut pages = asked.iter().filter(|entry| entry.operation == Some(Operation::ListTags));
    assert!(pages.all(|entry| entry.query.contains(&"digest".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn fact_2_an_empty_list_is_null() {
    let registry = FakeRegistry::new();
    let catalog = ["acr", "v1", "_catalog"];
    let (_, _, body) = raw(&pipeline(&registry), &catalog, "", Scope::catalog(), None).await;
    assert_eq!(body, "{\"repositories\":null}\n");
    let all = RegistryClient::new(pipeline(&registry));
    assert_eq!(all.list_repositories().try_next().await.unwrap(), None);

    let repo = client(&registry);
    repo.put_manifest(index(1).to_json().unwrap()).await.unwrap();
    let tags = ["acr", "v1", "library/app", "_tags"];
    let (_, _, body) = raw(&pipeline(&registry), &tags, "", reading(), None).await;
    assert!(body.contains("\"tags\":null"), "{body}");
    assert_eq!(repo.list_tags().try_next().await.unwrap(), None);
    assert!(repo.delete().await.unwrap().tags.is_empty());
}

#[tokio::test(start_paused = true)]
async fn fact_3_a_link_may_lead_to_a_page_without_items() {
    let registry = FakeRegistry::new();
    client(&registry).put_manifest(index(1).to_json().unwrap()).await.unwrap();
    let link = "</acr/v1/_catalog?last=library%2Fapp&n=1&orderby=>; rel=\"next\"";
    registry.inject(Fault::set_header(Operation::ListRepositories, "Link", link));
    let mut pager = RegistryClient::new(pipeline(&registry)).list_repositories();
    assert_eq!(pager.try_next().await.unwrap().unwrap().as_str(), "library/app");
    assert_eq!(pager.try_next().await.unwrap(), None);
    assert_eq!(registry.pending_faults(), 0);
    let asked = registry.journal().entries();
    assert_eq!(
        asked.iter().filter(|e| e.operation == Some(Operation::ListRepositories)).count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn fact_4_malformed_names_are_a_plain_404_without_a_challenge() {
    let registry = FakeRegistry::new();
    let bare = Pipeline::builder(registry.endpoint()).transport(registry.transport());
    let bare = bare.build().unwrap();
    for path in [["acr", "v1", "Upper", ""], ["acr", "v1", "a/_manifests", "wrong-digest"]] {
        let path: Vec<&str> = path.into_iter().filter(|segment| !segment.is_empty()).collect();
        let (status, headers, body) = raw(&bare, &path, "", Scope::empty(), None).await;
        assert_eq!((status, body.as_str()), (StatusCode::NOT_FOUND, "404 page not found\n"));
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    }
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
    registry.journal().clear();
    let all = RegistryClient::new(pipeline(&registry));
    assert_eq!(all.repository("Upper").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!("wrong-digest".parse::<Digest>().is_err());
    assert!(registry.journal().entries().is_empty());
    // Such an answer to a deletion is absence, as in the official packages.
    let plain = Transport::new(tower::service_fn(|_: Request| async {
        let answer = http::Response::builder().status(404).header("content-type", "text/plain");
        Ok::<_, std::io::Error>(answer.body(Body::from("404 page not found\n")).unwrap())
    }));
    let plain = Pipeline::builder(registry.endpoint()).transport(plain).build().unwrap();
    let repo = RegistryClient::new(plain).repository("library/app").unwrap();
    let deletion = repo.delete_tag(&tag("v1")).await.unwrap();
    assert_eq!(deletion, Was::Absent);
}

#[tokio::test(start_paused = true)]
async fn fact_5_missing_rights_are_401_and_end_after_one_try() {
    let registry = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let repo = client(&registry);
    repo.put_manifest(index(1).to_json().unwrap()).tag(tag("v1")).await.unwrap();
    registry.journal().clear();
    let auth = AuthLayer::new(&registry.endpoint(), Credential::anonymous());
    let nobody = Pipeline::builder(registry.endpoint())
        .transport(registry.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap();
    let repo = RegistryClient::new(nobody).repository("library/app").unwrap();
    let error = repo.delete_tag(&tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(error.status(), Some(StatusCode::UNAUTHORIZED));
    let asked = registry.journal().entries();
    assert!(asked.iter().filter(|e| e.operation == Some(Operation::DeleteTag)).count() <= 2);
    assert!(repo.tag_properties(&tag("v1")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn fact_6_actions_come_in_any_order_and_mean_the_same() {
    // Seeds for which the emulator names the actions in one and in the other order.
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let registry = FakeRegistry::builder().seed(seed).build();
        let bare = Pipeline::builder(registry.endpoint()).transport(registry.transport());
        let bare = bare.build().unwrap();
        let path = ["v2", "library/app", "blobs", "uploads", ""];
        let request = RequestBuilder::new(Method::POST, bare.endpoint(), &path)
            .effect(Effect::Set)
            .build()
            .unwrap();
        let answer = bare.send(request).await.unwrap();
        let challenge = answer.headers()["www-authenticate"].to_str().unwrap().to_owned();
        let scope = challenge.split("scope=\"").nth(1).unwrap().split('"').next().unwrap();
        let expected =
            Scope::repository(&"library/app".parse().unwrap(), &[Action::PUSH, Action::PULL]);
        assert_eq!(Scope::parse_lenient(scope), expected);
        orders.insert(scope.to_owned());
        // One token serves both orders.
        let repo = client(&registry);
        for n in 0..3 {
            repo.put_manifest(index(n).to_json().unwrap()).await.unwrap();
        }
        let tokens = registry.journal().entries();
        assert_eq!(
            tokens.iter().filter(|e| e.operation == Some(Operation::FetchAccessToken)).count(),
            1
        );
    }
    assert_eq!(orders.len(), 2, "{orders:?}");
}

#[tokio::test(start_paused = true)]
async fn fact_7_the_blank_between_two_scopes_is_never_sent_as_a_plus_sign() {
    let registry = FakeRegistry::new();
    let bare = Pipeline::builder(registry.endpoint()).transport(registry.transport());
    let tokens = TokenClient::new(bare.build().unwrap());
    let entra = Secret::new(registry.entra_token());
    let refresh = tokens.exchange_entra_token(&entra, None).await.unwrap();
    let name = |text: &str| -> RepositoryName { text.parse().unwrap() };
    let target = Scope::repository(&name("t"), &[Action::PULL, Action::PUSH]);
    let both = target.union(Scope::repository(&name("s"), &[Action::PULL]));
    let token = tokens.exchange_refresh_token(refresh.token(), &both).await.unwrap();
    assert_eq!(token.granted(), Some(&both));
}

#[tokio::test(start_paused = true)]
async fn fact_8_manifest_bytes_are_sacred() {
    let registry = FakeRegistry::new();
    let repo = client(&registry);
    let content = br#"{"schemaVersion":2,"mediaType":"application\/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let digest = repo.put_manifest(&content[..]).tag(tag("v1")).await.unwrap();
    let pull = Scope::repository(repo.repository(), &[Action::PULL]);
    let path = ["v2", "library/app", "manifests", "v1"];
    let (_, headers, body) = raw(&pipeline(&registry), &path, "", pull, Some("*/*")).await;
    assert_eq!(body.as_bytes(), content);
    assert_eq!(headers["docker-content-digest"], digest.as_str());
    assert_eq!(repo.get_manifest(tag("v1")).await.unwrap().content, &content[..]);
    // Reading it as a document and writing that is another manifest.
    let view: ImageIndex = repo.get_manifest(&digest).await.unwrap().json().unwrap();
    assert_ne!(Digest::sha256(&view.to_json().unwrap()), digest);
    assert_eq!(repo.tag(&digest, &tag("v2")).await.unwrap(), digest);
}

/// An image for linux/amd64 and the index that names it, both pushed.
async fn multi_platform(registry: &FakeRegistry) -> (Digest, Digest) {
    let repo = client(registry);
    let blobs = BlobClient::new(pipeline(registry), repo.repository().clone());
    let config = json!({"architecture": "amd64", "os": "linux"}).to_string().into_bytes();
    blobs.upload(config.clone()).await.unwrap();
    let mut image = ImageManifest::new(Descriptor::of(MediaType::DOCKER_CONFIG, &config));
    image.media_type = Some(MediaType::DOCKER_MANIFEST);
    let content = image.to_json().unwrap();
    let child = repo.put_manifest(content.clone()).await.unwrap();
    let platform = Platform::new(OperatingSystem::LINUX.as_str(), Architecture::AMD64.as_str());
    let entry = Descriptor::of(MediaType::DOCKER_MANIFEST, &content).platform(platform);
    let mut list = ImageIndex::new().manifest(entry);
    list.media_type = Some(MediaType::DOCKER_LIST);
    (child, repo.put_manifest(list.to_json().unwrap()).tag(tag("multi")).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn fact_9_a_narrow_accept_gets_the_child_of_an_index() {
    let registry = FakeRegistry::new();
    let (child, index) = multi_platform(&registry).await;
    let repo = client(&registry);
    let narrow = [MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST];
    let got = repo.get_manifest(tag("multi")).accept(narrow).await.unwrap();
    assert_eq!((&got.digest, &got.media_type), (&child, &MediaType::DOCKER_MANIFEST));
    let got = repo.get_manifest(tag("multi")).await.unwrap();
    assert_eq!((&got.digest, &got.media_type), (&index, &MediaType::DOCKER_LIST));
    assert_eq!(repo.resolve(tag("multi")).await.unwrap(), index);
    let view: ImageIndex = got.json().unwrap();
    let wanted = Platform::new("linux", "amd64");
    assert_eq!(view.select(&wanted).unwrap().digest().unwrap(), child);
}

#[tokio::test(start_paused = true)]
async fn fact_10_a_blob_is_elsewhere_and_the_token_stays_here() {
    let registry = FakeRegistry::new();
    let blobs = BlobClient::new(pipeline(&registry), "library/app".parse().unwrap());
    let blob = blobs.upload(&b"content"[..]).await.unwrap();
    let pull = Scope::repository(blobs.repository(), &[Action::PULL]);
    let path = ["v2", "library/app", "blobs", blob.digest.as_str()];
    let (status, headers, _) = raw(&pipeline(&registry), &path, "", pull, None).await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    let location = headers["location"].to_str().unwrap();
    let (host, path) = location.strip_prefix("https://").unwrap().split_once('/').unwrap();
    assert!(host.ends_with(".blob.core.windows.net") && path.contains("//"), "{location}");
    // The emulator's storage refuses a request with Authorization, as the real one does.
    let content = blobs.download(&blob.digest).await.unwrap().bytes(100).await.unwrap();
    assert_eq!(content, &b"content"[..]);
    // HEAD is answered here, with the whole size.
    assert_eq!(blobs.blob_properties(&blob.digest).await.unwrap().size, 7);
}
