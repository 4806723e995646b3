//! What we push others read, what they push we read, and nothing changes on the way.
//!
//! Run by `bash interop/run cross-reading`, which builds what is not in Debian.
#![cfg(feature = "suites")]

mod bundle;
mod circle;
mod emulator;

#[path = "../support/mod.rs"]
mod support;

use acr_core::Tag;
use acr_interop::{ForeignClient, Trials};
use tempfile::TempDir;

use crate::{
    bundle::Bundle,
    emulator::Emulator,
    support::{Result, ensure, same},
};

const SUITE: &str = "cross-reading";

#[tokio::test]
async fn e1_tools_read_what_we_pushed_and_we_what_they_pushed_by_the_printed_address() -> Result {
    let emulator = Emulator::start().await?;
    let bundle = Bundle::multi_platform().await?;
    for client in ForeignClient::ALL {
        let mut trials = Trials::new(SUITE, client.to_string(), client.version().await?);
        let read = reads(client, &emulator, &bundle);
        trials.pass("reads a multi-platform image that we pushed", read).await?;
        let pushed = pushes(client, &emulator, &bundle);
        trials.pass("pushes a multi-platform image that we read", pushed).await?;
        trials.finish()?;
    }
    // The storage refuses a credential; none of the tools showed one.
    let asked = emulator.at_the_storage()?;
    ensure(asked.len() >= ForeignClient::ALL.len(), "they did not go to the storage")?;
    let wrong = asked.iter().find(|(status, authorized)| *authorized || *status >= 300);
    same(wrong, None, "status and credential")
}

async fn reads(client: ForeignClient, emulator: &Emulator, bundle: &Bundle) -> Result {
    let repository = format!("ours/for-{client}");
    bundle.push(&emulator.pipeline()?, &repository, "v1").await?;
    let folder = TempDir::new()?;
    let layout = folder.path().join("layout");
    let site = emulator.site();
    let reference = format!("{}/{repository}:v1", site.authority);
    client.pull(&site, &reference, &layout, "v1").await?;
    same(&Bundle::read(&layout)?, bundle, "what it read")
}

async fn pushes(client: ForeignClient, emulator: &Emulator, bundle: &Bundle) -> Result {
    let folder = TempDir::new()?;
    bundle.write(folder.path(), "v1")?;
    let repository = format!("theirs/of-{client}");
    let site = emulator.site();
    let reference = format!("{}/{repository}:v1", site.authority);
    client.push(&site, folder.path(), "v1", &reference).await?;
    let tag: Tag = "v1".parse()?;
    let found = Box::pin(Bundle::pull(&emulator.pipeline()?, &repository, tag.into())).await?;
    same(&found, bundle, "what it pushed")
}
