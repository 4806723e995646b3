//! The order of checks that every request goes through.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use acr_core::http::{Body, Request};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;

use crate::{
    admission,
    answer::{
        self, Answer, Failure, Refusal, malformed_digest, page_not_found, text, without_body,
    },
    clock::Stamp,
    damage,
    disturb::{self, CutBody},
    exchange::{Counted, Exchange},
    fault::{Effect, Seen},
    form::Form,
    headers,
    journal::{Entry, Origin},
    operation::Operation,
    quota::Reading,
    route::{self, Route, Unrouted},
    routes,
    shared::Shared,
    site::Site,
    storage,
    sync::lock,
};

/// What an answer goes out on, for the faults that spoil that.
pub(crate) trait Carrier: Sync {
    /// Hands the answer out, or what the faults leave of it.
    fn carry(
        &self,
        answer: Answer,
        effects: &[Effect],
        time: Stamp,
    ) -> impl Future<Output = io::Result<Answer>> + Send;
}

/// Answers a request, or breaks the connection.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    site: Arc<Site>,
    origin: Origin,
    carrier: &impl Carrier,
    request: Request,
) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let query = Form::parse(head.uri.query().unwrap_or_default());
    let routed = match origin {
        Origin::Registry => route::parse(&head.method, head.uri.path(), &query),
        Origin::Storage => storage::route(&head.method),
    };
    let route = routed.as_ref().ok();
    let effects = route.map(|route| strike(&shared, route, &head)).unwrap_or_default();
    let received = Arc::new(AtomicU64::new(0));
    let mut body = counted(cut(body, &effects), &received);
    let operation = route.map(|route| route.operation);
    let time = shared.clock.stamp();
    let record = shared.journal.open(entry(origin, &head, &query, operation, time), &received);
    let reading = count(&shared, origin, operation, &head.method);
    let result = match routed {
        Err(why) => Ok(unrouted(origin, why, shared.settings.is_oci() && is_manifest_push(&head))),
        Ok(route) => {
            let exchange = Exchange {
                shared: &shared,
                site: &site,
                authority: site.authority(&head.headers),
                head: &head,
                query: &query,
                route: &route,
                body: &mut body,
                effects: &effects,
                number: record.number(),
            };
            Box::pin(handle(exchange, origin, reading)).await
        }
    };
    let is_taken = result.as_ref().is_ok_and(|answer| answer.status().as_u16() < 400);
    let result = match result {
        Err(error) => Err(error),
        Ok(answer) => {
            if !effects.iter().any(|effect| matches!(effect, Effect::EarlyStatus { .. })) {
                drain(&head.headers, &mut body, &received).await;
            }
            let answer = finish(answer, &shared, (origin, operation), reading, &head);
            Ok(damage::apply(answer, &effects))
        }
    };
    let status = result.as_ref().ok().map(told);
    let result = send(result, &effects, carrier, time).await;
    let is_sent = result.is_ok() || effects.iter().any(Effect::is_raw);
    record.close(status.filter(|_| is_sent), is_taken);
    tracing::debug!(%origin, operation = operation.map_or("unrouted", Operation::name), "answered");
    result
}

/// Adds what every answer has, and takes off what this one may not have.
fn finish(
    mut answer: Answer,
    shared: &Shared,
    (origin, operation): (Origin, Option<Operation>),
    reading: Option<Reading>,
    head: &Parts,
) -> Answer {
    if origin == Origin::Registry {
        headers::finish(&mut answer, shared, operation, &head.headers);
        reading.into_iter().for_each(|reading| reading.tell(&mut answer));
    }
    if head.method == Method::HEAD { without_body(answer) } else { answer }
}

/// Counts a request against the quota; those of the token service and the storage are free.
fn count(
    shared: &Shared,
    origin: Origin,
    operation: Option<Operation>,
    method: &Method,
) -> Option<Reading> {
    let is_free = origin == Origin::Storage || operation.is_some_and(Operation::is_token_service);
    let meter = shared.meter.as_ref().filter(|_| !is_free);
    meter.map(|meter| meter.count(method))
}

/// What the journal tells of an answer: the status, and whether it is a challenge.
fn told(answer: &Answer) -> (u16, bool) {
    let is_challenge = answer.status() == StatusCode::UNAUTHORIZED
        && answer.headers().contains_key(header::WWW_AUTHENTICATE);
    (answer.status().as_u16(), is_challenge)
}

