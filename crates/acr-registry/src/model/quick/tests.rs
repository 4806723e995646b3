use proptest::{prelude::*, sample::Index};

use super::*;
use crate::{list, model::Fields};

/// As the registry sends them; the last one with what only some have.
const TAGS: &str = r#"{"registry":"r.azurecr.io","imageName":"library/app","tags":[
{"name":"v1","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","createdTime":"2023-05-04T08:26:43.88Z","lastUpdateTime":"2023-05-04T08:26:43.8812345Z","signed":false,"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}},
{"name":"v2","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b","createdTime":"2023-05-04T08:26:43Z","lastUpdateTime":null,"quarantineState":"Passed","changeableAttributes":null},
{"name":"v3","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8c","changeableAttributes":{"quarantineState":"Failed"}}]}"#;

const MANIFESTS: &str = r#"{"registry":"r.azurecr.io","imageName":"library/app","manifests":[
{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","imageSize":5325,"createdTime":"2023-05-04T08:26:43.88Z","lastUpdateTime":"2023-05-04T08:26:43.8812345Z","architecture":"amd64","os":"linux","mediaType":"application/vnd.oci.image.manifest.v1+json","configMediaType":"application/vnd.oci.image.config.v1+json","tags":["v1","v2"],"changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true,"quarantineState":"Passed","quarantineDetails":"{}"}},
{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b","tags":null,"architecture":null}]}"#;

fn owner() -> Owner {
    Owner { registry: "known".to_owned(), repository: "before/hand".parse().unwrap() }
}

/// A page as everything but this module reads it; `None` where it is refused.
fn slowly<T: list::Item>(body: &[u8]) -> Option<(Vec<T>, usize)> {
    let fields: Fields<'_> = serde_json::from_slice(body).ok()?;
    if fields.has_errors() {
        return None;
    }
    let (items, unreadable) = list::items(fields, Some(owner())).ok()?;
    Some((items, unreadable.len()))
}

/// Whether the page was read at once; then it was read as it would have been otherwise.
fn agree<T: list::Item + PartialEq + fmt::Debug>(body: &[u8]) -> bool {
    let Some(items) = T::quick(body, Some(&owner())) else {
        return false;
    };
    assert_eq!(Some((items, 0)), slowly(body), "{}", String::from_utf8_lossy(body));
    true
}

/// What stands in a value's place.
const VALUES: &[&str] = &[
    "null",
    "true",
    "7",
    "-0",
    "1.0",
    "1e3",
    "18446744073709551615",
    "18446744073709551616",
    "[]",
    "{}",
    "\"\"",
    "\"v9\"",
    "\"v\\u0039\"",
    "\"Not A Name\"",
    "\"2024-01-01t00:00:00.1234567890123+01:00\"",
    "\"2024-01-01 00:00:00Z\"",
    "[\"a\"]",
    "[\"v8\",\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",null,null,null,null,null]",
    "[true,true,true,true,null,null]",
    "{\"deleteEnabled\":true,\"deleteEnabled\":true}",
    "{\"quarantineState\":\"Passed\",\"quarantineDetails\":\"{}\",\"later\":[1]}",
    "[null]",
];

/// What stands in an object beside the rest.
const FIELDS: &[&str] = &[
    "\"errors\":[]",
    "\"errors\":[{}]",
    "\"errors\":null",
    "\"new\":{\"deep\":[1]}",
    "\"signed\":true",
    "\"quarantineState\":\"Failed\"",
    "\"quarantineState\":null",
    "\"quarantineDetails\":\"{}\"",
    "\"quarantineDetails\":null",
    "\"n\\u0061me\":\"v7\"",
    "\"references\":[]",
    "\"tags\":[]",
    "\"manifests\":[]",
    "\"registry\":\"other\"",
    "\"imageName\":\"Not A Name\"",
    "\"imageSize\":1",
    "\"changeableAttributes\":{\"teleportEnabled\":true}",
];

#[derive(Clone, Debug)]
enum Change {
    /// A value, found by the colon before it, becomes another.
    Value(Index, Index),
    /// An object, found by its brace, gets a field.
    Field(Index, Index),
    /// A field, found by the comma before it, goes, or stands there twice.
    Gone(Index),
    Twice(Index),
    Byte(Index, u8),
    Cut(Index),
}

