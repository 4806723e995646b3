//! A command line tool that somebody may be signed in to.

use std::time::Duration;

use acr_core::{Error, ErrorKind};
use zeroize::Zeroizing;

use super::{environment::Environment, failure::Failure};
use crate::program::{Call, Complaints, MAX_OUTPUT, Program, ProgramError};

/// A tool that is looked for in the search path.
#[derive(Clone, Debug)]
pub(crate) struct Tool(Program);

/// How a tool ended.
pub(crate) struct Output {
    pub(crate) is_success: bool,
    /// May hold a token.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    pub(crate) stderr: String,
}

impl Tool {
    pub(crate) fn new(name: &'static str, environment: &Environment, limit: Duration) -> Self {
        Self(Program::new(name, &environment.search_path(), limit))
    }

    /// Runs it to its end.
    ///
    /// Dropping the future kills the tool and, on Unix, everything it started.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let call = Call { arguments, input: "", complaints: Complaints::Read };
        let output = self.0.run(call).await.map_err(|error| self.failure(error))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(Output { is_success: output.status.success(), stdout: output.stdout, stderr })
    }

    fn failure(&self, error: ProgramError) -> Failure {
        let name = self.0.name();
        let fail = |kind, what: &str| Error::new(kind, format!("`{name}` {what}"));
        match error {
            ProgramError::NotFound => {
                return Failure::unavailable(format!("`{name}` is not installed"));
            }
            ProgramError::TimedOut => {
                let what = format!("did not end within {:?}", self.0.limit());
                fail(ErrorKind::Timeout, &what)
            }
            ProgramError::TooLarge => {
                let what = format!("printed more than {MAX_OUTPUT} bytes");
                fail(ErrorKind::TooLarge, &what)
            }
            ProgramError::NotStarted(cause) => {
                fail(ErrorKind::Source, "cannot be started").with_source(cause)
            }
            ProgramError::Broken(cause) => {
                fail(ErrorKind::Source, "could not be read from").with_source(cause)
            }
        }
        .into()
    }
}
