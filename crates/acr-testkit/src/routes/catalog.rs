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
    let page = paging.walk(&state.repositories, &state.repositories.by_time, |name, repository| {
        repository.attributes.is_listed().then(|| name.to_owned())
    });
    let mut answer = json(StatusCode::OK, &Repositories { repositories: page.names(is_oci) });
    paging.link(&mut answer, x.head.uri.path(), &page);
    Ok(answer)
}
