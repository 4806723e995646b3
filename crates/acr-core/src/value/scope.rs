//! The permission a request needs.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use thiserror::Error as ThisError;

use crate::{
    http::error::{Error, ErrorKind},
    value::name::RepositoryName,
};

/// The permission a request needs: a set of resources and actions.
///
/// Clients attach it to a request as an extension; the authentication layer
/// reads it and fetches a token before the request is sent. Scopes are sorted
/// and merged, so equal needs compare equal and share a token whatever order
/// a server prints the actions in.
///
/// ```
/// use acr_core::{Action, RepositoryName, Scope};
///
/// let name: RepositoryName = "library/hello".parse()?;
/// let push = Scope::repository(&name, &[Action::PUSH, Action::PULL]);
/// assert_eq!(push.to_string(), "repository:library/hello:pull,push");
/// assert_eq!(push, Scope::repository(&name, &[Action::PULL, Action::PUSH]));
/// assert!(push.contains(&Scope::repository(&name, &[Action::PULL])));
///
/// let both = push.clone().union(Scope::catalog());
/// assert!(both.permits(&push) && push.names_only_resources_of(&both));
/// assert!(Scope::empty().is_empty() && !both.has_wildcard());
/// // What a token or a challenge says:
/// let said = Scope::parse_lenient("repository:library/hello:pull,push registry:catalog:*");
/// assert_eq!(said, both);
/// let hello = Scope::resource("repository", "library/hello", [Action::new("pull"), Action::PUSH]);
/// assert_eq!((hello, Action::PULL.as_str()), (push, "pull"));
/// # Ok::<(), acr_core::value::ParseNameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<BTreeMap<Resource, BTreeSet<Action>>>);

/// The text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error(
    "`{}` is not a scope: `type:name:action,action`, such as `repository:library/app:pull`, several separated by one blank",
    crate::http::redact::printable(.text)
)]
pub struct ParseScopeError {
    text: String,
}

/// An action on a resource. Server vocabulary, hence an open set.
///
/// ```
/// use acr_core::Action;
///
/// assert_eq!(Action::new("pull"), Action::PULL);
/// assert_eq!(Action::METADATA_READ.as_str(), "metadata_read");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Action(Cow<'static, str>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Resource {
    kind: Cow<'static, str>,
    name: String,
}

impl Action {
    /// Read manifests and blobs.
    pub const PULL: Self = Self::constant("pull");
    /// Upload blobs and manifests; registries ask for `pull` with it.
    pub const PUSH: Self = Self::constant("push");
    /// Delete repositories, tags, manifests, blobs and upload sessions.
    pub const DELETE: Self = Self::constant("delete");
    /// Read properties and lists.
    pub const METADATA_READ: Self = Self::constant("metadata_read");
    /// Change properties and locks.
    pub const METADATA_WRITE: Self = Self::constant("metadata_write");

    const fn constant(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// An action by its name on the wire.
    pub fn new(name: impl Into<String>) -> Self {
        Self(Cow::Owned(name.into()))
    }

    /// The action's name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Scope {
    /// No permission at all; `GET /v2/` needs a token but no scope.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Permission to list the repositories: `registry:catalog:*`.
    pub fn catalog() -> Self {
        Self::single("registry", "catalog", [Action::constant("*")])
    }

    /// Permission for actions on one repository.
    pub fn repository(name: &RepositoryName, actions: &[Action]) -> Self {
        Self::single("repository", name.as_str(), actions.iter().cloned())
    }

    /// Permission on a resource of any type, as tokens and challenges name them.
    pub fn resource(kind: &str, name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        Self::single(kind, name, actions)
    }

    /// Everything either scope permits.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        let mine = Arc::make_mut(&mut self.0);
        for (resource, actions) in Arc::unwrap_or_clone(other.0) {
            mine.entry(resource).or_default().extend(actions);
        }
        self
    }

    /// Whether this scope permits everything `other` does.
    pub fn contains(&self, other: &Self) -> bool {
        other.0.iter().all(|(resource, actions)| {
            actions.is_empty() || self.0.get(resource).is_some_and(|mine| actions.is_subset(mine))
        })
    }

    /// Whether a token that grants this scope may do all that `need` names. As a grant, `*`
    /// stands for every action and every name; as a need it is a word like any other.
    pub fn permits(&self, need: &Self) -> bool {
        need.without(self).is_empty()
    }

    /// Whether this scope names the same resources as `other`, or fewer.
    pub fn names_only_resources_of(&self, other: &Self) -> bool {
        self.0.keys().all(|resource| other.0.contains_key(resource))
    }

