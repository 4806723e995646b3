//! The token service.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode, header};
use serde::Serialize;

use crate::{
    access::{self, Challenge},
    answer::{Answer, Failure, Refusal, Reply, chunked_json, empty, text},
    credential::basic,
    exchange::Exchange,
    form::Form,
    scope_map::ScopeMap,
    token::{self, Issue, TokenKind},
};

#[derive(Serialize)]
struct RefreshToken {
    refresh_token: String,
}

#[derive(Serialize)]
struct AccessToken {
    access_token: String,
}

/// `POST /oauth2/exchange`: an Entra token for a refresh token.
pub(crate) async fn exchange(x: &mut Exchange<'_>) -> Reply {
    let form = read_form(x).await?;
    if form.get("grant_type") != Some("access_token") {
        return Err(bad_request("grant_type must be access_token").into());
    }
    check_service(x, &form)?;
    let credential = form.get("access_token").unwrap_or_default();
    let settings = &x.shared.settings;
    if let Some(rights) = settings.entra_rights(credential) {
        let issue = issue(x, settings.lifetimes().refresh);
        let token = token::refresh(&x.shared.key, issue, rights.clone(), settings.wildcards());
        let token = x.spoiled_token(token);
        return Ok(chunked_json(&RefreshToken { refresh_token: token }));
    }
    if token::is_for_another_audience(credential) {
        let message = settings.era.wrong_audience();
        // Without the newline that ends all other errors, and without a charset.
        let body =
            format!("{{\"errors\":[{{\"code\":\"UNAUTHORIZED\",\"message\":\"{message}\"}}]}}");
        return Ok(text(StatusCode::UNAUTHORIZED, "application/json", body));
    }
    Ok(empty(StatusCode::UNAUTHORIZED))
}

/// `POST /oauth2/token`, and `GET` as Docker does it.
pub(crate) async fn token(x: &mut Exchange<'_>) -> Reply {
    if x.head.method == Method::GET {
        return docker(x);
    }
    let form = read_form(x).await?;
    check_service(x, &form)?;
    let rights = match form.get("grant_type") {
        Some("refresh_token") => {
            let token = form.get("refresh_token").unwrap_or_default();
            match refresh_rights(x, token) {
                Some(rights) => rights,
                None => return Ok(empty(StatusCode::UNAUTHORIZED)),
            }
        }
        Some("password") => match (form.filled("username"), form.get("password")) {
            (None, None) if form.filled("refresh_token").is_none() => anonymous(x),
            (Some(name), Some(password)) => match x.shared.settings.user_rights(name, password) {
                Some(rights) => rights.clone(),
                None => return Ok(bad_password()),
            },
            _ => return Ok(bad_password()),
        },
        _ => return Err(bad_request("grant_type is unknown").into()),
    };
    Ok(issue_access(x, &rights, &form))
}

fn docker(x: &Exchange<'_>) -> Reply {
    check_service(x, x.query)?;
    let rights = match x.head.headers.get(header::AUTHORIZATION) {
        None => anonymous(x),
        Some(value) => {
            let credential = value.to_str().ok().and_then(basic);
            let rights = credential.and_then(|(name, password)| match name.as_str() {
                TOKEN_USER => refresh_rights(x, &password),
                _ => x.shared.settings.user_rights(&name, &password).cloned(),
            });
            match rights {
                Some(rights) => rights,
                None => return Ok(bad_password()),
            }
        }
    };
    Ok(issue_access(x, &rights, x.query))
}

fn issue_access(x: &Exchange<'_>, rights: &ScopeMap, form: &Form) -> Answer {
    let settings = &x.shared.settings;
    let scopes = form.all("scope").collect::<Vec<_>>();
    x.shared.journal.update(x.number, |entry| {
        entry.scopes = scopes.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect();
    });
    let grants = access::grant(rights, settings.wildcards(), &scopes);
    let lifetime = settings.lifetimes().access;
    let token = token::access(&x.shared.key, issue(x, lifetime), x.spoiled_grants(grants));
    let token = x.spoiled_token(token);
    chunked_json(&AccessToken { access_token: token })
}

fn issue<'a>(x: &Exchange<'a>, lifetime: i64) -> Issue<'a> {
    let (now, lifetime) = x.spoiled_times(x.shared.now(), lifetime);
    Issue {
        id: x.shared.uuid(),
        service: x.authority,
        now,
        lifetime,
        shape: x.shared.settings.token_shape(),
        generation: x.shared.generation.load(Ordering::Relaxed),
    }
}

fn refresh_rights(x: &Exchange<'_>, token: &str) -> Option<ScopeMap> {
    let claims = token::verify(&x.shared.key, TokenKind::Refresh, token, x.shared.now())?;
    let is_revoked = claims.generation() < x.shared.generation.load(Ordering::Relaxed);
    (!is_revoked).then(|| claims.into_rights())
}

fn anonymous(x: &Exchange<'_>) -> ScopeMap {
    if x.shared.settings.anonymous_pull() { ScopeMap::reader() } else { ScopeMap::default() }
}

async fn read_form(x: &mut Exchange<'_>) -> Result<Form, Failure> {
    let is_form = x.header(header::CONTENT_TYPE).is_some_and(|value| {
        value.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(FORM))
    });
    let body = x.small_body(MAX_FORM).await?;
    if !is_form {
        return Err(bad_request("the body is not a form").into());
    }
    Ok(Form::parse(&String::from_utf8_lossy(&body)))
}

fn check_service(x: &Exchange<'_>, form: &Form) -> Result<(), Failure> {
    match form.get("service") {
        None => Err(bad_request("service is missing").into()),
        Some(service) if service == x.authority => Ok(()),
        Some(_) => Err(bad_request("service is another registry").into()),
    }
}

fn bad_request(message: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
}

fn bad_password() -> Answer {
    access::challenge(Challenge::BadPassword, "", "", &[], false)
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The user name that says the password is a refresh token.
const TOKEN_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Tokens are a few thousand bytes.
const MAX_FORM: usize = 64 * 1024;
