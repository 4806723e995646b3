//! An entry of `auths`: what one login left in the file.

use acr_core::{Result, Secret};
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::place::Place;
use crate::credential::Credential;

/// What is known of one server. Every part may be absent or empty; all are, where
/// the credential is in a helper.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    auth: Option<Secret>,
    user: Option<Secret>,
    password: Option<Secret>,
    identity_token: Option<Secret>,
    registry_token: Option<Secret>,
}

impl Entry {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { auth, user, password, identity_token, registry_token } = self;
        [auth, user, password, identity_token, registry_token].iter().all(|part| part.is_none())
    }

    /// The credential in here, or `None` for an empty entry.
    pub(crate) fn credential(&self, place: &Place<'_>) -> Result<Option<Credential>> {
        // What `az acr login` leaves: a user without password in `auth`, and the token.
        if let Some(token) = &self.identity_token {
            return Ok(Some(Credential::refresh_token(token.clone())));
        }
        let pair = match (&self.auth, &self.user, &self.password) {
            (Some(auth), _, _) => {
                decode(auth).map_err(|what| place.error(format_args!("`auth` {what}")))?
            }
            (None, Some(user), Some(password)) => (user.clone(), password.clone()),
            (None, None, None) if self.registry_token.is_some() => {
                let text = "only a `registrytoken` is there, an access token for one purpose, \
                            which cannot serve as a login; log in again";
                return Err(place.error(text));
            }
            (None, None, None) => return Ok(None),
            (None, None, Some(_)) => return Err(place.error("a password without a `username`")),
            (None, Some(_), None) => return Err(place.error("a `username` without a password")),
        };
        let (user, password) = pair;
        Ok(Some(Credential::password(user.expose(), password)))
    }
}

/// Reads `user:password` in Base64. As generous as Docker and its kin together:
/// padding may be absent, line breaks and the zero bytes that old versions wrote
/// around a password are dropped.
fn decode(auth: &Secret) -> Result<(Secret, Secret), &'static str> {
    let text: Zeroizing<Vec<u8>> =
        Zeroizing::new(auth.expose().bytes().filter(|b| !matches!(b, b'\r' | b'\n')).collect());
    let bytes = Zeroizing::new(BASE64.decode(&*text).map_err(|_| "is not Base64")?);
    let text = str::from_utf8(&bytes).map_err(|_| "holds something that is not UTF-8")?;
    let (user, password) = text.split_once(':').ok_or("holds no user and password")?;
    let password = password.trim_matches('\0');
    match (user, password) {
        ("", _) => Err("holds no user"),
        (_, "") => Err("holds no password"),
        (user, password) => Ok((Secret::new(user), Secret::new(password))),
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Option::<RawEntry>::deserialize(deserializer)?.unwrap_or_default();
        let part = |text: Option<Zeroizing<String>>| {
            text.filter(|text| !text.is_empty()).map(|text| Secret::new(text.as_str()))
        };
        Ok(Self {
            auth: part(raw.auth),
            user: part(raw.username),
            password: part(raw.password),
            identity_token: part(raw.identitytoken),
            registry_token: part(raw.registrytoken),
        })
    }
}

