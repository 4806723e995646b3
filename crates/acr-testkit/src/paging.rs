//! Cuts lists into pages and writes the link to the next one.

use std::{collections::BTreeMap, ops::Bound};

use http::{StatusCode, header};

use crate::{
    answer::{Answer, Refusal, set},
    clock::Stamp,
    form::{Form, encode},
    repository::Timeline,
};

/// What a list request asks for.
#[derive(Debug)]
pub(crate) struct Paging {
    size: usize,
    last: Option<String>,
    order: Order,
    /// `orderby` as it came, for the link.
    order_text: String,
}

/// A page and the marker of the next one, if more items remain.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    next: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Name,
    OldestFirst,
    NewestFirst,
}

impl Paging {
    pub(crate) fn read(query: &Form) -> Result<Self, Refusal> {
        Self::read_from(query, 1)
    }

    fn read_from(query: &Form, least: usize) -> Result<Self, Refusal> {
        let size = match query.get("n") {
            None => DEFAULT_PAGE,
            Some(text) => text.parse().ok().filter(|n| *n >= least).ok_or_else(|| {
                let message = "invalid number of results requested";
                Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", message)
                    .detail(&BTreeMap::from([("n", text)]))
            })?,
        };
        let order_text = query.get("orderby").unwrap_or_default().to_owned();
        let order = match order_text.as_str() {
            "timeasc" => Order::OldestFirst,
            "timedesc" => Order::NewestFirst,
            _ => Order::Name,
        };
        let last = query.filled("last").map(str::to_owned);
        Ok(Self { size: size.min(MAX_PAGE), last, order, order_text })
    }

    /// For lists that know no order but that of the names. The specification allows pages of
    /// nothing, which have no next one.
    pub(crate) fn read_by_name(query: &Form, is_oci: bool) -> Result<Self, Refusal> {
        let paging = Self::read_from(query, if is_oci { 0 } else { 1 })?;
        Ok(Self { order: Order::Name, ..paging })
    }

    /// Cuts out the page after the marker without looking at anything before it. The times are
    /// those of the same items; items that are not picked do not count.
    pub(crate) fn walk<'a, T, U>(
        &self,
        names: &'a BTreeMap<String, T>,
        times: &'a Timeline,
        pick: impl Fn(&'a str, &'a T) -> Option<U>,
    ) -> Page<U> {
        let known = |(time, name): &'a (Stamp, String)| {
            let item = names.get(name)?;
            Some((name.as_str(), *time, item))
        };
        let last = self.last.as_deref();
        let timed = last.and_then(timed_marker);
        let pick = |(name, time, item): (&'a str, Stamp, &'a T)| {
            pick(name, item).map(|picked| (name.to_owned(), time, picked))
        };
        match self.order {
            Order::Name => {
                let start = last.map_or(Bound::Unbounded, Bound::Excluded);
                let range = names.range::<str, _>((start, Bound::Unbounded));
                self.take(range.filter_map(|(name, item)| pick((name, Stamp::default(), item))))
            }
            Order::OldestFirst => {
                let start = timed.map_or(Bound::Unbounded, Bound::Excluded);
                let range = times.0.range((start, Bound::Unbounded));
                self.take(range.filter_map(known).filter_map(pick))
            }
            Order::NewestFirst => {
                let end = timed.map_or(Bound::Unbounded, Bound::Excluded);
                let range = times.0.range((Bound::Unbounded, end)).rev();
                self.take(range.filter_map(known).filter_map(pick))
            }
        }
    }

    /// Orders items by name or time and cuts out the page after the marker.
    pub(crate) fn cut<T>(&self, items: impl Iterator<Item = (String, Stamp, T)>) -> Page<T> {
        let mut items: Vec<_> = items.collect();
        match self.order {
            Order::Name => items.sort_by(|a, b| a.0.cmp(&b.0)),
            Order::OldestFirst => items.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0))),
            Order::NewestFirst => items.sort_by(|a, b| (b.1, &b.0).cmp(&(a.1, &a.0))),
        }
        self.take(items.into_iter().filter(|(name, time, _)| self.is_after(name, *time)))
    }

    fn take<T>(&self, mut rest: impl Iterator<Item = (String, Stamp, T)>) -> Page<T> {
        let mut page = Page { items: Vec::new(), next: None };
        let mut marker = None;
        for (name, time, item) in rest.by_ref().take(self.size) {
            marker = Some(match self.order {
                Order::Name => name,
                _ => format!("{}&{name}", time.ticks()),
            });
            page.items.push(item);
        }
        page.next = rest.next().and(marker);
        page
    }

    /// Adds the link: the path as the request wrote it, the keys in alphabetical order.
    pub(crate) fn link<T>(&self, answer: &mut Answer, path: &str, page: &Page<T>) {
        if let Some(last) = &page.next {
            let (last, order) = (encode(last), encode(&self.order_text));
            let link =
                format!("<{path}?last={last}&n={}&orderby={order}>; rel=\"next\"", self.size);
            set(answer, header::LINK, &link);
        }
    }

    /// Whether an item comes after the marker; the marker itself need not exist any more.
    fn is_after(&self, name: &str, time: Stamp) -> bool {
        let Some(last) = &self.last else { return true };
        if self.order == Order::Name {
            return name > last.as_str();
        }
        let Some(marker) = timed_marker(last) else {
            return true;
        };
        let here = (time, name);
        let marker = (marker.0, marker.1.as_str());
        if self.order == Order::NewestFirst { here < marker } else { here > marker }
    }
}

