//! Makes whole what sanitising broke: hosts, realms, scopes, digests and names that are
//! none any more get valid ones, the same for the same word.

use acr_core::{Digest, RepositoryName, Scope};
use serde_json::Value;

use crate::{
    recording::{Exchange, HOST, decode},
    table::Rewritten,
    target::{Target, target},
};

/// Rewrites a recording and says what was rewritten, and how often.
pub(crate) fn make_whole(exchanges: &mut [Exchange]) -> Rewritten {
    let mut rewritten = Rewritten::default();
    for exchange in exchanges.iter_mut() {
        exchange.registry.clone_from(&exchange.host);
        let mut times = 0;
        map_texts(exchange, |text| whole_digests(text, &mut times));
        *rewritten.entry("digests").or_default() += times;
    }
    for word in digests_that_are_none(exchanges) {
        let stand_in = stand_in(&word);
        let times = exchanges.iter_mut().map(|e| put_digest(e, &word, &stand_in)).sum::<usize>();
        *rewritten.entry("digests").or_default() += times;
    }
    for name in names_that_are_none(exchanges) {
        let valid = valid_name(&name);
        let times = exchanges.iter_mut().map(|e| put_name(e, &name, &valid)).sum::<usize>();
        *rewritten.entry("names").or_default() += times;
    }
    for exchange in exchanges {
        if exchange.is_storage() {
            continue;
        }
        let challenge = exchange.response_header("www-authenticate").unwrap_or_default();
        if challenge.contains("scope=") && exchange.challenged_scope().is_none() {
            *rewritten.entry("scopes").or_default() += 1;
        }
        if put_host(exchange) {
            *rewritten.entry("hosts, realms and services").or_default() += 1;
        }
    }
    rewritten.retain(|_, times| *times > 0);
    rewritten
}

fn stand_in(word: &str) -> Digest {
    Digest::sha256(format!("stands for `{word}`").as_bytes())
}

/// Changes every text of an exchange that may name something: not content in Base64.
fn map_texts(exchange: &mut Exchange, mut map: impl FnMut(&str) -> String) {
    exchange.path = map(&exchange.path);
    exchange.query = map(&exchange.query);
    let headers = exchange.request_headers.iter_mut().chain(&mut exchange.response_headers);
    for (_, value) in headers {
        *value = map(value);
    }
    for body in [&mut exchange.request_body, &mut exchange.response_body] {
        if let Value::String(text) = body {
            *text = map(text);
        }
    }
}

/// Words of recorders for a digest: `sha256_encoded_stream`, `sha256:00`.
fn whole_digests(text: &str, times: &mut usize) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sha256") {
        let (before, from) = rest.split_at(at);
        whole.push_str(before);
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '%');
        let end = from.find(|c: char| !is_part(c)).unwrap_or(from.len());
        let word = &from[..end];
        let colon = if word.contains("%3A") { "%3A" } else { ":" };
        let value = word.trim_start_matches("sha256").strip_prefix(colon);
        let are_zeros = value.is_some_and(|value| {
            !value.is_empty() && value.len() < 64 && value.bytes().all(|b| b == b'0')
        });
        if word.starts_with("sha256_encoded_stream") || are_zeros {
            let digest = stand_in(&decode(word));
            whole.push_str(&digest.as_str().replacen(':', colon, 1));
            *times += 1;
        } else {
            whole.push_str(word);
        }
        rest = &from[end..];
    }
    whole.push_str(rest);
    whole
}

/// What stands for a digest in a path and is none, though the registry answered with
/// success: no registry would have.
fn digests_that_are_none(exchanges: &[Exchange]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for exchange in exchanges.iter().filter(|e| e.status < 400) {
        let digest = match target(&exchange.decoded_path()) {
            Some(
                Target::ManifestProperties(_, digest)
                | Target::Blob(_, digest)
                | Target::Referrers(_, digest),
            ) => digest,
            _ => continue,
        };
        if digest.parse::<Digest>().is_err() && !words.contains(&digest) {
            words.push(digest);
        }
    }
    words
}

