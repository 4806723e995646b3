//! Content is hashed while its next piece travels.
//!
//! [`Hashing`] is what a program may choose. [`Hasher`] and [`Lane`] are for authors of clients:
//! those of this library hash with them, and no program needs them that calls those.

mod clock;
mod hasher;
mod lane;
mod sync;
mod thread;
mod work;

// Its stacks cannot be unwound on Windows.
#[cfg(not(windows))]
#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod tests;

pub use self::{
    hasher::{Hasher, Hashing},
    lane::Lane,
};
