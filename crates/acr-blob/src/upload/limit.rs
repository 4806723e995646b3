//! How much somebody on the way takes at once: learned, and unlearned with care. Pure.

/// What was refused as too large, and how far it is tried again.
///
/// A refusal halves the length. After a number of full chunks that were taken the length is
/// doubled, and then with every one; each time that this meets a refusal, twice as many have
/// to be taken before the next try, so that what the tries cost is a small part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// The longest body that is sent.
    chunk: u64,
    /// The shortest body that was refused since the last try.
    refused: u64,
    /// Full chunks that were taken since.
    taken: u32,
    /// How many of them it takes.
    wait: u32,
    has_taken: bool,
}

impl Limit {
    /// A length, cut down to what is taken.
    pub(crate) fn cap(&self, wanted: u64) -> u64 {
        wanted.min(self.chunk)
    }

    /// Whether a body of this length may be sent in one.
    pub(crate) fn allows_whole(&self, len: u64) -> bool {
        len < self.refused && len <= self.chunk
    }

    /// The one that allows less.
    pub(crate) fn stricter(self, other: Self) -> Self {
        let most = |limit: &Self| limit.chunk.min(limit.refused);
        if most(&other) < most(&self) { other } else { self }
    }

    /// A body was refused; how long the next one is.
    pub(crate) fn refuse(&mut self, len: u64, chunk: u64) -> u64 {
        if self.has_taken {
            self.wait = self.wait.saturating_mul(2).min(MAX_WAIT);
        }
        self.refused = self.refused.min(len);
        self.chunk = chunk.min(len / 2);
        (self.taken, self.has_taken) = (0, false);
        self.chunk
    }

    /// A body was taken, where chunks of a length are wanted.
    pub(crate) fn take(&mut self, len: u64, wanted: u64) {
        let is_known = self.chunk < u64::MAX || self.refused < u64::MAX;
        // Shorter ones pass any limit.
        if !is_known || len < self.chunk {
            return;
        }
        self.has_taken = true;
        self.taken = self.taken.saturating_add(1);
        if self.refused < u64::MAX && self.taken < self.wait {
            return;
        }
        self.refused = u64::MAX;
        self.chunk = self.chunk.saturating_mul(2);
        if self.chunk >= wanted {
            self.chunk = u64::MAX;
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self { chunk: u64::MAX, refused: u64::MAX, taken: 0, wait: FIRST_WAIT, has_taken: false }
    }
}

const FIRST_WAIT: u32 = 4;

const MAX_WAIT: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: u64 = 8 << 20;

    /// Sends so many bytes past somebody who takes `most` at once; the requests taken and refused.
    fn send(limit: &mut Limit, mut bytes: u64, most: u64) -> (u32, u32) {
        let (mut taken, mut refused) = (0, 0);
        while bytes > 0 {
            let len = limit.cap(WANTED).min(bytes);
            if len > most {
                limit.refuse(len, limit.cap(WANTED));
                refused += 1;
            } else {
                limit.take(len, WANTED);
                bytes -= len;
                taken += 1;
            }
        }
        (taken, refused)
    }

    #[test]
    fn b6_one_refusal_by_chance_is_forgotten() {
        let mut limit = Limit::default();
        assert_eq!(limit.refuse(40_000, WANTED), 20_000);
        let (taken, _) = send(&mut limit, 8 << 20, u64::MAX);
        assert!(taken < 20, "{taken}");
        let (taken, refused) = send(&mut limit, 64 << 20, u64::MAX);
        assert!(taken <= 9 && refused == 0, "{taken}");
        assert!(limit.allows_whole(1 << 40));
    }

    #[test]
    fn b6_what_is_refused_again_is_tried_ever_more_rarely() {
        let mut limit = Limit::default();
        let (taken, refused) = send(&mut limit, 1 << 30, 3 << 20);
        // Two to find it; then after 4, 8, 16, … chunks of 2 MiB.
        assert_eq!(taken, 512);
        assert!((6..=9).contains(&refused), "{refused}");
        let (_, refused) = send(&mut limit, 1 << 30, 3 << 20);
        assert!(refused <= 2, "{refused}");
    }

    #[test]
    fn a_whole_body_is_sent_only_below_what_was_refused() {
        let mut limit = Limit::default();
        assert!(limit.allows_whole(u64::MAX - 1));
        assert_eq!(limit.refuse(1 << 30, WANTED), WANTED);
        assert!(!limit.allows_whole(1 << 30));
        for _ in 0..FIRST_WAIT {
            assert!(!limit.allows_whole(1 << 30));
            limit.take(WANTED, WANTED);
        }
        assert!(limit.allows_whole(1 << 30));
        limit.refuse(1 << 30, WANTED);
        for _ in 0..2 * FIRST_WAIT {
            assert!(!limit.allows_whole(1 << 30));
            limit.take(WANTED, WANTED);
        }
        assert!(limit.allows_whole(1 << 30));
    }

    #[test]
    fn short_bodies_and_unlimited_ones_prove_nothing() {
        let mut limit = Limit::default();
        limit.take(WANTED, WANTED);
        assert_eq!(limit, Limit::default());
        limit.refuse(WANTED, WANTED);
        let before = limit;
        limit.take(WANTED / 2 - 1, WANTED);
        assert_eq!(limit, before);
        // Full ones of an upload that wants short ones are no others.
        for _ in 0..2 * MAX_WAIT {
            limit.take(WANTED / 8, WANTED / 8);
        }
        assert_eq!(limit, before);
    }

    #[test]
    fn the_shortest_refusal_bounds_a_whole_body_and_the_stricter_of_two_counts() {
        let mut limit = Limit::default();
        limit.refuse(10, WANTED);
        limit.refuse(100, WANTED);
        for (len, allowed) in [(9, true), (10, false), (11, false), (50, false), (51, false)] {
            assert_eq!(limit.allows_whole(len), allowed, "{len}");
        }
        let none = Limit::default();
        assert_eq!((none.stricter(limit), limit.stricter(none)), (limit, limit));
        // Of two that allow as much, the one that is there stays.
        let mut later = limit;
        later.take(50, WANTED);
        assert_ne!(limit, later);
        assert_eq!((limit.stricter(later), later.stricter(limit)), (limit, later));
    }
}
