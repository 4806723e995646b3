//! A credential helper: a program that is asked for one server's credential.

use std::{
    env::{consts::EXE_SUFFIX, split_paths},
    ffi::OsStr,
    fs::Metadata,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use acr_core::{Error, ErrorKind, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};
use zeroize::Zeroizing;

use super::{helper_answer, place::Place};
use crate::credential::Credential;

/// A program `docker-credential-<name>` that exists.
#[derive(Debug)]
pub(crate) struct Helper<'a> {
    place: Place<'a>,
    program: String,
    path: PathBuf,
}

impl<'a> Helper<'a> {
    /// Looks for the helper that a file names.
    pub(crate) fn find(place: Place<'a>, name: &str, search_path: &OsStr) -> Result<Self> {
        if !is_name(name) {
            let text = "a helper's name has letters, digits, `-`, `_` and `.` only";
            return Err(place.error(text));
        }
        let program = format!("docker-credential-{name}");
        let file = format!("{program}{EXE_SUFFIX}");
        // Relative folders would let the current one decide what is run.
        let folders = split_paths(search_path).filter(|folder| folder.is_absolute());
        match folders.map(|folder| folder.join(&file)).find(|path| is_executable(path)) {
            Some(path) => Ok(Self { place, program, path }),
            None => Err(place.error(format_args!(
                "`{program}` is not installed: no folder of the search path has it"
            ))),
        }
    }

    /// Asks for a server's credential; `None` if the helper knows none.
    pub(crate) async fn ask(&self, server: &str, limit: Duration) -> Result<Option<Credential>> {
        let answer = tokio::time::timeout(limit, self.run(server)).await.map_err(|_| {
            let text = format!("{}: `{}` took longer than {limit:?}", self.place, self.program);
            Error::new(ErrorKind::Timeout, text)
        })?;
        let (status, output) =
            answer.map_err(|error| self.error("cannot be run").with_source(error))?;
        if output.len() > MAX_ANSWER {
            return Err(self.error(format!("printed more than {MAX_ANSWER} bytes")));
        }
        if status.is_some_and(|status| status.success()) {
            return helper_answer::read(&output)
                .map_err(|why| self.error(format!("failed: {why}")));
        }
        if helper_answer::is_not_found(&output) {
            return Ok(None);
        }
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        Err(self.error(format!("failed: {status}")))
    }

    /// Runs the program to its end, or until it has printed too much.
    async fn run(&self, server: &str) -> io::Result<(Option<ExitStatus>, Zeroizing<Vec<u8>>)> {
        let mut child = Command::new(&self.path)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What it complains about may be its secret.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // Fits into any pipe. One that does not read it may answer all the same.
            let _unread = input.write_all(server.as_bytes()).await;
        }
        // Large enough from the start: to grow would leave copies behind.
        let mut output = Zeroizing::new(Vec::with_capacity(MAX_ANSWER + SPARE));
        if let Some(printed) = child.stdout.take() {
            printed.take(MAX_ANSWER as u64 + 1).read_to_end(&mut output).await?;
        }
        if output.len() > MAX_ANSWER {
            return Ok((None, output));
        }
        Ok((Some(child.wait().await?), output))
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        self.place.error(format_args!("`{}` {what}", self.program))
    }
}

/// What may follow `docker-credential-`: never a way to another folder.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && may_run(&data))
}

#[cfg(unix)]
fn may_run(data: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    data.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn may_run(_: &Metadata) -> bool {
    true
}

/// A token of some KiB and a little JSON.
const MAX_ANSWER: usize = 64 * 1024;

/// What reading needs beyond the bytes to see that there are no more.
const SPARE: usize = 64;

const MAX_NAME: usize = 100;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs::{self, File},
        io::{BufRead as _, BufReader, Read as _},
        os::unix::fs::PermissionsExt as _,
        sync::OnceLock,
    };

    use tempfile::TempDir;
    use tokio::{sync::oneshot, time::Instant};

    use super::*;
    use crate::credential::Kind;

    /// What it does depends on the server's name, which must come without a line break.
    const HELPER: &str = r#"#!/bin/sh
server=$(cat; printf x)
case "$1 ${server%x}" in
"get password.io") printf '{"ServerURL":"password.io","Username":"u","Secret":"p"}\n' ;;
"get token.io") printf '{"ServerURL":"token.io","Username":"<token>","Secret":"t"}' ;;
"get missing.io:5000") echo "credentials not found in native keychain"; exit 1 ;;
"get failing.io") echo canary; echo canary >&2; exit 3 ;;
"get silent.io") ;;
"get quiet.io") [ "$(readlink /proc/$$/fd/2)" = /dev/null ] && echo '{}' ;;
"get garbage.io") echo canary ;;
"get endless.io") exec yes canary ;;
"get large.io") head -c 65536 /dev/zero ;;
"get killed.io") kill -9 $$ ;;
"get hanging.io") exec sleep 20 ;;
"get waiting.io")
    exec 3>"$(dirname "$0")/fifo"
    echo ready >&3
    sleep 20 3>&-
    echo survived >&3 ;;
