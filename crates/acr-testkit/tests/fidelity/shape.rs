//! What of two answers must be the same: everything but the values that vary.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    recording::{Exchange, Recording},
    registry::Got,
};

/// The differences between a recorded answer and one of the emulator, as text.
pub(crate) fn differences(
    recording: &Recording,
    exchange: &Exchange,
    got: &Got,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    if exchange.status != got.status {
        found.insert(format!("status {} instead of {}", got.status, exchange.status));
        return found;
    }
    headers(recording, exchange, got, &mut found);
    let recorded = exchange.response_bytes();
    let is_blob = exchange.operation.contains("blob") && exchange.status < 300;
    let theirs = serde_json::from_slice(&recorded).ok().filter(|_| !is_blob);
    match (theirs.ok_or(()), serde_json::from_slice(&got.body)) {
        (Ok(recorded), Ok(own)) => json(&recorded, &own, &mut found),
        (Ok(_), Err(_)) => _ = found.insert("body: not JSON".to_owned()),
        (Err(_), _) => text(exchange, &recorded, got, &mut found),
    }
    // Of other bodies the recordings tell only the length, in which an escaped slash or a host
    // with another name counts as much as a newline.
    let is_exact = exchange.notes.iter().any(|note| note.contains("length equals Content-Length"));
    if is_exact && exchange.status >= 400 && recorded.ends_with(b"\n") != got.body.ends_with(b"\n")
    {
        found.insert("body: the final newline".to_owned());
    }
    found
}

fn headers(recording: &Recording, exchange: &Exchange, got: &Got, found: &mut BTreeSet<String>) {
    if exchange.answered("server").is_none() && recording.format == "java" {
        return; // Of some answers the recorder kept nothing but the length.
    }
    let recorded = exchange.response_headers.iter().map(|(name, value)| (name.as_str(), value));
    let mut recorded: Vec<_> = recorded
        .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
        .filter(|(name, _)| is_compared(name))
        .map(|(name, value)| (form(&name, value), name))
        .collect();
    let own = got.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let own = own
        .filter(|(name, _)| is_compared(name))
        .map(|(name, value)| (form(name, value), name.to_owned()));
    for header in own {
        let is_same = |(form, name): &(String, String)| {
            *name == header.1 && (*form == header.0 || is_same_but_scope(form, &header.0))
        };
        match recorded.iter().position(is_same) {
            Some(at) => _ = recorded.swap_remove(at),
            None if is_lost(recording, &header.1) => {}
            None => _ = found.insert(format!("header more: {}: {}", header.1, header.0)),
        }
    }
    let missing = recorded.into_iter().map(|(form, name)| format!("header less: {name}: {form}"));
    found.extend(missing);
    let is_counted = |length: Option<&str>| length.is_some();
    let counted = is_counted(exchange.answered("content-length"));
    let own = is_counted(got.headers.get("content-length").map(|_| ""));
    if counted != own {
        let words = |counted| if counted { "counted" } else { "not counted" };
        found.insert(format!("body: {} instead of {}", words(own), words(counted)));
    }
}

/// Whether a recorder is known to leave a header out, or to keep only one line of it.
fn is_lost(recording: &Recording, name: &str) -> bool {
    let ids = ["x-ms-request-id", "x-ms-client-request-id", "x-ms-correlation-request-id"];
    let repeated = ["access-control-expose-headers", "strict-transport-security"];
    match recording.format.as_str() {
        "vcr" => ids.contains(&name) || repeated.contains(&name),
        _ if recording.name.starts_with("python__") => ids[..2].contains(&name),
        _ => false,
    }
}

/// Whether two challenges differ only in a scope that the recorder took out.
fn is_same_but_scope(recorded: &str, own: &str) -> bool {
    let around = |text: &str| {
        let (front, rest) = text.split_once("scope=\"")?;
        Some((front.to_owned(), rest.split_once('"')?.1.to_owned()))
    };
    recorded.contains("fake_scope") && around(recorded) == around(own)
}

/// Not compared: what belongs to the connection, and the length, which is compared apart.
fn is_compared(name: &str) -> bool {
    !["date", "connection", "content-length", "transfer-encoding", "keep-alive"].contains(&name)
}

