//! Reads what callers of a token service send: forms, queries and Basic headers.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;

/// Named fields; one that is sent twice holds both values with a blank between.
#[derive(Debug, Default)]
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    /// Reads `a=b&c=d` as forms and queries write it.
    pub(crate) fn read(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut fields = HashMap::<String, String>::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = fields.entry(decode(name)).or_default();
            if !known.is_empty() {
                known.push(' ');
            }
            known.push_str(&decode(value));
        }
        Self(fields)
    }

    /// A field's value; empty when it was not sent.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Whether a field was sent, even without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// User and password of an `Authorization` header.
pub(crate) fn read_basic(header: &[u8]) -> Option<(String, String)> {
    let encoded = header.strip_prefix(b"Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_is_decoded_and_repeated_fields_are_joined() {
        let form = Form::read(b"service=here%3A1&scope=a+b&scope=c%20d&empty=&bare");
        assert_eq!(form.field("service"), "here:1");
        assert_eq!(form.field("scope"), "a b c d");
        assert!(form.has("empty") && form.has("bare") && !form.has("absent"));
        assert_eq!(form.field("absent"), "");
    }

    #[test]
    fn basic_header_is_read_and_others_are_not() {
        let header = format!("Basic {}", STANDARD.encode("user:pass:word"));
        let expected = ("user".to_owned(), "pass:word".to_owned());
        assert_eq!(read_basic(header.as_bytes()), Some(expected));
        assert_eq!(read_basic(b"Bearer abc"), None);
        assert_eq!(read_basic(b"Basic ???"), None);
    }
}
