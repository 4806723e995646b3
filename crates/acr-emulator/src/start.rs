//! Makes the registry, serves it and ends it.

use std::{io, mem::take, net::SocketAddr};

use acr_testkit::{FakeRegistry, Tls};

use crate::{
    arguments::Arguments,
    ready::{Ready, write_authority},
    settings::settings,
    stop::stop_signal,
};

/// Serves until the program shall end.
pub(crate) async fn serve(arguments: Arguments) -> io::Result<()> {
    // Before anything is made that has to be removed again.
    let stop = stop_signal()?;
    let tls = if arguments.tls { Tls::On } else { Tls::Off };
    let listen = arguments.listen;
    let storage = arguments.storage_listen.unwrap_or(SocketAddr::new(listen.ip(), 0));
    let cert_dir = arguments.cert_dir.clone();
    let registry = tokio::task::spawn_blocking(move || registry(arguments)).await??;
    let server = registry.serve_with_storage(listen, storage, tls).await?;
    let (ca, _folder) = write_authority(server.ca_pem(), cert_dir.as_deref())?;
    let ready = Ready {
        endpoint: server.endpoint().to_string(),
        storage: server.storage_url().to_owned(),
        ca,
        pid: std::process::id(),
        entra_token: registry.entra_token(),
    };
    ready.announce()?;
    stop.await;
    server.shutdown().await;
    Ok(())
}

/// Opens, seeds and spoils the registry. Reads files, so it blocks.
fn registry(mut arguments: Arguments) -> io::Result<FakeRegistry> {
    let (seeds, plans) = (take(&mut arguments.seed), take(&mut arguments.faults));
    let (data, journal) = (arguments.data.take(), arguments.journal.take());
    let builder = settings(arguments)?;
    let registry = match data {
        Some(folder) => builder.open(folder)?,
        None => builder.build(),
    };
    for (layout, repository) in seeds {
        registry.seed_layout(&layout, &repository)?;
    }
    registry.journal().print_reasons()?;
    plans.iter().for_each(|plan| registry.inject_plan(plan));
    if let Some(path) = journal {
        let named = |error| io::Error::other(format!("the journal `{}`: {error}", path.display()));
        registry.journal().append_to(&path).map_err(named)?;
    }
    Ok(registry)
}
