//! Reads lifetime and rights out of a token. The alphabet of tokens is base64url.
//!
//! The signature is not verified: we have no key, and nothing is decided by what is
//! read but *when to refresh*, which cached token to try first, and how to word a refusal.

use std::time::{Duration, SystemTime};

use acr_core::{Action, Scope};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer};

/// What a token says about itself; nothing, if it is opaque.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// How long it lives from now.
    ///
    /// From `exp − iat`, which needs no agreement between the clocks; from `exp` and
    /// the local clock when `iat` is absent. Clamped to 30 seconds … 24 hours.
    pub(crate) lifetime: Option<Duration>,
    /// What it permits: the claim `access`.
    pub(crate) granted: Option<Scope>,
}

pub(crate) fn read(token: &str, now: SystemTime) -> Facts {
    let Some(payload) = payload(token) else {
        return Facts::default();
    };
    let times: Option<Times> = serde_json::from_slice(&payload).ok();
    let access: Option<Access> = serde_json::from_slice(&payload).ok();
    Facts {
        lifetime: times.and_then(|times| times.lifetime(now)),
        granted: access.map(Access::into_scope),
    }
}

/// Whether a token says that it ended before now. Only a hint, for this machine's clock may be
/// wrong.
pub(crate) fn has_expired(token: &str, now: SystemTime) -> bool {
    let times = payload(token).and_then(|payload| serde_json::from_slice::<Times>(&payload).ok());
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    times.is_some_and(|times| times.exp <= now)
}

fn payload(token: &str) -> Option<Vec<u8>> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let payload = parts.nth(1)?;
    parts.next()?;
    URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()
}

#[derive(Deserialize)]
struct Times {
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
}

impl Times {
    fn lifetime(&self, now: SystemTime) -> Option<Duration> {
        let start = match self.iat {
            Some(issued) => issued,
            None => now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64(),
        };
        let seconds = (self.exp - start).clamp(SHORTEST, LONGEST);
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[derive(Deserialize)]
struct Access {
    #[serde(deserialize_with = "nullable")]
    access: Vec<Entry>,
}

/// Absent is not `null`: an opaque right is no lack of rights.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Option<Vec<String>>,
}

impl Access {
    fn into_scope(self) -> Scope {
        self.access.into_iter().fold(Scope::empty(), |scope, entry| {
            let actions = entry.actions.unwrap_or_default().into_iter().map(Action::new);
            scope.union(Scope::resource(&entry.kind, &entry.name, actions))
        })
    }
}

/// Real tokens have one to three KiB.
const MAX_TOKEN: usize = 16 * 1024;
const SHORTEST: f64 = 30.0;
const LONGEST: f64 = 86_400.0;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload))
    }

    fn lifetime(token: &str, now: SystemTime) -> Option<Duration> {
        read(token, now).lifetime
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn lifetime_does_not_depend_on_the_local_clock_when_iat_is_there() {
        let token = token(r#"{"exp":1700011700,"iat":1700000000}"#);
        for now in [at(0), at(1_700_000_000), at(4_000_000_000)] {
            assert_eq!(lifetime(&token, now), Some(Duration::from_secs(11_700)));
        }
    }

    #[test]
    fn the_end_of_a_token_is_told_where_it_can_be_read() {
        for (payload, is_over) in [
            (r#"{"exp":1700000000,"iat":1}"#, true),
            (r#"{"exp":1700000001}"#, false),
            (r#"{"exp":1e300}"#, false),
            (r#"{"exp":-1}"#, true),
            (r#"{"exp":"1"}"#, false),
            ("{}", false),
        ] {
            let now = at(1_700_000_000);
            assert_eq!(has_expired(&token(payload), now), is_over, "{payload}");
        }
        assert!(!has_expired("opaque", at(1_700_000_000)));
    }

    #[test]
    fn payloads_that_break_other_decoders() {
        let head = "eyJpc3MiOiJBenVyZSBDb250YWluZXIgUmVnaXN0cnkiLCJhdWQiOiJteXJlZy5henVyZWNyLmlvIiwiZXhwIjoxNzAwMDExNzAwLCJncmFudF90eXBlIjoicmVmcmVzaF90b2tlbiIsIm5vdGUiOi";
        for tail in ["I_PyJ9", "I-Pj4ifQ", "J-fn4_Pz8ifQ", "I_Pj8-In0"] {
            let life = lifetime(&format!("h.{head}{tail}.s"), at(1_700_000_000));
            assert_eq!(life, Some(Duration::from_secs(11_700)), "{tail}");
        }
    }

    #[test]
    fn nonsense_is_clamped_or_nothing() {
        let now = at(1_700_000_000);
        for (payload, seconds) in [
            (r#"{"exp":1,"iat":1000}"#, Some(30)),
            (r#"{"exp":1e300,"iat":0}"#, Some(86_400)),
            (r#"{"exp":1700000100.5}"#, Some(100)),
            (r#"{"exp":"1700000100"}"#, None),
            (r#"{}"#, None),
            ("null", None),
            ("[", None),
        ] {
            assert_eq!(lifetime(&token(payload), now).map(|d| d.as_secs()), seconds, "{payload}");
        }
        let long = |len: usize| {
            let token = token(r#"{"exp":1700000100}"#);
            let signature = "s".repeat(len - token.len());
            token + &signature
        };
        assert_eq!(lifetime(&long(16 * 1024), now), Some(Duration::from_secs(100)));
        assert_eq!(read(&long(16 * 1024 + 1), now), Facts::default());
        for opaque in ["", "a.b", "opaque", "..", "a.%%%.c"] {
            assert_eq!(lifetime(opaque, now), None);
        }
    }

    #[test]
    fn rights_are_read_and_their_absence_is_not_nothing() {
        for (payload, granted) in [
            (
                r#"{"exp":1,"access":[{"type":"repository","name":"a/b","actions":["push","pull"]}]}"#,
                Some("repository:a/b:pull,push"),
            ),
            (
                r#"{"access":[{"type":"registry","name":"catalog","actions":["*"]},{"type":"repository","name":"a","actions":["pull"]}]}"#,
                Some("registry:catalog:* repository:a:pull"),
            ),
            (
                r#"{"access":[{"type":"repository","name":"a","actions":null}]}"#,
                Some("repository:a:"),
            ),
            (r#"{"access":[]}"#, Some("")),
            (r#"{"access":null}"#, Some("")),
            (r#"{"access":"all"}"#, None),
            (r#"{"exp":1}"#, None),
        ] {
            let read = read(&token(payload), at(0)).granted.map(|scope| scope.to_string());
            assert_eq!(read.as_deref(), granted, "{payload}");
        }
    }

    #[test]
    fn a_wrong_clock_matters_only_without_iat() {
        let (day, issued) = (86_400, 1_700_000_000);
        let with = token(r#"{"exp":1700004500,"iat":1700000000}"#);
        let without = token(r#"{"exp":1700004500}"#);
        let before_1970 = SystemTime::UNIX_EPOCH - Duration::from_secs(day);
        for (now, seconds) in [
            (at(issued), Some(4_500)),
            (at(issued + day), Some(30)),
            (at(issued - day), Some(86_400)),
            (before_1970, None),
        ] {
            assert_eq!(lifetime(&with, now), Some(Duration::from_secs(4_500)));
            assert_eq!(lifetime(&without, now).map(|life| life.as_secs()), seconds, "{now:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-zA-Z0-9._=-]{0,80}", payload in "\\PC{0,60}") {
            let _ = read(&text, at(0));
            let _ = read(&token(&payload), at(0));
        }
    }
}
