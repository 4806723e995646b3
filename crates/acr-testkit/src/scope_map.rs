//! What an identity may do: the scope maps of the registry's control plane.

use std::{fs, io, path::Path, str::FromStr};

use acr_core::RepositoryName;
use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

/// What an identity may do, in the words of the registry's scope maps.
///
/// An action is `repositories/NAME/content/read`, with the endings `content/read` (`pull`),
/// `content/write` (`push`), `content/delete` (`delete`), `metadata/read` and `metadata/write`.
/// NAME is a repository, a prefix such as `samples/*`, or `*` for all. As on the real service
/// no action lists the repositories; [`ScopeMap::catalog`] stands for the role that does.
///
/// ```
/// use acr_testkit::{FakeRegistry, ScopeMap};
///
/// let map = ScopeMap::parse([
///     "repositories/samples/*/content/read",
///     "repositories/samples/*/metadata/read",
///     "repositories/ci/cache/content/write",
/// ])?;
/// let registry = FakeRegistry::builder().scoped_user("ci", "password", map).build();
/// assert!(ScopeMap::parse(["repositories/a/content/fly"]).is_err());
/// # Ok::<_, acr_testkit::ParseScopeMapError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeMap {
    rules: Vec<Rule>,
    /// The registry's own resources, such as `catalog`.
    registry: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    /// A name, `prefix/*`, or `*`.
    pattern: String,
    actions: Vec<String>,
}

/// The text is not an action of a scope map.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
#[error(
    "`{0}` is not `repositories/NAME/` and one of content/read, content/write, content/delete, metadata/read, metadata/write"
)]
pub struct ParseScopeMapError(String);

impl ScopeMap {
    /// Reads actions.
    ///
    /// # Errors
    ///
    /// When one of them is malformed; the error names it.
    pub fn parse<T: AsRef<str>>(
        actions: impl IntoIterator<Item = T>,
    ) -> Result<Self, ParseScopeMapError> {
        let mut map = Self::default();
        for action in actions {
            let action = action.as_ref();
            let malformed = || ParseScopeMapError(action.escape_debug().to_string());
            let (pattern, granted) = read(action).ok_or_else(malformed)?;
            map.add(pattern, &[granted]);
        }
        Ok(map)
    }

    /// Adds the right to list the repositories.
    #[must_use]
    pub fn catalog(mut self) -> Self {
        self.registry.push("catalog".to_owned());
        self
    }

    /// Every right there is.
    pub(crate) fn all() -> Self {
        let mut map = Self::default();
        let deleted = ["deleted_read", "deleted_restore", "*"];
        map.add("*", &[&ACTIONS.map(|(_, granted)| granted)[..], &deleted[..]].concat());
        map.registry = ["catalog", "deleted_catalog"].map(str::to_owned).to_vec();
        map
    }

    /// The rights of anonymous pull, the list of repositories among them.
    pub(crate) fn reader() -> Self {
        let mut map = Self::default().catalog();
        map.add("*", &["pull", "metadata_read"]);
        map
    }

    /// What may be done with a resource, in the order that the registry names actions.
    pub(crate) fn allowed(&self, kind: &str, name: &str) -> Vec<&str> {
        match kind {
            "registry" if self.registry.iter().any(|own| own == name) => vec!["*"],
            "repository" => {
                let mut allowed = Vec::new();
                for rule in self.rules.iter().filter(|rule| rule.fits(name)) {
                    for action in &rule.actions {
                        if !allowed.contains(&action.as_str()) {
                            allowed.push(action.as_str());
                        }
                    }
                }
                allowed
            }
            _ => Vec::new(),
        }
    }

    /// Whether any repository may be treated so.
    pub(crate) fn allows_somewhere(&self, action: &str) -> bool {
        self.rules.iter().any(|rule| rule.actions.iter().any(|own| own == action))
    }

    fn add(&mut self, pattern: &str, actions: &[&str]) {
        let actions = actions.iter().map(|&action| action.to_owned());
        match self.rules.iter_mut().find(|rule| rule.pattern == pattern) {
            Some(rule) => rule.actions.extend(actions),
            None => {
                let (pattern, actions) = (pattern.to_owned(), actions.collect());
                self.rules.push(Rule { pattern, actions });
            }
        }
    }
}

impl FromStr for ScopeMap {
    type Err = ParseScopeMapError;

    /// Reads actions that are parted by commas or blanks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.split([',', ' ', '\n']).filter(|action| !action.is_empty()))
    }
}

impl Rule {
    fn fits(&self, name: &str) -> bool {
        match self.pattern.strip_suffix('*') {
            None => name == self.pattern,
            Some(prefix) => name.starts_with(prefix),
        }
    }
}

