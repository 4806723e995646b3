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
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use acr_core::{
    ErrorKind, Pipeline, Transport,
    http::{Body, Request},
};
use acr_registry::RegistryClient;
use futures_util::{Stream, StreamExt as _};
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
    /// One item of an earlier page among new ones.
    OneAgain(usize, u8),
    /// New items with odd values beside what identifies them, and some that cannot be read.
    Odd(u8, u8),
    /// A success status, and no list: errors, a message, HTML, another list, half of one.
    NoList(u8),
}

/// Where a page's link leads.
#[derive(Clone, Debug)]
enum Link {
    Next,
    /// To a page by its number, back or ahead, by a link that is new every time.
    To(usize),
    OtherHost,
    OtherPath,
    /// Written so that it cannot be read.
    Broken(u8),
    None,
}

/// Which list is asked for: all of them must hold.
#[derive(Clone, Copy, Debug)]
enum List {
    Repositories,
    Tags,
    Manifests,
}

fn pages() -> impl Strategy<Value = Vec<(Page, Link)>> {
    let page = prop_oneof![
        6 => (1u8..5).prop_map(Page::Fresh),
        1 => Just(Page::Null),
        1 => (0usize..8).prop_map(Page::Again),
        1 => (0usize..8, 0u8..4).prop_map(|(page, item)| Page::OneAgain(page, item)),
        2 => (0u8..4, 0u8..3).prop_map(|(items, odd)| Page::Odd(items, odd)),
        1 => any::<u8>().prop_map(Page::NoList),
    ];
    let link = prop_oneof![
        12 => Just(Link::Next),
        1 => (0usize..12).prop_map(Link::To),
        1 => Just(Link::OtherHost),
        1 => Just(Link::OtherPath),
        1 => any::<u8>().prop_map(Link::Broken),
        1 => Just(Link::None),
    ];
    proptest::collection::vec((page, link), 1..12)
}

fn lists() -> impl Strategy<Value = List> {
    prop_oneof![Just(List::Repositories), Just(List::Tags), Just(List::Manifests)]
}

/// The numbers that a page holds, and no honest page holds twice.
fn items(script: &[(Page, Link)], at: usize) -> Vec<usize> {
    let fresh = |count: usize| (0..count).map(|n| at * 10 + n).collect::<Vec<_>>();
    match &script[at].0 {
        Page::Fresh(count) | Page::Odd(count, _) => fresh(usize::from(*count)),
        Page::Null | Page::NoList(_) => Vec::new(),
        Page::Again(earlier) if *earlier < at => items(script, *earlier),
        Page::OneAgain(earlier, item) if *earlier < at => {
            let mut page = fresh(2);
            page.extend(items(script, *earlier).get(usize::from(*item)));
            page
        }
        Page::Again(_) | Page::OneAgain(..) => fresh(1),
    }
}

fn written(list: List, n: usize) -> String {
    let time = "2024-01-01T00:00:00Z";
    match list {
        List::Repositories => format!("\"r{n:05}\""),
        List::Tags => format!(
            r#"{{"name":"r{n:05}","digest":"sha256:{n:064x}","createdTime":"{time}","lastUpdateTime":"{time}"}}"#
        ),
        List::Manifests => {
            format!(
                r#"{{"digest":"sha256:{n:064x}","createdTime":"{time}","lastUpdateTime":"{time}"}}"#
            )
        }
    }
}

