//! Reads the lifetime out of a token. `base64` is named only here.
//!
//! The signature is not verified: we have no key, and nothing but *when to
//! refresh* is decided by what is read.

use std::time::{Duration, SystemTime};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

/// How long a token lives from now, or `None` when it does not say.
///
/// From `exp − iat`, which needs no agreement between the clocks; from `exp` and
/// the local clock when `iat` is absent. Clamped to 30 seconds … 24 hours.
pub(crate) fn lifetime(token: &str, now: SystemTime) -> Option<Duration> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let payload = parts.nth(1)?;
    parts.next()?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let start = match claims.iat {
        Some(issued) => issued,
        None => now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64(),
    };
    let seconds = (claims.exp - start).clamp(SHORTEST, LONGEST);
    Duration::try_from_secs_f64(seconds).ok()
}

#[derive(Deserialize)]
struct Claims {
    exp: f64,
    #[serde(default)]
    iat: Option<f64>,
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
        for opaque in ["", "a.b", "opaque", "..", "a.%%%.c"] {
            assert_eq!(lifetime(opaque, now), None);
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-zA-Z0-9._=-]{0,80}", payload in "\\PC{0,60}") {
            let _ = lifetime(&text, at(0));
            let _ = lifetime(&token(&payload), at(0));
        }
    }
}
