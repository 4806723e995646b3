//! Whether tokio's clock goes.

use tokio::time::Instant;

/// Whether tokio's clock stands still, as a test can make it.
///
/// Such a clock jumps to the next timer as soon as the runtime has nothing to do, and a thread of
/// ours that is at work does not hold it off: the time-outs of a transfer would fire while it is
/// hashed. A clock that goes shows it within a few looks; one that moves by milliseconds only is
/// taken for one that stands, which costs nothing but the thread.
pub(super) fn stands_still() -> bool {
    let start = Instant::now();
    (0..LOOKS).all(|_| Instant::now() == start)
}

/// More than any usual clock's step, and little enough for a test.
const LOOKS: u32 = 200;
