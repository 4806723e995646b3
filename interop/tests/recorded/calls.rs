//! Which operation of ours a recorded request is, and whether it does the same.

use acr_blob::BlobClient;
use acr_core::{Continuation, Digest, Error, ErrorKind, Pages, Pipeline, RepositoryName, Tag};
use acr_registry::{
    Deletion, ManifestChanges, MediaType, Permissions, RegistryClient, RepositoryClient,
};
use serde_json::Value;

use crate::{
    fields,
    recording::{Exchange, query},
    stage::{Sent, Stage},
};

/// How the check of a recorded exchange ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Checked,
    /// Checked, but for some exchanges of it.
    CheckedBut(usize, &'static str),
    /// Our types refuse the argument; nothing can be sent.
    Refused,
    NotOurs(&'static str),
}

/// What our operation gave, as the wire would have it.
enum Got {
    Json(Value),
    Bytes(Vec<u8>),
    Deleted(bool),
    /// Nothing but success, or what was checked already.
    Done,
}

/// The parts of a decoded path.
enum Target {
    Ping,
    Catalog,
    Repository(String),
    Tags(String),
    Tag(String, String),
    Manifests(String),
    ManifestProperties(String, String),
    Manifest(String, String),
    Blob(String, String),
    Referrers(String, String),
}

/// Replays one request, with the 401 that came before it where there was one.
pub(crate) async fn check(
    preludes: &[Exchange],
    last: &Exchange,
    following: &[Exchange],
    tokens: Vec<Exchange>,
) -> Result<Outcome, String> {
    let Some(target) = target(&last.decoded_path()) else {
        return if last.operation.contains('?') {
            Ok(Outcome::NotOurs("a path outside of all routes, made up by the caller"))
        } else {
            Err(format!("unknown operation `{} {}`", last.method, last.path))
        };
    };
    let mut last = last.clone();
    if following.iter().any(|storage| storage.status == 206) {
        return Ok(Outcome::NotOurs(A_PART));
    }
    if let Some(reason) = not_ours(&last, &target) {
        return Ok(Outcome::NotOurs(reason));
    }
    if refuses(&target) {
        return Ok(Outcome::Refused);
    }
    let is_anonymous = tokens
        .iter()
        .filter_map(Exchange::form)
        .any(|form| form.get("grant_type").is_some_and(|kind| kind == "password"));
    if let Some(digest) = content_digest(&last, &target, following) {
        if !matches!(&target, Target::Manifest(_, reference) if reference.parse::<Digest>().is_err())
        {
            last.replace_digest(&digest);
        }
        last.set_response_header("Docker-Content-Digest", digest.as_str());
    }
    let target = target_of(&last)?;

    let mut answers = Vec::new();
    // Ours asks for the right scope beforehand, so it never meets this refusal; unless it is the end.
    answers.extend(preludes.last().filter(|p| !is_insufficient(p) || last.status == 401).cloned());
    if last.status == 401 {
        // Ours asks once more with a new token, where the recorded client gave up.
        answers.push(last.clone());
    }
    answers.push(last.clone());
    answers.extend(following.iter().cloned());
    let stage = Stage::new(answers, good(tokens));
    let result = call(&stage.pipeline(is_anonymous), &target, &last).await;
    let sent = stage.sent();
    let first = sent.first().ok_or("nothing was sent")?;
    same_request(first, &last)?;
    same_scope(&stage, preludes)?;
    match result {
        Ok(got) => same_answer(&got, &last, following),
        Err(error) => same_error(&error, &last, following),
    }?;
    if stage.unused() > 0 && last.status != 401 {
        return Err(format!("{} recorded answers were not asked for", stage.unused()));
    }
    Ok(Outcome::Checked)
}

const A_PART: &str = "a part of a blob: acr-blob has no ranged read yet";

/// What no operation of ours would send.
fn not_ours(last: &Exchange, target: &Target) -> Option<&'static str> {
    match (last.method.as_str(), target) {
        ("DELETE", Target::Manifest(_, reference)) if reference.parse::<Digest>().is_err() => {
            (last.status != 404 || last.json().is_some())
                .then_some("deletion of a manifest by tag: ours takes a digest only")
        }
        ("GET" | "HEAD", Target::Blob(..)) if last.request_header("range").is_some() => {
            Some(A_PART)
        }
        ("GET", Target::Blob(..)) if last.status == 206 => Some(A_PART),
        (
            "GET",
            Target::Tags(_)
            | Target::Manifests(_)
            | Target::Catalog
            | Target::Repository(_)
            | Target::Tag(..)
            | Target::ManifestProperties(..),
        ) if last.status == 200 && last.json().is_none() => {
            Some("the response body was not recorded")
        }
        ("GET", Target::Manifest(..)) if last.status == 200 && last.response_body().is_none() => {
            Some("the response body was not recorded")
        }
        _ => None,
    }
}

