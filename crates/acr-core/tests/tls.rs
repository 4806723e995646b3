//! Real handshakes: whom the transport trusts, what it shows of itself, what it says when
//! there is no connection.

#![cfg(feature = "_transport")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod network;

use std::{sync::Arc, time::Duration};

use acr_core::{
    CallOptions, Endpoint, Error, ErrorKind, Pipeline, TlsConfig, Transport, TransportBuilder,
    http::{Body, Effect, Operation, RequestBuilder},
};
use http::Method;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use self::network::{Authority, Leaf, OK, Server, all_text, get};

fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::only_roots(&authority.pem()).unwrap()
}

fn transport(tls: TlsConfig) -> Transport {
    TransportBuilder::new().no_proxy().tls(tls).build().unwrap()
}

async fn status(transport: Transport, uri: &str) -> Result<u16, Error> {
    let response = transport.oneshot(get(uri)).await?;
    let status = response.status().as_u16();
    assert_eq!(response.into_body().bytes(10).await?, "ok");
    Ok(status)
}

#[tokio::test]
async fn a_trusted_server_is_reached() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    let other = Authority::new();
    for tls in [
        trusting(&authority),
        trusting(&other).add_roots(&authority.pem()).unwrap(),
        TlsConfig::only_roots(&[other.pem(), authority.pem()].concat()).unwrap(),
        // The platform's authorities, and one more.
        TlsConfig::new().add_roots(&authority.pem()).unwrap(),
        #[cfg(feature = "webpki-roots")]
        TlsConfig::webpki_roots().add_roots(&authority.pem()).unwrap(),
    ] {
        assert_eq!(status(transport(tls), &server.https()).await.unwrap(), 200);
    }
    let sent = server.heads();
    assert!(sent[0].starts_with("GET /v2/ HTTP/1.1\r\n"), "{}", sent[0]);
}

#[tokio::test]
async fn an_untrusted_server_is_refused_once_and_for_all() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ip = "127.0.0.1";
    for (leaf, words) in [
        (authority.leaf("other.example"), "for another name"),
        (authority.leaf("127.0.0.2"), "for another name"),
        (authority.leaf_between(ip, 2020, 2021), "has expired"),
        (authority.leaf_between(ip, 2090, 2091), "not valid yet"),
        (stranger.leaf(ip), "authority is not trusted"),
    ] {
        let server = Server::tls(leaf.acceptor(), OK).await;
        let endpoint: Endpoint = server.address.to_string().parse().unwrap();
        let pipeline =
            Pipeline::builder(endpoint).transport(transport(trusting(&authority))).build().unwrap();
        let request = RequestBuilder::new(Method::GET, pipeline.endpoint(), &["v2", ""])
            .operation(Operation::new("ping"))
            .effect(Effect::Read)
            .build()
            .unwrap();
        let error = pipeline.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("TLS"), "{error}");
        assert!(!error.is_retryable(), "{error}");
        assert!(error.is_unsent());
        assert_eq!(error.attempts(), 1);
        assert_eq!(server.connections(), 1, "the handshake was tried again");
        assert!(server.heads().is_empty());
    }
}

/// The first line says what is wrong with whom, and what one can do.
#[tokio::test]
async fn c10_a_certificate_that_is_refused_is_told_with_the_remedy() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let ip = "127.0.0.1";
    for (leaf, words) in [
        (authority.leaf("other.example"), &["for another name", "is the host right?"][..]),
        (authority.leaf_between(ip, 2020, 2021), &["has expired", "clock"]),
        (authority.leaf_between(ip, 2090, 2091), &["not valid yet", "clock"]),
        (
            stranger.leaf(ip),
            &["not trusted", "self-signed", "`TlsConfig::add_roots`", "SSL_CERT_FILE"],
        ),
        (Leaf::self_signed(ip, false), &["self-signed", "`TlsConfig::add_roots`", "SSL_CERT_FILE"]),
        (Leaf::self_signed(ip, true), &["self-signed", "`TlsConfig::add_roots`", "SSL_CERT_FILE"]),
    ] {
        for trusted in [vec![], leaf.pem()] {
            let server = Server::tls(leaf.acceptor(), OK).await;
            let mut tls = trusting(&authority);
            // An authority's own certificate is no server's, however much it is trusted.
            if !trusted.is_empty() {
                tls = tls.add_roots(&trusted).unwrap();
            }
            let Err(error) = status(transport(tls), &server.https()).await else {
                assert!(!trusted.is_empty(), "{words:?}");
                continue;
            };
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("no connection to `{}`: TLS", server.address)),
                "{text}"
            );
            if trusted.is_empty() {
                assert!(words.iter().all(|word| text.contains(word)), "{text}");
            }
            assert!(!text.contains("not valid:"), "{text}");
            assert_eq!(error.kind(), ErrorKind::Connect);
            assert!(!error.is_retryable(), "{text}");
        }
    }
}

