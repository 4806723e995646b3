//! Where in a file a setting stands, for errors.

use std::{fmt, path::Path};

use acr_core::{Error, ErrorKind};

/// A setting of a file. Prints both, and no value.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    file: &'a Path,
    setting: &'static str,
    server: Option<&'a str>,
}

impl<'a> Place<'a> {
    pub(crate) fn new(file: &'a Path, setting: &'static str) -> Self {
        Self { file, setting, server: None }
    }

    /// A setting for one server, named by a key that was read as a server's address.
    pub(crate) fn of(file: &'a Path, setting: &'static str, server: &'a str) -> Self {
        Self { file, setting, server: Some(server) }
    }

    /// What is wrong there.
    pub(crate) fn error(&self, what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Credential, format!("{self}: {what}"))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, setting) = (self.file.display(), self.setting);
        match self.server {
            Some(server) => write!(f, "`{setting}` of `{server}` in `{file}`"),
            None => write!(f, "`{setting}` in `{file}`"),
        }
    }
}
