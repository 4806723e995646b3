//! Where settings come from: the process environment, or anything that looks like one.

use std::{env, ffi::OsString, fmt, path::PathBuf, sync::Arc};

use acr_core::{Error, ErrorKind, Result};

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
    ///
    /// ```
    /// use acr_auth::entra::{Environment, SourceOptions};
    ///
    /// let source = SourceOptions::new().environment(Environment::process());
    /// # let _ = source;
    /// ```
    pub fn process() -> Self {
        Self::from_fn(|name| env::var_os(name))
    }

    /// Another lookup. Command line tools that a source starts still inherit the process's
    /// own variables; only their program is looked for in this lookup's `PATH`.
    ///
    /// ```
    /// use acr_auth::entra::Environment;
    ///
    /// let source = Environment::from_fn(|name| (name == "AZURE_CLIENT_ID").then(|| "<id>".into()));
    /// # let _ = source;
    /// ```
    pub fn from_fn(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// A variable's text. One that is blank, or no Unicode, counts as not set.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = (self.0)(name)?.into_string().ok()?;
        if text.trim().is_empty() { None } else { Some(text) }
    }

    /// The same for a variable that must not count as not set when it is no Unicode, since
    /// another identity or another authority would be used.
    pub(crate) fn text_or_none(&self, name: &str) -> Result<Option<String>> {
        let text = self.text(name);
        if text.is_none() && self.is_set(name) {
            let text = format!("{name} {}; correct or unset it", self.lack(name));
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(text)
    }

    /// Whether a variable holds anything but blanks, be it of use or not.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        (self.0)(name).is_some_and(|value| value.to_str().is_none_or(|t| !t.trim().is_empty()))
    }

    /// Why a variable has no [text](Self::text): for messages.
    pub(crate) fn lack(&self, name: &str) -> &'static str {
        match (self.0)(name) {
            None => "is not set",
            Some(value) if value.to_str().is_some() => "is empty",
            Some(_) => "is not Unicode",
        }
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

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_unicode_is_set_all_the_same() {
        use std::os::unix::ffi::OsStringExt as _;

        let environment =
            Environment::from_fn(|name| (name == "ODD").then(|| OsString::from_vec(vec![0xff])));
        assert!(environment.is_set("ODD") && !environment.is_set("ABSENT"));
        assert_eq!((environment.text("ODD"), environment.lack("ODD")), (None, "is not Unicode"));
    }

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
            assert!(!environment.is_set(name), "{name}");
        }
        let lacks = ["BLANK", "EMPTY", "ABSENT"].map(|name| environment.lack(name));
        assert_eq!(lacks, ["is empty", "is empty", "is not set"]);
        assert_eq!(environment.text("SET").as_deref(), Some("value"));
    }
}
