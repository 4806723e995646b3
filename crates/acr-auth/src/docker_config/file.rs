//! One file: read, bounded, and asked for a server.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use acr_core::{Endpoint, Error, ErrorKind, Result};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{entry::Entry, place::Place, server_key};

/// A `config.json` or `auth.json`.
#[derive(Clone, Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    settings: Settings,
}

/// Where a file says that a server's credential is.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// In the file itself.
    Entry(Place<'a>, &'a Entry),
    /// With the helper of this name.
    Helper(Place<'a>, &'a str),
}

/// What of a file matters here. Docker reads `null` as absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, Option<String>>>,
    creds_store: Option<String>,
}

impl ConfigFile {
    /// Reads a file; `None` if there is none.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        match contents(path) {
            Ok(bytes) => Self::parse(path, &bytes).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let text = format!("cannot read `{}`", path.display());
                Err(Error::new(ErrorKind::Credential, text).with_source(error))
            }
        }
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let path = path.to_owned();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { path, settings: Settings::default() });
        }
        match serde_json::from_slice(bytes) {
            Ok(settings) => Ok(Self { path, settings }),
            // The error itself would show a piece of the file.
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let path = path.display();
                let text =
                    format!("`{path}` is no Docker configuration: line {line}, column {column}");
                Err(Error::new(ErrorKind::Credential, text))
            }
        }
    }

    /// Where the server's credential is, by Docker's rules: a helper that is named
    /// for the server decides alone, and so does a store for all.
    pub(crate) fn source(&self, endpoint: &Endpoint) -> Option<Source<'_>> {
        let Settings { auths, cred_helpers, creds_store } = &self.settings;
        let helper = of_server(cred_helpers.as_ref(), endpoint).next();
        // An empty name switches the store off for this server.
        let helper = helper.map(|(key, name)| (Some(key), name.as_deref().unwrap_or_default()));
        let store = creds_store.as_deref().map(|name| (None, name));
        if let Some((key, name)) = helper.or(store).filter(|(_, name)| !name.is_empty()) {
            let place = match key {
                Some(key) => Place::of(&self.path, "credHelpers", key),
                None => Place::new(&self.path, "credsStore"),
            };
            return Some(Source::Helper(place, name));
        }
        let (key, entry) =
            of_server(auths.as_ref(), endpoint).find(|(_, entry)| !entry.is_empty())?;
        Some(Source::Entry(Place::of(&self.path, "auths", key), entry))
    }
}

/// The values for a server: first the one under its plain name, then the ones
/// under other spellings.
fn of_server<'a, T>(
    map: Option<&'a BTreeMap<String, T>>,
    endpoint: &Endpoint,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    let name = endpoint.authority();
    let exact = map.and_then(|map| map.get_key_value(name));
    let others = map.into_iter().flatten();
    let others = others.filter(move |(key, _)| *key != name && server_key::is_for(key, endpoint));
    exact.into_iter().chain(others).map(|(key, value)| (key.as_str(), value))
}

fn contents(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // A pipe or a device could block for ever.
    let data = fs::metadata(path)?;
    if !data.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // Large enough from the start: to grow would leave copies behind.
    let size = usize::try_from(data.len().min(MAX_FILE)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + SPARE));
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= MAX_FILE) {
        Ok(bytes)
    } else {
        Err(io::Error::other(format!("larger than {MAX_FILE} bytes")))
    }
}

/// Hundreds of logins.
const MAX_FILE: u64 = 1 << 20;

