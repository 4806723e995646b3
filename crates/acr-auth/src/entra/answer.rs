//! Reads what token services answer. Lenient about forms, strict about tokens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use acr_core::{
    Error, ErrorKind, Result, Secret,
    http::{ErrorDetail, Response, RetryAfter, response},
};
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    foreign_text::{reason, repeats},
    secret_text,
};
use crate::access_token::AccessToken;

/// Reads a token, or the error that was answered instead. What repeats a part of the secret
/// that was sent is left out of it.
pub(crate) async fn read(answer: Response, sent: Option<&Secret>) -> Result<AccessToken> {
    if answer.status() != StatusCode::OK {
        return Err(refusal(answer, sent).await);
    }
    let (head, body) = response::read_body(answer, MAX_ANSWER).await?;
    let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|error| {
        // serde's message can quote the document, so only its position is kept.
        let (line, column) = (error.line(), error.column());
        let text = format!("the answer is not the expected JSON (line {line}, column {column})");
        response::describe(Error::new(ErrorKind::Protocol, text), &head)
    })?;
    answer.token().map_err(|error| response::describe(error, &head))
}

/// A point in time in seconds since 1970, within what this machine can express.
pub(crate) fn epoch(seconds: u64) -> SystemTime {
    let latest = SystemTime::now() + MAX_LIFETIME;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).map_or(latest, |time| time.min(latest))
}

/// Seconds as a number or as a text; anything else as if it were absent.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(source: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => {
            text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?))
        }
        _ => None,
    })
}

fn whole(number: f64) -> Option<u64> {
    // A cast of a float saturates; what is no number at all is left out.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    (number.is_finite() && number >= 0.0).then_some(number as u64)
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    access_token: Option<Zeroizing<String>>,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default, deserialize_with = "seconds")]
    expires_on: Option<u64>,
}

impl TokenAnswer {
    fn token(self) -> Result<AccessToken> {
        let token = secret_text::received(self.access_token, "access_token")?;
        let now = SystemTime::now();
        // The relative one first: it needs no clock that agrees with the server's.
        let expires_at = match (self.expires_in, self.expires_on) {
            (Some(seconds), _) => now + Duration::from_secs(seconds).min(MAX_LIFETIME),
            (None, Some(seconds)) => epoch(seconds),
            (None, None) => now + LIFETIME_FALLBACK,
        };
        Ok(AccessToken::new(token, expires_at))
    }
}

/// The error forms of Entra and IMDS (`error`, `error_description`), and of App Service
/// (`message`).
#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalAnswer {
    error: Value,
    error_description: Value,
    error_codes: Value,
    correlation_id: Value,
    message: Value,
}

async fn refusal(answer: Response, sent: Option<&Secret>) -> Error {
    let (head, body) = answer.into_parts();
    // A body that breaks or is too large does not hide the status.
    let body = body.bytes(MAX_ANSWER).await.unwrap_or_default();
    let answer: RefusalAnswer = serde_json::from_slice(&body).unwrap_or_default();
    let sent: Vec<&Secret> = sent.into_iter().collect();
    let harmless = |text: &&str| !repeats(text, &sent);

    let word = answer.error.as_str().filter(|text| is_word(text)).filter(harmless);
    let words = answer.error_description.as_str().or(answer.message.as_str());
    let words = words.or(answer.error.as_str().filter(|text| !is_word(text)));
    let code = answer
        .error_codes
        .get(0)
        .and_then(Value::as_u64)
        .map(|number| format!("AADSTS{number}"))
        .or_else(|| words.and_then(leading_code));
    let words = words.map(|words| without_trace(words, code.as_deref()));
    let words = words.and_then(|words| reason(words, &sent, MAX_WORDS));
    let name = || head.status.canonical_reason().unwrap_or("unknown status").to_owned();
    let (code, message) = match (code, word) {
        (Some(code), Some(word)) => {
            let words = words.map(|words| format!("{word}: {words}"));
            (Some(code), words.unwrap_or_else(|| word.to_owned()))
        }
        (code, word) => {
            let code = code.or_else(|| word.map(ToOwned::to_owned));
            (code, words.unwrap_or_else(name))
        }
    };
    let details = code.map(|code| ErrorDetail::new(code, message.clone(), None));
    let correlation = answer.correlation_id.as_str().filter(|text| is_id(text)).filter(harmless);
    let error = Error::new(kind_of(head.status), message)
        .with_details(details.into_iter().collect())
        .with_retry_after(RetryAfter::of(&head.headers, SystemTime::now()));
    response::describe(error, &head).with_correlation_id(correlation)
}

/// `AADSTS7000215: …` begins with its code.
fn leading_code(words: &str) -> Option<String> {
    let digits = words.strip_prefix("AADSTS")?.split(|c: char| !c.is_ascii_digit()).next()?;
    (1..=12).contains(&digits.len()).then(|| format!("AADSTS{digits}"))
}

/// What is meant for a person: without the code, which is shown already, and without the ids
/// and times of the trace at the end.
fn without_trace<'a>(words: &'a str, code: Option<&str>) -> &'a str {
    let words = code.and_then(|code| words.strip_prefix(code)).unwrap_or(words);
    let words = words.strip_prefix(':').unwrap_or(words);
    let words = words.lines().next().unwrap_or_default();
    words.split(" Trace ID:").next().unwrap_or_default().trim()
}

/// `invalid_client`, and the like.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn kind_of(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::Forbidden,
        429 => ErrorKind::Throttled,
        400..=499 => ErrorKind::Rejected,
        500..=599 => ErrorKind::Server,
        _ => ErrorKind::Protocol,
    }
}