/// A header's value without what varies.
fn form(name: &str, value: &str) -> String {
    match name {
        "www-authenticate" => challenge(value),
        "location" if value.starts_with("http") => link(value),
        "location" => location(value),
        "link" => page(value),
        "range" | "content-range" => digits(value),
        "etag" if value.contains("sha256:") => "\"{digest}\"".to_owned(),
        "etag" => value.get(..3).unwrap_or_default().to_owned() + "{…}",
        "x-ms-client-request-id" if value.is_empty() => "(empty)".to_owned(),
        "docker-content-digest" | "x-ms-int-docker-content-digest" => "{digest}".to_owned(),
        "x-ms-ratelimit-remaining-calls-per-second" => "{n}".to_owned(),
        "docker-upload-uuid" | "last-modified" => "{…}".to_owned(),
        "x-ms-version" | "x-ms-copy-progress" => digits(value),
        name if name.starts_with("x-ms-") && !is_word(value) => "{…}".to_owned(),
        _ => value.to_owned(),
    }
}

/// Whether a value is one of few words, and not an id, a time or an address.
fn is_word(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphabetic()) && value != "Sanitized"
}

fn challenge(value: &str) -> String {
    // Sanitised recordings name other hosts in the realm and in the service, or lose the path.
    let rest = value.split_once(",service=\"").and_then(|(_, rest)| rest.split_once('"'));
    let Some((_, rest)) = rest else { return value.to_owned() };
    let value = format!("Bearer realm,service{rest}");
    let Some((front, rest)) = value.split_once("scope=\"") else { return value };
    let (scopes, tail) = rest.split_once('"').unwrap_or((rest, ""));
    // The order of actions and of scopes is that of a coin.
    let mut scopes: Vec<_> = scopes
        .split(' ')
        .map(|scope| {
            let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
            let mut actions: Vec<_> = actions.split(',').collect();
            actions.sort_unstable();
            format!("{resource}:{}", actions.join(","))
        })
        .collect();
    scopes.sort();
    let kinds: Vec<_> = scopes.iter().map(|scope| without_name(scope)).collect();
    format!("{front}scope=\"{}\"{tail}", kinds.join(" "))
}

fn without_name(scope: &str) -> String {
    let (kind, rest) = scope.split_once(':').unwrap_or((scope, ""));
    let (name, actions) = rest.rsplit_once(':').unwrap_or(("", rest));
    let name = if kind == "repository" { "{name}" } else { name };
    format!("{kind}:{name}:{actions}")
}

/// The names in the query of a signed link, and the shape of its path.
fn link(value: &str) -> String {
    let (address, query) = value.split_once('?').unwrap_or((value, ""));
    let names: Vec<_> = query.split('&').map(|pair| pair.split('=').next().unwrap()).collect();
    let path = address.split_once("//").and_then(|(_, rest)| rest.split_once('/'));
    let segments: Vec<_> = path.map_or("", |(_, path)| path).split('/').collect();
    let kept = segments.iter().enumerate().map(|(at, segment)| {
        let varies = at == 0 || (segments.len() - at < 4 && *segment != "data");
        if varies { "{…}" } else { segment }
    });
    format!("https://{{storage}}/{}?{}", kept.collect::<Vec<_>>().join("/"), names.join("&"))
}

/// An address of the registry: relative or not, whether the name is encoded, what it is of.
fn location(value: &str) -> String {
    let (path, query) = value.split_once('?').unwrap_or((value, ""));
    let (front, item) = path.rsplit_once('/').unwrap_or(("", ""));
    let kinds = ["/blobs/uploads", "/blobs", "/manifests"];
    let Some(kind) = kinds.into_iter().find(|kind| front.ends_with(kind)) else {
        return value.to_owned();
    };
    let name = if front.contains("%2F") { "{encoded name}" } else { "{name}" };
    let root = if path.starts_with("/v2/") { "/v2" } else { "{elsewhere}" };
    let item = if item.contains(':') { "{digest}" } else { "{item}" };
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some(("_state", _)) => "_state={state}",
        _ => pair,
    });
    format!("{root}/{name}{kind}/{item}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A link to the next page: its keys, and the forms of its values.
fn page(value: &str) -> String {
    let (front, tail) = value.split_once('>').unwrap_or((value, ""));
    let (path, query) = front.split_once('?').unwrap_or((front, ""));
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some(("last", value)) if value.starts_with("sha256%3A") => "last={digest}".to_owned(),
        Some(("last", value)) if value.contains("%26") => "last={ticks}%26{name}".to_owned(),
        Some(("last", value)) if value.contains(['/', ':', '&']) => format!("last={value}"),
        Some(("last", _)) => "last={name}".to_owned(),
        _ => pair.to_owned(),
    });
    format!("{path}?{}>{tail}", pairs.collect::<Vec<_>>().join("&"))
}