/// What reading needs beyond the bytes to see that there are no more.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the credential for a server is: `setting=helper` or the setting's place.
    fn source(json: &str, server: &str) -> Option<String> {
        let file = ConfigFile::parse(Path::new("/f"), json.as_bytes()).unwrap();
        file.source(&server.parse().unwrap()).map(|source| match source {
            Source::Entry(place, _) => place.to_string(),
            Source::Helper(place, name) => format!("{place} = {name}"),
        })
    }

    #[test]
    fn a_helper_for_the_server_then_the_store_then_the_file() {
        let all = r#"{
            "auths": {"a.io": {"auth": "x"}, "b.io": {"auth": "x"}, "c.io": {"auth": "x"}},
            "credHelpers": {"a.io": "one", "c.io": ""},
            "credsStore": "two"
        }"#;
        for (server, expected) in [
            ("a.io", "`credHelpers` of `a.io` in `/f` = one"),
            ("b.io", "`credsStore` in `/f` = two"),
            ("c.io", "`auths` of `c.io` in `/f`"),
            ("d.io", "`credsStore` in `/f` = two"),
            ("a.io:5000", "`credsStore` in `/f` = two"),
        ] {
            assert_eq!(source(all, server).as_deref(), Some(expected), "{server}");
        }
    }

    #[test]
    fn an_entry_is_found_under_every_spelling_of_its_server_and_no_other() {
        let keys = r#"{"auths": {
            "https://a.io/v1/": {"auth": "x"},
            "https://b.io": {"auth": "x"}, "b.io": {},
            "c.io": {"auth": "x"}, "https://c.io": {"auth": "y"},
            "d.io:5000": {"auth": "x"},
            "e.io/namespace": {"auth": "x"},
            "*.f.io": {"auth": "x"}, "*": {"auth": "x"},
            "https://index.docker.io/v1/": {"auth": "x"}
        }, "credHelpers": {"*.g.io": "h", "https://h.io/v2/": "h"}}"#;
        for (server, expected) in [
            ("a.io", Some("`auths` of `https://a.io/v1/` in `/f`")),
            ("b.io", Some("`auths` of `https://b.io` in `/f`")),
            ("c.io", Some("`auths` of `c.io` in `/f`")),
            ("d.io", None),
            ("d.io:5000", Some("`auths` of `d.io:5000` in `/f`")),
            ("e.io", None),
            ("x.f.io", None),
            ("x.g.io", None),
            ("h.io", Some("`credHelpers` of `https://h.io/v2/` in `/f` = h")),
            ("docker.io", None),
        ] {
            assert_eq!(source(keys, server).as_deref(), expected, "{server}");
        }
    }

    #[test]
    fn absent_null_and_unknown_settings_are_nothing() {
        for json in [
            "",
            " \n",
            "{}",
            r#"{"auths":null,"credHelpers":null,"credsStore":null}"#,
            r#"{"auths":{"a.io":null},"credHelpers":{"a.io":null},"credsStore":""}"#,
            r#"{"psFormat":"table","HttpHeaders":{"x":"y"},"proxies":{"default":{}}}"#,
        ] {
            assert_eq!(source(json, "a.io"), None, "{json}");
        }
    }

    #[test]
    fn malformed_files_are_named_and_not_shown() {
        for json in [
            "canary",
            "\"canary\"",
            "[\"canary\"]",
            r#"{"auths":"canary"}"#,
            r#"{"auths":{"a.io":"canary"}}"#,
            r#"{"auths":{"a.io":{"auth":["canary"]}}}"#,
            r#"{"credsStore":{"canary":1}}"#,
            r#"{"auths":{}} canary"#,
        ] {
            let error = ConfigFile::parse(Path::new("/f"), json.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            let text = format!("{error} {error:?}");
            assert!(text.contains("`/f`") && text.contains("line 1"), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_file_that_is_none_too_large_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ConfigFile::read(&folder.path().join("absent")).unwrap().is_none());
        let error = ConfigFile::read(folder.path()).unwrap_err();
        assert!(format!("{error:?}").contains("not a regular file"), "{error:?}");
        let path = folder.path().join("config.json");
        let fitting = format!("{{}}{}", " ".repeat((1 << 20) - 2));
        fs::write(&path, &fitting).unwrap();
        assert!(ConfigFile::read(&path).unwrap().is_some());
        fs::write(&path, fitting + " ").unwrap();
        let error = ConfigFile::read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credential);
        assert!(format!("{error:?}").contains("larger than 1048576 bytes"), "{error:?}");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
            let _ = ConfigFile::parse(Path::new("/f"), &bytes);
            let json = serde_json::json!({
                "auths": {&text: {"auth": &text, "identitytoken": &text}},
                "credHelpers": {&text: &text},
            });
            let file = ConfigFile::parse(Path::new("/f"), json.to_string().as_bytes()).unwrap();
            prop_assert!(file.source(&"reg.azurecr.io".parse().unwrap()).is_none());
        }
    }
}
