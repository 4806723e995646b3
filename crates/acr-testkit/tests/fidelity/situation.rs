//! Brings a registry into the situation of a recorded exchange and asks the same.

use acr_core::Digest;
use acr_testkit::Era;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{
    ask::{decode, encode, list, order, paged, plain, with_item, with_parameter},
    content::{artifact, mark, push_beyond, push_like, with_parts},
    recording::{Exchange, parameter},
    registry::{Asked, Got, HOST, OCI_MANIFEST, Situation, asked},
};

/// Asks what a recorded client asked, in the situation it was in.
pub(crate) async fn replay(exchange: &Exchange, era: Era) -> Got {
    let mut s = Situation::new(era).await;
    let route = Route::read(exchange);
    let asked = match exchange.operation.split_once(' ').map_or("", |(_, path)| path) {
        "/oauth2/exchange" => exchange_call(&s, exchange),
        "/oauth2/token" => token_call(&s, exchange).await,
        "/v2/{name}/blobs/{digest}" | "storage:{blob}" => blob(&s, exchange, &route).await,
        "/v2/{name}/blobs/uploads/" => start(&mut s, exchange, &route).await,
        "/v2/{name}/blobs/uploads/{uuid}" => session(&s, exchange, &route).await,
        "/acr/v1/_catalog" => catalog(&mut s, exchange).await,
        "/acr/v1/{name}" => repository(&mut s, exchange, &route).await,
        "/acr/v1/{name}/_tags" => tags(&mut s, exchange, &route).await,
        "/acr/v1/{name}/_tags/{tag}" => tag(&mut s, exchange, &route).await,
        "/acr/v1/{name}/_manifests" => manifests(&mut s, exchange, &route).await,
        "/acr/v1/{name}/_manifests/{digest}" => properties(&mut s, exchange, &route).await,
        "/v2/{name}/manifests/{digest}" | "/v2/{name}/manifests/{tag}" => {
            manifest(&mut s, exchange, &route).await
        }
        _ => plain(exchange),
    };
    s.send(dressed(&s, exchange, asked).await).await
}

/// The parts of a recorded path, as they were written and decoded.
struct Route {
    /// The repository as it stands in the path.
    raw_name: String,
    name: String,
    item: String,
}

impl Route {
    fn read(exchange: &Exchange) -> Self {
        let path = &exchange.path;
        let rest = path.strip_prefix("/acr/v1/").or_else(|| path.strip_prefix("/v2/"));
        let rest = rest.unwrap_or_default();
        let ends = ["/_tags", "/_manifests", "/manifests/", "/blobs/"];
        let end = ends.iter().filter_map(|end| rest.find(end)).min();
        let raw_name = rest[..end.unwrap_or(rest.len())].to_owned();
        let item = path.rsplit('/').next().unwrap_or_default();
        Self { name: decode(&raw_name), item: decode(item), raw_name }
    }
}

/// The recorded headers that say something, and the right to ask.
async fn dressed(s: &Situation, exchange: &Exchange, mut asked: Asked) -> Asked {
    let kept = exchange.request_headers.iter().filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        let told = ["accept", "content-type", "content-range", "range", "x-ms-client-request-id"];
        told.contains(&name.as_str())
    });
    asked.headers.extend(kept.cloned());
    if exchange.operation.starts_with("GET /v2/{name}/manifests")
        && exchange.asked("accept").is_none()
    {
        // Recorders that lost the header kept answers which say that it was there.
        asked.headers.push(("accept".to_owned(), "*/*".to_owned()));
    }
    let is_free = exchange.path.starts_with("/oauth2/") || asked.target.starts_with("https:");
    if is_free || exchange.is_unrouted() {
        return asked;
    }
    let challenge = exchange.answered("www-authenticate").unwrap_or_default();
    if challenge.contains("insufficient_scope") {
        let token = s.access_token("repository:elsewhere:pull").await;
        asked.headers.push(("authorization".to_owned(), format!("Bearer {token}")));
    } else if exchange.status != 401 {
        asked.headers.push(s.authorization());
    }
    asked
}

