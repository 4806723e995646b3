//! Chains of one's own links.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use acr_auth::{
    AccessToken, Credential, TokenCredential, credential_fn,
    entra::{ChainedCredential, CredentialUnavailable},
};
use acr_core::{Error, ErrorKind, http::BoxError};

use crate::support::{is_unavailable, shown, token};

/// What a link answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Unavailable,
    Fails,
    Works,
}

const ALL: [Link; 3] = [Link::Unavailable, Link::Fails, Link::Works];

fn link(answer: Link, name: &'static str, calls: &Arc<AtomicUsize>) -> impl TokenCredential {
    let calls = Arc::clone(calls);
    credential_fn(move |_| {
        calls.fetch_add(1, Ordering::Relaxed);
        async move {
            match answer {
                Link::Unavailable => Err(CredentialUnavailable::new("nothing here").into()),
                Link::Fails => Err(BoxError::from(format!("{name} refused\n\u{1b}[31m"))),
                Link::Works => {
                    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
                    Ok(AccessToken::new(name, later))
                }
            }
        }
    })
}

#[tokio::test]
async fn the_first_available_link_decides_for_every_combination() {
    for answers in
        ALL.into_iter().flat_map(|a| ALL.into_iter().flat_map(move |b| ALL.map(|c| [a, b, c])))
    {
        let calls = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let names = ["one", "two", "three"];
        let mut chain = ChainedCredential::new();
        for ((answer, name), calls) in answers.into_iter().zip(names).zip(&calls) {
            chain = chain.link(name, link(answer, name, calls));
        }
        let first = answers.iter().position(|answer| *answer != Link::Unavailable);
        let result = token(&chain).await;
        match (first, result) {
            (None, Err(error)) => {
                assert!(is_unavailable(&error));
                assert_eq!(
                    error.to_string(),
                    "no credential is available here: one: nothing here; two: nothing here; three: nothing here"
                );
            }
            (Some(at), Ok(token)) => {
                assert_eq!((answers[at], token.as_str()), (Link::Works, names[at]));
                assert_eq!(chain.working_link(), Some(names[at]));
            }
            (Some(at), Err(error)) => {
                assert_eq!(answers[at], Link::Fails);
                assert!(!is_unavailable(&error), "{error}");
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{0}: {0} refused \\u{{1b}}[31m", names[at])),
                    "{text}"
                );
                for name in &names[..at] {
                    assert!(text.contains(&format!("{name}: nothing here")), "{text}");
                }
                assert!(!shown(&error).is_empty() && chain.working_link().is_none());
                assert_eq!(error.downcast_ref::<Error>().unwrap().kind(), ErrorKind::Credential);
            }
            (at, got) => panic!("{answers:?}: {at:?} {got:?}"),
        }
        let asked = calls.each_ref().map(|calls| calls.load(Ordering::Relaxed));
        let expected = [0, 1, 2].map(|at| usize::from(first.is_none_or(|first| at <= first)));
        assert_eq!(asked, expected, "{answers:?}");
    }
}

#[tokio::test]
async fn the_link_that_worked_is_asked_alone_and_its_failure_is_the_answer() {
    let before = Arc::new(AtomicUsize::new(0));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let once = credential_fn(move |_| {
        let is_first = count.fetch_add(1, Ordering::Relaxed) == 0;
        async move {
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
            if is_first {
                Ok(AccessToken::new("once", later))
            } else {
                Err(CredentialUnavailable::new("signed out").into())
            }
        }
    });
    let after = Arc::new(AtomicUsize::new(0));
    let chain = ChainedCredential::new()
        .link("before", link(Link::Unavailable, "before", &before))
        .link("once", once)
        .link("after", link(Link::Works, "after", &after));
    assert_eq!(token(&chain).await.unwrap(), "once");
    let error = token(&chain).await.unwrap_err();
    assert_eq!(error.to_string(), "once: signed out");
    let calls = [before, asked, after].map(|calls| calls.load(Ordering::Relaxed));
    assert_eq!(calls, [1, 2, 0], "no other identity takes its place");
}

#[tokio::test]
async fn chains_nest_and_an_empty_one_is_unavailable() {
    let calls = Arc::new(AtomicUsize::new(0));
    let chain = ChainedCredential::new()
        .link("inner", ChainedCredential::new())
        .link("last", link(Link::Works, "last", &calls));
    assert_eq!(token(&chain).await.unwrap(), "last");
    assert_eq!(
        format!("{chain:?}"),
        r#"ChainedCredential { links: ["inner", "last"], working: Some("last") }"#
    );
}

/// What is logged meanwhile at the level `DEBUG`.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A credential that the program gives in code, which nobody looks for.
#[tokio::test]
async fn the_link_that_signed_in_is_told_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let calls = Arc::new(AtomicUsize::new(0));
    let chain = ChainedCredential::new()
        .link("pod", link(Link::Unavailable, "pod", &calls))
        .link("Azure CLI", link(Link::Works, "canary", &calls));
    let fake = acr_testkit::FakeRegistry::new();
    let auth = acr_auth::AuthLayer::new(&fake.endpoint(), Credential::entra(chain));
    let pipeline = acr_core::Pipeline::builder(fake.endpoint())
        .transport(fake.transport())
        .layer_per_hop(auth)
        .build()
        .unwrap();
    for _ in 0..2 {
        let scope = acr_core::Scope::catalog();
        let request = acr_core::http::RequestBuilder::new(
            http::Method::GET,
            &fake.endpoint(),
            &["acr", "v1", "_catalog"],
        );
        let request = request.scope(scope).effect(acr_core::http::Effect::Read).build().unwrap();
        // The token is none that the registry takes: who signed in is told all the same.
        let _ = pipeline.send(request).await;
    }
    let told = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = |words: &str| told.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("acr_auth::entra::chain: signed in link=Azure CLI"), 1, "{told}");
    assert!(
        lines("signs in credential=Credential(entra) registry=\"fakeregistry.azurecr.io\"") > 0
    );
    assert!(!told.contains("canary"), "{told}");
}
