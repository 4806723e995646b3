//! Lists, page by page and item by item, one request per page and none ahead of need.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::{
    http::{
        error::{Error, ErrorKind, Result},
        told::Told,
    },
    value::unreadable::{Skipped, Unreadable},
};

/// Where a list goes on; can be stored and used in another process.
///
/// Holds the query that the registry chose for its next page, no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Continuation {
    query: String,
}

/// What a page is fetched by.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PageRequest {
    /// How many items to ask for; the registry's default (100) when absent.
    pub page_size: Option<u32>,
    /// Where to go on; the first page when absent.
    pub continuation: Option<Continuation>,
}

/// One page of a list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The items, possibly none.
    pub items: Vec<T>,
    /// What the registry sent and could not be read, and is not among the items.
    pub unreadable: Vec<Unreadable>,
    /// Where the next page starts; `None` on the last.
    pub next: Option<Continuation>,
}

/// A list, item by item.
///
/// Nothing is sent before the first item is asked for, and the next page only
/// when the items of this one are used up. Every method is cancellation safe:
/// the state, a request in flight included, stays in the value.
///
/// An item that cannot be read does not keep the others back. But a list that lacks one
/// does not end as if it were whole: after the last item it is a
/// [`ErrorKind::Protocol`] failure that names what is missing, so that nobody takes what was
/// not given for what is not there. [`Pager::skip_unreadable`] is for who can do without.
///
/// ```
/// use acr_core::{Continuation, Page, Pager};
///
/// let numbers = || {
///     Pager::new(|request| async move {
///         let next = Continuation::from_query("last=2");
///         Ok(match request.continuation {
///             None => Page::new(vec![1, 2], Some(next)),
///             Some(_) => Page::new(vec![3], None),
///         })
///     })
/// };
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let mut list = numbers();
/// assert_eq!(list.try_next().await?, Some(1)); // one request
/// assert_eq!(list.try_next().await?, Some(2)); // none
/// assert_eq!(list.try_next().await?, Some(3)); // another one
/// assert_eq!(list.try_next().await?, None);
/// # Ok::<(), acr_core::Error>(()) }).unwrap();
/// ```
#[must_use = "a pager sends nothing until it is asked"]
pub struct Pager<T> {
    pages: Pages<T>,
    items: VecDeque<T>,
}

/// A list, page by page.
#[must_use = "pages are not fetched until they are asked for"]
pub struct Pages<T> {
    fetch: Arc<Fetch<T>>,
    page_size: Option<u32>,
    state: State<T>,
    /// What the page in flight, or else the page delivered last, was fetched by.
    from: Option<Continuation>,
    /// Hashes of the continuations used so far, against a server that sends us round in circles.
    seen: HashSet<u64>,
    skipped: Skipped,
    /// Whether the list may end well without what was skipped.
    skips: bool,
    /// How often the stream gave an error since it last gave something else.
    told: Told,
}

type Fetch<T> = dyn Fn(PageRequest) -> PageFuture<T> + Send + Sync;
type PageFuture<T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send>>;

enum State<T> {
    Ready(Option<Continuation>),
    // The mutex is never locked: it makes the pager `Sync` around a future that is only `Send`.
    InFlight(std::sync::Mutex<PageFuture<T>>),
    Done,
    /// Ended by a failure, which is given again whenever the list is asked.
    Failed(Arc<Error>),
}

impl Continuation {
    /// From the query of a next-page link that the URL policy has accepted.
    ///
    /// ```
    /// use acr_core::Continuation;
    ///
    /// let place = Continuation::from_query("last=v1&n=2");
    /// assert_eq!(place.query(), "last=v1&n=2");
    /// ```
    pub fn from_query(query: &str) -> Self {
        Self { query: query.to_owned() }
    }

    /// The query, encoded as the registry wrote it.
    ///
    /// ```
    /// use acr_core::Continuation;
    ///
    /// assert_eq!(Continuation::from_query("last=a%26b").query(), "last=a%26b"); // as it was written
    /// ```
    pub fn query(&self) -> &str {
        &self.query
    }
}