fn serve(list: List, script: Vec<(Page, Link)>, asked: Arc<AtomicUsize>) -> RegistryClient {
    let transport = Transport::new(tower::service_fn(move |request: Request| {
        let count = asked.fetch_add(1, Ordering::Relaxed);
        let query = request.uri().query().unwrap_or_default();
        let at = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("last="))
            .map_or(0, |at| at.parse::<usize>().unwrap());
        let answer = http::Response::builder();
        let path = request.uri().path();
        let key = match list {
            List::Repositories => "repositories",
            List::Tags => "tags",
            List::Manifests => "manifests",
        };
        let (answer, body) = if at < script.len() {
            let link = match &script[at].1 {
                Link::Next if at + 1 < script.len() => format!("<{path}?last={}&n=1>", at + 1),
                // A link that differs in everything but its meaning.
                Link::To(to) => format!("<{path}?last={to}&n=1&salt={count}>"),
                Link::OtherHost => format!("<https://evil.example{path}?last=1>"),
                Link::OtherPath => "</v2/_catalog?last=1>".to_owned(),
                Link::Broken(_) | Link::Next | Link::None => String::new(),
            };
            let answer = match &script[at].1 {
                Link::Broken(how) => answer.header("link", broken(path, *how)),
                _ if link.is_empty() => answer,
                _ => answer.header("link", format!("{link}; rel=\"next\"")),
            };
            let body = match &script[at].0 {
                Page::NoList(how) => no_list(key, *how),
                page => {
                    // Wherever it comes again, an item is written as on its own page.
                    let written = |item: &usize| match script[item / 10].0 {
                        Page::Odd(..) => odd(list, *item),
                        _ => written(list, *item),
                    };
                    let items = items(&script, at);
                    let mut items: Vec<String> = items.iter().map(written).collect();
                    for n in 0..unreadable(page) {
                        items.insert(
                            n * 2 % (items.len() + 1),
                            UNREADABLE[(at + n) % UNREADABLE.len()].to_owned(),
                        );
                    }
                    if items.is_empty() {
                        "null".to_owned()
                    } else {
                        format!("[{}]", items.join(","))
                    }
                }
            };
            let is_list = !matches!(script[at].0, Page::NoList(_));
            (answer, if is_list { format!("{{\"{key}\":{body}}}") } else { body })
        } else {
            (answer, format!("{{\"{key}\":null}}"))
        };
        async move { Ok::<_, std::io::Error>(answer.body(Body::from(body)).unwrap()) }
    }));
    let endpoint = "reg.azurecr.io".parse().unwrap();
    RegistryClient::new(Pipeline::builder(endpoint).transport(transport).build().unwrap())
}

/// How many items of a page cannot be read.
fn unreadable(page: &Page) -> usize {
    if let Page::Odd(_, odd) = page { usize::from(*odd) } else { 0 }
}

