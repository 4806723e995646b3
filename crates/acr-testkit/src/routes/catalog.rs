//! The names of all repositories.

use http::StatusCode;
use serde::Serialize;

use crate::{
    answer::{Reply, json},
    exchange::Exchange,
    operation::Operation,
    paging::Paging,
    sync::lock,
};

#[derive(Serialize)]
struct Repositories<'a> {
    repositories: Option<&'a [String]>,
}

/// `GET /acr/v1/_catalog` and `GET /v2/_catalog`.
pub(crate) fn list(x: &Exchange<'_>) -> Reply {
    let is_oci = x.shared.settings.is_oci() && x.route.operation == Operation::ListCatalog;
    let paging = match x.route.operation {
        Operation::ListCatalog => Paging::read_by_name(x.query, is_oci)?,
        _ => Paging::read(x.query)?,
    };
    let state = lock(&x.shared.state);
    let listed = state.repositories.iter().filter(|(_, r)| r.attributes.is_listed());
    let page = paging.cut(listed.map(|(name, r)| (name.clone(), r.updated, name.clone())));
    let mut answer = json(StatusCode::OK, &Repositories { repositories: page.names(is_oci) });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}
