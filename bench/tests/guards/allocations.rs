//! How often the client's thread asks for memory. What other threads ask for, such as those that
//! read files and hash, is not counted.

use acr_bench::bounds::hold;
use bytes::Bytes;

use crate::support::{Beside, MIB, SMALL, digest, file, repository, stream};

/// Allocations for each of so many, on this thread.
fn allocations(what: &str, each_of: usize, beside: &Beside, work: impl Future) {
    let counted = allocation_counter::measure(|| {
        beside.run(work);
    });
    hold(&format!("allocations: {what}"), counted.count_total as f64 / each_of as f64);
}

#[test]
fn small_things_ask_for_little_memory() {
    const COUNT: usize = 200;
    let (beside, small) = (Beside::new(), digest(SMALL));
    let ours = beside.ours("bench/a");
    let content = Bytes::from(vec![7; SMALL]);
    let (ping, get) = (
        async |count| {
            for _ in 0..count {
                ours.ping().await;
            }
        },
        async |count| {
            for _ in 0..count {
                ours.get(&small).await;
            }
        },
    );
    let put = async |count| {
        for _ in 0..count {
            ours.put(content.clone()).await;
        }
    };
    // Connections and tokens are there, tables are as large as they become.
    beside.run(async {
        ping(20).await;
        get(20).await;
        put(20).await;
    });
    allocations("a request without a body", COUNT, &beside, ping(COUNT));
    allocations("a get of 16 KiB", COUNT, &beside, get(COUNT));
    allocations("a put of 16 KiB", COUNT, &beside, put(COUNT));
    beside.run(ours.tags());
    allocations("a tag of a list", 10_000, &beside, ours.tags());
}

#[test]
fn long_things_ask_for_little_memory() {
    const LEN: usize = 64 * MIB;
    let (beside, long, file) = (Beside::new(), digest(LEN), file(LEN));
    let ours = beside.ours(&repository(LEN));
    beside.run(ours.get(&long));
    allocations("a MiB down", LEN / MIB, &beside, ours.get(&long));
    beside.run(ours.put_file(file.path()));
    allocations("a MiB up from a file", LEN / MIB, &beside, ours.put_file(file.path()));
    allocations("a MiB up from a stream", LEN / MIB, &beside, ours.put(stream(LEN)));
}
