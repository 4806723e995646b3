//! The public lists against servers that lie about their pages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests may stop at the first surprise"
)]

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use acr_core::{Body, ErrorKind, Pipeline, Request, Transport};
use acr_registry::RegistryClient;
use proptest::prelude::*;

/// What a server does with one page.
#[derive(Clone, Debug)]
enum Page {
    /// New items.
    Fresh(u8),
    /// `null` for a list.
    Null,
    /// The items of an earlier page, under whatever link.
    Again(usize),
}

/// Where a page's link leads.
#[derive(Clone, Debug)]
enum Link {
    Next,
    Back(usize),
    OtherHost,
    OtherPath,
    Broken,
    None,
}

fn pages() -> impl Strategy<Value = Vec<(Page, Link)>> {
    let page = prop_oneof![
        6 => (1u8..5).prop_map(Page::Fresh),
        1 => Just(Page::Null),
        1 => (0usize..8).prop_map(Page::Again),
    ];
    let link = prop_oneof![
        12 => Just(Link::Next),
        1 => (0usize..8).prop_map(Link::Back),
        1 => Just(Link::OtherHost),
        1 => Just(Link::OtherPath),
        1 => Just(Link::Broken),
        1 => Just(Link::None),
    ];
    proptest::collection::vec((page, link), 1..12)
}

/// The numbers that a page holds, and no honest page holds twice.
fn items(script: &[(Page, Link)], at: usize) -> Vec<usize> {
    match &script[at].0 {
        Page::Fresh(count) => (0..usize::from(*count)).map(|n| at * 10 + n).collect(),
        Page::Null => Vec::new(),
        Page::Again(earlier) if *earlier < at => items(script, *earlier),
        Page::Again(_) => vec![at * 10],
    }
}

fn serve(script: Vec<(Page, Link)>, asked: Arc<AtomicUsize>) -> RegistryClient {
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let count = asked.fetch_add(1, Ordering::Relaxed);
        let query = request.uri().query().unwrap_or_default();
        let at = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("last="))
            .map_or(0, |at| at.parse::<usize>().unwrap());
        let answer = http::Response::builder();
        let path = request.uri().path();
        let (answer, body) = if at < script.len() {
            let list: Vec<String> =
                items(&script, at).iter().map(|n| format!("\"r{n:05}\"")).collect();
            let list =
                if list.is_empty() { "null".to_owned() } else { format!("[{}]", list.join(",")) };
            let link = match &script[at].1 {
                Link::Next if at + 1 < script.len() => format!("<{path}?last={}&n=1>", at + 1),
                // A link that differs in everything but its meaning.
                Link::Back(to) => format!("<{path}?last={to}&n=1&salt={count}>"),
                Link::OtherHost => "<https://evil.example/acr/v1/_catalog?last=1>".to_owned(),
                Link::OtherPath => "</v2/_catalog?last=1>".to_owned(),
                Link::Broken => "<no end".to_owned(),
                Link::Next | Link::None => String::new(),
            };
            let answer = if link.is_empty() {
                answer
            } else {
                answer.header("link", format!("{link}; rel=\"next\""))
            };
            (answer, format!("{{\"repositories\":{list}}}"))
        } else {
            (answer, "{\"repositories\":null}".to_owned())
        };
        async move { Ok::<_, std::io::Error>(answer.body(Body::from(body)).unwrap()) }
    }));
    let endpoint = "reg.azurecr.io".parse().unwrap();
    RegistryClient::new(Pipeline::builder(endpoint).transport(transport).build().unwrap())
}

/// What an honest reader sees: pages in their order up to the first lie.
fn expected(script: &[(Page, Link)]) -> (Vec<usize>, bool) {
    let (mut seen, mut all) = (Vec::new(), BTreeSet::new());
    for at in 0..script.len() {
        let page = items(script, at);
        if matches!(script[at].1, Link::OtherHost | Link::OtherPath) {
            return (seen, false);
        }
        if page.iter().any(|item| !all.insert(*item)) {
            return (seen, false);
        }
        seen.extend(page);
        match &script[at].1 {
            Link::Next => {}
            Link::Back(to) if *to >= script.len() => return (seen, true),
            // Round and round, until an item or a link comes again.
            Link::Back(_) => return (seen, false),
            _ => return (seen, true),
        }
    }
    (seen, true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_server_makes_a_list_loop_skip_or_repeat(script in pages()) {
        // Back to a page of nothing is a page of nothing again: only its link tells.
        prop_assume!(!script.iter().any(|(_, link)| matches!(link, Link::Back(to) if *to < script.len() && items(&script, *to).is_empty())));
        prop_assume!(!script.iter().enumerate().any(|(at, (_, link))| matches!(link, Link::Back(to) if *to > at)));
        let asked = Arc::new(AtomicUsize::new(0));
        let client = serve(script.clone(), Arc::clone(&asked));
        let (wanted, ends_well) = expected(&script);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (seen, error) = runtime.block_on(async {
            let mut pager = client.list_repositories();
            let mut seen = Vec::new();
            loop {
                match pager.try_next().await {
                    Ok(Some(name)) => seen.push(name.as_str()[1..].parse::<usize>().unwrap()),
                    Ok(None) => break (seen, None),
                    Err(error) => {
                        assert!(pager.try_next().await.unwrap().is_none(), "an error ends the list");
                        break (seen, Some(error.kind()));
                    }
                }
            }
        });
        prop_assert_eq!(&seen, &wanted);
        prop_assert_eq!(error.is_none(), ends_well, "{:?}", error);
        prop_assert!(error.is_none_or(|kind| matches!(kind, ErrorKind::Protocol | ErrorKind::Policy)));
        prop_assert!(asked.load(Ordering::Relaxed) <= script.len() + 1);
    }
}

/// 100,000 manifests in pages of 1,000; counts what is asked.
#[tokio::test]
async fn a_long_list_is_one_request_a_page_and_none_ahead_of_need() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        counter.fetch_add(1, Ordering::Relaxed);
        let last =
            request.uri().query().and_then(|q| q.split('&').find_map(|p| p.strip_prefix("last=")));
        let first: usize = last.map_or(0, |last| last.parse().unwrap());
        let items: Vec<String> = (first..first + 1000)
            .map(|n| {
                let time = "2024-01-01T00:00:00Z";
                format!(r#"{{"digest":"sha256:{n:064x}","createdTime":"{time}","lastUpdateTime":"{time}"}}"#)
            })
            .collect();
        let mut answer = http::Response::builder();
        if first + 1000 < 100_000 {
            let link =
                format!("<{}?last={}&n=1000>; rel=\"next\"", request.uri().path(), first + 1000);
            answer = answer.header("link", link);
        }
        let body = format!("{{\"manifests\":[{}]}}", items.join(","));
        async move { Ok::<_, std::io::Error>(answer.body(Body::from(body)).unwrap()) }
    }));
    let endpoint = "reg.azurecr.io".parse().unwrap();
    let pipeline = Pipeline::builder(endpoint).transport(transport).build().unwrap();
    let repo = RegistryClient::new(pipeline).repository("a").unwrap();
    let mut pager = repo.list_manifests().page_size(NonZeroU32::new(1000).unwrap());
    let mut count = 0;
    while pager.try_next().await.unwrap().is_some() {
        assert_eq!(asked.load(Ordering::Relaxed), count / 1000 + 1);
        count += 1;
    }
    assert_eq!((count, asked.load(Ordering::Relaxed)), (100_000, 100));
}
