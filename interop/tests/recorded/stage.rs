//! Answers our requests with recorded answers and notes what we sent.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use acr_auth::{AuthLayer, Credential};
use acr_core::{Body, Error, ErrorKind, Pipeline, Request, Transport, layer::RetryPolicy};

use crate::recording::{Exchange, HOST};

/// One request of ours.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// The recorded answers of one operation, and what was sent to get them.
#[derive(Clone, Default)]
pub(crate) struct Stage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<Exchange>,
    tokens: VecDeque<Exchange>,
    sent: Vec<Sent>,
}

impl Stage {
    pub(crate) fn new(answers: Vec<Exchange>, tokens: Vec<Exchange>) -> Self {
        let inner = Inner { answers: answers.into(), tokens: tokens.into(), sent: Vec::new() };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// A pipeline that signs in as the recording did.
    pub(crate) fn pipeline(&self, is_anonymous: bool) -> Pipeline {
        let credential = if is_anonymous {
            Credential::anonymous()
        } else {
            Credential::refresh_token("recorded")
        };
        let endpoint = HOST.parse().unwrap();
        let auth = AuthLayer::new(&endpoint, credential);
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
        Pipeline::builder(HOST.parse().unwrap())
            .transport(transport)
            .retry(RetryPolicy::default().retries(0))
    }

    /// What was sent, token calls aside.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let sent = self.0.lock().unwrap().sent.clone();
        sent.into_iter().filter(|sent| !sent.path.starts_with("/oauth2/")).collect()
    }

    pub(crate) fn token_calls(&self) -> Vec<Sent> {
        let sent = self.0.lock().unwrap().sent.clone();
        sent.into_iter().filter(|sent| sent.path.starts_with("/oauth2/")).collect()
    }

    pub(crate) fn unused(&self) -> usize {
        self.0.lock().unwrap().answers.len()
    }

    async fn answer(&self, request: Request) -> Result<http::Response<Body>, Error> {
        let (head, body) = request.into_parts();
        let body = body.bytes(64 << 20).await?.to_vec();
        let sent = Sent {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers,
            body,
        };
        let is_token_call = sent.path.starts_with("/oauth2/");
        let is_head = sent.method == "HEAD";
        let answer = {
            let mut inner = self.0.lock().unwrap();
            inner.sent.push(sent);
            if is_token_call { inner.tokens.pop_front() } else { inner.answers.pop_front() }
        };
        match answer {
            Some(exchange) => Ok(replay(&exchange, is_head)),
            // Tokens that the recorder did not see, or that another client kept longer.
            None if is_token_call => {
                Ok(http::Response::new(Body::from(r#"{"access_token":"recorded"}"#)))
            }
            None => Err(Error::new(ErrorKind::Transport, "the recording ends here")),
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
