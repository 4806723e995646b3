//! A CONNECT proxy with a password between us and the emulator.

use acr_auth::AuthLayer;
use acr_blob::BlobClient;
use acr_core::{ErrorKind, Pipeline, Proxy, TlsConfig, TransportBuilder, layer::RetryPolicy};
use acr_interop::{ProxyProcess, Trials};
use acr_testkit::{FakeRegistry, Server, Tls};

use crate::{
    SUITE,
    support::{self, Result, ensure, same},
};

const USER: &str = "tester";
const PASSWORD: &str = "secret";

#[tokio::test]
async fn tinyproxy() -> Result {
    let registry = FakeRegistry::new();
    let server = registry.serve(Tls::On).await?;
    let proxy = ProxyProcess::start(USER, PASSWORD).await?;
    let mut trials = Trials::new(SUITE, "tinyproxy", ProxyProcess::version().await?);
    trials
        .pass("sign-in and transfers through a tunnel", through(&registry, &server, &proxy))
        .await?;
    trials
        .pass("a wrong password is an error of the way", refused(&registry, &server, &proxy))
        .await?;
    trials.finish()?;
    server.shutdown().await;
    Ok(())
}

async fn through(registry: &FakeRegistry, server: &Server, proxy: &ProxyProcess) -> Result {
    let blobs = client(registry, server, proxy, PASSWORD)?;
    let content = vec![7u8; 3_000_000];
    let info = blobs.upload(content.clone()).chunk_size(1 << 20).await?;
    let back = blobs.download(&info.digest).await?.bytes(content.len()).await?;
    ensure(back == content, "other bytes came back")?;
    // One to the registry, one to the storage behind the redirect.
    ensure(proxy.tunnels()? >= 2, "it went past the proxy")
}

async fn refused(registry: &FakeRegistry, server: &Server, proxy: &ProxyProcess) -> Result {
    let blobs = client(registry, server, proxy, "wrong")?;
    let error = blobs.upload("x").await.err().ok_or("the proxy let a stranger through")?;
    same(error.kind(), ErrorKind::Connect, "kind")?;
    ensure(!format!("{error} {error:?}").contains("wrong"), "the password is in the error")
}

fn client(
    registry: &FakeRegistry,
    server: &Server,
    proxy: &ProxyProcess,
    password: &str,
) -> Result<BlobClient> {
    let roots = TlsConfig::only_roots(server.ca_pem().unwrap_or_default().as_bytes())?;
    let way = Proxy::new(&format!("http://{USER}:{password}@{}", proxy.address()))?;
    let transport = TransportBuilder::new().tls(roots).proxy(way).build()?;
    let endpoint = server.endpoint();
    let auth = AuthLayer::new(&endpoint, support::entra(&registry.entra_token()))
        .trust_entra_for("127.0.0.1");
    let pipeline = Pipeline::builder(endpoint)
        .transport(transport)
        .retry(RetryPolicy::default().retries(0))
        .layer_per_hop(auth)
        .build()?;
    Ok(BlobClient::new(pipeline, "library/app".parse()?))
}
