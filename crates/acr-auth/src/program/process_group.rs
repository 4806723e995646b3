//! Everything a program starts dies with it: `az`, and many a helper, is a script around another
//! program.

use tokio::process::{Child, Command};

/// The group of one program; killed when this is dropped before it is released.
#[cfg(unix)]
pub(crate) struct ProcessGroup(Option<rustix::process::Pid>);

#[cfg(unix)]
impl ProcessGroup {
    /// Has the program start in a group of its own.
    pub(crate) fn prepare(command: &mut Command) {
        command.process_group(0);
    }

    pub(crate) fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }

    /// Lets it be: the program has ended.
    pub(crate) fn release(mut self) {
        self.0 = None;
    }
}

#[cfg(unix)]
impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

/// Elsewhere the program alone is killed, by tokio.
#[cfg(not(unix))]
pub(crate) struct ProcessGroup;

#[cfg(not(unix))]
impl ProcessGroup {
    pub(crate) fn prepare(_: &mut Command) {}

    pub(crate) fn of(_: &Child) -> Self {
        Self
    }

    pub(crate) fn release(self) {}
}
