//! What one reader takes for this and another for that.

use acr_core::{Digest, ErrorKind};
use acr_registry::{Descriptor, ImageIndex, ImageManifest, MediaType};

use crate::support::{lines, scripted, tag};

/// Documents of which Go's decoders and ours show different things, and where.
const AMBIGUOUS: [(&str, &str); 12] = [
    (r#"{"layers":[],"Layers":[{"size":1}]}"#, "Layers"),
    (r#"{"LAYERS":[{"size":1}]}"#, "LAYERS"),
    ("{\"layers\":[],\"layer\u{17F}\":[{\"size\":1}]}", "layer\u{17F}"),
    (r#"{"layers":[],"layer\u017f":[{"size":1}]}"#, "layer\u{17F}"),
    (r#"{"config":{"digest":"a","Digest":"b"},"layers":[]}"#, "config.Digest"),
    (r#"{"config":{},"layers":[{},{"digest":"a","DIGEST":"b"}]}"#, "layers.1.DIGEST"),
    (r#"{"config":{"size":1,"size":2},"layers":[]}"#, "config.size"),
    (r#"{"layers":[{"platform":{"os":"linux","OS":"windows"}}]}"#, "layers.0.platform.OS"),
    (r#"{"layers":[],"subject":{"digest":"a","diGest":"b"}}"#, "subject.diGest"),
    (r#"{"layers":[],"annotations":{"a":"1","a":"2"}}"#, "annotations.a"),
    (r#"{"layers":[],"later":{"x":[{"y":1,"\u0079":2}]}}"#, "later.x.0.y"),
    (r#"{"layers":[],"mediatype":"application/vnd.oci.image.index.v1+json"}"#, "mediatype"),
];

const KEPT_AS: (&str, &str) = ("content-type", "application/vnd.oci.image.manifest.v1+json");

#[tokio::test(start_paused = true)]
async fn a7_a_document_that_readers_read_differently_is_refused_unless_asked_for() {
    for (document, place) in AMBIGUOUS {
        let (all, _) = scripted(200, &[KEPT_AS], document);
        let repo = all.repository("a").unwrap();
        let error = repo.get_manifest(tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{document}");
        assert!(error.to_string().contains(&format!("`{place}`")), "{document}: {error}");
        let manifest = repo.get_manifest(tag("v1")).allow_ambiguous().await.unwrap();
        assert_eq!(manifest.content, document);
        assert_eq!(manifest.document().unwrap_err().kind(), ErrorKind::Protocol, "{document}");
        // Nor does a typed view choose between the readings.
        assert!(manifest.json::<ImageManifest>().is_err(), "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn a7_nothing_ambiguous_is_put_unless_asked_for() {
    for (document, place) in AMBIGUOUS {
        let (all, asked) = scripted(201, &[], "");
        let repo = all.repository("a").unwrap();
        let error = repo.put_manifest(document).tag(tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{document}");
        assert!(error.to_string().contains(place), "{document}: {error}");
        assert!(lines(&asked).is_empty(), "{document} was sent");
        let digest = repo.put_manifest(document).allow_ambiguous().await.unwrap();
        assert_eq!(digest, Digest::sha256(document.as_bytes()));
        assert!(lines(&asked)[0].ends_with(document));
    }
    // The type it is put under is part of what it says.
    let (all, asked) = scripted(201, &[], "");
    let repo = all.repository("a").unwrap();
    let index = r#"{"manifests":[]}"#;
    let put = repo.put_manifest(index).media_type(MediaType::OCI_MANIFEST);
    assert_eq!(put.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(lines(&asked).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a7_a_tag_is_moved_whatever_the_document_means() {
    let (document, _) = AMBIGUOUS[0];
    let (all, asked) = scripted(200, &[KEPT_AS], document);
    let outcome = all.repository("a").unwrap().tag(tag("v1"), tag("v2")).await;
    // The double answers 200 to everything: what matters is that the bytes were put.
    drop(outcome);
    assert!(lines(&asked)[1].starts_with("PUT /v2/a/manifests/v2 "));
    assert!(lines(&asked)[1].ends_with(document));
}

#[tokio::test(start_paused = true)]
async fn a7_names_in_maps_of_free_names_are_nobodys() {
    for document in [
        r#"{"layers":[],"annotations":{"digest":"1","Digest":"2","Layers":"3","layers":"4"}}"#,
        r#"{"layers":[{"annotations":{"size":"1","Size":"2"}}],"later":{"Size":1,"size":2}}"#,
        r#"{"layers":[{"digest":"a"},{"digest":"a"}]}"#,
    ] {
        let (all, _) = scripted(200, &[KEPT_AS], document);
        let repo = all.repository("a").unwrap();
        let manifest = repo.get_manifest(tag("v1")).await.unwrap();
        manifest.document().unwrap();
        let (all, _) = scripted(201, &[], "");
        all.repository("a").unwrap().put_manifest(document).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a7_an_ambiguous_referrer_is_not_shown() {
    let subject = Digest::sha256(b"x");
    let page = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:a","Digest":"sha256:b"}]}"#;
    let (all, _) = scripted(200, &[], page);
    let repo = all.repository("a").unwrap();
    let error = repo.list_referrers(&subject).try_next().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a7_no_typed_view_of_an_ambiguous_part_exists() {
    let part = r#"{"digest":"a","Digest":"b"}"#;
    let error = serde_json::from_str::<Descriptor>(part).unwrap_err();
    assert!(error.to_string().contains("`Digest` is taken for `digest`"), "{error}");
    assert!(serde_json::from_str::<ImageIndex>(r#"{"manifests":[],"manifests":[]}"#).is_err());
}
