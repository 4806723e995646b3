//! Through a proxy: who gets which credential, and what an error says.

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

use std::{process::Command, time::Duration};

use acr_core::{ErrorKind, Proxy, TlsConfig, Transport, TransportBuilder};
use tower::ServiceExt as _;

use self::network::{Authority, OK, Server, Tunnels, all_text, get, read_head};

/// Resolved by the proxy only.
const HOST: &str = "registry.invalid";
const TARGET: &str = "registry.invalid:443";
const URI: &str = "https://registry.invalid/v2/";
const USER: &str = "canary-user";
const PASSWORD: &str = "canary-password";
/// `canary-user:canary-password`
const BASIC: &str = "Basic Y2FuYXJ5LXVzZXI6Y2FuYXJ5LXBhc3N3b3Jk";

/// Set in the process that a test starts.
const INSIDE: &str = "ACR_TEST_INSIDE";

struct World {
    authority: Authority,
    origin: Server,
}

impl World {
    async fn new() -> Self {
        let authority = Authority::new();
        let origin = Server::tls(authority.leaf(HOST).acceptor(), OK).await;
        Self { authority, origin }
    }

    fn tunnels(&self) -> Tunnels {
        Tunnels::to(&[(TARGET, self.origin.address)])
    }

    fn transport(&self, proxy: Proxy) -> Transport {
        TransportBuilder::new()
            .tls(TlsConfig::only_roots(&self.authority.pem()).unwrap())
            .connect_timeout(Duration::from_millis(500))
            .proxy(proxy)
            .build()
            .unwrap()
    }
}

fn without_secrets(text: &str) {
    for secret in [USER, PASSWORD, "Y2FuYXJ5", "what?", "Who are you"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn an_authenticating_proxy() {
    let world = World::new().await;
    let mut tunnels = world.tunnels();
    tunnels.authorization = Some(BASIC);
    let proxy = tunnels.start().await;
    let address = proxy.address;
    for user_info in ["", "canary-user:wrong@", "canary-user@", "x:canary-password@"] {
        let settings = Proxy::new(&format!("http://{user_info}{address}")).unwrap();
        without_secrets(&format!("{settings:?} {settings:#?}"));
        let builder = TransportBuilder::new().proxy(settings.clone());
        without_secrets(&format!("{builder:?} {builder:#?}"));
        let before = proxy.connections();
        let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Connect, "{text}");
        assert!(text.contains("answered 407: it wants a user and a password"), "{text}");
        assert!(text.contains(&format!("the proxy `{address}`")), "{text}");
        assert!(!error.is_retryable(), "{text}");
        without_secrets(&all_text(&error));
        assert_eq!(proxy.connections(), before + 1);
    }
    assert_eq!(world.origin.connections(), 0);

    let settings = Proxy::new(&format!("http://{USER}:{PASSWORD}@{address}")).unwrap();
    let transport = world.transport(settings);
    for _ in 0..3 {
        let response = transport.clone().oneshot(get(URI)).await.unwrap();
        assert_eq!(response.into_body().bytes(10).await.unwrap(), "ok");
    }
    assert_eq!(world.origin.connections(), 1, "the tunnel is kept");
    for head in world.origin.heads() {
        assert!(head.starts_with("GET /v2/ HTTP/1.1\r\n"), "{head}");
        assert!(!head.to_ascii_lowercase().contains("proxy"), "{head}");
        without_secrets(&head);
    }
    let asked = proxy.heads();
    let asked = asked.last().unwrap();
    assert!(
        asked
            .starts_with("CONNECT registry.invalid:443 HTTP/1.1\r\nHost: registry.invalid:443\r\n")
    );
}

#[tokio::test]
async fn d4_what_the_proxy_refuses_is_named() {
    let world = World::new().await;
    for (answer, words, retryable) in [
        ("HTTP/1.1 403 No\r\n\r\n", "answered 403: it does not allow this host", false),
        ("HTTP/1.1 502 No\r\n\r\n", "answered 502", true),
        ("HTTP/1.1 503 No\r\n\r\n", "answered 503", true),
        ("SSH-2.0-x\r\n\r\n", "not that of a proxy", false),
        ("HTTP/1.1 200 OK\r\n\r\ntoo early", "not that of a proxy", false),
        ("", "broke the connection", true),
        ("HTTP/1.1 301 Moved\r\nlocation: /\r\n\r\n", "answered 301, a redirect", false),
        ("HTTP/1.1 302 Moved\r\nlocation: https://canary-user/\r\n\r\n", "answered 302", false),
        ("HTTP/1.1 100 Continue\r\n\r\n", "answered 100 and no answer after it", false),
        ("HTTP/1.1 101 Switch\r\n\r\n", "answered 101", false),
        ("HTTP/1.1 407 No\r\n\r\n", "answered 407: it wants a user", false),
        ("HTTP/1.1 429 No\r\n\r\n", "answered 429", true),
        ("HTTP/1.1 451 No\r\n\r\n", "answered 451", false),
        ("HTTP/1.1 505 No\r\n\r\n", "answered 505", false),
        (
            "\x15\x03\x03\0\x02\x02\x16",
            "but TLS; if it is one, its URL begins with `https://`",
            false,
        ),
        ("garbage without an end", "not that of a proxy", false),
        ("HTTP/1.1 200 OK\r\n", "broke the connection", true),
    ] {
        let proxy = Server::start(move |mut socket, _| async move {
            read_head(&mut socket).await;
            tokio::io::AsyncWriteExt::write_all(&mut socket, answer.as_bytes()).await.unwrap();
        })
        .await;
        let settings = Proxy::new(&proxy.address.to_string()).unwrap();
        let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("the proxy"), "{error}");
        assert_eq!(error.is_retryable(), retryable, "{error}");
    }
}

