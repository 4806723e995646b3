//! Lists, whose pages are made when the first client asks for one and then only handed out.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, sync::Mutex};

use bytes::Bytes;

use super::route::List;
use crate::sync::lock;

/// A page as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) body: Bytes,
    /// The `Link` to the next one, if there is one.
    pub(super) link: Option<String>,
}

/// A list of a repository, and how many items a page of it has.
type Key = (List, String, u32);

/// The pages of all lists that were asked for.
#[derive(Debug)]
pub(super) struct Pages {
    registry: String,
    /// How many items each list has.
    items: u32,
    made: Mutex<BTreeMap<Key, Arc<[Page]>>>,
}

impl Pages {
    pub(super) fn new(registry: &str, items: u32) -> Self {
        Self { registry: registry.to_owned(), items, made: Mutex::default() }
    }

    /// The page of a list that a query asks for.
    pub(super) fn page(&self, list: List, name: &str, query: &str) -> Page {
        let value = |wanted: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == wanted).map(|(_, value)| value)
        };
        let size = value("n").and_then(|n| n.parse().ok()).unwrap_or(PAGE).clamp(1, MAX_PAGE);
        // The number that a name ends with is its place.
        let first = value("last").map_or(0, |last| number(last).saturating_add(1));
        if first % size != 0 {
            return self.make(list, name, size, first);
        }
        let pages = self.pages(list, name, size);
        let index = usize::try_from(first / size).unwrap_or(usize::MAX);
        pages.get(index).cloned().unwrap_or_else(|| self.make(list, name, size, first))
    }

    fn pages(&self, list: List, name: &str, size: u32) -> Arc<[Page]> {
        let mut made = lock(&self.made);
        let key = (list, name.to_owned(), size);
        if let Some(pages) = made.get(&key) {
            return Arc::clone(pages);
        }
        if made.len() >= MAX_LISTS {
            made.clear();
        }
        let count = self.items.div_ceil(size).max(1);
        let page = |index: u32| self.make(list, name, size, index.saturating_mul(size));
        let pages: Arc<[Page]> = (0..count).map(page).collect();
        made.insert(key, Arc::clone(&pages));
        pages
    }

    fn make(&self, list: List, name: &str, size: u32, first: u32) -> Page {
        let end = first.saturating_add(size).min(self.items);
        let mut body = String::new();
        // Writing to a String cannot fail.
        let _ = match list {
            List::Tags | List::Manifests => {
                let (registry, key) = (&self.registry, list.key());
                write!(body, r#"{{"registry":"{registry}","imageName":"{name}","{key}":["#)
            }
            List::TagNames => write!(body, r#"{{"name":"{name}","tags":["#),
            List::Repositories => write!(body, r#"{{"repositories":["#),
        };
        for number in first..end {
            if number > first {
                body.push(',');
            }
            list.write_item(&mut body, number);
        }
        body.push_str("]}");
        let link = (end < self.items).then(|| {
            let last = list.name_of(end.saturating_sub(1));
            format!(r#"<{}?last={last}&n={size}&orderby=>; rel="next""#, list.path(name))
        });
        Page { body: body.into(), link }
    }
}

impl List {
    fn key(self) -> &'static str {
        match self {
            Self::Manifests => "manifests",
            Self::Repositories => "repositories",
            Self::Tags | Self::TagNames => "tags",
        }
    }

    fn path(self, name: &str) -> String {
        match self {
            Self::Tags => format!("/acr/v1/{name}/_tags"),
            Self::Manifests => format!("/acr/v1/{name}/_manifests"),
            Self::Repositories => "/acr/v1/_catalog".to_owned(),
            Self::TagNames => format!("/v2/{name}/tags/list"),
        }
    }

    fn name_of(self, number: u32) -> String {
        match self {
            Self::Manifests => digest(number),
            Self::Repositories => format!("repository-{number:08}"),
            Self::Tags | Self::TagNames => format!("tag-{number:08}"),
        }
    }

    /// As Azure's registries write it.
    fn write_item(self, body: &mut String, number: u32) {
        let (name, digest) = (self.name_of(number), digest(number));
        let _ = match self {
            Self::TagNames | Self::Repositories => write!(body, r#""{name}""#),
            Self::Tags => write!(
                body,
                r#"{{"name":"{name}","digest":"{digest}",{TIMES},"signed":false,{LOCKS}}}"#
            ),
            Self::Manifests => write!(
                body,
                r#"{{"digest":"{name}","imageSize":0,{TIMES},"mediaType":"application/vnd.oci.image.index.v1+json","tags":["tag-{number:08}"],{LOCKS}}}"#
            ),
        };
    }
}

/// Of nothing: its number is all that matters.
fn digest(number: u32) -> String {
    format!("sha256:{number:064}")
}

fn number(name: &str) -> u32 {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let start = name.len().saturating_sub(digits.min(8));
    name.get(start..).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

const TIMES: &str = r#""createdTime":"2023-05-04T08:26:43.4961132Z","lastUpdateTime":"2023-05-04T08:26:43.4961132Z""#;

const LOCKS: &str = r#""changeableAttributes":{"deleteEnabled":true,"writeEnabled":true,"readEnabled":true,"listEnabled":true}"#;

const PAGE: u32 = 100;

const MAX_PAGE: u32 = 1_000;

/// Lists whose pages are kept, by name and length of a page.
const MAX_LISTS: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Follows the links; the items, and in how many pages they came.
    fn walk(pages: &Pages, list: List, mut query: String) -> (Vec<Value>, usize) {
        let (mut items, mut count) = (Vec::new(), 0);
        loop {
            let page = pages.page(list, "a/b", &query);
            let body: Value = serde_json::from_slice(&page.body).unwrap();
            items.extend(body[list.key()].as_array().unwrap().clone());
            count += 1;
            let Some(link) = page.link else { return (items, count) };
            let (path, rest) = link[1..].split_once('?').unwrap();
            assert_eq!(path, list.path("a/b"));
            query = rest.split('>').next().unwrap().to_owned();
        }
    }

    #[test]
    fn every_list_has_all_its_items_in_whole_pages() {
        let pages = Pages::new("r.example", 2_500);
        for list in [List::Tags, List::Manifests, List::Repositories, List::TagNames] {
            for (query, expected) in [("", 25), ("n=1000", 3), ("n=7", 358), ("n=9999", 3)] {
                let (items, count) = walk(&pages, list, query.to_owned());
                assert_eq!((items.len(), count), (2_500, expected), "{list:?} {query}");
                let distinct: std::collections::HashSet<_> =
                    items.iter().map(ToString::to_string).collect();
                assert_eq!(distinct.len(), 2_500);
            }
        }
        assert_eq!(lock(&pages.made).len(), 12, "of 9999 it makes 1000, as before");
    }

    #[test]
    fn a_list_can_begin_anywhere_and_be_empty() {
        let pages = Pages::new("r.example", 10);
        let (items, _) = walk(&pages, List::Tags, "last=tag-00000006".to_owned());
        assert_eq!(items.iter().map(|item| &item["name"]).collect::<Vec<_>>().len(), 3);
        assert_eq!(items[0]["name"], "tag-00000007");
        let (items, count) = walk(&Pages::new("r", 0), List::Manifests, String::new());
        assert_eq!((items.len(), count), (0, 1));
    }
}
