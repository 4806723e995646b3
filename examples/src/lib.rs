//! What all examples share: a registry to talk to, and a count of what goes over the wire.

mod artifact;
mod memory;
mod registry;
mod sample;
mod wire;

pub use self::{
    artifact::{Image, push, push_as_go, push_as_python, read_manifest, title},
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