fn digits(value: &str) -> String {
    let mut text = String::new();
    for c in value.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('N') => {}
            true => text.push('N'),
            false => text.push(c),
        }
    }
    text
}

fn json(recorded: &Value, own: &Value, found: &mut BTreeSet<String>) {
    let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
    paths("$", recorded, &mut theirs);
    paths("$", own, &mut ours);
    found.extend(ours.difference(&theirs).map(|path| format!("json more: {path}")));
    found.extend(theirs.difference(&ours).map(|path| format!("json less: {path}")));
    if recorded["errors"].is_array() {
        errors(recorded, own, found);
    }
}

/// Code, message and detail of errors are compared as they are, but for what the request named.
fn errors(recorded: &Value, own: &Value, found: &mut BTreeSet<String>) {
    let (theirs, ours) = (generic(&recorded["errors"]), generic(&own["errors"]));
    if theirs != ours {
        found.insert(format!("error {ours} instead of {theirs}"));
    }
}

fn generic(value: &Value) -> Value {
    match value {
        Value::String(text) => generic_text(text).into(),
        Value::Array(items) => items.iter().map(generic).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                let named = ["Name", "name", "Tag", "Revision"].contains(&key.as_str());
                (key.clone(), if named { "{name}".into() } else { generic(value) })
            });
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

fn generic_text(text: &str) -> String {
    let words = text.split(' ').map(|word| match word {
        word if word.starts_with("sha256:") => "{digest}",
        word if word.starts_with('"') && word.ends_with('"') => "{name}",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Every path to a value, with the value's type. The items of a list share one path.
fn paths(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Null => _ = found.insert(format!("{path}: null")),
        Value::Bool(_) => _ = found.insert(format!("{path}: bool")),
        Value::Number(_) => _ = found.insert(format!("{path}: number")),
        Value::String(_) => _ = found.insert(format!("{path}: string")),
        Value::Array(items) => {
            found.insert(format!("{path}: list"));
            items.iter().for_each(|item| paths(&format!("{path}[]"), item, found));
        }
        Value::Object(fields) => {
            found.insert(format!("{path}: object"));
            for (key, value) in fields {
                paths(&format!("{path}.{key}"), value, found);
            }
        }
    }
}

fn text(exchange: &Exchange, recorded: &[u8], got: &Got, found: &mut BTreeSet<String>) {
    if exchange.status == 307 {
        let (theirs, ours) = (page_of_link(recorded), page_of_link(&got.body));
        if theirs != ours {
            found.insert(format!("body: `{ours}` instead of `{theirs}`"));
        }
        return;
    }
    if [200, 206].contains(&exchange.status) || exchange.method == "HEAD" {
        if recorded.is_empty() != got.body.is_empty() {
            found.insert("body: one is empty".to_owned());
        }
        return;
    }
    if recorded != got.body {
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        found.insert(format!("body: `{}` instead of `{}`", words(&got.body), words(recorded)));
    }
}

/// The page of a redirect, with the shape of the address that it names. Recorders blanked parts
/// of the address here and not in the header, so the two cannot be compared.
fn page_of_link(page: &[u8]) -> String {
    let page = String::from_utf8_lossy(page);
    let parts = page.split_once("href=\"").and_then(|(front, rest)| {
        let (address, end) = rest.split_once('"')?;
        Some((front, address, end))
    });
    let Some((front, address, end)) = parts else { return page.into_owned() };
    let is_escaped = !address.replace("&amp;", "").contains('&');
    format!("{front}{} (escaped: {is_escaped}){end}", link(&address.replace("&amp;", "&")))
}