*) exit 99 ;;
esac
"#;

    const DEAF: &str = r#"#!/bin/sh
exec <&-
printf '{"Username":"u","Secret":"p"}'
"#;

    /// The folder with the programs. Made before any of them runs: a file that is
    /// still open for writing in a forked process cannot be executed.
    fn folder() -> &'static Path {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            for (name, text, mode) in [
                ("docker-credential-test", HELPER, 0o755),
                ("docker-credential-deaf", DEAF, 0o755),
                ("docker-credential-nonsense", "#!/no/such/interpreter\n", 0o755),
                ("docker-credential-plain", HELPER, 0o644),
            ] {
                let path = folder.path().join(name);
                fs::write(&path, text).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            folder
        });
        folder.path()
    }

    fn find(name: &str) -> Result<Helper<'static>> {
        let place = Place::new(Path::new("/f"), "credsStore");
        Helper::find(place, name, folder().as_os_str())
    }

    async fn ask(server: &str) -> Result<Option<Credential>> {
        find("test").unwrap().ask(server, Duration::from_secs(30)).await
    }

    #[tokio::test]
    async fn a_helper_hands_out_a_password_a_token_or_nothing() {
        let password = ask("password.io").await.unwrap().unwrap();
        assert!(matches!(password.0, Kind::Password { user, password }
            if &*user == "u" && password.expose() == "p"));
        let token = ask("token.io").await.unwrap().unwrap();
        assert!(matches!(token.0, Kind::RefreshToken(token) if token.expose() == "t"));
        assert!(ask("missing.io:5000").await.unwrap().is_none());
        let deaf = find("deaf").unwrap().ask("any.io", Duration::from_secs(30)).await;
        assert!(deaf.unwrap().is_some(), "it need not read the question");
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_named_and_what_it_prints_is_not_shown() {
        for (server, why) in [
            ("failing.io", "failed: exit status: 3"),
            ("silent.io", "failed: its answer is not the JSON that Docker defines"),
            ("garbage.io", "failed: its answer is not the JSON that Docker defines"),
            ("large.io", "failed: its answer is not the JSON that Docker defines"),
            ("endless.io", "printed more than 65536 bytes"),
            ("killed.io", "failed: signal: 9"),
        ] {
            let error = ask(server).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            let text = format!("{error} {error:?}");
            let start = format!("`credsStore` in `/f`: `docker-credential-test` {why}");
            assert!(text.starts_with(&start), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
        let error = find("nonsense").unwrap().ask("any.io", Duration::from_secs(30)).await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().ends_with("`docker-credential-nonsense` cannot be run"),
            "{error}"
        );
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_helpers_complaints_do_not_reach_the_programs_own_output() {
        assert!(ask("quiet.io").await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_hangs_is_a_timeout() {
        let start = Instant::now();
        let limit = Duration::from_secs(60);
        let error = find("test").unwrap().ask("hanging.io", limit).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, limit));
        assert!(error.to_string().contains("`docker-credential-test` took longer than 60s"));
    }

    #[tokio::test]
    async fn a_helper_dies_with_the_call() {
        let fifo = folder().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let (say_ready, ready) = oneshot::channel();
        let (say_rest, rest) = oneshot::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(File::open(fifo).unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            say_ready.send(line).unwrap();
            // Ends when the one process that has it open for writing is gone.
            let mut rest = String::new();
            reader.read_to_string(&mut rest).unwrap();
            say_rest.send(rest).unwrap();
        });
        tokio::select! {
            answer = ask("waiting.io") => panic!("{answer:?}"),
            line = ready => assert_eq!(line.unwrap(), "ready\n"),
        }
        let rest = tokio::time::timeout(Duration::from_secs(30), rest).await.unwrap();
        assert_eq!(rest.unwrap(), "");
    }

    #[test]
    fn a_name_never_leads_to_another_folder() {
        for name in
            ["", "../test", "a/b", "a\\b", "a b", "a\0b", "é", "$(id)", "-;", &"x".repeat(101)]
        {
            let error = find(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            assert!(error.to_string().contains("a helper's name has letters"), "{name}: {error}");
        }
        for name in ["absent", "plain", "..", "Acr_Env-2.exe"] {
            let error = find(name).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`docker-credential-{name}` is not installed")),
                "{error}"
            );
        }
    }

    #[test]
    fn relative_folders_are_not_searched() {
        let place = || Place::new(Path::new("/f"), "credsStore");
        // A way from here to the folder, if one goes up far enough.
        let depth = std::env::current_dir().unwrap().components().count();
        let way = Path::new(&"../".repeat(depth)).join(folder().strip_prefix("/").unwrap());
        assert!(way.join("docker-credential-test").is_file());
        let relative = std::env::join_paths([Path::new(""), Path::new("."), &way]).unwrap();
        assert!(Helper::find(place(), "test", &relative).is_err());
        let both = std::env::join_paths([Path::new("relative"), folder()]).unwrap();
        assert!(Helper::find(place(), "test", &both).is_ok());
        assert!(Helper::find(place(), "test", OsStr::new("")).is_err());
    }
}
