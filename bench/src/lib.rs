//! What the middleware stack costs, and how fast large transfers are.
//!
//! ```text
//! cargo bench -p acr-bench --bench overhead
//! ```
//!
//! The benchmark `overhead` sends sequential GETs that a loopback server on its own
//! thread answers with a tiny 200, over warm connections:
//!
//! | name | what sends |
//! |---|---|
//! | `bare_client` (a) | hyper-util's client alone, given the header lines that the stack adds |
//! | `pipeline` (b) | the default [`Pipeline`] over the same kind of client, signed in with a warm token |
//! | `no_op` | a boxed service that answers by itself |
//! | `pipeline_over_no_op` (c) | the same stack over that service: no socket, no noise |
//!
//! Criterion reports wall time of each. Below that, the program prints the CPU time per
//! request of the client's thread (from the kernel's scheduler, Linux only), measured in
//! interleaved rounds, and two differences: (c) − no-op is what the layers cost; (b) − (a)
//! is the same seen on a socket. The requirement is 5 µs at most.
//!
//! `cargo bench -p acr-bench --bench overhead -- --test` runs everything once.
//!
//! The program `bare` is the yardstick of transfers: hyper-util and sha2 alone, against a sink
//! (`acr-emulator --sink`).
//!
//! ```text
//! cargo bench -p acr-bench --bench compare -- --write
//! ```
//!
//! runs each case of ours and of the yardstick in turn, the client on one processor and the sink on
//! another, and writes the medians of the ratios into `docs/performance.md`. What a machine that is
//! busy says is void, and it says so.
//!
//! The test `guards` holds counts that no load changes (requests, connections, bytes, allocations)
//! against the table in [`bounds`].
//!
//! [`Pipeline`]: https://docs.rs/acr-core/latest/acr_core/struct.Pipeline.html
//!
//! ```text
//! cargo bench -p acr-bench --bench transfer -- --mib 10240
//! ```
//!
//! prints throughput and memory growth of one upload from a stream, one from a (sparse)
//! file and one download, over loopback without TLS, of 1 GiB each or as many MiB as are
//! named. The figures have no gate; the bound that is promised is 32 MiB of growth.
//!
//! ```text
//! cargo bench -p acr-bench --bench listing
//! ```
//!
//! prints the peak memory of a process that lists 1,000 and one that lists 100,000
//! manifests of an emulator in another process, and fails if the longer list needs more.
//! The emulator's journal must show one request a page and none ahead of need.

#![forbid(unsafe_code)]

pub mod bounds;