/// Trying again does not make TLS out of something else.
#[tokio::test]
async fn d4_what_does_not_speak_tls_is_named_and_not_asked_again() {
    let authority = Authority::new();
    for (answer, words) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak TLS; is the port right?"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak TLS"),
        (b"\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00", "does not keep to TLS"),
        (b"\x17\x03\x03\x00\x02\x00\x00", "does not keep to TLS"),
    ] {
        let server = Server::start(move |mut socket, _| async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, answer).await;
            std::future::pending::<()>().await;
        })
        .await;
        let transport = transport(trusting(&authority));
        let error = transport.oneshot(get(&server.https())).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(text.contains(&server.address.to_string()), "{text}");
        assert!(!error.is_retryable(), "{text}");
    }
}

#[tokio::test]
async fn only_the_roots_given_are_trusted() {
    let authority = Authority::new();
    let server = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    for tls in [
        trusting(&Authority::new()),
        TlsConfig::new().add_roots(&Authority::new().pem()).unwrap(),
        #[cfg(feature = "webpki-roots")]
        TlsConfig::webpki_roots(),
    ] {
        let error = status(transport(tls), &server.https()).await.unwrap_err();
        assert!(error.to_string().contains("not trusted"), "{error}");
    }
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let server_leaf = servers.leaf("127.0.0.1");
    let (good, bad) = (clients.leaf("client"), Authority::new().leaf("client"));
    for version in [&TLS12, &TLS13] {
        let config = server_leaf.server(Some(&clients), &[version]);
        let server = Server::tls(TlsAcceptor::from(Arc::new(config)), OK).await;
        let tls = trusting(&servers);
        let with = |leaf: &Leaf| {
            let tls = tls.clone();
            transport(tls.client_certificate(&leaf.pem(), &leaf.key_pem()).unwrap())
        };
        assert_eq!(status(with(&good), &server.https()).await.unwrap(), 200);

        for (transport, words) in [
            (transport(tls.clone()), "client certificate"),
            (with(&bad), "refuses the client certificate"),
        ] {
            let error = status(transport, &server.https()).await.unwrap_err();
            let what = format!("{version:?}: {}", all_text(&error));
            assert_eq!(error.kind(), ErrorKind::Connect, "{what}");
            assert!(!error.is_retryable(), "{what}");
            // TLS 1.2 has one alert for both.
            let handshake = "refuses the handshake";
            let text = error.to_string();
            assert!(text.contains(words) || text.contains(handshake), "{what}");
        }
        assert_eq!(server.heads().len(), 1);
    }
}

#[test]
fn bad_settings_are_errors_of_the_constructor() {
    let authority = Authority::new();
    let (one, two) = (authority.leaf("a"), authority.leaf("b"));
    let garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let client = |chain: &[u8], key: &[u8]| TlsConfig::new().client_certificate(chain, key);
    for (what, result) in [
        ("nothing", TlsConfig::only_roots(b"")),
        ("text", TlsConfig::only_roots(b"no certificate")),
        ("garbage", TlsConfig::only_roots(garbage)),
        ("key as root", TlsConfig::only_roots(&one.key_pem())),
        ("added garbage", TlsConfig::new().add_roots(garbage)),
        ("no chain", client(b"", &one.key_pem())),
        ("no key", client(&one.pem(), b"")),
        ("certificate as key", client(&one.pem(), &one.pem())),
        ("broken key", client(&one.pem(), broken)),
        ("key of another", client(&one.pem(), &two.key_pem())),
    ] {
        let error = result.err().unwrap_or_else(|| panic!("{what} passed"));
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}");
        assert!(!all_text(&error).contains("AAAA"), "{what}");
    }
}

#[test]
fn no_debug_output_shows_the_key() {
    let leaf = Authority::new().leaf("client");
    let tls = TlsConfig::new().client_certificate(&leaf.pem(), &leaf.key_pem()).unwrap();
    let builder = TransportBuilder::new().no_proxy().tls(tls.clone());
    let text = format!("{tls:?} {tls:#?} {builder:?} {builder:#?}");
    let key = String::from_utf8(leaf.key_pem()).unwrap();
    for line in key.lines() {
        assert!(!text.contains(line), "{text}");
    }
    let der = leaf.key.serialize_der();
    assert!(!text.contains(&format!("{:?}", &der[..16]).replace(['[', ']'], "")));
    assert!(text.contains("client_certificate: true"));
}

