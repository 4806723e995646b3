use std::path::Path;

use tokio::time::Instant;

use super::*;

/// Where the shell is.
const FOLDERS: &str = "/bin:/usr/bin";

const LIMIT: Duration = Duration::from_secs(30);

async fn shell(script: &str, input: &str) -> Result<Output, ProgramError> {
    let call = Call { arguments: &["-c", script], input, complaints: Complaints::Read };
    Program::new("sh", OsStr::new(FOLDERS), LIMIT).run(call).await
}

#[tokio::test]
async fn a_program_is_told_and_heard() {
    let output = shell("cat; printf bad >&2; exit 7", "question").await.unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"question"[..], &b"bad"[..])
    );
    assert_eq!(output.status.code(), Some(7));
    let output = shell("pwd; cat", "").await.unwrap();
    assert_eq!(output.stdout.as_slice(), b"/\n", "in the root folder, and without input");
    let call = Call { arguments: &["-c", "echo bad >&2"], input: "", complaints: Complaints::Drop };
    let output = Program::new("sh", OsStr::new(FOLDERS), LIMIT).run(call).await.unwrap();
    assert!(output.stderr.is_empty());
}

#[tokio::test]
async fn output_is_bounded_and_complaints_are_cut() {
    let output = shell("head -c 65536 /dev/zero; head -c 1000000 /dev/zero >&2", "").await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (MAX_OUTPUT, MAX_STDERR));
    assert_eq!(output.stdout.capacity(), MAX_OUTPUT, "it has not grown");
    // Whoever prints too much is not waited for, though its other output stays open.
    let start = Instant::now();
    let result = shell("trap '' PIPE; head -c 65537 /dev/zero; exec sleep 25 >/dev/null", "").await;
    assert!(matches!(result, Err(ProgramError::TooLarge)), "{result:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Whoever is left behind holds both pipes open, and goes on printing into one.
#[tokio::test]
async fn c8_an_agent_that_is_left_behind_does_not_keep_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let stop = folder.path().join("stop");
    let large = "head -c 60000 /dev/zero | tr '\\0' a";
    let agents = [
        ("sleep 60 &", "sleep 60"),
        ("(while :; do echo more >&2; sleep 0.01; done) &", "more"),
        ("sleep 60 <&- 2>/dev/null &", "without stderr"),
    ];
    for (agent, what) in agents {
        // The pid of the agent is its last word, so that the test can end what it started.
        let script = format!("{agent} echo $! >'{}'; {large}", stop.display());
        let start = Instant::now();
        let output = shell(&script, "").await;
        let pid = std::fs::read_to_string(&stop).unwrap();
        let is_alive = |pid: &str| {
            let kill = std::process::Command::new("kill").args(["-0", pid.trim()]).status();
            kill.unwrap().success()
        };
        let was_alive = is_alive(&pid);
        let killed = std::process::Command::new("kill").arg(pid.trim()).status().unwrap();
        let output = output.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert!(output.status.success() && output.stdout.len() == 60_000, "{what}");
        assert!(was_alive && killed.success(), "{what}: agents are left alone");
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
    }
}

/// The one that prints on after its parent has ended is not waited for, however fast it is.
#[tokio::test]
async fn c8_an_answer_is_whole_however_the_program_ends() {
    for _ in 0..20 {
        let output = shell("printf '%060000d' 7; exec 1>&- 2>&-; exit 3", "").await.unwrap();
        assert_eq!((output.stdout.len(), output.status.code()), (60_000, Some(3)));
    }
}

#[tokio::test]
async fn c4_programs_are_told_to_print_without_colours() {
    let output = shell("printf %s \"$NO_COLOR$AZURE_CORE_NO_COLOR${FORCE_COLOR-}\"", "").await;
    assert_eq!(output.unwrap().stdout.as_slice(), b"1true");
}

#[tokio::test]
async fn the_search_counts_against_the_limit() {
    let folders = std::env::join_paths((0..1_000).map(|i| format!("/absent-{i}"))).unwrap();
    let call = Call { arguments: &[], input: "", complaints: Complaints::Drop };
    let result = Program::new("sh", &folders, Duration::ZERO).run(call).await;
    assert!(matches!(result, Err(ProgramError::TimedOut)), "{result:?}");
    let result = Program::new("sh", &folders, LIMIT).run(call).await;
    assert!(matches!(result, Err(ProgramError::NotFound)), "{result:?}");
}

#[tokio::test]
async fn relative_folders_are_not_searched() {
    // A way from here to the shell, if one goes up far enough.
    let depth = std::env::current_dir().unwrap().components().count();
    let way = Path::new(&"../".repeat(depth)).join("bin");
    assert!(way.join("sh").is_file());
    let find =
        |folders: Vec<&Path>| Program::new("sh", &std::env::join_paths(folders).unwrap(), LIMIT);
    assert_eq!(find(vec![Path::new(""), Path::new("."), &way]).find().await, None);
    assert_eq!(find(vec![]).find().await, None);
    let found = find(vec![Path::new("relative"), &way, Path::new("/bin")]).find().await;
    assert_eq!(found.as_deref(), Some(Path::new("/bin/sh")));
}

#[tokio::test]
async fn what_is_no_program_is_not_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    std::fs::write(folder.path().join("file"), "#!/bin/sh\n").unwrap();
    for name in ["folder", "file", "absent"] {
        let program = Program::new(name, folder.path().as_os_str(), LIMIT);
        assert_eq!(program.find().await, None, "{name}");
    }
}

/// Both the shell and what it starts hold a pipe open: its end is their end.
#[tokio::test(start_paused = true)]
async fn whatever_a_program_started_dies_with_it() {
    for is_cancelled in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let script = format!("exec 3>'{}'; sleep 60 & echo started >&3; wait", pipe.display());
        let (say, mut started) = tokio::sync::mpsc::unbounded_channel();
        // While it runs, the paused clock stands still.
        let reader = tokio::task::spawn_blocking(move || {
            use std::io::{BufRead as _, BufReader};
            let mut lines = BufReader::new(std::fs::File::open(pipe).unwrap()).lines();
            let line = lines.next().unwrap().unwrap();
            say.send(line).unwrap();
            lines.count()
        });
        {
            let run = shell(&script, "");
            tokio::pin!(run);
            tokio::select! {
                ended = &mut run => panic!("{ended:?}"),
                line = started.recv() => assert_eq!(line.unwrap(), "started"),
            }
            if !is_cancelled {
                tokio::time::advance(LIMIT).await;
                assert!(matches!(run.await, Err(ProgramError::TimedOut)));
            }
        }
        tokio::time::resume();
        let rest = tokio::time::timeout(Duration::from_secs(20), reader).await;
        assert_eq!(rest.expect("both are killed").unwrap(), 0);
        tokio::time::pause();
    }
}
