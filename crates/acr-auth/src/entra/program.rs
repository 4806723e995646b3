//! Runs a command line tool: no shell, a time limit, bounded output, killed when nobody waits.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use acr_core::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::{environment::Environment, failure::Failure};

/// A tool that is looked for in the search path.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: &'static str,
    search_path: Vec<PathBuf>,
    limit: Duration,
}

/// How a tool ended.
pub(crate) struct Output {
    pub(crate) is_success: bool,
    /// May hold a token.
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    pub(crate) stderr: String,
}

impl Program {
    pub(crate) fn new(name: &'static str, environment: &Environment, limit: Duration) -> Self {
        Self { name, search_path: environment.search_path(), limit }
    }

    /// Runs it to its end.
    ///
    /// Dropping the future kills the tool and, on Unix, everything it started.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let Some(path) = self.find().await else {
            return Err(Failure::unavailable(format!("`{}` is not installed", self.name)));
        };
        let run = self.run_at(&path, arguments);
        tokio::time::timeout(self.limit, run).await.unwrap_or_else(|_| {
            let text = format!("`{}` did not end within {:?}", self.name, self.limit);
            Err(Failure::new(ErrorKind::Timeout, text))
        })
    }

    async fn run_at(&self, path: &Path, arguments: &[&str]) -> Result<Output, Failure> {
        let fail = |what: &str| Error::new(ErrorKind::Source, format!("`{}` {what}", self.name));
        let mut command = Command::new(path);
        command
            .args(arguments)
            // Tools written in Python load modules from the current folder.
            .current_dir(folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| fail("cannot be started").with_source(e))?;
        let group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = tokio::join!(
            read(stdout, MAX_OUTPUT, Excess::Fail),
            read(stderr, MAX_STDERR, Excess::Drop)
        );
        let broken = |e: std::io::Error| fail("could not be read from").with_source(e);
        let (stdout, stderr) = (stdout.map_err(broken)?, stderr.map_err(broken)?);
        let Some(stdout) = stdout else {
            let text = format!("`{}` printed more than {MAX_OUTPUT} bytes", self.name);
            return Err(Failure::new(ErrorKind::TooLarge, text));
        };
        // Only now: until it is waited for, its id cannot become another's.
        let status = child.wait().await;
        group.release();
        let status = status.map_err(|e| fail("could not be waited for").with_source(e))?;
        let stderr = stderr.unwrap_or_default();
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok(Output { is_success: status.success(), stdout, stderr })
    }

    async fn find(&self) -> Option<PathBuf> {
        for folder in &self.search_path {
            for extension in EXTENSIONS {
                let path = folder.join(format!("{}{extension}", self.name));
                if is_program(&path).await {
                    return Some(path);
                }
            }
        }
        None
    }
}

/// Everything the tool started dies with it: `az` is a script around a Python program.
#[cfg(unix)]
struct Group(Option<rustix::process::Pid>);

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    fn release(mut self) {
        self.0 = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// Elsewhere the tool alone is killed, by tokio.
#[cfg(not(unix))]
struct Group;

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self
    }

    fn release(self) {}
}

/// What happens to output beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    Fail,
    Drop,
}

/// Reads to the end; `None` for more than the limit where that is a failure.
async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    limit: u64,
    excess: Excess,
) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut text = Zeroizing::new(Vec::new());
    let Some(mut pipe) = pipe else {
        return Ok(Some(text));
    };
    (&mut pipe).take(limit).read_to_end(&mut text).await?;
    let mut rest = [0; 1024];
    while pipe.read(&mut rest).await? > 0 {
        if excess == Excess::Fail {
            return Ok(None);
        }
    }
    Ok(Some(text))
}

#[cfg(unix)]
async fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    let found = tokio::fs::metadata(path).await;
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
async fn is_program(path: &Path) -> bool {
    tokio::fs::metadata(path).await.is_ok_and(|found| found.is_file())
}

/// A folder that only the administrator writes to.
#[cfg(not(windows))]
fn folder() -> PathBuf {
    PathBuf::from("/")
}

#[cfg(windows)]
fn folder() -> PathBuf {
    std::env::var_os("SYSTEMROOT").map_or_else(|| PathBuf::from(r"C:\"), PathBuf::from)
}

#[cfg(not(windows))]
const EXTENSIONS: [&str; 1] = [""];

/// The standard library quotes the arguments of `.cmd` files.
#[cfg(windows)]
const EXTENSIONS: [&str; 2] = [".exe", ".cmd"];

/// A token and what surrounds it.
const MAX_OUTPUT: u64 = 64 * 1024;

/// Enough for any message; a tool that prints more is read to its end all the same.
const MAX_STDERR: u64 = 16 * 1024;
