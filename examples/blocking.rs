//! Without async: lists tags, and copies a blob to the standard output.
//!
//! ```text
//! cargo run --example blocking
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see
//! `src/registry.rs`), where it pushes to the repository `tour/artifact` and deletes that again.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::io::{Write, copy, stdout};

use acr_client::{ImageManifest, blocking::Repository};
use acr_core::http::BoxError;

fn main() -> Result<(), BoxError> {
    // Async only for the emulator, which is served on threads of its own meanwhile.
    let runtime = tokio::runtime::Runtime::new()?;
    let place = runtime.block_on(acr_examples::Registry::from_env())?;
    // With a registry of your own: `blocking::Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build_blocking()?;
    copy_a_blob(&registry.repository("tour/artifact")?)?;
    drop(registry);
    runtime.block_on(place.shutdown());
    Ok(())
}

fn copy_a_blob(repo: &Repository) -> Result<(), BoxError> {
    let mut writer = repo.start_upload()?.into_writer();
    writeln!(writer, "written piece by piece")?;
    let layer = writer.finish()?;
    repo.upload("{}").run()?;
    let manifest = ImageManifest::artifact("application/vnd.example.text");
    repo.put_manifest(manifest.to_json()?).tag("without-async").run()?;

    for tag in repo.list_tags() {
        println!("{}", tag?.name);
    }
    copy(&mut repo.download(&layer.digest).run()?, &mut stdout())?;
    // As it was before.
    repo.delete_manifest_of_tag("without-async")?;
    repo.delete_blob(&layer.digest)?;
    Ok(())
}
