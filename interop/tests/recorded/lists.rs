//! Recorded lists: the options recovered from the first request, then page by page.

use acr_core::{Continuation, Digest, http::Pages};
use acr_registry::{DescriptorView, ListPager, Order, RegistryClient};
use serde_json::{Value, json};

use crate::{
    calls::Failure,
    fields,
    grouping::{Step, next_query},
    recording::{Exchange, query},
    target::Target,
};

/// Asks for as many pages as were recorded and compares each.
pub(crate) async fn check(
    registry: &RegistryClient,
    target: &Target,
    steps: &[Step],
) -> Result<(), Failure> {
    let first = &steps[0].last;
    match target {
        Target::Catalog => {
            let pager = options(registry.list_repositories(), first);
            pages(pager.into_pages(), steps, fields::catalog).await
        }
        Target::Tags(name) => {
            let mut pager = options(registry.repository(name.as_str())?.list_tags(), first);
            if let Some(order) = order(first) {
                pager = pager.order_by(order);
            }
            if let Some(digest) = first.query().get("digest") {
                pager = pager.of(&digest.parse::<Digest>()?);
            }
            pages(pager.into_pages(), steps, fields::tags).await
        }
        Target::Manifests(name) => {
            let mut pager = options(registry.repository(name.as_str())?.list_manifests(), first);
            if let Some(order) = order(first) {
                pager = pager.order_by(order);
            }
            pages(pager.into_pages(), steps, fields::manifests).await
        }
        Target::Referrers(name, digest) => {
            let repository = registry.repository(name.as_str())?;
            let mut pager = options(repository.list_referrers(digest.parse::<Digest>()?), first);
            if let Some(artifact_type) = first.query().get("artifactType") {
                pager = pager.artifact_type(artifact_type.clone());
            }
            pages(pager.into_pages(), steps, referrers).await
        }
        _ => Err(Failure::Harness("not a list".to_owned())),
    }
}

fn options<T: Send + 'static>(pager: ListPager<T>, first: &Exchange) -> ListPager<T> {
    // Where a list goes on says how long its pages are.
    match (start(first), page_size(first)) {
        (Some(from), _) => pager.resume(from),
        (None, Some(size)) => pager.page_size(size),
        (None, None) => pager,
    }
}

fn page_size(first: &Exchange) -> Option<u32> {
    first.query().get("n")?.parse().ok()
}

fn order(first: &Exchange) -> Option<Order> {
    first.query().get("orderby").map(|order| Order::from(order.as_str()))
}

/// Where a list goes on whose start was not recorded.
fn start(first: &Exchange) -> Option<Continuation> {
    first.query().contains_key("last").then(|| Continuation::from_query(&first.query))
}

async fn pages<T: Send + 'static>(
    mut pages: Pages<T>,
    steps: &[Step],
    write: fn(&acr_core::Page<T>) -> Value,
) -> Result<(), Failure> {
    for step in steps {
        let lost = |what: &str| Failure::Harness(what.to_owned());
        let page = pages.try_next().await?.ok_or_else(|| lost("there was no page"))?;
        let next = page.next.as_ref().map(|next| query(next.query()));
        if next != next_query(&step.last) {
            return Err(lost("the link to the next page was lost"));
        }
        let recorded = step.last.json().unwrap_or_default();
        let mut ours = write(&page);
        // A page without items has nothing to carry whose it is.
        if ours.get("registry").is_none() {
            for name in ["registry", "imageName"] {
                if let Some(value) = recorded.get(name) {
                    ours[name] = value.clone();
                }
            }
        }
        fields::check(&recorded, &ours, "").map_err(Failure::Harness)?;
    }
    if steps.last().is_some_and(|step| step.last.response_header("link").is_none())
        && pages.try_next().await?.is_some()
    {
        return Err(Failure::Harness("a page beyond the last".to_owned()));
    }
    Ok(())
}

fn referrers(page: &acr_core::Page<DescriptorView>) -> Value {
    json!({ "schemaVersion": 2, "manifests": page.items,
        "mediaType": "application/vnd.oci.image.index.v1+json" })
}
