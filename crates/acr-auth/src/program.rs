//! Runs another program: no shell, an absolute path, a time limit, bounded output, killed with
//! all it started when nobody waits for it any more.

mod process_group;

use std::{
    env::split_paths,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use zeroize::Zeroizing;

use self::process_group::ProcessGroup;

/// A program that is looked for in the search path.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: String,
    folders: Vec<PathBuf>,
    limit: Duration,
}

/// What a program is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) arguments: &'a [&'a str],
    /// Empty for none. Fits into any pipe.
    pub(crate) input: &'a str,
    pub(crate) complaints: Complaints,
}

/// What becomes of what a program prints as its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaints {
    Read,
    Drop,
}

/// How a program ended, and what it printed: a secret, perhaps.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Zeroizing<Vec<u8>>,
    /// The beginning.
    pub(crate) stderr: Zeroizing<Vec<u8>>,
}

/// Why there is no output.
#[derive(Debug)]
pub(crate) enum ProgramError {
    /// No folder has it.
    NotFound,
    /// It was not found, or did not end, within the limit.
    TimedOut,
    /// More than [`MAX_OUTPUT`].
    TooLarge,
    NotStarted(io::Error),
    Broken(io::Error),
}

impl Program {
    /// A program of this name, without a path, in the absolute folders of a search path in the
    /// form of `PATH`: a relative one would let the current folder choose the program.
    pub(crate) fn new(name: impl Into<String>, search_path: &OsStr, limit: Duration) -> Self {
        let folders = split_paths(search_path).filter(|folder| folder.is_absolute()).collect();
        Self { name: name.into(), folders, limit }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Looks for it and runs it to its end, both within the limit.
    ///
    /// Dropping the future kills the program and, on Unix, everything it started. A folder
    /// that hangs keeps one thread of the runtime's pool until it ends.
    pub(crate) async fn run(&self, call: Call<'_>) -> Result<Output, ProgramError> {
        let run = async {
            let path = self.find().await.ok_or(ProgramError::NotFound)?;
            run(&path, call).await
        };
        tokio::time::timeout(self.limit, run).await.map_err(|_| ProgramError::TimedOut)?
    }

    async fn find(&self) -> Option<PathBuf> {
        for folder in &self.folders {
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

async fn run(path: &Path, call: Call<'_>) -> Result<Output, ProgramError> {
    let mut command = Command::new(path);
    command
        .args(call.arguments)
        .envs(PLAIN)
        // Tools written in Python load modules from the current folder.
        .current_dir(folder())
        .stdin(if call.input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(match call.complaints {
            Complaints::Read => Stdio::piped(),
            Complaints::Drop => Stdio::null(),
        })
        .kill_on_drop(true);
    for name in COLOURFUL {
        command.env_remove(name);
    }
    ProcessGroup::prepare(&mut command);
    let mut child = command.spawn().map_err(ProgramError::NotStarted)?;
    let group = ProcessGroup::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read it may answer all the same.
            let _unread = stdin.write_all(call.input.as_bytes()).await;
        }
        Ok(())
    };
    let (mut answer, mut complaints) =
        (Capture::new(MAX_OUTPUT, Excess::Fail), Capture::new(MAX_STDERR, Excess::Drop));
    let status = {
        let talk = async {
            tokio::try_join!(tell, answer.read(stdout), complaints.read(stderr)).map(drop)
        };
        tokio::pin!(talk);
        tokio::select! {
            said = &mut talk => {
                said?;
                child.wait().await
            }
            status = child.wait() => {
                // What it said is in the pipes; whom it left behind may hold them open for ever.
                if let Ok(said) = tokio::time::timeout(LAST_WORDS, &mut talk).await {
                    said?;
                }
                status
            }
        }
    };
    // Only now: until it is waited for, its id cannot become another's.
    group.release();
    let status = status.map_err(ProgramError::Broken)?;
    Ok(Output { status, stdout: answer.text, stderr: complaints.text })
}

/// What happens to output beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    Fail,
    Drop,
}

/// What was read of a pipe so far.
struct Capture {
    text: Zeroizing<Vec<u8>>,
    limit: usize,
    excess: Excess,
}

impl Capture {
    fn new(limit: usize, excess: Excess) -> Self {
        // Large enough from the start: to grow would leave copies behind.
        Self { text: Zeroizing::new(Vec::with_capacity(limit)), limit, excess }
    }

    /// Reads to the end. What was read is kept when this is dropped before it.
    async fn read(&mut self, pipe: Option<impl AsyncRead + Unpin>) -> Result<(), ProgramError> {
        let Some(mut pipe) = pipe else {
            return Ok(());
        };
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        loop {
            let length = pipe.read(&mut piece).await.map_err(ProgramError::Broken)?;
            if length == 0 {
                return Ok(());
            }
            let room = self.limit.saturating_sub(self.text.len());
            if length > room && self.excess == Excess::Fail {
                return Err(ProgramError::TooLarge);
            }
            self.text.extend_from_slice(piece.get(..length.min(room)).unwrap_or_default());
        }
    }
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

/// A token of some KiB and what surrounds it.
pub(crate) const MAX_OUTPUT: usize = 64 * 1024;

/// Enough for any message; a program that prints more is read to its end all the same.
const MAX_STDERR: usize = 16 * 1024;

/// Read at a time.
const PIECE: usize = 8 * 1024;

/// How long a pipe is read on after its program has ended: what is in it is taken at once.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Answers are read by a program: no colours, which end up around or inside of them.
const PLAIN: [(&str, &str); 2] = [("NO_COLOR", "1"), ("AZURE_CORE_NO_COLOR", "true")];

/// What would bring the colours back.
const COLOURFUL: [&str; 2] = ["FORCE_COLOR", "CLICOLOR_FORCE"];

#[cfg(test)]
#[cfg(unix)]
mod tests;
