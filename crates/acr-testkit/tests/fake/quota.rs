//! Throttling and the journal.

use std::time::Duration;

use acr_testkit::{FakeRegistry, Kind, Operation, Quota};

use crate::support::Client;

#[tokio::test(start_paused = true)]
async fn a_quota_answers_429_until_the_time_it_names() {
    let registry = FakeRegistry::builder().quota(Quota::new(4, 1_000)).build();
    let client = Client::full(&registry).await;
    for _ in 0..4 {
        assert_eq!(client.get("/v2/").await.status, 200);
    }
    let got = client.get("/v2/").await;
    assert_eq!((got.status, got.code().as_str()), (429, "TOOMANYREQUESTS"));
    let wait: u64 = got.header("retry-after").parse().unwrap();
    assert_eq!(wait, 15);
    let start = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
    assert_eq!(start.status, 202, "writes have a quota of their own");
    tokio::time::advance(Duration::from_secs(wait)).await;
    assert_eq!(client.get("/v2/").await.status, 200);
}

#[tokio::test]
async fn what_is_left_counts_down() {
    let registry = FakeRegistry::builder().quota(Quota::new(600, 600)).build();
    let client = Client::full(&registry).await;
    let mut left = Vec::new();
    for _ in 0..3 {
        let got = client.send("DELETE", "/acr/v1/a", &[], "").await;
        let text = got.header("x-ms-ratelimit-remaining-calls-per-second").to_owned();
        assert_eq!(text.split('.').nth(1).map(str::len), Some(6), "{text}");
        left.push(text.parse::<f64>().unwrap());
    }
    assert!(left[0] < 10.0 && left[2] > 9.0 && left[0] >= left[1], "{left:?}");
}

#[tokio::test]
async fn the_journal_counts_what_was_sent_for_nothing() {
    let registry = FakeRegistry::new();
    let client = Client::full(&registry).await;
    let journal = registry.journal();
    journal.assert_operations(&[Operation::ExchangeEntraToken, Operation::FetchAccessToken]);
    journal.assert_no_waste();
    let bare = Client::bare(&registry);
    let path = "/v2/a/blobs/uploads/?digest=sha256:";
    let path = format!("{path}{}", acr_core::Digest::sha256(b"hello").hex());
    assert_eq!(bare.send("POST", &path, &[], "hello").await.status, 401);
    assert_eq!(client.send("POST", &path, &[], "hello").await.status, 201);
    assert_eq!((journal.wasted_bytes(), journal.count(Kind::Challenge)), (5, 1));
    journal.assert_count(Kind::Token, 1);
    let failed = std::panic::catch_unwind(|| journal.assert_no_waste());
    let message = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("1 challenges and 5 wasted bytes"), "{message}");
    assert!(message.contains("start_upload POST"), "{message}");
}
