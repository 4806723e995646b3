//! The environment's proxy variables, read by the real curl and by us: the same way for each.
#![cfg(feature = "servers")]

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use acr_core::{
    Transport,
    http::{Effect, RequestBuilder},
};
use http::Method;
use tower::ServiceExt as _;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// Set in the process that asks as we do.
const TARGET: &str = "ACR_TEST_TARGET";

/// Waits for connections and keeps what each said first.
struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, heard) = (listener.local_addr()?, Arc::<Mutex<Vec<String>>>::default());
        let notes = Arc::clone(&heard);
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                // Noted before it is answered, so that the note is there when the client ends.
                let text = first_words(&mut socket);
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                let _ = socket.write_all(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n");
            }
        });
        Ok(Self { address, heard })
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `tls`, or `plain` with the credentials that a request for a tunnel has.
fn first_words(socket: &mut TcpStream) -> String {
    let _ = socket.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read_exact(&mut byte).is_ok() {
        head.extend_from_slice(&byte);
        if head.first() == Some(&0x16) {
            return "tls".to_owned();
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let credentials = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then_some(value)
    });
    format!("plain {}", credentials.unwrap_or("-"))
}

struct Judges {
    a: Listener,
    b: Listener,
    direct: Listener,
}

impl Judges {
    /// Where a program went in this environment: `a`, `b`, `direct` or `nowhere`.
    fn verdict(&self, went_direct: bool) -> String {
        let asked = |name: &str, listener: &Listener| {
            listener.take().first().map(|text| format!("{name} {text}"))
        };
        let (a, b) = (asked("a", &self.a), asked("b", &self.b));
        let direct = !self.direct.take().is_empty() || went_direct;
        a.or(b).unwrap_or_else(|| if direct { "direct" } else { "nowhere" }.to_owned())
    }

    fn fill(&self, variables: &str) -> Vec<(String, String)> {
        let (a, b) = (self.a.address.to_string(), self.b.address.to_string());
        let pairs = variables.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.replace("{a}", &a).replace("{b}", &b)))
            .collect()
    }

    fn curl(&self, variables: &[(String, String)], host: &str) -> Result<String> {
        let status = Command::new("curl")
            .args(["--disable", "--silent", "--insecure", "--max-time", "10"])
            .args(["--connect-to", &format!("::{}", self.direct.address)])
            .arg(format!("https://{host}/"))
            .env_clear()
            .envs(variables.iter().cloned())
            .stdout(Stdio::null())
            .status()
            .map_err(|e| format!("curl does not start ({e}); it comes with Debian's `curl`"))?;
        assert!(!status.success(), "nobody answers with content here");
        Ok(self.verdict(false))
    }

    fn ours(&self, variables: &[(String, String)], host: &str) -> Result<String> {
        let output = Command::new(std::env::current_exe()?)
            .args(["--exact", "--nocapture", NAME])
            .env_clear()
            .env(TARGET, host)
            .envs(variables.iter().cloned())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let failed = text.lines().find_map(|line| line.split_once("ended: "));
        let (_, failed) = failed.ok_or_else(|| format!("no verdict: {text}"))?;
        // Nobody listens where the name would lead.
        let is_direct = failed.contains("TCP failed") || failed.contains("name resolution failed");
        Ok(self.verdict(is_direct && !failed.contains("proxy")))
    }
}

/// What the process does that this test starts: one request of the default transport.
#[expect(clippy::print_stdout, reason = "read by the process that started this one")]
fn ask(host: &str) -> Result {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let uri = format!("https://{host}/").parse()?;
    let request = RequestBuilder::to(Method::GET, uri).effect(Effect::Read).build()?;
    match runtime.block_on(Transport::rustls()?.oneshot(request)) {
        Ok(_) => Err("nobody answers with content here".into()),
        Err(error) => {
            println!("ended: {error}");
            Ok(())
        }
    }
}

const NAME: &str = "c12_the_environment_is_read_as_curl_reads_it";

