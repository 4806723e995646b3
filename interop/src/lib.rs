//! Real registry software for tests: the pieces that start it, guard it and read it.
//!
//! Opinions that are not ours judge the clients of this workspace and its emulator:
//!
//! | what | from | module |
//! |---|---|---|
//! | registries | Debian's `docker-registry`, and those that `interop/go` builds | [`RegistryProcess`], [`RegistrySoftware`] |
//! | a client | Debian's `skopeo` | [`Skopeo`] |
//! | an image | Debian's `umoci` and `busybox-static` | [`ImageLayout`] |
//! | a judge of registries | the OCI distribution conformance suite | [`ConformanceSuite`] |
//!
//! `docker-registry` verifies tokens but does not issue them. A [`Facade`] stands
//! in front of it on an origin of its own: it answers `/oauth2/*` and forwards the
//! rest. [`GuardedRegistry`] starts the pair.
//!
//! Everything listens on loopback. The tests need the programs above and stand
//! behind the feature `servers`; a missing program fails them, it never skips them.

mod certificates;
mod command;
mod conformance;
mod emulator_process;
mod error;
mod facade;
mod foreign_client;
mod foreign_listener;
mod form;
mod guarded_registry;
mod image;
pub mod matrix;
mod middle_box;
mod oauth;
mod proxy_process;
mod registry_process;
mod registry_software;
mod relay;
mod skopeo;
mod token_signer;
mod trials;
mod upstream;

pub use self::{
    certificates::CertificateAuthority,
    conformance::{Candidate, Check, ConformanceSuite, Verdict},
    emulator_process::EmulatorProcess,
    error::{Error, Result},
    facade::{Counts, Facade, FacadeListener, TlsMode},
    foreign_client::{ForeignClient, Site},
    foreign_listener::ForeignListener,
    guarded_registry::{GuardedRegistry, GuardedRegistryBuilder},
    image::{ImageBlob, ImageLayout},
    middle_box::{Habit, MiddleBox, MiddleBoxProcess},
    oauth::{Accounts, Grant, TokenCall},
    proxy_process::ProxyProcess,
    registry_process::{RegistryProcess, RegistryProcessBuilder, TokenAuth},
    registry_software::RegistrySoftware,
    relay::{Passed, Relay, Spoils},
    skopeo::{Inspection, RemoteImage, Skopeo},
    token_signer::{Access, TokenSigner},
    trials::{Trial, Trials},
};