fn exchange_call(s: &Situation, exchange: &Exchange) -> Asked {
    let token = match (exchange.status, exchange.code().as_str()) {
        (200, _) => s.registry.entra_token(),
        (_, "UNAUTHORIZED") => {
            let claims = URL_SAFE_NO_PAD.encode(r#"{"aud":"https://example.com"}"#);
            format!("e30.{claims}.c2ln")
        }
        _ => "garbage".to_owned(),
    };
    let form = format!("grant_type=access_token&service={HOST}&access_token={token}");
    let mut asked = plain(exchange);
    asked.headers.push(form_type());
    asked.body = form.into_bytes();
    asked
}

async fn token_call(s: &Situation, exchange: &Exchange) -> Asked {
    let form = String::from_utf8(exchange.request_bytes().unwrap_or_default()).unwrap();
    let scope = parameter(&form, "scope").unwrap_or_default();
    let mut sent = format!("service={HOST}&scope={}", encode(&scope));
    sent += &match parameter(&form, "grant_type").as_deref() {
        Some("password") => "&grant_type=password".to_owned(),
        _ if exchange.status == 200 => {
            format!("&grant_type=refresh_token&refresh_token={}", s.refresh_token().await)
        }
        _ => "&grant_type=refresh_token&refresh_token=garbage".to_owned(),
    };
    let mut asked = plain(exchange);
    asked.headers.push(form_type());
    asked.body = sent.into_bytes();
    asked
}

fn form_type() -> (String, String) {
    ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())
}

async fn blob(s: &Situation, exchange: &Exchange, route: &Route) -> Asked {
    if exchange.is_unrouted() {
        return plain(exchange);
    }
    let is_there = exchange.status < 400;
    let name = if route.name.is_empty() { "library/app" } else { &route.name };
    let digest = match is_there {
        true => s.push_blob(name, &vec![7; length(exchange)]).await,
        false => Digest::sha256(b"nobody has pushed this"),
    };
    let from_storage = exchange.response_headers.iter().any(|(key, _)| key == "x-ms-version");
    if !from_storage {
        return with_item(exchange, digest.as_str());
    }
    // Recorders that follow redirects show the storage's answer under the registry's address.
    let mut redirect = asked("GET", &format!("/v2/{name}/blobs/{digest}"), &[], Vec::new());
    redirect.headers.push(s.authorization());
    let location = s.send(redirect).await.location();
    asked(&exchange.method, &location, &[], Vec::new())
}

/// The whole length of a blob.
fn length(exchange: &Exchange) -> usize {
    let range = exchange.answered("content-range").and_then(|range| range.rsplit('/').next());
    let length = range.or_else(|| exchange.answered("content-length"));
    length.and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, 1 << 20)
}

async fn start(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    let Some(source) = exchange.parameter("from").filter(|_| !exchange.is_unrouted()) else {
        return plain(exchange);
    };
    let digest = match exchange.status {
        201 => s.push_blob(&source, b"content of another repository").await,
        _ => Digest::sha256(b"nobody has pushed this"),
    };
    s.push_image(&route.name, None).await;
    with_parameter(plain(exchange), "mount", digest.as_str())
}

async fn session(s: &Situation, exchange: &Exchange, route: &Route) -> Asked {
    let body = exchange.request_bytes().unwrap_or_else(|| vec![7; declared(exchange)]);
    let received = vec![6; offset(exchange)];
    let mut location = s.upload(&route.name, &received).await;
    if route.raw_name != route.name {
        location = location.replacen(&route.name, &route.raw_name, 1);
    }
    let digest = match exchange.status {
        400 => exchange.parameter("digest").unwrap_or_default(),
        _ => Digest::sha256(&[received, body.clone()].concat()).to_string(),
    };
    let mut sent = asked(&exchange.method, &location, &[], body);
    if exchange.method == "PUT" {
        sent.target = format!("{location}&digest={}", encode(&digest));
    }
    sent
}

