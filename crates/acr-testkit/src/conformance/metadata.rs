//! Lists, properties, locks, deletion.

use acr_core::{Action, RepositoryName, Scope};
use http::{Method, header};
use serde_json::{Value, json};

use super::{
    manifests,
    probe::{Answer, Found, Probe},
    report::Report,
};

pub(super) async fn run(probe: &Probe, report: &mut Report) {
    report.note("the registry answers a ping", ping(probe).await);
    report.note("tags are listed page by page, without gaps", pages(probe).await);
    report.note("a list of tags can be filtered by digest", filtered(probe).await);
    report
        .note("a repository, a tag and a manifest tell their properties", properties(probe).await);
    report.note("what is not there is named by the right code", unknown(probe).await);
    report.note("an upper-case name is a plain 404", malformed(probe).await);
    report.note("a locked tag keeps its manifest and its name", locks(probe).await);
    report.note("a deleted tag leaves its manifest", delete_tag(probe).await);
    report.note("the repositories are in the catalog", catalog(probe).await);
    report.note("a deleted repository is gone, and says what went", delete(probe).await);
}

const READ: &[Action] = &[Action::METADATA_READ];
const WRITE: &[Action] = &[Action::METADATA_WRITE];
const DELETE: &[Action] = &[Action::DELETE];

async fn get(probe: &Probe, rest: &str) -> Found<Answer> {
    let path = format!("/acr/v1/{}{rest}", probe.one);
    probe.ask(Method::GET, &path, &probe.one, READ)?.send().await
}

async fn patch(probe: &Probe, rest: &str, body: &Value) -> Found<Answer> {
    let path = format!("/acr/v1/{}{rest}", probe.one);
    let ask = probe.ask(Method::PATCH, &path, &probe.one, WRITE)?;
    ask.header(header::CONTENT_TYPE, "application/json").body(body.to_string()).send().await
}

async fn remove(probe: &Probe, name: &RepositoryName, rest: &str) -> Found<Answer> {
    let path = format!("/acr/v1/{name}{rest}");
    probe.ask(Method::DELETE, &path, name, DELETE)?.send().await
}

async fn ping(probe: &Probe) -> Found {
    probe.scoped(Method::GET, "/v2/", Scope::empty())?.send().await?.status(200).map(drop)
}

/// All names of a paged list, one per page.
async fn names(probe: &Probe, first: String, list: &str) -> Found<Vec<String>> {
    let mut names = Vec::new();
    let mut path = first;
    for _ in 0..MAX_PAGES {
        let ask = probe.ask(Method::GET, &path, &probe.one, READ)?;
        let answer = ask.send().await?.status(200)?;
        let page = answer.json()?;
        let items = page.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
        names.extend(items.iter().filter_map(|item| Some(item.get("name")?.as_str()?.to_owned())));
        match answer.header("link") {
            Err(_) => return Ok(names),
            Ok(link) => {
                let target =
                    link.split(['<', '>']).nth(1).ok_or_else(|| format!("link `{link}`"))?;
                target.clone_into(&mut path);
            }
        }
    }
    Err(format!("more than {MAX_PAGES} pages"))
}

async fn pages(probe: &Probe) -> Found {
    for tag in ["page-a", "page-b", "page-c"] {
        manifests::tagged(probe, tag, tag).await?;
    }
    let path = format!("/acr/v1/{}/_tags?n=1", probe.one);
    let found = names(probe, path, "/tags").await?;
    let mut sorted = found.clone();
    sorted.sort();
    sorted.dedup();
    let has_all = ["page-a", "page-b", "page-c"].iter().all(|tag| found.iter().any(|f| f == tag));
    match found == sorted && has_all {
        true => Ok(()),
        false => Err(format!("the tags {found:?}")),
    }
}

async fn filtered(probe: &Probe) -> Found {
    let digest = manifests::tagged(probe, "filtered", "filtered").await?;
    let path = format!("/_tags?digest={}", digest.as_str().replace(':', "%3A"));
    let answer = get(probe, &path).await?.status(200)?.at("/tags/0/name", &json!("filtered"))?;
    match answer.json()?.get("tags").and_then(Value::as_array).map(Vec::len) {
        Some(1) => Ok(()),
        found => Err(format!("{found:?} tags instead of one")),
    }
}

