//! A server on loopback that knows nothing of us.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Response, request};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::net::TcpListener;

/// Answers by a script of statuses, then 200 with the body `hello`; never at `/silent`.
#[derive(Clone)]
pub(crate) struct Server {
    address: SocketAddr,
    script: Arc<[u16]>,
    seen: Arc<Mutex<Vec<(request::Parts, Bytes)>>>,
}

impl Server {
    pub(crate) async fn start(script: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { address, script: script.into(), seen: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = serving.clone();
                let service = service_fn(move |request| server.clone().answer(request));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                tokio::spawn(connection);
            }
        });
        server
    }

    async fn answer(
        self,
        request: http::Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let is_silent = head.uri.path() == "/silent";
        let body = body.collect().await.map_or_else(|_| Bytes::new(), |body| body.to_bytes());
        let status = {
            let mut seen = self.seen.lock().unwrap();
            seen.push((head, body));
            self.script.get(seen.len() - 1).copied().unwrap_or(200)
        };
        if is_silent {
            std::future::pending::<()>().await;
        }
        Ok(Response::builder().status(status).body(Full::new("hello".into())).unwrap())
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came: heads and bodies.
    pub(crate) fn seen(&self) -> Vec<(request::Parts, Bytes)> {
        self.seen.lock().unwrap().clone()
    }

    /// A header of the newest request.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let seen = self.seen();
        let value = seen.last()?.0.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

/// hyper-util's client as it comes, for whatever bodies a stack sends.
pub(crate) fn client<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data: Send> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn text(content: &'static str) -> Full<Bytes> {
    Full::new(Bytes::from_static(content.as_bytes()))
}
