//! Everything goes through Debian's `tinyproxy`: sign-in, upload, redirect, download.
#![cfg(feature = "servers")]

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::BlobClient;
use acr_core::{ErrorKind, Pipeline, Proxy, TlsConfig, TransportBuilder, layer::RetryPolicy};
use acr_interop::ProxyProcess;
use acr_testkit::{FakeRegistry, Server, Tls};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const USER: &str = "tester";
const PASSWORD: &str = "pr0xy-canary";

fn client(registry: &FakeRegistry, server: &Server, proxy: Proxy) -> Result<BlobClient> {
    let roots = TlsConfig::only_roots(server.ca_pem().unwrap_or_default().as_bytes())?;
    let transport = TransportBuilder::new().tls(roots).proxy(proxy).build()?;
    let token = registry.entra_token();
    let source = credential_fn(move |_| {
        let expiry = SystemTime::now() + Duration::from_secs(3600);
        let token = AccessToken::new(token.clone(), expiry);
        async move { Ok(token) }
    });
    let endpoint = server.endpoint();
    let auth = AuthLayer::new(&endpoint, Credential::entra(source)).trust_entra_for("127.0.0.1");
    let pipeline = Pipeline::builder(endpoint)
        .transport(transport)
        .retry(RetryPolicy::default().retries(0))
        .layer_per_hop(auth)
        .build()?;
    Ok(BlobClient::new(pipeline, "library/app".parse()?))
}

#[tokio::test]
async fn a_whole_transfer_goes_through_an_authenticating_proxy() -> Result {
    let (registry, proxy) = (FakeRegistry::new(), ProxyProcess::start(USER, PASSWORD).await?);
    let server = registry.serve(Tls::On).await?;
    let through = Proxy::new(&format!("http://{USER}:{PASSWORD}@{}", proxy.address()))?;
    let blobs = client(&registry, &server, through)?;
    let content = vec![7u8; 3_000_000];
    let info = blobs.upload(content.clone()).chunk_size(1 << 20).await?;
    let back = blobs.download(&info.digest).await?.bytes(1 << 22).await?;
    assert_eq!(back, content);
    // One tunnel to the registry, one to the storage behind the redirect.
    assert!(proxy.tunnels()? >= 2, "{} tunnels", proxy.tunnels()?);
    server.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_refused_password_is_a_clear_error_and_never_printed() -> Result {
    let (registry, proxy) = (FakeRegistry::new(), ProxyProcess::start(USER, "other").await?);
    let server = registry.serve(Tls::On).await?;
    for user in [format!("{USER}:{PASSWORD}@"), String::new()] {
        let through = Proxy::new(&format!("http://{user}{}", proxy.address()))?;
        let Err(error) = client(&registry, &server, through)?.upload(vec![1]).await else {
            return Err("the proxy let a stranger through".into());
        };
        assert_eq!(error.kind(), ErrorKind::Connect);
        let mut text = format!("{error} {error:?}");
        let mut source = Error::source(&error);
        while let Some(cause) = source {
            text.push_str(&format!(" {cause} {cause:?}"));
            source = cause.source();
        }
        assert!(text.contains("proxy"), "{text}");
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(registry.journal().entries().is_empty());
    server.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn a_host_on_the_list_goes_past_the_proxy() -> Result {
    let (registry, proxy) = (FakeRegistry::new(), ProxyProcess::start(USER, PASSWORD).await?);
    let server = registry.serve(Tls::On).await?;
    let past = Proxy::new(&format!("http://{}", proxy.address()))?.no_proxy("127.0.0.0/8");
    assert!(client(&registry, &server, past)?.upload(vec![1]).await.is_ok());
    assert_eq!(proxy.tunnels()?, 0);
    server.shutdown().await;
    Ok(())
}
