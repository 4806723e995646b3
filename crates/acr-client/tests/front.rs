//! The front door: settings, credentials, and where they go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::sync::{Arc, Mutex};

use acr_client::{
    Credential, ErrorKind, Proxy, Registry, RegistryBuilder, Transport, entra::Cloud,
};
use acr_core::http::{Body, Request};
use acr_testkit::{FakeRegistry, Server, Tls};
use tower::{ServiceExt as _, service_fn};

/// A builder for a registry on loopback, which no proxy reaches.
fn to(server: &Server) -> RegistryBuilder {
    Registry::builder(server.endpoint()).ca_pem(server.ca_pem().unwrap()).no_proxy()
}

#[tokio::test]
async fn the_first_program_lists_tags() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let server = fake.serve(Tls::On).await.unwrap();
    let registry = to(&server).credential(Credential::password("me", "secret")).build().unwrap();
    let repo = registry.repository("library/app").unwrap();
    repo.upload("{}").await.unwrap();
    let image = acr_client::ImageManifest::artifact("application/vnd.example").to_json().unwrap();
    repo.put_manifest(image).tag("v1").await.unwrap();

    let mut names = Vec::new();
    let mut tags = repo.list_tags();
    while let Some(tag) = tags.try_next().await.unwrap() {
        names.push(tag.name.to_string());
    }
    assert_eq!(names, ["v1"]);
}

#[tokio::test]
async fn the_whole_name_of_an_image_leads_to_its_registry() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let image =
        acr_client::ImageReference::new(fake.endpoint().authority(), "library/app").unwrap();
    let image = image.with_tag(&"v1".parse().unwrap());
    let me = Credential::password("me", "secret");
    let registry = Registry::builder(&image).transport(fake.transport()).credential(me);
    let registry = registry.build().unwrap();
    assert_eq!(registry.endpoint().authority(), fake.endpoint().authority());
    let repo = registry.repository(image.repository()).unwrap();
    let manifest =
        acr_client::ImageManifest::artifact("application/vnd.example").to_json().unwrap();
    repo.upload("{}").await.unwrap();
    let digest = repo.put_manifest(manifest).tag("v1").await.unwrap();
    let read = repo.get_manifest(image.reference().unwrap()).await.unwrap();
    assert_eq!(read.digest, digest);

    // Docker Hub's API is at another host than the name says.
    let hub = acr_client::ImageReference::parse_docker("alpine:3.22").unwrap();
    let registry = Registry::builder(hub).transport(fake.transport()).build().unwrap();
    assert_eq!(registry.endpoint().host(), "registry-1.docker.io");
}

#[tokio::test]
async fn a_platform_may_be_text_and_what_is_none_is_said_when_it_is_awaited() {
    let fake = FakeRegistry::new();
    let registry = Registry::builder(fake.endpoint()).transport(fake.transport()).build().unwrap();
    let repo = registry.repository("library/app").unwrap();
    let (text, owned) = ("linux", String::from("linux/"));
    for get in [
        repo.get_manifest("v1").platform(text),
        repo.get_manifest("v1").platform(&owned),
        repo.get_manifest("v1").platform(owned.clone()),
    ] {
        let error = get.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("such as `linux/amd64`"), "{error}");
    }
    assert_eq!(fake.journal().entries().len(), 0);
}

