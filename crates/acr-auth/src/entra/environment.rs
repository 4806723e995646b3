//! Where settings come from: the process environment, or anything that looks like one.

use std::{env, ffi::OsString, fmt, path::PathBuf, sync::Arc};

/// Looks up environment variables.
///
/// The sources read the process environment by default. Another lookup serves tests, and
/// programs that keep their settings elsewhere.
///
/// ```
/// use acr_auth::entra::Environment;
///
/// let environment = Environment::from_fn(|name| match name {
///     "AZURE_TENANT_ID" => Some("contoso.example".into()),
///     _ => None,
/// });
/// assert_eq!(format!("{environment:?}"), "Environment"); // values may be secrets
/// ```
#[derive(Clone)]
pub struct Environment(Arc<Lookup>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl Environment {
    /// The environment of this process.
    pub fn process() -> Self {
        Self::from_fn(|name| env::var_os(name))
    }

    /// Another lookup. Command line tools that a source starts still inherit the process's
    /// own variables; only their program is looked for in this lookup's `PATH`.
    pub fn from_fn(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A variable's text. One that is blank, or no Unicode, counts as not set.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = (self.0)(name)?.into_string().ok()?;
        if text.trim().is_empty() { None } else { Some(text) }
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// A variable's value as a path.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// `PATH`.
    pub(crate) fn search_path(&self) -> OsString {
        (self.0)("PATH").unwrap_or_default()
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::process()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_variable_is_not_set() {
        let environment = Environment::from_fn(|name| match name {
            "BLANK" => Some(" \n".into()),
            "EMPTY" => Some(OsString::new()),
            "SET" => Some("value".into()),
            _ => None,
        });
        for name in ["BLANK", "EMPTY", "ABSENT"] {
            assert_eq!(environment.text(name), None, "{name}");
        }
        assert_eq!(environment.text("SET").as_deref(), Some("value"));
    }
}
