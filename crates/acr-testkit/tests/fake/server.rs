//! The registry on loopback, asked by hyper alone.

use std::{io, net::SocketAddr, sync::Arc};

use acr_core::{Digest, Endpoint, http::Body};
use acr_testkit::{Anonymous, FakeRegistry, Fault, Operation, Tls, TlsFault};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Got = (u16, HeaderMap, Result<Bytes, hyper::Error>);

/// One request on one connection.
async fn send(
    endpoint: &Endpoint,
    ca: Option<&str>,
    request: Request<Body>,
) -> Result<Got, Failure> {
    Box::pin(connect(endpoint, ca, request)).await
}

async fn connect(
    endpoint: &Endpoint,
    ca: Option<&str>,
    request: Request<Body>,
) -> Result<Got, Failure> {
    let stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
    let Some(ca) = ca else {
        return exchange(TokioIo::new(stream), request).await;
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host().to_owned())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Box::pin(exchange(TokioIo::new(stream), request)).await
}

async fn exchange<S>(stream: S, request: Request<Body>) -> Result<Got, Failure>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes);
    Ok((head.status.as_u16(), head.headers, body))
}

fn request(
    method: &str,
    endpoint: &Endpoint,
    target: &str,
    token: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request =
        Request::builder().method(method).uri(target).header("host", endpoint.authority());
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if method == "POST" && target.starts_with("/oauth2/") {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    request.body(body.into()).unwrap()
}

async fn token(
    endpoint: &Endpoint,
    ca: Option<&str>,
    registry: &FakeRegistry,
    scope: &str,
) -> String {
    let service = endpoint.authority();
    let field = |body: Bytes, name: &str| {
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        json[name].as_str().unwrap().to_owned()
    };
    let form = format!(
        "grant_type=access_token&service={service}&access_token={}",
        registry.entra_token()
    );
    let sent = send(endpoint, ca, request("POST", endpoint, "/oauth2/exchange", "", form)).await;
    let refresh = field(sent.unwrap().2.unwrap(), "refresh_token");
    let form =
        format!("grant_type=refresh_token&service={service}&scope={scope}&refresh_token={refresh}");
    let (_, headers, body) =
        send(endpoint, ca, request("POST", endpoint, "/oauth2/token", "", form)).await.unwrap();
    assert_eq!(headers["transfer-encoding"], "chunked");
    field(body.unwrap(), "access_token")
}

/// Pushes a large blob in one body and pulls it through the redirect.
async fn round_trip(tls: Tls) {
    let registry = FakeRegistry::new();
    let server = registry.serve(tls).await.unwrap();
    let (endpoint, ca) = (server.endpoint(), server.ca_pem().map(str::to_owned));
    let ca = ca.as_deref();
    let token = token(&endpoint, ca, &registry, "repository:a:pull,push").await;
    let (status, headers, _) =
        send(&endpoint, ca, request("POST", &endpoint, "/v2/a/blobs/uploads/", &token, ""))
            .await
            .unwrap();
    assert_eq!(status, 202);
    let location = headers["location"].to_str().unwrap().to_owned();
    let content = Bytes::from(vec![9u8; 5_000_000]);
    let digest = Digest::sha256(&content);
    let target = format!("{location}&digest={digest}");
    let (status, _, _) =
        send(&endpoint, ca, request("PUT", &endpoint, &target, &token, content.clone()))
            .await
            .unwrap();
    assert_eq!(status, 201);
    let path = format!("/v2/a/blobs/{digest}");
    let (status, headers, _) =
        send(&endpoint, ca, request("GET", &endpoint, &path, &token, "")).await.unwrap();
    assert_eq!(status, 307);
    let storage = server.storage_endpoint();
    let link = headers["location"].to_str().unwrap();
    let target = link.strip_prefix(server.storage_url()).unwrap().to_owned();
    let (status, _, body) =
        send(&storage, ca, request("GET", &storage, &target, "", "")).await.unwrap();
    assert_eq!((status, Digest::sha256(&body.unwrap())), (200, digest));
    let (status, _, _) =
        send(&storage, ca, request("GET", &storage, &target, &token, "")).await.unwrap();
    assert_eq!(status, 400);

    registry.inject(Fault::truncate(Operation::GetStorage, 1_000_000));
    let sent = send(&storage, ca, request("GET", &storage, &target, "", "")).await.unwrap();
    assert!(sent.2.is_err(), "the connection breaks in the body");
    for fault in [Fault::lose_response(Operation::Ping), Fault::drop_request(Operation::Ping)] {
        registry.inject(fault);
        let ping = request("GET", &endpoint, "/v2/", &token, "");
        assert!(send(&endpoint, ca, ping).await.is_err(), "the connection breaks");
    }
    let ping = request("GET", &endpoint, "/v2/", &token, "");
    assert_eq!(send(&endpoint, ca, ping).await.unwrap().2.unwrap(), "{}");
    server.shutdown().await;
    let ping = request("GET", &endpoint, "/v2/", &token, "");
    assert!(send(&endpoint, ca, ping).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_round_trip_with_tls() {
    round_trip(Tls::On).await;
}

#[tokio::test]
async fn a_round_trip_without_tls() {
    round_trip(Tls::Off).await;
}

#[tokio::test]
async fn the_challenge_names_the_address_that_was_used() {
    let registry = FakeRegistry::builder().anonymous(Anonymous::Pull).build();
    let server = registry.serve(Tls::Off).await.unwrap();
    let endpoint = server.endpoint();
    let port = endpoint.port();
    for (host, named) in [
        (format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")),
        (format!("localhost:{port}"), format!("localhost:{port}")),
        ("evil.example".to_owned(), format!("127.0.0.1:{port}")),
        (format!("evil.example:{port}"), format!("127.0.0.1:{port}")),
    ] {
        let mut ping = request("GET", &endpoint, "/v2/", "", "");
        ping.headers_mut().insert("host", host.parse().unwrap());
        let (status, headers, _) = send(&endpoint, None, ping).await.unwrap();
        assert_eq!(status, 401);
        let expected = format!("Bearer realm=\"http://{named}/oauth2/token\",service=\"{named}\"");
        assert_eq!(headers["www-authenticate"], expected);
    }
}

#[tokio::test]
async fn a_body_without_rights_is_read_but_not_applied() {
    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::Off).await.unwrap();
    let endpoint = server.endpoint();
    let body = Bytes::from(vec![1u8; 3_000_000]);
    let put = request("PATCH", &endpoint, "/v2/a/blobs/uploads/u", "", body);
    let (status, _, body) = send(&endpoint, None, put).await.unwrap();
    assert_eq!(status, 401);
    assert!(body.unwrap().starts_with(b"{\"errors\""));
    assert_eq!(registry.journal().entries()[0].body_bytes, 3_000_000);
}

#[tokio::test]
async fn only_loopback_is_served() {
    let registry = FakeRegistry::new();
    for address in ["0.0.0.0:0", "10.0.0.1:0", "[::]:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = registry.serve_on(address, Tls::Off).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn tls_goes_wrong_as_told() {
    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::On).await.unwrap();
    let ask = || async {
        let endpoint = server.endpoint();
        let request = Request::get("/v2/").header("host", endpoint.authority());
        let request = request.body(Body::empty()).unwrap();
        send(&endpoint, server.ca_pem(), request).await
    };
    assert_eq!(ask().await.unwrap().0, 401);
    for (kind, part) in [
        (TlsFault::WrongName, "NotValidForName"),
        (TlsFault::Expired, "expired"),
        (TlsFault::UnknownAuthority, "UnknownIssuer"),
        (TlsFault::Garbage, "corrupt"),
    ] {
        registry.inject(Fault::tls(kind));
        let error = ask().await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(part), "{kind:?}: {text}");
    }
    assert_eq!(ask().await.unwrap().0, 401);
    assert_eq!(registry.pending_faults(), 0);
}
