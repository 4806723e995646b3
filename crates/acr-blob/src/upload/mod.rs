//! Uploads. `machine` decides and knows no I/O, with `plan`, `limit` and `patience`; `outcome`
//! is its language; `drive` does what it says with `wire` (one request a function) and `feed`
//! (the content: `replay` can be read again, `one_body` passes once; hashed in order by
//! `ledger`); `builder` and `session` are the two ways in.

mod body;
mod builder;
mod checkpoint;
mod chunker;
mod drive;
mod feed;
// Its stacks cannot be unwound on Windows.
#[cfg(not(windows))]
#[cfg(test)]
mod interleaved;
mod learned;
mod ledger;
mod limit;
mod machine;
mod one_body;
mod ordered;
mod outcome;
mod patience;
mod plan;
mod replay;
mod session;
mod sync;
mod wire;

pub(crate) use self::learned::Learned;
pub use self::{
    builder::Upload,
    checkpoint::UploadCheckpoint,
    chunker::Chunker,
    session::{Mount, UploadSession},
};
