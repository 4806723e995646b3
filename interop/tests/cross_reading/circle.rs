//! Emulator, us, distribution, skopeo, us, emulator: an image for two platforms and what refers to it.

use std::collections::BTreeMap;

use acr_core::{Digest, Endpoint, Pipeline, Tag};
use acr_interop::{ForeignClient, RegistryProcess, RegistrySoftware, RemoteImage, Skopeo, Trials};
use acr_registry::RepositoryClient;
use tempfile::TempDir;

use crate::{
    SUITE,
    bundle::Bundle,
    emulator::Emulator,
    support::{Result, ensure, same},
};

const REPOSITORY: &str = "library/traveller";

/// What refers to the image, by digest: read as a list, then one by one.
type Notes = BTreeMap<String, Bundle>;

#[tokio::test]
async fn an_image_and_its_referrers_travel_unchanged() -> Result {
    let first = Emulator::start().await?;
    let image = Bundle::multi_platform().await?;
    image.push(&first.pipeline()?, REPOSITORY, "v1").await?;
    for text in ["signed", "scanned"] {
        Bundle::note_on(&image, text)?.push(&first.pipeline()?, REPOSITORY, text).await?;
    }
    let notes = Box::pin(referrers(&first.pipeline()?, image.root())).await?;
    same(notes.len(), 2, "notes")?;

    for software in [RegistrySoftware::Distribution2, RegistrySoftware::Distribution3] {
        let peer = format!("{software}, skopeo");
        let version =
            format!("{}, {}", software.version().await?, ForeignClient::Skopeo.version().await?);
        let mut trials = Trials::new(SUITE, peer, version);
        let travels = travel(&first, software, &image, &notes);
        trials.pass("an image and its referrers go round unchanged", travels).await?;
        trials.finish()?;
    }
    Ok(())
}

async fn travel(
    first: &Emulator,
    software: RegistrySoftware,
    image: &Bundle,
    notes: &Notes,
) -> Result {
    // From the emulator to distribution, by us.
    let registry = RegistryProcess::builder().software(software).start().await?;
    let endpoint = Endpoint::insecure_loopback(registry.address())?;
    let distribution = Pipeline::builder(endpoint).build()?;
    let tag: Tag = "v1".parse()?;
    let pulled = Box::pin(Bundle::pull(&first.pipeline()?, REPOSITORY, tag.into())).await?;
    same(&pulled, image, "the image of the emulator")?;
    pulled.push(&distribution, REPOSITORY, "v1").await?;
    for (digest, note) in notes {
        note.push(&distribution, REPOSITORY, &tag_of(digest)?).await?;
    }

    // Out of distribution, by skopeo, and into another emulator, by us.
    let last = Emulator::start().await?;
    let skopeo = Skopeo::new()?;
    let authority = registry.address().to_string();
    let tags = std::iter::once("v1".to_owned());
    let tags: Vec<String> = tags
        .chain(notes.keys().map(|digest| tag_of(digest)).collect::<Result<Vec<_>>>()?)
        .collect();
    for tag in tags {
        let folder = TempDir::new()?;
        let remote = RemoteImage::plain(&authority, &format!("{REPOSITORY}:{tag}"));
        skopeo.copy_to_layout(&remote, folder.path()).await?;
        let copied = Bundle::read(folder.path())?;
        copied.push(&last.pipeline()?, REPOSITORY, &tag).await?;
    }

    let tag: Tag = "v1".parse()?;
    let arrived = Box::pin(Bundle::pull(&last.pipeline()?, REPOSITORY, tag.into())).await?;
    same(&arrived, image, "the image that arrived")?;
    let arrived = Box::pin(referrers(&last.pipeline()?, image.root())).await?;
    ensure(arrived == *notes, "other referrers arrived")
}

async fn referrers(of: &Pipeline, subject: &Digest) -> Result<Notes> {
    let repository = RepositoryClient::new(of.clone(), REPOSITORY.parse()?);
    let mut list = repository.list_referrers(subject);
    let mut notes = Notes::new();
    while let Some(referrer) = list.try_next().await? {
        let digest = referrer.digest()?;
        let note = Box::pin(Bundle::pull(of, REPOSITORY, digest.clone().into())).await?;
        notes.insert(digest.to_string(), note);
    }
    Ok(notes)
}

/// skopeo copies by tag, so that every note gets one.
fn tag_of(digest: &str) -> Result<String> {
    let digest: Digest = digest.parse()?;
    Ok(format!("note-{}", digest.hex().get(..12).ok_or("a short digest")?))
}