/// Tokens are a few thousand bytes.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

/// What is kept of a description, in characters.
const MAX_WORDS: usize = 300;

/// The life of a token that does not say.
const LIFETIME_FALLBACK: Duration = Duration::from_secs(300);

/// Managed identity gives tokens for a day; nothing gives more than two.
const MAX_LIFETIME: Duration = Duration::from_secs(48 * 3600);

#[cfg(test)]
mod tests {
    use acr_core::http::Body;

    use super::*;

    async fn answer(status: u16, body: &str) -> Result<AccessToken> {
        let response = http::Response::builder().status(status).body(Body::from(body.to_owned()));
        read(response.unwrap(), Some(&Secret::new("hunter2-canary"))).await
    }

    async fn life(body: &str) -> u64 {
        let token = answer(200, body).await.unwrap();
        token.expires_at().duration_since(SystemTime::now()).unwrap_or_default().as_secs() + 1
    }

    #[tokio::test]
    async fn the_life_is_read_in_every_form_and_bounded() {
        let soon = SystemTime::now() + Duration::from_secs(1_000);
        let soon = soon.duration_since(UNIX_EPOCH).unwrap().as_secs();
        for (fields, seconds) in [
            (r#","expires_in":3599"#.to_owned(), 3_599),
            (r#","expires_in":"3599""#.to_owned(), 3_599),
            (r#","expires_in":3599.9"#.to_owned(), 3_599),
            (r#","expires_in":"86399","expires_on":"1""#.to_owned(), 86_399),
            (r#","expires_in":1e300"#.to_owned(), 172_800),
            (r#","expires_in":18446744073709551615"#.to_owned(), 172_800),
            (r#","expires_on":18446744073709551615"#.to_owned(), 172_800),
            (format!(r#","expires_on":{soon}"#), 1_000),
            (format!(r#","expires_on":"{soon}","expires_in":"soon""#), 1_000),
            (r#","expires_in":-5"#.to_owned(), 300),
            (r#","expires_on":"09/14/2017 00:00:00 PM +00:00""#.to_owned(), 300),
            (r#","expires_in":null,"expires_on":[]"#.to_owned(), 300),
            (String::new(), 300),
        ] {
            let got = life(&format!(r#"{{"access_token":"t"{fields}}}"#)).await;
            assert!(got.abs_diff(seconds) <= 1, "{fields}: {got}");
        }
        assert!(life(r#"{"access_token":"t","expires_in":0}"#).await <= 1);
    }

    #[tokio::test]
    async fn an_odd_token_is_an_error_that_does_not_quote_it() {
        for body in [
            r#"{"access_token":"canary\nx"}"#,
            r#"{"access_token":"canary x"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":{"canary":1}}"#,
            r#"{"token":"canary"}"#,
            "null",
            "canary",
            "",
        ] {
            let error = answer(200, body).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{body}");
        }
        let huge = format!(r#"{{"access_token":"{}"}}"#, "a".repeat(100_000));
        assert_eq!(answer(200, &huge).await.unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[tokio::test]
    async fn a_refusal_says_code_word_and_what_is_meant_for_a_person() {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure it is the value. Trace ID: 1 Correlation ID: 2 Timestamp: 3","error_codes":[7000215],"correlation_id":"ab-12"}"#;
        let error = answer(401, body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.code().unwrap().as_str(), "AADSTS7000215");
        assert_eq!(
            error.to_string(),
            "401 AADSTS7000215: invalid_client: Invalid client secret provided. Ensure it is the value. (request id ab-12)"
        );
    }

    #[tokio::test]
    async fn odd_refusals_keep_their_status_and_nothing_secret() {
        for (status, body, kind, expected) in [
            (
                400,
                r#"{"error":"invalid_request","error_description":"Identity not found"}"#,
                ErrorKind::Rejected,
                "400 invalid_request: Identity not found",
            ),
            (
                400,
                r#"{"error":"unauthorized_client","error_description":"AADSTS700016: No such application"}"#,
                ErrorKind::Rejected,
                "400 AADSTS700016: unauthorized_client: No such application",
            ),
            (
                401,
                r#"{"error":"invalid_client","error_description":"you sent hunter2-canary"}"#,
                ErrorKind::Unauthenticated,
                "401 invalid_client: Unauthorized",
            ),
            (
                401,
                r#"{"error":"invalid_client","error_description":"AADSTS1: 'HUNTER2-CAN'"}"#,
                ErrorKind::Unauthenticated,
                "401 AADSTS1: invalid_client",
            ),
            (
                400,
                r#"{"statusCode":400,"message":"No User Assigned\nIdentity"}"#,
                ErrorKind::Rejected,
                "400: No User Assigned",
            ),
            (
                429,
                r#"{"error":"Too many requests"}"#,
                ErrorKind::Throttled,
                "429: Too many requests",
            ),
            (403, "hunter2-canary", ErrorKind::Forbidden, "403: Forbidden"),
            (503, "<html>", ErrorKind::Server, "503: Service Unavailable"),
            (302, "", ErrorKind::Protocol, "302: Found"),
            (
                400,
                r#"{"error":{"code":1},"error_description":[],"error_codes":{}}"#,
                ErrorKind::Rejected,
                "400: Bad Request",
            ),
            (
                400,
                "{\"error_description\":\"\\u001b[31mred\"}",
                ErrorKind::Rejected,
                "400: Bad Request",
            ),
        ] {
            let error = answer(status, body).await.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
            assert!(!format!("{error:?}").to_lowercase().contains("hunter2"));
        }
    }
}
