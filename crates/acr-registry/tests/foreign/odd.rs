//! A value of another shape costs itself, is told, and nothing else is lost.

use acr_core::Digest;
use acr_registry::{DescriptorView, ImageIndex, ImageManifest, Platform};
use serde_json::Value;

use crate::support::scripted;

#[test]
fn f1_an_odd_value_is_told_and_the_rest_is_read() {
    let document = r#"{
        "schemaVersion":"2","mediaType":null,"later":7,
        "config":{"mediaType":"c","digest":"d","size":"5","urls":["u",null,3]},
        "layers":[
            {"mediaType":"l","digest":"e","size":1,"annotations":{"a":null,"b":2,"c":"kept"}},
            7,
            {"mediaType":["l"],"digest":"f","size":-1,"platform":{"os":"linux","os.version":["10"],"os.features":"x"}},
            {"mediaType":"l","digest":"g","size":2,"platform":[],"annotations":"none"}],
        "subject":{"digest":8},
        "annotations":{"x":"y","n":1.5}}"#;
    let view: ImageManifest = serde_json::from_str(document).unwrap();
    assert_eq!(
        view.odd(),
        [
            "schemaVersion",
            "annotations.n",
            "config.size",
            "config.urls.1",
            "config.urls.2",
            "layers.0.annotations.a",
            "layers.0.annotations.b",
            "layers.1",
            "layers.2.mediaType",
            "layers.2.size",
            "layers.2.platform.os.version",
            "layers.2.platform.os.features",
            "layers.3.annotations",
            "layers.3.platform",
            "subject.digest",
        ]
    );
    assert_eq!(view.layers.len(), 4, "each layer keeps its place");
    assert_eq!(view.layers[0].annotations["c"], "kept");
    assert_eq!(view.annotations["x"], "y");
    assert_eq!(view.config.as_ref().unwrap().urls, ["u"]);
    assert_eq!(view.layers[2].platform.as_ref().unwrap().os.as_ref().unwrap().as_str(), "linux");
    // What was odd as a whole is kept as it stands.
    assert_eq!(view.layers[2].unknown.get::<i64>("size"), Some(-1));
    assert_eq!(view.unknown.get::<String>("schemaVersion").as_deref(), Some("2"));
    assert_eq!(view.unknown.get::<u8>("later"), Some(7));
    assert_eq!(
        view.missing(),
        [
            "schemaVersion",
            "config.size",
            "layers.1.mediaType",
            "layers.1.digest",
            "layers.1.size",
            "layers.2.mediaType",
            "layers.2.size",
        ]
    );
    let written = view.to_json().unwrap();
    // Nothing is written twice.
    let back: ImageManifest = serde_json::from_slice(&written).unwrap();
    assert_eq!(back.layers[2].unknown, view.layers[2].unknown);
    let text = String::from_utf8(written.to_vec()).unwrap();
    assert!(text.contains(r#""schemaVersion":"2""#) && text.contains(r#""size":-1"#), "{text}");
}

#[test]
fn f1_what_is_right_has_nothing_to_tell() {
    let document = r#"{"schemaVersion":2,"config":{"mediaType":"c","digest":"d","size":5,"urls":null,"platform":null},"layers":[],"annotations":null}"#;
    let view: ImageManifest = serde_json::from_str(document).unwrap();
    assert!(view.odd().is_empty() && view.missing().is_empty(), "{view:?}");
    let index: ImageIndex =
        serde_json::from_str(r#"{"manifests":{"a":1},"schemaVersion":2}"#).unwrap();
    assert_eq!(index.odd(), ["manifests"]);
    assert_eq!(index.unknown.get::<Value>("manifests").unwrap()["a"], 1);
    let platform: Platform = serde_json::from_str(r#"{"variant":8}"#).unwrap();
    assert_eq!(platform.unknown.get::<u8>("variant"), Some(8));
}

#[tokio::test(start_paused = true)]
async fn f1_one_odd_referrer_does_not_cost_the_page() {
    let page = r#"{"manifests":[
        {"digest":"sha256:1","annotations":{"a":null,"b":"c"}},
        {"digest":"sha256:2","size":"7","artifactType":["x"],"platform":"linux"},
        {"digest":"sha256:3"}]}"#;
    let (all, _) = scripted(200, &[], page);
    let repo = all.repository("a").unwrap();
    let mut referrers = repo.list_referrers(Digest::sha256(b"x"));
    let mut found: Vec<DescriptorView> = Vec::new();
    while let Some(next) = referrers.try_next().await.unwrap() {
        found.push(next);
    }
    let digests: Vec<_> =
        found.iter().map(|entry| entry.digest.as_deref().unwrap_or("-")).collect();
    assert_eq!(digests, ["sha256:1", "sha256:2", "sha256:3"]);
    assert_eq!(found[0].odd(), ["annotations.a"]);
    assert_eq!(found[0].annotations["b"], "c");
    assert_eq!(found[1].odd(), ["size", "artifactType", "platform"]);
    let error = found[1].digest().unwrap_err().to_string();
    assert!(error.contains("`sha256:2`"), "the value is named: {error}");
}

#[test]
fn f4_lists_that_are_absent_are_missing() {
    let view: ImageManifest = serde_json::from_str(r#"{"schemaVersion":2}"#).unwrap();
    assert_eq!(view.missing(), ["config", "layers"]);
    let view: ImageIndex = serde_json::from_str(r#"{"schemaVersion":2}"#).unwrap();
    assert_eq!(view.missing(), ["manifests"]);
    // `null` is how Go writes an empty list.
    let view: ImageIndex = serde_json::from_str(r#"{"schemaVersion":2,"manifests":null}"#).unwrap();
    assert!(view.missing().is_empty());
    // What is made here has all its lists.
    assert!(ImageIndex::new().missing().is_empty());
}
