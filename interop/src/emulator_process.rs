//! The program `acr-emulator` of this workspace as a child process.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::error::{Attempt as _, Error, Result};

/// A running emulator on a port of its own; stops when dropped.
#[derive(Debug)]
pub struct EmulatorProcess {
    ready: serde_json::Value,
    // Killed when it is dropped.
    _child: Child,
}

impl EmulatorProcess {
    /// Builds the program if need be, starts it with these arguments and waits for its line.
    ///
    /// # Errors
    ///
    /// When the program does not build or does not come up.
    pub async fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Result<Self> {
        let mut child = Command::new(program().await?)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .attempt(|| "start acr-emulator")?;
        let output = child.stdout.take().ok_or_else(|| Error::new("its output is not piped"))?;
        let line = BufReader::new(output).lines().next_line().await;
        let line = line.attempt(|| "read the emulator's line")?;
        let line = line.ok_or_else(|| Error::new("acr-emulator printed nothing"))?;
        let ready = serde_json::from_str(&line).attempt(|| format!("read `{line}`"))?;
        Ok(Self { ready, _child: child })
    }

    /// A value of the line it printed, such as `endpoint`, `ca` or `entra_token`.
    ///
    /// # Errors
    ///
    /// When the line has no such text.
    pub fn told(&self, key: &str) -> Result<&str> {
        let text = self.ready.get(key).and_then(serde_json::Value::as_str);
        text.ok_or_else(|| Error::new(format!("acr-emulator told no `{key}`")))
    }
}

/// The program, built. Tests run with the build finished, so cargo can be called again. Of the whole
/// workspace, and with an example, it chooses the features that `cargo test --workspace` has: then
/// it has nothing to do.
async fn program() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", "acr-emulator", "--example", "tour"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status()
        .await
        .attempt(|| "start cargo")?;
    if !status.success() {
        return Err(Error::new("acr-emulator does not build"));
    }
    let own = env::current_exe().attempt(|| "find this program")?;
    let target = own.parent().and_then(Path::parent);
    let folder = target.ok_or_else(|| Error::new("this program does not lie in `deps`"))?;
    Ok(folder.join(format!("acr-emulator{}", env::consts::EXE_SUFFIX)))
}