impl<T> Page<T> {
    /// A page.
    ///
    /// ```
    /// use acr_core::{Continuation, Page};
    ///
    /// let page = Page::new(vec!["v1", "v2"], Some(Continuation::from_query("last=v2")));
    /// assert_eq!(page.items.len(), 2);
    /// ```
    pub fn new(items: Vec<T>, next: Option<Continuation>) -> Self {
        Self { items, unreadable: Vec::new(), next }
    }

    /// Adds what could not be read.
    ///
    /// ```
    /// use acr_core::{Page, value::Unreadable};
    ///
    /// let odd = Unreadable::new(r#"{"name":7}"#, "`name` is no text");
    /// let page = Page::new(vec!["v1"], None).with_unreadable(vec![odd]);
    /// assert_eq!(page.unreadable.len(), 1);
    /// ```
    #[must_use]
    pub fn with_unreadable(mut self, unreadable: Vec<Unreadable>) -> Self {
        self.unreadable = unreadable;
        self
    }
}

impl<T: Send + 'static> Pager<T> {
    /// A list whose pages come from `fetch`.
    ///
    /// ```
    /// use acr_core::{Page, Pager};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut one = Pager::new(|_| async { Ok(Page::new(vec!["only"], None)) });
    /// assert_eq!(one.try_next().await?, Some("only"));
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn new<F, Fut>(fetch: F) -> Self
    where
        F: Fn(PageRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Page<T>>> + Send + 'static,
    {
        let pages = Pages {
            fetch: Arc::new(move |request| Box::pin(fetch(request))),
            page_size: None,
            state: State::Ready(None),
            from: None,
            seen: HashSet::new(),
            skipped: Skipped::default(),
            skips: false,
            told: Told::default(),
        };
        Self { pages, items: VecDeque::new() }
    }

    /// Asks for pages of this many items; a registry may send fewer (Azure: 1,000 at most).
    /// Pages of 0 items are [`ErrorKind::InvalidInput`] when the first one is asked for.
    ///
    /// ```
    /// use acr_core::{Page, Pager};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let sizes = Pager::new(|request| async move { Ok(Page::new(vec![request.page_size], None)) });
    /// assert_eq!(sizes.page_size(50).try_next().await?, Some(Some(50)));
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn page_size(mut self, items: u32) -> Self {
        self.pages.page_size = Some(items);
        self
    }

    /// Goes on where another pager of the same list stopped. What that one could not read is
    /// not known here: ask it ([`Pager::unreadable`]) before its continuation is stored.
    ///
    /// ```
    /// # use acr_core::{Continuation, Page, Pager};
    /// #
    /// # let numbers = || {
    /// #     Pager::new(|request| async move {
    /// #         let next = Continuation::from_query("last=2");
    /// #         Ok(match request.continuation {
    /// #             None => Page::new(vec![1, 2], Some(next)),
    /// #             Some(_) => Page::new(vec![3], None),
    /// #         })
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut first = numbers();
    /// first.try_next().await?;
    /// first.try_next().await?;
    /// let place = first.continuation().cloned().expect("a second page");
    /// assert_eq!(numbers().resume(place).try_next().await?, Some(3));
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn resume(mut self, from: Continuation) -> Self {
        self.pages.from = Some(from.clone());
        self.pages.state = State::Ready(Some(from));
        self
    }

    /// Lets the list end well although items of it could not be read; see
    /// [`Pager::unreadable`].
    ///
    /// ```
    /// use acr_core::{ErrorKind, Page, Pager, value::Unreadable};
    ///
    /// let list = || {
    ///     Pager::new(|_| async {
    ///         let odd = Unreadable::new(r#"{"name":7}"#, "`name` is no text");
    ///         Ok(Page::new(vec!["v1"], None).with_unreadable(vec![odd]))
    ///     })
    /// };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut strict = list();
    /// assert_eq!(strict.try_next().await?, Some("v1"));
    /// assert_eq!(strict.try_next().await.unwrap_err().kind(), ErrorKind::Protocol);
    ///
    /// let mut lenient = list().skip_unreadable();
    /// assert_eq!(lenient.try_next().await?, Some("v1"));
    /// assert_eq!(lenient.try_next().await?, None);
    /// assert_eq!(lenient.unreadable()[0].reason, "`name` is no text");
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn skip_unreadable(mut self) -> Self {
        self.pages.skips = true;
        self
    }

    /// What could not be read so far: the first 16 items. [`Page::unreadable`] has all.
    ///
    /// ```
    /// # use acr_core::{Page, Pager, value::Unreadable};
    /// #
    /// # let list = || {
    /// #     Pager::new(|_| async {
    /// #         let odd = Unreadable::new(r#"{"name":7}"#, "`name` is no text");
    /// #         Ok(Page::new(vec!["v1"], None).with_unreadable(vec![odd]))
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut list = list();
    /// list.try_next().await?;
    /// assert_eq!(list.unreadable()[0].text, r#"{"name":7}"#);
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn unreadable(&self) -> &[Unreadable] {
        self.pages.skipped.first()
    }

    /// The next item, or `None` after the last.
    ///
    /// ```
    /// # use acr_core::{Continuation, Page, Pager};
    /// #
    /// # let numbers = || {
    /// #     Pager::new(|request| async move {
    /// #         let next = Continuation::from_query("last=2");
    /// #         Ok(match request.continuation {
    /// #             None => Page::new(vec![1, 2], Some(next)),
    /// #             Some(_) => Page::new(vec![3], None),
    /// #         })
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut list = numbers();
    /// let mut sum = 0;
    /// while let Some(number) = list.try_next().await? {
    ///     sum += number;
    /// }
    /// assert_eq!(sum, 6);
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the page request. After a failure the same page is asked for again
    /// by the next call, except after a [`ErrorKind::Protocol`] or
    /// [`ErrorKind::Policy`] failure: the list gives that one for ever, and never `None`.
    /// [`ErrorKind::Protocol`] in place of `None` when items could not be read.
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        poll_fn(|cx| self.poll_item(cx)).await.transpose()
    }

    /// Where to resume so that no item is skipped; `None` for the start of the list.
    ///
    /// While items of a page are still undelivered this is the start of that
    /// page, so that some may be delivered twice but none is lost.
    ///
    /// ```
    /// # use acr_core::{Continuation, Page, Pager};
    /// #
    /// # let numbers = || {
    /// #     Pager::new(|request| async move {
    /// #         let next = Continuation::from_query("last=2");
    /// #         Ok(match request.continuation {
    /// #             None => Page::new(vec![1, 2], Some(next)),
    /// #             Some(_) => Page::new(vec![3], None),
    /// #         })
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut list = numbers();
    /// list.try_next().await?;
    /// assert_eq!(list.continuation(), None); // an item of the first page is still to come
    /// list.try_next().await?;
    /// assert_eq!(list.continuation().map(Continuation::query), Some("last=2"));
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn continuation(&self) -> Option<&Continuation> {
        match &self.pages.state {
            State::Ready(Some(next)) if self.items.is_empty() => Some(next),
            _ => self.pages.from.as_ref(),
        }
    }

    /// The same list page by page; items already fetched but not delivered are dropped.
    ///
    /// ```
    /// # use acr_core::{Continuation, Page, Pager};
    /// #
    /// # let numbers = || {
    /// #     Pager::new(|request| async move {
    /// #         let next = Continuation::from_query("last=2");
    /// #         Ok(match request.continuation {
    /// #             None => Page::new(vec![1, 2], Some(next)),
    /// #             Some(_) => Page::new(vec![3], None),
    /// #         })
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut pages = numbers().into_pages();
    /// assert_eq!(pages.try_next().await?.map(|page| page.items), Some(vec![1, 2]));
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    pub fn into_pages(self) -> Pages<T> {
        self.pages
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(self.pages.poll_page(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(page)) => self.items = page.items.into(),
            }
        }
    }
}