#[tokio::test]
async fn every_phase_names_itself() {
    let transport = TransportBuilder::new()
        .no_proxy()
        .connect_timeout(Duration::from_millis(200))
        .tls(trusting(&Authority::new()))
        .build()
        .unwrap();
    // The socket is bound, so nobody else gets the port, but nobody listens.
    let silent = tokio::net::TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let closed = silent.local_addr().unwrap();
    let stalled = Server::start(|socket, _| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let hasty = Server::start(|socket, _| async move { drop(socket) }).await;
    // Longer than a label may be: every resolver refuses it without asking anyone.
    let no_name = format!("http://{}.invalid/", "a".repeat(64));
    for (uri, words) in [
        (no_name, "name resolution failed: "),
        (format!("https://{closed}/"), "TCP failed: the connection was refused"),
        (stalled.https(), "TLS took longer than 200ms"),
        (hasty.https(), "TLS failed: the handshake broke"),
    ] {
        let error = transport.clone().oneshot(get(&uri)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains(words), "{error} instead of {words}");
        assert!(error.is_retryable() && error.is_unsent(), "{error}");
    }
}

#[tokio::test]
async fn only_the_endpoint_gets_the_client_certificate_whatever_it_redirects_to() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let leaf = clients.leaf("client");
    let tls = trusting(&servers).client_certificate(&leaf.pem(), &leaf.key_pem()).unwrap();
    let transport = transport(tls);
    // It takes no connection without a certificate of ours.
    let demanding = servers.leaf("127.0.0.1").server(Some(&clients), rustls::ALL_VERSIONS);
    let storage = Server::tls(TlsAcceptor::from(Arc::new(demanding)), OK).await;
    let head = format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\n", storage.https());
    let registry = Server::tls(servers.leaf("127.0.0.1").acceptor(), head.leak()).await;
    assert_eq!(status(transport.clone(), &storage.https()).await.unwrap(), 200, "as the endpoint");
    let endpoint: Endpoint = registry.address.to_string().parse().unwrap();
    let pipeline = Pipeline::builder(endpoint.clone())
        .transport(transport)
        .retry(acr_core::layer::RetryPolicy::default().retries(0))
        .build()
        .unwrap();
    let request = RequestBuilder::new(Method::GET, &endpoint, &["v2"]).effect(Effect::Read);
    let sent = pipeline.send(request.follow_redirects().build().unwrap()).await;
    assert!(sent.is_err(), "the neighbour saw the certificate");
}

#[tokio::test]
async fn headers_of_more_than_64_kib_are_refused() {
    let transport = transport(trusting(&Authority::new()));
    for (size, kind) in [(65_000, None), (66_000, Some(ErrorKind::TooLarge))] {
        let head = format!("HTTP/1.1 200 OK\r\nx-padding: {}\r\n", "a".repeat(size));
        let server = Server::plain(head.leak()).await;
        let answer = status(transport.clone(), &server.http()).await;
        assert_eq!(answer.err().map(|error| error.kind()), kind, "{size}");
    }
}

#[tokio::test]
async fn a_call_can_wait_for_its_connection_for_less_time_than_its_client() {
    let authority = Authority::new();
    let transport = transport(trusting(&authority));
    let stalled = Server::start(|socket, _| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let limit = Duration::from_millis(150);
    let mut request = get(&stalled.https());
    request.extensions_mut().insert(CallOptions::new().connect_timeout(limit));
    let error = transport.clone().oneshot(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    assert!(error.to_string().contains("within the call's 150ms"), "{error}");
    assert!(error.is_retryable() && error.is_unsent());

    // Once connected, the limit is over: this answer comes when the limit has passed.
    let passed = Arc::new(tokio::sync::Notify::new());
    let release = Arc::clone(&passed);
    let slow = Server::start(move |mut socket, _| {
        let passed = Arc::clone(&passed);
        async move {
            passed.notified().await;
            let answer = format!("{OK}content-length: 0\r\n\r\n");
            let _ = socket.write_all(answer.as_bytes()).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let mut request = get(&slow.http());
    request.extensions_mut().insert(CallOptions::new().connect_timeout(limit));
    let mut call = Box::pin(transport.oneshot(request));
    assert!(tokio::time::timeout(2 * limit, &mut call).await.is_err(), "still waiting");
    release.notify_one();
    assert_eq!(call.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_body_that_fails_keeps_its_kind() {
    let server = Server::plain(OK).await;
    let broken = futures_util::stream::iter([
        Ok(http_body::Frame::data(bytes::Bytes::from_static(b"a"))),
        Err(Error::new(ErrorKind::Source, "the disk is gone")),
    ]);
    let body = Body::stream(http_body_util::StreamBody::new(broken));
    let request = network::post(&server.http(), Effect::Append, body);
    let error = transport(trusting(&Authority::new())).oneshot(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
}
