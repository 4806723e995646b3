//! Downloads. `machine` decides and knows no I/O; `reader` does what it says; `builder` is
//! the way in, and `part` the unverified reader of a range.

mod builder;
mod checkpoint;
mod machine;
mod part;
mod reader;

pub use self::{
    builder::Download,
    checkpoint::DownloadCheckpoint,
    part::{DownloadRange, PartialReader},
    reader::BlobReader,
};
