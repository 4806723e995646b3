//! Lists as iterators.

use std::fmt;

use acr_core::{
    Continuation, Digest, Error, Page, Result,
    http::{self, client::Told},
    value::Unreadable,
};
use acr_registry::{After, DescriptorView, ManifestProperties, Order, TagProperties};

use super::runtime::Runtime;

/// A list, item by item, with the options that its items allow.
///
/// As [`acr_registry::ListPager`]: nothing is sent before the first item is asked for, one request a
/// page, and an option set after that starts the list anew. After an error the same page is asked
/// for again; after 16 errors in a row the iterator ends, for code that leaves errors out.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
/// for tag in repo.list_tags() {
///     println!("{}", tag?.name);
/// }
/// # Ok(()) });
/// ```
#[must_use = "a list sends nothing until it is asked"]
pub struct ListPager<T> {
    inner: acr_registry::ListPager<T>,
    runtime: Runtime,
    told: Told,
}

/// A list, page by page.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
/// for page in repo.list_tags().page_size(1).into_pages() {
///     assert_eq!(page?.items.len(), 1);
/// }
/// # Ok(()) });
/// ```
#[must_use = "pages are not fetched until they are asked for"]
pub struct Pages<T> {
    inner: http::Pages<T>,
    runtime: Runtime,
    told: Told,
}

impl<T: Send + 'static> ListPager<T> {
    pub(crate) fn new(inner: acr_registry::ListPager<T>, runtime: &Runtime) -> Self {
        Self { inner, runtime: runtime.clone(), told: Told::default() }
    }

    /// As [`acr_registry::ListPager::page_size`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.list_tags().page_size(1).count(), 2);
    /// # Ok(()) });
    /// ```
    pub fn page_size(self, items: u32) -> Self {
        self.map(|list| list.page_size(items))
    }

    /// As [`acr_registry::ListPager::after`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.list_tags().after("latest").count(), 1);
    /// # Ok(()) });
    /// ```
    pub fn after(self, last: impl Into<After<T>>) -> Self {
        self.map(|list| list.after(last))
    }

    /// As [`acr_registry::ListPager::skip_unreadable`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.list_tags().skip_unreadable().count(), 2);
    /// # Ok(()) });
    /// ```
    pub fn skip_unreadable(self) -> Self {
        self.map(acr_registry::ListPager::skip_unreadable)
    }

    /// As [`acr_registry::ListPager::unreadable`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut tags = repo.list_tags().skip_unreadable();
    /// assert_eq!(tags.by_ref().count(), 2);
    /// assert!(tags.unreadable().is_empty());
    /// # Ok(()) });
    /// ```
    pub fn unreadable(&self) -> &[Unreadable] {
        self.inner.unreadable()
    }

    /// As [`acr_registry::ListPager::resume`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let mut tags = repo.list_tags().page_size(1);
    /// let first = tags.next().transpose()?;
    /// if let Some(place) = tags.continuation() {
    ///     let rest = repo.list_tags().resume(place.clone());
    ///     assert_eq!(rest.count(), 1);
    /// }
    /// # drop(first);
    /// # Ok(()) });
    /// ```
    pub fn resume(self, from: Continuation) -> Self {
        self.map(|list| list.resume(from))
    }

    /// As [`acr_registry::ListPager::continuation`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert!(repo.list_tags().continuation().is_none());
    /// # Ok(()) });
    /// ```
    pub fn continuation(&self) -> Option<&Continuation> {
        self.inner.continuation()
    }

    /// As [`acr_registry::ListPager::into_pages`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// assert_eq!(repo.list_tags().page_size(1).into_pages().count(), 2);
    /// # Ok(()) });
    /// ```
    pub fn into_pages(self) -> Pages<T> {
        Pages { inner: self.inner.into_pages(), runtime: self.runtime, told: Told::default() }
    }

    fn map(
        self,
        change: impl FnOnce(acr_registry::ListPager<T>) -> acr_registry::ListPager<T>,
    ) -> Self {
        // A list that starts anew tells its errors anew.
        Self { inner: change(self.inner), told: Told::default(), ..self }
    }
}

impl ListPager<TagProperties> {
    /// As [`acr_registry::ListPager::order_by`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Order;
    ///
    /// assert_eq!(repo.list_tags().order_by(Order::NEWEST_FIRST).count(), 2);
    /// # Ok(()) });
    /// ```
    pub fn order_by(self, order: Order) -> Self {
        self.map(|list| list.order_by(order))
    }

    /// As [`acr_registry::ListPager::of`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let digest = repo.resolve("v1")?;
    /// assert_eq!(repo.list_tags().of(&digest).count(), 2);
    /// # Ok(()) });
    /// ```
    pub fn of(self, digest: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        self.map(|list| list.of(digest))
    }
}

impl ListPager<ManifestProperties> {
    /// As [`acr_registry::ListPager::order_by`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// use acr_client::Order;
    ///
    /// assert_eq!(repo.list_manifests().order_by(Order::OLDEST_FIRST).count(), 3);
    /// # Ok(()) });
    /// ```
    pub fn order_by(self, order: Order) -> Self {
        self.map(|list| list.order_by(order))
    }
}

impl ListPager<DescriptorView> {
    /// As [`acr_registry::ListPager::artifact_type`].
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest_blocking.rs")).run(|_, repo| {
    /// let subject = repo.resolve("v1")?;
    /// let signatures = repo.list_referrers(&subject).artifact_type("application/vnd.example.sig");
    /// assert_eq!(signatures.count(), 0);
    /// # Ok(()) });
    /// ```
    pub fn artifact_type(self, artifact_type: impl Into<String>) -> Self {
        self.map(|list| list.artifact_type(artifact_type))
    }
}

impl<T: Send + 'static> Iterator for ListPager<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.runtime.run(self.inner.try_next()).transpose();
        self.told.next(next)
    }
}

impl<T: Send + 'static> Iterator for Pages<T> {
    type Item = Result<Page<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.runtime.run(self.inner.try_next()).transpose();
        self.told.next(next)
    }
}

impl<T> fmt::Debug for ListPager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
