//! From the files that login commands leave to a registry's answer, over TLS on loopback.

#![cfg(all(feature = "docker-config", any(feature = "aws-lc-rs", feature = "ring")))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may stop at the first surprise")]

use std::{
    ffi::OsString,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use acr_auth::{AuthLayer, Credential, DockerConfig};
use acr_core::{
    Endpoint, Error, ErrorKind, Pipeline, Scope, TlsConfig, Transport, TransportBuilder,
    http::{Body, Effect, Request, RequestBuilder, response},
};
use acr_testkit::{FakeRegistry, Kind, Server, Tls};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, StatusCode};
use tempfile::TempDir;
use tower::{ServiceExt as _, service_fn};

async fn list(server: &Server, credential: Credential) -> Result<(), Error> {
    let tls = TlsConfig::only_roots(server.ca_pem().unwrap().as_bytes())?;
    let transport = TransportBuilder::new().no_proxy().tls(tls).build()?;
    let endpoint = server.endpoint();
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(&endpoint, credential))
        .build()?;
    let request = RequestBuilder::new(Method::GET, &endpoint, &["acr", "v1", "_catalog"])
        .scope(Scope::catalog())
        .effect(Effect::Read)
        .build()?;
    response::expect(pipeline.send(request).await?, &[StatusCode::OK]).await.map(drop)
}

/// A refresh token, as `az acr login` gets it.
async fn refresh_token(registry: &FakeRegistry) -> String {
    let endpoint = registry.endpoint();
    let form = format!(
        "grant_type=access_token&service={}&access_token={}",
        endpoint.authority(),
        registry.entra_token()
    );
    let request = http::Request::post(endpoint.uri("/oauth2/exchange").unwrap())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .unwrap();
    let answer = registry.transport().oneshot(request).await.unwrap();
    let answer = answer.into_body().bytes(1 << 16).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer.get("refresh_token").and_then(serde_json::Value::as_str).unwrap().to_owned()
}