const UNREADABLE: [&str; 6] =
    ["null", "7", r#"{"name":"no tag","digest":"x"}"#, "[]", r#""No Name""#, r#"{"digest":{}}"#];

/// An item whose other fields are not what they should be.
fn odd(list: List, item: usize) -> String {
    let fields = [
        r#""createdTime":"2024-01-01T00:00:00.1234567890123Z""#,
        r#""lastUpdateTime":"yesterday","createdTime":7"#,
        r#""changeableAttributes":null,"imageSize":"large""#,
        r#""changeableAttributes":{"deleteEnabled":"no"},"signed":{},"tags":["no tag"]"#,
    ];
    let fields = fields[item % fields.len()];
    match list {
        List::Repositories => written(list, item),
        List::Tags => format!(r#"{{"name":"r{item:05}","digest":"sha256:{item:064x}",{fields}}}"#),
        List::Manifests => format!(r#"{{"digest":"sha256:{item:064x}",{fields}}}"#),
    }
}

fn broken(path: &str, how: u8) -> http::HeaderValue {
    let forms = [
        format!("{path}?last=1; rel=\"next\"").into_bytes(),
        format!("<{path}?last=1; rel=\"next\"").into_bytes(),
        format!("<{path}?last=1>; rel=\"next").into_bytes(),
        format!("<{path}?last=1>").into_bytes(),
        [format!("<{path}?last=").as_bytes(), b"\xe9>; rel=\"next\""].concat(),
        format!("<{path}?last=1>; rel=\"next\", <{path}?last=2>; rel=\"next\"").into_bytes(),
        format!("<{path}?last=1>; rel='next'").into_bytes(),
    ];
    http::HeaderValue::from_bytes(&forms[usize::from(how) % forms.len()]).unwrap()
}

fn no_list(key: &str, how: u8) -> String {
    let forms = [
        r#"{"errors":[{"code":"DENIED","message":"no"}]}"#.to_owned(),
        r#"{"message":"no Route matched"}"#.to_owned(),
        "<html>sign in</html>".to_owned(),
        "{}".to_owned(),
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"{"other":[]}"#.to_owned(),
        format!(r#"{{"{key}":null,"errors":[{{"code":"DENIED"}}]}}"#),
        format!(r#"{{"{key}":null,"{key}":[]}}"#),
        format!(r#"{{"{key}":{{}}}}"#),
        format!(r#"{{"{key}":"x"}}"#),
        format!(r#"{{"{key}":["#),
    ];
    forms[usize::from(how) % forms.len()].clone()
}

/// What an honest reader sees, and whether the list ends well: pages as they are linked,
/// up to the first lie, be it an item that was there or a way that has no end. A list that
/// lacks an item does not end well either.
fn expected(script: &[(Page, Link)]) -> (Vec<usize>, bool) {
    let (mut seen, mut all) = (Vec::new(), BTreeSet::new());
    let (mut at, mut visited, mut lacking) = (0, 0, 0);
    while at < script.len() {
        let page = items(script, at);
        lacking += unreadable(&script[at].0);
        visited += 1;
        // Round and round on pages without an item.
        let is_endless = visited > 10 * script.len();
        let leads_away =
            matches!(script[at].1, Link::OtherHost | Link::OtherPath | Link::Broken(_));
        let leads_away = leads_away || matches!(script[at].0, Page::NoList(_));
        if is_endless || leads_away || page.iter().any(|item| !all.insert(*item)) {
            return (seen, false);
        }
        seen.extend(page);
        at = match &script[at].1 {
            Link::Next => at + 1,
            Link::To(to) => *to,
            _ => return (seen, lacking == 0),
        };
    }
    (seen, lacking == 0)
}

/// Reads a list to its end; what it gave, and how it failed.
async fn read<T>(
    mut pager: impl Stream<Item = acr_core::Result<T>> + Unpin,
    number: fn(&T) -> usize,
) -> (Vec<usize>, Option<ErrorKind>) {
    let mut seen = Vec::new();
    loop {
        match pager.next().await {
            Some(Ok(item)) => seen.push(number(&item)),
            None => break (seen, None),
            Some(Err(error)) => {
                for _ in 0..2 {
                    let again = pager.next().await.expect("never a clean end after an error");
                    let again = again.err().expect("no item after an error that ends the list");
                    assert_eq!(again.to_string(), error.to_string());
                }
                break (seen, Some(error.kind()));
            }
        }
    }
}

fn number_of(digest: &acr_core::Digest) -> usize {
    usize::from_str_radix(&digest.as_str()[7..], 16).unwrap()
}

/// More than that many requests for a list that leads nowhere are a loop.
const PATIENCE: usize = 1_001;

/// Reads the list that a server tells by a script, and compares it with an honest reader's.
fn check(list: List, script: &[(Page, Link)]) -> Result<(), TestCaseError> {
    let asked = Arc::new(AtomicUsize::new(0));
    let client = serve(list, script.to_vec(), Arc::clone(&asked));
    let (wanted, ends_well) = expected(script);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let repo = client.repository("a").unwrap();
    let (seen, error) = runtime.block_on(async {
        match list {
            List::Repositories => {
                read(client.list_repositories(), |name| name.as_str()[1..].parse().unwrap()).await
            }
            List::Tags => read(repo.list_tags(), |tag| number_of(&tag.digest)).await,
            List::Manifests => {
                read(repo.list_manifests(), |manifest| number_of(&manifest.digest)).await
            }
        }
    });
    prop_assert_eq!(&seen, &wanted);
    prop_assert_eq!(error.is_none(), ends_well, "{:?}", error);
    let is_typed = |kind| matches!(kind, ErrorKind::Protocol | ErrorKind::Policy);
    prop_assert!(error.is_none_or(is_typed));
    prop_assert!(asked.load(Ordering::Relaxed) <= script.len() + PATIENCE);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a4_a8_f1_no_server_makes_a_list_loop_skip_repeat_or_end_early(list in lists(), script in pages()) {
        check(list, &script)?;
    }
}

#[test]
fn a_list_that_goes_round_on_pages_without_items_ends() {
    for script in [
        vec![(Page::Null, Link::To(0))],
        vec![(Page::Fresh(2), Link::Next), (Page::Null, Link::To(2)), (Page::Null, Link::To(1))],
    ] {
        for list in [List::Repositories, List::Tags, List::Manifests] {
            check(list, &script).unwrap();
        }
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
    let mut pager = repo.list_manifests().page_size(1000);
    let mut count = 0;
    while pager.try_next().await.unwrap().is_some() {
        assert_eq!(asked.load(Ordering::Relaxed), count / 1000 + 1);
        count += 1;
    }
    assert_eq!((count, asked.load(Ordering::Relaxed)), (100_000, 100));
}
