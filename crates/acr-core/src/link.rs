//! A reader for RFC 8288 `Link` headers. It never panics.

use http::{HeaderMap, header};

/// The target of the first link with the relation `next`, still unresolved.
///
/// Takes several links in one header or several headers, quoted or bare
/// parameters in any order, and several relations in one parameter. A header
/// that breaks the grammar yields the links before the break.
pub fn next(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_in)
}

fn next_in(mut text: &str) -> Option<&str> {
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        let (target, rest) = text.strip_prefix('<')?.split_once('>')?;
        let (is_next, rest) = parameters(rest)?;
        if is_next {
            return Some(target);
        }
        text = rest;
    }
}

/// Reads `; name=value` until the next link; `None` when the grammar breaks.
fn parameters(mut text: &str) -> Option<(bool, &str)> {
    let mut relation: Option<bool> = None;
    loop {
        text = text.trim_start();
        if text.is_empty() || text.starts_with(',') {
            return Some((relation.unwrap_or(false), text));
        }
        text = text.strip_prefix(';')?.trim_start();
        let end = text.find(['=', ';', ',']).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        text = rest;
        let Some(rest) = text.strip_prefix('=') else {
            continue;
        };
        let (value, rest) = value(rest.trim_start())?;
        text = rest;
        // RFC 8288 §3.3: a second `rel` is ignored.
        if name.trim().eq_ignore_ascii_case("rel") && relation.is_none() {
            relation = Some(value.split_ascii_whitespace().any(|r| r.eq_ignore_ascii_case("next")));
        }
    }
}

/// A quoted text or a bare token, and what follows it.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, rest) = text.split_at_checked(end)?;
        return Some((token.trim(), rest));
    };
    let mut escaped = false;
    for (index, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((quoted.get(..index)?, quoted.get(index + 1..)?)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            (r#"</a>"#, None),
            (r#"</a; rel="next""#, None),
            (r#"/a; rel="next""#, None),
            (r#"</a>; rel="next"#, None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, text.parse().unwrap());
            assert_eq!(next(&headers), target, "{text}");
        }
    }

    #[test]
    fn looks_at_every_header() {
        let mut headers = HeaderMap::new();
        headers.append(header::LINK, "</a>; rel=prev".parse().unwrap());
        headers.append(header::LINK, "</b>; rel=next".parse().unwrap());
        assert_eq!(next(&headers), Some("/b"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[<>;=,\"\\\\ a-z/?]{0,60}") {
            let _ = next_in(&text);
        }

        #[test]
        fn reads_what_is_printed(target in "/[a-z0-9?&=%/]{0,30}", before in "[a-z]{1,8}") {
            let text = format!("</x>; rel=\"{before}\", <{target}>; title=\"q\"; rel=\"next\"");
            prop_assume!(before != "next");
            prop_assert_eq!(next_in(&text), Some(target.as_str()));
        }
    }
}
