//! What has a name in which part of a document, for all decoders of such documents.

/// The fields of an object that decoders know, and what stands in them.
///
/// A field of a list has the place of the list's items. An object without known fields is
/// a map: of its names, none is like another.
#[derive(Debug)]
pub(crate) struct Place {
    known: &'static [(&'static str, &'static Self)],
}

impl Place {
    /// The place of a field; that of anything for a field without a name here.
    pub(crate) fn of(&self, name: &str) -> &'static Self {
        self.known.iter().find(|(known, _)| *known == name).map_or(&ANYTHING, |(_, place)| place)
    }

    /// The known field that a decoder which ignores case takes this name for, if it is
    /// not that field's own name.
    pub(crate) fn taken_for(&self, name: &str) -> Option<&'static str> {
        let names = self.known.iter().map(|(known, _)| *known);
        names.into_iter().find(|known| *known != name && is_like(known, name))
    }
}

/// Whether Go's `encoding/json` takes both for the same field. Of all letters beyond ASCII,
/// two fold to one within: the long s and the Kelvin sign.
fn is_like(known: &str, name: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    known.chars().map(fold).eq(name.chars().map(fold))
}

const ANYTHING: Place = Place { known: &[] };

/// An image, an index, an artifact, Docker's schema 1: which one it is, its fields say, so
/// that a decoder looks for all of them.
pub(crate) const MANIFEST: Place = Place {
    known: &[
        ("schemaVersion", &ANYTHING),
        ("mediaType", &ANYTHING),
        ("artifactType", &ANYTHING),
        ("config", &DESCRIPTOR),
        ("layers", &DESCRIPTOR),
        ("manifests", &DESCRIPTOR),
        ("blobs", &DESCRIPTOR),
        ("subject", &DESCRIPTOR),
        ("annotations", &ANYTHING),
        ("name", &ANYTHING),
        ("tag", &ANYTHING),
        ("architecture", &ANYTHING),
        ("fsLayers", &FS_LAYER),
        ("history", &HISTORY),
        ("signatures", &SIGNATURE),
    ],
};

pub(crate) const DESCRIPTOR: Place = Place {
    known: &[
        ("mediaType", &ANYTHING),
        ("digest", &ANYTHING),
        ("size", &ANYTHING),
        ("urls", &ANYTHING),
        ("annotations", &ANYTHING),
        ("data", &ANYTHING),
        ("artifactType", &ANYTHING),
        ("platform", &PLATFORM),
    ],
};

pub(crate) const PLATFORM: Place = Place {
    known: &[
        ("architecture", &ANYTHING),
        ("os", &ANYTHING),
        ("os.version", &ANYTHING),
        ("os.features", &ANYTHING),
        ("variant", &ANYTHING),
        ("features", &ANYTHING),
    ],
};

const FS_LAYER: Place = Place { known: &[("blobSum", &ANYTHING)] };
const HISTORY: Place = Place { known: &[("v1Compatibility", &ANYTHING)] };
const SIGNATURE: Place =
    Place { known: &[("header", &ANYTHING), ("signature", &ANYTHING), ("protected", &ANYTHING)] };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_as_go_folds_them() {
        for (name, taken_for) in [
            ("layers", None),
            ("Layers", Some("layers")),
            ("LAYERS", Some("layers")),
            ("layer\u{17F}", Some("layers")),
            ("fsLayers", None),
            ("fslayers", Some("fsLayers")),
            ("layers ", None),
            ("läyers", None),
            ("layer", None),
        ] {
            assert_eq!(MANIFEST.taken_for(name), taken_for, "{name}");
        }
        // No known name has a k today; the rule is Go's all the same.
        assert!(is_like("k", "\u{212A}") && !is_like("ss", "ß") && !is_like("i", "İ"));
        assert_eq!(PLATFORM.taken_for("OS.Version"), Some("os.version"));
        assert_eq!(ANYTHING.taken_for("Layers"), None);
    }
}
