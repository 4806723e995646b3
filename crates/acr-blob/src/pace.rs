//! What uploads and downloads have in common: how long they wait and what they do elsewhere.

use std::time::Duration;

/// Waited before asking how far a transfer got or for its rest, times the number of times that
/// it was asked in vain.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// Content of this length or more is hashed on a thread that may block: it takes about a tenth
/// of a millisecond.
pub(crate) const LARGE: usize = 128 * 1024;