/// The user that a credential signs in as: what the token service is told.
async fn user_of(endpoint: &Endpoint, credential: Credential) -> String {
    let told = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&told);
    let transport = Transport::new(service_fn(move |request: Request| {
        let seen = Arc::clone(&seen);
        async move {
            if request.uri().path() == "/oauth2/token" {
                let form = request.into_body().bytes(1 << 16).await?;
                let form = String::from_utf8(form.to_vec()).unwrap();
                let user = form.split('&').find_map(|pair| pair.strip_prefix("username="));
                *seen.lock().unwrap() = user.map(str::to_owned);
            }
            Ok::<_, Error>(http::Response::new(Body::from(r#"{"access_token":"a"}"#)))
        }
    }));
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .layer_per_hop(AuthLayer::new(endpoint, credential))
        .build()
        .unwrap();
    let request = RequestBuilder::new(Method::GET, endpoint, &["acr", "v1", "_catalog"])
        .scope(Scope::catalog())
        .effect(Effect::Read)
        .build()
        .unwrap();
    pipeline.send(request).await.unwrap();
    let user = told.lock().unwrap().take();
    user.unwrap()
}

fn write(path: &Path, json: &serde_json::Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, json.to_string()).unwrap();
}

fn read(folder: &Path, json: &serde_json::Value) -> DockerConfig {
    let path = folder.join("config.json");
    write(&path, json);
    DockerConfig::from_file(path).unwrap()
}

#[tokio::test]
async fn docker_logins_file_lists_repositories() {
    let registry = FakeRegistry::builder().user("tester", "p:ss").build();
    let server = registry.serve(Tls::On).await.unwrap();
    let endpoint = server.endpoint();
    let folder = TempDir::new().unwrap();
    let auths = |key: &str| {
        let entry = serde_json::json!({ "auth": STANDARD.encode("tester:p:ss") });
        serde_json::json!({ "auths": { key: entry } })
    };
    for key in [endpoint.authority().to_owned(), format!("https://{}/v1/", endpoint.authority())] {
        let config = read(folder.path(), &auths(&key));
        let credential = config.credential_for(&endpoint).await.unwrap().unwrap();
        list(&server, credential).await.unwrap();
    }
    assert_eq!(registry.journal().count(Kind::Token), 2);
    assert_eq!(registry.journal().count(Kind::Challenge), 0);
    // The same host at another port is another server.
    for key in [endpoint.host().to_owned(), format!("{}:1", endpoint.host())] {
        let config = read(folder.path(), &auths(&key));
        assert!(config.credential_for(&endpoint).await.unwrap().is_none(), "{key}");
    }
}

#[tokio::test]
async fn az_acr_logins_file_lists_repositories() {
    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::On).await.unwrap();
    let endpoint = server.endpoint();
    let folder = TempDir::new().unwrap();
    let json = serde_json::json!({ "auths": { endpoint.authority(): {
        "auth": STANDARD.encode("00000000-0000-0000-0000-000000000000:"),
        "identitytoken": refresh_token(&registry).await,
    }}});
    let config = read(folder.path(), &json);
    registry.journal().clear();
    list(&server, config.credential_for(&endpoint).await.unwrap().unwrap()).await.unwrap();
    assert_eq!(registry.journal().count(Kind::Exchange), 0);
    assert_eq!(registry.journal().count(Kind::Token), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_credential_helpers_identity_token_lists_repositories() {
    use std::os::unix::fs::PermissionsExt as _;

    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::On).await.unwrap();
    let endpoint = server.endpoint();
    let folder = TempDir::new().unwrap();
    // Answers for this server only.
    let (authority, token) = (endpoint.authority(), refresh_token(&registry).await);
    let script = format!(
        "#!/bin/sh\n[ \"$1 $(cat)\" = 'get {authority}' ] || exit 2\n\
         printf '{{\"ServerURL\":\"{authority}\",\"Username\":\"<token>\",\"Secret\":\"{token}\"}}'\n"
    );
    // No other test of this program starts one, so nothing can hold the file open.
    for (name, script) in [("test", script.as_str()), ("hanging", "#!/bin/sh\nexec sleep 20\n")] {
        let program = folder.path().join(format!("docker-credential-{name}"));
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let wrong = serde_json::json!({ "auth": STANDARD.encode("tester:wrong") });
    registry.journal().clear();
    for settings in [
        serde_json::json!({ "credHelpers": { authority: "test" }, "credsStore": "absent" }),
        serde_json::json!({ "credsStore": "test", "auths": { authority: wrong } }),
    ] {
        let config = read(folder.path(), &settings).helper_path(folder.path());
        list(&server, config.credential_for(&endpoint).await.unwrap().unwrap()).await.unwrap();
    }
    assert_eq!(registry.journal().count(Kind::Exchange), 0);
    assert_eq!(registry.journal().count(Kind::Token), 2);

    let settings = serde_json::json!({ "credsStore": "hanging" });
    let config = read(folder.path(), &settings).helper_path(folder.path());
    let error = config
        .helper_timeout(Duration::from_millis(1))
        .credential_for(&endpoint)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);

    let settings = serde_json::json!({ "credHelpers": { authority: "absent" } });
    let config = read(folder.path(), &settings).helper_path(folder.path());
    let error = config.credential_for(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    let text = error.to_string();
    assert!(text.contains(&format!("`credHelpers` of `{authority}`")), "{text}");
    assert!(text.contains("`docker-credential-absent` is not installed"), "{text}");
}

#[tokio::test]
async fn the_first_file_with_a_login_for_the_server_decides() {
    let home = TempDir::new().unwrap();
    let at = |user: &str, server: &str| {
        let entry = serde_json::json!({ "auth": STANDARD.encode(format!("{user}:x")) });
        serde_json::json!({ "auths": { server: entry } })
    };
    write(&home.path().join("run/containers/auth.json"), &at("podman", "a.io"));
    write(&home.path().join(".config/containers/auth.json"), &at("config", "b.io"));
    let both = serde_json::json!({ "auths": {
        "a.io": { "auth": STANDARD.encode("docker:x") },
        "c.io": { "auth": STANDARD.encode("docker:x") },
    }});
    write(&home.path().join(".docker/config.json"), &both);
    write(&home.path().join("other/config.json"), &at("other", "a.io"));
    let folder = home.path().to_owned();
    let load = move |variables: &[&str]| {
        DockerConfig::load_from(|name| {
            let path = match name {
                _ if !variables.contains(&name) => return None,
                "HOME" | "USERPROFILE" => folder.clone(),
                "XDG_RUNTIME_DIR" => folder.join("run"),
                "DOCKER_CONFIG" => folder.join("other"),
                "REGISTRY_AUTH_FILE" => folder.join("absent.json"),
                _ => return None,
            };
            Some(OsString::from(path))
        })
        .unwrap()
    };
    let user = async |config: &DockerConfig, server: &str| {
        let endpoint: Endpoint = server.parse().unwrap();
        match config.credential_for(&endpoint).await.unwrap() {
            Some(credential) => Some(user_of(&endpoint, credential).await),
            None => None,
        }
    };
    let all = load(&["HOME", "USERPROFILE", "XDG_RUNTIME_DIR"]);
    for (server, expected) in [
        ("a.io", Some("podman")),
        ("b.io", Some("config")),
        ("c.io", Some("docker")),
        ("d.io", None),
    ] {
        assert_eq!(user(&all, server).await.as_deref(), expected, "{server}");
    }
    let docker = load(&["HOME", "USERPROFILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"]);
    assert_eq!(user(&docker, "a.io").await.as_deref(), Some("other"));
    assert_eq!(user(&docker, "c.io").await, None);
    let named = load(&["HOME", "USERPROFILE", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE"]);
    assert_eq!(user(&named, "a.io").await, None, "a named file that is not there holds nothing");
    assert_eq!(user(&load(&[]), "a.io").await, None);
}

#[test]
fn a_named_file_must_be_there_and_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    let error = DockerConfig::from_file(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credential);
    assert!(error.to_string().ends_with("config.json` does not exist"), "{error}");
    fs::write(&path, r#"{"auths":{"a.io":{"auth":"canary}}"#).unwrap();
    let variable = |name: &str| (name == "DOCKER_CONFIG").then(|| folder.path().into());
    for error in [DockerConfig::from_file(&path), DockerConfig::load_from(variable)] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        let text = format!("{error} {error:?}");
        assert!(text.contains("config.json` is no Docker configuration: line 1"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let folder = TempDir::new().unwrap();
    let json = serde_json::json!({ "auths": {
        "a.io": { "auth": STANDARD.encode("user:canary") },
        "b.io": { "identitytoken": "canary", "password": "canary", "username": "u" },
        "c.io": { "registrytoken": "canary" },
    }});
    let config = read(folder.path(), &json);
    let mut text = format!("{config:?}");
    for server in ["a.io", "b.io", "c.io"] {
        let found = config.credential_for(&server.parse().unwrap()).await;
        assert_eq!(found.is_err(), server == "c.io");
        text += &format!("{found:?}");
    }
    assert!(!text.contains("canary") && !text.contains(&STANDARD.encode("user:canary")), "{text}");
}
