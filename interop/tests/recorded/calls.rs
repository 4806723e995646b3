//! Which operation of ours a recorded request is, and whether it does the same.

use acr_core::{Digest, Error, ErrorKind, Pipeline, Reference, RepositoryName, Tag, Was};
use acr_registry::{
    ApiVersion, Document, ManifestChanges, MediaType, Permissions, RegistryClient, RepositoryClient,
};
use serde_json::Value;

use crate::{
    blobs,
    compare::{same_error, same_scope},
    fields,
    grouping::Conversation,
    lists,
    recording::Exchange,
    stage::{Cue, Stage},
    target::{Target, target},
};

/// How the check of a conversation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// By this operation.
    Checked(String),
    /// The same, with so many answers that the recording implied.
    CheckedWith(String, usize),
    /// Our types refuse the argument, as the registry did; nothing was sent.
    Refused,
    NotOurs(&'static str),
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// What our operation says.
    Ours(Error),
    /// What came out is not what was recorded.
    Harness(String),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Ours(error.into())
    }
}

/// What our operation gave, as the wire would have it.
pub(crate) enum Got {
    Json(Value),
    Bytes(Vec<u8>),
    Deleted(bool),
    Digest(Digest),
    /// Nothing but success, or what was checked already.
    Done,
}

/// Replays one operation.
pub(crate) async fn check(conversation: &mut Conversation) -> Result<Outcome, String> {
    let first = conversation.steps.first().ok_or("no step")?.last.clone();
    let Some(target) = target(&first.decoded_path()) else {
        return outside(&first);
    };
    if let Some(reason) = not_recorded(&first, &target) {
        return Ok(Outcome::NotOurs(reason));
    }
    settle_digests(conversation, &target);
    let target = crate::target::target(&conversation.steps[0].last.decoded_path())
        .ok_or("the path was lost")?;
    let stage = Stage::new(cues(conversation), &conversation.tokens);
    let pipeline = stage.pipeline(conversation);
    let result = Box::pin(call(&pipeline, &target, conversation)).await;
    let last = &conversation.steps.last().ok_or("no step")?.last;
    if let Err(Failure::Ours(error)) = &result
        && error.kind() == ErrorKind::InvalidInput
        && stage.is_untouched()
    {
        return refused(error, &target, last).await;
    }
    if let Err(Failure::Harness(why)) = result {
        return Err(why);
    }
    stage.compare()?;
    same_scope(&stage, conversation)?;
    match result {
        Ok(got) => same_answer(&got, conversation)?,
        Err(Failure::Ours(error)) if is_cut_off(conversation) && error.status().is_none() => {}
        Err(Failure::Ours(error)) => same_error(&error, last)?,
        Err(Failure::Harness(why)) => return Err(why),
    }
    if stage.unused() > 0 {
        return Err(format!("{} recorded answers were not asked for", stage.unused()));
    }
    Ok(Outcome::Checked(name(&first.method, &target)))
}

/// The recorded answers in the order in which an operation of ours hears them.
pub(crate) fn cues(conversation: &Conversation) -> Vec<Cue> {
    let mut cues = Vec::new();
    for step in &conversation.steps {
        let is_final = step.last.status == 401;
        // Ours asks for the right scope beforehand, so that it never meets this refusal,
        // unless that is how it ends.
        let challenge = step.challenges.last().filter(|e| !e.is_insufficient() || is_final);
        cues.extend(challenge.cloned().map(Cue::new));
        let last = Cue::new(step.last.clone());
        if !is_final {
            cues.push(last);
            continue;
        }
        // Ours asks once more where a new token may help, and only there.
        if challenge.is_none() {
            cues.push(last);
        }
        cues.push(Cue::implied(step.last.clone()));
    }
    cues
}