impl<T: Send + 'static> Pages<T> {
    /// The next page, or `None` after the last.
    ///
    /// ```
    /// # use acr_core::{Continuation, Page, Pager};
    /// #
    /// # let numbers = || {
    /// #     Pager::new(|request| async move {
    /// #         let next = Continuation::from_query("last=2");
    /// #         Ok(match request.continuation {
    /// #             None => Page::new(vec![1, 2], Some(next)),
    /// #             Some(_) => Page::new(vec![3], None),
    /// #         })
    /// #     })
    /// # };
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let mut pages = numbers().into_pages();
    /// let mut lengths = Vec::new();
    /// while let Some(page) = pages.try_next().await? {
    ///     lengths.push(page.items.len());
    /// }
    /// assert_eq!(lengths, [2, 1]);
    /// # Ok::<(), acr_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pager::try_next`].
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn try_next(&mut self) -> Result<Option<Page<T>>> {
        poll_fn(|cx| self.poll_page(cx)).await.transpose()
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page<T>>>> {
        loop {
            match &mut self.state {
                State::Done => {
                    let lacking = if self.skips { None } else { self.skipped.error() };
                    return Poll::Ready(lacking.map(Err));
                }
                State::Failed(error) => return Poll::Ready(Some(Err(Error::shared(error)))),
                State::Ready(_) if self.page_size == Some(0) => {
                    // To some registries it means no page, to others everything at once.
                    let text = "pages of 0 items: ask for at least 1, or leave `page_size` out";
                    let error = self.fail(Error::new(ErrorKind::InvalidInput, text));
                    return Poll::Ready(Some(Err(error)));
                }
                State::Ready(continuation) => {
                    self.from = continuation.take();
                    let request =
                        PageRequest { page_size: self.page_size, continuation: self.from.clone() };
                    self.state = State::InFlight(std::sync::Mutex::new((self.fetch)(request)));
                }
                State::InFlight(future) => {
                    // Exclusive access never blocks; a poisoned mutex still holds the future.
                    let future =
                        future.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
                    let result = ready!(future.as_mut().poll(cx));
                    return Poll::Ready(Some(self.settle(result)));
                }
            }
        }
    }

    fn settle(&mut self, result: Result<Page<T>>) -> Result<Page<T>> {
        let page = match result {
            Ok(page) => page,
            Err(error) if matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Policy) => {
                return Err(self.fail(error));
            }
            Err(error) => {
                self.state = State::Ready(self.from.clone());
                return Err(error);
            }
        };
        self.state = match &page.next {
            None => State::Done,
            Some(next) => {
                let unseen = self.seen.insert(hash(next));
                if !unseen || self.seen.len() > MAX_PAGES {
                    let why = if unseen {
                        "the list does not end"
                    } else {
                        "the next-page links go in a circle"
                    };
                    return Err(self.fail(Error::new(ErrorKind::Protocol, why)));
                }
                State::Ready(Some(next.clone()))
            }
        };
        self.skipped.add(&page.unreadable);
        Ok(page)
    }

    fn fail(&mut self, error: Error) -> Error {
        let error = Arc::new(error);
        self.state = State::Failed(Arc::clone(&error));
        Error::shared(&error)
    }
}

