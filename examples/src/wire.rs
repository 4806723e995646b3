//! Counts what goes over the wire, step by step. A transport around the transport:
//! it sees every exchange, token calls, redirects and retries included.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use acr_core::{
    Result, Scope, Transport,
    http::{Attempt, Request, Response, response::header_text},
};
use http::{StatusCode, header};

/// Counts exchanges by step. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Recorded>>);

/// What one step of a program sent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// What the step did.
    pub name: &'static str,
    /// What it sent.
    pub counts: Counts,
    /// How long it took.
    pub took: Duration,
}

/// Exchanges by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Answers 401 with a challenge.
    pub challenges: u32,
    /// `POST /oauth2/exchange`: Entra token for refresh token.
    pub exchanges: u32,
    /// `POST /oauth2/token`: access tokens.
    pub tokens: u32,
    /// Real calls to the registry.
    pub calls: u32,
    /// Calls to the storage that a redirect named.
    pub storage: u32,
    /// Attempts after the first.
    pub retries: u32,
}

#[derive(Debug, Default)]
struct Recorded {
    steps: Vec<Step>,
    started: Option<Instant>,
    scopes: BTreeSet<Scope>,
}

impl Wire {
    /// Starts a step; what follows is counted there.
    #[expect(clippy::disallowed_methods, reason = "measures real time for a person")]
    pub fn step(&self, name: &'static str) {
        let mut recorded = self.lock();
        recorded.end();
        recorded.started = Some(Instant::now());
        recorded.steps.push(Step { name, counts: Counts::default(), took: Duration::ZERO });
    }

    /// All steps so far.
    pub fn steps(&self) -> Vec<Step> {
        let mut recorded = self.lock();
        recorded.end();
        recorded.steps.clone()
    }

    /// How many different sets of permissions the requests needed.
    pub fn distinct_scopes(&self) -> usize {
        self.lock().scopes.len()
    }

    /// Counts what passes through a transport.
    pub fn count(&self, inner: Transport) -> Transport {
        let wire = self.clone();
        Transport::new(Counting { inner, wire })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Recorded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_request(&self, request: &Request) {
        let is_retry = request.extensions().get::<Attempt>().is_some_and(|a| a.get() > 1);
        let mut recorded = self.lock();
        let scope = request.extensions().get::<Scope>().cloned();
        let is_registry = scope.is_some();
        recorded.scopes.extend(scope);
        let Some(step) = recorded.steps.last_mut() else {
            return;
        };
        let counts = &mut step.counts;
        match request.uri().path() {
            "/oauth2/exchange" => counts.exchanges += 1,
            "/oauth2/token" => counts.tokens += 1,
            _ if is_registry => counts.calls += 1,
            _ => counts.storage += 1,
        }
        counts.retries += u32::from(is_retry);
    }

    fn note_answer(&self, answer: &Response) {
        let is_challenge = answer.status() == StatusCode::UNAUTHORIZED
            && header_text(answer.headers(), &header::WWW_AUTHENTICATE).is_some();
        if let Some(step) = self.lock().steps.last_mut() {
            step.counts.challenges += u32::from(is_challenge);
        }
    }
}

impl Recorded {
    fn end(&mut self) {
        if let (Some(started), Some(step)) = (self.started.take(), self.steps.last_mut()) {
            step.took = started.elapsed();
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.challenges += other.challenges;
        self.exchanges += other.exchanges;
        self.tokens += other.tokens;
        self.calls += other.calls;
        self.storage += other.storage;
        self.retries += other.retries;
    }
}

#[derive(Clone, Debug)]
struct Counting {
    inner: Transport,
    wire: Wire,
}

impl tower_service::Service<Request> for Counting {
    type Response = Response;
    type Error = acr_core::Error;
    type Future = acr_core::layer::ResponseFuture;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<()>> {
        tower_service::Service::<Request>::poll_ready(&mut self.inner, cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.wire.note_request(&request);
        let wire = self.wire.clone();
        let answer = tower_service::Service::call(&mut self.inner, request);
        Box::pin(async move {
            let answer = answer.await?;
            wire.note_answer(&answer);
            Ok(answer)
        })
    }
}
