//! skopeo and we read what the other has pushed, and every digest agrees: with
//! `docker-registry` and with the emulator of this workspace in between.
#![cfg(feature = "servers")]

use std::{
    error::Error,
    fs,
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, DockerConfig, credential_fn};
use acr_blob::{BlobClient, Content};
use acr_core::{Digest, Endpoint, Pipeline, RepositoryName, Tag, TlsConfig, TransportBuilder};
use acr_interop::{EmulatorProcess, ImageLayout, RegistryProcess, RemoteImage, Skopeo};
use acr_registry::RepositoryClient;
use tempfile::TempDir;

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
async fn we_sign_in_with_what_skopeo_login_left() -> Result {
    let emulator = Emulator::start().await?;
    let folder = TempDir::new()?;
    let file = folder.path().join("auth.json");
    Skopeo::new()?.log_in(&emulator.image()?, &file).await?;

    let config = DockerConfig::from_file(&file)?;
    let login = config.credential_for(&emulator.endpoint).await?.ok_or("no login was found")?;
    let layout = ImageLayout::build().await?;
    let pushed = push(&emulator.pipeline_of(login)?, &layout).await?;
    assert_eq!(pushed.to_string(), layout.digest());

    let other_port: Endpoint = emulator.endpoint.host().parse()?;
    assert!(config.credential_for(&other_port).await?.is_none());
    Ok(())
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
        repository.put_manifest(layout.manifest()?).media_type(layout.media_type()).tag(&tag);
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
struct Emulator {
    endpoint: Endpoint,
    ca_pem: String,
    entra_token: String,
    _process: EmulatorProcess,
}

impl Emulator {
    async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    async fn start_with(arguments: &[&str]) -> Result<Self> {
        let user = format!("{USER}:{PASSWORD}");
        let own = ["--tls", "--user", &user];
        let process = EmulatorProcess::start(own.iter().chain(arguments)).await?;
        Ok(Self {
            endpoint: process.told("endpoint")?.parse()?,
            ca_pem: fs::read_to_string(process.told("ca")?)?,
            entra_token: process.told("entra_token")?.to_owned(),
            _process: process,
        })
    }

    fn pipeline(&self) -> Result<Pipeline> {
        let token = self.entra_token.clone();
        self.pipeline_of(Credential::entra(credential_fn(move |_scopes| {
            let token = token.clone();
            async move { Ok(AccessToken::new(token, SystemTime::now() + Duration::from_secs(3600))) }
        })))
    }

    fn pipeline_of(&self, credential: Credential) -> Result<Pipeline> {
        let tls = TlsConfig::only_roots(self.ca_pem.as_bytes())?;
        let transport = TransportBuilder::new().no_proxy().tls(tls).build()?;
        let endpoint = self.endpoint.clone();
        let auth = AuthLayer::new(&endpoint, credential).trust_entra_for(endpoint.host());
        Ok(Pipeline::builder(endpoint).transport(transport).layer_per_hop(auth).build()?)
    }

    fn image(&self) -> Result<RemoteImage> {
        let authority = self.endpoint.authority();
        Ok(RemoteImage::tls(authority, &self.ca_pem, &image_name()).login(USER, PASSWORD))
    }
}

const REPOSITORY: &str = "library/tiny";
const TAG: &str = "v1";
const USER: &str = "tester";
const PASSWORD: &str = "secret";
