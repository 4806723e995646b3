//! The place in a list after which it is asked for.

use std::{fmt, marker::PhantomData, sync::Arc};

use acr_core::{Digest, Error, RepositoryName, Result, Tag, Timestamp, value::Given};

use crate::model::{ManifestProperties, TagProperties};

/// An item of a list of `T`, after which the list shall begin; see
/// [`ListPager::after`](crate::ListPager::after).
///
/// Made from the item's name or digest, which may be text, or from its properties. The item need
/// not exist. What is wrong with a text is said when the first page is asked for.
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doctest.rs")).run(async |_, repo| {
/// use acr_registry::Order;
///
/// let seen = repo.tag_properties(&"v1".parse()?).await?;
/// let newer = repo.list_tags().order_by(Order::OLDEST_FIRST).after(&seen); // by its time
/// let by_name = repo.list_tags().after("latest");
/// # drop((newer, by_name));
/// # Ok(()) });
/// ```
pub struct After<T> {
    pub(crate) place: Result<Place, Arc<Error>>,
    of: PhantomData<fn() -> T>,
}

/// By name; in an order of time the time comes first.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) updated_at: Option<Timestamp>,
}

impl Place {
    /// The marker of the registry in an order of time: the time in ticks of 100 ns since
    /// the year 1, and the name.
    pub(crate) fn in_time(&self, updated_at: Timestamp) -> String {
        let (seconds, nanoseconds) = updated_at.as_unix();
        let ticks = (i128::from(seconds) + SECONDS_BEFORE_1970) * TICKS_PER_SECOND
            + i128::from(nanoseconds) / 100;
        format!("{ticks}&{}", self.name)
    }
}

impl<T> After<T> {
    pub(crate) fn new(name: &str, updated_at: Option<Timestamp>) -> Self {
        Self { place: Ok(Place { name: name.to_owned(), updated_at }), of: PhantomData }
    }

    fn named<N: AsRef<str>>(name: impl TryInto<N, Error: Into<Error>>) -> Self {
        match Given::<N>::new(name).get() {
            Ok(name) => Self::new(name.as_ref(), None),
            Err(wrong) => Self { place: Err(Arc::new(wrong)), of: PhantomData },
        }
    }
}

/// A name, or text that is to be one.
macro_rules! after_a_name {
    ($name:ty: $item:ty, of $($given:ty),*) => {$(
        impl From<$given> for After<$item> {
            fn from(name: $given) -> Self {
                Self::named::<$name>(name)
            }
        }
    )*};
}

after_a_name!(RepositoryName: RepositoryName, of RepositoryName, &RepositoryName, &str, String, &String);
after_a_name!(Tag: TagProperties, of Tag, &Tag, &str, String, &String);
after_a_name!(Digest: ManifestProperties, of Digest, &Digest, &str, String, &String);

impl From<&TagProperties> for After<TagProperties> {
    fn from(tag: &TagProperties) -> Self {
        Self::new(tag.name.as_str(), tag.updated_at)
    }
}

impl From<&ManifestProperties> for After<ManifestProperties> {
    fn from(manifest: &ManifestProperties) -> Self {
        Self::new(manifest.digest.as_str(), manifest.updated_at)
    }
}

impl<T> Clone for After<T> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone(), of: PhantomData }
    }
}

impl<T> fmt::Debug for After<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("After");
        match &self.place {
            Ok(place) => shown.field(&place.name).finish(),
            Err(wrong) => shown.field(wrong).finish(),
        }
    }
}

const TICKS_PER_SECOND: i128 = 10_000_000;

/// From the beginning of the year 1.
const SECONDS_BEFORE_1970: i128 = 62_135_596_800;

#[cfg(test)]
mod tests {
    use super::*;

    /// As recorded: the link after `v2`, and the time of `v2`.
    #[test]
    fn the_place_in_an_order_of_time_is_written_as_the_registry_writes_it() {
        let place = After::<TagProperties>::new("v2", None).place.unwrap();
        let time = "2026-01-13T17:34:21.1470601Z".parse().unwrap();
        assert_eq!(place.in_time(time), "639039224611470601&v2");
    }
}
