//! No setting of time makes the transport panic, also not in the tasks that it starts.

#![cfg(feature = "_transport")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

mod network;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use acr_core::{CallOptions, TransportBuilder};
use proptest::prelude::*;
use tower::ServiceExt as _;

use self::network::{OK, Server, get};

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        Just(Duration::MAX - Duration::from_nanos(1)),
        Just(Duration::from_secs(u64::MAX / 1_000_000_000)),
        Just(Duration::from_secs(i64::MAX as u64)),
        (any::<u64>(), 0_u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n)),
        (0_u64..100_000).prop_map(Duration::from_micros),
    ]
}

/// Two exchanges one after the other, so that the pool keeps and finds a connection.
fn exchange_twice(connect: Duration, idle: Duration, call: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::plain(OK).await;
        let builder = TransportBuilder::new().connect_timeout(connect).pool_idle_timeout(idle);
        let transport = builder.build().unwrap();
        for _ in 0..2 {
            let mut request = get(&server.http());
            request.extensions_mut().insert(CallOptions::new().connect_timeout(call));
            if let Ok(response) = transport.clone().oneshot(request).await {
                assert_eq!(response.into_body().bytes(10).await.unwrap(), "ok");
            }
            // The pool's own task begins.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn b9_no_setting_of_time_makes_the_transport_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(info);
    }));
    exchange_twice(Duration::MAX, Duration::MAX, Duration::MAX);
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    proptest!(ProptestConfig::with_cases(100), |(
        connect in durations(),
        idle in durations(),
        call in durations(),
    )| {
        exchange_twice(connect, idle, call);
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
    });
}