/// Where no route of a registry is, and no operation: made up by the caller, and answered
/// by the front end alone.
fn outside(exchange: &Exchange) -> Result<Outcome, String> {
    let path = exchange.decoded_path();
    let is_routed = ["/v2/", "/acr/", "/oauth2/"].iter().any(|route| path.starts_with(route));
    let is_front_end = exchange.status == 404
        && exchange.response_header("x-ms-correlation-request-id").is_none()
        && exchange.json().is_none();
    if !is_routed && is_front_end {
        return Ok(Outcome::NotOurs("a path outside of all routes, made up by the caller"));
    }
    Err(format!("unknown operation `{} {}`", exchange.method, exchange.path))
}

/// What the recorder lost, so that there is nothing to answer with.
fn not_recorded(exchange: &Exchange, target: &Target) -> Option<&'static str> {
    let has_body = match target {
        Target::Ping | Target::Blob(..) => true,
        Target::Manifest(..) => exchange.response_body().is_some(),
        _ => exchange.json().is_some(),
    };
    let is_read = exchange.method == "GET" || exchange.method == "PATCH";
    (is_read && exchange.status == 200 && !has_body).then_some("the answer's body was not recorded")
}

/// Puts the digest that the content on record has in place of one that it has not:
/// sanitising and laying out anew changed bodies.
fn settle_digests(conversation: &mut Conversation, target: &Target) {
    let Some(last) = conversation.steps.last().map(|step| step.last.clone()) else { return };
    let content = match (conversation.steps[0].last.method.as_str(), target) {
        ("GET", Target::Manifest(..) | Target::Blob(..)) if last.status == 200 => {
            last.response_body()
        }
        ("PUT", Target::Manifest(..)) => {
            Some(last.request_body().unwrap_or_else(|| b"{}".to_vec()))
        }
        _ => None,
    };
    let Some(content) = content else { return };
    let digest = Digest::sha256(&content);
    let by_digest = match target {
        Target::Manifest(_, reference) => reference.parse::<Digest>().is_ok(),
        _ => true,
    };
    for step in &mut conversation.steps {
        for exchange in step.challenges.iter_mut().chain([&mut step.last]) {
            if exchange.is_storage() {
                continue;
            }
            if by_digest && let Some((name, _)) = exchange.decoded_path().rsplit_once('/') {
                exchange.path = format!("{name}/{digest}");
            }
            if exchange.status < 400 {
                exchange.set_response_header("Docker-Content-Digest", digest.as_str());
            }
        }
    }
}

/// What our types refuse the registry has refused too.
async fn refused(error: &Error, target: &Target, last: &Exchange) -> Result<Outcome, String> {
    if last.status < 400 {
        return Err(format!("refused, though the registry took it: {error}"));
    }
    // A deletion by tag cannot be asked for; the registry's refusal of it must be understood.
    if let (Target::Manifest(name, _), "DELETE", Ok(_)) =
        (target, last.method.as_str(), target.name().unwrap_or_default().parse::<RepositoryName>())
        && last.status == 405
    {
        let digest = Digest::sha256(b"any");
        let mut by_digest = last.clone();
        by_digest.path = format!("/v2/{name}/manifests/{digest}");
        let stage = Stage::new(vec![Cue::new(by_digest)], &[]);
        let conversation = Conversation { at: 0, steps: Vec::new(), tokens: Vec::new() };
        let registry = RegistryClient::new(stage.pipeline(&conversation));
        let repository = registry.repository(name.as_str()).map_err(|e| e.to_string())?;
        match repository.delete_manifest(&digest).await {
            Ok(_) => return Err("success, although the registry said 405".to_owned()),
            Err(error) => same_error(&error, last)?,
        }
    }
    Ok(Outcome::Refused)
}

/// Whether the recording ends with a redirect: that we went there is all there is to see.
fn is_cut_off(conversation: &Conversation) -> bool {
    conversation.steps.last().is_some_and(|step| (300..400).contains(&step.last.status))
}

