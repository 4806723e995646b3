//! Runs a foreign program to its end.

use std::{io, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::error::{Attempt as _, Error, Result};

/// A program and the Debian package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
}

impl Program {
    /// A command of this program that dies with its handle and reads nothing from the terminal.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(self.name);
        command.kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Explains why the program did not start.
    pub(crate) fn not_started(self, source: io::Error) -> Error {
        let Self { name, package } = self;
        if source.kind() == io::ErrorKind::NotFound {
            let text = format!(
                "`{name}` is not installed; it comes with Debian's package `{package}` \
                 (apt-get install {package})"
            );
            return Error::with_source(text, source);
        }
        Error::with_source(format!("start `{name}`"), source)
    }

    /// Runs the command and gives what it printed.
    pub(crate) async fn run(self, mut command: Command) -> Result<Vec<u8>> {
        let line = format!("{:?}", command.as_std());
        let output = timeout(LIMIT, command.output())
            .await
            .attempt(|| format!("wait for {line}, which took longer than {LIMIT:?}"))?
            .map_err(|source| self.not_started(source))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let complaint = String::from_utf8_lossy(&output.stderr);
        Err(Error::new(format!("{line}: {}: {}", output.status, complaint.trim())))
    }
}

/// Far more than any of these programs needs for a few megabytes.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_program_is_named_with_its_package() {
        let program = Program { name: "no-such-program", package: "no-such-package" };
        let error = program.run(program.command()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`no-such-program` is not installed"), "{text}");
        assert!(text.contains("apt-get install no-such-package"), "{text}");
    }
}
