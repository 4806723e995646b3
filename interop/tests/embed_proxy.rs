//! curl and skopeo read through the caching proxy of `examples/embed_in_service.rs`,
//! which runs as the program it is, in front of an emulator that demands tokens.
#![cfg(feature = "servers")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use acr_interop::{ImageLayout, RemoteImage, Skopeo};
use acr_testkit::{FakeRegistry, Operation, Server, Tls};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::test]
async fn skopeo_reads_an_image_through_the_proxy_without_a_credential() -> Result {
    let setup = Setup::start().await?;
    let image = RemoteImage::plain(&setup.address, IMAGE);
    let skopeo = Skopeo::new()?;

    let inspection = skopeo.inspect(&image).await?;
    assert_eq!(inspection.digest, setup.layout.digest());
    assert_eq!(inspection.repo_tags, ["v1"]);

    let out = TempDir::new()?;
    skopeo.copy_out(&image, out.path()).await?;
    assert_eq!(fs::read(out.path().join("manifest.json"))?, setup.layout.manifest()?);
    for blob in setup.layout.blobs() {
        let (_, hex) = blob.digest.split_once(':').ok_or("a digest without `:`")?;
        assert!(fs::read(out.path().join(hex))? == fs::read(&blob.path)?);
    }

    let downloads = setup.registry.journal().count_of(Operation::GetStorage);
    let again = TempDir::new()?;
    skopeo.copy_out(&image, again.path()).await?;
    let journal = setup.registry.journal();
    assert_eq!(journal.count_of(Operation::GetStorage), downloads, "{journal}");

    let error = skopeo.push(&setup.layout, &image).await.unwrap_err();
    assert!(error.to_string().contains("only reads"), "{error}");
    Ok(())
}

#[tokio::test]
async fn curl_gets_content_heads_ranges_and_refusals() -> Result {
    let setup = Setup::start().await?;
    let layer = setup.layout.blobs().last().ok_or("the image has no layer")?;
    let content = fs::read(&layer.path)?;
    let blob = format!("/v2/{REPOSITORY}/blobs/{}", layer.digest);

    for _ in 0..2 {
        assert!(setup.curl(&["--fail", "--compressed"], &blob).await? == content);
    }
    let part = setup.curl(&["--fail", "--range", "2-5"], &blob).await?;
    assert_eq!(part, content.get(2..=5).ok_or("the layer is too short")?);

    let head = setup.curl(&["--fail", "--head"], &blob).await?;
    let head = String::from_utf8(head)?.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains(&format!("content-length: {}", layer.size)), "{head}");

    let verdict = ["--request", "DELETE", "--write-out", "\n%{http_code}"];
    let refusal = String::from_utf8(setup.curl(&verdict, &blob).await?)?;
    assert!(refusal.contains(r#""code":"UNSUPPORTED""#), "{refusal}");
    assert!(refusal.ends_with("\n405"), "{refusal}");
    Ok(())
}

/// An emulator with an image, and the proxy in front of it.
struct Setup {
    registry: FakeRegistry,
    layout: ImageLayout,
    /// `127.0.0.1:port` of the proxy.
    address: String,
    _proxy: Child,
    _server: Server,
    _ca: TempDir,
}

impl Setup {
    async fn start() -> Result<Self> {
        let registry = FakeRegistry::builder().user(USER, PASSWORD).build();
        let server = registry.serve(Tls::On).await?;
        let endpoint = server.endpoint();
        let ca_pem = server.ca_pem().ok_or("the emulator does not speak TLS")?;

        let layout = ImageLayout::build().await?;
        let image = RemoteImage::tls(endpoint.authority(), ca_pem, IMAGE).login(USER, PASSWORD);
        Skopeo::new()?.push(&layout, &image).await?;

        let ca = TempDir::new()?;
        let ca_file = ca.path().join("ca.pem");
        fs::write(&ca_file, ca_pem)?;
        let mut proxy = Command::new(program().await?)
            .args(["--serve", "--listen", "127.0.0.1:0"])
            .env("CONTAINERREGISTRY_ENDPOINT", endpoint.to_string())
            .env("CONTAINERREGISTRY_CA_FILE", &ca_file)
            .env("CONTAINERREGISTRY_ENTRA_TOKEN", registry.entra_token())
            .env("CONTAINERREGISTRY_TRUST_HOST", endpoint.host())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = proxy.stdout.take().ok_or("its output is not piped")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let ready: serde_json::Value = serde_json::from_str(&line.unwrap_or_default())?;
        let address = ready.get("listen").and_then(|value| value.as_str());
        Ok(Self {
            address: address.ok_or("the proxy names no address")?.to_owned(),
            registry,
            layout,
            _proxy: proxy,
            _server: server,
            _ca: ca,
        })
    }

    /// What curl writes to its standard output.
    async fn curl(&self, options: &[&str], path: &str) -> Result<Vec<u8>> {
        let url = format!("http://{}{path}", self.address);
        let output = Command::new("curl")
            .args(["--disable", "--silent", "--show-error", "--max-time", "60"])
            .args(options)
            .args(["--noproxy", "*", &url])
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|e| {
                format!("curl does not start ({e}); it comes with Debian's package `curl`")
            })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(format!("curl {options:?} {path}: {}: {complaint}", output.status).into())
    }
}

/// The example, built. Tests run with the build finished, so cargo can be called again; of the whole
/// workspace it has nothing to do.
async fn program() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace"])
        .args(["--example", "embed_in_service"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .await?;
    if !status.success() {
        return Err("the example does not build".into());
    }
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent);
    let name = format!("embed_in_service{}", std::env::consts::EXE_SUFFIX);
    let folder = target.ok_or("this program does not lie in `deps`")?;
    Ok(folder.join("examples").join(name))
}

const REPOSITORY: &str = "library/tiny";
const IMAGE: &str = "library/tiny:v1";
const USER: &str = "tester";
const PASSWORD: &str = "secret";
