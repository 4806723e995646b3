//! The program: its one line, its end, what it refuses.
#![cfg(unix)]

#[cfg(test)]
mod tests {
    use std::{path::Path, process::Stdio};

    use serde_json::Value;
    use tempfile::TempDir;
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpStream,
        process::{Child, Command},
    };

    type Output = tokio::io::Lines<BufReader<tokio::process::ChildStdout>>;

    fn command(temporary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_acr-emulator"));
        command.args(arguments).env("TMPDIR", temporary).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn start(temporary: &Path, arguments: &[&str]) -> (Child, Value, Output) {
        let mut child = command(temporary, arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        (child, serde_json::from_str(&line).unwrap(), lines)
    }

    /// Sends one request on a connection of its own and reads the answer to the end.
    async fn ask(ready: &Value, head: &str, body: &[u8]) -> String {
        let address = ready["endpoint"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Basic YW5uOnNlY3JldA==\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut text = Vec::new();
        stream.read_to_end(&mut text).await.unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    async fn signal(child: &mut Child, name: &str) -> Option<i32> {
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
        child.wait().await.unwrap().code()
    }

    #[tokio::test]
    async fn stores_serves_and_leaves_nothing_behind() {
        let folder = TempDir::new().unwrap();
        let arguments = ["--user", "ann:secret", "--faults", "status op=ping status=503 nth=2"];
        let (mut child, ready, _output) = start(folder.path(), &arguments).await;
        assert_eq!(ready["pid"], child.id().unwrap());
        assert!(ready["ca"].is_null());
        assert!(ready["storage"].as_str().unwrap().starts_with("http://localhost:"));
        assert!(ready["entra_token"].as_str().unwrap().contains("canary"));
        assert!(ask(&ready, "GET /v2/", b"").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(ask(&ready, "GET /v2/", b"").await.starts_with("HTTP/1.1 503 "));
        let content = vec![5u8; 2_000_000];
        let digest = acr_core::Digest::sha256(&content);
        let head = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        let answer = ask(&ready, &head, &content).await;
        assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
        assert!(answer.contains("\r\nDocker-Content-Digest: sha256:"), "{answer}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "the large blob's folder");
        assert_eq!(signal(&mut child, "TERM").await, Some(0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn writes_the_authority_where_it_is_told() {
        let (folder, certificates) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let told = certificates.path().join("new");
        let (mut child, ready, _output) =
            start(folder.path(), &["--tls", "--cert-dir", told.to_str().unwrap()]).await;
        assert_eq!(ready["ca"], told.join("ca.pem").to_str().unwrap());
        let pem = std::fs::read_to_string(told.join("ca.pem")).unwrap();
        assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(signal(&mut child, "INT").await, Some(0));

        let (mut child, ready, _output) = start(folder.path(), &["--tls"]).await;
        assert!(Path::new(ready["ca"].as_str().unwrap()).starts_with(folder.path()));
        assert_eq!(signal(&mut child, "TERM").await, Some(0));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn is_the_registry_and_of_the_time_that_is_asked_for() {
        let folder = TempDir::new().unwrap();
        let digest = format!("sha512:{}", "0".repeat(128));
        let push = format!("POST /v2/a/blobs/uploads/?digest={digest}");
        let user = ["--user", "ann:secret"];
        for (arguments, server, detail) in [
            (vec![], "AzureContainerRegistry", "digest parsing failed"),
            (vec!["--era", "2024"], "openresty", "digest parsing failed"),
            (vec!["--era", "2021", "--profile", "acr"], "openresty", "digest parsing failed"),
            (vec!["--profile", "oci"], "AzureContainerRegistry", "digest does not match"),
        ] {
            let arguments = [&user[..], &arguments].concat();
            let (mut child, ready, _output) = start(folder.path(), &arguments).await;
            let answer = ask(&ready, &push, b"").await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
            assert!(answer.contains(&format!("\r\nServer: {server}\r\n")), "{answer}");
            assert!(answer.contains(detail), "{arguments:?}: {answer}");
            assert_eq!(signal(&mut child, "TERM").await, Some(0));
        }
        let arguments = ["--user", "ann:secret", "--no-referrers"];
        let (mut child, ready, _output) = start(folder.path(), &arguments).await;
        let digest = format!("sha256:{}", "0".repeat(64));
        let answer = ask(&ready, &format!("GET /v2/a/referrers/{digest}"), b"").await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("404 page not found"));
        assert_eq!(signal(&mut child, "TERM").await, Some(0));
    }

    #[tokio::test]
    async fn refuses_what_it_cannot_do() {
        let folder = TempDir::new().unwrap();
        for arguments in [
            ["--listen", "0.0.0.0:0"],
            ["--listen", "10.1.2.3:80"],
            ["--faults", "boom"],
            ["--seed", "layout"],
            ["--seed", "layout:Upper"],
            ["--quota", "gold"],
            ["--clock-rate", "0"],
            ["--soft-delete", "91"],
            ["--user", "nocolon"],
            ["--blobs", "pigeon"],
            ["--profile", "docker"],
            ["--era", "1999"],
        ] {
            let output = command(folder.path(), &arguments).output().await.unwrap();
            assert_eq!(output.status.code(), Some(2), "{arguments:?}");
            assert!(output.stdout.is_empty());
        }
    }
}
