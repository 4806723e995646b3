//! The fields of a JSON object, each read by itself: an odd value loses nothing but itself.

use std::{collections::BTreeMap, fmt};

use acr_core::value::Unreadable;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Listed, UnknownFields};

/// What a server's object says, field by field. One that occurs twice is refused, for it
/// means two things.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Fields<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Removes a field and reads it. What has another shape stays, among the unknown ones;
    /// `null` says nothing.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self, name: &str) -> Option<T> {
        let raw = *self.0.get(name)?;
        if is_null(raw) {
            self.0.remove(name);
            return None;
        }
        let value = serde_json::from_str(raw.get()).ok()?;
        self.0.remove(name);
        Some(value)
    }

    /// As [`Fields::take`], of what nothing can do without.
    pub(crate) fn need<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, String> {
        self.take(name).ok_or_else(|| format!("no usable `{name}`"))
    }

    /// The items of a list, which must be there; `null` is an empty one.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<&'a RawValue>, String> {
        match self.0.get(name) {
            None => Err(format!("the answer has no `{name}`, so it is no list of them")),
            Some(raw) if is_null(raw) => Ok(Vec::new()),
            Some(_) => self.take(name).ok_or_else(|| format!("`{name}` is no list")),
        }
    }

    /// A list within properties, which may be absent.
    pub(crate) fn listed<T>(
        &mut self,
        name: &str,
        read: impl Fn(&'a RawValue) -> Result<T, String>,
    ) -> Listed<T> {
        let Some(raw) = self.0.remove(name).filter(|raw| !is_null(raw)) else {
            return Listed::default();
        };
        let Ok(items) = serde_json::from_str::<Vec<&'a RawValue>>(raw.get()) else {
            return Listed::new(Vec::new(), vec![Unreadable::new(raw.get(), "no list")]);
        };
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for item in items {
            match read(item) {
                Ok(value) => readable.push(value),
                Err(reason) => unreadable.push(Unreadable::new(item.get(), reason)),
            }
        }
        Listed::new(readable, unreadable)
    }

    /// Whether it names errors, whatever else it says.
    pub(crate) fn has_errors(&self) -> bool {
        let is_empty =
            |raw: &RawValue| is_null(raw) || raw.get().split_ascii_whitespace().eq(["[]"]);
        self.0.get("errors").is_some_and(|errors| !is_empty(errors))
    }

    /// What nobody took.
    pub(crate) fn rest(self) -> UnknownFields {
        let value = |raw: &RawValue| -> serde_json::Value {
            // Nested deeper than a value may be: kept as text.
            serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
        };
        let fields = self.0.into_iter().map(|(name, raw)| (name, value(raw)));
        // Any object is some: this cannot fail.
        serde_json::from_value(fields.collect()).unwrap_or_default()
    }
}

fn is_null(raw: &RawValue) -> bool {
    raw.get().trim() == "null"
}

/// Reads one value, for [`Fields::listed`].
pub(crate) fn value<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|_| "of another shape".to_owned())
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor).map(Self)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if fields.insert(name, value).is_some() {
                return Err(A::Error::custom("a field occurs twice"));
            }
        }
        Ok(fields)
    }
}
