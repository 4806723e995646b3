//! Tells an observer, and knows what about.

use std::sync::Arc;

use http::Extensions;
use tokio::time::Instant;

use super::{
    events::{
        AttemptEnded, CallEnded, CallStarted, Direction, Ending, Observed, Target, Throttled,
        TokenCallEnded, known_method,
    },
    observer::Observer,
};
use crate::{
    http::{
        error::kind_of,
        operation::{Attempt, Effect, Operation, SignedAnew},
        redact::shown_host,
    },
    layer::hop::ForeignHop,
};

/// An observer and what it is told about.
#[derive(Clone)]
pub(crate) struct Reporter {
    pub(super) observer: Arc<dyn Observer>,
    pub(super) of: Arc<Observed>,
}

impl Reporter {
    pub(super) fn new<B>(
        observer: &Arc<dyn Observer>,
        request: &http::Request<B>,
        side: Side,
    ) -> Self {
        let extensions = request.extensions();
        let (target, uri) = match extensions.get::<ForeignHop>() {
            Some(hop) => (Target::Redirected, &hop.from),
            None if is_token_call(extensions) => (Target::TokenService, request.uri()),
            None => (Target::Asked, request.uri()),
        };
        let host = match side {
            Side::Client => uri.host().unwrap_or_default(),
            // Any number of names, since the client chose it.
            Side::Server => "",
        };
        let of = Observed {
            operation: extensions.get::<Operation>().map(Operation::name),
            host: shown_host(host).to_string().to_ascii_lowercase(),
            method: known_method(request.method()),
            target,
        };
        Self { observer: Arc::clone(observer), of: Arc::new(of) }
    }

    pub(super) fn call(self) -> Running {
        self.observer.call_started(&self.of, &CallStarted::new());
        Running::new(self, Kind::Call)
    }

    pub(super) fn exchange(self, extensions: &Extensions) -> Running {
        let kind = match self.of.target {
            Target::TokenService => Kind::TokenCall,
            _ => Kind::Attempt {
                number: extensions.get::<Attempt>().map_or(1, |attempt| attempt.get()),
                is_signed_anew: extensions.get::<SignedAnew>().is_some(),
            },
        };
        Running::new(self, kind)
    }
}

fn is_token_call(extensions: &Extensions) -> bool {
    extensions.get() == Some(&Effect::Token)
}

/// Where a layer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    #[default]
    Client,
    Server,
}

impl Side {
    /// Which way the body of a request goes.
    pub(super) const fn of_requests(self) -> Direction {
        match self {
            Self::Client => Direction::Sent,
            Self::Server => Direction::Received,
        }
    }

    /// Which way the body of an answer goes.
    pub(super) const fn of_answers(self) -> Direction {
        match self {
            Self::Client => Direction::Received,
            Self::Server => Direction::Sent,
        }
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
    Attempt { number: u32, is_signed_anew: bool },
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

    pub(super) fn throttled(&self, throttled: &Throttled) {
        self.reporter.observer.throttled(&self.reporter.of, throttled);
    }

    fn tell(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let Reporter { observer, of } = &self.reporter;
        let duration = self.start.elapsed();
        match self.kind {
            Kind::Call => observer.call_ended(of, &CallEnded { ending, duration }),
            Kind::Attempt { number, is_signed_anew } => {
                let attempt = AttemptEnded { number, is_signed_anew, ending, duration };
                observer.attempt_ended(of, &attempt);
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
