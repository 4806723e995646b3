//! What the registry or a document says beyond what this version knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// JSON fields that this version has no name for, in the order of their names.
///
/// Made of JSON, as it is read: any object is one (`serde_json::from_str("{}")`).
/// Whole numbers beyond 64 bits are kept as floating point.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnknownFields(BTreeMap<String, Value>);

impl UnknownFields {
    /// The names, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The field read as `T`; `None` when it is absent or has another shape.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(|value| T::deserialize(value).ok())
    }

    /// Those of an object of which all that has a name here was taken.
    pub(crate) fn left(fields: Map<String, Value>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
