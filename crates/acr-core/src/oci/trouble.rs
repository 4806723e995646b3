//! Why a document is not read, in words and with the place.

use serde_json::{Error, error::Category};

/// What is wrong with a document, to stand after its name.
pub(super) fn describe(content: &[u8], error: &Error) -> String {
    let place = match error.line() {
        // Found when all was read.
        0 => String::new(),
        line => format!(" (line {line}, column {})", error.column()),
    };
    if MARKS.iter().any(|mark| content.starts_with(mark)) {
        return "begins with a byte order mark (line 1, column 1), which JSON has not".to_owned();
    }
    match error.classify() {
        Category::Data => format!("has another shape than asked for{place}"),
        Category::Eof => format!("ends too early{place}"),
        Category::Syntax if is_comment(content, error) => {
            format!("has a comment{place}, which JSON has not")
        }
        Category::Syntax | Category::Io => format!("is not JSON{place}"),
    }
}

/// Whether the place of an error is where a comment begins.
fn is_comment(content: &[u8], error: &Error) -> bool {
    let before = error.line().saturating_sub(1);
    let line = content.split(|byte| *byte == b'\n').nth(before).unwrap_or_default();
    let here = line.get(error.column().saturating_sub(1)..).unwrap_or_default();
    [&b"//"[..], b"/*", b"#"].iter().any(|start| here.starts_with(start))
}

/// Of UTF-8 and of UTF-16.
const MARKS: [&[u8]; 3] = [b"\xEF\xBB\xBF", b"\xFE\xFF", b"\xFF\xFE"];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn f4_a_mark_and_a_comment_are_named_with_their_place() {
        for (content, words) in [
            ("\u{FEFF}{}", "begins with a byte order mark (line 1, column 1)"),
            ("{\n  // one\n}", "has a comment (line 2, column 3)"),
            ("{\"a\": 1, /* two */ \"b\": 2}", "has a comment (line 1, column 10)"),
            ("[1, # three\n2]", "has a comment (line 1, column 5)"),
            ("{}\n// four", "has a comment (line 2, column 1)"),
            ("{\"a\":", "ends too early (line 1, column 5)"),
            ("{\"a\":/}", "is not JSON (line 1, column 6)"),
            ("nonsense", "is not JSON (line 1, column 2)"),
        ] {
            let error = serde_json::from_str::<Value>(content).unwrap_err();
            let told = describe(content.as_bytes(), &error);
            assert!(told.starts_with(words), "{content:?}: {told}");
        }
    }
}
