//! Manifests in and out, what refers to them, and manifests deleted.

use acr_core::{Digest, ErrorKind, Tag};
use acr_interop::Trials;
use acr_registry::{Descriptor, ImageIndex, ImageManifest, Platform};
use bytes::Bytes;

use crate::{
    Server,
    support::{Result, ensure, same},
};

const REPOSITORY: &str = "library/images";
const CONFIG: &[u8] = br#"{"architecture":"amd64","os":"linux"}"#;

pub(crate) async fn run(server: &Server, trials: &mut Trials) -> Result {
    trials.pass("put a manifest, get it by tag and digest", put_and_get(server)).await?;
    trials.pass("put and get a multi-platform index", index(server)).await?;
    trials.pass("retag", retag(server)).await?;
    trials.pass("a missing manifest is NotFound", missing(server)).await?;
    trials.pass("list referrers, by interface or fallback tag", referrers(server)).await?;
    trials.pass("delete a manifest", delete(server)).await?;
    Ok(())
}

async fn put_and_get(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let content = image(server, "one").await?;
    let tag: Tag = "one".parse()?;
    let digest = repository.put_manifest(content.clone()).tag(&tag).await?;
    same(&digest, &Digest::sha256(&content), "digest")?;
    for manifest in [repository.get_manifest(tag).await?, repository.get_manifest(&digest).await?] {
        same(&manifest.digest, &digest, "digest")?;
        same(manifest.media_type.as_str(), "application/vnd.oci.image.manifest.v1+json", "type")?;
        ensure(manifest.content == content, "other bytes came back")?;
    }
    Ok(())
}

async fn index(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let mut index = ImageIndex::new();
    let mut children = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let content = image(server, architecture).await?;
        let digest = repository.put_manifest(content.clone()).await?;
        let child = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &content);
        index = index.manifest(child.platform(Platform::new("linux", architecture)));
        children.push(digest);
    }
    let content = index.to_json()?;
    repository.put_manifest(content.clone()).tag(&"multi".parse::<Tag>()?).await?;
    let back = repository.get_manifest("multi".parse::<Tag>()?).await?;
    ensure(back.content == content, "other bytes came back")?;
    let read: ImageIndex = back.json()?;
    let chosen = read.select(&Platform::new("linux", "arm64")).ok_or("no arm64")?;
    same(Some(&chosen.digest()?), children.last(), "the child for arm64")
}

async fn retag(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let content = image(server, "retag").await?;
    let digest = repository.put_manifest(content).tag(&"before".parse::<Tag>()?).await?;
    let after: Tag = "after".parse()?;
    same(&repository.tag("before".parse::<Tag>()?, &after).await?, &digest, "digest")?;
    same(&repository.resolve(after).await?, &digest, "the new tag")
}

async fn missing(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let by_tag = repository.get_manifest("absent".parse::<Tag>()?).await.err();
    let by_digest = repository.get_manifest(Digest::sha256(b"absent")).await.err();
    for error in [by_tag, by_digest] {
        let error = error.ok_or("an absent manifest was found")?;
        same(error.kind(), ErrorKind::NotFound, "kind")?;
        same(error.code().map(ToString::to_string), Some("MANIFEST_UNKNOWN".into()), "code")?;
    }
    Ok(())
}

/// A registry without the referrers interface gets the fallback tag, which clients keep.
async fn referrers(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let subject = image(server, "subject").await?;
    let of_subject = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &subject);
    let subject = repository.put_manifest(subject).await?;
    ensure(repository.list_referrers(&subject).try_next().await?.is_none(), "it has referrers")?;

    server.blobs(REPOSITORY)?.upload(&b"{}"[..]).await?;
    let signature = ImageManifest::artifact("application/vnd.example.signature")
        .layer(Descriptor::of("application/octet-stream", b"{}"))
        .subject(of_subject)
        .to_json()?;
    let digest = repository.put_manifest(signature.clone()).await?;
    if repository.list_referrers(&subject).try_next().await?.is_none() {
        let entry = Descriptor::of("application/vnd.oci.image.manifest.v1+json", &signature);
        let list = ImageIndex::new().manifest(entry).to_json()?;
        let tag: Tag = format!("sha256-{}", subject.hex()).parse()?;
        repository.put_manifest(list).tag(&tag).await?;
    }
    let found = repository.list_referrers(&subject).try_next().await?.ok_or("no referrer")?;
    same(found.digest()?, digest, "the referrer")
}

async fn delete(server: &Server) -> Result {
    let repository = server.repository(REPOSITORY)?;
    let digest = repository.put_manifest(image(server, "gone").await?).await?;
    repository.delete_manifest(&digest).await?;
    let error = repository.get_manifest(&digest).await.err().ok_or("it is still there")?;
    same(error.kind(), ErrorKind::NotFound, "kind")
}

/// A manifest with content of its own, whose parts are pushed.
async fn image(server: &Server, name: &str) -> Result<Bytes> {
    let layer = format!("the layer of {name}");
    let blobs = server.blobs(REPOSITORY)?;
    blobs.upload(CONFIG).await?;
    blobs.upload(layer.clone()).await?;
    let config = Descriptor::of("application/vnd.oci.image.config.v1+json", CONFIG);
    let layer = Descriptor::of("application/vnd.oci.image.layer.v1.tar", layer.as_bytes());
    Ok(ImageManifest::new(config).layer(layer).to_json()?)
}
