//! The line that tells where to connect.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use serde::Serialize;

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
