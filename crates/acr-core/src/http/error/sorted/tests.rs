use std::collections::HashSet;

use super::*;
use crate::http::error::code::ErrorDetail;

/// One line a kind: its word, its exit code, its kind of I/O, and the sorts it is of.
type Line = (ErrorKind, &'static str, u8, io::ErrorKind, &'static [&'static str]);

#[rustfmt::skip]
const TABLE: &[Line] = &[
    (ErrorKind::InvalidInput, "invalid_input", 64, io::ErrorKind::InvalidInput, &[]),
    (ErrorKind::Credential, "credential", 77, io::ErrorKind::PermissionDenied, &["auth"]),
    (ErrorKind::Unauthenticated, "unauthenticated", 77, io::ErrorKind::PermissionDenied, &["auth"]),
    (ErrorKind::Forbidden, "forbidden", 77, io::ErrorKind::PermissionDenied, &["auth"]),
    (ErrorKind::NotFound, "not_found", 66, io::ErrorKind::NotFound, &["not found"]),
    (ErrorKind::Disallowed, "disallowed", 77, io::ErrorKind::PermissionDenied, &[]),
    (ErrorKind::Conflict, "conflict", 73, io::ErrorKind::Other, &["conflict"]),
    (ErrorKind::Rejected, "rejected", 69, io::ErrorKind::Other, &[]),
    (ErrorKind::Throttled, "throttled", 75, io::ErrorKind::Other, &["retryable", "transient"]),
    (ErrorKind::Server, "server", 69, io::ErrorKind::Other, &["retryable", "transient"]),
    (ErrorKind::Connect, "connect", 68, io::ErrorKind::NotConnected, &["retryable", "transient"]),
    (ErrorKind::Timeout, "timeout", 75, io::ErrorKind::TimedOut, &["retryable", "transient"]),
    (ErrorKind::Transport, "transport", 75, io::ErrorKind::ConnectionReset, &["retryable", "transient"]),
    (ErrorKind::Protocol, "protocol", 65, io::ErrorKind::InvalidData, &[]),
    (ErrorKind::Integrity, "integrity", 65, io::ErrorKind::InvalidData, &[]),
    (ErrorKind::TooLarge, "too_large", 65, io::ErrorKind::Other, &[]),
    (ErrorKind::Policy, "policy", 78, io::ErrorKind::PermissionDenied, &[]),
    (ErrorKind::Session, "session", 75, io::ErrorKind::Other, &["transient"]),
    (ErrorKind::Source, "source", 74, io::ErrorKind::Other, &[]),
];

fn sorts(error: &Error) -> Vec<&'static str> {
    let all = [
        ("auth", error.is_auth()),
        ("not found", error.is_not_found()),
        ("conflict", error.is_conflict()),
        ("retryable", error.is_retryable()),
        ("transient", error.is_transient()),
        ("unsupported", error.is_unsupported()),
    ];
    all.into_iter().filter_map(|(sort, is_it)| is_it.then_some(sort)).collect()
}

#[test]
fn every_kind_has_its_word_its_exit_code_and_its_sorts() {
    for (kind, word, code, io_kind, expected) in TABLE {
        let error = Error::new(*kind, "x");
        assert_eq!((kind.to_string().as_str(), error.exit_code()), (*word, *code));
        assert_eq!(sorts(&error), *expected, "{kind}");
        let outer = io::Error::from(error);
        assert_eq!(outer.kind(), *io_kind, "{kind}");
        let inner = outer.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert_eq!(inner.unwrap().kind(), *kind);
    }
    let kinds: HashSet<ErrorKind> = TABLE.iter().map(|line| line.0).collect();
    let last = TABLE.last().unwrap().0 as usize;
    assert_eq!(kinds.len(), last + 1, "a kind is missing in the table");
}

#[test]
fn the_status_and_the_code_refine_the_sort() {
    for (kind, status, code, expected) in [
        (ErrorKind::Server, 503, None, vec!["retryable", "transient"]),
        (ErrorKind::Server, 507, None, vec!["transient"]),
        (ErrorKind::Server, 501, None, vec!["unsupported"]),
        (ErrorKind::Server, 505, None, vec![]),
        (ErrorKind::Rejected, 408, None, vec!["retryable", "transient"]),
        (ErrorKind::Rejected, 405, None, vec!["unsupported"]),
        (ErrorKind::Rejected, 400, Some("UNSUPPORTED"), vec!["unsupported"]),
        (ErrorKind::Rejected, 413, None, vec![]),
        (ErrorKind::Disallowed, 405, Some("REGISTRY_DISALLOWED_OPERATION"), vec![]),
        (ErrorKind::NotFound, 404, Some("UNSUPPORTED"), vec!["not found"]),
    ] {
        let details = code.map(|code| ErrorDetail::new(code, "", None)).into_iter().collect();
        let status = StatusCode::from_u16(status).unwrap();
        let error = Error::new(kind, "x").with_status(status).with_details(details);
        assert_eq!(sorts(&error), expected, "{error}");
    }
    let permanent = Error::new(ErrorKind::Connect, "x").permanent();
    assert_eq!(sorts(&permanent), [""; 0]);
}

#[test]
fn a_failure_of_the_callers_own_file_keeps_its_kind() {
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let error = Error::new(ErrorKind::Source, "x").with_source(full);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::StorageFull);
}
