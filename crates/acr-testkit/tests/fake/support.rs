//! A client without any cleverness: it sends what it is told.

use acr_core::{Digest, Transport, http::Body};
use acr_testkit::FakeRegistry;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Request};
use serde_json::Value;
use tower_service::Service as _;

pub(crate) const HOST: &str = "fakeregistry.azurecr.io";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const ALL: &str = "registry:catalog:* repository:*:*";

/// A client with or without a token.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) registry: FakeRegistry,
    transport: Transport,
    authorization: Option<String>,
}

/// An answer read to the end.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// Without a token.
    pub(crate) fn bare(registry: &FakeRegistry) -> Self {
        let transport = registry.transport();
        Self { registry: registry.clone(), transport, authorization: None }
    }

    /// With a token for a scope.
    pub(crate) async fn with_scope(registry: &FakeRegistry, scope: &str) -> Self {
        let bare = Self::bare(registry);
        let token = bare.access_token(scope).await;
        bare.authorized(&format!("Bearer {token}"))
    }

    /// With a token for everything.
    pub(crate) async fn full(registry: &FakeRegistry) -> Self {
        Self::with_scope(registry, ALL).await
    }

    pub(crate) fn authorized(&self, header: &str) -> Self {
        Self { authorization: Some(header.to_owned()), ..self.clone() }
    }

    pub(crate) async fn refresh_token(&self) -> String {
        let form = format!(
            "grant_type=access_token&service={HOST}&access_token={}",
            self.registry.entra_token()
        );
        let got = self.form("/oauth2/exchange", form).await;
        assert_eq!(got.status, 200, "{got:?}");
        got.json()["refresh_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn access_token(&self, scope: &str) -> String {
        let refresh = self.refresh_token().await;
        let scope = scope.replace(' ', "+");
        let form = format!(
            "grant_type=refresh_token&service={HOST}&scope={scope}&refresh_token={refresh}"
        );
        let got = self.form("/oauth2/token", form).await;
        assert_eq!(got.status, 200, "{got:?}");
        got.json()["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn form(&self, path: &str, form: String) -> Got {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send("POST", path, &headers, form).await
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Got {
        self.try_send(method, target, headers, body).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> acr_core::Result<Got> {
        let uri = match target.starts_with('/') {
            true => format!("https://{HOST}{target}"),
            false => target.to_owned(),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.transport.clone().call(request).await?;
        let (head, body) = response.into_parts();
        let body = body.bytes(64 << 20).await?;
        Ok(Got { status: head.status.as_u16(), headers: head.headers, body })
    }

    /// Starts a session and gives its address.
    pub(crate) async fn start(&self, name: &str) -> String {
        let got = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], "").await;
        assert_eq!(got.status, 202, "{got:?}");
        got.location()
    }

    /// Pushes a blob in two requests.
    pub(crate) async fn push_blob(&self, name: &str, content: impl Into<Bytes>) -> Digest {
        let content = content.into();
        let digest = Digest::sha256(&content);
        let location = self.start(name).await;
        let got = self.send("PUT", &format!("{location}&digest={digest}"), &[], content).await;
        assert_eq!(got.status, 201, "{got:?}");
        digest
    }

    /// Pushes an image with one layer of this content.
    pub(crate) async fn push_image(&self, name: &str, tag: &str, layer: &'static str) -> Digest {
        let config = r#"{"architecture":"arm64","os":"linux"}"#;
        self.push_blob(name, config).await;
        self.push_blob(name, layer).await;
        let manifest = image(config, layer);
        let got = self.put_manifest(name, tag, OCI_MANIFEST, &manifest).await;
        assert_eq!(got.status, 201, "{got:?}");
        Digest::sha256(manifest.as_bytes())
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        manifest: &str,
    ) -> Got {
        let path = format!("/v2/{name}/manifests/{reference}");
        self.send("PUT", &path, &[("content-type", media_type)], manifest.to_owned()).await
    }
}

impl Got {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> String {
        self.header("location").to_owned()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// The manifest of an image with one layer.
pub(crate) fn image(config: &str, layer: &str) -> String {
    let (c, l) = (Digest::sha256(config.as_bytes()), Digest::sha256(layer.as_bytes()));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{c}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{l}","size":{}}}]}}"#,
        config.len(),
        layer.len()
    )
}

/// What a token says.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
