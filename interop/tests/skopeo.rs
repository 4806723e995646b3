//! skopeo and we read what the other has pushed, and every digest agrees: with
//! `docker-registry` and with the emulator of this workspace in between.
#![cfg(feature = "servers")]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_blob::{BlobClient, Content};
use acr_core::{Digest, Endpoint, Pipeline, RepositoryName, Tag, TlsConfig, TransportBuilder};
use acr_interop::{ImageLayout, RegistryProcess, RemoteImage, Skopeo};
use acr_registry::RepositoryClient;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::test]
async fn skopeo_reads_what_we_pushed_to_docker_registry() -> Result {
    let registry = RegistryProcess::builder().start().await?;
    skopeo_reads_what_we_pushed(&without_auth(&registry)?, &plain(&registry)).await
}

#[tokio::test]
async fn skopeo_reads_what_we_pushed_to_the_emulator() -> Result {
    let emulator = Emulator::start().await?;
    skopeo_reads_what_we_pushed(&emulator.pipeline()?, &emulator.image()?).await
}

#[tokio::test]
async fn we_read_what_skopeo_pushed_to_docker_registry() -> Result {
    let registry = RegistryProcess::builder().start().await?;
    we_read_what_skopeo_pushed(&without_auth(&registry)?, &plain(&registry)).await
}

#[tokio::test]
async fn we_read_what_skopeo_pushed_to_the_emulator() -> Result {
    let emulator = Emulator::start().await?;
    we_read_what_skopeo_pushed(&emulator.pipeline()?, &emulator.image()?).await
}

#[tokio::test]
async fn skopeo_reads_what_the_emulator_was_seeded_with() -> Result {
    let layout = ImageLayout::build().await?;
    let seed = format!("{}:{REPOSITORY}", layout.path().display());
    let emulator = Emulator::start_with(&["--seed", &seed]).await?;
    let inspection = Skopeo::new()?.inspect(&emulator.image()?).await?;
    assert_eq!(inspection.digest, layout.digest());
    assert_eq!(inspection.repo_tags, [TAG]);
    Ok(())
}

async fn skopeo_reads_what_we_pushed(pipeline: &Pipeline, image: &RemoteImage) -> Result {
    let layout = ImageLayout::build().await?;
    let pushed = push(pipeline, &layout).await?;
    assert_eq!(pushed.to_string(), layout.digest());

    let skopeo = Skopeo::new()?;
    let inspection = skopeo.inspect(image).await?;
    assert_eq!(inspection.digest, pushed.to_string());
    let layers: Vec<_> = layout.blobs().iter().skip(1).map(|blob| blob.digest.clone()).collect();
    assert_eq!(inspection.layers, layers);
    assert_eq!(inspection.repo_tags, [TAG]);

    let out = TempDir::new()?;
    skopeo.copy_out(image, out.path()).await?;
    let manifest = out.path().join("manifest.json");
    assert_eq!(skopeo.manifest_digest(&manifest).await?, pushed.to_string());
    assert_eq!(fs::read(&manifest)?, layout.manifest()?);
    for blob in layout.blobs() {
        let digest: Digest = blob.digest.parse()?;
        let copied = fs::read(out.path().join(digest.hex()))?;
        assert_eq!(Digest::sha256(&copied), digest);
        assert_eq!(copied.len() as u64, blob.size);
    }
    Ok(())
}

async fn we_read_what_skopeo_pushed(pipeline: &Pipeline, image: &RemoteImage) -> Result {
    let layout = ImageLayout::build().await?;
    Skopeo::new()?.push(&layout, image).await?;

    let repository = RepositoryClient::new(pipeline.clone(), repository_name()?);
    let tag: Tag = TAG.parse()?;
    let manifest = repository.get_manifest(tag).await?;
    assert_eq!(manifest.digest.to_string(), layout.digest());
    assert_eq!(manifest.media_type.as_str(), layout.media_type());
    assert_eq!(manifest.content, layout.manifest()?);

    let blobs = BlobClient::new(pipeline.clone(), repository_name()?);
    let folder = TempDir::new()?;
    for blob in layout.blobs() {
        let digest: Digest = blob.digest.parse()?;
        assert!(blobs.exists(&digest).await?);
        let path = folder.path().join(digest.hex());
        // Verified on the way: the file appears only when its digest is right.
        assert_eq!(blobs.download(&digest).to_file(&path).await?, blob.size);
        assert!(fs::read(&path)? == fs::read(&blob.path)?, "{digest} differs");
    }
    Ok(())
}

