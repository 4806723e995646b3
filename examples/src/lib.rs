//! What all examples share: a registry to talk to, and a count of what goes over the wire.

mod artifact;
mod memory;
mod registry;
mod sample;
mod wire;

pub use self::{
    artifact::{RepositoryTag, push, push_as_go, push_as_python, read_manifest, title},
    memory::peak_mebibytes,
    registry::{Registry, connect, connect_over},
    sample::{push_parent, push_samples},
    wire::{Counts, Step, Wire},
};

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the program of the guide for those who come from Python.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-python.md")]
struct FromPython;

/// Compiles the program of the guide for those who come from Go.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-go.md")]
struct FromGo;

/// Compiles the programs of the guide for those without async.
#[cfg(doctest)]
#[doc = include_str!("../../docs/without-async.md")]
struct WithoutAsync;

/// Compiles the program of the guide to interrupted transfers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/resume.md")]
struct Resume;

/// Compiles the program of the guide to credentials.
#[cfg(doctest)]
#[doc = include_str!("../../docs/credentials.md")]
struct Credentials;

/// Compiles the program of the front door's own page.
#[cfg(doctest)]
#[doc = include_str!("../../crates/acr-client/README.md")]
struct FrontDoor;

/// Runs the programs of the guide to the fake registry.
#[cfg(doctest)]
#[doc = include_str!("../../docs/test-your-code.md")]
struct TestYourCode;

/// Compiles the program of the guide to the layers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embed.md")]
struct Embed;

/// Compiles the programs of the guide to proxies.
#[cfg(doctest)]
#[doc = include_str!("../../docs/behind-a-proxy.md")]
struct BehindAProxy;

/// Compiles the programs of the guide to authorities of one's own.
#[cfg(doctest)]
#[doc = include_str!("../../docs/company-certificate.md")]
struct CompanyCertificate;

/// Compiles the programs of the guide for those who come from oci-client.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-oci-client.md")]
struct FromOciClient;

/// Compiles and runs the first programs of the crates.
#[cfg(doctest)]
mod first_programs {
    #[doc = include_str!("../../crates/acr-core/README.md")]
    struct Core;
    #[doc = include_str!("../../crates/acr-auth/README.md")]
    struct Auth;
    #[doc = include_str!("../../crates/acr-registry/README.md")]
    struct Metadata;
    #[doc = include_str!("../../crates/acr-blob/README.md")]
    struct Blob;
    #[doc = include_str!("../../crates/acr-testkit/README.md")]
    struct Testkit;
}
