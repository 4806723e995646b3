//! Uploads. `machine` decides and knows no I/O; `drive` does what it says with `wire` (one
//! request a function) and `feed` (the content); `builder` and `session` are the two ways in.

mod body;
mod builder;
mod checkpoint;
mod chunker;
mod drive;
mod feed;
mod learned;
mod machine;
mod session;
mod wire;

pub(crate) use self::learned::Learned;
pub use self::{
    builder::UploadBlob,
    checkpoint::UploadCheckpoint,
    chunker::Chunker,
    session::{Mount, UploadSession},
};
