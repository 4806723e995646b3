//! A reader for RFC 8288 `Link` headers. It never panics, and never takes a header that
//! it cannot read for one that is not there: a list would end before its end.

use http::{HeaderMap, header};

use crate::http::error::{Error, ErrorKind, Result};

/// The target of the link with the relation `next`, still unresolved; `None` when no
/// header has one.
///
/// Takes several links in one header or several headers, quoted or bare
/// parameters in any order, and several relations in one parameter.
///
/// # Errors
///
/// [`ErrorKind::Protocol`] when a header breaks the grammar, when a link has no
/// relation, and when two links name different next pages.
pub fn next(headers: &HeaderMap) -> Result<Option<&str>> {
    let mut found = None;
    for value in headers.get_all(header::LINK) {
        let text = value.to_str().map_err(|_| unreadable("it has bytes outside ASCII"))?;
        read(text, &mut found).map_err(unreadable)?;
    }
    Ok(found)
}

/// The header is not quoted: a link may carry what is secret.
fn unreadable(why: &str) -> Error {
    let text =
        format!("the `Link` header cannot be read, so where the list goes on is unknown: {why}");
    Error::new(ErrorKind::Protocol, text)
}

type Broken = &'static str;

fn read<'a>(mut text: &'a str, found: &mut Option<&'a str>) -> Result<(), Broken> {
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        if text.is_empty() {
            return Ok(());
        }
        let rest = text.strip_prefix('<').ok_or("a link does not begin with `<`")?;
        let (target, rest) = rest.split_once('>').ok_or("a link has no `>`")?;
        if target.contains(['<', '"', ' ', '\t']) {
            return Err("a link is no URL");
        }
        let (is_next, rest) = parameters(rest)?;
        text = rest;
        match *found {
            _ if !is_next => {}
            Some(other) if other != target => return Err("it names two next pages"),
            _ => *found = Some(target),
        }
    }
}

/// Reads `; name=value` until the next link, and whether a relation is `next`.
fn parameters(mut text: &str) -> Result<(bool, &str), Broken> {
    let mut relation: Option<bool> = None;
    loop {
        text = text.trim_start();
        if text.is_empty() || text.starts_with(',') {
            return Ok((relation.ok_or("a link has no relation")?, text));
        }
        text = text.strip_prefix(';').ok_or("a link goes on without `;`")?.trim_start();
        let end = text.find(['=', ';', ',']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).ok_or(NO_PARAMETER)?;
        let name = name.trim();
        if name.contains(|c: char| !c.is_ascii_graphic() || "\"<>()[]{}".contains(c)) {
            return Err(NO_PARAMETER);
        }
        text = rest;
        let Some(rest) = text.strip_prefix('=') else {
            continue;
        };
        let (value, rest) = value(rest.trim_start())?;
        text = rest;
        // RFC 8288 §3.3: a second `rel` is ignored.
        if name.eq_ignore_ascii_case("rel") && relation.is_none() {
            relation = Some(is_next(value)?);
        }
    }
}

/// Whether one of the relations is `next`. What is no relation could have been meant as it.
fn is_next(relations: &str) -> Result<bool, Broken> {
    let is_relation = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && (text.contains(':')
                || text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')))
    };
    let mut relations = relations.split_ascii_whitespace().peekable();
    if relations.peek().is_none() {
        return Err("a link has no relation");
    }
    relations.try_fold(false, |found, relation| {
        if is_relation(relation) {
            Ok(found || relation.eq_ignore_ascii_case("next"))
        } else {
            Err("a link has a malformed relation")
        }
    })
}

/// A quoted text or a bare token, and what follows it.
fn value(text: &str) -> Result<(&str, &str), Broken> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, rest) = text.split_at_checked(end).ok_or(NO_PARAMETER)?;
        let is_broken = token.contains(['"', '<', '>']);
        return if is_broken { Err(NO_PARAMETER) } else { Ok((token.trim(), rest)) };
    };
    let mut escaped = false;
    for (index, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (value, rest) = (quoted.get(..index), quoted.get(index + 1..));
                return value.zip(rest).ok_or(NO_PARAMETER);
            }
            _ => {}
        }
    }
    Err("a quote is not closed")
}

