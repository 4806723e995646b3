//! Each suite twice: content is hashed by the task that has it in hand, and on a thread.

use std::process::Command;

use acr_core::hashing::Hashing;

const BESIDE: &str = "ACR_BLOB_TEST_BESIDE";

/// Where the clients of this suite hash, this time.
pub(crate) fn hashing() -> Hashing {
    if std::env::var_os(BESIDE).is_some() { Hashing::Beside } else { Hashing::Here }
}

/// All other tests of this suite once more, in another process.
#[test]
fn all_of_it_on_a_thread() {
    if std::env::var_os(BESIDE).is_some() {
        return;
    }
    let suite = std::env::current_exe().unwrap();
    let ran = Command::new(suite).args(["--skip", "modes::"]).env(BESIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let is_good = ran.status.success() && said.contains("test result: ok.");
    assert!(
        is_good && !said.contains(" 0 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