/// Interim answers come before the one that counts.
#[tokio::test]
async fn d4_interim_answers_of_a_proxy_are_passed_over() {
    let world = World::new().await;
    let origin = world.origin.address;
    let proxy = Server::start(move |mut socket, _| async move {
        read_head(&mut socket).await;
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Go\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut socket, answer).await.unwrap();
        let mut origin = tokio::net::TcpStream::connect(origin).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut socket, &mut origin).await;
    })
    .await;
    let settings = Proxy::new(&proxy.address.to_string()).unwrap();
    let response = world.transport(settings).oneshot(get(URI)).await.unwrap();
    assert_eq!(response.status(), 200);

    // It promises an answer, and stays silent: asking again would not help.
    let silent = Server::start(|mut socket, _| async move {
        read_head(&mut socket).await;
        let answer = b"HTTP/1.1 102 Processing\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut socket, answer).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let settings = Proxy::new(&silent.address.to_string()).unwrap();
    let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
    assert!(error.to_string().contains("answered 102 and no answer after it"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_proxy_that_is_not_there_or_says_nothing() {
    let world = World::new().await;
    let silent = Server::start(|mut socket, _| async move {
        read_head(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    for (address, words) in [
        (silent.address, "the tunnel took longer than 500ms"),
        (socket.local_addr().unwrap(), "TCP failed"),
    ] {
        let settings = Proxy::new(&format!("http://{USER}:{PASSWORD}@{address}")).unwrap();
        let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("the proxy"), "{error}");
        assert!(error.is_retryable());
        without_secrets(&all_text(&error));
    }
}

#[tokio::test]
async fn a_proxy_behind_tls() {
    let world = World::new().await;
    let mut tunnels = world.tunnels();
    tunnels.authorization = Some(BASIC);
    tunnels.tls = Some(world.authority.leaf("127.0.0.1").acceptor());
    let proxy = tunnels.clone().start().await;
    let url = |address| format!("https://{USER}:{PASSWORD}@{address}");
    let settings = Proxy::new(&url(proxy.address)).unwrap();
    let response = world.transport(settings).oneshot(get(URI)).await.unwrap();
    assert_eq!(response.status(), 200);

    tunnels.tls = Some(Authority::new().leaf("127.0.0.1").acceptor());
    let proxy = tunnels.start().await;
    let settings = Proxy::new(&url(proxy.address)).unwrap();
    let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
    assert!(error.to_string().contains("the proxy"), "{error}");
    assert!(error.to_string().contains("authority is not trusted"), "{error}");
    assert!(!error.is_retryable());
    assert!(proxy.heads().is_empty(), "the password went to a stranger");
}

/// The certificate of the origin is checked, whoever carries the bytes.
#[tokio::test]
async fn a_proxy_cannot_answer_for_the_origin() {
    let world = World::new().await;
    let stranger = Server::tls(Authority::new().leaf(HOST).acceptor(), OK).await;
    let proxy = Tunnels::to(&[(TARGET, stranger.address)]).start().await;
    let settings = Proxy::new(&proxy.address.to_string()).unwrap();
    let error = world.transport(settings).oneshot(get(URI)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(!error.is_retryable());
    assert!(stranger.heads().is_empty());
}

#[tokio::test]
async fn what_is_excepted_goes_straight() {
    let authority = Authority::new();
    let origin = Server::tls(authority.leaf("127.0.0.1").acceptor(), OK).await;
    let plain = Server::plain(OK).await;
    let proxy = Tunnels::to(&[(&origin.address.to_string(), origin.address)]).start().await;
    let port = origin.address.port();
    for (list, through_proxy) in [
        ("", 1),
        ("127.0.0.0/8", 0),
        ("127.0.0.1", 0),
        ("*", 0),
        // As with curl: only names, addresses and networks.
        (&format!("127.0.0.1:{port}"), 1),
        ("example.com", 1),
    ] {
        let before = proxy.connections();
        let settings = Proxy::new(&proxy.address.to_string()).unwrap().no_proxy(list);
        let transport = TransportBuilder::new()
            .tls(TlsConfig::only_roots(&authority.pem()).unwrap())
            .proxy(settings)
            .build()
            .unwrap();
        let response = transport.clone().oneshot(get(&origin.https())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(proxy.connections() - before, through_proxy, "`{list}`");
        // Plain http is always direct.
        let response = transport.oneshot(get(&plain.http())).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(proxy.connections() - before, through_proxy, "`{list}`");
    }
}

/// An environment of a process cannot be changed safely, so the tests about it start
/// themselves with another one.
fn inside(test: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env_clear()
        .env(INSIDE, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    without_secrets(&text);
    let line = text.lines().find_map(|line| line.split_once("read: "));
    line.map(|(_, text)| text.to_owned()).unwrap_or(text)
}

#[test]
fn the_environment_is_read_when_asked() {
    if std::env::var_os(INSIDE).is_some() {
        println!("read: {:?}", Proxy::from_env());
        return;
    }
    for (variables, expected) in [
        (&[("HTTPS_PROXY", "http://canary-user:canary-password@p:1")][..], "\"p:1\""),
        (&[("https_proxy", "http://canary-user:canary-password@p:1")], "\"p:1\""),
        (&[("ALL_PROXY", "p:1"), ("NO_PROXY", "127.0.0.0/8")], "\"p:1\""),
        (&[("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")], "None"),
        (&[("HTTPS_PROXY", "socks5://canary-user:canary-password@p:1")], "SOCKS"),
        (&[], "None"),
    ] {
        let text = inside("the_environment_is_read_when_asked", variables);
        assert!(text.contains(expected), "{text}");
    }
}

/// The stack that nobody configured goes through the environment's proxy, unless told not to.
#[test]
fn c11_the_default_transport_honours_the_environment() {
    let name = "c11_the_default_transport_honours_the_environment";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(url) = std::env::var_os("ACR_TEST_URL") {
        let url = url.into_string().unwrap();
        let direct = std::env::var_os("ACR_TEST_DIRECT").is_some();
        let transport = match direct {
            false => Transport::rustls().unwrap(),
            true => TransportBuilder::new().no_proxy().build().unwrap(),
        };
        let error = runtime.block_on(transport.oneshot(get(&url))).unwrap_err();
        println!("read: {} {}", error.is_retryable(), all_text(&error));
        return;
    }
    let target = runtime.block_on(Server::start(|socket, _| async move { drop(socket) }));
    let proxy = runtime.block_on(Tunnels::to(&[]).start());
    let port = proxy.address.port();
    let plain = format!("http://{USER}:{PASSWORD}@127.0.0.1:{port}");
    let socks = format!("socks5h://{USER}:{PASSWORD}@127.0.0.1:{port}");
    let url = target.https();
    for (variables, proxied, direct, words) in [
        (&[("HTTPS_PROXY", plain.as_str())][..], 1, 0, "answered 502"),
        (&[("all_proxy", &plain)], 1, 0, "answered 502"),
        (&[("HTTPS_PROXY", &plain), ("NO_PROXY", "127.0.0.0/8")], 0, 1, "the handshake broke"),
        (&[("HTTPS_PROXY", &plain), ("ACR_TEST_DIRECT", "1")], 0, 1, "the handshake broke"),
        (&[("ALL_PROXY", &socks)], 0, 0, "SOCKS proxies are not supported"),
        (&[("ALL_PROXY", &socks), ("no_proxy", "*")], 0, 1, "the handshake broke"),
        (&[], 0, 1, "the handshake broke"),
    ] {
        let before = (proxy.connections(), target.connections());
        let variables = [variables, &[("ACR_TEST_URL", url.as_str())]].concat();
        let text = inside(name, &variables);
        let after = (proxy.connections(), target.connections());
        assert!(text.contains(words), "{text}");
        assert_eq!((after.0 - before.0, after.1 - before.1), (proxied, direct), "{text}");
        // A proxy that cannot be used does not become usable.
        assert_eq!(text.starts_with("true"), !words.contains("SOCKS"), "{text}");
    }
}
