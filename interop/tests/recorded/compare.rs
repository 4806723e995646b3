//! Whether we sent what was recorded, and whether the recorded answer came out.

use std::error::Error as _;

use acr_core::{Error, ErrorCode, ErrorKind, Scope, value::ContentRange};
use serde_json::Value;

use crate::{
    grouping::Conversation,
    recording::{Exchange, decode, query},
    stage::{Sent, Stage},
};

/// Method, path, query, the headers that carry meaning, and the body by meaning.
pub(crate) fn same_request(sent: &Sent, recorded: &Exchange, any_body: bool) -> Result<(), String> {
    let path = decode(&sent.path);
    if (sent.method.as_str(), path.as_str())
        != (recorded.method.as_str(), recorded.decoded_path().as_str())
    {
        return Err(format!("sent {} {path}", sent.method));
    }
    same_query(sent, recorded)?;
    let header = |name: &str| sent.headers.get(name).and_then(|value| value.to_str().ok());
    let same_header = |name: &str, ours: Option<&str>, theirs: Option<&str>| {
        if theirs.is_none() || ours == theirs {
            return Ok(());
        }
        Err(format!("sent {name}: {ours:?}, recorded {theirs:?}"))
    };
    same_header("range", header("range"), recorded.request_header("range"))?;
    if !matches!(recorded.method.as_str(), "PATCH" | "PUT") {
        return Ok(());
    }
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    let has_body = recorded.request_header("content-length").is_none_or(|length| length != "0");
    if has_body {
        let (ours, theirs) = (header("content-type"), recorded.request_header("content-type"));
        let (ours, theirs) = (ours.map(essence), theirs.map(essence));
        same_header("content-type", ours.as_deref(), theirs.as_deref())?;
    }
    let is_range = |text: &&str| format!("bytes {text}/*").parse::<ContentRange>().is_ok();
    let theirs = recorded.request_header("content-range").filter(is_range);
    same_header("content-range", header("content-range"), theirs)?;
    let Some(body) = recorded.request_body().filter(|_| !any_body) else { return Ok(()) };
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let is_raw = recorded.path.starts_with("/v2/");
    if sent.body == body || !is_raw && json(&body).is_some() && json(&body) == json(&sent.body) {
        return Ok(());
    }
    Err("sent another body".to_owned())
}

fn same_query(sent: &Sent, recorded: &Exchange) -> Result<(), String> {
    if !recorded.has_query() {
        return Ok(());
    }
    let (mut ours, mut theirs) = (query(&sent.query), recorded.query());
    if recorded.is_upload() && recorded.method != "POST" {
        // Recorders lost the state of sessions, and clients sent an old one. That ours is
        // the newest is seen from the location.
        ours.retain(|name, _| name == "digest");
        theirs.retain(|name, _| name == "digest");
    }
    if ours != theirs {
        return Err(format!("sent the query {ours:?}, recorded {theirs:?}"));
    }
    if ours.contains_key("last") {
        // A link to the next page names no version; some clients add theirs.
        return Ok(());
    }
    let version = recorded.parameter("api-version");
    let own = sent.query.split('&').find_map(|pair| pair.strip_prefix("api-version="));
    if version.is_some() && version.as_deref() != own {
        return Err(format!("sent the version {own:?}, recorded {version:?}"));
    }
    Ok(())
}

/// The scope we asked for unasked is the one that the registry's challenge names.
pub(crate) fn same_scope(stage: &Stage, conversation: &Conversation) -> Result<(), String> {
    let challenges = conversation.steps.iter().flat_map(|step| {
        step.challenges.iter().chain((step.last.status == 401).then_some(&step.last))
    });
    let asked: Vec<Scope> = stage
        .token_calls()
        .iter()
        .filter(|call| call.path == "/oauth2/token")
        .map(|call| query(&String::from_utf8_lossy(&call.body).replace('+', "%20")))
        .map(|form| Scope::parse_lenient(form.get("scope").map_or("", String::as_str)))
        .collect();
    if asked.is_empty() {
        return Ok(());
    }
    for named in challenges.filter_map(Exchange::challenged_scope) {
        let is_asked =
            asked.iter().any(|asked| *asked == named || is_same_but_names(asked, &named));
        if !is_asked {
            let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
            return Err(format!("asked for {asked:?}, the registry wants `{named}`"));
        }
    }
    Ok(())
}

/// Sanitised names differ between the path and the challenge; the rights do not.
fn is_same_but_names(one: &Scope, other: &Scope) -> bool {
    let rights = |scope: &Scope| {
        let text = scope.to_string();
        let mut rights: Vec<String> = text
            .split(' ')
            .map(|part| part.rsplit(':').next().unwrap_or_default().to_owned())
            .collect();
        rights.sort();
        rights
    };
    rights(one) == rights(other)
}

/// The error has the status, the code and the message on record, and the kind for it.
pub(crate) fn same_error(error: &Error, recorded: &Exchange) -> Result<(), String> {
    if recorded.status < 400 {
        return Err(format!("failed: {error}"));
    }
    // What a session or an upload makes of a refusal has the refusal as its source.
    let refusal = origin(error).filter(|e| e.status().is_some()).unwrap_or(error);
    if refusal.status().map(|status| status.as_u16()) != Some(recorded.status) {
        return Err(format!("another status: {error}"));
    }
    let json = recorded.json().unwrap_or_default();
    let errors = json["errors"].as_array().cloned().unwrap_or_default();
    let code = errors.first().and_then(|first| first["code"].as_str());
    if code.is_some_and(|code| !code.is_empty()) && code != refusal.code().map(ErrorCode::as_str) {
        return Err(format!("another code: {error}"));
    }
    if code.is_none() && refusal.code().is_some() {
        return Err(format!("a code that was not there: {error}"));
    }
    let kind = match (recorded.status, code) {
        (401, _) if recorded.is_insufficient() => ErrorKind::Forbidden,
        (401, _) => ErrorKind::Unauthenticated,
        (403, _) => ErrorKind::Forbidden,
        (404, _) => ErrorKind::NotFound,
        (400, Some("DIGEST_INVALID")) => ErrorKind::Integrity,
        (405, Some("REGISTRY_DISALLOWED_OPERATION")) => ErrorKind::Disallowed,
        (400 | 405 | 413 | 416, _) => ErrorKind::Rejected,
        (409, _) => ErrorKind::Conflict,
        (429, _) => ErrorKind::Throttled,
        (500.., _) => ErrorKind::Server,
        _ => refusal.kind(),
    };
    if refusal.kind() != kind {
        return Err(format!("the kind is {:?}, not {kind:?}: {error}", refusal.kind()));
    }
    if recorded.is_token_call() {
        // Texts of token services are not repeated: they may quote what was sent.
        return Ok(());
    }
    let messages: Vec<&str> = refusal.details().iter().map(|detail| detail.message()).collect();
    let lost = errors
        .iter()
        .filter_map(|error| error["message"].as_str())
        .find(|message| !messages.contains(message));
    match lost {
        Some(message) => Err(format!("the message `{message}` was lost: {error}")),
        None => Ok(()),
    }
}

fn origin(error: &Error) -> Option<&Error> {
    let mut source = error.source();
    let mut found = error.status().is_some().then_some(error);
    while let Some(inner) = source {
        if let Some(inner) = inner.downcast_ref::<Error>()
            && found.is_none()
            && inner.status().is_some()
        {
            found = Some(inner);
        }
        source = inner.source();
    }
    found
}
