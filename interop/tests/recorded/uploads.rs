//! Recorded upload sessions, request by request, each as one session of ours.

use acr_blob::{BlobClient, Mount, UploadSession};
use acr_core::{Digest, RepositoryName};
use serde_json::Value;

use crate::{
    calls::{Failure, Outcome, no_operation},
    compare::{same_error, same_scope},
    grouping::{Conversation, Step},
    recording::{Exchange, HOST},
    stage::{Cue, Stage},
};

/// Tries after a refusal that the recording has once.
const TRIES: usize = 4;

/// Replays what was recorded of a session, from its start or from somewhere inside.
pub(crate) async fn check(conversation: &mut Conversation) -> Result<Outcome, String> {
    if conversation.steps[0].last.method != "POST" {
        let Some(start) = implied_start(&conversation.steps[0].last) else {
            return refused(&conversation.steps[0].last);
        };
        conversation.steps.insert(0, start);
    }
    let start = conversation.steps[0].last.clone();
    let path = start.decoded_path();
    let name = path.trim_start_matches("/v2/").trim_end_matches("/blobs/uploads/");
    if name.parse::<RepositoryName>().is_err() || mount_of(&start).is_err() {
        return refused(&start);
    }
    let sizes = sizes(&conversation.steps);
    let content = content(&conversation.steps, &sizes);
    let is_implied = start.operation == IMPLIED;
    settle_digest(&mut conversation.steps, &content.concat());
    let stage = Stage::new(script(conversation, &content, is_implied), &conversation.tokens);
    let blobs = BlobClient::new(stage.pipeline(conversation), name.parse().map_err(text)?);
    let result = drive(&blobs, &conversation.steps, &content).await;
    stage.compare()?;
    same_scope(&stage, conversation)?;
    let last = &conversation.steps.last().ok_or("no step")?.last;
    match result {
        Ok(()) if last.status >= 400 => {
            return Err(format!("success, although the registry said {}", last.status));
        }
        Ok(()) => {}
        Err(Failure::Ours(error)) => same_error(&error, last)?,
        Err(Failure::Harness(why)) => return Err(why),
    }
    if stage.unused() > 0 {
        return Err(format!("{} recorded answers were not asked for", stage.unused()));
    }
    let what = if mount_of(&start).is_ok_and(|mount| mount.is_some()) { "mount" } else { "upload" };
    Ok(Outcome::CheckedWith(format!("{what} of a blob, step by step"), stage.implied()))
}

const IMPLIED: &str = "implied";

/// What names no repository or digest is refused by our types, and was by the registry.
fn refused(exchange: &Exchange) -> Result<Outcome, String> {
    let path = exchange.decoded_path();
    let name = path.strip_prefix("/v2/").and_then(|rest| rest.split_once("/blobs/uploads/"));
    let is_none = name.is_none_or(|(name, _)| name.parse::<RepositoryName>().is_err())
        || mount_of(exchange).is_err();
    if !is_none {
        return Err(format!("unknown operation `{} {}`", exchange.method, exchange.path));
    }
    if exchange.status < 400 {
        return Err("refused, though the registry took it".to_owned());
    }
    Ok(Outcome::Refused)
}

/// What is mounted, and from where.
fn mount_of(start: &Exchange) -> Result<Option<(Digest, RepositoryName)>, String> {
    let query = start.query();
    match (query.get("mount"), query.get("from")) {
        (Some(mount), Some(from)) => {
            Ok(Some((mount.parse().map_err(text)?, from.parse().map_err(text)?)))
        }
        (None, None) => Ok(None),
        _ => Err("a mount without a source or without a blob".to_owned()),
    }
}

/// The start of a session of which only later requests were recorded.
fn implied_start(first: &Exchange) -> Option<Step> {
    let path = first.decoded_path();
    let (name, session) = path.strip_prefix("/v2/")?.split_once("/blobs/uploads/")?;
    name.parse::<RepositoryName>().ok()?;
    let mut start = answered(first, 202, &place(first), 0);
    start.method = "POST".to_owned();
    start.path = format!("/v2/{name}/blobs/uploads/");
    start.query = String::new();
    start.operation = IMPLIED.to_owned();
    let is_known = !session.is_empty() && received_before(first) == 0;
    is_known.then_some(Step { challenges: Vec::new(), last: start })
}

/// Where a chunk starts, if its request or its answer says so.
fn received_before(chunk: &Exchange) -> usize {
    let named = chunk.request_header("content-range").and_then(|range| range.split_once('-'));
    named.and_then(|(first, _)| first.parse().ok()).unwrap_or(0)
}

/// Path and query, without the digest that closes an upload.
fn place(exchange: &Exchange) -> String {
    let is_kept = |pair: &&str| !pair.starts_with("digest=");
    let query: Vec<&str> = exchange.query.split('&').filter(is_kept).collect();
    format!("{}?{}", exchange.path, query.join("&"))
}

/// An answer of a session that goes on at a place, with so many bytes.
fn answered(like: &Exchange, status: u16, location: &str, received: usize) -> Exchange {
    let mut exchange = like.clone();
    exchange.status = status;
    exchange.host = HOST.to_owned();
    exchange.request_headers.clear();
    exchange.response_headers.clear();
    exchange.request_body = Value::Null;
    exchange.response_body = Value::Null;
    exchange.set_response_header("Location", location);
    exchange.set_response_header("Range", &format!("0-{}", received.saturating_sub(1)));
    exchange
}

