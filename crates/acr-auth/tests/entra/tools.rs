//! The command line tools.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    time::Duration,
};

use acr_auth::{
    TokenCredential, TokenRequest,
    entra::{AzureCliCredential, AzureDeveloperCliCredential, SourceOptions},
};
use acr_core::{Error, ErrorKind};

use crate::support::{
    Programs, SCOPE, TENANT, az_answer, azd_answer, environment, is_unavailable, print, shown,
    token,
};

fn options(programs: &Programs) -> SourceOptions {
    SourceOptions::new().environment(environment(&[("PATH", programs.path())]))
}

fn az(programs: &Programs) -> AzureCliCredential {
    AzureCliCredential::configured(&options(programs))
}

fn azd(programs: &Programs) -> AzureDeveloperCliCredential {
    AzureDeveloperCliCredential::configured(&options(programs))
}

/// Notes arguments and folder beside the script, then does what it shall.
fn noting(script: &str) -> String {
    format!("printf '%s\\n' \"$@\" >>\"$0.arguments\"\npwd >\"$0.folder\"\n{script}")
}

#[tokio::test]
async fn az_is_asked_once_with_exactly_these_arguments() {
    let programs = Programs::new();
    programs.add("az", &noting(&print(&az_answer("the-token"))));
    let source = az(&programs);
    for _ in 0..3 {
        assert_eq!(token(&source).await.unwrap(), "the-token");
    }
    let arguments = std::fs::read_to_string(programs.file("az.arguments")).unwrap();
    assert_eq!(arguments, format!("account\nget-access-token\n--output\njson\n--scope\n{SCOPE}\n"));
    assert_eq!(std::fs::read_to_string(programs.file("az.folder")).unwrap(), "/\n");

    let source = source.tenant(TENANT).unwrap();
    token(&source).await.unwrap();
    let arguments = std::fs::read_to_string(programs.file("az.arguments")).unwrap();
    assert!(arguments.ends_with(&format!("--tenant\n{TENANT}\n")));
    assert!(source.tenant("--help").is_err());
}

#[tokio::test]
async fn azd_is_asked_once_with_exactly_these_arguments() {
    let programs = Programs::new();
    programs.add("azd", &noting(&print(&azd_answer("the-token"))));
    let source = azd(&programs).tenant(TENANT).unwrap();
    for _ in 0..3 {
        assert_eq!(token(&source).await.unwrap(), "the-token");
    }
    let arguments = std::fs::read_to_string(programs.file("azd.arguments")).unwrap();
    let expected = format!(
        "auth\ntoken\n--output\njson\n--no-prompt\n--scope\n{SCOPE}\n--tenant-id\n{TENANT}\n"
    );
    assert_eq!(arguments, expected);
}

#[tokio::test]
async fn an_old_az_that_knows_only_local_time_works() {
    let programs = Programs::new();
    let answer = r#"{"accessToken":"the-token","expiresOn":"2126-10-31 21:59:10.000000"}"#;
    programs.add("az", &print(answer));
    assert_eq!(token(&az(&programs)).await.unwrap(), "the-token");
}

/// What terminals and people are told stands before the answer, around it and after it.
#[tokio::test]
async fn c4_the_answer_is_read_out_of_what_a_tool_prints_for_people() {
    let programs = Programs::new();
    let before =
        ["", "\u{feff}", "\u{1b}[0m", "WARNING: {a} is deprecated, see {\"b\"}\n", "[1m]\n"];
    let after = ["", "\u{1b}[0m", "\n\u{1b}[0m\r\n", "\nA new version is available: {x}\n"];
    for (before, after) in before.iter().flat_map(|b| after.iter().map(move |a| (b, a))) {
        programs.add("az", &print(&format!("{before}{}{after}", az_answer("the-token"))));
        programs.add("azd", &print(&format!("{before}{}{after}", azd_answer("the-token"))));
        for source in
            [Box::new(az(&programs)) as Box<dyn TokenCredential>, Box::new(azd(&programs))]
        {
            let got = token(source.as_ref()).await;
            let got = got.unwrap_or_else(|error| error.to_string());
            assert_eq!(got, "the-token", "{before:?} {after:?}");
        }
    }
    // And they are told to leave it.
    programs
        .add("az", &noting("printf %s \"$NO_COLOR-$AZURE_CORE_NO_COLOR\" >\"$0.plain\"\nexit 1\n"));
    token(&az(&programs)).await.unwrap_err();
    assert_eq!(std::fs::read_to_string(programs.file("az.plain")).unwrap(), "1-true");
}

