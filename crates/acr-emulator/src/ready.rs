//! The line that tells where to connect.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tempfile::TempDir;

/// The line that tells a parent process where to connect.
#[derive(Serialize)]
pub(crate) struct Ready {
    pub(crate) endpoint: String,
    pub(crate) storage: String,
    pub(crate) ca: Option<PathBuf>,
    pub(crate) pid: u32,
    pub(crate) entra_token: String,
}

impl Ready {
    /// Prints the line: the only one on standard output.
    pub(crate) fn announce(&self) -> io::Result<()> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        let mut output = io::stdout().lock();
        output.write_all(line.as_bytes())?;
        output.flush()
    }
}

/// Where the authority's certificate is: in the folder that it is kept in, or in one that goes
/// when the guard does.
pub(crate) fn write_authority(
    pem: Option<&str>,
    folder: Option<&Path>,
) -> io::Result<(Option<PathBuf>, Option<TempDir>)> {
    let Some(pem) = pem else {
        return Ok((None, None));
    };
    if let Some(folder) = folder {
        return Ok((Some(folder.join("ca.pem")), None));
    }
    let guard = tempfile::Builder::new().prefix("acr-emulator-").tempdir()?;
    let path = guard.path().join("ca.pem");
    fs::write(&path, pem)?;
    Ok((Some(path), Some(guard)))
}
