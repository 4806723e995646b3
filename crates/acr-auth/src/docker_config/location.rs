//! Where the files are.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// The files to ask, in this order.
///
/// containers-auth.json(5) has the order of the three; that a variable excludes
/// all others is how podman and skopeo read both of them, and Docker its own.
pub(crate) fn files(variable: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = folder("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    if let Some(docker) = folder("DOCKER_CONFIG") {
        return vec![docker.join(DOCKER)];
    }
    let home = folder(HOME);
    let below_home = |path: &str| home.as_deref().map(|home: &Path| home.join(path));
    [
        folder("XDG_RUNTIME_DIR").map(|folder| folder.join(CONTAINERS)),
        folder("XDG_CONFIG_HOME")
            .or_else(|| below_home(".config"))
            .map(|folder| folder.join(CONTAINERS)),
        below_home(".docker").map(|folder| folder.join(DOCKER)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };
const CONTAINERS: &str = "containers/auth.json";
const DOCKER: &str = "config.json";

#[cfg(test)]
mod tests {
    use super::*;

    /// As paths: systems differ in the separator they show.
    fn found(variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| OsString::from(value))
        };
        files(&variable)
    }

    fn paths<const N: usize>(texts: [&str; N]) -> [PathBuf; N] {
        texts.map(PathBuf::from)
    }

    #[test]
    fn a_variable_excludes_everything_else() {
        let all = [
            ("REGISTRY_AUTH_FILE", "/a/login.json"),
            ("DOCKER_CONFIG", "/d"),
            ("XDG_RUNTIME_DIR", "/run/1"),
            (HOME, "/home/u"),
        ];
        assert_eq!(found(&all), paths(["/a/login.json"]));
        assert_eq!(found(&all[1..]), paths(["/d/config.json"]));
    }

    #[test]
    fn without_one_podmans_files_come_before_dockers() {
        assert_eq!(
            found(&[("XDG_RUNTIME_DIR", "/run/1"), (HOME, "/h"), ("DOCKER_CONFIG", "")]),
            paths([
                "/run/1/containers/auth.json",
                "/h/.config/containers/auth.json",
                "/h/.docker/config.json"
            ])
        );
        assert_eq!(
            found(&[("XDG_CONFIG_HOME", "/c"), (HOME, "/h")]),
            paths(["/c/containers/auth.json", "/h/.docker/config.json"])
        );
        assert!(found(&[]).is_empty());
    }
}
