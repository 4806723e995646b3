//! Our values written as the wire has them, so that a recorded field that we lost shows.

use acr_core::{Deletion, Digest, Page, RepositoryName, Tag, Timestamp};
use acr_registry::{
    ManifestProperties, ManifestReference, Permissions, RepositoryProperties, TagProperties,
    UnknownFields,
};
use serde_json::{Map, Value, json};

/// Every recorded leaf must be there: `null` and an empty list are the same, times are
/// compared as times.
pub(crate) fn check(recorded: &Value, ours: &Value, path: &str) -> Result<(), String> {
    match (recorded, ours) {
        (Value::Object(recorded), Value::Object(ours)) => {
            for (name, value) in recorded {
                let path = format!("{path}.{name}");
                check(value, ours.get(name).unwrap_or(&Value::Null), &path)?;
            }
            Ok(())
        }
        (Value::Array(recorded), Value::Array(ours)) if recorded.len() == ours.len() => {
            recorded.iter().zip(ours).enumerate().try_for_each(|(at, (recorded, ours))| {
                check(recorded, ours, &format!("{path}[{at}]"))
            })
        }
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null)
            if list.is_empty() =>
        {
            Ok(())
        }
        (Value::String(recorded), Value::String(ours)) if is_same_time(recorded, ours) => Ok(()),
        (recorded, ours) if recorded == ours => Ok(()),
        _ => Err(format!("{path}: recorded {recorded}, ours {ours}")),
    }
}

fn time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

fn is_same_time(recorded: &str, ours: &str) -> bool {
    match (recorded.parse::<Timestamp>(), ours.parse::<Timestamp>()) {
        (Ok(recorded), Ok(ours)) => recorded == ours,
        _ => false,
    }
}

pub(crate) fn repository(p: &RepositoryProperties) -> Value {
    let mut wire = json!({
        "registry": p.registry, "imageName": p.name.as_str(),
        "createdTime": time(p.created_at), "lastUpdateTime": time(p.updated_at),
        "manifestCount": p.manifest_count, "tagCount": p.tag_count,
        "changeableAttributes": attributes(&p.permissions, &p.unknown_attributes),
    });
    wire["changeableAttributes"]["teleportEnabled"] = json!(p.teleport);
    with_unknown(wire, &p.unknown)
}

pub(crate) fn tag(p: &TagProperties) -> Value {
    let wire = json!({
        "name": p.name.as_str(), "digest": p.digest.as_str(),
        "createdTime": time(p.created_at), "lastUpdateTime": time(p.updated_at),
        "signed": p.signed, "quarantineState": p.quarantine_state,
        "changeableAttributes": attributes(&p.permissions, &p.unknown_attributes),
    });
    with_unknown(wire, &p.unknown)
}

pub(crate) fn manifest(p: &ManifestProperties) -> Value {
    let references: Vec<Value> = p.references.iter().map(reference).collect();
    let mut wire = json!({
        "digest": p.digest.as_str(), "imageSize": p.size,
        "createdTime": time(p.created_at), "lastUpdateTime": time(p.updated_at),
        "architecture": p.architecture, "os": p.operating_system, "mediaType": p.media_type,
        "configMediaType": p.config_media_type,
        "tags": p.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(),
        "references": references,
        "changeableAttributes": attributes(&p.permissions, &p.unknown_attributes),
    });
    wire["changeableAttributes"]["quarantineState"] = json!(p.quarantine_state);
    wire["changeableAttributes"]["quarantineDetails"] = json!(p.quarantine_details);
    with_unknown(wire, &p.unknown)
}

pub(crate) fn one_tag(p: &TagProperties) -> Value {
    json!({ "registry": p.registry, "imageName": p.repository.as_str(), "tag": tag(p) })
}

pub(crate) fn one_manifest(p: &ManifestProperties) -> Value {
    json!({ "registry": p.registry, "imageName": p.repository.as_str(), "manifest": manifest(p) })
}

pub(crate) fn repository_deletion(deletion: &Deletion) -> Value {
    json!({
        "manifestsDeleted": deletion.manifests.iter().map(Digest::as_str).collect::<Vec<_>>(),
        "tagsDeleted": deletion.tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
    })
}

fn reference(r: &ManifestReference) -> Value {
    let wire = json!({
        "digest": r.digest.as_str(), "architecture": r.architecture, "os": r.operating_system,
    });
    with_unknown(wire, &r.unknown)
}

pub(crate) fn catalog(page: &Page<RepositoryName>) -> Value {
    json!({ "repositories": page.items.iter().map(RepositoryName::as_str).collect::<Vec<_>>() })
}

pub(crate) fn tags(page: &Page<TagProperties>) -> Value {
    let mut wire = json!({ "tags": page.items.iter().map(tag).collect::<Vec<_>>() });
    if let Some(first) = page.items.first() {
        wire["registry"] = json!(first.registry);
        wire["imageName"] = json!(first.repository.as_str());
    }
    wire
}

pub(crate) fn manifests(page: &Page<ManifestProperties>) -> Value {
    let mut wire = json!({ "manifests": page.items.iter().map(manifest).collect::<Vec<_>>() });
    if let Some(first) = page.items.first() {
        wire["registry"] = json!(first.registry);
        wire["imageName"] = json!(first.repository.as_str());
    }
    wire
}

fn attributes(permissions: &Permissions, unknown: &UnknownFields) -> Value {
    with_unknown(serde_json::to_value(permissions).unwrap(), unknown)
}

fn with_unknown(mut wire: Value, unknown: &UnknownFields) -> Value {
    if let (Value::Object(wire), Ok(Value::Object(unknown))) =
        (&mut wire, serde_json::to_value(unknown))
    {
        let _: &mut Map<String, Value> = wire;
        wire.extend(unknown);
    }
    wire
}
