//! A token service as an Azure registry has it, reduced to what the tests ask.
//!
//! Pure: takes a request that has been read, gives an answer, counts.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
    request::Parts,
};
use serde_json::json;

use crate::{
    error::{Attempt as _, Result},
    form::{Form, read_basic},
    token_signer::{Access, TokenSigner},
};

/// Who may ask for tokens.
#[derive(Clone, Debug)]
pub struct Accounts {
    entra_token: String,
    user: String,
    password: String,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grant {
    /// Nobody in particular: may pull.
    Anonymous,
    /// A refresh token from the exchange: may do everything.
    RefreshToken,
    /// User and password: may do everything.
    Password,
}

/// One call for an access token that was answered with one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TokenCall {
    /// The proof.
    pub grant: Grant,
    /// The scope as it was asked.
    pub scope: String,
}

/// Answers `/oauth2/*` and remembers what it was asked.
#[derive(Debug)]
pub(crate) struct TokenService {
    service: String,
    accounts: Accounts,
    signer: TokenSigner,
    journal: Mutex<Journal>,
}

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) exchanges: usize,
    pub(crate) token_calls: Vec<TokenCall>,
    pub(crate) refused: usize,
    refresh_tokens: HashSet<String>,
}

impl Accounts {
    /// Accounts with secrets that nobody has seen before.
    pub fn random() -> Self {
        let secret = |what: &str| format!("{what}-{:032x}", fastrand::u128(..));
        Self { entra_token: secret("entra"), user: "tester".into(), password: secret("password") }
    }

    /// The only Entra token that the exchange takes.
    pub fn entra_token(&self) -> &str {
        &self.entra_token
    }

    /// The user of the Docker protocol.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The user's password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl TokenService {
    pub(crate) fn new(service: String, accounts: Accounts, signer: TokenSigner) -> Self {
        Self { service, accounts, signer, journal: Mutex::default() }
    }