fn target(path: &str) -> Option<Target> {
    let text = str::to_owned;
    if path == "/v2/" {
        return Some(Target::Ping);
    }
    if path == "/acr/v1/_catalog" {
        return Some(Target::Catalog);
    }
    if let Some(rest) = path.strip_prefix("/acr/v1/") {
        if let Some((name, tag)) = rest.rsplit_once("/_tags/") {
            return Some(Target::Tag(text(name), text(tag)));
        }
        if let Some((name, digest)) = rest.rsplit_once("/_manifests/") {
            return Some(Target::ManifestProperties(text(name), text(digest)));
        }
        if let Some(name) = rest.strip_suffix("/_tags") {
            return Some(Target::Tags(text(name)));
        }
        if let Some(name) = rest.strip_suffix("/_manifests") {
            return Some(Target::Manifests(text(name)));
        }
        return (!rest.starts_with('_')).then(|| Target::Repository(text(rest)));
    }
    let rest = path.strip_prefix("/v2/")?;
    if let Some((name, reference)) = rest.rsplit_once("/manifests/") {
        return Some(Target::Manifest(text(name), text(reference)));
    }
    if let Some((name, digest)) = rest.rsplit_once("/referrers/") {
        return Some(Target::Referrers(text(name), text(digest)));
    }
    if rest.contains("/blobs/uploads/") {
        return None;
    }
    let (name, digest) = rest.rsplit_once("/blobs/")?;
    Some(Target::Blob(text(name), text(digest)))
}

fn target_of(exchange: &Exchange) -> Result<Target, String> {
    target(&exchange.decoded_path()).ok_or_else(|| "no target".to_owned())
}

/// Whether one of our types refuses an argument, so that there is nothing to send.
fn refuses(target: &Target) -> bool {
    let name = |name: &str| name.parse::<RepositoryName>().is_err();
    let digest = |digest: &str| digest.parse::<Digest>().is_err();
    let tag = |tag: &str| tag.parse::<Tag>().is_err();
    match target {
        Target::Ping | Target::Catalog => false,
        Target::Repository(n) | Target::Tags(n) | Target::Manifests(n) => name(n),
        Target::Tag(n, t) => name(n) || tag(t),
        Target::ManifestProperties(n, d) | Target::Blob(n, d) | Target::Referrers(n, d) => {
            name(n) || digest(d)
        }
        Target::Manifest(n, r) => name(n) || (digest(r) && tag(r)),
    }
}

/// The digest that the body on record has: sanitising and laying out anew changed bodies.
fn content_digest(last: &Exchange, target: &Target, following: &[Exchange]) -> Option<Digest> {
    let content = match (last.method.as_str(), target) {
        ("GET", Target::Manifest(..) | Target::Blob(..)) if last.status == 200 => {
            last.response_body()?
        }
        ("GET", Target::Blob(..)) if last.status == 307 => following.last()?.response_body()?,
        ("PUT", Target::Manifest(..)) => last.request_body().unwrap_or_else(|| b"{}".to_vec()),
        _ => return None,
    };
    Some(Digest::sha256(&content))
}