    /// Whether all repositories, or all actions on one, are asked for. Listing the
    /// repositories, `registry:catalog:*`, is no wildcard.
    pub fn has_wildcard(&self) -> bool {
        self.0.iter().any(|(resource, actions)| {
            resource.name.contains('*')
                || (resource.kind != "registry" && actions.contains(&Action::constant("*")))
        })
    }

    /// What is needed here and not granted there.
    #[must_use]
    pub(crate) fn without(&self, granted: &Self) -> Self {
        let any = Action::constant("*");
        let rest = self.0.iter().filter_map(|(resource, actions)| {
            let everywhere = Resource { kind: resource.kind.clone(), name: "*".to_owned() };
            let theirs = [resource, &everywhere].map(|resource| granted.0.get(resource));
            let has = |action: &Action| {
                theirs.iter().flatten().any(|set| set.contains(action) || set.contains(&any))
            };
            let rest: BTreeSet<Action> = actions.iter().filter(|a| !has(a)).cloned().collect();
            (!rest.is_empty()).then(|| (resource.clone(), rest))
        });
        Self(Arc::new(rest.collect()))
    }

    /// The names of the resources and the actions on each, as they are printed.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(resource, actions)| (resource.name.as_str(), listed(actions)))
    }

    /// The actions on all resources of this name, as they are printed.
    pub(crate) fn actions_on(&self, name: &str) -> String {
        let all = self.0.iter().filter(|(resource, _)| [name, "*"].contains(&&*resource.name));
        listed(&all.flat_map(|(_, actions)| actions.clone()).collect())
    }

    /// Whether no permission is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the form `type:name:action,action`, several separated by blanks.
    ///
    /// Entries that are not of this form are left out: a scope read from a
    /// challenge is only ever compared with what an operation needs.
    pub fn parse_lenient(text: &str) -> Self {
        let mut scope = Self::empty();
        for entry in text.split_ascii_whitespace() {
            let (Some((kind, rest)), Some((_, actions))) =
                (entry.split_once(':'), entry.rsplit_once(':'))
            else {
                continue;
            };
            let Some((name, _)) = rest.rsplit_once(':') else {
                continue;
            };
            let actions =
                actions.split(',').filter(|a| !a.is_empty()).map(|a| Action(a.to_owned().into()));
            scope = scope.union(Self::single(kind, name, actions));
        }
        scope
    }

    fn single(kind: &str, name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        let kind = match kind {
            "repository" => Cow::Borrowed("repository"),
            "registry" => Cow::Borrowed("registry"),
            other => Cow::Owned(other.to_owned()),
        };
        let resource = Resource { kind, name: name.to_owned() };
        Self(Arc::new(BTreeMap::from([(resource, actions.into_iter().collect())])))
    }
}

fn listed(actions: &BTreeSet<Action>) -> String {
    actions.iter().map(Action::as_str).collect::<Vec<_>>().join(",")
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    /// Reads what [`Display`](fmt::Display) prints; no text is no permission. Of what a server
    /// says, [`Scope::parse_lenient`] reads as much as can be understood.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseScopeError { text: text.to_owned() };
        if text.is_empty() {
            return Ok(Self::empty());
        }
        text.split(' ').try_fold(Self::empty(), |scope, entry| {
            let (kind, rest) = entry.split_once(':').ok_or_else(refuse)?;
            let (name, actions) = rest.rsplit_once(':').ok_or_else(refuse)?;
            let is_plain =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic());
            if ![kind, name].into_iter().chain(actions.split(',')).all(is_plain) {
                return Err(refuse());
            }
            Ok(scope.union(Self::single(kind, name, actions.split(',').map(Action::new))))
        })
    }
}

impl TryFrom<&str> for Scope {
    type Error = ParseScopeError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ParseScopeError> for Error {
    fn from(error: ParseScopeError) -> Self {
        Self::new(ErrorKind::InvalidInput, error.to_string())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (resource, actions)) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            write!(f, "{blank}{}:{}:{}", resource.kind, resource.name, listed(actions))?;
        }
        Ok(())
    }
}

impl AsRef<str> for Action {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Action {
    fn eq(&self, text: &str) -> bool {
        self.as_str() == text
    }
}

impl PartialEq<&str> for Action {
    fn eq(&self, text: &&str) -> bool {
        self.as_str() == *text
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes() -> impl Strategy<Value = Scope> {
        let entry = ("[a-c]", proptest::sample::subsequence(vec!["pull", "push", "delete"], 1..=3))
            .prop_map(|(name, actions)| format!("repository:{name}:{}", actions.join(",")));
        proptest::collection::vec(entry, 0..4).prop_map(|e| Scope::parse_lenient(&e.join(" ")))
    }

    #[test]
    fn order_of_actions_and_entries_does_not_matter() {
        let a = Scope::parse_lenient("repository:a:push,pull repository:b:pull");
        let b = Scope::parse_lenient("repository:b:pull repository:a:pull,push");
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "repository:a:pull,push repository:b:pull");
    }

