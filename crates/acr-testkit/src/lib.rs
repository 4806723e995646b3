//! A strict fake of Azure Container Registry, for tests of clients in any language.
//!
//! It answers the metadata interface (`/acr/v1`), the OCI distribution interface
//! (`/v2`) and the token service (`/oauth2`) as recorded registries do, down to the
//! bytes of their errors. It is strict: what a real registry refuses is refused here,
//! so that a passing test proves something. There are two ways to use it:
//!
//! 1. **In process**, without a socket: [`FakeRegistry::transport`]. The clock may be
//!    paused.
//! 2. **On loopback**, with or without TLS: `FakeRegistry::serve` (feature `serve`).
//!
//! For clients in other languages there is the program `acr-emulator`, a crate of its own.
//!
//! ```sh
//! cargo add --dev acr-testkit acr-core http tower-service
//! cargo add --dev tokio --features macros,rt,test-util
//! ```
//!
//! ```
//! use acr_core::{http::Body, Transport};
//! use acr_testkit::{FakeRegistry, Kind};
//! use tower_service::Service as _;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let registry = FakeRegistry::new();
//! let mut transport: Transport = registry.transport();
//!
//! let uri = registry.endpoint().uri("/v2/").unwrap();
//! let request = http::Request::get(uri).body(Body::empty()).unwrap();
//! let response = transport.call(request).await.unwrap();
//!
//! assert_eq!(response.status(), 401);
//! assert_eq!(registry.journal().count(Kind::Challenge), 1);
//! # });
//! ```
//!
//! # Types
//!
//! | type | what |
//! |---|---|
//! | [`FakeRegistry`], [`FakeRegistryBuilder`] | the registry and its settings |
//! | [`Profile`], [`Era`] | whose behaviour it has, and of what time |
//! | `Server`, `Tls` (feature `serve`) | the registry on loopback |
//! | `Sink`, `SinkBuilder` (feature `serve`) | no registry at all, but what a client is measured against |
//! | [`Operation`], [`Target`] | what a request asks for, in faults and in the journal |
//! | [`Fault`] | what shall go wrong, one line of text each |
//! | [`Journal`], [`Entry`] | what was asked, without any secret |
//! | [`conformance()`] | what a registry must do for the clients to be right about it |
//! | [`FakeEntra`], [`FakeIdentityService`] | where Entra tokens come from |
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `serve` | no | servers on loopback, with or without TLS: `FakeRegistry::serve`, `FakeRegistryBuilder::authority`; `serve` of [`FakeEntra`] and [`FakeIdentityService`], which are there without it too |
//! | `persist` | no | a registry that is kept in a folder: `FakeRegistryBuilder::open` |
//! | `proptest` | no | `strategy`: names, digests, contents, manifests for property tests |
//!
//! # Where to go next
//!
//! | you want to | look at |
//! |---|---|
//! | choose users, rights, behaviour, lifetimes | [`FakeRegistry::builder`] |
//! | let something go wrong | [`FakeRegistry::inject`], [`Fault`] |
//! | know what was asked | [`FakeRegistry::journal`] |
//! | start with images | [`FakeRegistry::seed_layout`] |
//! | test against a server | `FakeRegistry::serve` (feature `serve`) |

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod admission;
mod answer;
mod attributes;
mod budget;
mod builder;
#[cfg(feature = "serve")]
mod certificates;
mod clock;
mod conformance;
mod content;
mod credential;
mod damage;
mod deleted;
mod disk;
mod disturb;
mod entra;
mod exchange;
mod fault;
mod form;
mod headers;
mod in_process;
mod journal;
mod jwt_shape;
mod layout;
mod ledger;
mod locks;
mod manifest;
mod operation;
mod paging;
mod profile;
mod quota;
mod records;
mod reference;
mod registry;
mod repository;
mod route;
mod routes;
mod scope_map;
mod seal;
#[cfg(feature = "serve")]
mod server;
mod service;
mod shared;
#[cfg(feature = "serve")]
mod sink;
mod site;
mod state;
mod storage;
#[cfg(feature = "proptest")]
pub mod strategy;
mod sync;
mod token;
mod upload;
#[cfg(feature = "serve")]
mod wire;

#[cfg(feature = "serve")]
pub use self::server::{Server, Tls};
#[cfg(feature = "serve")]
pub use self::sink::{Sink, SinkBuilder, SinkStats, sink_content};
pub use self::{
    builder::{Anonymous, BlobDelivery, FakeRegistryBuilder},
    clock::Clock,
    conformance::{Outcome, Report, conformance},
    entra::{FakeEntra, FakeEntraBuilder, FakeIdentityService, FakeIdentityServiceBuilder},
    fault::{ChallengeKind, CutEnd, Fault, FaultPlan, JsonKind, ParseFaultError, TlsFault},
    journal::{Entry, Journal, Kind, Origin},
    jwt_shape::JwtShape,
    layout::Seeded,
    operation::{Operation, ParseOperationError, Target},
    profile::{Era, Profile},
    quota::{ParseQuotaError, Quota},
    registry::FakeRegistry,
    scope_map::{ParseScopeMapError, ScopeMap},
};
