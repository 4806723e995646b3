//! The registry's own tokens: minted, signed and read here, kept nowhere.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{
    access::{Grant, Wildcards},
    jwt_shape::JwtShape,
    scope_map::ScopeMap,
    seal::Key,
};

/// What a token says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    jti: String,
    sub: String,
    nbf: i64,
    pub(crate) exp: i64,
    iat: i64,
    iss: String,
    aud: String,
    version: String,
    rid: String,
    grant_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    appid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Vec<Grant>>,
    roles: Vec<String>,
    /// Only on registries with permissions by attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    aad_identity: Option<String>,
    /// What a refresh token's owner may do; the real token has no such claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    rights: Option<ScopeMap>,
    /// How often refresh tokens had been revoked when this one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    marker: String,
    /// Letters that give the token the shape asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Which of the two tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Refresh,
    Access,
}

/// What all tokens of one call have in common.
#[derive(Debug)]
pub(crate) struct Issue<'a> {
    pub(crate) id: String,
    pub(crate) service: &'a str,
    pub(crate) now: i64,
    pub(crate) lifetime: i64,
    pub(crate) shape: JwtShape,
    pub(crate) generation: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Permissions {
    actions: Vec<String>,
    not_actions: Option<Vec<String>>,
}

/// A refresh token of an identity with these rights.
pub(crate) fn refresh(
    key: &Key,
    issue: Issue<'_>,
    rights: ScopeMap,
    wildcards: Wildcards,
) -> String {
    let shape = issue.shape;
    let mut claims = common(issue, TokenKind::Refresh);
    claims.appid = Some("00000000-0000-0000-0000-000000000000".to_owned());
    if wildcards == Wildcards::PassedOver {
        claims.aad_identity = Some("00000000-0000-0000-0000-000000000001".to_owned());
    }
    let actions = [("pull", "read"), ("push", "write"), ("delete", "delete")];
    let actions = actions.iter().filter(|(action, _)| rights.allows_somewhere(action));
    let actions = actions.map(|(_, name)| (*name).to_owned()).collect();
    claims.permissions = Some(Permissions { actions, not_actions: None });
    claims.rights = Some(rights);
    sign(key, TokenKind::Refresh, shape, claims)
}

/// An access token with these grants.
pub(crate) fn access(key: &Key, issue: Issue<'_>, grants: Vec<Grant>) -> String {
    let shape = issue.shape;
    let mut claims = common(issue, TokenKind::Access);
    claims.access = Some(grants);
    sign(key, TokenKind::Access, shape, claims)
}

/// Reads a token of a kind that this registry signed and that has not expired.
pub(crate) fn verify(key: &Key, kind: TokenKind, token: &str, now: i64) -> Option<Claims> {
    let (message, signature) = token.rsplit_once('.')?;
    if key.sign(kind.label(), message.as_bytes()) != signature {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(message.split_once('.')?.1).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    (now < claims.exp).then_some(claims)
}

/// A token as Entra would issue it, for the audience of the registry.
pub(crate) fn entra(key: &Key, id: &str, now: i64) -> String {
    let payload = serde_json::json!({
        "aud": ENTRA_AUDIENCE, "iss": "https://sts.windows.net/canary/", "iat": now, "nbf": now,
        "exp": now.saturating_add(ENTRA_LIFETIME), "oid": id, "marker": "canary-entra",
    });
    encode(key, "canary-entra-000", &payload)
}

/// Whether a text is a token for another audience than the registry's.
pub(crate) fn is_for_another_audience(token: &str) -> bool {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<serde_json::Value> =
        payload.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let audience = claims.as_ref().and_then(|claims| claims.get("aud")?.as_str());
    audience.is_some_and(|audience| audience != ENTRA_AUDIENCE)
}

impl Claims {
    pub(crate) fn grants(&self) -> &[Grant] {
        self.access.as_deref().unwrap_or_default()
    }

    pub(crate) fn into_rights(self) -> ScopeMap {
        self.rights.unwrap_or_default()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.unwrap_or(0)
    }
}

impl TokenKind {
    fn label(self) -> &'static str {
        match self {
            Self::Refresh => "canary-refresh-0",
            Self::Access => "canary-access-00",
        }
    }

    fn marker(self) -> &'static str {
        match self {
            Self::Refresh => "canary-refresh",
            Self::Access => "canary-access",
        }
    }

    fn grant_type(self) -> &'static str {
        match self {
            Self::Refresh => "refresh_token",
            Self::Access => "access_token",
        }
    }
}