/// Hands the answer out, or what is left of it.
async fn send(
    result: io::Result<Answer>,
    effects: &[Effect],
    carrier: &impl Carrier,
    time: Stamp,
) -> io::Result<Answer> {
    let answer = result?;
    let is_broken =
        |effect: &Effect| matches!(effect, Effect::LoseResponse | Effect::CutRequest { .. });
    if effects.iter().any(is_broken) {
        return Err(damage::broken());
    }
    carrier.carry(answer, effects, time).await
}

/// Faults, quota, authentication, locks, handler.
async fn handle(
    mut exchange: Exchange<'_>,
    origin: Origin,
    reading: Option<Reading>,
) -> io::Result<Answer> {
    if let Some(outcome) = disturb::before(&mut exchange, origin).await {
        return outcome;
    }
    if let Some(answer) = reading.and_then(Reading::refusal) {
        return Ok(answer);
    }
    let shared = exchange.shared;
    let reply = match origin {
        Origin::Storage => storage::get(&mut exchange).await,
        Origin::Registry => match admission::admit(&exchange) {
            Ok(()) => match disturb::missed(&exchange) {
                Some(answer) => Ok(answer),
                None => routes::dispatch(&mut exchange).await,
            },
            Err(failure) => Err(failure),
        },
    };
    if let Ok(answer) = &reply {
        disturb::after(&exchange, answer);
    }
    // Before anybody is told of a change, or of what it left, it must be there for good.
    let persisted = shared.persist().await;
    let reply = persisted.map_err(Failure::Disk).and(reply);
    if let Err(Failure::Disk(error)) = &reply {
        exchange.tell(&error.to_string());
    }
    match reply {
        Ok(answer) => Ok(answer),
        Err(Failure::Refused(answer)) => Ok(*answer),
        Err(Failure::Disk(error)) => Ok(answer::disk_failure(&error)),
        Err(Failure::Broken(error)) => Err(error),
    }
}

/// The faults that strike a request.
fn strike(shared: &Shared, route: &Route, head: &Parts) -> Vec<Effect> {
    lock(&shared.faults).strike(Seen {
        operation: route.operation,
        repository: &route.repository,
        item: &route.item,
        path: head.uri.path(),
        headers: Some(&head.headers),
    })
}

/// The body, and how much of it has arrived.
fn counted(inner: Body, received: &Arc<AtomicU64>) -> Body {
    Body::stream(Counted { inner, received: Arc::clone(received) })
}

/// The body, or what a fault leaves of it.
fn cut(body: Body, effects: &[Effect]) -> Body {
    let after = effects.iter().find_map(|effect| match effect {
        Effect::CutRequest { after } => Some(*after),
        _ => None,
    });
    match after {
        None => body,
        Some(left) => Body::stream(CutBody { inner: body, left }),
    }
}

fn unrouted(origin: Origin, why: Unrouted, is_malformed_digest: bool) -> Answer {
    match why {
        // The real registry has no route; the specification has words.
        Unrouted::NotFound if is_malformed_digest => malformed_digest().answer(),
        Unrouted::Method if origin == Origin::Storage => {
            let message = "The resource doesn't support specified Http Verb.";
            storage::error(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedHttpVerb", message)
        }
        Unrouted::NotFound => page_not_found(),
        Unrouted::Foreign => text(StatusCode::NOT_FOUND, "application/octet-stream", "Not found"),
        Unrouted::Method => {
            let message = "The operation is unsupported.";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", message).answer()
        }
    }
}

/// Whether a manifest is pushed by a reference that is neither a tag nor a digest.
fn is_manifest_push(head: &Parts) -> bool {
    head.method == Method::PUT && head.uri.path().contains("/manifests/")
}

/// Reads what the handler left of the body, as the registry answers only after the body was
/// sent. A client that waits for `100 Continue` is not asked for a body that nobody wants.
async fn drain(headers: &HeaderMap, body: &mut Body, received: &AtomicU64) {
    if headers.contains_key(header::EXPECT) && received.load(Ordering::Relaxed) == 0 {
        return;
    }
    while let Some(Ok(_)) = body.frame().await {}
}

fn entry(
    origin: Origin,
    head: &Parts,
    query: &Form,
    operation: Option<Operation>,
    time: Stamp,
) -> Entry {
    Entry {
        time: time.to_string(),
        origin,
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: query.names(),
        headers: head.headers.keys().map(|name| name.as_str().to_owned()).collect(),
        status: 0,
        operation,
        authorized: head.headers.contains_key(header::AUTHORIZATION),
        body_bytes: 0,
        wasted_bytes: 0,
        challenged: false,
        scopes: Vec::new(),
        reason: None,
    }
}