async fn call(pipeline: &Pipeline, target: &Target, last: &Exchange) -> Result<Got, Error> {
    let registry = RegistryClient::new(pipeline.clone());
    let open = |name: &str| registry.repository(name);
    let method = last.method.as_str();
    Ok(match (method, target) {
        ("GET", Target::Ping) => {
            registry.ping().await?;
            Got::Done
        }
        ("GET", Target::Catalog) => {
            let mut pager = registry.list_repositories();
            if !last.query.is_empty() {
                pager = pager.resume(Continuation::from_query(&last.query));
            }
            Got::Json(page(pager.into_pages(), last, fields::catalog).await?)
        }
        ("GET", Target::Tags(name)) => {
            let mut pager = open(name)?.list_tags();
            if let Some(digest) = last.query().get("digest") {
                pager = pager.of(&digest.parse::<Digest>().map_err(invalid)?);
            }
            if !last.query.is_empty() {
                pager = pager.resume(Continuation::from_query(&last.query));
            }
            Got::Json(page(pager.into_pages(), last, fields::tags).await?)
        }
        ("GET", Target::Manifests(name)) => {
            let mut pager = open(name)?.list_manifests();
            if !last.query.is_empty() {
                pager = pager.resume(Continuation::from_query(&last.query));
            }
            Got::Json(page(pager.into_pages(), last, fields::manifests).await?)
        }
        ("GET", Target::Repository(name)) => {
            Got::Json(fields::repository(&open(name)?.get_properties().await?))
        }
        ("PATCH", Target::Repository(name)) => {
            let changed = open(name)?.update_properties(permissions(last)).await?;
            Got::Json(fields::repository(&changed))
        }
        ("DELETE", Target::Repository(name)) => {
            let deletion = open(name)?.delete().await?;
            if last.json().is_some() && deletion.outcome == Deletion::Deleted {
                let manifests: Vec<_> = deletion.manifests.iter().map(Digest::as_str).collect();
                let tags: Vec<_> = deletion.tags.iter().map(Tag::as_str).collect();
                Got::Json(serde_json::json!({ "manifestsDeleted": manifests, "tagsDeleted": tags }))
            } else {
                Got::Deleted(deletion.outcome == Deletion::Deleted)
            }
        }
        ("GET", Target::Tag(name, tag)) => {
            let properties = open(name)?.get_tag(&tag.parse::<Tag>().map_err(invalid)?).await?;
            Got::Json(enveloped(
                &properties.registry,
                &properties.repository,
                "tag",
                &fields::tag(&properties),
            ))
        }
        ("PATCH", Target::Tag(name, tag)) => {
            let tag = tag.parse::<Tag>().map_err(invalid)?;
            let properties = open(name)?.update_tag(&tag, permissions(last)).await?;
            Got::Json(enveloped(
                &properties.registry,
                &properties.repository,
                "tag",
                &fields::tag(&properties),
            ))
        }
        ("DELETE", Target::Tag(name, tag)) => {
            let deletion = open(name)?.delete_tag(&tag.parse::<Tag>().map_err(invalid)?).await?;
            let pointed_to = last.response_header("x-ms-int-docker-content-digest");
            let pointed_to = pointed_to.and_then(|text| text.parse::<Digest>().ok());
            if pointed_to != deletion.digest {
                return Err(Error::new(ErrorKind::InvalidInput, "the tag's digest was lost"));
            }
            Got::Deleted(deletion == Deletion::Deleted)
        }
        (_, Target::ManifestProperties(name, digest)) => {
            let digest = digest.parse::<Digest>().map_err(invalid)?;
            let properties = match method {
                "GET" => open(name)?.get_manifest_properties(&digest).await?,
                "PATCH" => open(name)?.update_manifest_properties(&digest, changes(last)).await?,
                _ => return Err(unknown()),
            };
            Got::Json(enveloped(
                &properties.registry,
                &properties.repository,
                "manifest",
                &fields::manifest(&properties),
            ))
        }
        (_, Target::Manifest(name, reference)) => {
            manifest(method, &open(name)?, reference, last).await?
        }
        ("GET", Target::Referrers(name, digest)) => {
            let digest = digest.parse::<Digest>().map_err(invalid)?;
            let mut pages = open(name)?.list_referrers(&digest).into_pages();
            let page = pages.try_next().await?;
            let descriptors: Vec<_> = page.into_iter().flat_map(|page| page.items).collect();
            Got::Json(serde_json::json!({ "schemaVersion": 2, "manifests": descriptors,
                "mediaType": "application/vnd.oci.image.index.v1+json" }))
        }
        (_, Target::Blob(name, digest)) => {
            let blobs = BlobClient::new(pipeline.clone(), name.parse().map_err(invalid)?);
            let digest = digest.parse::<Digest>().map_err(invalid)?;
            match method {
                "HEAD" => match blobs.stat(&digest).await? {
                    Some(info) => Got::Json(serde_json::json!(info.size)),
                    None => Got::Deleted(false),
                },
                "GET" => {
                    let content = blobs.download(&digest).await?.bytes(64 << 20).await?;
                    Got::Bytes(content.to_vec())
                }
                "DELETE" => Got::Deleted(blobs.delete(&digest).await? == Deletion::Deleted),
                _ => return Err(unknown()),
            }
        }
        _ => return Err(unknown()),
    })
}

