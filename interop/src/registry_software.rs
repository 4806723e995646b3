//! The registries that can be started, and how each is.

use std::{ffi::OsString, fmt, net::SocketAddr, path::Path};

use crate::{
    command::Program,
    error::{Attempt as _, Error, Result},
};

/// A registry's software.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistrySoftware {
    /// CNCF distribution 2.8, of Debian's package `docker-registry`.
    #[default]
    Distribution2,
    /// CNCF distribution 3.
    Distribution3,
    /// olareg, by the author of regclient.
    Olareg,
    /// The registry of go-containerregistry, which `crane registry serve` runs.
    GoContainerRegistry,
}

impl RegistrySoftware {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Distribution2, Self::Distribution3, Self::Olareg, Self::GoContainerRegistry];

    /// Its version: what the program tells of itself, or what `interop/go` pins.
    ///
    /// # Errors
    ///
    /// When the program is missing or its version cannot be made out.
    pub async fn version(self) -> Result<String> {
        let Some(module) = self.go_module() else {
            let program = self.program();
            let mut command = program.command();
            command.arg("--version");
            let printed = program.run(command).await?;
            return number_in(&String::from_utf8_lossy(&printed));
        };
        pinned(module)
    }

    /// Whether it can be told to demand tokens and verifies them.
    pub fn verifies_tokens(self) -> bool {
        self.reads_config()
    }

    /// Whether it is told everything by a file, `config.yml`.
    pub(crate) fn reads_config(self) -> bool {
        matches!(self, Self::Distribution2 | Self::Distribution3)
    }

    pub(crate) fn program(self) -> Program {
        match self {
            Self::Distribution2 => Program::debian("docker-registry", "docker-registry"),
            Self::Distribution3 => Program::go("distribution3"),
            Self::Olareg => Program::go("olareg"),
            Self::GoContainerRegistry => Program::go("crane"),
        }
    }

    /// The arguments that make it serve what is in a folder on an address.
    pub(crate) fn arguments(self, folder: &Path, address: SocketAddr) -> Result<Vec<OsString>> {
        let storage = folder.join("storage");
        std::fs::create_dir_all(&storage).attempt(|| "make the registry's storage")?;
        Ok(match self {
            Self::Distribution2 | Self::Distribution3 => {
                vec!["serve".into(), folder.join(CONFIG).into()]
            }
            Self::Olareg => vec![
                "serve".into(),
                "--addr".into(),
                address.ip().to_string().into(),
                "--port".into(),
                address.port().to_string().into(),
                "--dir".into(),
                storage.into(),
                "--api-delete".into(),
                "--api-blob-delete".into(),
            ],
            Self::GoContainerRegistry => vec![
                "registry".into(),
                "serve".into(),
                "--address".into(),
                address.to_string().into(),
                "--disk".into(),
                storage.into(),
            ],
        })
    }

    fn go_module(self) -> Option<&'static str> {
        match self {
            Self::Distribution2 => None,
            Self::Distribution3 => Some("github.com/distribution/distribution/v3"),
            Self::Olareg => Some("github.com/olareg/olareg"),
            Self::GoContainerRegistry => Some("github.com/google/go-containerregistry"),
        }
    }
}

impl fmt::Display for RegistrySoftware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Distribution2 => "distribution 2",
            Self::Distribution3 => "distribution 3",
            Self::Olareg => "olareg",
            Self::GoContainerRegistry => "go-containerregistry",
        })
    }
}

/// The version at which `interop/go` pins a module.
pub(crate) fn pinned(module: &str) -> Result<String> {
    let line = GO_MOD.lines().find_map(|line| line.trim().strip_prefix(module)?.strip_prefix(" v"));
    let line = line.ok_or_else(|| Error::new(format!("go.mod does not pin {module}")))?;
    number_in(line)
}

/// The first dotted number in a text, such as `2.8.1` in `docker-registry 2.8.1+ds1`.
pub(crate) fn number_in(text: &str) -> Result<String> {
    let words = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let number = words.map(|word| word.trim_matches('.')).find(|word| word.contains('.'));
    let number = number.ok_or_else(|| Error::new(format!("no version in `{}`", text.trim())))?;
    Ok(number.to_owned())
}

/// The configuration's file, in the registry's folder.
pub(crate) const CONFIG: &str = "config.yml";

const GO_MOD: &str = include_str!("../go/go.mod");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_it_stands() {
        let printed = "docker-registry github.com/docker/distribution 2.8.2+ds1\n";
        assert_eq!(number_in(printed).unwrap(), "2.8.2");
        assert_eq!(number_in("3.1.2 // indirect").unwrap(), "3.1.2");
        assert!(number_in("unknown").is_err());
    }
}
