//! A slot that was lent a lease, perhaps after its own fetch had failed.

use super::*;
use crate::clock::tests::Manual;

/// A slot, and what moves its clock.
fn slot() -> (Slot<u32>, Arc<Manual>) {
    let (clock, hand) = Manual::clock();
    (Slot::new(clock), hand)
}

fn lend(slot: &Slot<u32>, life: Duration) {
    slot.lend(Lease::new(7, slot.clock.now(), life, 0.0));
}

async fn fails(slot: &Slot<u32>) -> Result<(Lease<u32>, bool)> {
    slot.get(|| async { Err(Error::new(ErrorKind::Server, "down")) }).await
}

#[tokio::test]
async fn a_lent_lease_answers_until_it_is_due() {
    let (slot, hand) = slot();
    lend(&slot, Duration::from_secs(600));
    hand.advance(Duration::from_secs(479));
    let (used, is_new) = fails(&slot).await.unwrap();
    assert_eq!((*used.token, is_new), (7, false));
    hand.advance(Duration::from_secs(1));
    let new = || async { Ok(Lease::new(8, slot.clock.now(), Duration::from_secs(600), 0.0)) };
    assert!(slot.get(new).await.unwrap().1, "it is due");
}

#[tokio::test]
async fn only_who_has_no_token_waits_after_a_failure() {
    for is_lent in [true, false] {
        let (slot, hand) = slot();
        assert!(fails(&slot).await.is_err());
        if is_lent {
            // Due within the pause that follows the failure.
            lend(&slot, Duration::from_millis(40));
            hand.advance(Duration::from_millis(20));
        }
        let start = slot.clock.now();
        assert_eq!(fails(&slot).await.is_ok(), is_lent);
        let waited = if is_lent { Duration::ZERO } else { FAILURE_PAUSE };
        assert_eq!(slot.clock.now().since(start), waited, "{is_lent}");
    }
}

#[test]
fn debug_tells_whether_there_is_a_lease_and_not_which() {
    let (slot, _) = slot();
    assert_eq!(format!("{slot:?}"), "Slot { has_lease: false, .. }");
    lend(&slot, Duration::from_secs(60));
    assert_eq!(format!("{slot:?}"), "Slot { has_lease: true, .. }");
}