const NO_PARAMETER: Broken = "a link has a malformed parameter";

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&[u8]]) -> HeaderMap {
        let values = values.iter().map(|text| HeaderValue::from_bytes(text).unwrap());
        HeaderMap::from_iter(values.map(|value| (header::LINK, value)))
    }

    #[test]
    fn finds_the_next_link_in_every_form() {
        for (text, target) in [
            (
                r#"</v2/a/tags/list?last=test0&n=2&orderby=>; rel="next""#,
                Some("/v2/a/tags/list?last=test0&n=2&orderby="),
            ),
            (
                r#"<https://r/acr/v1/_catalog?last=a%2Fb&n=1>; rel=next"#,
                Some("https://r/acr/v1/_catalog?last=a%2Fb&n=1"),
            ),
            (
                r#"</first>; rel="first", </second?a=1,2>; title="x; y"; rel="next""#,
                Some("/second?a=1,2"),
            ),
            (r#"</a>; title="a\"b, <c>; rel=next"; rel="prev", </d>;REL="last NEXT""#, Some("/d")),
            (r#"</a>; rel="prev"; rel="next""#, None),
            (r#"</a>; anchor; rel=next"#, Some("/a")),
            (r#"</a>;rel = "next";"#, Some("/a")),
            (r#"<?last=b>; rel="next https://r.example/rel""#, Some("?last=b")),
            (r#"</a>; rel=next, </a>; rel="next""#, Some("/a")),
            (r#"<https://cdn.example>; rel=preconnect; crossorigin"#, None),
            (" , ", None),
            ("", None),
        ] {
            assert_eq!(next(&of(&[text.as_bytes()])).unwrap(), target, "{text}");
        }
    }

    #[test]
    fn a4_a_header_that_cannot_be_read_is_an_error_and_never_the_end() {
        for text in [
            &br#"/a?last=b; rel="next""#[..],
            br#"</a; rel="next""#,
            br#"/a>; rel="next""#,
            br#"</a>; rel="next"#,
            br#"</a>; rel=next""#,
            br#"</a>; rel='next'"#,
            br#"</a>; "rel=next""#,
            br#"</a> rel="next""#,
            br#"</a>; rel="next" x"#,
            br#"</a>; rel="" "#,
            br#"</a>; rel"#,
            br#"</a>"#,
            br#"</a b>; rel="next""#,
            br#"</x>; rel="prev" </a>; rel="next""#,
            br#"</a>; rel="next", </b>; rel="next""#,
            br#"</x>; rel="prev", /a; rel="next""#,
            b"</a?last=\xc3\xa9>; rel=\"next\"",
            b"</a>; rel=\"next\xa0\"",
            b"</a>; title=\"\xff\"; rel=\"next\"",
        ] {
            let shown = String::from_utf8_lossy(text).into_owned();
            let error = next(&of(&[text])).expect_err(&shown);
            assert_eq!(error.kind(), ErrorKind::Protocol, "{shown}");
            let beside = of(&[b"</z>; rel=\"first\"", text]);
            assert!(next(&beside).is_err(), "beside one that can be read: {shown}");
        }
    }

    #[test]
    fn looks_at_every_header() {
        let headers = of(&[b"</a>; rel=prev", b"</b>; rel=next"]);
        assert_eq!(next(&headers).unwrap(), Some("/b"));
        assert!(next(&of(&[b"</a>; rel=next", b"</b>; rel=next"])).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[<>;=,\"\\\\ a-z/?]{0,60}") {
            let _ = read(&text, &mut None);
        }

        /// Whatever is cut off or changed in a next link, the list does not end by it.
        #[test]
        fn a4_a_damaged_link_is_never_the_end(cut in 1usize..40, byte in any::<u8>()) {
            let whole = br#"</acr/v1/_catalog?last=b&n=2>; rel="next""#;
            let cut = cut.min(whole.len() - 1);
            let is_end = |text: &[u8]| {
                HeaderValue::from_bytes(text).is_ok_and(|value| {
                    let headers = HeaderMap::from_iter([(header::LINK, value)]);
                    matches!(next(&headers), Ok(None))
                })
            };
            prop_assert!(!is_end(&whole[..cut]) && !is_end(&whole[cut..]));
            let mut changed = whole.to_vec();
            changed[cut] = byte;
            // Another letter in the relation makes another relation of it, or two.
            let is_letter = cut >= whole.len() - 5 && (byte.is_ascii_alphanumeric() || b".:- \t".contains(&byte));
            prop_assert!(is_letter || !is_end(&changed), "{}", String::from_utf8_lossy(&changed));
        }

        #[test]
        fn reads_what_is_printed(target in "/[a-z0-9?&=%/]{0,30}", before in "[a-z]{1,8}") {
            let text = format!("</x>; rel=\"{before}\", <{target}>; title=\"q\"; rel=\"next\"");
            prop_assume!(before != "next");
            let headers = of(&[text.as_bytes()]);
            prop_assert_eq!(next(&headers).unwrap(), Some(target.as_str()));
        }
    }
}