/// A tool that leaves an agent behind, which holds its output open, has answered.
#[tokio::test]
async fn c8_an_agent_that_a_tool_leaves_behind_is_not_waited_for() {
    let programs = Programs::new();
    let leaving = |answer: &str| {
        format!("sleep 60 &\necho $! >>\"$(dirname \"$0\")/agents\"\n{}", print(answer))
    };
    programs.add("az", &leaving(&az_answer("the-token")));
    programs.add("azd", &leaving(&azd_answer("the-token")));
    let limit = Duration::from_secs(20);
    let options = options(&programs).program_timeout(limit);
    let az = AzureCliCredential::configured(&options);
    let azd = AzureDeveloperCliCredential::configured(&options);
    let got = [token(&az).await, token(&azd).await];
    let agents = std::fs::read_to_string(programs.file("agents")).unwrap();
    for agent in agents.lines() {
        let killed = std::process::Command::new("kill").arg(agent).status().unwrap();
        assert!(killed.success(), "it is left alone");
    }
    for got in got {
        assert_eq!(got.unwrap(), "the-token");
    }
}

#[tokio::test]
async fn not_installed_and_not_signed_in_are_no_failures() {
    let programs = Programs::new();
    let nothing: [Box<dyn TokenCredential>; 2] =
        [Box::new(az(&programs)), Box::new(azd(&programs))];
    for source in nothing {
        let error = token(source.as_ref()).await.unwrap_err();
        assert!(is_unavailable(&error) && error.to_string().contains("is not installed"));
    }
    // A file that cannot be executed is no program.
    std::fs::write(programs.file("az"), "#!/bin/sh\n").unwrap();
    assert!(is_unavailable(&token(&az(&programs)).await.unwrap_err()));

    programs.add("az", "echo \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n");
    let event = r#"{"type":"consoleMessage","data":{"message":"\nERROR: not logged in, run `azd auth login` to login\n"}}"#;
    programs.add("azd", &format!("{}\nexit 1\n", print(event).replacen("cat", "cat >&2", 1)));
    for (source, expected) in [
        (Box::new(az(&programs)) as Box<dyn TokenCredential>, "nobody is signed in to `az`"),
        (Box::new(azd(&programs)), "nobody is signed in to `azd`: ERROR: not logged in"),
    ] {
        let error = token(source.as_ref()).await.unwrap_err();
        assert!(is_unavailable(&error) && error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_tool_that_fails_is_quoted_without_tokens() {
    let programs = Programs::new();
    let jwt = format!("eyJhbGciOiJub25lIn0.{}.canary", "canary".repeat(10));
    let words = format!("ERROR: AADSTS50173: The grant has expired. az login. Sent: {jwt}");
    programs.add("az", &format!("{}exit 1\n", print(&words).replacen("cat", "cat >&2", 1)));
    let error = token(&az(&programs)).await.unwrap_err();
    assert!(!is_unavailable(&error), "somebody is signed in, and was refused");
    assert!(error.to_string().contains("AADSTS50173: The grant has expired."), "{error}");
    assert!(!shown(&error).contains("canary"), "{error}");

    programs.add("az", "yes 'very long words ' | head -c 1000000 >&2\nexit 3\n");
    let error = token(&az(&programs)).await.unwrap_err();
    assert!(error.to_string().len() < 500);
}

#[tokio::test]
async fn odd_output_is_an_error_that_does_not_quote_it() {
    let programs = Programs::new();
    for (output, kind) in [
        ("canary".to_owned(), ErrorKind::Protocol),
        (String::new(), ErrorKind::Protocol),
        (r#"{"accessToken":"canary"}"#.to_owned(), ErrorKind::Protocol),
        (r#"{"accessToken":"canary\nx","expires_on":4945000000}"#.to_owned(), ErrorKind::Protocol),
        (r#"{"accessToken":["canary"],"expires_on":4945000000}"#.to_owned(), ErrorKind::Protocol),
        (az_answer(&"canary".repeat(20_000)), ErrorKind::TooLarge),
    ] {
        programs.add("az", &print(&output));
        let error = token(&az(&programs)).await.unwrap_err();
        assert!(!is_unavailable(&error) && !shown(&error).contains("canary"), "{error}");
        assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), kind);
    }
    programs.add("azd", &print(r#"{"token":"canary","expiresOn":"soon"}"#));
    let error = token(&azd(&programs)).await.unwrap_err();
    assert!(!shown(&error).contains("canary"), "{error}");
}

#[tokio::test]
async fn a_tool_that_breaks_once_does_not_cost_a_living_token_and_a_refusal_does() {
    async fn wait(seconds: u64) {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::time::resume();
    }
    let programs = Programs::new();
    programs.add("az", &print(&az_answer("the-token")));
    let source = az(&programs);
    token(&source).await.unwrap();
    wait(3_330).await;
    for script in ["echo 'Traceback (most recent call last):' >&2\nexit 1\n", "echo '{'\n"] {
        programs.add("az", &noting(script));
        assert_eq!(token(&source).await.unwrap(), "the-token");
        assert!(programs.file("az.arguments").exists(), "it was asked");
        std::fs::remove_file(programs.file("az.arguments")).unwrap();
        wait(31).await;
    }
    programs.add("az", "echo 'ERROR: AADSTS50173: The grant has expired.' >&2\nexit 1\n");
    let error = token(&source).await.unwrap_err();
    assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn nothing_but_a_scope_becomes_an_argument() {
    let programs = Programs::new();
    programs.add("az", &noting("exit 1\n"));
    let source = az(&programs);
    for scopes in [&["--help"][..], &["$(touch x)"], &["a b"], &["a", "b"], &[]] {
        assert!(source.get_token(TokenRequest::new(scopes)).await.is_err());
    }
    assert!(!programs.file("az.arguments").exists());
}

/// A program that starts another one and waits for it. Both hold a pipe open: its end is
/// their end.
const HANGING: &str = "exec 3>\"$0.alive\"\nsleep 60 &\necho started >&3\nwait\n";

fn hanging() -> (Programs, tokio::task::JoinHandle<BufReader<File>>) {
    let programs = Programs::new();
    programs.add("az", HANGING);
    let pipe = programs.file("az.alive");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let started = tokio::task::spawn_blocking(move || {
        let mut pipe = BufReader::new(File::open(pipe).unwrap());
        let mut line = String::new();
        pipe.read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        pipe
    });
    (programs, started)
}

async fn has_ended(mut pipe: BufReader<File>) {
    let end = tokio::task::spawn_blocking(move || pipe.read_to_end(&mut Vec::new()).unwrap());
    let end = tokio::time::timeout(Duration::from_secs(20), end).await;
    end.expect("the program and what it started are killed").unwrap();
}

#[tokio::test]
async fn a_tool_that_hangs_is_killed_with_all_it_started() {
    let (programs, started) = hanging();
    let options = options(&programs).program_timeout(Duration::from_secs(3));
    let error = token(&AzureCliCredential::configured(&options)).await.unwrap_err();
    assert!(error.to_string().contains("`az` did not end within 3s"), "{error}");
    assert!(!is_unavailable(&error));
    // Should it not have come to the pipe in time: whoever reads it sees an end, not silence.
    drop(File::options().write(true).open(programs.file("az.alive")).unwrap());
    has_ended(started.await.unwrap()).await;
}

#[tokio::test]
async fn a_tool_that_nobody_waits_for_any_more_is_killed() {
    let (programs, started) = hanging();
    let source = az(&programs);
    let pipe = tokio::select! {
        pipe = started => pipe.unwrap(),
        ended = token(&source) => panic!("{ended:?}"),
    };
    has_ended(pipe).await;
}