    pub(crate) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(crate) fn journal(&self) -> Journal {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a request to `/oauth2/*`.
    pub(crate) fn answer(&self, head: &Parts, body: &[u8]) -> Result<Response<Bytes>> {
        let answer = match (&head.method, head.uri.path()) {
            (&Method::POST, "/oauth2/exchange") => self.exchange(&Form::read(body)),
            (&Method::POST, "/oauth2/token") => self.token(&Form::read(body)),
            (&Method::GET, "/oauth2/token") => {
                let query = head.uri.query().unwrap_or_default();
                self.docker_token(&head.headers, &Form::read(query.as_bytes()))
            }
            _ => refuse(StatusCode::NOT_FOUND, "NOT_FOUND", "no such page"),
        }?;
        if !answer.status().is_success() {
            self.note(|journal| journal.refused += 1);
        }
        Ok(answer)
    }

    fn exchange(&self, form: &Form) -> Result<Response<Bytes>> {
        if form.field("grant_type") != "access_token" || form.field("service") != self.service {
            return refuse(StatusCode::BAD_REQUEST, "UNSUPPORTED", "wrong grant or service");
        }
        if form.field("access_token") != self.accounts.entra_token {
            return unauthorized();
        }
        let token = self.signer.refresh_token(&self.service)?;
        self.note(|journal| {
            journal.exchanges += 1;
            journal.refresh_tokens.insert(token.clone());
        });
        reply(StatusCode::OK, &json!({ "refresh_token": token }))
    }

    fn token(&self, form: &Form) -> Result<Response<Bytes>> {
        let refresh_token = form.field("refresh_token");
        let grant = match form.field("grant_type") {
            "refresh_token" if self.journal().refresh_tokens.contains(refresh_token) => {
                Grant::RefreshToken
            }
            "refresh_token" => return unauthorized(),
            "password" if form.has("username") => {
                match self.login(form.field("username"), form.field("password")) {
                    Some(grant) => grant,
                    None => return unauthorized(),
                }
            }
            "password" if refresh_token.is_empty() => Grant::Anonymous,
            _ => return refuse(StatusCode::BAD_REQUEST, "UNSUPPORTED", "unknown grant"),
        };
        self.issue(grant, form)
    }

    fn docker_token(&self, headers: &HeaderMap, query: &Form) -> Result<Response<Bytes>> {
        let grant = match headers.get(AUTHORIZATION) {
            None => Some(Grant::Anonymous),
            Some(value) => read_basic(value.as_bytes())
                .and_then(|(user, password)| self.login(&user, &password)),
        };
        match grant {
            Some(grant) => self.issue(grant, query),
            None => unauthorized(),
        }
    }

    fn login(&self, user: &str, password: &str) -> Option<Grant> {
        let known = user == self.accounts.user && password == self.accounts.password;
        known.then_some(Grant::Password)
    }

    /// Grants what was asked as far as the caller may have it; never refuses for the rest.
    fn issue(&self, grant: Grant, form: &Form) -> Result<Response<Bytes>> {
        if form.field("service") != self.service {
            return refuse(StatusCode::BAD_REQUEST, "UNSUPPORTED", "wrong service");
        }
        let scope = form.field("scope");
        let access: Vec<Access> =
            scope.split(' ').filter_map(|entry| read_access(entry, grant)).collect();
        let token = self.signer.access_token(&self.service, &access)?;
        self.note(|journal| journal.token_calls.push(TokenCall { grant, scope: scope.to_owned() }));
        reply(StatusCode::OK, &json!({ "access_token": token }))
    }

    fn note(&self, change: impl FnOnce(&mut Journal)) {
        change(&mut self.journal.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Reads `repository:name:pull,push` and leaves out what the caller may not do.
fn read_access(text: &str, grant: Grant) -> Option<Access> {
    let (kind, rest) = text.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let allowed = |action: &&str| grant != Grant::Anonymous || *action == "pull";
    let actions = actions.split(',').filter(allowed).map(ToOwned::to_owned).collect();
    Some(Access { kind: kind.to_owned(), name: name.to_owned(), actions })
}

fn unauthorized() -> Result<Response<Bytes>> {
    refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Result<Response<Bytes>> {
    reply(status, &json!({ "errors": [{ "code": code, "message": message, "detail": null }] }))
}

fn reply(status: StatusCode, body: &serde_json::Value) -> Result<Response<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(Bytes::from(body.to_string()))
        .attempt(|| "build an answer")
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use http::Request;

    use super::*;

    fn service() -> TokenService {
        TokenService::new("here:1".into(), Accounts::random(), TokenSigner::new().unwrap())
    }

    fn ask(service: &TokenService, request: Request<String>) -> (StatusCode, serde_json::Value) {
        let (head, body) = request.into_parts();
        let answer = service.answer(&head, body.as_bytes()).unwrap();
        (answer.status(), serde_json::from_slice(answer.body()).unwrap())
    }

    fn post(path: &str, form: &str) -> Request<String> {
        Request::post(path).body(form.to_owned()).unwrap()
    }

    fn granted(answer: &serde_json::Value) -> serde_json::Value {
        let token = answer["access_token"].as_str().unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
        serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["access"].clone()
    }

    #[test]
    fn entra_token_becomes_a_refresh_token_becomes_an_access_token() {
        let service = service();
        let entra = service.accounts().entra_token();
        let form = format!("grant_type=access_token&service=here%3A1&access_token={entra}");
        let (status, answer) = ask(&service, post("/oauth2/exchange", &form));
        assert_eq!(status, StatusCode::OK);
        let refresh = answer["refresh_token"].as_str().unwrap();
        let form = format!(
            "grant_type=refresh_token&service=here:1&refresh_token={refresh}\
             &scope=repository:a/b:pull,push+repository:c:pull"
        );
        let (status, answer) = ask(&service, post("/oauth2/token", &form));
        assert_eq!(status, StatusCode::OK);
        assert_eq!(
            granted(&answer),
            json!([
                { "type": "repository", "name": "a/b", "actions": ["pull", "push"] },
                { "type": "repository", "name": "c", "actions": ["pull"] },
            ])
        );
        let journal = service.journal();
        assert_eq!((journal.exchanges, journal.token_calls.len(), journal.refused), (1, 1, 0));
    }

    #[test]
    fn anonymous_caller_is_granted_pull_only() {
        let service = service();
        let form = "grant_type=password&refresh_token=&service=here:1&scope=repository:a:pull,push";
        let (status, answer) = ask(&service, post("/oauth2/token", form));
        assert_eq!(status, StatusCode::OK);
        assert_eq!(granted(&answer)[0]["actions"], json!(["pull"]));
    }

    #[test]
    fn docker_protocol_takes_basic_or_nothing() {
        let service = service();
        let uri = "/oauth2/token?service=here%3A1&scope=repository%3Aa%3Apull%2Cpush";
        let login = |password: &str| {
            let credentials = STANDARD.encode(format!("tester:{password}"));
            let request = Request::get(uri).header(AUTHORIZATION, format!("Basic {credentials}"));
            ask(&service, request.body(String::new()).unwrap())
        };
        let (status, answer) = login(service.accounts().password());
        assert_eq!(status, StatusCode::OK);
        assert_eq!(granted(&answer)[0]["actions"], json!(["pull", "push"]));
        assert_eq!(login("wrong").0, StatusCode::UNAUTHORIZED);
        let (status, answer) = ask(&service, Request::get(uri).body(String::new()).unwrap());
        assert_eq!(status, StatusCode::OK);
        assert_eq!(granted(&answer)[0]["actions"], json!(["pull"]));
    }

    #[test]
    fn wrong_secrets_and_wrong_services_are_refused() {
        let service = service();
        let entra = service.accounts().entra_token().to_owned();
        for (path, form, status) in [
            ("/oauth2/exchange", "grant_type=access_token&service=here:1&access_token=x", 401),
            (
                "/oauth2/exchange",
                &*format!("grant_type=access_token&service=there&access_token={entra}"),
                400,
            ),
            ("/oauth2/token", "grant_type=refresh_token&service=here:1&refresh_token=x", 401),
            ("/oauth2/token", "grant_type=password&username=tester&password=x", 401),
            ("/oauth2/token", "grant_type=password&refresh_token=&service=there", 400),
            ("/oauth2/other", "", 404),
        ] {
            let (found, _) = ask(&service, post(path, form));
            assert_eq!(found.as_u16(), status, "{path} {form}");
        }
        assert_eq!(service.journal().refused, 6);
    }
}
