//! A real image, built with Debian's `umoci` from `busybox-static`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    command::Program,
    error::{Attempt as _, Error, Result},
};

/// An OCI image layout with one image: a small root file system and a layer on top.
#[derive(Debug)]
pub struct ImageLayout {
    folder: TempDir,
    manifest: Descriptor,
    blobs: Vec<ImageBlob>,
}

/// A blob of an image: its configuration or one of its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageBlob {
    /// Its digest, as `umoci` computed it.
    pub digest: String,
    /// Its length in bytes.
    pub size: u64,
    /// The file that holds it.
    pub path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl ImageLayout {
    /// Builds the image, for this machine's processor as far as anybody may care.
    ///
    /// # Errors
    ///
    /// When `umoci` or `busybox` is not installed or fails.
    pub async fn build() -> Result<Self> {
        Self::build_for("amd64").await
    }

    /// Builds the image and says that it is for this architecture, in Go's words.
    ///
    /// # Errors
    ///
    /// When `umoci` or `busybox` is not installed or fails.
    pub async fn build_for(architecture: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("image-").attempt(|| "make a folder for an image")?;
        let root = folder.path().join("root");
        let app = folder.path().join("app");
        write_root(&root).await?;
        write_app(&app)?;

        let layout = layout_of(&folder);
        let image = format!("{}:{TAG}", layout.display());
        umoci(|command| command.args(["init", "--layout"]).arg(&layout)).await?;
        umoci(|command| command.args(["new", "--image", &image])).await?;
        for (content, target) in [(&root, "/"), (&app, "/srv/app")] {
            umoci(|command| command.args(["insert", "--image", &image]).arg(content).arg(target))
                .await?;
        }
        let start = ["--config.entrypoint", "/bin/sh", "--config.workingdir", "/srv/app"];
        umoci(|command| command.args(["config", "--image", &image]).args(start)).await?;
        let platform = ["--architecture", architecture, "--os", "linux"];
        umoci(|command| command.args(["config", "--image", &image]).args(platform)).await?;
        umoci(|command| command.args(["gc", "--layout"]).arg(&layout)).await?;
        Self::read(folder)
    }

    /// The manifest's exact bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn manifest(&self) -> Result<Bytes> {
        read_blob(&layout_of(&self.folder), &self.manifest.digest).map(Bytes::from)
    }

    /// The manifest's digest, as `umoci` computed it.
    pub fn digest(&self) -> &str {
        &self.manifest.digest
    }

    /// The manifest's media type.
    pub fn media_type(&self) -> &str {
        &self.manifest.media_type
    }

    /// The configuration, then the layers from the lowest up.
    pub fn blobs(&self) -> &[ImageBlob] {
        &self.blobs
    }

    /// The folder with `index.json`.
    pub fn path(&self) -> PathBuf {
        layout_of(&self.folder)
    }

    /// What follows `oci:` in skopeo's name of this image.
    pub(crate) fn reference(&self) -> String {
        format!("{}:{TAG}", layout_of(&self.folder).display())
    }

    fn read(folder: TempDir) -> Result<Self> {
        let layout = layout_of(&folder);
        let index = fs::read(layout.join("index.json")).attempt(|| "read an image index")?;
        let index: Index = serde_json::from_slice(&index).attempt(|| "read an image index")?;
        let [manifest] = index.manifests.as_slice() else {
            return Err(Error::new("the image index does not hold one manifest"));
        };
        let content = read_blob(&layout, &manifest.digest)?;
        let read: Manifest = serde_json::from_slice(&content).attempt(|| "read a manifest")?;
        let blobs = [read.config].into_iter().chain(read.layers).map(|descriptor| {
            let path = blob_path(&layout, &descriptor.digest)?;
            Ok(ImageBlob { digest: descriptor.digest, size: descriptor.size, path })
        });
        let blobs = blobs.collect::<Result<_>>()?;
        let manifest = manifest.clone();
        Ok(Self { folder, manifest, blobs })
    }
}

/// A root file system that can run: one static binary under all its names.
async fn write_root(root: &Path) -> Result<()> {
    let bin = root.join("bin");
    let etc = root.join("etc");
    for folder in [&bin, &etc] {
        fs::create_dir_all(folder).attempt(|| format!("make {}", folder.display()))?;
    }
    let accounts = "root:x:0:0:root:/:/bin/sh\n";
    fs::write(etc.join("passwd"), accounts).attempt(|| "write the image's accounts")?;
    let busybox = bin.join("busybox");
    // busybox copies itself, so wherever the package put it need not be known.
    let mut copy = BUSYBOX.command();
    copy.args(["cp", "/proc/self/exe"]).arg(&busybox);
    BUSYBOX.run(copy).await?;
    let mut install = Command::new(&busybox);
    install.args(["--install", "-s"]).arg(&bin).kill_on_drop(true);
    BUSYBOX.run(install).await.map(drop)
}

/// A second layer, with a file that does not compress, so that its blob has some length.
fn write_app(app: &Path) -> Result<()> {
    fs::create_dir_all(app).attempt(|| "make the application's folder")?;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(NOISE).collect();
    fs::write(app.join("noise"), noise).attempt(|| "write the application")?;
    fs::write(app.join("hello.txt"), "hello\n").attempt(|| "write the application")
}

async fn umoci(args: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
    let mut command = UMOCI.command();
    args(&mut command);
    UMOCI.run(command).await.map(drop)
}

fn layout_of(folder: &TempDir) -> PathBuf {
    folder.path().join("layout")
}

fn read_blob(layout: &Path, digest: &str) -> Result<Vec<u8>> {
    let path = blob_path(layout, digest)?;
    fs::read(&path).attempt(|| format!("read {}", path.display()))
}

fn blob_path(layout: &Path, digest: &str) -> Result<PathBuf> {
    let (algorithm, hex) =
        digest.split_once(':').ok_or_else(|| Error::new(format!("`{digest}` is not a digest")))?;
    Ok(layout.join("blobs").join(algorithm).join(hex))
}

const UMOCI: Program = Program::debian("umoci", "umoci");
const BUSYBOX: Program = Program::debian("busybox", "busybox-static");

const TAG: &str = "v1";

/// A few chunks of a small chunk size.
const NOISE: usize = 3 * 1024 * 1024 + 17;