fn declared(exchange: &Exchange) -> usize {
    exchange.asked("content-length").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// How much a recorded session had received: it stands in its state.
fn offset(exchange: &Exchange) -> usize {
    let state = exchange.parameter("_state").unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(state.trim_end_matches('=')).unwrap_or_default();
    let state: Value =
        serde_json::from_slice(bytes.get(32..).unwrap_or_default()).unwrap_or_default();
    usize::try_from(state["Offset"].as_u64().unwrap_or(0)).unwrap().min(1 << 20)
}

async fn catalog(s: &mut Situation, exchange: &Exchange) -> Asked {
    let listed = list(exchange, "repositories");
    for name in &listed {
        s.push_image(name.as_str().unwrap(), None).await;
    }
    let last = listed.last().and_then(Value::as_str).unwrap_or("a");
    if listed.is_empty() && exchange.parameter("last").is_some() {
        s.push_image("0", None).await;
    }
    if exchange.answered("link").is_some() {
        s.push_image(&format!("{last}0"), None).await;
    }
    paged(exchange)
}

async fn repository(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    let json = exchange.json().unwrap_or_default();
    if exchange.status < 400 {
        let has_no_tags = json["tagsDeleted"].is_null() && exchange.status == 202;
        s.push_image(&route.name, (!has_no_tags).then_some("v1")).await;
        mark(s, &format!("/acr/v1/{}", route.name), &json["changeableAttributes"]).await;
    }
    plain(exchange)
}

async fn tags(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    let name = route.name.as_str();
    let listed = list(exchange, "tags");
    let mut names: Vec<_> =
        listed.iter().map(|tag| tag["name"].as_str().unwrap().to_owned()).collect();
    let order = order(exchange);
    if exchange.answered("link").is_some() {
        let last = names.last().cloned().unwrap_or_default();
        names.push(format!("{last}0"));
    }
    if order == "timedesc" {
        names.reverse();
    }
    let filter = exchange.parameter("digest");
    let mut digest = None;
    if exchange.status == 200 {
        let image = s.image(name, OCI_MANIFEST, &json!({})).await;
        if names.is_empty() {
            let tag = exchange.parameter("last").map(|_| "0");
            s.push_manifest(name, tag, OCI_MANIFEST, &image).await;
        }
        for tag in &names {
            digest = Some(s.push_manifest(name, Some(tag), OCI_MANIFEST, &image).await);
        }
        for tag in &listed {
            let target = format!("/acr/v1/{name}/_tags/{}", tag["name"].as_str().unwrap());
            mark(s, &target, &tag["changeableAttributes"]).await;
        }
    }
    let asked = paged(exchange);
    match (filter, digest) {
        (Some(_), Some(digest)) => with_parameter(asked, "digest", digest.as_str()),
        _ => asked,
    }
}

async fn tag(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    if exchange.status < 400 {
        let digest = s.push_image(&route.name, Some(&route.item)).await;
        let json = exchange.json().unwrap_or_default();
        let manifest = format!("/acr/v1/{}/_manifests/{digest}", route.name);
        mark(s, &manifest, &json["tag"]).await;
        let target = format!("/acr/v1/{}/_tags/{}", route.name, route.item);
        mark(s, &target, &json["tag"]["changeableAttributes"]).await;
    }
    plain(exchange)
}

async fn manifests(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    let mut greatest = None;
    for item in list(exchange, "manifests") {
        greatest = greatest.max(Some(push_like(s, &route.name, &item).await));
    }
    if exchange.answered("link").is_some() {
        push_beyond(s, &route.name, &json!({}), greatest.as_ref()).await;
    } else if exchange.status == 200 && greatest.is_none() {
        s.push_image(&route.name, None).await;
    }
    let asked = paged(exchange);
    match exchange.parameter("last") {
        Some(last) if last.starts_with("sha256") => {
            let least = format!("sha256:{}", if greatest.is_some() { "0" } else { "f" }.repeat(64));
            with_parameter(asked, "last", &least)
        }
        _ => asked,
    }
}

async fn properties(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    if exchange.is_unrouted() {
        return plain(exchange);
    }
    let json = exchange.json().unwrap_or_default();
    let digest = match exchange.status {
        200 => push_like(s, &route.name, &json["manifest"]).await,
        _ => Digest::sha256(b"nobody has pushed this"),
    };
    with_item(exchange, digest.as_str())
}

async fn manifest(s: &mut Situation, exchange: &Exchange, route: &Route) -> Asked {
    if exchange.is_unrouted() {
        return plain(exchange);
    }
    let is_tag = exchange.operation.ends_with("{tag}");
    let tag = is_tag.then_some(route.item.as_str());
    let name = route.name.as_str();
    let nobody = Digest::sha256(b"nobody has pushed this");
    let is_artifact = exchange.json().unwrap_or_default()["errors"][0]["message"]
        .as_str()
        .is_some_and(|message| message.starts_with("OCI artifact found"));
    let digest = match (exchange.method.as_str(), exchange.status) {
        ("PUT", 201 | 400) => return put(s, exchange, name, is_tag).await,
        ("GET", 200) => {
            let media_type = exchange.answered("content-type").unwrap();
            let recorded = exchange.json().unwrap();
            let manifest = with_parts(s, name, &recorded).await;
            s.push_manifest(name, tag, media_type, &manifest).await
        }
        ("DELETE", 202) => s.push_image(name, tag).await,
        ("GET", 404) if is_artifact => {
            let media_type = "application/vnd.oci.artifact.manifest.v1+json";
            s.push_manifest(name, tag, media_type, &artifact(media_type)).await
        }
        _ => nobody,
    };
    if is_tag { plain(exchange) } else { with_item(exchange, digest.as_str()) }
}

/// A push of the recorded manifest, made of parts that exist.
async fn put(s: &mut Situation, exchange: &Exchange, name: &str, is_tag: bool) -> Asked {
    let recorded = serde_json::from_slice(&exchange.request_bytes().unwrap_or_default());
    let manifest = match recorded {
        Ok(recorded) => with_parts(s, name, &recorded).await,
        Err(_) => s.image(name, OCI_MANIFEST, &json!({})).await,
    };
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let mut asked = match is_tag {
        true => plain(exchange),
        false => with_item(exchange, Digest::sha256(&bytes).as_str()),
    };
    asked.body = bytes;
    asked
}
