//! What a token service says, and what of it may be shown; what is never sent to it.

use acr_auth::{AuthLayer, Credential, TokenClient};
use acr_core::{Endpoint, Error, ErrorKind, Pipeline, Scope, Secret, http::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::{self, entra, get, ok, token_service, transport};

const FIREWALL: &str = "client with IP '203.0.113.7' is not allowed access. \
                        Refer https://aka.ms/acr/firewall to grant access.";
const PASSWORD: &str = "hunter2-canary-PASS";

fn refusal(status: u16, body: impl Into<String>) -> Response {
    let mut answer = ok(body);
    *answer.status_mut() = status.try_into().unwrap();
    answer
}

fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    for detail in error.details() {
        text += &format!(" {} {} {:?}", detail.code(), detail.message(), detail.detail());
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}

async fn error_of(credential: Credential, status: u16, body: String) -> Error {
    let (transport, _) = transport(move |call, _| match call.line.as_str() {
        "POST /oauth2/token" => refusal(status, body.clone()),
        _ => token_service(call, "[]").unwrap_or_else(|| ok("{}")),
    });
    let pipeline = support::pipeline(transport, credential);
    pipeline.send(get("/v2/", Some(Scope::catalog()))).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn c5_the_reason_of_the_token_service_is_shown() {
    let envelope = format!(r#"{{"errors":[{{"code":"DENIED","message":"{FIREWALL}"}}]}}"#);
    for credential in [entra(), Credential::password("me", PASSWORD), Credential::anonymous()] {
        let error = error_of(credential, 403, envelope.clone()).await;
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert!(error.to_string().contains(&format!("403 DENIED: {FIREWALL}")), "{error}");
    }
    // The exchange says it too, and so do other forms.
    for (body, words) in [
        (envelope, FIREWALL),
        (
            r#"{"error":"invalid_grant","error_description":"the token is expired"}"#.to_owned(),
            "INVALID_GRANT: the token is expired",
        ),
        (r#"{"message":"quota exceeded"}"#.to_owned(), "quota exceeded"),
        ("the registry is being moved".to_owned(), "the registry is being moved"),
        ("<html>front end</html>".to_owned(), "Forbidden"),
        (String::new(), "Forbidden"),
    ] {
        let (transport, _) = transport(move |_, _| refusal(403, body.clone()));
        let pipeline = support::pipeline(transport, entra());
        let error = pipeline.send(get("/v2/", Some(Scope::catalog()))).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("html"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn c6_no_text_of_the_token_service_repeats_what_was_sent() {
    let reversed: String = PASSWORD.chars().rev().collect();
    let (left, right) = PASSWORD.split_at(PASSWORD.len() / 2);
    let escaped: String = PASSWORD.bytes().map(|b| format!("\\u{b:04x}")).collect();
    let percent: String = PASSWORD.bytes().map(|b| format!("%{b:02X}")).collect();
    let hex: String = PASSWORD.bytes().map(|b| format!("{b:02x}")).collect();
    let echoes = [
        PASSWORD.to_owned(),
        PASSWORD.to_uppercase(),
        reversed.clone(),
        format!("{right}{left}"),
        escaped.clone(),
        percent.clone(),
        hex.clone(),
        STANDARD.encode(PASSWORD),
        STANDARD.encode(format!("me:{PASSWORD}")),
        PASSWORD.replace(['-', '2'], "_").to_uppercase(),
    ];
    for echo in &echoes {
        for body in [
            format!(r#"{{"errors":[{{"code":"{echo}","message":"no"}}]}}"#),
            format!(r#"{{"errors":[{{"code":"DENIED","message":"you sent {echo} there"}}]}}"#),
            format!(r#"{{"errors":[{{"code":"DENIED","message":"no","detail":"{echo}"}}]}}"#),
            format!(
                r#"{{"errors":[{{"code":"A","message":"a"}},{{"code":"B","message":"{echo}"}}]}}"#
            ),
            format!(r#"{{"error":"{echo}","error_description":"{echo}"}}"#),
            format!(r#"{{"message":"{echo}"}}"#),
            format!("plain {echo}"),
        ] {
            let error = error_of(Credential::password("me", PASSWORD), 400, body.clone()).await;
            let shown = everything(&error);
            for part in [PASSWORD, &reversed, left, right, &percent, &hex, echo] {
                let (shown, part) = (shown.to_lowercase(), part.to_lowercase());
                assert!(!shown.contains(&part), "{body} gives {shown}");
            }
            assert!(error.code().is_none_or(|code| {
                code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            }));
        }
    }
    // In the id of the answer as well.
    let (transport, _) = transport(move |_, _| {
        let mut answer = refusal(400, "");
        answer.headers_mut().insert("x-ms-correlation-request-id", PASSWORD.parse().unwrap());
        answer
    });
    let pipeline = support::pipeline(transport, Credential::password("me", PASSWORD));
    let error = pipeline.send(get("/v2/", Some(Scope::catalog()))).await.unwrap_err();
    assert!(!everything(&error).contains("hunter2"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn c7_a_password_with_a_line_break_is_sent_without_it_or_not_at_all() {
    for (user, password, fields) in [
        ("me", "secret\n", Some("username=me&password=secret")),
        ("me\r\n", "secret\r\n", Some("username=me&password=secret")),
        ("me", " se cret ", Some("username=me&password=%20se%20cret%20")),
        ("me", "sec\nret", None),
        ("m\0e", "secret", None),
        ("00000000-0000-0000-0000-000000000000\n", "token\n", Some("refresh_token=token")),
        ("00000000-0000-0000-0000-000000000000", "to ken", None),
    ] {
        let (transport, sent) =
            transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
        let pipeline = support::pipeline(transport, Credential::password(user, password));
        let result = pipeline.send(get("/v2/", Some(Scope::catalog()))).await;
        let body = sent.lock().unwrap().first().map(|call| call.body.clone());
        match fields {
            Some(fields) => assert!(body.unwrap().contains(fields), "{password:?}"),
            None => {
                let error = result.unwrap_err();
                assert_eq!((error.kind(), body), (ErrorKind::InvalidInput, None));
                assert!(
                    error.to_string().contains("control") || error.to_string().contains("blank")
                );
            }
        }
    }
    let (transport, sent) =
        transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
    let pipeline = support::pipeline(transport, Credential::refresh_token("token\n"));
    pipeline.send(get("/v2/", Some(Scope::catalog()))).await.unwrap();
    assert!(sent.lock().unwrap()[0].body.ends_with("refresh_token=token"));
}

#[tokio::test(start_paused = true)]
async fn c7_a_program_that_manages_tokens_itself_is_held_to_the_same() {
    let (transport, sent) =
        transport(|call, _| token_service(call, "[]").unwrap_or_else(|| ok("{}")));
    let endpoint: Endpoint = "reg.azurecr.io".parse().unwrap();
    let client =
        TokenClient::new(Pipeline::builder(endpoint).transport(transport).build().unwrap());
    let scope = Scope::catalog();
    let ends = |body: &str| sent.lock().unwrap().pop().unwrap().body.ends_with(body);
    client.exchange_password("me\n", &Secret::new("secret\r\n"), &scope).await.unwrap();
    assert!(ends("username=me&password=secret"));
    client.exchange_refresh_token(&Secret::new(" token\n"), &scope).await.unwrap();
    assert!(ends("refresh_token=token"));
    client.exchange_entra_token(&Secret::new("token\n"), None).await.unwrap();
    assert!(ends("access_token=token"));
    let kinds = [
        client.exchange_password("me", &Secret::new("sec\nret"), &scope).await.map(drop),
        client.exchange_refresh_token(&Secret::new("to ken"), &scope).await.map(drop),
        client.exchange_entra_token(&Secret::new("to\0ken"), None).await.map(drop),
    ]
    .map(|result| result.map_err(|error| error.kind()));
    assert_eq!(kinds, [Err(ErrorKind::InvalidInput); 3]);
    assert!(sent.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn d4_no_secret_goes_in_clear_to_another_machine() {
    let endpoint = Endpoint::insecure_link_local("169.254.169.254").unwrap();
    for credential in
        [Credential::password("me", "secret"), Credential::refresh_token("token"), entra()]
    {
        let (transport, sent) = transport(|_, _| ok(r#"{"access_token":"t"}"#));
        let pipeline = Pipeline::builder(endpoint.clone())
            .transport(transport)
            .layer_per_hop(AuthLayer::new(&endpoint, credential))
            .build()
            .unwrap();
        let mut request = get("/v2/", Some(Scope::catalog()));
        *request.uri_mut() = endpoint.uri("/v2/").unwrap();
        let error = pipeline.send(request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(sent.lock().unwrap().is_empty());
    }
    let (transport, sent) = transport(|_, _| ok(r#"{"access_token":"t"}"#));
    let client =
        TokenClient::new(Pipeline::builder(endpoint).transport(transport).build().unwrap());
    let secret = Secret::new("secret");
    let scope = Scope::catalog();
    assert!(client.exchange_password("me", &secret, &scope).await.is_err());
    assert!(client.exchange_refresh_token(&secret, &scope).await.is_err());
    assert!(sent.lock().unwrap().is_empty());
    assert!(client.anonymous_token(&scope).await.is_ok(), "nothing secret is sent");
}
