//! A reader for `WWW-Authenticate`. It never panics and skips what it cannot read.

use http::{HeaderMap, header};

/// One challenge of a 401 answer (RFC 9110 §11.6.1).
///
/// What it says is a server's word: a `realm` is for comparing, never for following.
///
/// ```
/// use acr_core::http::Challenge;
/// use http::{HeaderMap, header};
///
/// let text = r#"Bearer realm="https://r.azurecr.io/oauth2/token",scope="repository:a:pull""#;
/// let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, text.parse()?)]);
/// let challenge = Challenge::bearer(&headers).ok_or("no challenge")?;
/// assert_eq!(challenge.parameter("scope"), Some("repository:a:pull"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first Bearer challenge of an answer, over several headers and several
    /// challenges in one. Headers of more than 8 KiB and the ninth one on are not read.
    pub fn bearer(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .take(MAX_HEADERS)
            .filter_map(|value| value.to_str().ok())
            .filter(|text| text.len() <= MAX_TEXT)
            .flat_map(parse)
            .find(|challenge| challenge.scheme == "bearer")
    }

    /// The scheme in lower case: `bearer`, `basic`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether the token was fine and its rights were not enough (RFC 6750 §3.1).
    pub fn is_insufficient_scope(&self) -> bool {
        self.parameter("error") == Some("insufficient_scope")
    }

    /// A parameter's value; names compare without case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

/// All challenges of one header.
fn parse(text: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            // Not a token: skip one character, so that the rest is still read.
            let mut chars = rest.chars();
            if chars.next().is_none() {
                return challenges;
            }
            rest = chars.as_str();
            continue;
        }
        let value = after.trim_start_matches([' ', '\t']).strip_prefix('=');
        rest = match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after) = parameter_value(value.trim_start_matches([' ', '\t']));
                if challenge.parameters.len() < MAX_PARAMETERS {
                    challenge.parameters.push((word.to_owned(), value));
                }
                after
            }
            // A parameter before any scheme belongs to nothing.
            (Some(value), None) => value,
            (None, _) => {
                if challenges.len() == MAX_CHALLENGES {
                    return challenges;
                }
                let scheme = word.to_ascii_lowercase();
                challenges.push(Challenge { scheme, parameters: Vec::new() });
                after
            }
        };
    }
}

fn token(text: &str) -> (&str, &str) {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c: char| !is_token(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// A quoted text with its escapes resolved, or everything up to a comma or blank.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        return (value.to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return (value, chars.as_str()),
            '\\' => value.extend(chars.next()),
            _ => value.push(c),
        }
    }
    (value, "")
}

const MAX_HEADERS: usize = 8;
const MAX_TEXT: usize = 8 * 1024;
const MAX_CHALLENGES: usize = 8;
const MAX_PARAMETERS: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<Challenge> {
        Challenge::bearer(&HeaderMap::from_iter([(
            header::WWW_AUTHENTICATE,
            text.parse().unwrap(),
        )]))
    }

    #[test]
    fn every_form_of_the_protocol_document() {
        for (text, realm, service, scope, error) in [
            (
                r#"Bearer realm="https://r/oauth2/token",service="r",scope="repository:a/b:pull,push""#,
                "https://r/oauth2/token",
                Some("r"),
                Some("repository:a/b:pull,push"),
                None,
            ),
            (
                r#"Bearer realm="https://r/oauth2/token",service="r",scope="repository:t:pull,push repository:s:pull""#,
                "https://r/oauth2/token",
                Some("r"),
                Some("repository:t:pull,push repository:s:pull"),
                None,
            ),
            (
                r#"Bearer realm="https://r/oauth2/token",service="r""#,
                "https://r/oauth2/token",
                Some("r"),
                None,
                None,
            ),
            (
                r#"Bearer realm="https://r/oauth2/token",service="r",scope="registry:catalog:*",error="insufficient_scope""#,
                "https://r/oauth2/token",
                Some("r"),
                Some("registry:catalog:*"),
                Some("insufficient_scope"),
            ),
            (
                r#"bearer   realm = "https://r/oauth2/token?x=1" , scope="a\"b" , service=r"#,
                "https://r/oauth2/token?x=1",
                Some("r"),
                Some("a\"b"),
                None,
            ),
            (
                r#"Basic realm="x", Bearer realm="https://r/oauth2/token",service="r",scope="repository:a:pull""#,
                "https://r/oauth2/token",
                Some("r"),
                Some("repository:a:pull"),
                None,
            ),
            (r#"Bearer realm=https://r/oauth2/token"#, "https://r/oauth2/token", None, None, None),
        ] {
            let challenge = read(text).expect(text);
            assert_eq!(challenge.parameter("Realm"), Some(realm), "{text}");
            assert_eq!(challenge.parameter("service"), service, "{text}");
            assert_eq!(challenge.parameter("scope"), scope, "{text}");
            assert_eq!(challenge.parameter("error"), error, "{text}");
        }
        assert_eq!(read(r#"Basic realm="Azure Container Registry""#), None);
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_bounded(text in "[ -~\t]{0,200}") {
            let challenges = parse(&text);
            prop_assert!(challenges.len() <= MAX_CHALLENGES);
            prop_assert!(challenges.iter().all(|c| c.parameters.len() <= MAX_PARAMETERS));
        }

        #[test]
        fn reads_what_is_printed(realm in "[ -!#-\\[\\]-~]{0,30}", scope in "[ -!#-\\[\\]-~]{0,30}") {
            let challenge = read(&format!(r#"Bearer realm="{realm}", scope="{scope}""#)).unwrap();
            prop_assert_eq!(challenge.parameter("realm"), Some(realm.as_str()));
            prop_assert_eq!(challenge.parameter("scope"), Some(scope.as_str()));
        }
    }
}
