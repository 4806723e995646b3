//! No body is sent twice.

use acr_bench::bounds::hold;
use bytes::Bytes;

use crate::support::{Beside, MIB, SMALL, digest, file, repository, stream};

const LEN: usize = 32 * MIB;

#[test]
fn uploads_send_each_byte_once() {
    let (beside, file) = (Beside::new(), file(LEN));
    let ours = beside.ours("bench/a");
    // What asks for a token has a body too.
    beside.run(ours.put(Bytes::from_static(b"warm")));
    let share = |what: &str, received: u64, len: usize| {
        assert!(received >= len as u64, "{what}: only {received} of {len} bytes were sent");
        hold(&format!("body bytes for each of a {what}"), received as f64 / len as f64);
    };
    share("file", beside.counted(ours.put_file(file.path())).received, LEN);
    share("stream", beside.counted(ours.put(stream(LEN))).received, LEN);
    let small = Bytes::from(vec![7; SMALL]);
    share("small put", beside.counted(ours.put(small)).received, SMALL);
}

#[test]
fn downloads_are_sent_each_byte_once() {
    let (beside, long) = (Beside::new(), digest(LEN));
    let ours = beside.ours(&repository(LEN));
    beside.run(ours.get(&long));
    let sent = beside.counted(ours.get(&long)).sent;
    assert!(sent >= LEN as u64);
    hold("body bytes for each of a download", sent as f64 / LEN as f64);
}
