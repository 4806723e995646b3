//! Answers our requests with recorded answers and notes what we sent.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use acr_auth::{AccessToken, AuthLayer, Credential, credential_fn};
use acr_core::{
    Error, ErrorKind, Pipeline, Transport,
    http::{Body, Effect, Request},
    layer::RetryPolicy,
};

use crate::{
    compare::same_request,
    grouping::Conversation,
    recording::{Exchange, HOST},
};

/// One request of ours.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) authority: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// An answer, and the request it was recorded for.
#[derive(Clone, Debug)]
pub(crate) struct Cue {
    pub(crate) recorded: Exchange,
    /// Not on record, but what the recording implies; need not be asked for.
    pub(crate) is_implied: bool,
    /// The body on record is not what our request must have.
    pub(crate) any_body: bool,
}

/// The recorded answers of one operation, and what was sent to get them.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    cues: VecDeque<Cue>,
    /// Of sign-in calls, each path by itself.
    exchanges: VecDeque<Exchange>,
    tokens: VecDeque<Exchange>,
    handed_out: Vec<String>,
    sent: Vec<(Sent, Option<Cue>)>,
}

impl Cue {
    pub(crate) fn new(recorded: Exchange) -> Self {
        Self { recorded, is_implied: false, any_body: false }
    }

    pub(crate) fn implied(recorded: Exchange) -> Self {
        Self { is_implied: true, ..Self::new(recorded) }
    }
}

