//! A list with options of its own, before and while it is read.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use acr_core::{Continuation, Digest, Pager, Pages, Result, Unreadable};
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
    pub fn page_size(mut self, items: u32) -> Self {
        self.page_size = Some(items);
        self.anew()
    }

    /// Begins after this item, which need not exist: `last` of the interface. The order,
    /// the page size and the version stay what they are.
    ///
    /// In an order of time the registry needs the item's time as well. Properties have it;
    /// of an item that is given by its name it is asked for, with one more request.
    ///
    /// ```no_run
    /// # use acr_core::RepositoryName;
    /// # use acr_registry::RegistryClient;
    /// # async fn run(registry: RegistryClient) -> acr_core::Result<()> {
    /// let seen: RepositoryName = "library/alpine".parse()?;
    /// let mut names = registry.list_repositories().after(&seen);
    /// while let Some(name) = names.try_next().await? {
    ///     println!("{name}");
    /// }
    /// # Ok(()) }
    /// ```
    pub fn after(mut self, last: impl Into<After<T>>) -> Self {
        self.list.after = Some(last.into().place);
        self.anew()
    }

    /// Lets the list end well although items of it could not be read; see
    /// [`ListPager::unreadable`].
    pub fn skip_unreadable(mut self) -> Self {
        self.skips = true;
        self.anew()
    }

    /// What could not be read so far: the first 16 items.
    pub fn unreadable(&self) -> &[Unreadable] {
        self.started.as_ref().map_or(&[], Pager::unreadable)
    }

    /// Goes on where another pager of the same list, with the same options, stopped.
    /// It says all of the place: [`ListPager::after`] and the page size have no effect. What that
    /// one could not read is not known here: ask it ([`ListPager::unreadable`]) before its
    /// continuation is stored.
    pub fn resume(mut self, from: Continuation) -> Self {
        self.from = Some(from);
        self.anew()
    }

    /// The next item, or `None` after the last.
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
    pub fn continuation(&self) -> Option<&Continuation> {
        match &self.started {
            Some(pager) => pager.continuation(),
            None => self.from.as_ref(),
        }
    }

    /// The same list page by page; items already fetched but not delivered are dropped.
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

    fn anew(mut self) -> Self {
        self.started = None;
        self
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

impl ListPager<TagProperties> {
    /// Orders by time, oldest or newest first; by name without it.
    pub fn order_by(self, order: Order) -> Self {
        self.ordered(order)
    }

    /// Only tags of this manifest.
    pub fn of(self, digest: &Digest) -> Self {
        self.filtered(Filter::Digest(digest.clone()))
    }
}

impl ListPager<ManifestProperties> {
    /// Orders by time, oldest or newest first; by digest without it.
    pub fn order_by(self, order: Order) -> Self {
        self.ordered(order)
    }
}

impl ListPager<DescriptorView> {
    /// Only referrers of this artifact type. Filtered here too, for registries that do not.
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
