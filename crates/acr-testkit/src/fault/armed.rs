//! The faults of a registry, and when they strike.

use http::HeaderMap;

use super::{Effect, Fault, FaultPlan, Selector};
use crate::operation::Operation;

/// The faults of a registry that have not struck for the last time.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Armed>,
    /// Everything that was ever injected, to be printed.
    plan: FaultPlan,
    lagging: Vec<Lagging>,
}

/// What a fault looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) operation: Operation,
    pub(crate) repository: &'a str,
    pub(crate) item: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: Option<&'a HeaderMap>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    seen: u32,
}

/// Something written that some requests do not find yet.
#[derive(Debug)]
struct Lagging {
    repository: String,
    item: String,
    reads: u32,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.plan.push(fault.clone());
        self.armed.push(Armed { fault, seen: 0 });
    }

    /// Takes back what was injected, and what its strikes left for later.
    pub(crate) fn disarm(&mut self) {
        self.armed.clear();
        self.lagging.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.armed.len()
    }

    pub(crate) fn plan(&self) -> &FaultPlan {
        &self.plan
    }

    /// Counts a request and returns what strikes it.
    pub(crate) fn strike(&mut self, seen: Seen<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.armed.retain_mut(|armed| {
            let Fault { selector, effect, nth, times } = &armed.fault;
            if !selector.fits(&seen) {
                return true;
            }
            armed.seen = armed.seen.saturating_add(1);
            let end = nth.saturating_add(*times);
            if armed.seen >= *nth && (armed.seen < end || end == u32::MAX) {
                effects.push(effect.clone());
            }
            armed.seen.saturating_add(1) < end || end == u32::MAX
        });
        effects
    }

    /// Lets something written be missed by the next reads.
    pub(crate) fn lag(&mut self, repository: &str, item: &str, reads: u32) {
        let (repository, item) = (repository.to_owned(), item.to_owned());
        self.lagging.push(Lagging { repository, item, reads });
    }

    /// Whether a read misses what it asks for; counts it.
    pub(crate) fn misses(
        &mut self,
        repository: &str,
        is_it: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let mut found = None;
        self.lagging.retain_mut(|lagging| {
            if lagging.reads == 0 {
                return false;
            }
            if found.is_none() && lagging.repository == repository && is_it(&lagging.item) {
                lagging.reads -= 1;
                found = Some(lagging.item.clone());
            }
            true
        });
        found
    }
}

impl Selector {
    fn fits(&self, seen: &Seen<'_>) -> bool {
        let is = |wanted: &Option<String>, own: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == own)
        };
        let has = |name: &str| seen.headers.is_some_and(|headers| headers.contains_key(name));
        self.operation.fits(seen.operation)
            && is(&self.repository, seen.repository)
            && is(&self.item, seen.item)
            && self.path.as_deref().is_none_or(|part| seen.path.contains(part))
            && self.header.as_deref().is_none_or(has)
            && self.authorized.is_none_or(|wanted| wanted == has("authorization"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Target;

    fn seen(operation: Operation) -> Seen<'static> {
        Seen {
            operation,
            repository: "a/b",
            item: "v1",
            path: "/v2/a/b/manifests/v1",
            headers: None,
        }
    }

    #[test]
    fn strikes_on_the_nth_and_then_retires() {
        let mut faults = Faults::default();
        faults.arm(Fault::stall(Operation::Ping).on_nth(2).times(2));
        let mut struck = Vec::new();
        for _ in 0..5 {
            assert!(faults.strike(seen(Operation::FetchAccessToken)).is_empty());
            struck.push(!faults.strike(seen(Operation::Ping)).is_empty());
        }
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.len(), 0);
        faults.arm(Fault::stall(Operation::Ping).forever());
        assert!((0..10).all(|_| !faults.strike(seen(Operation::Ping)).is_empty()));
        assert_eq!(
            faults.plan().to_string(),
            "stall op=ping nth=2 times=2; stall op=ping nth=1 times=forever"
        );
    }

    #[test]
    fn a_fault_counts_only_what_it_fits() {
        let mut headers = HeaderMap::new();
        headers.insert("range", http::HeaderValue::from_static("bytes=0-1"));
        let seen = Seen { headers: Some(&headers), ..seen(Operation::GetManifest) };
        let get = || Fault::stall(Operation::GetManifest).forever();
        for (fault, strikes) in [
            (get(), true),
            (get().in_repository("a/b"), true),
            (get().in_repository("a"), false),
            (get().on_item("v1"), true),
            (get().on_item("v2"), false),
            (get().with_path("/manifests/"), true),
            (get().with_path("/blobs/"), false),
            (get().with_header("Range"), true),
            (get().with_header("accept"), false),
            (get().if_anonymous(), true),
            (get().if_authorized(), false),
            (Fault::stall(Target::Any), true),
            (Fault::stall(Operation::Connect), false),
        ] {
            let mut faults = Faults::default();
            faults.arm(fault.clone());
            assert_eq!(faults.strike(seen).len(), usize::from(strikes), "{fault}");
        }
        let mut faults = Faults::default();
        faults.arm(Fault::stall(Target::Any));
        assert!(faults.strike(Seen { operation: Operation::Connect, ..seen }).is_empty());
    }

    #[test]
    fn what_lags_is_missed_so_often() {
        let mut faults = Faults::default();
        faults.lag("a", "v1", 2);
        assert_eq!(faults.misses("b", |_| true), None);
        assert_eq!(faults.misses("a", |item| item == "v2"), None);
        for missed in [true, true, false] {
            assert_eq!(faults.misses("a", |item| item == "v1").is_some(), missed);
        }
    }
}
