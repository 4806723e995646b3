//! What the command line says, as settings of a registry.

use std::{io, time::Duration};

use acr_testkit::{Anonymous, BlobDelivery, Era, FakeRegistry, FakeRegistryBuilder, Profile};

use crate::arguments::{AnonymousArgument, Arguments, BlobsArgument, EraArgument, ProfileArgument};

/// Reads the file of scope maps, if there is one, so it blocks.
pub(crate) fn settings(arguments: Arguments) -> io::Result<FakeRegistryBuilder> {
    let anonymous = match arguments.anonymous {
        AnonymousArgument::Pull => Anonymous::Pull,
        AnonymousArgument::None => Anonymous::None,
    };
    let blobs = match arguments.blobs {
        BlobsArgument::Redirect => BlobDelivery::Redirect,
        BlobsArgument::Direct => BlobDelivery::Direct,
    };
    let profile = match arguments.profile {
        ProfileArgument::Acr => Profile::Acr,
        ProfileArgument::Oci => Profile::Oci,
    };
    let era = match arguments.era {
        EraArgument::Year2021 => Era::Year2021,
        EraArgument::Year2024 => Era::Year2024,
        EraArgument::Year2026 => Era::Year2026,
    };
    let mut builder = FakeRegistry::builder().anonymous(anonymous).blobs(blobs);
    builder = builder.profile(profile).era(era).clock_rate(arguments.clock_rate);
    if arguments.no_referrers {
        builder = builder.without_referrers();
    }
    if let Some(path) = &arguments.scope_map {
        builder = builder.scope_map_file(path)?;
    }
    if arguments.abac {
        builder = builder.abac();
    }
    if let Some(folder) = &arguments.cert_dir {
        builder = builder.authority(folder);
    }
    if let Some(quota) = arguments.quota {
        builder = builder.quota(quota);
    }
    if let Some(mib) = arguments.manifest_memory {
        builder = builder.manifest_memory((mib as usize).saturating_mul(1 << 20));
    }
    if let Some(days) = arguments.soft_delete {
        builder = builder.soft_delete(Duration::from_secs(u64::from(days) * 24 * 3600));
    }
    builder = lifetimes(builder, &arguments);
    for (name, password) in arguments.user {
        builder = builder.user(name, password);
    }
    for token in arguments.entra_token {
        builder = builder.entra_token(token);
    }
    Ok(builder)
}

fn lifetimes(mut builder: FakeRegistryBuilder, arguments: &Arguments) -> FakeRegistryBuilder {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    if let Some(lifetime) = arguments.access_token_lifetime.map(seconds) {
        builder = builder.access_token_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.refresh_token_lifetime.map(seconds) {
        builder = builder.refresh_token_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.link_lifetime.map(seconds) {
        builder = builder.link_lifetime(lifetime);
    }
    if let Some(lifetime) = arguments.upload_lifetime.map(seconds) {
        builder = builder.upload_lifetime(lifetime);
    }
    builder
}
