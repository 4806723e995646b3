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
use http::{HeaderMap, Method, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use tower_service::Service;

use crate::{
    access::{self, Challenge},
    answer::{Answer, Failure, Refusal, page_not_found, set, text, without_body},
    damage,
    exchange::{Counted, Exchange},
    fault::Effect,
    form::Form,
    headers,
    journal::{Entry, Origin},
    locks,
    operation::Operation,
    quota::Reading,
    registry::Shared,
    route::{self, Unrouted},
    routes,
    site::Site,
    storage,
    sync::lock,
    token::{self, TokenKind},
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
                let error = io::Error::new(io::ErrorKind::NotFound, "no such host in this process");
                return Box::pin(std::future::ready(Err(error)));
            }
        };
        Box::pin(answer(shared, site, origin, request))
    }
}

/// Answers a request, or breaks the connection.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    site: Arc<Site>,
    origin: Origin,
    request: Request,
) -> io::Result<Answer> {
    let (head, body) = request.into_parts();
    let received = Arc::new(AtomicU64::new(0));
    let mut body = Body::stream(Counted { inner: body, received: Arc::clone(&received) });
    let query = Form::parse(head.uri.query().unwrap_or_default());
    let routed = match origin {
        Origin::Registry => route::parse(&head.method, head.uri.path(), &query),
        Origin::Storage => storage::route(&head.method),
    };
    let operation = routed.as_ref().ok().map(|route| route.operation);
    let number = shared.journal.add(entry(origin, &head, &query, operation));

    let effects = operation.map(|op| lock(&shared.faults).strike(op)).unwrap_or_default();
    let authority = site.authority(&head.headers);
    let result = match routed {
        Err(why) => Ok(unrouted(origin, why)),
        Ok(route) => {
            let exchange = Exchange {
                shared: &shared,
                site: &site,
                authority,
                head: &head,
                query: &query,
                route: &route,
                body: &mut body,
            };
            Box::pin(handle(exchange, origin, &effects)).await
        }
    };
    let result = match result {
        Ok(mut answer) => {
            drain(&head.headers, &mut body, &received).await;
            if origin == Origin::Registry {
                headers::finish(&mut answer, &shared, operation, &head.headers);
            }
            if head.method == Method::HEAD {
                answer = without_body(answer);
            }
            Ok(damage::apply(answer, &effects))
        }
        Err(error) => Err(error),
    };
    let result = result.and_then(|answer| match effects.contains(&Effect::LoseResponse) {
        true => Err(damage::broken()),
        false => Ok(answer),
    });
    shared.journal.update(number, |entry| {
        entry.body_bytes = received.load(Ordering::Relaxed);
        if let Ok(answer) = &result {
            entry.status = answer.status().as_u16();
            entry.challenged = answer.status() == StatusCode::UNAUTHORIZED
                && answer.headers().contains_key(header::WWW_AUTHENTICATE);
        }
    });
    tracing::debug!(%origin, operation = operation.map_or("unrouted", Operation::name), "answered");
    result
}

/// Faults, authentication, locks, handler.
async fn handle(
    mut exchange: Exchange<'_>,
    origin: Origin,
    effects: &[Effect],
) -> io::Result<Answer> {
    for effect in effects {
        match effect {
            Effect::DropRequest => return Err(damage::broken()),
            Effect::Stall => std::future::pending::<()>().await,
            Effect::Status { status, retry_after } => {
                return Ok(injected(origin, *status, retry_after.as_deref()));
            }
            _ => {}
        }
    }
    let reading = match (&exchange.shared.meter, origin) {
        (Some(meter), Origin::Registry) => Some(meter.count(&exchange.head.method)),
        _ => None,
    };
    if let Some(answer) = reading.and_then(Reading::refusal) {
        return Ok(answer);
    }
    let shared = exchange.shared;
    let reply = match origin {
        Origin::Storage => storage::get(&mut exchange).await,
        Origin::Registry => match admit(&exchange) {
            Ok(()) => routes::dispatch(exchange).await,
            Err(failure) => Err(failure),
        },
    };
    // Before anybody is told of a change, or of what it left, it must be there for good.
    shared.persist().await?;
    match reply {
        Ok(answer) => Ok(answer),
        Err(Failure::Refused(answer)) => Ok(*answer),
        Err(Failure::Broken(error)) => Err(error),
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

fn unrouted(origin: Origin, why: Unrouted) -> Answer {
    match why {
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

/// The answer of a status fault, in the clothes such answers wear.
fn injected(origin: Origin, status: u16, retry_after: Option<&str>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = match (origin, status.as_u16()) {
        (Origin::Storage, _) => storage::error(status, "ServerBusy", "The server is busy."),
        (_, 429) => Refusal::new(status, "TOOMANYREQUESTS", "Too many requests.").answer(),
        (_, 503) => Refusal::new(status, "UNAVAILABLE", "service unavailable").answer(),
        (_, 502 | 504) => text(status, "text/html", "<html><body>Bad gateway</body></html>\n"),
        (_, 401) => crate::answer::empty(status),
        _ => Refusal::new(status, "UNKNOWN", "unknown error").answer(),
    };
    if let Some(value) = retry_after {
        set(&mut answer, header::RETRY_AFTER, value);
    }
    answer
}

/// Reads what the handler left of the body, as the registry answers only after the body was
/// sent. A client that waits for `100 Continue` is not asked for a body that nobody wants.
async fn drain(headers: &HeaderMap, body: &mut Body, received: &AtomicU64) {
    if headers.contains_key(header::EXPECT) && received.load(Ordering::Relaxed) == 0 {
        return;
    }
    while let Some(Ok(_)) = body.frame().await {}
}

fn entry(origin: Origin, head: &Parts, query: &Form, operation: Option<Operation>) -> Entry {
    Entry {
        origin,
        method: head.method.clone(),
        path: head.uri.path().to_owned(),
        query: query.names(),
        headers: head.headers.keys().map(|name| name.as_str().to_owned()).collect(),
        status: 0,
        operation: operation.map_or("unrouted", Operation::name),
        authorized: head.headers.contains_key(header::AUTHORIZATION),
        body_bytes: 0,
        challenged: false,
    }
}