async fn properties(probe: &Probe) -> Found {
    let digest = manifests::tagged(probe, "props", "props").await?;
    let name = json!(probe.one.as_str());
    let repository = get(probe, "").await?.status(200)?.at("/imageName", &name)?;
    repository.at("/changeableAttributes/deleteEnabled", &json!(true))?;
    let tag = get(probe, "/_tags/props").await?.status(200)?;
    tag.at("/tag/digest", &json!(digest.as_str()))?
        .at("/tag/changeableAttributes/writeEnabled", &json!(true))?;
    let manifest = get(probe, &format!("/_manifests/{digest}")).await?.status(200)?;
    manifest
        .at("/manifest/digest", &json!(digest.as_str()))?
        .at("/manifest/tags/0", &json!("props"))
        .map(drop)
}

async fn unknown(probe: &Probe) -> Found {
    get(probe, "/_tags/no-such-tag").await?.error(404, "TAG_UNKNOWN")?;
    let digest = acr_core::Digest::sha256(b"nothing");
    get(probe, &format!("/_manifests/{digest}")).await?.error(404, "MANIFEST_UNKNOWN")?;
    let path = format!("/acr/v1/{}-not-there", probe.one);
    let name: RepositoryName =
        format!("{}-not-there", probe.one).parse().map_err(|_| "too long")?;
    let answer = probe.ask(Method::GET, &path, &name, READ)?.send().await?;
    answer.error(404, "NAME_UNKNOWN").map(drop)
}

async fn malformed(probe: &Probe) -> Found {
    let ask = probe.ask(Method::GET, "/acr/v1/Upper/Case", &probe.one, READ)?;
    ask.send().await?.status(404)?.is(b"404 page not found\n").map(drop)
}

async fn locks(probe: &Probe) -> Found {
    manifests::tagged(probe, "locked", "locked").await?;
    let lock = json!({ "deleteEnabled": false, "writeEnabled": false });
    let answer = patch(probe, "/_tags/locked", &lock).await?.status(200)?;
    answer.at("/tag/changeableAttributes/deleteEnabled", &json!(false))?;
    let refused = remove(probe, &probe.one, "/_tags/locked").await?;
    let refused = refused.error(405, "REGISTRY_DISALLOWED_OPERATION").map(drop);
    // Unlocked in any case, or the repository could not be cleaned up.
    let unlock = json!({ "deleteEnabled": true, "writeEnabled": true });
    patch(probe, "/_tags/locked", &unlock).await?.status(200)?;
    refused
}

async fn delete_tag(probe: &Probe) -> Found {
    let digest = manifests::tagged(probe, "short-lived", "short-lived").await?;
    remove(probe, &probe.one, "/_tags/short-lived").await?.status(202)?;
    remove(probe, &probe.one, "/_tags/short-lived").await?.error(404, "TAG_UNKNOWN")?;
    get(probe, &format!("/_manifests/{digest}")).await?.status(200).map(drop)
}

async fn catalog(probe: &Probe) -> Found {
    let before = probe.one.as_str().trim_end_matches("one").to_owned();
    let path = format!("/acr/v1/_catalog?last={}", before.replace('/', "%2F"));
    let answer = probe.scoped(Method::GET, &path, Scope::catalog())?.send().await?.status(200)?;
    answer.at("/repositories/0", &json!(probe.one.as_str())).map(drop)
}

async fn delete(probe: &Probe) -> Found {
    let answer = remove(probe, &probe.one, "").await?.status(202)?;
    let document = answer.json()?;
    let count = |key: &str| document.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let (manifests, tags) = (count("manifestsDeleted"), count("tagsDeleted"));
    if manifests == 0 || tags == 0 {
        return Err(format!("{manifests} manifests and {tags} tags deleted"));
    }
    get(probe, "").await?.error(404, "NAME_UNKNOWN")?;
    remove(probe, &probe.one, "").await?.error(404, "NAME_UNKNOWN").map(drop)
}

const MAX_PAGES: usize = 100;
