//! Recorded token calls, each as one operation of the token client.

use std::collections::BTreeMap;

use acr_auth::{ExchangeRequest, GrantType, TokenClient};
use acr_core::{Scope, Secret};

use crate::{
    calls::Outcome,
    compare::same_error,
    recording::{Exchange, HOST, query},
    stage::Stage,
};

pub(crate) async fn check(recorded: &Exchange) -> Result<Outcome, String> {
    let is_exchange = recorded.path == "/oauth2/exchange";
    if recorded.method != "POST" || !is_exchange && recorded.path != "/oauth2/token" {
        return Err(format!("unknown operation `{} {}`", recorded.method, recorded.path));
    }
    let form = recorded.form();
    let fields = form.clone().unwrap_or_default();
    let field = |name: &str| fields.get(name).cloned();
    let stage = Stage::new(Vec::new(), std::slice::from_ref(recorded));
    let client = TokenClient::new(stage.bare());
    let secret = |name: &str| Secret::new(field(name).unwrap_or_else(|| "recorded".to_owned()));
    let scope = Scope::parse_lenient(&field("scope").unwrap_or_default());
    let result = if is_exchange {
        let kind = field("grant_type").unwrap_or_else(|| "access_token".to_owned());
        let mut request =
            ExchangeRequest::new(GrantType::new(kind)).access_token(secret("access_token"));
        if let Some(token) = field("refresh_token") {
            request = request.refresh_token(token);
        }
        if let Some(tenant) = field("tenant") {
            request = request.tenant(tenant);
        }
        client.exchange(request).await.map(|token| token.token().expose().to_owned())
    } else {
        let is_refresh = form.is_none() || field("grant_type").as_deref() == Some("refresh_token");
        let token = if is_refresh {
            client.exchange_refresh_token(&secret("refresh_token"), &scope).await
        } else if let Some(user) = field("username") {
            client.exchange_password(&user, &secret("password"), &scope).await
        } else {
            client.anonymous_token(&scope).await
        };
        token.map(|token| token.token().expose().to_owned())
    };
    let sent = stage.token_calls();
    let sent = sent.first().ok_or("nothing was sent")?;
    if (sent.method.as_str(), sent.path.as_str()) != ("POST", recorded.path.as_str()) {
        return Err(format!("sent {} {}", sent.method, sent.path));
    }
    if form.is_some() {
        let ours = meaning(query(&String::from_utf8_lossy(&sent.body)));
        let theirs = meaning(fields);
        if ours != theirs {
            return Err(format!("sent {:?}, recorded {:?}", ours.keys(), theirs.keys()));
        }
    }
    judge(recorded, is_exchange, result)
}

/// Whether the outcome is what was recorded.
fn judge(
    recorded: &Exchange,
    is_exchange: bool,
    result: acr_core::Result<String>,
) -> Result<Outcome, String> {
    let checked = Outcome::Checked(format!("POST {}", recorded.path));
    let name = if is_exchange { "refresh_token" } else { "access_token" };
    match result {
        Ok(token) if recorded.status == 200 => {
            let json = recorded.json().unwrap_or_default();
            if json[name].as_str() == Some(&token) {
                Ok(checked)
            } else {
                Err(format!("the {name} was lost"))
            }
        }
        Ok(_) => Err(format!("success, although the service said {}", recorded.status)),
        Err(error) => same_error(&error, recorded).map(|()| checked),
    }
}

/// A form without empty fields, the service by our name, the scope in one order.
fn meaning(mut form: BTreeMap<String, String>) -> BTreeMap<String, String> {
    form.retain(|_, value| !value.is_empty());
    if let Some(service) = form.get_mut("service") {
        *service = HOST.to_owned();
    }
    if let Some(scope) = form.get_mut("scope") {
        *scope = Scope::parse_lenient(scope).to_string();
    }
    form
}