fn common(issue: Issue<'_>, kind: TokenKind) -> Claims {
    Claims {
        jti: issue.id,
        sub: "canary-identity".to_owned(),
        nbf: issue.now,
        exp: issue.now.saturating_add(issue.lifetime),
        iat: issue.now,
        iss: "Azure Container Registry".to_owned(),
        aud: issue.service.to_owned(),
        version: "1.0".to_owned(),
        rid: "0000000000000000".to_owned(),
        grant_type: kind.grant_type().to_owned(),
        appid: None,
        permissions: None,
        access: None,
        roles: Vec::new(),
        aad_identity: None,
        rights: None,
        generation: Some(issue.generation).filter(|generation| *generation > 0),
        marker: kind.marker().to_owned(),
        note: None,
    }
}

fn sign(key: &Key, kind: TokenKind, shape: JwtShape, mut claims: Claims) -> String {
    claims.note = shape.note(|note| {
        let claims = Claims { note: Some(note.to_owned()), ..claims.clone() };
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default())
    });
    encode(key, kind.label(), &claims)
}

fn encode<T: Serialize>(key: &Key, label: &'static str, payload: &T) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT","kid":"FAKE"}"#);
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(payload).unwrap_or_default());
    let message = format!("{header}.{payload}");
    let signature = key.sign(label, message.as_bytes());
    format!("{message}.{signature}")
}

const ENTRA_AUDIENCE: &str = "https://containerregistry.azure.net";

/// An hour, as Entra's tokens last at least.
const ENTRA_LIFETIME: i64 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    fn issue() -> Issue<'static> {
        Issue {
            id: "id".to_owned(),
            service: "r",
            now: 1000,
            lifetime: 60,
            shape: JwtShape::default(),
            generation: 0,
        }
    }

    #[test]
    fn a_token_is_read_only_as_what_it_is_and_until_it_expires() {
        let key = Key::new(&mut fastrand::Rng::with_seed(1));
        let token = access(&key, issue(), Vec::new());
        assert!(token.contains("canary"));
        assert!(verify(&key, TokenKind::Access, &token, 1059).is_some());
        assert!(verify(&key, TokenKind::Access, &token, 1060).is_none());
        assert!(verify(&key, TokenKind::Refresh, &token, 1000).is_none());
        assert!(
            verify(&key, TokenKind::Access, &token.replace("canary", "canarz"), 1000).is_none()
        );
        let other = Key::new(&mut fastrand::Rng::with_seed(2));
        assert!(verify(&other, TokenKind::Access, &token, 1000).is_none());
    }

    #[test]
    fn claims_are_those_of_the_registry() {
        let key = Key::new(&mut fastrand::Rng::with_seed(1));
        let token = refresh(&key, issue(), ScopeMap::all(), Wildcards::Granted);
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(claims["exp"], 1060);
        assert_eq!(claims["grant_type"], "refresh_token");
        assert_eq!(claims["marker"], "canary-refresh");
        let permissions =
            serde_json::json!({"Actions":["read","write","delete"],"NotActions":null});
        assert_eq!(claims["permissions"], permissions);
        assert!(!is_for_another_audience(&entra(&key, "x", 0)));
        assert!(is_for_another_audience(&token));
    }
}
