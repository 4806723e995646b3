//! The proxy that the environment names, through the front door and Debian's `tinyproxy`: each case
//! is a process with an environment of its own, this test binary again.
#![cfg(feature = "servers")]

use std::{env, error::Error, path::Path, process::Command};

use acr_client::{Credential, Registry, RetryPolicy};
use acr_interop::ProxyProcess;
use acr_testkit::{FakeRegistry, Server, Tls};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const USER: &str = "tester";
const PASSWORD: &str = "pr0xy-canary";

/// Set in the process that connects: the registry, and where the certificate of its authority is.
const TARGET: &str = "ACR_TEST_TARGET";
const AUTHORITY: &str = "ACR_TEST_AUTHORITY";

struct Place {
    fake: FakeRegistry,
    server: Server,
    proxy: ProxyProcess,
    folder: tempfile::TempDir,
}

impl Place {
    async fn start() -> Result<Self> {
        let fake = FakeRegistry::builder().user("me", "secret").build();
        let server = fake.serve(Tls::On).await?;
        let folder = tempfile::tempdir()?;
        let pem = server.ca_pem().ok_or("no authority")?;
        std::fs::write(folder.path().join("ca.pem"), pem)?;
        let proxy = ProxyProcess::start(USER, PASSWORD).await?;
        Ok(Self { fake, server, proxy, folder })
    }

    /// What a program with these variables tells; `{proxy}` stands for the proxy.
    async fn told(&self, variables: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env_clear();
        command.env(TARGET, self.server.endpoint().to_string());
        command.env(AUTHORITY, self.folder.path().join("ca.pem"));
        let proxy = self.proxy.address().to_string();
        command.envs(variables.iter().map(|(name, text)| (name, text.replace("{proxy}", &proxy))));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = String::from_utf8(output.stdout)?;
        let told = text.lines().find_map(|line| line.split_once("TOLD "));
        Ok(told.ok_or_else(|| format!("nothing was told: {text}"))?.1.to_owned())
    }
}

/// Signs in, pushes and pulls, with nothing said about a proxy.
#[expect(clippy::print_stdout, reason = "read by the process that started this one")]
async fn transfer(target: &str, authority: &Path) -> Result {
    let registry = Registry::builder(target.to_owned())
        .credential(Credential::password("me", "secret"))
        .ca_file(authority)
        .retry(RetryPolicy::default().retries(0))
        .build()?;
    let outcome = async {
        let repo = registry.repository("library/app")?;
        let layer = repo.upload(vec![7; 1 << 20]).await?;
        repo.download(&layer.digest).await?.bytes(1 << 21).await
    };
    match Box::pin(outcome).await {
        Ok(content) => println!("\nTOLD {} bytes", content.len()),
        Err(error) => println!("\nTOLD {:?}: {error} {error:?}", error.kind()),
    }
    Ok(())
}

const NAME: &str = "the_front_door_goes_through_the_proxy_of_the_environment";

#[tokio::test]
async fn the_front_door_goes_through_the_proxy_of_the_environment() -> Result {
    if let (Ok(target), Some(authority)) = (env::var(TARGET), env::var_os(AUTHORITY)) {
        return Box::pin(transfer(&target, Path::new(&authority))).await;
    }
    let place = Place::start().await?;
    let through = format!("http://{USER}:{PASSWORD}@{{proxy}}");
    let mut before = 0;
    // One tunnel to the registry, one to the storage behind the redirect, which goes by a name.
    for (variables, expected) in [
        (&[("HTTPS_PROXY", through.as_str())][..], 2),
        (&[("https_proxy", through.as_str()), ("NO_PROXY", "registry.example")], 2),
        (&[("ALL_PROXY", through.as_str())], 2),
        (&[("HTTPS_PROXY", through.as_str()), ("NO_PROXY", "127.0.0.0/8")], 1),
        (&[("HTTPS_PROXY", through.as_str()), ("no_proxy", "127.0.0.1,localhost")], 0),
        (&[("HTTPS_PROXY", through.as_str()), ("NO_PROXY", "*")], 0),
        (&[("HTTP_PROXY", through.as_str())], 0),
        (&[], 0),
    ] {
        assert_eq!(place.told(variables).await?, "1048576 bytes", "{variables:?}");
        let tunnels = place.proxy.tunnels()?;
        let new = tunnels - before;
        assert!(new == expected || (expected == 2 && new > 2), "{variables:?}: {new} tunnels");
        before = tunnels;
    }
    place.fake.journal().clear();
    let wrong = [("HTTPS_PROXY", "http://tester:other-canary@{proxy}")];
    let told = place.told(&wrong).await?;
    assert!(told.starts_with("Connect: ") && told.contains("proxy"), "{told}");
    assert!(!told.contains("canary"), "{told}");
    assert!(place.fake.journal().entries().is_empty());
    place.server.shutdown().await;
    Ok(())
}
