//! The thread of a client: one, made when it is needed, gone with the last that could need it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::future::poll_fn;

use acr_core::{
    Digest, Digester, Error, Pipeline, Transport,
    hashing::{Hashing, Lane},
    http::{Body, Request},
};

fn pipeline(hashing: Hashing) -> Pipeline {
    let transport = Transport::new(tower::service_fn(|_: Request| async {
        Ok::<_, Error>(http::Response::new(Body::empty()))
    }));
    let endpoint = "r.azurecr.io".parse().unwrap();
    Pipeline::builder(endpoint).transport(transport).hashing(hashing).build().unwrap()
}

/// How many threads of this process have the name.
fn threads() -> usize {
    let names = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "acr-hash").count()
}

/// It is waited for; only on a machine that has no time for it, not long enough.
fn none_is_left() -> bool {
    (0..1_000_000).any(|_| {
        std::thread::yield_now();
        threads() == 0
    })
}

async fn hash(pipeline: &Pipeline) -> Lane {
    let lane = Lane::new(pipeline.hasher(), Digester::default());
    for piece in ["hello ", "world"] {
        lane.give(piece.into());
    }
    poll_fn(|cx| lane.poll_settled(cx)).await;
    assert_eq!(lane.settle_now().finish(), Digest::sha256(b"hello world"));
    lane
}

// One test, since all tests of a process would count each other's threads.
#[test]
fn a_client_has_one_thread_at_most_and_the_last_clone_ends_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let client = pipeline(Hashing::Beside);
        assert_eq!(threads(), 0, "nothing was hashed");
        let clone = client.clone();
        let lanes = [hash(&client).await, hash(&clone).await, hash(&client).await];
        assert_eq!(threads(), 1);
        drop((client, clone));
        assert_eq!(threads(), 1, "there are lanes");
        drop(lanes);
        assert!(none_is_left());

        let client = pipeline(Hashing::Here);
        drop(hash(&client).await);
        assert_eq!(threads(), 0);
    });

    // A runtime that is gone before the client.
    let client = pipeline(Hashing::Beside);
    let lane = runtime.block_on(hash(&client));
    lane.give(vec![7; 1 << 20].into());
    drop(runtime);
    assert_eq!(lane.settle_now().len(), (1 << 20) + 11);
    drop((lane, client));
    assert!(none_is_left());
}
