//! Properties as the registry writes them: enveloped, with locks, quarantine and
//! what is to come in one object.

use acr_core::RepositoryName;
use serde_json::value::RawValue;

use super::{
    Fields, ManifestProperties, ManifestReference, Permissions, RepositoryProperties,
    TagProperties, value,
};

/// Whose properties they are; the envelope names both, and is not obliged to.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) registry: String,
    pub(crate) repository: RepositoryName,
}

impl Owner {
    /// What the envelope says, else what is known beforehand.
    pub(crate) fn or_of(self, envelope: &mut Fields<'_>) -> Self {
        let registry = envelope.take::<String>("registry");
        Self {
            registry: registry.filter(|name| is_host(name)).unwrap_or(self.registry),
            repository: envelope.take("imageName").unwrap_or(self.repository),
        }
    }
}

/// Whether it may be the name of a host. Each item of a page has it, so a long one would fill memory.
pub(super) fn is_host(name: &str) -> bool {
    name.len() <= LONGEST_HOST
}

/// With a port.
const LONGEST_HOST: usize = 260;

impl RepositoryProperties {
    pub(crate) fn read(mut fields: Fields<'_>, owner: Owner) -> Result<Self, String> {
        // No single field is promised; an object without any of them speaks of something else.
        if !IDENTIFYING.iter().any(|name| fields.has(name)) {
            return Err("the answer has no properties of a repository".to_owned());
        }
        let owner = owner.or_of(&mut fields);
        let (permissions, mut attributes) = attributes(&mut fields);
        Ok(Self {
            registry: owner.registry,
            name: owner.repository,
            created_at: fields.take(CREATED),
            updated_at: fields.take(UPDATED),
            manifest_count: fields.take("manifestCount"),
            tag_count: fields.take("tagCount"),
            permissions,
            teleport: attributes.take("teleportEnabled"),
            unknown: fields.rest(),
            unknown_attributes: attributes.rest(),
        })
    }
}

impl TagProperties {
    pub(crate) fn read(mut fields: Fields<'_>, owner: &Owner) -> Result<Self, String> {
        let (permissions, mut attributes) = attributes(&mut fields);
        Ok(Self {
            registry: owner.registry.clone(),
            repository: owner.repository.clone(),
            name: fields.need("name")?,
            digest: fields.need("digest")?,
            created_at: fields.take(CREATED),
            updated_at: fields.take(UPDATED),
            signed: fields.take("signed"),
            quarantine_state: fields
                .take(QUARANTINE_STATE)
                .or_else(|| attributes.take(QUARANTINE_STATE)),
            permissions,
            unknown: fields.rest(),
            unknown_attributes: attributes.rest(),
        })
    }
}

impl ManifestProperties {
    pub(crate) fn read(mut fields: Fields<'_>, owner: &Owner) -> Result<Self, String> {
        let (permissions, mut attributes) = attributes(&mut fields);
        Ok(Self {
            registry: owner.registry.clone(),
            repository: owner.repository.clone(),
            digest: fields.need("digest")?,
            size: fields.take("imageSize"),
            created_at: fields.take(CREATED),
            updated_at: fields.take(UPDATED),
            architecture: fields.take("architecture"),
            operating_system: fields.take("os"),
            media_type: fields.take("mediaType"),
            config_media_type: fields.take("configMediaType"),
            tags: fields.listed("tags", value),
            references: fields.listed("references", reference),
            quarantine_state: attributes.take(QUARANTINE_STATE),
            quarantine_details: attributes.take("quarantineDetails"),
            permissions,
            unknown: fields.rest(),
            unknown_attributes: attributes.rest(),
        })
    }
}

fn reference(raw: &RawValue) -> Result<ManifestReference, String> {
    let mut fields: Fields<'_> = value(raw)?;
    Ok(ManifestReference {
        digest: fields.need("digest")?,
        architecture: fields.take("architecture"),
        operating_system: fields.take("os"),
        unknown: fields.rest(),
    })
}

/// The locks, and beside them what each kind has a name for.
fn attributes<'a>(fields: &mut Fields<'a>) -> (Permissions, Fields<'a>) {
    let mut attributes: Fields<'a> = fields.take("changeableAttributes").unwrap_or_default();
    let permissions = Permissions::of_flags(|name| attributes.take(name));
    (permissions, attributes)
}

const CREATED: &str = "createdTime";
const UPDATED: &str = "lastUpdateTime";
const QUARANTINE_STATE: &str = "quarantineState";

/// What only properties of a repository have.
const IDENTIFYING: &[&str] =
    &["imageName", CREATED, UPDATED, "manifestCount", "tagCount", "changeableAttributes"];

#[cfg(test)]
mod tests {
    use acr_core::Tag;

    use super::*;
    use crate::model::Architecture;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    fn owner() -> Owner {
        Owner { registry: "r".to_owned(), repository: "a/b".parse().unwrap() }
    }

    fn read(text: &str) -> ManifestProperties {
        ManifestProperties::read(serde_json::from_str(text).unwrap(), &owner()).unwrap()
    }