async fn manifest(
    method: &str,
    repository: &RepositoryClient,
    reference: &str,
    last: &Exchange,
) -> Result<Got, Error> {
    let reference: acr_core::Reference = reference.parse()?;
    Ok(match (method, &reference) {
        ("GET", _) => {
            let manifest = repository.get_manifest(reference).await?;
            let kept_as = last.response_header("content-type").unwrap_or_default();
            if manifest.media_type.as_str() != kept_as {
                return Err(Error::new(ErrorKind::InvalidInput, "the media type was lost"));
            }
            Got::Bytes(manifest.content.to_vec())
        }
        ("HEAD", _) => Got::Json(Value::from(repository.resolve(reference).await?.as_str())),
        ("PUT", _) => {
            let content = last.request_body().unwrap_or_else(|| b"{}".to_vec());
            let media_type = last.request_header("content-type").unwrap_or_default();
            let put = repository.put_manifest(content).media_type(MediaType::from(media_type));
            match reference {
                acr_core::Reference::Tag(tag) => put.tag(tag).await?,
                _ => put.await?,
            };
            Got::Done
        }
        ("DELETE", acr_core::Reference::Digest(digest)) => {
            Got::Deleted(repository.delete_manifest(digest).await? == Deletion::Deleted)
        }
        _ => return Err(unknown()),
    })
}

/// The first page as the wire has it, if it says the same about the next.
async fn page<T: Send + 'static>(
    mut pages: Pages<T>,
    last: &Exchange,
    write: fn(&acr_core::Page<T>) -> Value,
) -> Result<Value, Error> {
    let Some(page) = pages.try_next().await? else {
        return Err(Error::new(ErrorKind::InvalidInput, "there was no page"));
    };
    let next = page.next.as_ref().map(|next| query(next.query()));
    let link = last.response_header("link").and_then(|link| link.split(['<', '>']).nth(1));
    let recorded = link.map(|link| query(link.split_once('?').map_or("", |(_, query)| query)));
    if next != recorded {
        return Err(Error::new(ErrorKind::InvalidInput, "the next page was lost"));
    }
    Ok(write(&page))
}

fn enveloped(registry: &str, repository: &RepositoryName, name: &str, value: &Value) -> Value {
    serde_json::json!({ "registry": registry, "imageName": repository.as_str(), name: value })
}

fn permissions(last: &Exchange) -> Permissions {
    let body = last.request_body().unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_default()
}

fn changes(last: &Exchange) -> ManifestChanges {
    let body = last.request_body().unwrap_or_default();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut changes = ManifestChanges::new().permissions(permissions(last));
    if let Some(state) = json.get("quarantineState").and_then(Value::as_str) {
        changes = changes.quarantine_state(state);
    }
    if let Some(details) = json.get("quarantineDetails").and_then(Value::as_str) {
        changes = changes.quarantine_details(details);
    }
    changes
}

/// Method, path, query, content type and body by meaning.
pub(crate) fn same_request(sent: &Sent, recorded: &Exchange) -> Result<(), String> {
    let path = percent_encoding::percent_decode_str(&sent.path).decode_utf8_lossy();
    if (sent.method.as_str(), &*path)
        != (recorded.method.as_str(), recorded.decoded_path().as_str())
    {
        return Err(format!("sent {} {path}", sent.method));
    }
    let (ours, theirs) = (query(&sent.query), recorded.query());
    if !recorded.has_note("query string not recorded") && ours != theirs {
        return Err(format!("sent the query {ours:?}, recorded {theirs:?}"));
    }
    if recorded.method != "PATCH" && recorded.method != "PUT" {
        return Ok(());
    }
    let Some(body) = recorded.request_body() else { return Ok(()) };
    let content_type = sent.headers.get("content-type").and_then(|value| value.to_str().ok());
    let essence = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    let recorded_type = recorded.request_header("content-type").map(essence);
    if recorded_type.is_some() && recorded_type != content_type.map(essence) {
        return Err(format!("sent {content_type:?}, recorded {recorded_type:?}"));
    }
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    if sent.body != body && (json(&body).is_none() || json(&body) != json(&sent.body)) {
        return Err("sent another body".to_owned());
    }
    Ok(())
}

/// The scope we asked for unasked is the one that the registry's challenge names.
fn same_scope(stage: &Stage, preludes: &[Exchange]) -> Result<(), String> {
    let challenge = preludes.last().and_then(|p| p.response_header("www-authenticate"));
    let Some((_, rest)) = challenge.and_then(|text| text.split_once("scope=\"")) else {
        return Ok(());
    };
    let named = acr_core::Scope::parse_lenient(rest.split('"').next().unwrap_or_default());
    if named.is_empty() {
        // Sanitised away.
        return Ok(());
    }
    let calls = stage.token_calls();
    let Some(call) = calls.first() else { return Ok(()) };
    let form = query(&String::from_utf8_lossy(&call.body));
    let asked = acr_core::Scope::parse_lenient(form.get("scope").map_or("", String::as_str));
    // Sanitised names differ between the path and the challenge; the rights do not.
    let rights = |scope: &acr_core::Scope| {
        scope.to_string().rsplit(':').next().unwrap_or_default().to_owned()
    };
    if rights(&named) == rights(&asked) {
        Ok(())
    } else {
        Err(format!("asked for `{asked}`, the registry wants `{named}`"))
    }
}