/// As it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawEntry {
    auth: Option<Zeroizing<String>>,
    username: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
    identitytoken: Option<Zeroizing<String>>,
    registrytoken: Option<Zeroizing<String>>,
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use proptest::prelude::*;

    use super::*;
    use crate::credential::Kind;

    /// `user:password`, or the token after `token:`.
    fn read(json: &str) -> Result<Option<String>, String> {
        let entry: Entry = serde_json::from_str(json).unwrap();
        let place = Place::of(Path::new("/f"), "auths", "reg");
        match entry.credential(&place).map_err(|error| error.to_string())? {
            None => Ok(None),
            Some(Credential(Kind::RefreshToken(token))) => {
                Ok(Some(format!("token:{}", token.expose())))
            }
            Some(Credential(Kind::Password { user, password })) => {
                Ok(Some(format!("{user}:{}", password.expose())))
            }
            Some(Credential(Kind::Unusable(error))) => Err(error.to_string()),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_forms_that_login_commands_write() {
        for (json, expected) in [
            (r#"{"auth":"dXNlcjpwYXNz"}"#, "user:pass"),
            (r#"{"auth":"dXNlcjpwYTpzcw=="}"#, "user:pa:ss"),
            (r#"{"auth":"dXNlcjpwYTpzcw"}"#, "user:pa:ss"),
            (r#"{"auth":"dXNlcjpw\r\nYXNz\n"}"#, "user:pass"),
            (r#"{"auth":"dXNlcjpwYXNzAAA="}"#, "user:pass"),
            (r#"{"auth":"dXNlcjpwYXNz","username":"x","password":"y"}"#, "user:pass"),
            (r#"{"username":"u","password":"p"}"#, "u:p"),
            (r#"{"username":"u","password":"p","email":"a@b","unknown":[1]}"#, "u:p"),
            // As `az acr login` leaves it.
            (
                r#"{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"ey.r.t"}"#,
                "token:ey.r.t",
            ),
            // The user without a name, with the token as the password.
            (
                r#"{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOmV5LnIudA=="}"#,
                "token:ey.r.t",
            ),
            (r#"{"registrytoken":"canary","identitytoken":"i"}"#, "token:i"),
            (r#"{"registrytoken":"canary","auth":"dXNlcjpwYXNz"}"#, "user:pass"),
        ] {
            assert_eq!(read(json).unwrap().unwrap(), expected, "{json}");
        }
        for empty in ["{}", "null", r#"{"auth":""}"#, r#"{"auth":null,"identitytoken":""}"#] {
            assert_eq!(read(empty), Ok(None), "{empty}");
            assert!(serde_json::from_str::<Entry>(empty).unwrap().is_empty());
        }
    }

    #[test]
    fn what_is_no_login_is_an_error_that_says_why_and_shows_nothing() {
        for (json, why) in [
            (r#"{"auth":"!canary!"}"#, "`auth` is not Base64"),
            (r#"{"auth":"Y2FuYXJ5"}"#, "`auth` holds no user and password"),
            (r#"{"auth":"OmNhbmFyeQ=="}"#, "`auth` holds no user"),
            (r#"{"auth":"Y2FuYXJ5Og=="}"#, "`auth` holds no password"),
            (r#"{"auth":"Y2FuYXJ5Ov8="}"#, "`auth` holds something that is not UTF-8"),
            (r#"{"username":"canary"}"#, "a `username` without a password"),
            (r#"{"password":"canary"}"#, "a password without a `username`"),
            (r#"{"registrytoken":"canary"}"#, "only a `registrytoken` is there"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.starts_with("`auths` of `reg` in `/f`: "), "{error}");
            assert!(error.contains(why) && !error.contains("canary"), "{json}: {error}");
        }
    }

    #[test]
    fn debug_shows_no_part() {
        let json = r#"{"auth":"canary","username":"canary","password":"canary","identitytoken":"canary","registrytoken":"canary"}"#;
        let entry: Entry = serde_json::from_str(json).unwrap();
        assert!(!format!("{entry:?}").contains("canary"));
    }

    proptest! {
        #[test]
        fn every_pair_is_read_with_and_without_padding(
            user in "[^:\\x00]{1,30}", password in "[^\\x00]{1,30}"
        ) {
            let pair = format!("{user}:{password}");
            for text in [STANDARD.encode(&pair), STANDARD_NO_PAD.encode(&pair)] {
                let (u, p) = decode(&Secret::new(text)).unwrap();
                prop_assert_eq!((u.expose(), p.expose()), (user.as_str(), password.as_str()));
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&Secret::new(text));
            let _ = decode(&Secret::new(STANDARD.encode(bytes)));
        }
    }
}
