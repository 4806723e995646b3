//! Where a tag has to stand for it to be moved.

use std::sync::Arc;

use acr_core::{
    Action, Digest, Error, ErrorKind, Result, Scope, Tag, http::Request, layer::Recheck,
    value::Given,
};

use crate::repository::RepositoryClient;

#[derive(Clone, Debug, Default)]
pub(crate) enum Stands {
    #[default]
    Anywhere,
    Nowhere,
    At(Digest),
    /// Nowhere and at a manifest: the caller said both.
    Contradictory,
    /// At what is no digest: said when the builder is awaited.
    Wrong(Arc<Error>),
}

impl Stands {
    pub(crate) fn at(digest: impl TryInto<Digest, Error: Into<Error>>) -> Self {
        match Given::new(digest).get() {
            Ok(digest) => Self::At(digest),
            Err(wrong) => Self::Wrong(Arc::new(wrong)),
        }
    }

    /// What holds if this was said after what was said before: the last word, where both speak
    /// of the same.
    pub(crate) fn after(self, before: &Self) -> Self {
        match (before, &self) {
            (Self::Contradictory | Self::Wrong(_), _) => before.clone(),
            (Self::Nowhere, Self::At(_)) | (Self::At(_), Self::Nowhere) => Self::Contradictory,
            _ => self,
        }
    }

    /// Refuses what can never be, or would do nothing.
    pub(crate) fn check_option(&self, is_tagged: bool) -> Result<()> {
        let text = match self {
            Self::Wrong(wrong) => return Err(Error::shared(wrong)),
            Self::Contradictory => {
                "`if_absent` and `if_tag_is` contradict one another: leave one of them out"
            }
            Self::Nowhere | Self::At(_) if !is_tagged => {
                "where a tag stands matters to no manifest without a tag: say which one with `tag`"
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::InvalidInput, text))
    }

    /// Looks where the tag stands, unless that does not matter; and again before the request is
    /// repeated.
    pub(crate) async fn guard(
        self,
        client: &RepositoryClient,
        tag: &Tag,
        request: &mut Request,
    ) -> Result<()> {
        if matches!(self, Self::Anywhere) {
            return Ok(());
        }
        self.look(client, tag).await?;
        // The layers around calls may keep a place for this very call meanwhile.
        let mut inside = client.clone();
        inside.pipeline = client.pipeline.without_layers_per_call();
        let told = Arc::new((self, inside, tag.clone()));
        request.extensions_mut().insert(Recheck::new(move || {
            let told = Arc::clone(&told);
            async move {
                let (stands, client, tag) = &*told;
                stands.look(client, tag).await
            }
        }));
        Ok(())
    }

    async fn look(&self, client: &RepositoryClient, tag: &Tag) -> Result<()> {
        let text = match (self, find(client, tag).await?) {
            (Self::At(wanted), Some(found)) if *wanted == found => return Ok(()),
            (Self::At(wanted), Some(found)) => {
                format!("the tag `{tag}` stands for `{found}` and not for `{wanted}`")
            }
            (Self::At(wanted), None) => {
                format!("there is no tag `{tag}`, it was expected to stand for `{wanted}`")
            }
            (_, Some(found)) => format!("there is a tag `{tag}` already, it stands for `{found}`"),
            (_, None) => return Ok(()),
        };
        Err(Error::new(ErrorKind::Conflict, format!("{text}; nothing was changed: look again")))
    }
}

/// What the tag stands for now. It is absent only on the registry's own word: an answer to a
/// `HEAD` has no body, and so anybody's 404 looks like that of the registry.
async fn find(client: &RepositoryClient, tag: &Tag) -> Result<Option<Digest>> {
    // With the rights of the `PUT`, so that a token for it is there when the look is over.
    let scope = Scope::repository(&client.name, &[Action::PULL, Action::PUSH]);
    match client.resolve_in(tag.into(), scope).await {
        Ok(digest) => return Ok(Some(digest)),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    match client.get_manifest(tag).allow_ambiguous().await {
        Ok(manifest) => Ok(Some(manifest.digest)),
        Err(error) if error.is_not_found() && error.code().is_some() => Ok(None),
        Err(error) if error.is_not_found() => Err(error.with_hint(
            "the answer does not bear the registry's mark, so that nobody knows whether there is \
             such a tag; a proxy may have given it",
        )),
        Err(error) => Err(error),
    }
}
