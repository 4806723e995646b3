//! Recorded upload sessions, each as one upload of ours.

use acr_blob::BlobClient;
use acr_core::{Digest, RepositoryName};

use crate::{
    calls::{Outcome, same_error},
    recording::Exchange,
    stage::Stage,
};

/// Why a request to a session, taken by itself, is none of ours.
pub(crate) const NOT_WHOLE: &str =
    "a call to an upload session by itself: acr-blob has whole uploads only";

/// Why a chunk is none of ours although its content is.
const CUT_OTHERWISE: &str = "a chunk that ours sends with the closing request, or cuts otherwise";

/// The least that ours cuts to.
const MIN_CHUNK: usize = 1024;

pub(crate) fn is_upload(exchange: &Exchange) -> bool {
    exchange.decoded_path().contains("/blobs/uploads/")
}

/// The session's name, if the request has one.
pub(crate) fn session(exchange: &Exchange) -> Option<String> {
    let path = exchange.decoded_path();
    let (_, session) = path.split_once("/blobs/uploads/")?;
    (!session.is_empty()).then(|| session.to_owned())
}

/// Replays a session that was started, filled and completed, or whose start was refused.
/// `steps` are its requests in order, without their 401s.
pub(crate) async fn check(steps: &[Exchange]) -> Result<Outcome, String> {
    let (Some(start), Some(last)) = (steps.first(), steps.last()) else {
        return Ok(Outcome::NotOurs(NOT_WHOLE));
    };
    let chunks = steps.get(1..steps.len().saturating_sub(1)).unwrap_or_default();
    let is_mount = start.query().contains_key("mount") || start.query().contains_key("from");
    let is_whole = start.status == 202 && last.method == "PUT";
    let is_refused = steps.len() == 1 && start.status >= 400;
    let are_taken = chunks.iter().all(|chunk| chunk.method == "PATCH" && chunk.status == 202);
    if start.method != "POST" || is_mount || !(is_whole || is_refused) || !are_taken {
        return Ok(Outcome::NotOurs(NOT_WHOLE));
    }
    let path = start.decoded_path();
    let name = path.trim_start_matches("/v2/").trim_end_matches("/blobs/uploads/");
    let Ok(name) = name.parse::<RepositoryName>() else { return Ok(Outcome::Refused) };

    let parts = parts(chunks, last);
    let content = parts.concat();
    let size = parts.first().map_or(0, Vec::len);
    let is_even = parts.iter().rev().skip(1).all(|part| part.len() == size)
        && parts.last().is_none_or(|part| part.len() <= size);
    // Ours cuts evenly, and sends the last chunk with the closing request.
    let (size, made) = if is_even && size >= MIN_CHUNK {
        (size, chunks.len().saturating_sub(1))
    } else {
        (content.len().max(MIN_CHUNK), 0)
    };
    let mut answers = vec![start.clone()];
    answers.extend(chunks.iter().take(made).cloned());
    if is_whole {
        let mut closing = last.clone();
        if closing.response_header("docker-content-digest").is_some() {
            closing.set_response_header("Docker-Content-Digest", Digest::sha256(&content).as_str());
        }
        answers.push(closing);
    }
    let stage = Stage::new(answers, Vec::new());
    let blobs = BlobClient::new(stage.pipeline(false), name);
    let result = blobs.upload(content.clone()).chunk_size(size).await;
    let sent = stage.sent();
    let methods: Vec<&str> = sent.iter().map(|sent| sent.method.as_str()).collect();
    let sent_content: Vec<u8> = sent.iter().skip(1).flat_map(|sent| sent.body.clone()).collect();
    if is_refused {
        return match result {
            Ok(_) => Err("success, although refused".to_owned()),
            Err(error) => same_error(&error, start, &[]).map(|()| Outcome::Checked),
        };
    }
    if methods.first() != Some(&"POST") || !methods.contains(&"PUT") || sent_content != content {
        return Err(format!("sent {methods:?}, {} of {} bytes", sent_content.len(), content.len()));
    }
    let has_state = |text: &str| text.contains("_state=");
    let is_lost = |sent: &crate::stage::Sent| !has_state(&sent.query);
    if start.response_header("location").is_some_and(has_state) && sent.iter().skip(1).any(is_lost)
    {
        return Err("the session's state was lost".to_owned());
    }
    let checked = Outcome::CheckedBut(chunks.len() - made, CUT_OTHERWISE);
    match result {
        Ok(info) if last.status == 201 && info.size == content.len() as u64 => Ok(checked),
        Ok(_) => Err(format!("success, although the registry said {}", last.status)),
        Err(error) => same_error(&error, last, &[]).map(|()| checked),
    }
}

/// The content piece by piece; where it was not recorded, as many zeros.
fn parts(chunks: &[Exchange], last: &Exchange) -> Vec<Vec<u8>> {
    let mut taken = 0usize;
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for chunk in chunks {
        let range = chunk.response_header("range").and_then(|range| range.rsplit_once('-'));
        let end = range.and_then(|(_, end)| end.parse::<usize>().ok()).map(|end| end + 1);
        let recorded =
            chunk.request_body().filter(|body| end.is_none_or(|end| end == taken + body.len()));
        let part =
            recorded.unwrap_or_else(|| vec![0; end.unwrap_or(taken + 1).saturating_sub(taken)]);
        taken += part.len();
        parts.push(part);
    }
    match last.request_body() {
        Some(body) if last.method == "PUT" && chunks.is_empty() => parts.push(body),
        _ => {}
    }
    parts
}
