//! The order of checks that every request goes through.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use acr_core::{Body, Request};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use tower_service::Service;

use crate::{
    access::{self, Challenge},
    answer::{self, Answer, Failure, Refusal, page_not_found, text, without_body},
    clock::Stamp,
    damage,
    disturb::{self, CutBody},
    exchange::{Counted, Exchange},
    fault::{Effect, Seen},
    form::Form,
    headers,
    journal::{Entry, Origin},
    locks,
    operation::Operation,
    quota::Reading,
    registry::Shared,
    route::{self, Route, Unrouted},
    routes,
    site::Site,
    storage,
    sync::lock,
    token::{self, TokenKind},
    wire::{Script, Wire},
};

/// The service behind the in-process transport.
#[derive(Clone)]
pub(crate) struct InProcess {
    shared: Arc<Shared>,
    site: Arc<Site>,
}

impl InProcess {
    pub(crate) fn new(shared: Arc<Shared>, site: Site) -> Self {
        Self { shared, site: Arc::new(site) }
    }
}

impl Service<Request> for InProcess {
    type Response = Answer;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Answer>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Self { shared, site } = self.clone();
        let uri = request.uri();
        let is_default = uri.port_u16().is_none_or(|port| port == 443);
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let origin = match (uri.scheme_str(), host.as_str()) {
            (Some("https"), Site::IN_PROCESS_HOST) if is_default => Origin::Registry,
            (Some("https"), Site::IN_PROCESS_STORAGE) if is_default => Origin::Storage,
            _ => {
                return Box::pin(std::future::ready(Err(unknown_host())));
            }
        };
        Box::pin(async move {
            connect(&shared).await?;
            answer(shared, site, origin, None, request).await.map(framed)
        })
    }
}

/// Tells that the end of a body without a length is marked, as a server does that sends it
/// in chunks.
fn framed(mut answer: Answer) -> Answer {
    let is_sized = answer.headers().contains_key(header::CONTENT_LENGTH)
        || http_body::Body::size_hint(answer.body()).exact().is_some();
    if !is_sized {
        let chunked = HeaderValue::from_static("chunked");
        answer.headers_mut().insert(header::TRANSFER_ENCODING, chunked);
    }
    answer
}

/// Stands for the connection that nobody makes in process.
async fn connect(shared: &Shared) -> io::Result<()> {
    let seen =
        Seen { operation: Operation::Connect, repository: "", item: "", path: "", headers: None };
    let effects = lock(&shared.faults).strike(seen);
    for effect in effects {
        match effect {
            Effect::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Effect::UnknownHost => return Err(unknown_host()),
            Effect::DropRequest => return Err(damage::broken()),
            Effect::Stall => std::future::pending().await,
            Effect::Delay { time } => tokio::time::sleep(time).await,
            _ => {}
        }
    }
    Ok(())
}

fn unknown_host() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "no such host in this process")
}

/// Answers a request, or breaks the connection; with a wire it may say how.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    site: Arc<Site>,
    origin: Origin,
    wire: Option<Wire>,
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
        Ok(mut answer) => {
            if !effects.iter().any(|effect| matches!(effect, Effect::EarlyStatus { .. })) {
                drain(&head.headers, &mut body, &received).await;
            }
            if origin == Origin::Registry {
                headers::finish(&mut answer, &shared, operation, &head.headers);
                reading.into_iter().for_each(|reading| reading.tell(&mut answer));
            }
            let is_bare = head.method == Method::HEAD;
            let answer = if is_bare { without_body(answer) } else { answer };
            Ok(damage::apply(answer, &effects))
        }
        Err(error) => Err(error),
    };
    let status = result.as_ref().ok().map(told);
    let result = send(result, &effects, wire, time).await;
    let is_sent = result.is_ok() || effects.iter().any(Effect::is_raw);
    record.close(status.filter(|_| is_sent), is_taken);
    tracing::debug!(%origin, operation = operation.map_or("unrouted", Operation::name), "answered");
    result
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

/// Hands the answer to the server, or what is left of it.
async fn send(
    result: io::Result<Answer>,
    effects: &[Effect],
    wire: Option<Wire>,
    time: Stamp,
) -> io::Result<Answer> {
    let answer = result?;
    let is_broken =
        |effect: &Effect| matches!(effect, Effect::LoseResponse | Effect::CutRequest { .. });
    if effects.iter().any(is_broken) {
        return Err(damage::broken());
    }
    let Some(wire) = wire else {
        return Ok(damage::apply_without_wire(answer, effects));
    };
    for effect in effects {
        if let Effect::CloseIdle { after } = effect {
            wire.close_idle(*after);
        }
    }
    if !effects.iter().any(Effect::is_raw) {
        return Ok(answer);
    }
    if let Some(script) = Script::render(answer, effects, &time.http_date()).await {
        wire.play(script);
    }
    Err(damage::broken())
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
        Origin::Registry => match admit(&exchange) {
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

/// Authentication first, then locks.
fn admit(exchange: &Exchange<'_>) -> Result<(), Failure> {
    let Exchange { shared, site, authority, route, .. } = exchange;
    if route.operation.is_token_service() {
        return Ok(());
    }
    let needed = access::required(route, exchange.query.get("from"));
    if let Err(why) = authenticate(exchange, &needed) {
        let realm = site.realm(authority);
        let why = match why {
            Challenge::NoToken if shared.settings.era.blames_a_missing_token() => {
                Challenge::InvalidToken
            }
            why => why,
        };
        return Err(access::challenge(why, &realm, authority, &needed, shared.coin()).into());
    }
    Ok(locks::check(&lock(&shared.state), route)?)
}

fn authenticate(exchange: &Exchange<'_>, needed: &[access::Grant]) -> Result<(), Challenge> {
    let shared = exchange.shared;
    let credential = exchange.head.headers.get(header::AUTHORIZATION);
    let credential = credential.ok_or(Challenge::NoToken)?.to_str();
    let credential = credential.map_err(|_| Challenge::InvalidToken)?;
    if let Some((name, password)) = routes::oauth::basic(credential) {
        return match shared.settings.is_admin(&name, &password) {
            Some(true) => Ok(()),
            Some(false) => Err(Challenge::NoToken),
            None => Err(Challenge::BadPassword),
        };
    }
    let claims = routes::oauth::bearer(credential)
        .and_then(|token| token::verify(&shared.key, TokenKind::Access, token, shared.now()))
        .ok_or(Challenge::InvalidToken)?;
    // Only the first is indispensable: without the source a mount becomes an upload.
    let granted = needed.first().is_none_or(|first| access::covers(claims.grants(), first));
    if granted { Ok(()) } else { Err(Challenge::InsufficientScope) }
}

fn unrouted(origin: Origin, why: Unrouted, is_malformed_digest: bool) -> Answer {
    match why {
        // The real registry has no route; the specification has words.
        Unrouted::NotFound if is_malformed_digest => routes::malformed_digest().answer(),
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
