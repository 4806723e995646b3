//! A registry that is brought into a situation, and a client that owns it.

use acr_core::{Digest, Transport, http::Body};
use acr_testkit::{Era, FakeRegistry};
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use tower_service::Service as _;

pub(crate) const HOST: &str = "fakeregistry.azurecr.io";

/// A fresh registry and a token for everything.
pub(crate) struct Situation {
    pub(crate) registry: FakeRegistry,
    transport: Transport,
    token: String,
    serial: u32,
}

/// An answer read to its end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A request with its last details.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Situation {
    pub(crate) async fn new(era: Era) -> Self {
        let registry = FakeRegistry::builder().era(era).build();
        let transport = registry.transport();
        let mut situation = Self { registry, transport, token: String::new(), serial: 0 };
        situation.token = situation.access_token("registry:catalog:*+repository:*:*").await;
        situation
    }

    pub(crate) async fn send(&self, asked: Asked) -> Got {
        let uri = match asked.target.starts_with('/') {
            true => format!("https://{HOST}{}", asked.target),
            false => asked.target,
        };
        let mut request = Request::builder().method(asked.method.as_str()).uri(uri);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(asked.body)).unwrap();
        let response = self.transport.clone().call(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.bytes(16 << 20).await.unwrap();
        Got { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// The header of a client that may do everything.
    pub(crate) fn authorization(&self) -> (String, String) {
        ("authorization".to_owned(), format!("Bearer {}", self.token))
    }

    pub(crate) async fn refresh_token(&self) -> String {
        let token = self.registry.entra_token();
        let form = format!("grant_type=access_token&service={HOST}&access_token={token}");
        let got = self.form("/oauth2/exchange", form).await;
        got["refresh_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn access_token(&self, scope: &str) -> String {
        let refresh = self.refresh_token().await;
        let form = format!(
            "grant_type=refresh_token&service={HOST}&scope={scope}&refresh_token={refresh}"
        );
        let got = self.form("/oauth2/token", form).await;
        got["access_token"].as_str().unwrap().to_owned()
    }

    async fn form(&self, target: &str, form: String) -> Value {
        let content_type = ("content-type", "application/x-www-form-urlencoded");
        let got = self.send(asked("POST", target, &[content_type], form.into_bytes())).await;
        assert_eq!(got.status, 200, "{got:?}");
        serde_json::from_slice(&got.body).unwrap()
    }

    /// Sends as the owner; whatever is asked for here must succeed.
    async fn own(&self, mut asked: Asked) -> Got {
        asked.headers.push(self.authorization());
        let told = format!("{asked:?}");
        let got = self.send(asked).await;
        assert!(got.status < 300, "{told}: {got:?}");
        got
    }

    /// Starts an upload that has received some bytes; gives its address.
    pub(crate) async fn upload(&self, name: &str, received: &[u8]) -> String {
        let target = format!("/v2/{name}/blobs/uploads/");
        let mut got = self.own(asked("POST", &target, &[], Vec::new())).await;
        if !received.is_empty() {
            got = self.own(asked("PATCH", &got.location(), &[], received.to_vec())).await;
        }
        got.location()
    }

    pub(crate) async fn push_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let location = self.upload(name, content).await;
        self.own(asked("PUT", &format!("{location}&digest={digest}"), &[], Vec::new())).await;
        digest
    }

    /// Pushes a manifest whose parts are there.
    pub(crate) async fn push_manifest(
        &self,
        name: &str,
        reference: Option<&str>,
        media_type: &str,
        manifest: &Value,
    ) -> Digest {
        let bytes = serde_json::to_vec(manifest).unwrap();
        let digest = Digest::sha256(&bytes);
        let reference = reference.unwrap_or(digest.as_str());
        let target = format!("/v2/{name}/manifests/{reference}");
        self.own(asked("PUT", &target, &[("content-type", media_type)], bytes)).await;
        digest
    }

    /// Sets attributes of a resource of the metadata interface.
    pub(crate) async fn set(&self, target: &str, attributes: &Value) {
        let bytes = serde_json::to_vec(attributes).unwrap();
        self.own(asked("PATCH", target, &[], bytes)).await;
    }

    /// An image nobody has pushed yet, with its blobs pushed.
    pub(crate) async fn image(&mut self, name: &str, media_type: &str, platform: &Value) -> Value {
        self.serial += 1;
        let is_docker = media_type.contains("docker");
        let mut config = platform.clone();
        config["serial"] = self.serial.into();
        let config = serde_json::to_vec(&config).unwrap();
        let digest = self.push_blob(name, &config).await;
        let config_type = match is_docker {
            true => "application/vnd.docker.container.image.v1+json",
            false => "application/vnd.oci.image.config.v1+json",
        };
        json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": { "mediaType": config_type, "digest": digest.as_str(), "size": config.len() },
            "layers": [],
        })
    }

    /// Pushes a small image under a tag or without.
    pub(crate) async fn push_image(&mut self, name: &str, tag: Option<&str>) -> Digest {
        let platform = json!({ "architecture": "amd64", "os": "linux" });
        let image = self.image(name, OCI_MANIFEST, &platform).await;
        self.push_manifest(name, tag, OCI_MANIFEST, &image).await
    }

    pub(crate) fn serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> String {
        self.header("location").to_owned()
    }
}

pub(crate) fn asked(method: &str, target: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Asked {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Asked { method: method.to_owned(), target: target.to_owned(), headers: headers.collect(), body }
}

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
