//! As few requests as the interface of a registry allows.

use acr_bench::bounds::hold;
use bytes::Bytes;

use crate::support::{Beside, MIB, SMALL, digest, file, repository, stream};

fn requests(what: &str, beside: &Beside, work: impl Future) {
    let stats = beside.counted(work);
    println!("{:?}", stats.requests);
    hold(&format!("requests: {what}"), stats.requests_in_all() as f64);
}

#[test]
fn gets_and_puts_ask_for_a_token_once_and_are_never_challenged() {
    let (beside, small) = (Beside::new(), digest(SMALL));
    let ours = beside.ours("bench/a");
    requests("10 gets", &beside, async {
        for _ in 0..10 {
            ours.get(&small).await;
        }
    });
    let ours = beside.ours("bench/a");
    let other = ours.beside("bench/b");
    requests("20 gets of two repositories in turn", &beside, async {
        for _ in 0..10 {
            ours.get(&small).await;
            other.get(&small).await;
        }
    });
    let ours = beside.ours("bench/a");
    requests("10 puts", &beside, async {
        for _ in 0..10 {
            ours.put(Bytes::from(vec![7; SMALL])).await;
        }
    });
}

#[test]
fn long_transfers_take_no_more_than_their_parts() {
    const LEN: usize = 64 * MIB;
    let (beside, long) = (Beside::new(), digest(LEN));
    let ours = beside.ours(&repository(LEN));
    requests("64 MiB down", &beside, async { assert_eq!(ours.get(&long).await, LEN as u64) });
    let (ours, file) = (beside.ours("bench/a"), file(LEN));
    requests("64 MiB up from a file", &beside, ours.put_file(file.path()));
    let ours = beside.ours("bench/a");
    requests("64 MiB up from a stream", &beside, ours.put(stream(LEN)));
}

#[test]
fn lists_take_a_request_a_page() {
    let beside = Beside::new();
    let ours = beside.ours("bench/a");
    requests("100 pages of tags", &beside, async { assert_eq!(ours.tags().await, 10_000) });
}

#[test]
fn other_work_between_costs_nothing_more() {
    let (beside, small) = (Beside::new(), digest(SMALL));
    let ours = beside.ours("bench/a");
    requests("10 times a list, a get and a put", &beside, async {
        for _ in 0..10 {
            ours.first_tag().await;
            ours.get(&small).await;
            ours.put(Bytes::from(vec![7; SMALL])).await;
        }
    });
}