fn put_digest(exchange: &mut Exchange, word: &str, digest: &Digest) -> usize {
    let mut times = 0;
    if let Some((before, last)) = exchange.path.rsplit_once('/')
        && decode(last) == word
    {
        exchange.path = format!("{before}/{digest}");
        times += 1;
    }
    for name in ["digest", "mount"] {
        let mut pairs: Vec<String> = exchange.query.split('&').map(str::to_owned).collect();
        for pair in &mut pairs {
            if pair.split_once('=').is_some_and(|(key, value)| key == name && decode(value) == word)
            {
                *pair = format!("{name}={digest}");
                times += 1;
            }
        }
        exchange.query = pairs.join("&");
    }
    for (_, value) in &mut exchange.response_headers {
        if value == word {
            *value = digest.to_string();
            times += 1;
        }
    }
    let quoted = format!("\"digest\":\"{word}\"");
    if let Value::String(text) = &mut exchange.response_body
        && text.contains(&quoted)
    {
        *text = text.replace(&quoted, &format!("\"digest\":\"{digest}\""));
        times += 1;
    }
    times
}

/// Names that no registry takes, though the answer was a success.
fn names_that_are_none(exchanges: &[Exchange]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for exchange in exchanges.iter().filter(|e| e.status < 400 && !e.is_storage()) {
        let path = exchange.decoded_path();
        let name = match target(&path) {
            Some(target) => target.name().map(str::to_owned),
            None => path
                .strip_prefix("/v2/")
                .and_then(|rest| rest.split_once("/blobs/uploads/"))
                .map(|(name, _)| name.to_owned()),
        };
        let Some(name) = name else { continue };
        if name.parse::<RepositoryName>().is_err() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn valid_name(name: &str) -> String {
    let valid: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '/' { c } else { '0' })
        .collect();
    match valid.parse::<RepositoryName>() {
        Ok(valid) => valid.to_string(),
        Err(_) => "stand/in".to_owned(),
    }
}

/// Only where a repository's name stands: the word may mean other things elsewhere.
fn put_name(exchange: &mut Exchange, name: &str, valid: &str) -> usize {
    let encoded: String = name.replace('/', "%2F");
    let mut times = 0;
    map_texts(exchange, |text| {
        let mut text = text.to_owned();
        for word in [name, &encoded] {
            for (before, after) in [
                ("/acr/v1/", "/"),
                ("/v2/", "/"),
                ("repository:", ":"),
                ("repository%3A", "%3A"),
                ("\"imageName\":\"", "\""),
                ("\"Name\":\"", "\""),
                ("repository \\\"", "\\\""),
            ] {
                let old = format!("{before}{word}{after}");
                if text.contains(&old) {
                    text = text.replace(&old, &format!("{before}{valid}{after}"));
                    times += 1;
                }
            }
            for before in ["/acr/v1/", "/v2/"] {
                if text == format!("{before}{word}") {
                    text = format!("{before}{valid}");
                    times += 1;
                }
            }
        }
        text
    });
    times
}

/// Gives the exchange the host that everything is replayed under; whether it had another.
fn put_host(exchange: &mut Exchange) -> bool {
    if exchange.host == HOST {
        return false;
    }
    let old = std::mem::replace(&mut exchange.host, HOST.to_owned());
    for (name, value) in &mut exchange.response_headers {
        if name.eq_ignore_ascii_case("www-authenticate") {
            if value.starts_with("Bearer") {
                let scope = value.split_once("scope=\"").and_then(|(_, rest)| rest.split_once('"'));
                let scope = scope.map(|(scope, _)| scope.to_owned());
                // A scope that was sanitised away is no scope.
                let scope = scope.filter(|scope| !Scope::parse_lenient(scope).is_empty());
                let scope = scope.map_or_else(String::new, |scope| format!(",scope=\"{scope}\""));
                let error = value.split_once("error=\"").and_then(|(_, rest)| rest.split_once('"'));
                let error = error.map_or_else(String::new, |(e, _)| format!(",error=\"{e}\""));
                // The realm of some recordings lost its path too.
                *value = format!(
                    "Bearer realm=\"https://{HOST}/oauth2/token\",service=\"{HOST}\"{scope}{error}"
                );
            }
        } else {
            *value = value.replace(&format!("https://{old}/"), &format!("https://{HOST}/"));
        }
    }
    true
}
