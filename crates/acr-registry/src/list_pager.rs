//! A list with options of its own, before and while it is read.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use acr_core::{
    Continuation, Digest, Error, ErrorKind, Pager, Result,
    http::Pages,
    value::{Given, Unreadable},
};
use futures_core::Stream;

use crate::{
    after::After,
    list::{Filter, List},
    model::{DescriptorView, ManifestProperties, Order, TagProperties},
};

/// A list, item by item, with the options that its items allow.
///
/// As [`Pager`]: nothing is sent before the first item is asked for, one request a page,
/// and a list of which an item cannot be read does not end as if it were whole.
/// An option set after that starts the list anew.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_registry::Order;
///
/// let mut newest = repo.list_tags().order_by(Order::NEWEST_FIRST).page_size(1);
/// let tag = newest.try_next().await?.expect("a tag");
/// println!("{}", tag.name);
/// # Ok(()) });
/// ```
#[must_use = "a pager sends nothing until it is asked"]
pub struct ListPager<T> {
    list: List,
    open: fn(List) -> Pager<T>,
    page_size: Option<u32>,
    from: Option<Continuation>,
    skips: bool,
    started: Option<Pager<T>>,
}

impl<T: Send + 'static> ListPager<T> {
    pub(crate) fn new(list: List, open: fn(List) -> Pager<T>) -> Self {
        Self { list, open, page_size: None, from: None, skips: false, started: None }
    }

    /// Asks for pages of this many items; a registry may send fewer (Azure: 1,000 at most).
    /// Pages of 0 items are [`acr_core::ErrorKind::InvalidInput`] when the first one is asked for.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut tags = repo.list_tags().page_size(1); // one request for each
    /// assert_eq!(tags.try_next().await?.expect("a tag").name.as_str(), "latest");
    /// # Ok(()) });
    /// ```
    pub fn page_size(mut self, items: u32) -> Self {
        self.page_size = Some(items);
        self.anew()
    }

    /// Begins after this item, which need not exist: `last` of the interface. A name may be text;
    /// what is wrong with it is said in place of the first page. The order, the page size and the
    /// version stay what they are.
    ///
    /// In an order of time the registry needs the item's time as well. Properties have it;
    /// of an item that is given by its name it is asked for, with one more request.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let mut names = registry.list_repositories().after("library/alpine");
    /// while let Some(name) = names.try_next().await? {
    ///     println!("{name}"); // library/app
    /// }
    /// # Ok(()) });
    /// ```
    pub fn after(mut self, last: impl Into<After<T>>) -> Self {
        match last.into().place {
            Ok(place) => self.list.after = Some(place),
            Err(wrong) => return self.refused(wrong),
        }
        self.anew()
    }

    /// Lets the list end well although items of it could not be read; see
    /// [`ListPager::unreadable`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut tags = repo.list_tags().skip_unreadable();
    /// while let Some(tag) = tags.try_next().await? {
    ///     println!("{}", tag.name);
    /// }
    /// assert_eq!(tags.unreadable().len(), 0);
    /// # Ok(()) });
    /// ```
    pub fn skip_unreadable(mut self) -> Self {
        self.skips = true;
        self.anew()
    }

    /// What could not be read so far: the first 16 items.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut manifests = repo.list_manifests().skip_unreadable();
    /// while manifests.try_next().await?.is_some() {}
    /// for odd in manifests.unreadable() {
    ///     eprintln!("left out: {odd:?}");
    /// }
    /// # Ok(()) });
    /// ```
    pub fn unreadable(&self) -> &[Unreadable] {
        self.started.as_ref().map_or(&[], Pager::unreadable)
    }

    /// Goes on where another pager of the same list, with the same filter and order, stopped.
    ///
    /// The continuation says all of the place, the size of the pages and the order included:
    /// [`ListPager::after`] and [`ListPager::page_size`] beside it are
    /// [`acr_core::ErrorKind::InvalidInput`] when the first item is asked for, and so is another order
    /// than that of the list that it is from. What that one could
    /// not read is not known here: ask it ([`ListPager::unreadable`]) before its continuation is
    /// stored.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut first = repo.list_tags().page_size(1);
    /// first.try_next().await?;
    /// let place = first.continuation().cloned().expect("a second page");
    /// let mut rest = repo.list_tags().resume(place);
    /// assert_eq!(rest.try_next().await?.expect("the second tag").name.as_str(), "v1");
    /// # Ok(()) });
    /// ```
    pub fn resume(mut self, from: Continuation) -> Self {
        self.from = Some(from);
        self.anew()
    }

    /// The next item, or `None` after the last.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |registry, _| {
    /// let mut names = registry.list_repositories();
    /// while let Some(name) = names.try_next().await? {
    ///     println!("{name}");
    /// }
    /// # Ok(()) });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pager::try_next`]. A page that was there before is [`acr_core::ErrorKind::Protocol`].
    ///
    /// # Cancellation
    ///
    /// Safe: call again.
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        self.pager().try_next().await
    }

    /// Where to resume so that no item is skipped; see [`Pager::continuation`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut tags = repo.list_tags().page_size(1);
    /// tags.try_next().await?;
    /// let place = tags.continuation().expect("a second page");
    /// println!("go on with {}", place.query());
    /// # Ok(()) });
    /// ```
    pub fn continuation(&self) -> Option<&Continuation> {
        match &self.started {
            Some(pager) => pager.continuation(),
            None => self.from.as_ref(),
        }
    }

    /// The same list page by page; items already fetched but not delivered are dropped.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// let mut pages = repo.list_tags().page_size(1).into_pages();
    /// while let Some(page) = pages.try_next().await? {
    ///     println!("{} of them", page.items.len());
    /// }
    /// # Ok(()) });
    /// ```
    pub fn into_pages(mut self) -> Pages<T> {
        match self.started.take() {
            Some(pager) => pager.into_pages(),
            None => self.begin().into_pages(),
        }
    }

    fn pager(&mut self) -> &mut Pager<T> {
        let pager = self.started.take().unwrap_or_else(|| self.begin());
        self.started.insert(pager)
    }

    fn begin(&self) -> Pager<T> {
        if let Some(text) = self.misuse() {
            let operation = self.list.operation.clone();
            return Pager::new(move |_| {
                let error = Error::new(ErrorKind::InvalidInput, text);
                std::future::ready(Err(error.with_operation(Some(&operation))))
            });
        }
        let mut pager = (self.open)(self.list.clone());
        if let Some(size) = self.page_size {
            pager = pager.page_size(size);
        }
        if self.skips {
            pager = pager.skip_unreadable();
        }
        match &self.from {
            Some(from) => pager.resume(from.clone()),
            None => pager,
        }
    }

    /// Why the options can give no list.
    fn misuse(&self) -> Option<&'static str> {
        let is_placed = self.page_size.is_some() || self.list.after.is_some();
        if self.from.is_some() && is_placed {
            return Some(
                "the continuation given to `resume` says where the list goes on and how long its \
                 pages are: leave `after` and `page_size` out",
            );
        }
        let order = self.list.order.as_ref();
        if self.from.as_ref().zip(order).is_some_and(|(from, order)| !is_in_order(from, order)) {
            return Some(
                "the continuation given to `resume` is of a list in another order: give `order_by` \
                 what that list had, or leave it out",
            );
        }
        (self.page_size == Some(0))
            .then_some("pages of 0 items: ask for at least 1, or leave `page_size` out")
    }

    fn anew(mut self) -> Self {
        self.started = None;
        self
    }

    /// Keeps what is wrong with a name, to say it in place of the first page.
    fn refused(mut self, wrong: Arc<Error>) -> Self {
        self.list.refused.get_or_insert(wrong);
        self.anew()
    }

    fn ordered(mut self, order: Order) -> Self {
        self.list.order = Some(order);
        self.anew()
    }

    fn filtered(mut self, filter: Filter) -> Self {
        self.list.filter = Some(filter);
        self.anew()
    }
}

