//! Another program under the same name: a sink, for measurements of clients.

use std::{io, time::Duration};

use acr_testkit::{SinkBuilder, Tls};

use crate::{
    arguments::Arguments,
    ready::{Ready, write_authority},
    stop::stop_signal,
};

/// Serves until the program shall end.
pub(crate) async fn serve(arguments: &Arguments) -> io::Result<()> {
    // Before anything is made that has to be removed again.
    let stop = stop_signal()?;
    let told = &arguments.sink;
    let latency = Duration::from_millis(told.latency_ms.into());
    let mut builder = SinkBuilder::new().latency(latency).items(told.items);
    if let Some(rate) = told.rate {
        builder = builder.rate(rate);
    }
    if told.challenges {
        builder = builder.challenges();
    }
    if let Some(folder) = &arguments.cert_dir {
        builder = builder.authority(folder);
    }
    let tls = if arguments.tls { Tls::On } else { Tls::Off };
    let sink = builder.serve_on(arguments.listen, tls).await?;
    let (ca, _folder) = write_authority(sink.ca_pem(), arguments.cert_dir.as_deref())?;
    let ready = Ready {
        endpoint: sink.endpoint().to_string(),
        // Blobs come from where they are asked for.
        storage: sink.endpoint().to_string(),
        ca,
        pid: std::process::id(),
        entra_token: "any".to_owned(),
    };
    ready.announce()?;
    stop.await;
    Ok(())
}
