//! Reads JSON that means one thing to every decoder.
//!
//! Decoders disagree on a name that comes twice (the first, the last, both merged) and on
//! names that differ by case only. What one tool checks and another runs must not depend
//! on that, so either is an error, at any depth.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::place::Place;
use crate::http::redact::printable;

/// Why a text is not read.
#[derive(Debug)]
pub(crate) enum NotRead {
    /// It can be read in more than one way; says where.
    Ambiguous(String),
    /// It is not JSON.
    NotJson,
}

/// Looks through a whole document, keeping nothing of it.
pub(crate) fn check(content: &[u8], place: &'static Place) -> Result<(), NotRead> {
    let mut walk = Walk::new(false);
    let mut deserializer = serde_json::Deserializer::from_slice(content);
    let outcome = Node { place, walk: &mut walk }.deserialize(&mut deserializer);
    match (walk.ambiguity, outcome.and_then(|_| deserializer.end())) {
        (Some(found), _) => Err(NotRead::Ambiguous(found)),
        (None, Err(_)) => Err(NotRead::NotJson),
        (None, Ok(())) => Ok(()),
    }
}

/// Reads a value. An ambiguity is an error of the deserializer, in words.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    place: &'static Place,
) -> Result<Value, D::Error> {
    Node { place, walk: &mut Walk::new(true) }.deserialize(deserializer)
}

struct Walk {
    keeps: bool,
    path: Vec<Step>,
    ambiguity: Option<String>,
}

enum Step {
    Name(String),
    Index(usize),
}

struct Node<'a> {
    place: &'static Place,
    walk: &'a mut Walk,
}

impl Walk {
    fn new(keeps: bool) -> Self {
        Self { keeps, path: Vec::new(), ambiguity: None }
    }

    fn scalar(&self, value: impl Into<Value>) -> Value {
        if self.keeps { value.into() } else { Value::Null }
    }

    fn refuse<E: de::Error>(&mut self, why: fmt::Arguments<'_>) -> E {
        let text = format!("`{}` {why}", Path(&self.path));
        let error = E::custom(&text);
        self.ambiguity = Some(text);
        error
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(self.walk.scalar(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Self { place, walk } = self;
        let mut kept = Vec::new();
        for index in 0.. {
            walk.path.push(Step::Index(index));
            let Some(item) = items.next_element_seed(Node { place, walk: &mut *walk })? else {
                break;
            };
            walk.path.pop();
            if walk.keeps {
                kept.push(item);
            }
        }
        walk.path.pop();
        Ok(Value::Array(kept))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let Self { place, walk } = self;
        let mut kept = Map::new();
        let mut seen = HashSet::new();
        while let Some(name) = fields.next_key::<String>()? {
            walk.path.push(Step::Name(name.clone()));
            if let Some(known) = place.taken_for(&name) {
                return Err(walk.refuse(format_args!("is taken for `{known}` by some readers")));
            }
            let inner = place.of(&name);
            if !seen.insert(name.clone()) {
                return Err(walk.refuse(format_args!("occurs twice")));
            }
            let value = fields.next_value_seed(Node { place: inner, walk: &mut *walk })?;
            walk.path.pop();
            if walk.keeps {
                kept.insert(name, value);
            }
        }
        Ok(Value::Object(kept))
    }
}

/// A path as text, with what an outsider chose made harmless and short.
struct Path<'a>(&'a [Step]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.0.len().saturating_sub(MAX_STEPS);
        if hidden > 0 {
            f.write_str("…")?;
        }
        for (at, step) in self.0.iter().skip(hidden).enumerate() {
            let dot = if at == 0 && hidden == 0 { "" } else { "." };
            match step {
                Step::Index(index) => write!(f, "{dot}{index}")?,
                Step::Name(name) => write!(f, "{dot}{}", printable(name))?,
            }
        }
        Ok(())
    }
}

/// What an error shows of a path: the deepest part of it.
const MAX_STEPS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::place::MANIFEST;

    fn refused(text: &str) -> Option<String> {
        match check(text.as_bytes(), &MANIFEST) {
            Ok(()) => None,
            Err(NotRead::Ambiguous(why)) => Some(why),
            Err(NotRead::NotJson) => panic!("not JSON: {text}"),
        }
    }

    #[test]
    fn a_path_names_what_is_ambiguous() {
        for (text, why) in [
            (r#"{"layers":[],"Layers":[]}"#, "`Layers` is taken for `layers` by some readers"),
            (
                r#"{"layers":[{},{"Digest":"a"}]}"#,
                "`layers.1.Digest` is taken for `digest` by some readers",
            ),
            (r#"{"x":{"y":1,"\u0079":2}}"#, "`x.y` occurs twice"),
            (r#"{"config":{"size":1},"config":{}}"#, "`config` occurs twice"),
            (
                r#"{"manifests":[{"platform":{"OS":1}}]}"#,
                "`manifests.0.platform.OS` is taken for `os` by some readers",
            ),
        ] {
            assert_eq!(refused(text).unwrap(), why);
        }
    }

    #[test]
    fn maps_are_free_but_for_what_comes_twice() {
        for text in [
            r#"{"annotations":{"digest":"1","Digest":"2","DIGEST":"3"}}"#,
            r#"{"layers":[{"annotations":{"a":"1","A":"2"}}],"later":{"Layers":1,"layers":2}}"#,
            r#"[{"a":1},{"a":1}]"#,
            "1",
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
        assert!(refused(r#"{"annotations":{"a":"1","a":"1"}}"#).is_some());
    }

    #[test]
    fn a_long_path_is_shown_short() {
        let deep = "[".repeat(100) + &format!(r#"{{"{0}":1,"{0}":2}}"#, "\\n".repeat(500));
        let shown = refused(&deep).unwrap();
        assert!(shown.len() < 400 && shown.starts_with("`….0.0"), "{shown}");
    }

    #[test]
    fn what_is_kept_is_what_stands_there() {
        let text = r#"{"a":[1,-2,2.5,"x",null,true,{"b":{}}]}"#;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let kept = read(&mut deserializer, &MANIFEST).unwrap();
        assert_eq!(kept, serde_json::from_str::<Value>(text).unwrap());
        let twice = r#"{"a":{"b":1,"b":2}}"#;
        let error = read(&mut serde_json::Deserializer::from_str(twice), &MANIFEST).unwrap_err();
        assert!(error.to_string().starts_with("`a.b` occurs twice"), "{error}");
    }
}