fn name(method: &str, target: &Target) -> String {
    let name = match target {
        Target::Ping => "/v2/",
        Target::Catalog => "/acr/v1/_catalog",
        Target::Repository(_) => "/acr/v1/{name}",
        Target::Tags(_) => "/acr/v1/{name}/_tags",
        Target::Tag(..) => "/acr/v1/{name}/_tags/{tag}",
        Target::Manifests(_) => "/acr/v1/{name}/_manifests",
        Target::ManifestProperties(..) => "/acr/v1/{name}/_manifests/{digest}",
        Target::Manifest(..) => "/v2/{name}/manifests/{reference}",
        Target::Blob(..) => "/v2/{name}/blobs/{digest}",
        Target::Referrers(..) => "/v2/{name}/referrers/{digest}",
    };
    format!("{method} {name}")
}

async fn call(
    pipeline: &Pipeline,
    target: &Target,
    conversation: &Conversation,
) -> Result<Got, Failure> {
    let steps = conversation.steps.as_slice();
    let last = &steps[0].last;
    let mut registry = RegistryClient::new(pipeline.clone());
    if let Some(version) = last.parameter("api-version") {
        let known = version.parse::<ApiVersion>();
        registry = registry.api_version(known.unwrap_or_else(|_| ApiVersion::unchecked(version)));
    }
    let open = |name: &str| registry.repository(name);
    let method = last.method.as_str();
    Ok(match (method, target) {
        ("GET", Target::Ping) => {
            registry.ping().await?;
            Got::Done
        }
        ("GET", target) if target.is_list() => {
            lists::check(&registry, target, steps).await?;
            Got::Done
        }
        (_, Target::Repository(name)) => repository(method, &open(name)?, last).await?,
        (_, Target::Tag(name, name_of_tag)) => {
            tag(method, &open(name)?, &name_of_tag.parse()?, last).await?
        }
        (_, Target::ManifestProperties(name, digest)) => {
            manifest_properties(method, &open(name)?, &digest.parse()?, last).await?
        }
        (_, Target::Manifest(name, reference)) => {
            manifest(method, &open(name)?, reference, last).await?
        }
        (_, Target::Blob(name, digest)) => {
            Box::pin(blobs::call(method, pipeline, name, digest, steps)).await?
        }
        _ => return Err(no_operation(last)),
    })
}

async fn repository(
    method: &str,
    repository: &RepositoryClient,
    last: &Exchange,
) -> Result<Got, Failure> {
    Ok(match method {
        "GET" => Got::Json(fields::repository(&repository.properties().await?)),
        "PATCH" => {
            let changed = repository.update_properties(permissions(last)).await?;
            Got::Json(fields::repository(&changed))
        }
        "DELETE" => {
            let deletion = repository.delete().await?;
            match deletion.was {
                Was::Existed if last.json().is_some() => {
                    Got::Json(fields::repository_deletion(&deletion))
                }
                outcome => Got::Deleted(outcome == Was::Existed),
            }
        }
        _ => return Err(no_operation(last)),
    })
}

async fn tag(
    method: &str,
    repository: &RepositoryClient,
    tag: &Tag,
    last: &Exchange,
) -> Result<Got, Failure> {
    Ok(match method {
        "GET" => Got::Json(fields::one_tag(&repository.tag_properties(tag).await?)),
        "PATCH" => {
            let properties = repository.update_tag_properties(tag, permissions(last)).await?;
            Got::Json(fields::one_tag(&properties))
        }
        "DELETE" => {
            let deletion = repository.delete_tag(tag).await?;
            let pointed_to = last.response_header("x-ms-int-docker-content-digest");
            if pointed_to.and_then(|text| text.parse().ok()) != deletion.digest {
                return Err(Failure::Harness("the tag's digest was lost".to_owned()));
            }
            Got::Deleted(deletion == Was::Existed)
        }
        _ => return Err(no_operation(last)),
    })
}

