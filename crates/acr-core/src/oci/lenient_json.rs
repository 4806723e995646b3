//! JSON as it is for readers that take more than ours.

/// The document as readers see it that take what ours refuses: half of a surrogate pair,
/// bytes that are no UTF-8, numbers of any size, and any depth. Of no use but to look at its
/// names: numbers are zeros, and what lies deep within is one too.
pub(crate) fn as_others_read(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let mut out = Vec::with_capacity(text.len());
    let (mut depth, mut rest) = (0_usize, text.as_bytes());
    while let Some((&first, tail)) = rest.split_first() {
        let token = match first {
            b'"' => string(rest),
            b'-' | b'0'..=b'9' => number(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at(token.min(rest.len()));
        rest = after;
        match first {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let closes = matches!(first, b'}' | b']');
        match first {
            _ if depth > DEEPEST || (depth == DEEPEST && closes) => {
                // The outermost of what is left out stands for all of it.
                if depth == DEEPEST {
                    out.push(b'0');
                }
            }
            b'"' => push_string(token, &mut out),
            b'-' | b'0'..=b'9' => out.push(b'0'),
            _ => out.push(first),
        }
        debug_assert!(rest.len() <= tail.len(), "each step takes something");
    }
    out
}

/// How long the string is that begins here.
fn string(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|b| match b {
        _ if is_escaped => {
            is_escaped = false;
            false
        }
        b'\\' => {
            is_escaped = true;
            false
        }
        b => *b == b'"',
    });
    end.map_or(text.len(), |end| end + 2)
}

fn number(text: &[u8]) -> usize {
    let is_part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    text.iter().position(|b| !is_part(b)).unwrap_or(text.len())
}

fn push_string(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some((&first, tail)) = text.split_first() {
        let is_surrogate = match text.get(..6) {
            Some([b'\\', b'u', b'd' | b'D', second, ..]) => {
                matches!(second, b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F')
            }
            _ => false,
        };
        let taken = match first {
            b'\\' if is_surrogate => {
                out.extend_from_slice(b"\\ufffd");
                6
            }
            b'\\' => {
                out.extend_from_slice(text.get(..2).unwrap_or(text));
                2
            }
            other => {
                out.push(other);
                1
            }
        };
        text = tail.get(taken - 1..).unwrap_or_default();
    }
}

/// Ours goes to 127.
const DEEPEST: usize = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(text: &[u8]) -> Option<Value> {
        serde_json::from_slice(&as_others_read(text)).ok()
    }

    #[test]
    fn what_only_others_read_is_read() {
        for text in [
            &br#"{"a":"\ud800"}"#[..],
            br#"{"a":"\uDFFF\"","b":"\\ud800\\"}"#,
            b"{\"a\":\"\xff\"}",
            br#"{"a":1e999,"b":-1.5E+400}"#,
        ] {
            assert!(serde_json::from_slice::<Value>(text).is_err(), "{}", text.escape_ascii());
            assert!(read(text).is_some_and(|value| value["a"] != Value::Null));
        }
        let deep = format!(r#"{{"a":{}1{},"b":[]}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(read(deep.as_bytes()).unwrap()["b"], Value::Array(Vec::new()));
        for text in ["", "{", "{]", "[[", "\"", "{\"a\":\"\\", "not json", "{// a\n}", "\u{feff}{}"]
        {
            assert!(read(text.as_bytes()).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_we_read_keeps_its_names(text in "(\\{\"[a-c\\\\\"é]{0,3}\":(1|\"x\"|\\[\\]|null)\\}|[\\x00-\\x7f]{0,30})") {
            if let Ok(Value::Object(value)) = serde_json::from_str(&text) {
                let Some(Value::Object(other)) = read(text.as_bytes()) else { panic!("{text}") };
                prop_assert!(value.keys().eq(other.keys()));
            }
        }
    }
}
