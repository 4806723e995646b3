//! Who is let in, and to what: authentication first, then locks.

use http::header;

use crate::{
    access::{self, Challenge},
    answer::{Failure, Refusal},
    credential::{basic, bearer},
    exchange::Exchange,
    locks,
    operation::Operation,
    reference::is_digest,
    route::Route,
    state::State,
    sync::lock,
    token::{self, TokenKind},
};

/// Lets a request in, or says why not.
pub(crate) fn admit(exchange: &Exchange<'_>) -> Result<(), Failure> {
    let Exchange { shared, site, authority, route, .. } = exchange;
    if route.operation.is_token_service() {
        return Ok(());
    }
    let needed = access::required(route, exchange.query.get("from"));
    if let Err(why) = authenticate(exchange, &needed) {
        let realm = site.realm(authority);
        let why = match why {
            Challenge::NoToken if shared.settings.era.blames_a_missing_token() => {
                Challenge::InvalidToken
            }
            why => why,
        };
        return Err(access::challenge(why, &realm, authority, &needed, shared.coin()).into());
    }
    Ok(check(&lock(&shared.state), route)?)
}

fn authenticate(exchange: &Exchange<'_>, needed: &[access::Grant]) -> Result<(), Challenge> {
    let shared = exchange.shared;
    let credential = exchange.head.headers.get(header::AUTHORIZATION);
    let credential = credential.ok_or(Challenge::NoToken)?.to_str();
    let credential = credential.map_err(|_| Challenge::InvalidToken)?;
    if let Some((name, password)) = basic(credential) {
        return match shared.settings.is_admin(&name, &password) {
            Some(true) => Ok(()),
            Some(false) => Err(Challenge::NoToken),
            None => Err(Challenge::BadPassword),
        };
    }
    let claims = bearer(credential)
        .and_then(|token| token::verify(&shared.key, TokenKind::Access, token, shared.now()))
        .ok_or(Challenge::InvalidToken)?;
    // Only the first is indispensable: without the source a mount becomes an upload.
    let granted = needed.first().is_none_or(|first| access::covers(claims.grants(), first));
    if granted { Ok(()) } else { Err(Challenge::InsufficientScope) }
}

/// Refuses early what a lock forbids, before a body is read. What does not exist is not locked.
///
/// The answer can be out of date at once: what changes the state asks again, under its guard.
fn check(state: &State, route: &Route) -> Result<(), Refusal> {
    let Some(repository) = state.repositories.get(&route.repository) else {
        return Ok(());
    };
    let item = route.item.as_str();
    match route.operation {
        Operation::DeleteRepository => locks::delete_repository(repository),
        Operation::DeleteTag => locks::delete_tag(repository, item),
        Operation::DeleteManifest if is_digest(item) => locks::delete_manifest(repository, item),
        Operation::DeleteManifest => locks::delete_tag(repository, item),
        Operation::DeleteBlob => locks::delete(repository),
        Operation::PutManifest => locks::push(repository, item),
        Operation::StartUpload
        | Operation::MountBlob
        | Operation::UploadChunk
        | Operation::CompleteUpload => locks::write(repository),
        Operation::GetManifest | Operation::Resolve => locks::read_manifest(repository, item),
        Operation::DownloadBlob | Operation::BlobProperties => locks::read(repository),
        _ => Ok(()),
    }
}
