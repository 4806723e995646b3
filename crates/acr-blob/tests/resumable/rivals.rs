//! Several downloads for one path.

use std::fs;

use acr_core::ErrorKind;
use acr_testkit::{Fault, Operation};

use crate::place::{MIB, Place};

#[tokio::test]
async fn of_two_at_once_one_is_told_and_neither_spoils_the_other() {
    let place = Place::new().await;
    let first = place.begun(place.download(), 1).await;
    // The first is in the middle, and stays there.
    let refused = place.download().to_file_resumable(place.path("file")).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(error.to_string().contains("another download is writing to it"), "{error}");
    assert_eq!(first.await.unwrap(), place.content.len() as u64);
    assert!(fs::read(place.path("file")).unwrap() == place.content);
    assert_eq!(place.names(), ["file"]);
}

/// Whoever gives up a download that still runs, and begins another one, gets the other one's file:
/// the first touches nothing that it did not make. On Windows nobody can remove what is open.
#[cfg(unix)]
#[tokio::test]
async fn a_download_whose_files_were_removed_leaves_those_of_the_next_one_alone() {
    let place = Place::new().await;
    let others = ["file.acr-checkpoint", "file.acr-partial"];
    // Before it notes how far it is, before it is done, and before it throws all away.
    for (at, is_corrupt) in [(2, false), (9, false), (9, true)] {
        if is_corrupt {
            place.fake.inject(Fault::corrupt(Operation::GetStorage, MIB as u64));
        }
        let first = place.begun(place.download(), at * MIB as u64).await;
        for name in others {
            let _ = fs::remove_file(place.path(name));
        }
        let second = place.begun(place.download(), 6 * MIB as u64).await;
        let before = fs::read(place.path("file.acr-checkpoint")).unwrap();
        let error = first.await.unwrap_err();
        if is_corrupt {
            assert_eq!(error.kind(), ErrorKind::Integrity);
        } else {
            assert_eq!(error.kind(), ErrorKind::Source);
            assert!(error.to_string().contains("removed or replaced meanwhile"), "{error}");
        }
        assert_eq!(place.names(), others, "{at}");
        assert!(fs::read(place.path("file.acr-checkpoint")).unwrap() == before, "{at}");
        assert_eq!(second.await.unwrap(), place.content.len() as u64);
        assert!(fs::read(place.path("file")).unwrap() == place.content);
        assert_eq!(place.names(), ["file"]);
        fs::remove_file(place.path("file")).unwrap();
    }
}

/// Sixteen gigabytes that nobody wants compared any more.
#[cfg(unix)]
#[tokio::test]
async fn a_drop_ends_the_comparison_of_what_was_kept() {
    const HUGE: u64 = 16 << 30;

    let place = Place::new().await;
    place.killed_after(9 * MIB as u64).await;
    let (partial, saved) = (place.path("file.acr-partial"), place.path("file.acr-checkpoint"));
    fs::File::options().write(true).open(&partial).unwrap().set_len(HUGE).unwrap();
    let mut text: serde_json::Value = serde_json::from_slice(&fs::read(&saved).unwrap()).unwrap();
    text["delivered"] = HUGE.into();
    text["len"] = HUGE.into();
    text["digester"]["len"] = HUGE.into();
    // The number of blocks of 64 bytes stands behind the 32 bytes of the hash itself.
    let state = text["digester"]["state"].as_str().unwrap().to_owned();
    let blocks: String =
        (HUGE / 64).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let rest = "0".repeat(state.len() - 80);
    text["digester"]["state"] = format!("{}{blocks}{rest}", &state[..64]).into();
    fs::write(&saved, text.to_string()).unwrap();

    let other = place.blobs("a").upload(vec![7; 6 * MIB]).await.unwrap().digest;
    // While one of them compares, the other one waits in vain.
    let (path, call) = (place.path("file"), || place.download());
    let refused = tokio::select! {
        refused = call().to_file_resumable(&path) => refused,
        refused = call().to_file_resumable(&path) => refused,
    };
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("another download is writing to it"), "{error}");
    let next = place.blobs("a").download(&other).to_file_resumable(&path).await;
    assert_eq!(next.unwrap(), 6 * MIB as u64);
}
