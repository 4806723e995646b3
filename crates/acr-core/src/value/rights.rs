//! Which rights were missing.

use std::fmt;

use crate::{http::redact::printable_up_to, value::scope::Scope};

/// The rights that a refused request lacked: a response extension, written by the
/// authentication layer and read when the answer becomes an error.
///
/// ```
/// use acr_core::{Action, MissingRights, RepositoryName, Scope};
///
/// let name: RepositoryName = "library/app".parse()?;
/// let need = Scope::repository(&name, &[Action::METADATA_READ]);
/// let have = Scope::repository(&name, &[Action::PULL]);
/// let missing = MissingRights::new(need, Some(have));
/// assert_eq!(missing.to_string(), "have `pull`, need `metadata_read` on `library/app`");
/// # Ok::<_, acr_core::value::ParseNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRights {
    need: Scope,
    have: Option<Scope>,
    why: Option<String>,
}

impl MissingRights {
    /// What the operation needs, and what the token grants, if it says.
    pub fn new(need: Scope, have: Option<Scope>) -> Self {
        Self { need, have, why: None }
    }

    /// Adds why there are no more, in words: that nobody is signed in, and since when.
    ///
    /// ```
    /// use acr_core::{MissingRights, Scope};
    ///
    /// let missing = MissingRights::new(Scope::catalog(), None).because("nobody is signed in");
    /// assert_eq!(missing.to_string(), "need `*` on `catalog`; nobody is signed in");
    /// ```
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// What the operation needs.
    pub fn need(&self) -> &Scope {
        &self.need
    }

    /// What the token grants, or `None` when it does not say.
    pub fn have(&self) -> Option<&Scope> {
        self.have.as_ref()
    }
}

impl fmt::Display for MissingRights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A resource that lacks nothing is not worth a word, unless nothing seems to lack.
        let granted = self.have.clone().unwrap_or_default();
        let lacking = match self.need.without(&granted) {
            lacking if lacking.is_empty() => self.need.clone(),
            lacking => lacking,
        };
        let mut text = String::new();
        for (index, (name, actions)) in lacking.resources().enumerate() {
            text.push_str(if index == 0 { "" } else { "; " });
            if self.have.is_some() {
                match granted.actions_on(name) {
                    have if have.is_empty() => text.push_str("have nothing, "),
                    have => text.push_str(&format!("have `{have}`, ")),
                }
            }
            text.push_str(&format!("need `{actions}` on `{name}`"));
        }
        // Names and actions can come from a challenge.
        write!(f, "{}", printable_up_to(&text, MAX_TEXT))?;
        match &self.why {
            Some(why) => write!(f, "; {}", printable_up_to(why, MAX_WHY)),
            None => Ok(()),
        }
    }
}

const MAX_TEXT: usize = 512;

/// What was tried to find somebody.
const MAX_WHY: usize = 900;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(need: &str, have: Option<&str>) -> String {
        let have = have.map(Scope::parse_lenient);
        MissingRights::new(Scope::parse_lenient(need), have).to_string()
    }

    #[test]
    fn only_what_is_missing_is_told() {
        assert_eq!(
            told("repository:a:pull,push repository:b:pull", Some("repository:a:pull,push")),
            "have nothing, need `pull` on `b`"
        );
        assert_eq!(
            told("repository:a:pull,push", Some("repository:a:pull,metadata_read")),
            "have `metadata_read,pull`, need `push` on `a`"
        );
        assert_eq!(told("registry:catalog:*", Some("")), "have nothing, need `*` on `catalog`");
        assert_eq!(told("repository:a:pull", None), "need `pull` on `a`");
        assert_eq!(
            told("repository:a:pull", Some("repository:a:pull")),
            "have `pull`, need `pull` on `a`"
        );
    }

    #[test]
    fn names_of_a_hostile_challenge_are_escaped_and_cut() {
        let text = told(&format!("repository:{}:x\u{1b}[31m", "n".repeat(2_000)), None);
        assert!(text.len() < 600 && !text.contains('\u{1b}'));
    }
}
