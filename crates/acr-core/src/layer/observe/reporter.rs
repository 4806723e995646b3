//! Tells an observer, and knows what about.

use std::sync::Arc;

use http::Extensions;
use tokio::time::Instant;

#[cfg(feature = "_transport")]
use super::events::{Connected, Connection};
use super::{
    events::{
        AttemptEnded, CallEnded, CallStarted, Ending, Observed, Target, Throttled, TokenCallEnded,
        Waited, known_method,
    },
    observer::Observer,
};
use crate::{
    http::{
        error::kind_of,
        operation::{Attempt, Effect, Operation},
        redact::shown_host,
    },
    layer::hop::ForeignHop,
};

/// An observer and what it is told about. As a request's extension it reaches those who know
/// more: retry, and our own transport.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) of: Arc<Observed>,
}

impl Reporter {
    pub(super) fn new<B>(observer: &Arc<dyn Observer>, request: &http::Request<B>) -> Self {
        let extensions = request.extensions();
        let (target, uri) = match extensions.get::<ForeignHop>() {
            Some(hop) => (Target::Redirected, &hop.from),
            None if is_token_call(extensions) => (Target::TokenService, request.uri()),
            None => (Target::Asked, request.uri()),
        };
        let host = uri.host().unwrap_or_default();
        let of = Observed {
            operation: extensions.get::<Operation>().map(Operation::name),
            host: shown_host(host).to_string().to_ascii_lowercase(),
            method: known_method(request.method()),
            target,
        };
        Self { observer: Arc::clone(observer), of: Arc::new(of) }
    }

    #[cfg(feature = "_transport")]
    pub(crate) fn connected(&self, connection: Connection) {
        self.observer.connected(&self.of, &Connected { connection });
    }

    /// The wait until the result is dropped.
    pub(crate) fn waiting(&self, reason: Ending, is_asked: bool, attempt: u32) -> Waiting {
        let (reporter, start) = (self.clone(), Instant::now());
        Waiting { reporter, start, reason, is_asked, attempt }
    }

    pub(super) fn call(self) -> Running {
        self.observer.call_started(&self.of, &CallStarted {});
        Running::new(self, Kind::Call)
    }

    pub(super) fn exchange(self, extensions: &Extensions) -> Running {
        let kind = match self.of.target {
            Target::TokenService => Kind::TokenCall,
            _ => Kind::Attempt(extensions.get::<Attempt>().map_or(1, |attempt| attempt.get())),
        };
        Running::new(self, kind)
    }
}

fn is_token_call(extensions: &Extensions) -> bool {
    extensions.get() == Some(&Effect::Token)
}

/// A call that waits for its next attempt.
pub(crate) struct Waiting {
    reporter: Reporter,
    start: Instant,
    reason: Ending,
    is_asked: bool,
    attempt: u32,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Self { reason, is_asked, attempt, .. } = *self;
        let waited = Waited { duration: self.start.elapsed(), reason, is_asked, attempt };
        self.reporter.observer.waited(&self.reporter.of, &waited);
    }
}

/// Something that ends once: as it is told, or cancelled when it is dropped.
pub(super) struct Running {
    reporter: Reporter,
    kind: Kind,
    start: Instant,
    is_over: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Call,
    Attempt(u32),
    TokenCall,
}

impl Running {
    fn new(reporter: Reporter, kind: Kind) -> Self {
        Self { reporter, kind, start: Instant::now(), is_over: false }
    }

    pub(super) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    pub(super) fn end<R, E: 'static>(&mut self, result: &Result<http::Response<R>, E>) {
        self.tell(match result {
            Ok(answer) => Ending::Answered(answer.status()),
            Err(error) => Ending::Failed(kind_of(error)),
        });
    }

    pub(super) fn throttled(&self, throttled: Throttled) {
        self.reporter.observer.throttled(&self.reporter.of, &throttled);
    }

    fn tell(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let Reporter { observer, of } = &self.reporter;
        let duration = self.start.elapsed();
        match self.kind {
            Kind::Call => observer.call_ended(of, &CallEnded { ending, duration }),
            Kind::Attempt(number) => {
                observer.attempt_ended(of, &AttemptEnded { number, ending, duration });
            }
            Kind::TokenCall => observer.token_call_ended(of, &TokenCallEnded { ending, duration }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tell(Ending::Cancelled);
    }
}