#[tokio::test]
async fn names_may_be_text_and_what_is_wrong_with_one_is_said_when_it_is_awaited() {
    let fake = FakeRegistry::new();
    let registry = Registry::builder(fake.endpoint()).transport(fake.transport()).build().unwrap();
    let repo = registry.repository("library/app").unwrap();
    let outcomes = [
        repo.get_manifest("not a tag").await.map(drop),
        repo.put_manifest("{}").tag("not a tag").await.map(drop),
        repo.tag("v1", "not a tag").await.map(drop),
        repo.tag("not a tag", "v1").await.map(drop),
        repo.tag_properties("not a tag").await.map(drop),
        repo.exists("sha256:short").await.map(drop),
        repo.mount(acr_client::Digest::sha256(b""), "Not/A/Name").await.map(drop),
        repo.list_referrers("sha256:short").artifact_type("a/b").try_next().await.map(drop),
        repo.put_manifest("{}").tag("v1").if_tag_is("sha256:short").await.map(drop),
        repo.tag("v1", "v2").if_tag_is("sha256:short").await.map(drop),
        repo.list_tags().of("sha256:short").try_next().await.map(drop),
        repo.list_tags().after("not a tag").of("sha256:shorter").try_next().await.map(drop),
        repo.list_manifests().after("sha256:short").try_next().await.map(drop),
        registry.list_repositories().after("Not/A/Name").try_next().await.map(drop),
        repo.download("sha256:short").await.map(drop),
        repo.download("sha256:short").to_file("never made").await.map(drop),
        repo.download_range("sha256:short", 0..=299).await.map(drop),
        repo.download_range(acr_client::Digest::sha256(b""), std::ops::RangeInclusive::new(3, 2))
            .await
            .map(drop),
        repo.has_range("sha256:short", 0..10).await.map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(fake.journal().entries().len(), 0);
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_used_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, content: Option<&str>| {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        path
    };
    for (name, content, expected) in [
        ("missing.pem", None, "name a readable PEM file"),
        ("empty.pem", Some(""), "is empty: it must have one `-----BEGIN CERTIFICATE-----`"),
        ("der.crt", Some("\u{30}\u{82} no PEM"), "holds no certificate in PEM form"),
        (
            "broken.pem",
            Some("-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n"),
            "holds no certificate in PEM form",
        ),
    ] {
        let builder = Registry::builder("registry.example").ca_file(path(name, content));
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn a_file_of_certificates_is_trusted() {
    let fake = FakeRegistry::builder().user("me", "secret").build();
    let server = fake.serve(Tls::On).await.unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), server.ca_pem().unwrap()).unwrap();
    let with = Registry::builder(server.endpoint()).no_proxy();
    let with = with.credential(Credential::password("me", "secret")).ca_file(file.path());
    with.build().unwrap().ping().await.unwrap();
    let without = Registry::builder(server.endpoint()).no_proxy().build().unwrap();
    assert_eq!(without.ping().await.unwrap_err().kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn a_bare_name_is_told_its_login_server() {
    let error = Registry::connect("myreg").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("`myreg.azurecr.io`"), "{error}");
}

#[tokio::test]
async fn what_a_transport_brings_is_no_setting_beside_it() {
    let fake = FakeRegistry::new();
    let builder = || Registry::builder(fake.endpoint()).transport(fake.transport());
    assert!(builder().build().is_ok());
    for builder in [
        builder().ca_file("corp.pem"),
        builder().ca_pem("PEM"),
        builder().proxy(Proxy::default()),
        builder().no_proxy(),
        builder().connect_timeout(std::time::Duration::from_secs(1)),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("does nothing beside `transport`"), "{error}");
    }
}

/// What went to hosts that are not the registry: the whole head and body of each request.
type Elsewhere = Arc<Mutex<Vec<String>>>;

/// The registry in this process, and a note of everything that went past it.
fn noted(fake: &FakeRegistry, answer: Option<&'static str>) -> (Transport, Elsewhere) {
    let (inner, elsewhere) = (fake.transport(), Elsewhere::default());
    let (note, host) = (Arc::clone(&elsewhere), fake.endpoint().host().to_owned());
    let transport = Transport::new(service_fn(move |request: Request| {
        let (inner, note, host) = (inner.clone(), Arc::clone(&note), host.clone());
        async move {
            let is_registry = request.uri().host() == Some(host.as_str());
            if let (true, Some(realm), false) =
                (is_registry, answer, request.uri().path().starts_with("/oauth2/"))
            {
                let challenge = format!(r#"Bearer realm="{realm}",service="{host}""#);
                let answer = http::Response::builder().status(401);
                let answer = answer.header("www-authenticate", challenge);
                return Ok(answer.body(Body::empty()).unwrap());
            }
            if is_registry {
                return inner.oneshot(request).await;
            }
            let (head, body) = request.into_parts();
            let body = body.bytes(1 << 20).await?;
            let text = format!("{} {:?} {body:?}", head.uri, head.headers);
            note.lock().unwrap().push(text);
            inner.oneshot(Request::from_parts(head, Body::from(body))).await
        }
    }));
    (transport, elsewhere)
}

#[tokio::test]
async fn a_credential_does_not_follow_a_redirect() {
    let fake = FakeRegistry::builder().user("me", "hunter2").build();
    let (transport, elsewhere) = noted(&fake, None);
    let registry = Registry::builder(fake.endpoint())
        .credential(Credential::password("me", "hunter2"))
        .transport(transport)
        .build()
        .unwrap();
    let repo = registry.repository("library/app").unwrap();
    let blob = repo.upload("content").await.unwrap();
    let content = repo.download(&blob.digest).await.unwrap().bytes(100).await.unwrap();
    assert_eq!(content, "content");
    let elsewhere = elsewhere.lock().unwrap();
    assert_eq!(elsewhere.len(), 1, "the storage is another host");
    let lower = elsewhere[0].to_lowercase();
    assert!(!lower.contains("authorization") && !lower.contains("hunter2"), "{lower}");
}

#[tokio::test]
async fn a_credential_goes_to_no_token_service_elsewhere() {
    let fake = FakeRegistry::builder().user("me", "hunter2").build();
    let (transport, elsewhere) = noted(&fake, Some("https://evil.example/token"));
    let registry = Registry::builder(fake.endpoint())
        .credential(Credential::password("me", "hunter2"))
        .transport(transport)
        .build()
        .unwrap();
    let error = registry.list_repositories().try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy);
    assert_eq!(*elsewhere.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let builder = Registry::builder("myregistry.azurecr.io")
        .credential(Credential::password("me", "hunter2"))
        .proxy(Proxy::new("http://me:hunter2@proxy.example:3128").unwrap());
    let before = format!("{builder:?}");
    let text = format!("{before} {:?}", builder.build().unwrap());
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn what_would_do_nothing_is_said_when_it_is_built() {
    let azure = || Registry::builder("myregistry.azurecr.io");
    let other = || Registry::builder("registry.example");
    let plain = acr_client::Endpoint::insecure_loopback("127.0.0.1:5000".parse().unwrap()).unwrap();
    let nobody = Credential::anonymous;
    let password = || Credential::password("me", "secret");
    let token = || acr_client::AccessToken::new("token", std::time::SystemTime::now());
    let entra =
        || Credential::entra(acr_client::credential_fn(move |_| async move { Ok(token()) }));
    for (builder, words) in [
        (azure().cloud(Cloud::china()).credential(password()), "`cloud` does nothing beside"),
        (azure().credential(entra()).cloud(Cloud::china()), "`cloud` does nothing beside"),
        (other().cloud(Cloud::china()), "`cloud` does nothing for `registry.example`"),
        (azure().audience("https://a.example").credential(password()), "`audience` does nothing"),
        (azure().audience("https://a.example").credential(nobody()), "`audience` does nothing"),
        (other().audience("https://a.example"), "`audience` does nothing for `registry.example`"),
        (
            other().trust_entra_for("registry.exmaple"),
            "`registry.exmaple` is not `registry.example`",
        ),
        (
            azure().trust_entra_for("myregistry.azurecr.io").trust_entra_for("typo.example"),
            "`typo.example` is not `myregistry.azurecr.io`",
        ),
        (
            other().trust_entra_for("registry.example").credential(password()),
            "`trust_entra_for` does nothing",
        ),
        (Registry::builder(plain).trust_entra_for("127.0.0.1"), "without TLS"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    for builder in [
        azure().cloud(Cloud::china()).audience("https://a.example"),
        azure().credential(entra()).audience("https://a.example"),
        azure().trust_entra_for("MyRegistry.azurecr.io:443"),
        other().trust_entra_for("https://registry.example").credential(entra()),
        other().trust_entra_for("Registry.example").cloud(Cloud::china()),
        // Nobody can tell what it will find.
        azure().credential(Credential::docker_config()).audience("https://a.example"),
    ] {
        builder.build().unwrap();
    }
}

#[tokio::test]
async fn a_file_of_authorities_is_a_regular_one_of_bounded_length() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.pem");
    let server = FakeRegistry::new().serve(Tls::On).await.unwrap();
    let pem = server.ca_pem().unwrap();
    for (length, is_taken) in [(1 << 20, true), ((1 << 20) + 1, false)] {
        // Text between certificates is allowed.
        let padding = " ".repeat(length - pem.len() - 1);
        std::fs::write(&large, format!("{padding}\n{pem}")).unwrap();
        let built = Registry::builder("registry.example").ca_file(&large).build();
        assert_eq!(built.is_ok(), is_taken, "{length}");
        if let Err(error) = built {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(text.contains("large.pem") && text.contains("1 MiB"), "{text}");
        }
    }
    let mut odd = vec![folder.path().to_owned()];
    #[cfg(unix)]
    odd.push("/dev/null".into());
    for path in odd {
        let error = Registry::builder("registry.example").ca_file(&path).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("no regular file"), "{error}");
    }
}
