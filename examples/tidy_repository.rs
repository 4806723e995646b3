//! Changes the properties of a repository, deletes one of its tags or all but the newest (what
//! Python's `sample_delete_tags` does), or deletes all of it (as `sample_hello_world` in the end).
//!
//! ```text
//! cargo run --example tidy_repository -- REPOSITORY lock
//! cargo run --example tidy_repository -- REPOSITORY unlock
//! cargo run --example tidy_repository -- REPOSITORY delete-tag TAG
//! cargo run --example tidy_repository -- REPOSITORY keep-tags COUNT
//! cargo run --example tidy_repository -- REPOSITORY delete
//! ```
//!
//! Talks to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see `src/registry.rs`), or
//! to the emulator, where it does all of it with a repository of five tags.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use acr_client::{Order, Permissions, Repository, Result, Tag, http::BoxError};
use acr_examples::push_samples;

const USAGE: &str = "usage: tidy_repository REPOSITORY lock|unlock|delete-tag|keep-tags|delete";

#[tokio::main]
async fn main() -> std::result::Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build()?;
    match arguments[..] {
        [name, "lock"] => set(&registry.repository(name)?, false).await?,
        [name, "unlock"] => set(&registry.repository(name)?, true).await?,
        [name, "delete-tag", tag] => delete_tag(&registry.repository(name)?, &tag.parse()?).await?,
        [name, "keep-tags", count] => {
            keep_tags(&registry.repository(name)?, count.parse()?).await?;
        }
        [name, "delete"] => delete(&registry.repository(name)?).await?,
        [] if place.is_emulator() => {
            let repository = registry.repository("library/app")?;
            push_samples(repository.metadata(), &["v1", "v2", "v3", "v4", "v5"]).await?;
            set(&repository, false).await?;
            set(&repository, true).await?;
            keep_tags(&repository, 3).await?;
            delete_tag(&repository, &"v3".parse()?).await?;
            delete(&repository).await?;
        }
        _ => return Err(USAGE.into()),
    }
    place.shutdown().await;
    Ok(())
}

/// Allows or forbids that anything is pushed to the repository or deleted in it.
async fn set(repository: &Repository, allowed: bool) -> Result<()> {
    let permissions = Permissions::new().write(allowed).delete(allowed);
    let now = repository.update_properties(permissions).await?;
    println!("{}: {:?}", now.name, now.permissions);
    Ok(())
}

/// Deletes a name; the manifest stays, with its other tags or with none.
async fn delete_tag(repository: &Repository, tag: &Tag) -> Result<()> {
    // DeleteTag
    let deletion = repository.delete_tag(tag).await?;
    println!("tag {tag}: {deletion}");
    Ok(())
}

/// Deletes all names but the newest. What changes while they are listed could be missed, so they
/// are listed first.
async fn keep_tags(repository: &Repository, count: usize) -> Result<()> {
    let mut newest_first = repository.list_tags().order_by(Order::NEWEST_FIRST);
    let mut names = Vec::new();
    while let Some(tag) = newest_first.try_next().await? {
        names.push(tag.name);
    }
    for name in names.iter().skip(count) {
        delete_tag(repository, name).await?;
    }
    Ok(())
}

async fn delete(repository: &Repository) -> Result<()> {
    // DeleteRepository
    let deletion = repository.delete().await?;
    println!("repository {}: {deletion}", repository.repository());
    Ok(())
}
