//! Reads what the registry's token service says when it gives no token.
//!
//! The answer may echo what was sent, which is nothing but secrets. So nothing of it is shown
//! that did not pass [`foreign_text`].

use acr_core::{
    Error, Secret,
    http::{Body, ErrorDetail, Response, response},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::foreign_text;

/// The error that an answer stands for, with the service's reason where it can be shown.
pub(crate) async fn read(answer: Response, sent: &[&Secret]) -> Error {
    let (head, body) = answer.into_parts();
    // A body that breaks or is too large does not hide the status.
    let body = body.bytes(MAX_ANSWER).await.unwrap_or_default();
    let said = Said::of(&body);
    let whole = Response::from_parts(head, Body::from(body));
    let error = response::into_error(whole).await;

    // Together, for what is sent back in two parts.
    let all = said.0.iter().flat_map(|(code, words)| [code.as_str(), words.as_str()]);
    let is_echo = foreign_text::repeats(&all.collect::<String>(), sent);
    let shown = said.0.into_iter().map(|(code, words)| {
        let code = foreign_text::code(&code, sent).map(str::to_owned);
        let words = foreign_text::reason(&words, sent, MAX_WORDS);
        (code, words.filter(|_| !is_echo))
    });
    let shown: Vec<_> = shown.filter(|(code, words)| code.is_some() || words.is_some()).collect();
    let message = shown.first().and_then(|(_, words)| words.clone());
    let details = shown
        .into_iter()
        .filter_map(|(code, words)| Some(ErrorDetail::new(code?, words.unwrap_or_default(), None)));
    error.with_server_text(message, details.collect())
}

/// Whether an answer means that the token which was sent serves no more. Services say it
/// with all of these.
pub(crate) fn blames_token(error: &Error) -> bool {
    let statuses = [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    error.status().is_some_and(|status| statuses.contains(&status))
}

/// The answer, without a correlation id that is none: ids are shown in errors.
pub(crate) fn without_odd_id(mut answer: Response, sent: &[&Secret]) -> Response {
    let is_id = |text: &str| {
        text.len() <= MAX_ID && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_odd = answer.headers().get(response::CORRELATION_ID).is_some_and(|id| {
        !id.to_str().is_ok_and(|id| is_id(id) && !foreign_text::repeats(id, sent))
    });
    if is_odd {
        answer.headers_mut().remove(response::CORRELATION_ID);
    }
    answer
}

/// Codes and words of an answer, in order, as they came.
struct Said(Vec<(String, String)>);

/// The registry's envelope, and the form of OAuth.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Form {
    errors: Value,
    error: Value,
    error_description: Value,
    message: Value,
}

impl Said {
    fn of(body: &[u8]) -> Self {
        let form: Form = match serde_json::from_slice(body) {
            Ok(form) => form,
            // A gateway's page would say nothing; its plain text may.
            Err(_) => return Self::plain(body),
        };
        let text = |value: Option<&Value>| -> String {
            value.and_then(Value::as_str).unwrap_or_default().chars().take(MAX_TEXT).collect()
        };
        let errors = form.errors.as_array().into_iter().flatten().take(MAX_ERRORS);
        let errors = errors.map(|one| (text(one.get("code")), text(one.get("message"))));
        let mut said: Vec<_> = errors.collect();
        if said.is_empty() {
            let code = text(Some(&form.error)).to_ascii_uppercase();
            let words = text(Some(&form.error_description));
            let words = if words.is_empty() { text(Some(&form.message)) } else { words };
            said.push((code, words));
        }
        Self(said)
    }

    fn plain(body: &[u8]) -> Self {
        let text = std::str::from_utf8(body).map(str::trim).unwrap_or_default();
        let is_plain = text.len() <= MAX_PLAIN && !text.starts_with(['<', '{', '[']);
        Self(if is_plain { vec![(String::new(), text.to_owned())] } else { Vec::new() })
    }
}

const MAX_ID: usize = 64;

/// What is read of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// What is kept of a reason, in bytes.
const MAX_WORDS: usize = 300;

/// What is looked at of a code and of a reason, in characters.
const MAX_TEXT: usize = 500;

/// A text of more is a page.
const MAX_PLAIN: usize = 500;

const MAX_ERRORS: usize = 4;
