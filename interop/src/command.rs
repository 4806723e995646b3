//! Runs a foreign program to its end.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use crate::error::{Attempt as _, Error, Result};

/// A program and what brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    name: &'static str,
    origin: Origin,
}

#[derive(Clone, Copy, Debug)]
enum Origin {
    Debian { package: &'static str },
    Go,
}

impl Program {
    /// A program of a Debian package.
    pub(crate) const fn debian(name: &'static str, package: &'static str) -> Self {
        Self { name, origin: Origin::Debian { package } }
    }

    /// A program that `interop/go/build` builds.
    pub(crate) const fn go(name: &'static str) -> Self {
        Self { name, origin: Origin::Go }
    }

    /// A command of this program that dies with its handle and reads nothing from the terminal.
    pub(crate) fn command(self) -> Command {
        let mut command = match self.origin {
            Origin::Debian { .. } => Command::new(self.name),
            Origin::Go => Command::new(built_folder().join(self.name)),
        };
        command.kill_on_drop(true).stdin(Stdio::null());
        command
    }

    /// Explains why the program did not start.
    pub(crate) fn not_started(self, source: io::Error) -> Error {
        let name = self.name;
        let text = match self.origin {
            _ if source.kind() != io::ErrorKind::NotFound => format!("start `{name}`"),
            Origin::Debian { package } => format!(
                "`{name}` is not installed; it comes with Debian's package `{package}` \
                 (apt-get install {package})"
            ),
            Origin::Go => format!("`{name}` is not built (bash interop/go/build)"),
        };
        Error::with_source(text, source)
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

/// Where `interop/go/build` leaves programs: beside the profiles of cargo's target folder.
fn built_folder() -> PathBuf {
    // A test lies in `target/debug/deps`.
    let own = env::current_exe().unwrap_or_default();
    own.ancestors().nth(3).unwrap_or(Path::new(".")).join("interop").join("bin")
}

/// Far more than any of these programs needs for a few megabytes.
const LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn missing_program_is_named_with_its_package() {
        let program = Program::debian("no-such-program", "no-such-package");
        let error = program.run(program.command()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`no-such-program` is not installed"), "{text}");
        assert!(text.contains("apt-get install no-such-package"), "{text}");

        let program = Program::go("no-such-program");
        let error = program.run(program.command()).await.unwrap_err();
        assert!(error.to_string().contains("bash interop/go/build"), "{error}");
    }
}
