//! The crate oci-client against acr-emulator: one line of JSON for each operation.

#![forbid(unsafe_code)]

use std::{env, error::Error, fs, fs::OpenOptions, io::Write as _};

use oci_client::{
    Client, Reference, RegistryOperation,
    client::{
        BlobResponse, Certificate, CertificateEncoding, ClientConfig, Config, ImageLayer,
        PushResponse,
    },
    manifest::{IMAGE_LAYER_MEDIA_TYPE, OciDescriptor, OciImageManifest},
    secrets::RegistryAuth,
};
use sha2::{Digest as _, Sha256};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const VERSION: &str = "0.18.0";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

const PULL_FOR_TAGS: &str = "asks for a token with `pull` (list_tags in client.rs) and does not look at \
    the challenge; Azure Container Registry demands `metadata_read` (renovate#14708, \
    argocd-image-updater#473)";
const PULL_FOR_CATALOG: &str = "asks for a token with `pull` on a repository (catalog in client.rs), \
    which is not `registry:catalog:*`";
const NO_FALLBACK: &str = "asks for no right on the source and takes the 202 for a violation, which the \
    specification allows (distribution-spec, Mounting a blob from another repository)";

/// Longer than the chunk of 4 MiB in which oci-client pushes.
const LENGTH: usize = 9 << 20;

struct Suite {
    client: Client,
    host: String,
    auth: RegistryAuth,
    failed: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let mut suite = Suite {
        client: client()?,
        host: env::var("ACR_ENDPOINT")?.trim_start_matches("https://").to_owned(),
        auth: RegistryAuth::Basic("tester".into(), "secret".into()),
        failed: Vec::new(),
    };
    let pushed = push(&suite).await;
    suite.row("push an image in chunks", pushed)?;
    let outcome = pull(&suite).await;
    suite.row("pull an image", outcome)?;
    let outcome = manifest(&suite).await;
    suite.row("read a manifest by tag and digest, byte for byte", outcome)?;
    let outcome = part(&suite).await;
    suite.row("read a blob from an offset", outcome)?;
    let outcome = no_tags(&suite).await;
    suite.defect("list tags", PULL_FOR_TAGS, outcome)?;
    let outcome = no_catalog(&suite).await;
    suite.defect("list repositories", PULL_FOR_CATALOG, outcome)?;
    let outcome = no_mount(&suite).await;
    suite.defect("mount a blob", NO_FALLBACK, outcome)?;
    let outcome = referrers(&suite).await;
    suite.row("list referrers", outcome)?;
    let outcome = missing(&suite).await;
    suite.row("a missing manifest is an error", outcome)?;
    let outcome = stranger(&suite, client()?).await;
    suite.row("refuse a wrong password", outcome)?;
    let outcome = read_ours(&suite).await;
    suite.row("read an image that we pushed", outcome)?;
    let digest = suite.client.fetch_manifest_digest(&suite.image("image:v1")?, &suite.auth).await?;
    fs::write(env::var("THEIRS_DIGEST")?, digest)?;
    if suite.failed.is_empty() { Ok(()) } else { Err(suite.failed.join("\n").into()) }
}

fn client() -> Result<Client> {
    let certificate =
        Certificate { encoding: CertificateEncoding::Pem, data: fs::read(env::var("ACR_CA")?)? };
    let extra_root_certificates = vec![certificate];
    Ok(Client::new(ClientConfig { extra_root_certificates, ..ClientConfig::default() }))
}

impl Suite {
    fn image(&self, name: &str) -> Result<Reference> {
        Ok(format!("{}/rust/{name}", self.host).parse()?)
    }

    fn row(&mut self, operation: &str, outcome: Result) -> Result {
        self.record(operation, outcome, "pass", "")
    }

    /// The outcome is good if it went wrong as the evidence says.
    fn defect(&mut self, operation: &str, evidence: &str, outcome: Result) -> Result {
        self.record(operation, outcome, "defect", evidence)
    }

    fn record(&mut self, operation: &str, outcome: Result, good: &str, known: &str) -> Result {
        let (result, evidence) = match outcome {
            Ok(()) => (good, known.to_owned()),
            Err(error) => {
                self.failed.push(format!("{operation}: {error}"));
                ("fail", error.to_string())
            }
        };
        let row = serde_json::json!({
            "suite": "oci-client", "peer": "oci-client", "version": VERSION,
            "operation": operation, "result": result, "evidence": evidence,
        });
        let file = OpenOptions::new().append(true).create(true).open(env::var("INTEROP_ROWS")?);
        Ok(writeln!(file?, "{row}")?)
    }
}

fn content() -> Vec<u8> {
    let blocks = (0u32..).flat_map(|block| Sha256::digest(block.to_be_bytes()).to_vec());
    blocks.take(LENGTH).collect()
}

fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?} instead of {expected:?}").into())
    }
}