fn same_answer(got: &Got, last: &Exchange, following: &[Exchange]) -> Result<(), String> {
    let is_not_found = last.status == 404;
    match got {
        _ if last.status >= 400 && !is_not_found => {
            Err(format!("success, although the registry said {}", last.status))
        }
        Got::Deleted(true) if is_not_found => Err("deleted, although absent".to_owned()),
        Got::Deleted(false) if !is_not_found => Err("absent, although present".to_owned()),
        Got::Deleted(_) => Ok(()),
        _ if is_not_found => Err("success, although not found".to_owned()),
        Got::Done => Ok(()),
        Got::Bytes(bytes) => {
            let source = following.last().unwrap_or(last);
            if source.response_body().unwrap_or_default() == *bytes {
                Ok(())
            } else {
                Err("other content".to_owned())
            }
        }
        Got::Json(ours) if last.method == "HEAD" => {
            let header = match ours {
                Value::Number(_) => "content-length",
                _ => "docker-content-digest",
            };
            let recorded = last.response_header(header).unwrap_or_default();
            let ours = ours.as_str().map_or_else(|| ours.to_string(), str::to_owned);
            if recorded == ours { Ok(()) } else { Err(format!("{header} {ours}")) }
        }
        Got::Json(ours) => {
            let recorded = last.json().unwrap_or_default();
            let ours = match (&recorded, ours) {
                // A page without items has nothing to carry whose it is.
                (Value::Object(recorded), Value::Object(ours))
                    if !ours.contains_key("registry") =>
                {
                    let mut ours = ours.clone();
                    for name in ["registry", "imageName"] {
                        if let Some(value) = recorded.get(name) {
                            ours.insert(name.to_owned(), value.clone());
                        }
                    }
                    Value::Object(ours)
                }
                _ => ours.clone(),
            };
            fields::check(&recorded, &ours, "")
        }
    }
}

pub(crate) fn same_error(
    error: &Error,
    last: &Exchange,
    following: &[Exchange],
) -> Result<(), String> {
    // The recording ends with the redirect: that we went there is all there is to see.
    if last.status == 307 && following.is_empty() && error.kind() == ErrorKind::Transport {
        return Ok(());
    }
    if last.status < 400 {
        return Err(format!("failed: {error}"));
    }
    if error.status().map(|status| status.as_u16()) != Some(last.status) {
        return Err(format!("another status: {error}"));
    }
    let recorded = last.json().unwrap_or_default();
    let first = &recorded["errors"][0];
    let code = first["code"].as_str();
    if code.is_some() && code != error.code().map(acr_core::ErrorCode::as_str) {
        return Err(format!("another code: {error}"));
    }
    let kind = match last.status {
        401 if is_insufficient(last) => ErrorKind::Forbidden,
        401 => ErrorKind::Unauthenticated,
        404 => ErrorKind::NotFound,
        _ => error.kind(),
    };
    let is_token_call = last.is_token_call();
    if error.kind() != kind && !is_token_call {
        return Err(format!("the kind is {:?}", error.kind()));
    }
    let message = first["message"].as_str().unwrap_or_default();
    let has_message = error.details().first().is_some_and(|detail| detail.message() == message);
    if !message.is_empty() && !has_message && !is_token_call {
        return Err(format!("the message was lost: {error}"));
    }
    Ok(())
}

pub(crate) fn is_insufficient(exchange: &Exchange) -> bool {
    let challenge = exchange.response_header("www-authenticate").unwrap_or_default();
    challenge.contains("insufficient_scope")
}

/// The answers to token calls that brought a token.
fn good(tokens: Vec<Exchange>) -> Vec<Exchange> {
    let has_token = |exchange: &Exchange| {
        let json = exchange.json().unwrap_or_default();
        exchange.status == 200
            && exchange.path == "/oauth2/token"
            && json["access_token"].as_str().is_some_and(|token| !token.is_empty())
    };
    tokens.into_iter().filter(has_token).collect()
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::InvalidInput, "refused by a type").with_source(error)
}

fn unknown() -> Error {
    Error::new(ErrorKind::InvalidInput, "no operation of ours has this method")
}