/// Pushes an image from its layout: the layers in small chunks, then the manifest.
async fn push(pipeline: &Pipeline, layout: &ImageLayout) -> Result<Digest> {
    let blobs = BlobClient::new(pipeline.clone(), repository_name()?);
    for blob in layout.blobs() {
        let content = Content::file(&blob.path).await?;
        let info = blobs.upload(content).chunk_size(256 * 1024).await?;
        assert_eq!((info.digest.to_string(), info.size), (blob.digest.clone(), blob.size));
    }
    let repository = RepositoryClient::new(pipeline.clone(), repository_name()?);
    let tag: Tag = TAG.parse()?;
    let manifest =
        repository.put_manifest(layout.manifest()?).media_type(layout.media_type()).tag(tag);
    Ok(manifest.await?)
}

fn without_auth(registry: &RegistryProcess) -> Result<Pipeline> {
    let endpoint = Endpoint::insecure_loopback(registry.address())?;
    Ok(Pipeline::builder(endpoint).build()?)
}

fn plain(registry: &RegistryProcess) -> RemoteImage {
    RemoteImage::plain(registry.address().to_string(), &image_name())
}

fn image_name() -> String {
    format!("{REPOSITORY}:{TAG}")
}

fn repository_name() -> Result<RepositoryName> {
    Ok(REPOSITORY.parse()?)
}

/// The emulator over TLS: we sign in with Entra, skopeo with user and password.
/// The program `acr-emulator` as a child process, with TLS.
struct Emulator {
    endpoint: Endpoint,
    ca_pem: String,
    entra_token: String,
    // Killed when it is dropped.
    _child: Child,
}

impl Emulator {
    async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(program().await?)
            .args(["--listen", "127.0.0.1:0", "--tls", "--user"])
            .arg(format!("{USER}:{PASSWORD}"))
            .args(arguments)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().ok_or("its output is not piped")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let ready: serde_json::Value = serde_json::from_str(&line.ok_or("it printed nothing")?)?;
        let text = |key: &str| {
            let text = ready.get(key).and_then(serde_json::Value::as_str);
            text.ok_or_else(|| format!("no `{key}` in {ready}"))
        };
        Ok(Self {
            endpoint: text("endpoint")?.parse()?,
            ca_pem: fs::read_to_string(text("ca")?)?,
            entra_token: text("entra_token")?.to_owned(),
            _child: child,
        })
    }

    fn pipeline(&self) -> Result<Pipeline> {
        let tls = TlsConfig::only_roots(self.ca_pem.as_bytes())?;
        let transport = TransportBuilder::new().tls(tls).build()?;
        let token = self.entra_token.clone();
        let credential = Credential::entra(credential_fn(move |_scopes| {
            let token = token.clone();
            async move { Ok(AccessToken::new(token, SystemTime::now() + Duration::from_secs(3600))) }
        }));
        let endpoint = self.endpoint.clone();
        let auth = AuthLayer::new(&endpoint, credential).trust_entra_for(endpoint.host());
        Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
    }

    fn image(&self) -> Result<RemoteImage> {
        let authority = self.endpoint.authority();
        Ok(RemoteImage::tls(authority, &self.ca_pem, &image_name()).login(USER, PASSWORD))
    }
}

/// The program, built. Tests run with the build finished, so cargo can be called again.
async fn program() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "acr-testkit", "--bin", "acr-emulator"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .await?;
    if !status.success() {
        return Err("acr-emulator does not build".into());
    }
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent);
    let folder = target.ok_or("this program does not lie in `deps`")?;
    Ok(folder.join(format!("acr-emulator{}", std::env::consts::EXE_SUFFIX)))
}

const REPOSITORY: &str = "library/tiny";
const TAG: &str = "v1";
const USER: &str = "tester";
const PASSWORD: &str = "secret";
