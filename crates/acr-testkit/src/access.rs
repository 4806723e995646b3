//! Who may do what: scopes, rights, and the challenge for a request that lacks them.

use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::{
    answer::{Answer, Refusal},
    operation::Operation,
    route::Route,
    scope_map::ScopeMap,
};

/// One resource and what may be done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) actions: Vec<String>,
}

/// What becomes of a wildcard in a scope that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildcards {
    Granted,
    PassedOver,
}

/// Why a request is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    NoToken,
    InvalidToken,
    InsufficientScope,
    BadPassword,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Missing<'a> {
    #[serde(rename = "Type")]
    kind: &'a str,
    name: &'a str,
    action: &'a str,
}

impl Grant {
    fn new(kind: &str, name: &str, actions: &[&str]) -> Self {
        let actions = actions.iter().map(|&action| action.to_owned()).collect();
        Self { kind: kind.to_owned(), name: name.to_owned(), actions }
    }

    /// To read the content of a repository.
    pub(crate) fn pull(repository: &str) -> Self {
        Self::new("repository", repository, &["pull"])
    }

    /// Reads `type:name:action,action`.
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions: Vec<_> = actions.split(',').filter(|action| !action.is_empty()).collect();
        Some(Self::new(kind, name, &actions))
    }

    /// Whether it asks for any repository, or for anything with one.
    fn is_wild(&self) -> bool {
        let wild = self.name.contains('*') || self.actions.iter().any(|action| action == "*");
        self.kind == "repository" && wild
    }

    fn covers(&self, other: &Self) -> bool {
        let is = |own: &str, wanted: &str| own == "*" || own == wanted;
        self.kind == other.kind
            && is(&self.name, &other.name)
            && other.actions.iter().all(|wanted| self.actions.iter().any(|own| is(own, wanted)))
    }
}

/// What an operation needs; the first is indispensable, a mount can do without the second.
pub(crate) fn required(route: &Route, mount_source: Option<&str>) -> Vec<Grant> {
    let name = route.repository.as_str();
    let one = |actions: &[&str]| vec![Grant::new("repository", name, actions)];
    match route.operation {
        Operation::Connect
        | Operation::Ping
        | Operation::ExchangeEntraToken
        | Operation::FetchAccessToken
        | Operation::GetStorage => Vec::new(),
        Operation::ListDeletedRepositories => {
            vec![Grant::new("registry", "deleted_catalog", &["*"])]
        }
        Operation::ListDeletedManifests | Operation::ListDeletedTags => one(&["deleted_read"]),
        Operation::RestoreManifest => one(&["deleted_read", "deleted_restore"]),
        Operation::ListRepositories | Operation::ListCatalog => {
            vec![Grant::new("registry", "catalog", &["*"])]
        }
        Operation::RepositoryProperties
        | Operation::ListTags
        | Operation::TagProperties
        | Operation::ListManifests
        | Operation::ManifestProperties
        | Operation::ListTagNames => one(&["metadata_read"]),
        Operation::UpdateRepositoryProperties
        | Operation::UpdateTagProperties
        | Operation::UpdateManifestProperties => one(&["metadata_write"]),
        Operation::DeleteRepository
        | Operation::DeleteTag
        | Operation::DeleteManifest
        | Operation::DeleteBlob
        | Operation::CancelUpload => one(&["delete"]),
        Operation::GetManifest
        | Operation::Resolve
        | Operation::BlobProperties
        | Operation::DownloadBlob
        | Operation::UploadStatus
        | Operation::ListReferrers => one(&["pull"]),
        Operation::PutManifest
        | Operation::StartUpload
        | Operation::UploadChunk
        | Operation::CompleteUpload => one(&["pull", "push"]),
        Operation::MountBlob => {
            let mut grants = one(&["pull", "push"]);
            grants.extend(mount_source.map(Grant::pull));
            grants
        }
    }
}

/// Whether grants cover one that is needed.
pub(crate) fn covers(granted: &[Grant], needed: &Grant) -> bool {
    granted.iter().any(|grant| grant.covers(needed))
}

/// The intersection of what is asked for in `scope` fields and what an identity may have.
///
/// A plus that was sent percent-encoded ends the field, as recorded: what follows is lost.
///
/// A registry with permissions by attributes passes over wildcards of repositories.
pub(crate) fn grant(rights: &ScopeMap, wildcards: Wildcards, fields: &[&str]) -> Vec<Grant> {
    let texts = fields.iter().flat_map(|field| field.split('+').next().unwrap_or("").split(' '));
    let asked = texts.filter_map(Grant::parse).take(MAX_SCOPES);
    let asked = asked.filter(|grant| wildcards == Wildcards::Granted || !grant.is_wild());
    let granted = asked.map(|mut grant| {
        let allowed = rights.allowed(&grant.kind, &grant.name);
        if grant.actions.iter().any(|action| action == "*") && !allowed.contains(&"*") {
            grant.actions = allowed.iter().map(|&action| action.to_owned()).collect();
        }
        grant.actions.retain(|action| allowed.contains(&action.as_str()));
        grant
    });
    granted.filter(|grant| !grant.actions.is_empty()).collect()
}

