//! A credential helper: a program that is asked for one server's credential.

use std::{ffi::OsStr, time::Duration};

use acr_core::{Error, ErrorKind, Result};

use super::{helper_answer, place::Place};
use crate::{
    credential::Credential,
    program::{Call, Complaints, MAX_OUTPUT, Program, ProgramError},
};

/// A program `docker-credential-<name>`.
#[derive(Debug)]
pub(crate) struct Helper<'a> {
    place: Place<'a>,
    program: Program,
}

impl<'a> Helper<'a> {
    /// The helper that a file names.
    pub(crate) fn new(
        place: Place<'a>,
        name: &str,
        search_path: &OsStr,
        limit: Duration,
    ) -> Result<Self> {
        if !is_name(name) {
            let text = "a helper's name has letters, digits, `-`, `_` and `.` only";
            return Err(place.error(text));
        }
        let program = Program::new(format!("docker-credential-{name}"), search_path, limit);
        Ok(Self { place, program })
    }

    /// Asks for a server's credential; `None` if the helper knows none.
    pub(crate) async fn ask(&self, server: &str) -> Result<Option<Credential>> {
        // What it complains about may be its secret.
        let call = Call { arguments: &["get"], input: server, complaints: Complaints::Drop };
        let output = self.program.run(call).await.map_err(|error| self.failure(error))?;
        if output.status.success() {
            return helper_answer::read(&output.stdout)
                .map_err(|why| self.error(format!("failed: {why}")));
        }
        if helper_answer::is_not_found(&output.stdout) {
            return Ok(None);
        }
        Err(self.error(format!("failed: {}", output.status)))
    }

    fn failure(&self, error: ProgramError) -> Error {
        match error {
            ProgramError::NotFound => {
                self.error("is not installed: no folder of the search path has it")
            }
            ProgramError::TimedOut => {
                let (name, limit) = (self.program.name(), self.program.limit());
                let text = format!("{}: `{name}` took longer than {limit:?}", self.place);
                Error::new(ErrorKind::Timeout, text)
            }
            ProgramError::TooLarge => self.error(format!("printed more than {MAX_OUTPUT} bytes")),
            ProgramError::NotStarted(cause) | ProgramError::Broken(cause) => {
                self.error("cannot be run").with_source(cause)
            }
        }
    }

    fn error(&self, what: impl std::fmt::Display) -> Error {
        self.place.error(format_args!("`{}` {what}", self.program.name()))
    }
}

/// What may follow `docker-credential-`: never a way to another folder.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

const MAX_NAME: usize = 100;

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::{
        fs::{self, File},
        io::{BufRead as _, BufReader, Read as _},
        path::Path,
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
"get folder.io") [ "$(pwd)" = / ] && echo '{}' ;;
"get hanging.io") exec sleep 20 ;;
"get agent.io") sleep 7 & printf '{"Username":"u","Secret":"p"}' ;;
"get agent-missing.io")
    sleep 7 &
    echo "credentials not found in native keychain"
    exit 1 ;;
"get waiting.io")
    exec 3>"$(dirname "$0")/fifo"
    echo ready >&3
    sleep 60 &
    wait
    echo survived >&3 ;;
*) exit 99 ;;
esac
"#;

    const DEAF: &str = r#"#!/bin/sh
exec <&-
printf '{"Username":"u","Secret":"p"}'
"#;

    /// The folder with the programs. Another process writes their files: one that this
    /// process has open for writing while another test starts a program could not be run.
    fn folder() -> &'static Path {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            for (name, text, mode) in [
                ("docker-credential-test", HELPER, "755"),
                ("docker-credential-deaf", DEAF, "755"),
                ("docker-credential-nonsense", "#!/no/such/interpreter\n", "755"),
                ("docker-credential-plain", HELPER, "644"),
            ] {
                let path = folder.path().join(name);
                let source = path.with_extension("source");
                fs::write(&source, text).unwrap();
                let install = std::process::Command::new("install")
                    .args(["-m", mode])
                    .args([&source, &path])
                    .status();
                assert!(install.unwrap().success());
            }
            folder
        });
        folder.path()
    }

    fn find(name: &str) -> Result<Helper<'static>> {
        let place = Place::new(Path::new("/f"), "credsStore");
        Helper::new(place, name, folder().as_os_str(), Duration::from_secs(30))
    }

    async fn ask(server: &str) -> Result<Option<Credential>> {
        find("test").unwrap().ask(server).await
    }

    #[tokio::test]
    async fn a_helper_hands_out_a_password_a_token_or_nothing() {
        let password = ask("password.io").await.unwrap().unwrap();
        assert!(matches!(password.0, Kind::Password { user, password }
            if &*user == "u" && password.expose() == "p"));
        let token = ask("token.io").await.unwrap().unwrap();
        assert!(matches!(token.0, Kind::RefreshToken(token) if token.expose() == "t"));
        assert!(ask("missing.io:5000").await.unwrap().is_none());
        let deaf = find("deaf").unwrap().ask("any.io").await;
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
        let error = find("nonsense").unwrap().ask("any.io").await;
        let error = error.unwrap_err();
        assert!(
            error.to_string().ends_with("`docker-credential-nonsense` cannot be run"),
            "{error}"
        );
    }

    /// It holds the helper's output open for longer than the limit.
    #[tokio::test]
    async fn c8_a_helper_that_leaves_an_agent_behind_has_answered() {
        let ask = async |server: &'static str| {
            let place = Place::new(Path::new("/f"), "credsStore");
            let limit = Duration::from_secs(5);
            let helper = Helper::new(place, "test", folder().as_os_str(), limit).unwrap();
            helper.ask(server).await
        };
        assert!(ask("agent.io").await.unwrap().is_some());
        assert!(ask("agent-missing.io").await.unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_helpers_complaints_do_not_reach_the_programs_own_output() {
        assert!(ask("quiet.io").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_helper_runs_in_the_root_folder() {
        assert!(ask("folder.io").await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_helper_that_hangs_is_a_timeout() {
        let start = Instant::now();
        let limit = Duration::from_secs(60);
        let place = Place::new(Path::new("/f"), "credsStore");
        let helper = Helper::new(place, "test", folder().as_os_str(), limit).unwrap();
        let error = helper.ask("hanging.io").await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, limit));
        assert!(error.to_string().contains("`docker-credential-test` took longer than 60s"));
    }

    #[tokio::test]
    async fn a_helper_dies_with_the_call_and_so_does_what_it_started() {
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
            // Ends when both processes that have it open for writing are gone.
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

    #[tokio::test]
    async fn a_name_never_leads_to_another_folder() {
        for name in
            ["", "../test", "a/b", "a\\b", "a b", "a\0b", "é", "$(id)", "-;", &"x".repeat(101)]
        {
            let error = find(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            assert!(error.to_string().contains("a helper's name has letters"), "{name}: {error}");
        }
        for name in ["absent", "plain", "..", "Acr_Env-2.exe"] {
            let error = find(name).unwrap().ask("any.io").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Credential);
            let text = format!("`docker-credential-{name}` is not installed");
            assert!(error.to_string().contains(&text), "{error}");
        }
    }
}
