//! One plain HTTP exchange on a connection of its own.

use std::net::SocketAddr;

use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::error::{Attempt as _, Result};

/// Sends one request to an address. The request carries its own `Host`.
///
/// A connection for each exchange costs a little time and saves every question
/// about what an idle connection may have become.
pub(crate) async fn send<B>(address: SocketAddr, request: Request<B>) -> Result<Response<Incoming>>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let what = || format!("ask {address}");
    let stream = TcpStream::connect(address).await.attempt(what)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.attempt(what)?;
    // Ends with the exchange: the sender is dropped and both bodies are finite.
    tokio::spawn(connection);
    sender.send_request(request).await.attempt(what)
}
