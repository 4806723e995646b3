//! Downloads. `machine` decides and knows no I/O; `reader` does what it says; `request` asks;
//! `outlet` gives out and knows what the caller holds; `builder` is the way in, and `part` the
//! unverified reader of a range. `kept` is what lies beside a file until its download is done, and
//! `keeping` the download that sees to it; `alone` opens a file that is nobody else's.

#[cfg(feature = "fs")]
mod alone;
mod builder;
mod checkpoint;
#[cfg(feature = "fs")]
mod keeping;
#[cfg(feature = "fs")]
mod kept;
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
