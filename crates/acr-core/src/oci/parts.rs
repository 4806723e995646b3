//! Reads the fields of a document one by one, so that an odd value costs itself only.

use std::collections::BTreeMap;

use serde::{Deserializer, de, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{place::Place, strict_json};
use crate::UnknownFields;

/// The fields of an object that are not read yet.
#[derive(Debug)]
pub(super) struct Parts {
    left: Map<String, Value>,
    notes: Notes,
}

/// What reading left to tell, as paths from the object it stands in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// What has another shape than it should have.
    odd: Vec<String>,
    /// Lists that must be there and are not, not even as `null`.
    absent: Vec<&'static str>,
}

/// What is made of an object's fields.
pub(super) trait FromParts: Default {
    fn from_parts(parts: Parts) -> Self;
}

impl Parts {
    /// Reads an object; ambiguous names are an error, another shape of a field is none.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        place: &'static Place,
    ) -> Result<Self, D::Error> {
        match strict_json::read(deserializer, place)? {
            Value::Object(left) => Ok(Self { left, notes: Notes::default() }),
            _ => Err(de::Error::custom("not a JSON object")),
        }
    }

    fn item<T: FromParts>(value: Value) -> T {
        let (left, odd) = match value {
            Value::Object(left) => (left, Vec::new()),
            _ => (Map::new(), vec![ITSELF.to_owned()]),
        };
        T::from_parts(Self { left, notes: Notes { odd, absent: Vec::new() } })
    }

    /// A field; `null` counts as none. One of another shape stays where it is.
    pub(super) fn take<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        let value = self.present(name)?;
        let read = T::deserialize(&value).ok();
        if read.is_none() {
            self.keep(name, value);
        }
        read
    }

    /// An object within.
    pub(super) fn object<T: FromParts>(&mut self, name: &'static str) -> Option<T> {
        match self.present(name)? {
            Value::Object(left) => Some(T::from_parts(Self { left, notes: Notes::default() })),
            other => {
                self.keep(name, other);
                None
            }
        }
    }

    /// A list of objects. An item that is none keeps its place, without a field.
    pub(super) fn objects<T: FromParts>(&mut self, name: &'static str) -> Vec<T> {
        self.list(name).into_iter().map(Self::item).collect()
    }

    /// A list of objects that must be there.
    pub(super) fn required_objects<T: FromParts>(&mut self, name: &'static str) -> Vec<T> {
        if !self.left.contains_key(name) {
            self.notes.absent.push(name);
        }
        self.objects(name)
    }

    /// A list of texts; what is none is left out.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<String> {
        let items = self.list(name).into_iter().enumerate();
        let read = items.filter_map(|(index, item)| match item {
            Value::String(text) => Some(text),
            _ => {
                self.notes.odd.push(format!("{name}.{index}"));
                None
            }
        });
        read.collect()
    }

    /// A map of texts; what is none is left out.
    pub(super) fn annotations(&mut self) -> BTreeMap<String, String> {
        let name = "annotations";
        let values = match self.present(name) {
            None => return BTreeMap::new(),
            Some(Value::Object(values)) => values,
            Some(other) => {
                self.keep(name, other);
                return BTreeMap::new();
            }
        };
        let read = values.into_iter().filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, text)),
            _ => {
                self.notes.odd.push(format!("{name}.{key}"));
                None
            }
        });
        read.collect()
    }

    /// What has no name here or another shape, and what there is to tell.
    pub(super) fn finish(self) -> (UnknownFields, Notes) {
        (UnknownFields::left(self.left), self.notes)
    }

    fn present(&mut self, name: &'static str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    fn list(&mut self, name: &'static str) -> Vec<Value> {
        match self.present(name) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                self.keep(name, other);
                Vec::new()
            }
        }
    }

    fn keep(&mut self, name: &'static str, odd: Value) {
        self.notes.odd.push(name.to_owned());
        self.left.insert(name.to_owned(), odd);
    }
}

impl Notes {
    /// Appends what is odd, below a path.
    pub(super) fn add_odd(&self, path: &str, odd: &mut Vec<String>) {
        odd.extend(self.odd.iter().map(|field| match field.as_str() {
            ITSELF if !path.is_empty() => path.to_owned(),
            field => below(path, field),
        }));
    }

    pub(super) fn absent(&self) -> impl Iterator<Item = String> {
        self.absent.iter().map(|name| (*name).to_owned())
    }
}

/// A path and what follows on it.
pub(super) fn below(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

/// Notes that an object was none.
const ITSELF: &str = "(itself)";