#[test]
fn c12_the_environment_is_read_as_curl_reads_it() -> Result {
    if let Ok(host) = std::env::var(TARGET) {
        return ask(&host);
    }
    let judges =
        Judges { a: Listener::start()?, b: Listener::start()?, direct: Listener::start()? };
    assert!(ENVIRONMENTS.len() >= 60, "{}", ENVIRONMENTS.len());
    let mut differences = Vec::new();
    for (variables, host) in ENVIRONMENTS {
        let filled = judges.fill(variables);
        let (curl, ours) = (judges.curl(&filled, host)?, judges.ours(&filled, host)?);
        if curl != ours {
            differences.push(format!("{variables} for {host}: curl {curl}, we {ours}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

/// Variables, and the host that is asked for. Addresses are loopback only, since one of both
/// goes there directly.
///
/// Left out is what curl 7.88 itself reads in two ways: networks of IPv6, which later versions
/// read as we do, and lengths of networks with letters or signs.
const ENVIRONMENTS: &[(&str, &str)] = &[
    // which variable
    ("", "r.invalid"),
    ("HTTPS_PROXY={a}", "r.invalid"),
    ("https_proxy={a}", "r.invalid"),
    ("ALL_PROXY={a}", "r.invalid"),
    ("all_proxy={a}", "r.invalid"),
    ("HTTP_PROXY={a}", "r.invalid"),
    ("http_proxy={a}", "r.invalid"),
    ("https_proxy={a};HTTPS_PROXY={b}", "r.invalid"),
    ("all_proxy={a};ALL_PROXY={b}", "r.invalid"),
    ("HTTPS_PROXY={a};all_proxy={b}", "r.invalid"),
    ("https_proxy=;HTTPS_PROXY={a}", "r.invalid"),
    ("https_proxy=;HTTPS_PROXY=;all_proxy={a}", "r.invalid"),
    ("all_proxy=;ALL_PROXY={a}", "r.invalid"),
    ("https_proxy=;HTTPS_PROXY=;all_proxy=;ALL_PROXY=", "r.invalid"),
    ("Https_Proxy={a}", "r.invalid"),
    ("REQUEST_METHOD=GET;HTTPS_PROXY={a}", "r.invalid"),
    // what a proxy's URL is
    ("HTTPS_PROXY=http://{a}", "r.invalid"),
    ("HTTPS_PROXY=HTTP://{a}/", "r.invalid"),
    ("HTTPS_PROXY=http://{a}/path?query", "r.invalid"),
    ("HTTPS_PROXY=https://{a}", "r.invalid"),
    ("HTTPS_PROXY=https://u:p@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u:p@{a}", "r.invalid"),
    ("HTTPS_PROXY=u:p@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u:@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u:p:q@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u:p%40q%2F@{a}", "r.invalid"),
    ("HTTPS_PROXY=http://u:p@q@{a}", "r.invalid"),
    ("HTTPS_PROXY=ftp://{a}", "r.invalid"),
    ("HTTPS_PROXY=http://", "r.invalid"),
    ("HTTPS_PROXY= ", "r.invalid"),
    ("https_proxy= ;HTTPS_PROXY={a}", "r.invalid"),
    ("HTTPS_PROXY=http://127.0.0.1:99999", "r.invalid"),
    ("HTTPS_PROXY=http://127.0.0.1:x", "r.invalid"),
    ("ALL_PROXY=socks5://{a};NO_PROXY=r.invalid", "r.invalid"),
    ("ALL_PROXY=socks5h://{a};HTTPS_PROXY={b}", "r.invalid"),
    // names
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};no_proxy=r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};no_proxy=x;NO_PROXY=r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};no_proxy=r.invalid;NO_PROXY=x", "r.invalid"),
    ("HTTPS_PROXY={a};no_proxy=;NO_PROXY=r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=R.Invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid.", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid", "r.invalid."),
    ("HTTPS_PROXY={a};NO_PROXY=invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=.r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=..invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid", "a.r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid", "ar.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=a.r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=.", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid:443", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid:8443", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=https://r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.invalid/x", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=x/y,r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=10.0.0.0/8", "10.invalid"),
    // wildcards
    ("HTTPS_PROXY={a};NO_PROXY=*", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=*", "127.0.0.9"),
    ("HTTPS_PROXY={a};NO_PROXY=y,*", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=*,y", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY= *", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=* ", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=*.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=r.*", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=*invalid", "r.invalid"),
    // separators
    ("HTTPS_PROXY={a};NO_PROXY=x,r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=x, r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=x r.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=x\tr.invalid", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=,, r.invalid ,", "r.invalid"),
    ("HTTPS_PROXY={a};NO_PROXY=x|r.invalid", "r.invalid"),
    // addresses and networks
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.9", "127.0.0.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.8", "127.0.0.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.9:443", "127.0.0.9"),
    ("HTTPS_PROXY={a};NO_PROXY=.0.0.9", "127.0.0.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.0/8", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.0/16", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.0.0/16", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.8.0/23", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.9.9/32", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.9.8/32", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.9.9/33", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.0/0", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=0.0.0.0/0", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=127.9.9.9/", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=10.0.0.0/8 127.0.0.0/8", "127.9.9.9"),
    ("HTTPS_PROXY={a};NO_PROXY=::1", "[::1]"),
    ("HTTPS_PROXY={a};NO_PROXY=[::1]", "[::1]"),
    ("HTTPS_PROXY={a};NO_PROXY=[::1]:443", "[::1]"),
    ("HTTPS_PROXY={a};NO_PROXY=::2", "[::1]"),
    ("HTTPS_PROXY={a};NO_PROXY=127.0.0.1", "[::1]"),
    ("HTTPS_PROXY={a};NO_PROXY=localhost", "127.0.0.9"),
];