    #[test]
    fn a_manifest_with_everything_and_one_with_nothing_optional() {
        let full = read(
            r#"{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "imageSize":5000000000,"createdTime":"2023-05-04T08:26:43.88Z","lastUpdateTime":"2023-05-04T08:26:43.8812345Z",
            "architecture":"quantum","os":"linux","mediaType":"application/vnd.oci.image.index.v1+json","tags":["v1"],
            "references":[{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","architecture":"unknown","os":"unknown"}],
            "changeableAttributes":{"deleteEnabled":false,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed","quarantineDetails":"{}","later":2},"new":1}"#,
        );
        assert_eq!(full.size, Some(5_000_000_000));
        assert_eq!(full.architecture.unwrap().as_str(), "quantum");
        assert_eq!(full.references[0].architecture, Some(Architecture::UNKNOWN));
        assert_eq!(full.quarantine_state.as_deref(), Some("Passed"));
        assert_eq!(full.quarantine_details.as_deref(), Some("{}"));
        assert_eq!(full.permissions.can_delete(), Some(false));
        assert_eq!(full.updated_at.unwrap().to_string(), "2023-05-04T08:26:43.8812345Z");
        assert_eq!(full.unknown.get::<u8>("new"), Some(1));
        assert_eq!(full.unknown_attributes.names().collect::<Vec<_>>(), ["later"]);

        let bare = read(&format!(r#"{{"digest":"{DIGEST}","tags":null}}"#));
        assert!(bare.tags.is_empty() && bare.references.is_empty() && bare.architecture.is_none());
        assert_eq!(bare.permissions, Permissions::new());
        assert!(bare.unknown.is_empty() && bare.unknown_attributes.is_empty());
        assert_eq!((bare.registry.as_str(), bare.repository.as_str()), ("r", "a/b"));
    }

    /// Whatever stands in a field that does not identify the manifest, the others are read,
    /// and what has another shape is kept.
    #[test]
    fn f1_an_odd_value_in_any_field_loses_nothing_else() {
        let fields = [
            "imageSize",
            "createdTime",
            "lastUpdateTime",
            "architecture",
            "os",
            "mediaType",
            "configMediaType",
            "changeableAttributes",
        ];
        for odd in ["null", "{}", "[1]", "\"\\u0000\"", "-1.5", "18446744073709551616", "true"] {
            for name in fields {
                let text =
                    format!(r#"{{"digest":"{DIGEST}","{name}":{odd},"tags":["v1"],"new":7}}"#);
                let got = read(&text);
                assert_eq!(got.tags[0].as_str(), "v1", "{text}");
                assert_eq!(got.unknown.get::<u8>("new"), Some(7), "{text}");
                let is_kept = got.unknown.names().any(|kept| kept == name);
                let is_read = got.size.is_some()
                    || got.architecture.is_some()
                    || got.operating_system.is_some()
                    || got.media_type.is_some()
                    || got.config_media_type.is_some()
                    || (name == "changeableAttributes" && odd == "{}");
                assert!(is_kept || is_read || odd == "null", "{text}: {got:?}");
            }
        }
        let got = read(&format!(
            r#"{{"digest":"{DIGEST}","changeableAttributes":{{"deleteEnabled":"no","writeEnabled":null,"readEnabled":true}}}}"#
        ));
        assert_eq!((got.permissions.can_delete(), got.permissions.can_read()), (None, Some(true)));
        assert_eq!(got.unknown_attributes.get::<String>("deleteEnabled").as_deref(), Some("no"));
    }

    #[test]
    fn f1_a_manifest_whose_tags_cannot_be_read_is_not_untagged() {
        for (tags, readable, odd) in [
            (r#"["v1","not a tag","v2"]"#, &["v1", "v2"][..], 1),
            (r#"["not a tag"]"#, &[], 1),
            (r#"[null,3]"#, &[], 2),
            (r#"{"v1":1}"#, &[], 1),
            (r#""v1""#, &[], 1),
        ] {
            let got = read(&format!(r#"{{"digest":"{DIGEST}","tags":{tags}}}"#));
            assert_eq!(got.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), readable, "{tags}");
            assert_eq!(got.tags.unreadable().len(), odd, "{tags}");
            assert!(!got.tags.is_empty());
        }
        let odd = read(&format!(
            r#"{{"digest":"{DIGEST}","references":[{{"digest":"{DIGEST}","os":3}},{{"digest":1}}]}}"#
        ));
        assert_eq!((odd.references.len(), odd.references.unreadable().len()), (1, 1));
        assert_eq!(odd.references[0].unknown.get::<u8>("os"), Some(3));
    }

    #[test]
    fn a_field_that_stands_there_twice_makes_no_properties() {
        let twice = format!(r#"{{"digest":"{DIGEST}","digest":"{DIGEST}"}}"#);
        assert!(serde_json::from_str::<Fields<'_>>(&twice).is_err());
        let locks = read(&format!(
            r#"{{"digest":"{DIGEST}","changeableAttributes":{{"deleteEnabled":true,"deleteEnabled":false}}}}"#
        ));
        assert_eq!(locks.permissions.can_delete(), None);
    }
}
