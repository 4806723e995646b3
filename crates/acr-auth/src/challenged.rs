//! What a challenge may ask for: a server's wish, judged before it is granted.

use acr_core::{Endpoint, Error, ErrorKind, Result, Scope, http::Challenge};
use http::Uri;

/// Refuses a challenge that names a token service at another origin: the mark of a
/// hostile or misconfigured registry. No realm is ever followed in any case.
pub(crate) fn check_realm(challenge: &Challenge, endpoint: &Endpoint) -> Result<()> {
    let Some(realm) = challenge.parameter("realm") else {
        return Ok(());
    };
    if realm.parse().is_ok_and(|realm: Uri| endpoint.is_origin_of(&realm)) {
        return Ok(());
    }
    let text =
        "the registry's challenge names a token service at another origin, which is never followed";
    Err(Error::new(ErrorKind::Policy, text))
}

/// The scope with what the challenge adds to it, if it adds anything.
///
/// More actions on the same repositories are a completion. Another repository or a
/// wildcard would be a token that can do more than the operation, and is refused.
pub(crate) fn completion(scope: &Scope, challenge: &Challenge) -> Result<Option<Scope>> {
    let wanted = scope_of(challenge);
    if scope.contains(&wanted) {
        return Ok(None);
    }
    if wanted.has_wildcard() || !wanted.names_only_resources_of(scope) {
        let text = format!(
            "the registry's challenge asks for rights that the operation does not need; it needs `{scope}`"
        );
        return Err(Error::new(ErrorKind::Policy, text));
    }
    bounded(scope.clone().union(wanted)).map(Some)
}

/// A scope is remembered and sent with every token call, so a registry that keeps asking for
/// more must not make it grow for ever.
fn bounded(scope: Scope) -> Result<Scope> {
    if scope.to_string().len() <= MAX_SCOPE {
        return Ok(scope);
    }
    let text = "the registry's challenge asks for more rights than there are";
    Err(Error::new(ErrorKind::Policy, text))
}

/// The scope that a request without one of its own is challenged for.
pub(crate) fn whole_scope(challenge: &Challenge) -> Result<Scope> {
    let wanted = scope_of(challenge);
    if wanted.has_wildcard() {
        let text = "the registry's challenge asks for rights on all repositories";
        return Err(Error::new(ErrorKind::Policy, text));
    }
    bounded(wanted)
}

/// Three repositories with the longest names and all actions there are.
const MAX_SCOPE: usize = 1_024;

fn scope_of(challenge: &Challenge) -> Scope {
    Scope::parse_lenient(challenge.parameter("scope").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};
    use proptest::prelude::*;

    use super::*;

    fn challenge(parameters: &str) -> Challenge {
        let text = format!("Bearer {parameters}");
        let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, text.parse().unwrap())]);
        Challenge::bearer(&headers).unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse_lenient(text)
    }

    #[test]
    fn a_challenge_may_complete_and_never_widen() {
        for (own, wanted, complete) in [
            ("repository:a:pull", "repository:a:pull", Ok(None)),
            ("repository:a:pull,push", "repository:a:push", Ok(None)),
            ("repository:a:pull", "", Ok(None)),
            ("repository:a:pull", "nonsense", Ok(None)),
            (
                "repository:a:pull",
                "repository:a:metadata_read",
                Ok(Some("repository:a:metadata_read,pull")),
            ),
            (
                "repository:t:pull,push repository:s:pull",
                "repository:s:metadata_read",
                Ok(Some("repository:s:metadata_read,pull repository:t:pull,push")),
            ),
            ("repository:a:pull", "repository:b:pull", Err(())),
            ("repository:a:pull", "repository:a:pull repository:b:pull", Err(())),
            ("repository:a:pull", "repository:*:pull", Err(())),
            ("repository:a:pull", "repository:a:*", Err(())),
            ("repository:a:pull", "registry:catalog:*", Err(())),
            ("registry:catalog:*", "registry:catalog:*", Ok(None)),
            ("", "repository:a:pull", Err(())),
        ] {
            let answer = completion(&scope(own), &challenge(&format!("scope=\"{wanted}\"")));
            let answer =
                answer.map(|found| found.map(|found| found.to_string())).map_err(|error| {
                    assert_eq!(error.kind(), ErrorKind::Policy);
                });
            assert_eq!(answer, complete.map(|found| found.map(str::to_owned)), "{own} / {wanted}");
        }
    }

    #[test]
    fn without_a_scope_of_its_own_a_request_gets_anything_but_wildcards() {
        for (wanted, allowed) in [
            ("repository:a/b:pull,push", true),
            ("registry:catalog:*", true),
            ("", true),
            ("repository:*:*", false),
            ("repository:a:*", false),
        ] {
            let got = whole_scope(&challenge(&format!("scope=\"{wanted}\"")));
            assert_eq!(got.is_ok(), allowed, "{wanted}");
        }
    }

    #[test]
    fn a_realm_must_be_at_the_registry() {
        let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
        for (realm, allowed) in [
            ("https://reg.azurecr.io/oauth2/token", true),
            ("https://REG.azurecr.io:443/elsewhere", true),
            ("http://reg.azurecr.io/oauth2/token", false),
            ("https://reg.azurecr.io:444/oauth2/token", false),
            ("https://reg.azurecr.io.evil.example/oauth2/token", false),
            ("https://reg.azurecr.io@evil.example/oauth2/token", false),
            ("/oauth2/token", false),
            ("", false),
        ] {
            let got = check_realm(&challenge(&format!("realm=\"{realm}\"")), &endpoint);
            assert_eq!(got.is_ok(), allowed, "{realm}");
        }
        assert!(check_realm(&challenge("service=\"r\""), &endpoint).is_ok());
    }

    #[test]
    fn a_scope_that_grows_is_refused_at_a_kibibyte() {
        let mut own = scope("repository:a:pull");
        let error = (0..200)
            .find_map(|n| {
                match completion(&own, &challenge(&format!("scope=\"repository:a:x{n:08}\""))) {
                    Ok(complete) => {
                        own = complete.unwrap();
                        None
                    }
                    Err(error) => Some(error),
                }
            })
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(own.to_string().len() <= MAX_SCOPE);
        let huge = format!("scope=\"repository:{}:pull\"", "a/".repeat(600));
        assert!(whole_scope(&challenge(&huge)).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_asked_names_only_what_the_operation_names(
            own in "repository:[ab]:(pull|push)( registry:catalog:\\*)?",
            wanted in "((repository|registry):[abc*]:(pull|push|delete|\\*) ?){0,3}",
        ) {
            let own = scope(&own);
            if let Ok(Some(complete)) = completion(&own, &challenge(&format!("scope=\"{wanted}\""))) {
                prop_assert!(complete.contains(&own));
                prop_assert!(complete.names_only_resources_of(&own));
            }
        }
    }
}