/// How many bytes the registry has after each step.
fn sizes(steps: &[Step]) -> Vec<usize> {
    let mut received = 0;
    let after = |step: &Step| {
        let last = &step.last;
        if last.method == "PATCH" && last.status == 202 {
            let range = last.response_header("range").and_then(|range| range.rsplit_once('-'));
            let end = range.and_then(|(_, end)| end.parse::<usize>().ok());
            received = match (end, last.request_body()) {
                (Some(end), _) => end + 1,
                (None, body) => received + body.map_or(1, |body| body.len()),
            };
        }
        received
    };
    steps.iter().map(after).collect()
}

/// What each step sends; where it was not recorded, as many zeros.
fn content(steps: &[Step], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut before = 0;
    let mut parts = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let last = &step.last;
        let part = match last.method.as_str() {
            "PATCH" if last.status == 202 => {
                let size = sizes[at].saturating_sub(before);
                before = sizes[at];
                last.request_body()
                    .filter(|body| body.len() == size)
                    .unwrap_or_else(|| vec![0; size])
            }
            // Refused, and sent again by the next step.
            "PATCH" if last.status == 416 => Vec::new(),
            "PATCH" => last.request_body().unwrap_or_else(|| vec![0]),
            "PUT" => last.request_body().unwrap_or_default(),
            _ => Vec::new(),
        };
        parts.push(part);
    }
    parts
}

/// Gives the closing request the digest of the content on record, where another stands
/// there: sanitising changed it, or the caller made it up.
fn settle_digest(steps: &mut [Step], content: &[u8]) {
    let digest = Digest::sha256(content);
    for step in steps {
        for exchange in step.challenges.iter_mut().chain([&mut step.last]) {
            if exchange.method != "PUT" {
                continue;
            }
            let mut pairs: Vec<String> = exchange.query.split('&').map(str::to_owned).collect();
            for pair in pairs.iter_mut().filter(|pair| pair.starts_with("digest=")) {
                *pair = format!("digest={digest}");
            }
            exchange.query = pairs.join("&");
            if exchange.response_header("docker-content-digest").is_some() {
                exchange.set_response_header("Docker-Content-Digest", digest.as_str());
            }
        }
    }
}

/// The answers in the order in which our session asks for them.
fn script(conversation: &Conversation, content: &[Vec<u8>], is_implied: bool) -> Vec<Cue> {
    let mut cues = crate::calls::cues(conversation);
    let mut script: Vec<Cue> = Vec::new();
    let sizes = sizes(&conversation.steps);
    let total = content.len();
    for (at, mut cue) in cues.drain(..).enumerate() {
        let recorded = &cue.recorded;
        // What was not recorded, or recorded cut short, cannot be compared.
        let length = recorded.request_header("content-length").and_then(|n| n.parse().ok());
        let body = recorded.request_body().map(|body| body.len());
        cue.any_body = body.is_some() && length.is_some() && body != length;
        cue.is_implied |= is_implied && at == 0;
        let is_out_of_step = recorded.method == "PATCH" && recorded.status == 416;
        let recorded = recorded.clone();
        script.push(cue);
        if is_out_of_step {
            let step = conversation
                .steps
                .iter()
                .position(|step| step.last.query == recorded.query && step.last.status == 416);
            let received = step.map_or(0, |step| sizes[step]);
            let is_end = step.is_none_or(|step| step + 1 == total);
            for _ in 0..if is_end { TRIES } else { 1 } {
                let mut status = answered(&recorded, 204, &place(&recorded), received);
                status.method = "GET".to_owned();
                script.push(Cue::implied(status));
                if is_end {
                    script.push(Cue::implied(recorded.clone()));
                }
            }
        }
    }
    script
}

/// Makes each recorded step, as far as it gets.
async fn drive(blobs: &BlobClient, steps: &[Step], content: &[Vec<u8>]) -> Result<(), Failure> {
    let start = &steps[0].last;
    let lost = |what: &str| Failure::Harness(what.to_owned());
    let mut session: UploadSession = match mount_of(start).map_err(Failure::Harness)? {
        Some((digest, from)) => match (blobs.mount(&digest, &from).await?, start.status) {
            (Mount::Mounted, 201) => return Ok(()),
            (Mount::NotMounted(session), 202) => session,
            (mount, _) => return Err(Failure::Harness(format!("the mount became {mount:?}"))),
        },
        None => blobs.start_upload().await?,
    };
    let mut is_repeated = false;
    let mut sizes = sizes(steps).into_iter().skip(1);
    for (step, part) in steps.iter().zip(content).skip(1) {
        let received = sizes.next().unwrap_or_default();
        match step.last.method.as_str() {
            "PATCH" if step.last.status == 416 => is_repeated = true,
            "PATCH" => {
                session.write(part.clone()).await?;
                is_repeated = false;
            }
            "GET" => {
                session.status().await?;
            }
            "PUT" => {
                let size = content.iter().map(Vec::len).sum::<usize>() as u64;
                let info = session.complete(part.clone(), None).await?;
                return if info.size == size && step.last.status == 201 {
                    Ok(())
                } else {
                    Err(lost("the closed upload has another size or status"))
                };
            }
            "DELETE" => return Ok(session.cancel().await?),
            _ => return Err(no_operation(&step.last)),
        }
        if !is_repeated && session.offset() != received as u64 {
            return Err(lost("the session's offset is another"));
        }
    }
    if is_repeated {
        // The recording ends with the refusal: what is sent again is refused again.
        let body = steps.last().and_then(|step| step.last.request_body());
        session.write(body.unwrap_or_else(|| vec![0])).await?;
    }
    Ok(())
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