async fn push(suite: &Suite) -> Result {
    for tag in ["v1", "v2", "v3"] {
        let image = suite.image(&format!("image:{tag}"))?;
        let layers = [ImageLayer::oci_v1(content(), None)];
        let config = Config::oci_v1(&br#"{"architecture":"amd64","os":"linux"}"#[..], None);
        let PushResponse { manifest_url, .. } =
            suite.client.push(&image, &layers, config, &suite.auth, None).await?;
        same(manifest_url.contains("/rust/image/manifests/"), true)?;
    }
    Ok(())
}

async fn pull(suite: &Suite) -> Result {
    let image = suite.image("image:v1")?;
    let pulled = suite.client.pull(&image, &suite.auth, vec![IMAGE_LAYER_MEDIA_TYPE]).await?;
    same(pulled.layers.len(), 1)?;
    for layer in &pulled.layers {
        same(layer.data == content(), true)?;
    }
    Ok(())
}

async fn manifest(suite: &Suite) -> Result {
    let image = suite.image("image:v1")?;
    let accepted = [OCI_MANIFEST];
    let (bytes, digest) = suite.client.pull_manifest_raw(&image, &suite.auth, &accepted).await?;
    same(digest.as_str(), digest_of(&bytes).as_str())?;
    same(suite.client.fetch_manifest_digest(&image, &suite.auth).await?, digest.clone())?;
    let by_digest = suite.image(&format!("image@{digest}"))?;
    let again = suite.client.pull_manifest_raw(&by_digest, &suite.auth, &accepted).await?;
    same(again, (bytes, digest))
}

async fn layer(suite: &Suite) -> Result<OciDescriptor> {
    let image = suite.image("image:v1")?;
    let (manifest, _) = suite.client.pull_image_manifest(&image, &suite.auth).await?;
    Ok(manifest.layers.into_iter().next().ok_or("no layer")?)
}

async fn part(suite: &Suite) -> Result {
    use futures_util::TryStreamExt as _;
    let (image, layer) = (suite.image("image:v1")?, layer(suite).await?);
    let offset = LENGTH as u64 - 100;
    let part = suite.client.pull_blob_stream_partial(&image, &layer, offset, None).await?;
    let BlobResponse::Partial(part) = part else { return Err("it came whole".into()) };
    let bytes: Vec<_> = part.stream.try_collect().await?;
    same(bytes.concat() == content()[LENGTH - 100..], true)
}

async fn no_tags(suite: &Suite) -> Result {
    let image = suite.image("image:v1")?;
    let refusal = suite.client.list_tags(&image, &suite.auth, None, None).await;
    let refusal = refusal.err().ok_or("it lists tags")?.to_string();
    same(refusal.starts_with("Not authorized"), true)
}

async fn no_catalog(suite: &Suite) -> Result {
    let image = suite.image("image:v1")?;
    let refusal = suite.client.catalog(&image, &suite.auth, None, None).await;
    let refusal = refusal.err().ok_or("it lists repositories")?.to_string();
    same(refusal.starts_with("Not authorized"), true)
}

async fn no_mount(suite: &Suite) -> Result {
    let (source, target) = (suite.image("image:v1")?, suite.image("mounted:v1")?);
    let digest = layer(suite).await?.digest;
    suite.client.auth(&target, &suite.auth, RegistryOperation::Push).await?;
    let refusal = suite.client.mount_blob(&target, &source, &digest).await;
    let refusal = refusal.err().ok_or("it mounts the blob")?.to_string();
    same(refusal.contains("202"), true)
}

async fn referrers(suite: &Suite) -> Result {
    let image = suite.image("image:v1")?;
    let accepted = [OCI_MANIFEST];
    let (bytes, digest) = suite.client.pull_manifest_raw(&image, &suite.auth, &accepted).await?;
    let subject = OciDescriptor {
        media_type: OCI_MANIFEST.to_owned(),
        digest: digest.clone(),
        size: i64::try_from(bytes.len())?,
        ..OciDescriptor::default()
    };
    let note = suite.image("image:note")?;
    let layers = [ImageLayer::new(&b"a note"[..], "text/plain".to_owned(), None)];
    let config = Config::new(&b"{}"[..], "application/vnd.example.note".to_owned(), None);
    let mut manifest = OciImageManifest::build(&layers, &config, None);
    manifest.subject = Some(subject);
    manifest.artifact_type = Some("application/vnd.example.note".to_owned());
    suite.client.push(&note, &layers, config, &suite.auth, Some(manifest)).await?;
    let by_digest = suite.image(&format!("image@{digest}"))?;
    let found = suite.client.pull_referrers(&by_digest, None).await?;
    let types: Vec<_> = found.manifests.iter().filter_map(|m| m.artifact_type.as_deref()).collect();
    same(types, vec!["application/vnd.example.note"])
}

async fn read_ours(suite: &Suite) -> Result {
    let image: Reference = format!("{}/{}:v1", suite.host, env::var("OURS_REPOSITORY")?).parse()?;
    // Every layer's digest is compared on the way.
    let pulled = suite.client.pull(&image, &suite.auth, vec![IMAGE_LAYER_MEDIA_TYPE]).await?;
    same(pulled.digest, Some(env::var("OURS_DIGEST")?))?;
    same(pulled.layers.len(), 1)
}

async fn missing(suite: &Suite) -> Result {
    let image = suite.image("image:absent")?;
    let found = suite.client.fetch_manifest_digest(&image, &suite.auth).await;
    let error = found.err().ok_or("an absent manifest was found")?.to_string();
    same(error.to_lowercase().contains("not found") || error.contains("404"), true)
}

async fn stranger(suite: &Suite, client: Client) -> Result {
    let image = suite.image("image:v1")?;
    let auth = RegistryAuth::Basic("tester".into(), "wrong".into());
    match client.fetch_manifest_digest(&image, &auth).await {
        Ok(_) => Err("a wrong password was taken".into()),
        Err(_) => Ok(()),
    }
}
