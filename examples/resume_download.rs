//! Downloads a blob into a file with a progress bar, and goes on where an earlier run was
//! interrupted: by Ctrl-C, a killed process, or a network that went away, for which it waits.
//!
//! ```text
//! cargo run --example resume_download -- REPOSITORY DIGEST FILE
//! ```
//!
//! Talks to the emulator, or to the registry named by `CONTAINERREGISTRY_ENDPOINT` (see
//! `src/registry.rs`). Without arguments and on the emulator it pushes a blob of its own and stops
//! the first download in the middle.

#![allow(clippy::print_stdout, reason = "a program that talks to a person")]

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use acr_client::{Digest, Repository, Result};
use acr_core::http::BoxError;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::oneshot, time::sleep};

#[derive(Parser)]
#[command(about = "Downloads a blob, and goes on where it was interrupted")]
struct Arguments {
    #[arg(requires = "digest")]
    repository: Option<String>,
    #[arg(requires = "file")]
    digest: Option<Digest>,
    file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let place = acr_examples::Registry::from_env().await?;
    // With a registry of your own: `Registry::connect("myregistry.azurecr.io")?`.
    let registry = place.builder().build()?;
    match Arguments::parse() {
        Arguments { repository: Some(repository), digest: Some(digest), file: Some(file) } => {
            let size = download(&registry.repository(repository.as_str())?, &digest, &file).await?;
            println!("{}: {size} bytes", file.display());
        }
        _ if place.is_emulator() => show(&registry.repository("tour/artifact")?).await?,
        _ => return Err("which blob? REPOSITORY DIGEST FILE".into()),
    }
    place.shutdown().await;
    Ok(())
}

/// Downloads, however often it takes: each attempt goes on where the last one ended.
async fn download(repo: &Repository, digest: &Digest, file: &Path) -> Result<u64> {
    let bar = ProgressBar::no_length().with_style(style());
    loop {
        let shown = bar.clone();
        let download = repo.download(digest).on_progress(move |now| {
            if let Some(total) = now.total {
                shown.set_length(total);
            }
            shown.set_position(now.transferred);
        });
        match download.to_file_resumable(file).await {
            Err(error) if error.is_transient() => {
                bar.suspend(|| println!("{error}; going on in {} s", PAUSE.as_secs()));
                sleep(PAUSE).await;
            }
            ended => {
                bar.finish_and_clear();
                return ended;
            }
        }
    }
}

/// The same, interrupted once.
async fn show(repo: &Repository) -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("layer.tar");
    let content = vec![7; 24 << 20];
    let layer = repo.upload(content.clone()).await?;

    let (enough, is_enough) = oneshot::channel();
    let enough = std::sync::Mutex::new(Some(enough));
    let first = repo.download(&layer.digest).on_progress(move |now| {
        if now.transferred > 12 << 20
            && let Some(enough) = enough.lock().ok().and_then(|mut enough| enough.take())
        {
            // Nobody waits where it was too fast.
            let _ = enough.send(());
        }
    });
    tokio::select! {
        biased;
        _ = is_enough => println!("interrupted in the middle"),
        ended = first.to_file_resumable(&file) => println!("{} bytes at once", ended?),
    }
    let size = download(repo, &layer.digest, &file).await?;
    println!("{size} bytes, verified");
    if tokio::fs::read(&file).await? != content {
        return Err("it is another file".into());
    }
    repo.delete_blob(&layer.digest).await?;
    Ok(())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:30} {bytes:>11}/{total_bytes:11} {bytes_per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

const PAUSE: Duration = Duration::from_secs(5);