impl<T> Page<T> {
    /// The items, or nothing for an empty page: an empty list is `null` on the wire.
    pub(crate) fn or_null(&self) -> Option<&[T]> {
        (!self.items.is_empty()).then_some(&self.items)
    }

    /// The items of a list of names: where the specification is followed to the letter, an empty
    /// one is a list too.
    pub(crate) fn names(&self, is_oci: bool) -> Option<&[T]> {
        if is_oci { Some(&self.items) } else { self.or_null() }
    }
}

/// The marker of an order by time: `TICKS&NAME`. Another text marks nothing.
fn timed_marker(text: &str) -> Option<(Stamp, String)> {
    let (ticks, name) = text.split_once('&')?;
    Some((Stamp::from_ticks(ticks.parse().ok()?), name.to_owned()))
}

const DEFAULT_PAGE: usize = 100;

/// More than this is cut silently.
const MAX_PAGE: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn items() -> impl Iterator<Item = (String, Stamp, &'static str)> {
        [("b", 1), ("a", 3), ("c/d", 2)]
            .into_iter()
            .map(|(name, time)| (name.to_owned(), Stamp::from_ticks(time), name))
    }

    fn walk(query: &str) -> (Vec<&'static str>, Vec<String>) {
        let (mut seen, mut links) = (Vec::new(), Vec::new());
        let mut query = query.to_owned();
        loop {
            let paging = Paging::read(&Form::parse(&query)).unwrap();
            let page = paging.cut(items());
            let names: BTreeMap<_, _> = items().map(|(name, _, item)| (name, item)).collect();
            let mut times = Timeline::default();
            items().for_each(|(name, time, _)| times.add(time, &name));
            let walked = paging.walk(&names, &times, |_, item| Some(*item));
            assert_eq!((&walked.items, &walked.next), (&page.items, &page.next));
            seen.extend(&page.items);
            let mut answer = crate::answer::empty(StatusCode::OK);
            paging.link(&mut answer, "/p", &page);
            let Some(link) = answer.headers().get("link") else {
                return (seen, links);
            };
            let link = link.to_str().unwrap().to_owned();
            query = link.split_once('?').unwrap().1.split_once('>').unwrap().0.to_owned();
            links.push(link);
        }
    }

    #[test]
    fn pages_join_to_the_whole_in_each_order() {
        assert_eq!(walk("n=1").0, ["a", "b", "c/d"]);
        assert_eq!(walk("n=1&orderby=timeasc").0, ["b", "c/d", "a"]);
        assert_eq!(walk("n=2&orderby=timedesc").0, ["a", "c/d", "b"]);
        assert_eq!(walk("n=3").1.len(), 0, "a full last page has no link");
    }

    #[test]
    fn links_are_those_of_the_registry() {
        assert_eq!(walk("n=2").1, ["</p?last=b&n=2&orderby=>; rel=\"next\""]);
        let link = &walk("n=2&orderby=timeasc").1[0];
        assert_eq!(link, "</p?last=2%26c%2Fd&n=2&orderby=timeasc>; rel=\"next\"");
    }

    #[test]
    fn sizes_are_checked_and_capped() {
        for bad in ["n=0", "n=-1", "n=x", "n="] {
            assert!(Paging::read(&Form::parse(bad)).is_err(), "{bad}");
        }
        assert_eq!(Paging::read(&Form::parse("n=5000")).unwrap().size, 1000);
        assert_eq!(Paging::read(&Form::parse("")).unwrap().size, 100);
    }
}
