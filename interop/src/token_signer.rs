//! Signs the tokens that `docker-registry` verifies.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Serialize;

use crate::{
    certificates::CertificateAuthority,
    error::{Attempt as _, Result},
};

/// A token service's key, with a certificate under an authority of its own.
///
/// Tokens are JSON web tokens signed with ES256. The certificate travels in the
/// header field `x5c`; the registry checks it against [`TokenSigner::trust_bundle`].
pub struct TokenSigner {
    authority: CertificateAuthority,
    certificate: String,
    key: EcdsaKeyPair,
}

/// One entry of a token's `access` claim: what may be done to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Access {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name.
    pub name: String,
    /// `pull`, `push`, `delete`.
    pub actions: Vec<String>,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    x5c: [&'a str; 1],
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'static str,
    sub: &'static str,
    aud: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
    grant_type: &'static str,
    access: &'a [Access],
}

impl TokenSigner {
    /// Makes a key and an authority.
    ///
    /// # Errors
    ///
    /// When the cryptography library refuses.
    pub fn new() -> Result<Self> {
        let authority = CertificateAuthority::new("interop token authority")?;
        let leaf = authority.issue(&["token-signer"])?;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &leaf.key)
            .attempt(|| "read the signer's key")?;
        Ok(Self { authority, certificate: STANDARD.encode(leaf.certificate), key })
    }

    /// The certificates that a registry must trust to accept this signer (PEM).
    pub fn trust_bundle(&self) -> &str {
        self.authority.pem()
    }

    /// The `iss` claim of every token.
    pub fn issuer(&self) -> &'static str {
        ISSUER
    }

    /// A token for one audience.
    pub(crate) fn access_token(&self, audience: &str, access: &[Access]) -> Result<String> {
        self.sign(audience, "access_token", access)
    }

    /// A token that only asks for other tokens.
    pub(crate) fn refresh_token(&self, audience: &str) -> Result<String> {
        self.sign(audience, "refresh_token", &[])
    }

    fn sign(&self, audience: &str, grant_type: &'static str, access: &[Access]) -> Result<String> {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).attempt(|| "read the clock")?.as_secs();
        let claims = Claims {
            iss: ISSUER,
            sub: "interop",
            aud: audience,
            iat: now,
            nbf: now,
            exp: now.saturating_add(LIFETIME.as_secs()),
            jti: format!("{:032x}", fastrand::u128(..)),
            grant_type,
            access,
        };
        let header = Header { typ: "JWT", alg: "ES256", x5c: [&self.certificate] };
        let signed = format!("{}.{}", part(&header)?, part(&claims)?);
        let signature =
            self.key.sign(&SystemRandom::new(), signed.as_bytes()).attempt(|| "sign a token")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSigner").finish_non_exhaustive()
    }
}

fn part(value: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(value).attempt(|| "write a token")?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

const ISSUER: &str = "interop token service";

/// Longer than any test, shorter than a working day.
const LIFETIME: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_has_three_parts_and_a_signature_of_fixed_length() {
        let signer = TokenSigner::new().unwrap();
        let access =
            Access { kind: "repository".into(), name: "app".into(), actions: vec!["pull".into()] };
        let token = signer.access_token("registry:5000", &[access]).unwrap();
        let parts: Vec<Vec<u8>> =
            token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let [header, claims, signature] = parts.as_slice() else { panic!("{token}") };
        let header: serde_json::Value = serde_json::from_slice(header).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(claims).unwrap();
        assert_eq!(header["alg"], "ES256");
        assert_eq!(claims["aud"], "registry:5000");
        assert_eq!(claims["access"][0]["type"], "repository");
        assert_eq!(claims["access"][0]["actions"][0], "pull");
        assert_eq!(signature.len(), 64, "r and s, 32 bytes each");
    }
}