async fn manifest_properties(
    method: &str,
    repository: &RepositoryClient,
    digest: &Digest,
    last: &Exchange,
) -> Result<Got, Failure> {
    Ok(match method {
        "GET" => Got::Json(fields::one_manifest(&repository.manifest_properties(digest).await?)),
        "PATCH" => {
            let changes = changes(last);
            let properties = repository.update_manifest_properties(digest, changes).await?;
            Got::Json(fields::one_manifest(&properties))
        }
        _ => return Err(no_operation(last)),
    })
}

pub(crate) fn no_operation(exchange: &Exchange) -> Failure {
    Failure::Harness(format!("unknown operation `{} {}`", exchange.method, exchange.path))
}

async fn manifest(
    method: &str,
    repository: &RepositoryClient,
    reference: &str,
    last: &Exchange,
) -> Result<Got, Failure> {
    if method == "DELETE" {
        let digest = reference.parse::<Digest>()?;
        return Ok(Got::Deleted(repository.delete_manifest(&digest).await? == Was::Existed));
    }
    let reference: Reference = reference.parse()?;
    Ok(match method {
        "GET" => {
            let mut get = repository.get_manifest(reference);
            let accepted = accepted(last);
            if !accepted.is_empty() {
                get = get.accept(accepted);
            }
            let manifest = get.await?;
            let kept_as = last.response_header("content-type").unwrap_or_default();
            let kept_as = kept_as.split(';').next().unwrap_or_default().trim();
            if !kept_as.is_empty() && manifest.media_type.as_str() != kept_as {
                return Err(Failure::Harness("the media type was lost".to_owned()));
            }
            same_view(&manifest).map_err(Failure::Harness)?;
            Got::Bytes(manifest.content.to_vec())
        }
        "HEAD" => Got::Digest(repository.resolve(reference).await?),
        "PUT" => {
            let content = last.request_body().unwrap_or_else(|| b"{}".to_vec());
            let mut put = repository.put_manifest(content);
            if let Some(media_type) = last.request_header("content-type") {
                put = put.media_type(MediaType::from(media_type));
            }
            Got::Digest(match reference {
                Reference::Tag(tag) => put.tag(&tag).await?,
                _ => put.await?,
            })
        }
        _ => return Err(no_operation(last)),
    })
}

/// The media types that the recorded client asked for.
fn accepted(last: &Exchange) -> Vec<MediaType> {
    last.request_headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .flat_map(|(_, value)| value.split(','))
        .map(|media_type| MediaType::from(media_type.trim()))
        .filter(|media_type| !media_type.as_str().is_empty())
        .collect()
}

/// The typed view of a document has all its fields.
fn same_view(manifest: &acr_registry::Manifest) -> Result<(), String> {
    let view = match manifest.document() {
        Ok(Document::Image(image)) => serde_json::to_value(image),
        Ok(Document::Index(index)) => serde_json::to_value(index),
        Ok(Document::Artifact(artifact)) => serde_json::to_value(artifact),
        // Of other media types there is no view.
        _ => return Ok(()),
    };
    let document = serde_json::from_slice(&manifest.content).map_err(|error| error.to_string())?;
    fields::check(&document, &view.map_err(|error| error.to_string())?, "document")
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

fn same_answer(got: &Got, conversation: &Conversation) -> Result<(), String> {
    let Some(last) = conversation.steps.last().map(|step| &step.last) else {
        return Err("no step".to_owned());
    };
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
        Got::Bytes(bytes) if last.response_body().unwrap_or_default() == *bytes => Ok(()),
        Got::Bytes(_) => Err("other content".to_owned()),
        Got::Digest(digest) => {
            let recorded = last.response_header("docker-content-digest");
            if recorded.is_none_or(|recorded| recorded == digest.as_str()) {
                Ok(())
            } else {
                Err(format!("the digest is {digest}"))
            }
        }
        Got::Json(ours) => fields::check(&last.json().unwrap_or_default(), ours, ""),
    }
}