/// Whether a list that goes on there comes in this order. A registry's link has it, and nothing
/// in its place where names ascend.
fn is_in_order(from: &Continuation, order: &Order) -> bool {
    let named = from.query().split('&').find_map(|pair| pair.strip_prefix("orderby="));
    match named.unwrap_or_default() {
        "" => *order == Order::NONE,
        // No order that is known is written so.
        escaped if escaped.contains(['%', '+']) => true,
        named => named.eq_ignore_ascii_case(order.as_str()),
    }
}

impl ListPager<TagProperties> {
    /// Orders by time, oldest or newest first; by name without it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Order;
    ///
    /// let mut tags = repo.list_tags().order_by(Order::OLDEST_FIRST);
    /// let oldest = tags.try_next().await?.expect("a tag");
    /// println!("{}", oldest.digest);
    /// # Ok(()) });
    /// ```
    pub fn order_by(self, order: Order) -> Self {
        self.ordered(order)
    }

    /// Only tags of this manifest. A text that is no digest is
    /// [`acr_core::ErrorKind::InvalidInput`] in place of the first page.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let digest = repo.resolve("v1".parse::<Tag>()?).await?;
    /// let mut tags = repo.list_tags().of(&digest);
    /// assert_eq!(tags.try_next().await?.expect("a tag").name.as_str(), "latest");
    /// # Ok(()) });
    /// ```
    pub fn of(self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        match Given::new(digest).get() {
            Ok(digest) => self.filtered(Filter::Digest(digest)),
            Err(wrong) => self.refused(Arc::new(wrong)),
        }
    }
}

impl ListPager<ManifestProperties> {
    /// Orders by time, oldest or newest first; by digest without it.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_registry::Order;
    ///
    /// let mut manifests = repo.list_manifests().order_by(Order::OLDEST_FIRST);
    /// let oldest = manifests.try_next().await?.expect("a manifest");
    /// println!("{}", oldest.digest);
    /// # Ok(()) });
    /// ```
    pub fn order_by(self, order: Order) -> Self {
        self.ordered(order)
    }
}

impl ListPager<DescriptorView> {
    /// Only referrers of this artifact type. Filtered here too, for registries that do not.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
    /// use acr_core::Tag;
    ///
    /// let digest = repo.resolve("v1".parse::<Tag>()?).await?;
    /// let mut boms = repo.list_referrers(&digest).artifact_type("application/spdx+json");
    /// assert!(boms.try_next().await?.is_none());
    /// # Ok(()) });
    /// ```
    pub fn artifact_type(self, artifact_type: impl Into<String>) -> Self {
        self.filtered(Filter::ArtifactType(artifact_type.into()))
    }
}

impl<T: Send + 'static> Stream for ListPager<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(self.get_mut().pager()).poll_next(cx)
    }
}

// Nothing in it is pinned: the pager's future is boxed.
impl<T> Unpin for ListPager<T> {}

impl<T> fmt::Debug for ListPager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListPager").field("page_size", &self.page_size).finish_non_exhaustive()
    }
}
