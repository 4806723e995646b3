//! What the registry signs: tokens, download links and upload states.
//!
//! Every signature begins with the word `canary`, so that a test can search logs for
//! anything that leaked.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The registry's secret.
#[derive(Clone)]
pub(crate) struct Key([u8; 32]);

impl Key {
    pub(crate) fn new(random: &mut fastrand::Rng) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self(key)
    }

    /// The key that an earlier process made.
    #[cfg(feature = "persist")]
    pub(crate) fn restore(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The key as text, for the registry's own folder only.
    #[cfg(feature = "persist")]
    pub(crate) fn save(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// A signature as base64url text that starts with a 16-letter label.
    pub(crate) fn sign(&self, label: &'static str, message: &[u8]) -> String {
        let mac = self.mac(label, message);
        // 30 bytes are 40 letters without padding; with the label the whole is valid base64url.
        let text = URL_SAFE_NO_PAD.encode(mac.get(..30).unwrap_or_default());
        format!("{label}{text}")
    }

    /// The 32 bytes in front of an upload state; as base64 they begin with the marker.
    pub(crate) fn state_mac(&self, message: &[u8]) -> Vec<u8> {
        let mut bytes = URL_SAFE_NO_PAD.decode(STATE_MARKER).unwrap_or_default();
        let rest = STATE_MAC_LEN.saturating_sub(bytes.len());
        bytes.extend(self.mac(STATE_MARKER, message).into_iter().take(rest));
        bytes
    }

    fn mac(&self, label: &str, message: &[u8]) -> Vec<u8> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return Vec::new(); // HMAC takes keys of any length.
        };
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The length of the signature in front of an upload state.
pub(crate) const STATE_MAC_LEN: usize = 32;

const STATE_MARKER: &str = "canarystate-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_carry_the_marker_and_stay_base64() {
        let key = Key::new(&mut fastrand::Rng::with_seed(1));
        let signature = key.sign("canary-access-00", b"text");
        assert!(signature.starts_with("canary-access-00"));
        assert_eq!(URL_SAFE_NO_PAD.decode(&signature).unwrap().len(), 42);
        assert_ne!(signature, key.sign("canary-access-00", b"texts"));
        let mac = key.state_mac(b"text");
        assert_eq!(mac.len(), STATE_MAC_LEN);
        assert!(URL_SAFE_NO_PAD.encode(mac).starts_with("canarystate-"));
    }
}