    #[test]
    fn a_scope_is_read_as_it_is_printed_and_nothing_else() {
        for good in [
            "",
            "registry:catalog:*",
            "repository:library/app:pull,push",
            "repository:host:5000/x:pull",
            "repository:a:pull repository:b:delete",
        ] {
            assert_eq!(good.parse::<Scope>().unwrap().to_string(), good);
        }
        for bad in [
            "pull",
            "repository:a",
            "repository:a:",
            "repository::pull",
            ":a:pull",
            "repository:a:pull,",
            " repository:a:pull",
            "repository:a:pull  repository:b:pull",
            "repository:a:pull\nrepository:b:pull",
            "repository:\u{e9}:pull",
        ] {
            let error = bad.parse::<Scope>().unwrap_err().to_string();
            assert!(error.contains("repository:library/app:pull"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_name_with_a_port_keeps_its_colon() {
        let scope = Scope::parse_lenient("repository:host:5000/x:pull");
        assert_eq!(scope.to_string(), "repository:host:5000/x:pull");
    }

    #[test]
    fn nonsense_is_left_out() {
        assert!(Scope::parse_lenient("x y:z ::").to_string().len() <= 2);
        assert!(Scope::parse_lenient("").is_empty());
    }

    #[test]
    fn wildcards_and_strange_resources_are_told_apart() {
        for (text, wildcard) in [
            ("registry:catalog:*", false),
            ("repository:a:pull", false),
            ("repository:*:pull", true),
            ("repository:a/*:pull", true),
            ("repository:a:*", true),
            ("registry:*:*", true),
            ("", false),
        ] {
            assert_eq!(Scope::parse_lenient(text).has_wildcard(), wildcard, "{text}");
        }
        let own = Scope::parse_lenient("repository:a:pull");
        for (text, same) in [
            ("repository:a:pull,push", true),
            ("", true),
            ("repository:b:pull", false),
            ("registry:a:pull", false),
            ("repository:a:pull repository:b:pull", false),
        ] {
            assert_eq!(Scope::parse_lenient(text).names_only_resources_of(&own), same, "{text}");
        }
    }

    #[test]
    fn a_granted_star_permits_everything_and_a_needed_one_only_itself() {
        for (granted, need, permitted) in [
            ("repository:a:*", "repository:a:pull,push", true),
            ("repository:*:pull", "repository:a:pull", true),
            ("repository:*:pull repository:a:push", "repository:a:pull,push", true),
            ("repository:*:*", "repository:a:delete", true),
            ("repository:*:*", "registry:catalog:*", false),
            ("repository:a:*", "repository:b:pull", false),
            ("repository:a:pull", "repository:a:*", false),
            ("registry:catalog:*", "registry:catalog:*", true),
            ("", "", true),
        ] {
            let (granted, need) = (Scope::parse_lenient(granted), Scope::parse_lenient(need));
            assert_eq!(granted.permits(&need), permitted, "{granted} / {need}");
        }
    }

    proptest! {
        #[test]
        fn what_is_without_is_the_rest(a in scopes(), b in scopes()) {
            let rest = a.without(&b);
            prop_assert!(a.contains(&rest));
            prop_assert_eq!(rest.is_empty(), b.contains(&a));
            prop_assert_eq!(b.clone().union(rest), b.union(a));
        }

        #[test]
        fn union_is_associative_commutative_idempotent(a in scopes(), b in scopes(), c in scopes()) {
            prop_assert_eq!(a.clone().union(b.clone()).union(c.clone()), a.clone().union(b.clone().union(c)));
            prop_assert_eq!(a.clone().union(b.clone()), b.clone().union(a.clone()));
            prop_assert_eq!(&a.clone().union(a.clone()), &a);
            prop_assert!(a.clone().union(b.clone()).contains(&a));
            prop_assert!(a.contains(&b) == (a.clone().union(b.clone()) == a));
        }

        #[test]
        fn printing_and_reading_agree(scope in scopes()) {
            prop_assert_eq!(Scope::parse_lenient(&scope.to_string()), scope);
        }

        #[test]
        fn reading_never_panics(text in ".{0,60}") {
            let _ = Scope::parse_lenient(&text).to_string();
        }
    }
}
