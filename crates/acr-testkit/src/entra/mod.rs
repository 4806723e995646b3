//! Where Entra tokens come from, in a fake: the authority and the identity services of
//! Azure's platforms.

mod answers;
mod authority;
mod desk;
mod identity;
#[cfg(feature = "serve")]
mod listener;
mod plan;
mod platform;
mod refusal;

pub use self::{
    authority::{FakeEntra, FakeEntraBuilder},
    identity::{FakeIdentityService, FakeIdentityServiceBuilder},
};
