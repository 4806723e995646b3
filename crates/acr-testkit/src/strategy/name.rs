//! Names as the distribution specification allows them.

use acr_core::{Reference, RepositoryName, Tag};
use proptest::prelude::*;

use super::content::digest;

/// A repository name of one to four components, with every separator the grammar has.
pub fn repository_name() -> impl Strategy<Value = RepositoryName> {
    let component = "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}";
    proptest::collection::vec(component, 1..=4)
        .prop_filter_map("a name by construction", |parts| parts.join("/").parse().ok())
}

/// A tag of one to 128 characters.
pub fn tag() -> impl Strategy<Value = Tag> {
    let text = prop_oneof![
        9 => "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,15}",
        1 => "[a-zA-Z0-9_][a-zA-Z0-9_.-]{100,127}",
    ];
    text.prop_filter_map("a tag by construction", |text| text.parse().ok())
}

/// A tag or a digest.
pub fn reference() -> impl Strategy<Value = Reference> {
    prop_oneof![tag().prop_map(Reference::from), digest().prop_map(Reference::from)]
}
