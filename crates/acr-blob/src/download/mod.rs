//! Downloads. `machine` decides and knows no I/O; `reader` does what it says; `request` asks;
//! `outlet` gives out and knows what the caller holds; `builder` is the way in, and `part` the
//! unverified reader of a range.

mod builder;
mod checkpoint;
mod machine;
mod outlet;
mod part;
#[cfg(feature = "fs")]
mod partial_file;
mod reader;
mod request;

pub(crate) use self::request::range_header;
pub use self::{
    builder::Download,
    checkpoint::DownloadCheckpoint,
    part::{DownloadRange, PartialReader},
    reader::BlobReader,
};