/// The 401 with its challenge.
pub(crate) fn challenge(
    why: Challenge,
    realm: &str,
    service: &str,
    needed: &[Grant],
    push_first: bool,
) -> Answer {
    let message =
        "authentication required, visit https://aka.ms/acr/authorization for more information.";
    let missing: Vec<_> = needed
        .iter()
        .flat_map(|grant| {
            let (kind, name) = (grant.kind.as_str(), grant.name.as_str());
            grant.actions.iter().map(move |action| Missing { kind, name, action })
        })
        .collect();
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message);
    let refusal = if missing.is_empty() { refusal.detail(&()) } else { refusal.detail(&missing) };
    let mut answer = refusal.answer();
    let text = match why {
        Challenge::BadPassword => "Basic realm=\"Azure Container Registry\"".to_owned(),
        _ => bearer(why, realm, service, needed, push_first),
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

fn bearer(
    why: Challenge,
    realm: &str,
    service: &str,
    needed: &[Grant],
    push_first: bool,
) -> String {
    let mut text = format!("Bearer realm=\"{realm}\",service=\"{service}\"");
    if !needed.is_empty() {
        let scopes: Vec<_> = needed
            .iter()
            .map(|grant| {
                let mut actions = grant.actions.clone();
                if push_first {
                    actions.reverse();
                }
                format!("{}:{}:{}", grant.kind, grant.name, actions.join(","))
            })
            .collect();
        text += &format!(",scope=\"{}\"", scopes.join(" "));
    }
    match why {
        Challenge::NoToken | Challenge::BadPassword => {}
        Challenge::InvalidToken => text += ",error=\"invalid_token\"",
        Challenge::InsufficientScope => text += ",error=\"insufficient_scope\"",
    }
    text
}

/// A bound on what one token call may ask for.
const MAX_SCOPES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(rights: &ScopeMap, wildcards: Wildcards, scope: &str) -> String {
        let grants = grant(rights, wildcards, &[scope]);
        let texts = grants.iter().map(|g| format!("{}:{}:{}", g.kind, g.name, g.actions.join(",")));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn grants_are_the_intersection() {
        let (all, reader) = (ScopeMap::all(), ScopeMap::reader());
        let team = "repositories/team/*/content/read repositories/team/x/content/write";
        let team: ScopeMap = team.parse().unwrap();
        for (rights, asked, given) in [
            (
                &all,
                "repository:a/b:pull,push registry:catalog:*",
                "repository:a/b:pull,push registry:catalog:*",
            ),
            (&all, "repository:*:*", "repository:*:*"),
            (&all, "repository:a:fly,pull other:a:pull junk", "repository:a:pull"),
            (
                &reader,
                "repository:a:pull,push,metadata_read registry:catalog:* registry:deleted_catalog:*",
                "repository:a:pull,metadata_read registry:catalog:*",
            ),
            (&reader, "repository:a:*", "repository:a:pull,metadata_read"),
            (&ScopeMap::default(), "repository:a:pull", ""),
            (&all, "repository:t:pull,push+repository:s:pull", "repository:t:pull,push"),
            (
                &team,
                "repository:team/x:pull,push,delete repository:team/y:push,pull repository:z:pull",
                "repository:team/x:pull,push repository:team/y:pull",
            ),
            (&team, "repository:*:*", ""),
        ] {
            assert_eq!(granted(rights, Wildcards::Granted, asked), given, "{asked}");
        }
    }

    #[test]
    fn wildcards_can_be_passed_over() {
        for (asked, given) in [
            ("repository:*:pull", ""),
            ("repository:a:*", ""),
            ("repository:a/*:pull repository:a/b:pull", "repository:a/b:pull"),
            ("registry:catalog:*", "registry:catalog:*"),
        ] {
            assert_eq!(granted(&ScopeMap::all(), Wildcards::PassedOver, asked), given, "{asked}");
        }
    }

    #[test]
    fn wildcards_cover() {
        let all = Grant::new("repository", "*", &["*"]);
        let need = Grant::new("repository", "a/b", &["pull", "push"]);
        assert!(all.covers(&need));
        assert!(!Grant::new("repository", "a/b", &["pull"]).covers(&need));
        assert!(!all.covers(&Grant::new("registry", "catalog", &["*"])));
    }
}
