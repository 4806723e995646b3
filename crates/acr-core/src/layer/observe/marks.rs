//! The mark on a request by which those who know more tell the observers around them.

use std::{iter::successors, sync::Arc};

use http::Extensions;
use tokio::time::Instant;

#[cfg(feature = "_transport")]
use super::events::{Connected, Connection};
use super::{
    events::{Ending, Waited},
    reporter::Reporter,
};

/// Who stands around a request, as its extension: retry tells the observers of its call of a
/// wait, and our own transport tells those of the exchange of its connection. An observer
/// that stands further out is told too.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    calls: Option<Arc<Mark>>,
    exchanges: Option<Arc<Mark>>,
}

struct Mark {
    reporter: Reporter,
    outer: Option<Arc<Self>>,
}

impl Marks {
    /// Adds one that stands inside of those that are there.
    pub(super) fn add_call(extensions: &mut Extensions, reporter: Reporter) {
        let marks = extensions.get_or_insert_default::<Self>();
        let outer = marks.calls.take();
        marks.calls = Some(Arc::new(Mark { reporter, outer }));
    }

    /// The same for an exchange.
    pub(super) fn add_exchange(extensions: &mut Extensions, reporter: Reporter) {
        let marks = extensions.get_or_insert_default::<Self>();
        let outer = marks.exchanges.take();
        marks.exchanges = Some(Arc::new(Mark { reporter, outer }));
    }

    #[cfg(feature = "_transport")]
    pub(crate) fn connected(&self, connection: Connection) {
        for Reporter { observer, of } in reporters(&self.exchanges) {
            observer.connected(of, &Connected::new(connection));
        }
    }

    /// The wait until the result is dropped.
    pub(crate) fn waiting(&self, reason: Ending, is_asked: bool, attempt: u32) -> Waiting {
        Waiting { calls: self.calls.clone(), start: Instant::now(), reason, is_asked, attempt }
    }
}

/// From the innermost to the outermost.
fn reporters(innermost: &Option<Arc<Mark>>) -> impl Iterator<Item = &Reporter> {
    successors(innermost.as_deref(), |mark| mark.outer.as_deref()).map(|mark| &mark.reporter)
}

/// A call that waits for its next attempt.
pub(crate) struct Waiting {
    calls: Option<Arc<Mark>>,
    start: Instant,
    reason: Ending,
    is_asked: bool,
    attempt: u32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Self { reason, is_asked, attempt, .. } = *self;
        let waited = Waited { duration: self.start.elapsed(), reason, is_asked, attempt };
        for Reporter { observer, of } in reporters(&self.calls) {
            observer.waited(of, &waited);
        }
    }
}