impl Stage {
    pub(crate) fn new(cues: Vec<Cue>, sign_in: &[Exchange]) -> Self {
        let of = |path: &str| sign_in.iter().filter(|e| e.path == path).cloned().collect();
        let inner = Inner {
            cues: cues.into(),
            exchanges: of("/oauth2/exchange"),
            tokens: of("/oauth2/token"),
            ..Inner::default()
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// A pipeline that signs in as the conversation did.
    pub(crate) fn pipeline(&self, conversation: &Conversation) -> Pipeline {
        let forms: Vec<_> = conversation.tokens.iter().filter_map(Exchange::form).collect();
        let is_anonymous =
            forms.iter().any(|form| form.get("grant_type").is_some_and(|kind| kind == "password"));
        let entra = forms.iter().find_map(|form| form.get("access_token").cloned());
        let credential = match entra {
            _ if is_anonymous => Credential::anonymous(),
            Some(entra) => Credential::entra(credential_fn(move |_| {
                let soon = SystemTime::now() + Duration::from_secs(3600);
                let token = AccessToken::new(entra.clone(), soon);
                async move { Ok(token) }
            })),
            None => Credential::refresh_token("recorded"),
        };
        let auth = AuthLayer::new(&HOST.parse().unwrap(), credential);
        self.builder().layer_per_hop(auth).build().unwrap()
    }

    /// A pipeline for the token calls themselves.
    pub(crate) fn bare(&self) -> Pipeline {
        self.builder().build().unwrap()
    }

    fn builder(&self) -> acr_core::PipelineBuilder {
        let stage = self.clone();
        let transport = Transport::new(tower::service_fn(move |request: Request| {
            let stage = stage.clone();
            async move { stage.answer(request).await }
        }));
        let declared = tower::util::MapRequestLayer::new(|request: Request| {
            // What may be repeated is never left to the method.
            let effect = request.extensions().get::<Effect>();
            assert!(effect.is_some(), "{} {} has no effect", request.method(), request.uri());
            request
        });
        Pipeline::builder(HOST.parse().unwrap())
            .layer_per_call(declared)
            .transport(transport)
            .retry(RetryPolicy::default().retries(0))
    }

    pub(crate) fn token_calls(&self) -> Vec<Sent> {
        let inner = self.0.lock().unwrap();
        let sent = inner.sent.iter().map(|(sent, _)| sent);
        sent.filter(|sent| sent.path.starts_with("/oauth2/")).cloned().collect()
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.0.lock().unwrap().sent.is_empty()
    }

    /// Each request of ours against the recorded one whose answer it got, its token, and
    /// whether it goes where the answer before it said.
    pub(crate) fn compare(&self) -> Result<(), String> {
        let inner = self.0.lock().unwrap();
        let (mut is_any, mut location) = (false, None::<String>);
        for (sent, cue) in &inner.sent {
            if sent.path.starts_with("/oauth2/") && sent.authority == HOST {
                continue;
            }
            is_any = true;
            let bearer = sent.headers.get("authorization").and_then(|value| value.to_str().ok());
            let bearer = bearer.map(|value| value.strip_prefix("Bearer ").unwrap_or_default());
            let is_ours = bearer.is_some_and(|token| inner.handed_out.iter().any(|t| t == token));
            // Whether one may ping without a token only the registry knows.
            let is_open = sent.path == "/v2/" && bearer.is_none();
            if sent.authority == HOST && !is_ours && !is_open {
                return Err("sent without the token that it was given".to_owned());
            }
            if sent.authority != HOST && bearer.is_some() {
                return Err(format!("sent the token to {}", sent.authority));
            }
            let place = format!("https://{}{}?{}", sent.authority, sent.path, sent.query);
            if location.as_ref().is_some_and(|location| !place.starts_with(location)) {
                return Err(format!(
                    "went to {}{}, not to the location",
                    sent.authority, sent.path
                ));
            }
            let Some(cue) = cue else { continue };
            same_request(sent, &cue.recorded, cue.any_body)?;
            if matches!(cue.recorded.status, 202 | 204 | 307) {
                let next = cue.recorded.response_header("location");
                location = next.map(|next| match next.strip_prefix('/') {
                    Some(path) => format!("https://{HOST}/{path}"),
                    None => next.to_owned(),
                });
            }
        }
        if is_any { Ok(()) } else { Err("nothing was sent".to_owned()) }
    }

    /// Recorded answers that nothing asked for.
    pub(crate) fn unused(&self) -> usize {
        let inner = self.0.lock().unwrap();
        inner.cues.iter().filter(|cue| !cue.is_implied).count()
    }

    /// Answers that the recording implied and that were asked for.
    pub(crate) fn implied(&self) -> usize {
        let inner = self.0.lock().unwrap();
        let is_implied =
            |(_, cue): &&(Sent, Option<Cue>)| cue.as_ref().is_some_and(|cue| cue.is_implied);
        inner.sent.iter().filter(is_implied).count()
    }

    async fn answer(&self, request: Request) -> Result<http::Response<Body>, Error> {
        let (head, body) = request.into_parts();
        let body = body.bytes(64 << 20).await?.to_vec();
        let sent = Sent {
            authority: head.uri.authority().map_or_else(String::new, ToString::to_string),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
        };
        let mut inner = self.0.lock().unwrap();
        if sent.path.starts_with("/oauth2/") {
            return Ok(inner.sign_in(sent));
        }
        let is_head = sent.method == "HEAD";
        // What is implied is for whoever asks for it.
        let is_next = |cue: &Cue| !cue.is_implied || cue.recorded.method == sent.method;
        let cue =
            if inner.cues.front().is_some_and(is_next) { inner.cues.pop_front() } else { None };
        inner.sent.push((sent, cue.clone()));
        match cue {
            Some(cue) => Ok(replay(&cue.recorded, is_head)),
            None => Err(Error::new(ErrorKind::Transport, "the recording ends here")),
        }
    }
}

impl Inner {
    fn sign_in(&mut self, sent: Sent) -> http::Response<Body> {
        let is_exchange = sent.path == "/oauth2/exchange";
        let recorded = if is_exchange { &mut self.exchanges } else { &mut self.tokens };
        let recorded = recorded.pop_front();
        self.sent.push((sent, None));
        let name = if is_exchange { "refresh_token" } else { "access_token" };
        match recorded {
            Some(exchange) => {
                self.handed_out.extend(exchange.token());
                replay(&exchange, false)
            }
            // Tokens that the recorder did not see, or that another client kept longer.
            None => {
                self.handed_out.push("not-recorded".to_owned());
                http::Response::new(Body::from(format!(r#"{{"{name}":"not-recorded"}}"#)))
            }
        }
    }
}

/// The recorded answer. Its length is that of the body which is left of it.
fn replay(exchange: &Exchange, is_head: bool) -> http::Response<Body> {
    let body = exchange.response_body().filter(|_| !is_head).unwrap_or_default();
    let mut response = http::Response::builder().status(exchange.status);
    for (name, value) in &exchange.response_headers {
        let is_framing = name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("content-length") && !is_head);
        if !is_framing {
            response = response.header(name.as_str(), value.as_str());
        }
    }
    response.body(Body::from(body)).unwrap()
}