/// What a file of scope maps holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ScopeMapFile {
    #[serde(default)]
    pub(crate) abac: bool,
    #[serde(default)]
    scope_maps: Vec<Named>,
    #[serde(default)]
    tokens: Vec<TokenEntry>,
    #[serde(default)]
    entra_tokens: Vec<EntraEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    name: String,
    actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenEntry {
    name: String,
    passwords: Vec<String>,
    scope_map: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EntraEntry {
    token: String,
    scope_map: String,
    #[serde(default)]
    catalog: bool,
}

impl ScopeMapFile {
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let named = |error: &dyn std::fmt::Display| {
            io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {error}", path.display()))
        };
        let text = fs::read(path)
            .map_err(|error| io::Error::new(error.kind(), named(&error).to_string()))?;
        let file: Self = serde_json::from_slice(&text).map_err(|error| named(&error))?;
        let names = file.tokens.iter().map(|token| &token.scope_map);
        for name in names.chain(file.entra_tokens.iter().map(|token| &token.scope_map)) {
            file.map(name).map_err(|error| named(&error))?;
        }
        Ok(file)
    }

    /// Name, password and rights of each token.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = (&str, &str, ScopeMap)> {
        self.tokens.iter().flat_map(|token| {
            let map = self.map(&token.scope_map).unwrap_or_default();
            let passwords = token.passwords.iter();
            passwords.map(move |password| (token.name.as_str(), password.as_str(), map.clone()))
        })
    }

    /// Each Entra token and what its owner may do.
    pub(crate) fn entra_tokens(&self) -> impl Iterator<Item = (&str, ScopeMap)> {
        self.entra_tokens.iter().map(|entry| {
            let map = self.map(&entry.scope_map).unwrap_or_default();
            (entry.token.as_str(), if entry.catalog { map.catalog() } else { map })
        })
    }

    fn map(&self, name: &str) -> Result<ScopeMap, String> {
        let found = self.scope_maps.iter().find(|map| map.name == name);
        let found = found.ok_or_else(|| format!("there is no scope map `{name}`"))?;
        ScopeMap::parse(&found.actions).map_err(|error| error.to_string())
    }
}

/// The pattern and the action of `repositories/NAME/content/read`.
fn read(action: &str) -> Option<(&str, &'static str)> {
    let rest = action.strip_prefix("repositories/")?;
    let (ending, granted) = ACTIONS
        .iter()
        .find(|(ending, _)| rest.strip_suffix(ending).is_some_and(|name| name.ends_with('/')))?;
    let pattern = rest.strip_suffix(ending)?.strip_suffix('/')?;
    let name = match pattern {
        "*" => return Some((pattern, granted)),
        pattern => pattern.strip_suffix("/*").unwrap_or(pattern),
    };
    name.parse::<RepositoryName>().is_ok().then_some((pattern, *granted))
}

/// The actions of scope maps and those of tokens.
const ACTIONS: [(&str, &str); 5] = [
    ("content/read", "pull"),
    ("content/write", "push"),
    ("content/delete", "delete"),
    ("metadata/read", "metadata_read"),
    ("metadata/write", "metadata_write"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_names_prefixes_or_all() {
        let map = ScopeMap::parse([
            "repositories/a/b/content/read",
            "repositories/samples/*/content/read",
            "repositories/samples/*/content/write",
            "repositories/*/metadata/read",
        ])
        .unwrap();
        for (name, allowed) in [
            ("a/b", &["pull", "metadata_read"][..]),
            ("a/b/c", &["metadata_read"][..]),
            ("samples/x/y", &["pull", "push", "metadata_read"][..]),
            ("samples", &["metadata_read"][..]),
            ("*", &["metadata_read"][..]),
        ] {
            assert_eq!(map.allowed("repository", name), allowed, "{name}");
        }
        assert!(map.allowed("registry", "catalog").is_empty());
        assert_eq!(map.catalog().allowed("registry", "catalog"), ["*"]);
    }

    #[test]
    fn malformed_actions_are_refused() {
        for bad in [
            "",
            "repositories/a",
            "repositories/content/read",
            "repositories//content/read",
            "repositories/A/content/read",
            "repositories/a*/content/read",
            "repositories/*/b/content/read",
            "repositories/a/content/*",
            "a/content/read",
        ] {
            assert!(ScopeMap::parse([bad]).is_err(), "{bad}");
        }
        let text = "repositories/a/content/read, repositories/b/content/read";
        assert_eq!(text.parse::<ScopeMap>().unwrap().rules.len(), 2);
    }

    #[test]
    fn a_file_names_what_is_wrong_with_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("maps.json");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            ScopeMapFile::read(&path)
        };
        let good = r#"{"scopeMaps":[{"name":"m","actions":["repositories/a/content/read"]}],
            "tokens":[{"name":"t","passwords":["p1","p2"],"scopeMap":"m"}],
            "entraTokens":[{"token":"e","scopeMap":"m","catalog":true}]}"#;
        let file = read(good).unwrap();
        let tokens: Vec<_> = file.tokens().map(|(name, password, _)| (name, password)).collect();
        assert_eq!(tokens, [("t", "p1"), ("t", "p2")]);
        assert_eq!(file.entra_tokens().next().unwrap().1.allowed("registry", "catalog"), ["*"]);
        for (text, part) in [
            (good.replace(r#""scopeMap":"m""#, r#""scopeMap":"n""#), "no scope map `n`"),
            (good.replace("content/read", "content/fly"), "content/fly"),
            (good.replace("passwords", "password"), "unknown field"),
        ] {
            let error = read(&text).err().unwrap().to_string();
            assert!(error.contains(part) && error.contains("maps.json"), "{error}");
        }
        assert!(ScopeMapFile::read(Path::new("/nonexistent")).is_err());
    }
}
