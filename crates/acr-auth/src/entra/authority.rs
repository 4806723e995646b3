//! The token endpoint of an authority: client credentials for an access token.

use acr_core::{
    ErrorKind, Pipeline, Secret,
    http::{Effect, Operation, RequestBuilder},
};
use http::{Method, header};

use super::{answer, cloud::Cloud, failure::Failure, options::SourceOptions, scopes};
use crate::{access_token::AccessToken, form::Form};

/// An application at its authority: `POST /{tenant}/oauth2/v2.0/token`.
///
/// The pipeline repeats what Entra asks to repeat (429, 5xx, broken connections) and follows
/// no redirect.
#[derive(Debug)]
pub(crate) struct Application {
    pipeline: Pipeline,
    tenant: String,
    client_id: String,
}

impl Application {
    pub(crate) fn new(
        options: &SourceOptions,
        cloud: &Cloud,
        tenant: &str,
        client_id: &str,
    ) -> Result<Self, Failure> {
        scopes::check_tenant(tenant)?;
        if client_id.is_empty() {
            return Err(Failure::new(ErrorKind::InvalidInput, "the client id is empty"));
        }
        let pipeline = options.authority_pipeline(cloud)?;
        Ok(Self { pipeline, tenant: tenant.to_owned(), client_id: client_id.to_owned() })
    }

    pub(crate) async fn with_secret(
        &self,
        scopes: &[&str],
        secret: &Secret,
    ) -> Result<AccessToken, Failure> {
        self.ask(self.form(scopes).field("client_secret", secret.expose()), secret).await
    }

    pub(crate) async fn with_assertion(
        &self,
        scopes: &[&str],
        assertion: &Secret,
    ) -> Result<AccessToken, Failure> {
        let form = self
            .form(scopes)
            .field("client_assertion_type", ASSERTION_TYPE)
            .field("client_assertion", assertion.expose());
        self.ask(form, assertion).await
    }

    fn form(&self, scopes: &[&str]) -> Form {
        Form::new()
            .field("grant_type", "client_credentials")
            .field("client_id", &self.client_id)
            .field("scope", &scopes.join(" "))
    }

    async fn ask(&self, form: Form, sent: &Secret) -> Result<AccessToken, Failure> {
        let path = [&self.tenant, "oauth2", "v2.0", "token"];
        let (content_type, body) = form.finish();
        let request = RequestBuilder::new(Method::POST, self.pipeline.endpoint(), &path)
            .accept_json()
            .header(header::CONTENT_TYPE, content_type)
            .operation(Operation::new("fetch_entra_token").on(&self.tenant))
            .effect(Effect::Token)
            .body(body)
            .build()?;
        let answer = self.pipeline.send(request).await?;
        Ok(answer::read(answer, Some(sent)).await?)
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
