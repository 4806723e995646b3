//! Manifests like those of a recording, made of content that exists.

use acr_core::Digest;
use serde_json::{Value, json};

use crate::registry::{OCI_MANIFEST, Situation};

/// Pushes a manifest whose properties are those of a recorded item; gives its digest.
pub(crate) async fn push_like(s: &mut Situation, name: &str, item: &Value) -> Digest {
    push_beyond(s, name, item, None).await
}

/// As [`push_like`], and with a digest above another.
pub(crate) async fn push_beyond(
    s: &mut Situation,
    name: &str,
    item: &Value,
    above: Option<&Digest>,
) -> Digest {
    let media_type = item["mediaType"].as_str().unwrap_or(OCI_MANIFEST).to_owned();
    let mut manifest = match media_type.as_str() {
        text if text.contains("index") || text.contains("list") => {
            let children = children(s, name, item).await;
            json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children })
        }
        text if text.contains("artifact") => artifact(&media_type),
        _ => {
            let mut platform = json!({});
            for key in ["architecture", "os"] {
                if item[key].is_string() {
                    platform[key] = item[key].clone();
                }
            }
            s.image(name, &media_type, &platform).await
        }
    };
    loop {
        manifest["annotations"] = json!({ "serial": s.serial().to_string() });
        let digest = Digest::sha256(&serde_json::to_vec(&manifest).unwrap());
        if above.is_none_or(|above| digest > *above) {
            break;
        }
    }
    let tags: Vec<_> = item["tags"].as_array().into_iter().flatten().collect();
    let mut digest = None;
    for tag in tags {
        digest = Some(s.push_manifest(name, tag.as_str(), &media_type, &manifest).await);
    }
    let digest = match digest {
        Some(digest) => digest,
        None => s.push_manifest(name, None, &media_type, &manifest).await,
    };
    let target = format!("/acr/v1/{name}/_manifests/{digest}");
    mark(s, &target, &item["changeableAttributes"]).await;
    digest
}

/// Sets the attributes that are not there by default.
pub(crate) async fn mark(s: &Situation, target: &str, attributes: &Value) {
    let mut rare = json!({});
    for key in ["quarantineState", "quarantineDetails", "teleportEnabled"] {
        if !attributes[key].is_null() {
            rare[key] = attributes[key].clone();
        }
    }
    if rare != json!({}) {
        s.set(target, &rare).await;
    }
}

/// Makes a recorded manifest one that can be pushed: the same, of parts that exist.
pub(crate) async fn with_parts(s: &mut Situation, name: &str, recorded: &Value) -> Value {
    let mut manifest = recorded.clone();
    let mut parts: Vec<&mut Value> = Vec::new();
    let Some(object) = manifest.as_object_mut() else { return manifest };
    for (key, value) in object {
        match key.as_str() {
            "config" => parts.push(value),
            "layers" | "blobs" => parts.extend(value.as_array_mut().into_iter().flatten()),
            _ => {}
        }
    }
    for part in parts {
        let content = format!("{{\"part\":{}}}", s.serial());
        part["digest"] = s.push_blob(name, content.as_bytes()).await.as_str().into();
    }
    for child in manifest["manifests"].as_array_mut().into_iter().flatten() {
        let platform = child["platform"].clone();
        let item = json!({
            "mediaType": child["mediaType"], "architecture": platform["architecture"],
            "os": platform["os"],
        });
        child["digest"] = Box::pin(push_like(s, name, &item)).await.as_str().into();
    }
    if recorded["manifests"].is_null()
        && let Some(object) = manifest.as_object_mut()
    {
        object.remove("manifests");
    }
    manifest
}

pub(crate) fn artifact(media_type: &str) -> Value {
    json!({ "mediaType": media_type, "artifactType": "application/vnd.example", "blobs": [] })
}

/// The children that a recorded index tells of, pushed.
async fn children(s: &mut Situation, name: &str, item: &Value) -> Vec<Value> {
    let mut children = Vec::new();
    for reference in item["references"].as_array().into_iter().flatten() {
        let platform = json!({ "architecture": reference["architecture"], "os": reference["os"] });
        let digest = Box::pin(push_like(s, name, &platform)).await;
        children.push(json!({
            "mediaType": OCI_MANIFEST, "digest": digest.as_str(), "size": 2, "platform": platform,
        }));
    }
    children
}