/// Ends after an error that it gave 16 times in a row, for code that leaves errors out; ask
/// [`Pager::try_next`] whether that was the end of the list.
impl<T: Send + 'static> Stream for Pager<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pager = self.get_mut();
        let item = ready!(pager.poll_item(cx));
        Poll::Ready(pager.pages.told.next(item))
    }
}

/// Ends as a [`Pager`] does.
impl<T: Send + 'static> Stream for Pages<T> {
    type Item = Result<Page<T>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let pages = self.get_mut();
        let page = ready!(pages.poll_page(cx));
        Poll::Ready(pages.told.next(page))
    }
}

// Nothing in a pager is pinned: the future in flight is boxed.
impl<T> Unpin for Pager<T> {}
impl<T> Unpin for Pages<T> {}

impl<T> fmt::Debug for Pager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pager").field("undelivered", &self.items.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("page_size", &self.page_size).finish_non_exhaustive()
    }
}

fn hash(continuation: &Continuation) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(continuation)
}

/// A list of more pages is taken for one without end.
const MAX_PAGES: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn next(n: u32) -> Option<Continuation> {
        Some(Continuation::from_query(&format!("last={n}")))
    }

    /// Pages of two items each: 0 1, 2 3, …; `calls` counts the requests.
    fn numbers(pages: u32, calls: &Arc<AtomicU32>) -> Pager<u32> {
        let calls = Arc::clone(calls);
        Pager::new(move |request: PageRequest| {
            calls.fetch_add(1, Ordering::Relaxed);
            let at = request.continuation.map_or(0, |c| c.query()[5..].parse::<u32>().unwrap());
            let more = (at + 1 < pages).then(|| next(at + 1)).flatten();
            async move { Ok(Page::new(vec![2 * at, 2 * at + 1], more)) }
        })
    }

    #[tokio::test]
    async fn one_request_per_page_and_none_ahead_of_need() {
        let calls = Arc::default();
        let mut pager = numbers(3, &calls);
        assert_eq!(calls.load(Ordering::Relaxed), 0);
        for expected in 0..6 {
            assert_eq!(pager.try_next().await.unwrap(), Some(expected));
            assert_eq!(calls.load(Ordering::Relaxed), expected / 2 + 1);
        }
        assert_eq!(pager.try_next().await.unwrap(), None);
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_continuation_never_skips_an_item() {
        let calls = Arc::default();
        for taken in 0u32..6 {
            let mut pager = numbers(3, &calls);
            for _ in 0..taken {
                pager.try_next().await.unwrap();
            }
            let mut resumed = numbers(3, &calls);
            if let Some(from) = pager.continuation() {
                resumed = resumed.resume(from.clone());
            }
            let first = resumed.try_next().await.unwrap();
            assert!(first.unwrap() <= taken, "{taken} taken, resumed at {first:?}");
        }
    }

    #[tokio::test]
    async fn a_circle_of_links_ends_in_an_error() {
        let mut pager = Pager::new(|request: PageRequest| async move {
            let at = request.continuation.map_or(0, |c| c.query()[5..].parse::<u32>().unwrap());
            Ok(Page::new(vec![at], next((at + 1) % 3)))
        });
        let mut seen = 0;
        let error = loop {
            match pager.try_next().await {
                Ok(item) => {
                    assert!(item.is_some());
                    seen += 1;
                    assert!(seen < 100, "round and round");
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(seen <= 4);
        assert_eq!(pager.try_next().await.unwrap_err().to_string(), error.to_string());
    }

    #[tokio::test]
    async fn a8_a_failure_that_ends_a_list_is_given_again_and_never_a_clean_end() {
        for kind in [ErrorKind::Protocol, ErrorKind::Policy] {
            let asked = Arc::new(AtomicU32::new(0));
            let counter = Arc::clone(&asked);
            let failing = move || {
                let counter = Arc::clone(&counter);
                Pager::<u32>::new(move |request: PageRequest| {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let is_first = request.continuation.is_none();
                    async move {
                        if is_first {
                            return Ok(Page::new(vec![1], next(1)));
                        }
                        Err(Error::new(kind, "a lie").with_source(std::io::Error::other("source")))
                    }
                })
            };
            let mut pager = failing();
            assert_eq!(pager.try_next().await.unwrap(), Some(1));
            for _ in 0..3 {
                let error = pager.try_next().await.unwrap_err();
                assert_eq!((error.kind(), error.to_string().as_str()), (kind, "a lie"));
                assert!(std::error::Error::source(&error).is_some());
            }
            assert_eq!(pager.continuation(), next(1).as_ref(), "the page that failed");
            let mut pages = failing().into_pages();
            assert!(pages.try_next().await.unwrap().is_some());
            for _ in 0..3 {
                assert_eq!(pages.try_next().await.unwrap_err().kind(), kind);
            }
            assert_eq!(asked.load(Ordering::Relaxed), 4, "nothing is sent after it");
        }
    }

    /// Code that leaves errors out still ends, whether the same page is asked for again or not.
    #[tokio::test]
    async fn a_stream_of_items_or_pages_ends_after_sixteen_errors_in_a_row() {
        use std::future::poll_fn;

        for kind in [ErrorKind::Protocol, ErrorKind::Transport] {
            let failing = || {
                Pager::<u32>::new(move |request: PageRequest| async move {
                    match request.continuation {
                        None => Ok(Page::new(vec![1], next(1))),
                        Some(_) => Err(Error::new(kind, "broken")),
                    }
                })
            };
            let mut items = failing();
            let mut seen = Vec::new();
            while let Some(item) = poll_fn(|cx| Pin::new(&mut items).poll_next(cx)).await {
                seen.push(item.is_ok());
            }
            assert_eq!((seen.len(), seen.first()), (17, Some(&true)));
            assert_eq!(items.try_next().await.unwrap_err().kind(), kind, "it is no clean end");
            let mut pages = failing().into_pages();
            let mut count = 0;
            while poll_fn(|cx| Pin::new(&mut pages).poll_next(cx)).await.is_some() {
                count += 1;
            }
            assert_eq!(count, 17);
        }
    }

    #[tokio::test]
    async fn f1_what_cannot_be_read_keeps_nothing_back_and_is_told_at_the_end() {
        let lacking = || {
            Pager::new(|request: PageRequest| async move {
                let unreadable = vec![Unreadable::new(r#"{"name":"a b"}"#, "no usable `name`")];
                Ok(match request.continuation {
                    None => Page::new(vec![1], next(1)).with_unreadable(unreadable),
                    Some(_) => Page::new(vec![2, 3], None),
                })
            })
        };
        let mut pager = lacking();
        for item in 1..=3 {
            assert_eq!(pager.try_next().await.unwrap(), Some(item));
        }
        for _ in 0..2 {
            let error = pager.try_next().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains(r#"{"name":"a b"}"#), "{error}");
        }
        let mut pager = lacking().skip_unreadable();
        for item in 1..=3 {
            assert_eq!(pager.try_next().await.unwrap(), Some(item));
        }
        assert_eq!(pager.try_next().await.unwrap(), None);
        assert_eq!(pager.unreadable()[0].reason, "no usable `name`");
        let mut pages = lacking().into_pages();
        assert_eq!(pages.try_next().await.unwrap().unwrap().unreadable.len(), 1);
        assert!(pages.try_next().await.unwrap().unwrap().unreadable.is_empty());
        assert!(pages.try_next().await.is_err());
    }

    #[tokio::test]
    async fn an_empty_page_with_a_link_is_passed_over() {
        let mut pager = Pager::new(|request: PageRequest| async move {
            Ok(match request.continuation {
                None => Page::new(vec![], next(1)),
                Some(_) => Page::new(vec![7], None),
            })
        });
        assert_eq!(pager.try_next().await.unwrap(), Some(7));
        assert_eq!(pager.try_next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn after_a_broken_connection_the_same_page_is_asked_for_again() {
        let calls = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&calls);
        let mut pager = Pager::new(move |request: PageRequest| {
            let call = counter.fetch_add(1, Ordering::Relaxed);
            let at = request.continuation.map(|c| c.query().to_owned());
            async move {
                match (call, at.as_deref()) {
                    (0, None) => Ok(Page::new(vec![0], next(1))),
                    (1, Some("last=1")) => Err(Error::new(ErrorKind::Transport, "broken")),
                    (2, Some("last=1")) => Ok(Page::new(vec![1], None)),
                    other => panic!("{other:?}"),
                }
            }
        });
        assert_eq!(pager.try_next().await.unwrap(), Some(0));
        assert_eq!(pager.try_next().await.unwrap_err().kind(), ErrorKind::Transport);
        assert_eq!(pager.try_next().await.unwrap(), Some(1));
        assert_eq!(pager.try_next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_dropped_call_loses_nothing() {
        use futures_util::FutureExt as _;
        let mut pager = Pager::new(|_| async {
            tokio::task::yield_now().await;
            Ok(Page::new(vec![1], None))
        });
        assert!(pager.try_next().now_or_never().is_none());
        assert_eq!(pager.try_next().await.unwrap(), Some(1));
    }

    /// What a scripted list does at each of its pages.
    #[derive(Clone, Debug)]
    struct Script {
        items: u8,
        /// How often asking for the page fails first, and how often the future waits.
        failures: u8,
        pauses: u8,
    }

    fn scripts() -> impl Strategy<Value = Vec<Script>> {
        let page = (0u8..4, 0u8..3, 0u8..3).prop_map(|(items, failures, pauses)| Script {
            items,
            failures,
            pauses,
        });
        proptest::collection::vec(page, 1..8)
    }

    /// A list that follows the script; items are numbered through.
    fn scripted(script: &[Script], asked: &Arc<AtomicU32>) -> Pager<u32> {
        let script = script.to_vec();
        let failed = Arc::new(std::sync::Mutex::new(vec![0u8; script.len()]));
        let asked = Arc::clone(asked);
        Pager::new(move |request: PageRequest| {
            let at = request.continuation.map_or(0, |c| c.query()[5..].parse::<u32>().unwrap());
            let index = at as usize;
            let page = script[index].clone();
            let first: u32 = script[..index].iter().map(|p| u32::from(p.items)).sum();
            let more = (index + 1 < script.len()).then(|| next(at + 1)).flatten();
            let fails = {
                let failed = &mut failed.lock().unwrap()[index];
                *failed += 1;
                *failed <= page.failures
            };
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                for _ in 0..page.pauses {
                    tokio::task::yield_now().await;
                }
                if fails {
                    return Err(Error::new(ErrorKind::Transport, "scripted"));
                }
                Ok(Page::new((first..first + u32::from(page.items)).collect(), more))
            }
        })
    }

    proptest! {
        #[test]
        fn any_list_gives_every_item_once_under_failures_and_dropped_calls(script in scripts(), drops in any::<u64>()) {
            use futures_util::FutureExt as _;
            let asked = Arc::default();
            let mut pager = scripted(&script, &asked);
            let (mut seen, mut drops, mut steps) = (Vec::new(), drops, 0);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                loop {
                    steps += 1;
                    assert!(steps < 1_000, "it does not end");
                    drops = drops.rotate_left(1);
                    // Half the calls are dropped after one poll.
                    let item = if drops & 1 == 1 {
                        let Some(item) = pager.try_next().now_or_never() else { continue };
                        item
                    } else {
                        pager.try_next().await
                    };
                    match item {
                        Ok(Some(item)) => seen.push(item),
                        Ok(None) => break,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Transport),
                    }
                }
            });
            let total: u32 = script.iter().map(|p| u32::from(p.items)).sum();
            prop_assert_eq!(seen, (0..total).collect::<Vec<_>>());
            let requests: u32 = script.iter().map(|p| 1 + u32::from(p.failures)).sum();
            prop_assert_eq!(asked.load(Ordering::Relaxed), requests, "one request a page, one more a failure");
        }

        #[test]
        fn a_resumed_list_misses_nothing(script in scripts(), taken in 0usize..20) {
            let calm: Vec<Script> = script.into_iter().map(|p| Script { failures: 0, pauses: 0, ..p }).collect();
            let total: u32 = calm.iter().map(|p| u32::from(p.items)).sum();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let seen = runtime.block_on(async {
                let asked = Arc::default();
                let mut pager = scripted(&calm, &asked);
                let mut seen = std::collections::BTreeSet::new();
                for _ in 0..taken {
                    seen.extend(pager.try_next().await.unwrap());
                }
                let mut resumed = scripted(&calm, &asked);
                if let Some(from) = pager.continuation() {
                    let stored = serde_json::to_string(from).unwrap();
                    resumed = resumed.resume(serde_json::from_str(&stored).unwrap());
                }
                while let Some(item) = resumed.try_next().await.unwrap() {
                    seen.insert(item);
                }
                seen
            });
            prop_assert_eq!(seen.len(), total as usize);
        }
    }
}