impl Change {
    fn make(&self, text: &mut Vec<u8>) {
        let places = |text: &[u8], byte: u8| -> Vec<usize> {
            (0..text.len()).filter(|at| text[*at] == byte).collect()
        };
        match self {
            Self::Value(at, value) => {
                let places = places(text, b':');
                if places.is_empty() {
                    return;
                }
                let start = at.get(&places) + 1;
                let end = end_of_value(text, start);
                text.splice(start..end, value.get(VALUES).bytes());
            }
            Self::Field(at, field) => {
                let places = places(text, b'{');
                if places.is_empty() {
                    return;
                }
                let field = format!("{},", field.get(FIELDS));
                let at = at.get(&places) + 1;
                text.splice(at..at, field.bytes());
            }
            Self::Gone(at) | Self::Twice(at) => {
                let places = places(text, b',');
                if places.is_empty() {
                    return;
                }
                let start = *at.get(&places);
                let end = end_of_value(text, start + 1);
                let field = text[start..end].to_vec();
                let again = if matches!(self, Self::Twice(_)) { field.repeat(2) } else { vec![] };
                text.splice(start..end, again);
            }
            Self::Byte(at, byte) if !text.is_empty() => {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            Self::Cut(at) if !text.is_empty() => text.truncate(at.index(text.len())),
            Self::Byte(..) | Self::Cut(_) => {}
        }
    }
}

/// Where what begins here ends, as far as brackets and quotes tell.
fn end_of_value(text: &[u8], start: usize) -> usize {
    let (mut depth, mut is_quoted) = (0_i32, false);
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'{' | b'[' if !is_quoted => depth += 1,
            b'}' | b']' if !is_quoted && depth == 0 => return at,
            b'}' | b']' if !is_quoted => depth -= 1,
            b',' if !is_quoted && depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

fn change() -> impl Strategy<Value = Change> {
    let any_index = any::<Index>;
    prop_oneof![
        4 => (any_index(), any_index()).prop_map(|(at, value)| Change::Value(at, value)),
        3 => (any_index(), any_index()).prop_map(|(at, field)| Change::Field(at, field)),
        2 => any_index().prop_map(Change::Gone),
        2 => any_index().prop_map(Change::Twice),
        1 => (any_index(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        1 => any_index().prop_map(Change::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever a server sends: it is read as without this module, or not by this module.
    #[test]
    fn a_page_that_is_read_at_once_is_read_as_it_is_read_item_by_item(
        is_of_tags in any::<bool>(),
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let mut text = if is_of_tags { TAGS } else { MANIFESTS }.as_bytes().to_vec();
        for change in &changes {
            change.make(&mut text);
        }
        agree::<TagProperties>(&text);
        agree::<ManifestProperties>(&text);
    }
}

#[test]
fn pages_as_registries_write_them_are_read_at_once() {
    assert!(agree::<TagProperties>(TAGS.as_bytes()));
    assert!(agree::<ManifestProperties>(MANIFESTS.as_bytes()));
    let tags = tags(TAGS.as_bytes(), &owner()).unwrap();
    assert_eq!(
        (tags[0].registry.as_str(), tags[0].repository.as_str()),
        ("r.azurecr.io", "library/app")
    );
    assert_eq!(tags[1].quarantine_state.as_deref(), Some("Passed"));
    assert_eq!(tags[2].quarantine_state.as_deref(), Some("Failed"));
    let manifests = manifests(MANIFESTS.as_bytes(), &owner()).unwrap();
    assert_eq!((manifests[0].size, manifests[0].tags.len()), (Some(5_325), 2));
    let bare = format!("{{\"tags\":{}", &TAGS[TAGS.find('[').unwrap()..]);
    assert_eq!(super::tags(bare.as_bytes(), &owner()).unwrap()[0].registry, "known");
}

/// One of each value and field, at every place: what the random ones may not meet.
#[test]
fn every_odd_value_and_field_is_read_alike_or_left() {
    let (mut read, mut left) = (0, 0);
    let mut count = |is_read: bool| if is_read { read += 1 } else { left += 1 };
    for page in [TAGS, MANIFESTS] {
        for (byte, what) in [(b':', VALUES), (b'{', FIELDS)] {
            for at in (0..page.len()).filter(|at| page.as_bytes()[*at] == byte) {
                for with in what {
                    let mut text = page.as_bytes().to_vec();
                    let end = if byte == b':' { end_of_value(&text, at + 1) } else { at + 1 };
                    let comma = if byte == b':' { "" } else { "," };
                    text.splice(at + 1..end, format!("{with}{comma}").bytes());
                    count(agree::<TagProperties>(&text) || agree::<ManifestProperties>(&text));
                }
            }
        }
    }
    assert!(read > 50 && left > 500, "{read} read, {left} left");
}

#[test]
fn a_null_that_is_kept_elsewhere_is_kept() {
    for (state, attributes, is_quick) in [
        ("", r#""quarantineDetails":null"#, false),
        ("", r#""quarantineState":null"#, false),
        (r#""quarantineState":"Passed","#, r#""quarantineState":null"#, false),
        (r#""quarantineState":"Passed","#, r#""deleteEnabled":null"#, true),
        (r#""quarantineState":null,"#, r#""quarantineState":"Failed""#, true),
    ] {
        let tag = format!(
            r#"{{"name":"v1",{state}"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","changeableAttributes":{{{attributes}}}}}"#
        );
        let page = format!(r#"{{"registry":"r","imageName":"a","tags":[{tag}]}}"#);
        assert_eq!(agree::<TagProperties>(page.as_bytes()), is_quick, "{page}");
    }
}

/// Every item has it: a page of 8 MiB would else make gibibytes.
#[test]
fn a_host_that_can_be_none_is_not_repeated() {
    for (len, is_host) in [(260, true), (261, false)] {
        let name = "r".repeat(len);
        let known = if is_host { name.as_str() } else { "known" };
        for oddity in ["", ",\"new\":1"] {
            let page = TAGS.replace("r.azurecr.io", &name);
            let page = page.replace("\"signed\":false", &format!("\"signed\":false{oddity}"));
            let quick = agree::<TagProperties>(page.as_bytes());
            assert_eq!(quick, oddity.is_empty());
            let (items, _) = slowly::<TagProperties>(page.as_bytes()).unwrap();
            assert!(items.iter().all(|item| item.registry == known));
        }
    }
}
