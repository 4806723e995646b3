//! The same without async, for programs without a runtime of their own.
//!
//! ```no_run
//! use acr_client::blocking::Registry;
//!
//! fn main() -> acr_client::Result<()> {
//!     let registry = Registry::connect("myregistry.azurecr.io")?;
//!     for tag in registry.repository("library/hello-world")?.list_tags() {
//!         println!("{}", tag?.name);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Every operation of [`crate::Registry`] and [`crate::Repository`] is here under its own name, and
//! so is every option; requests, errors and their kinds are the same.
//!
//! | with async | here |
//! |---|---|
//! | `.await` on a call | the call |
//! | `.await` on a builder | [`run`](Upload::run) |
//! | `try_next().await` on a list or its pages | [`Iterator`]: `for tag in repo.list_tags()` |
//! | a reader's chunks, `tokio::io::AsyncRead` | [`chunk`](BlobReader::chunk), [`std::io::Read`] |
//! | an upload session | [`UploadSession`]; as a [`std::io::Write`]: [`UploadSession::into_writer`] |
//! | [`Content::reader`](crate::Content::reader), `DownloadCheckpoint::reopen` | [`reader`](fn@reader), `reopen` |
//! | dropping a future | none: a call returns when it is done; time-outs and deadlines bound it |
//!
//! # Threads
//!
//! A registry has one thread of its own, on which sockets and timers are served, and which all its
//! clones, repositories, lists and readers share. It ends with the last of them. Calls work on the
//! threads that make them, any number at once; functions given to `on_progress` and
//! `on_checkpoint` are called there too. (Files and names of hosts are read on threads of a pool that
//! come and go, and what a [`reader`](fn@reader) gives on a thread for that upload.)
//!
//! # Not inside of async code
//!
//! A call that waits would hold up every task of the thread. So every call that would wait is
//! [`InvalidInput`](crate::ErrorKind::InvalidInput) where a tokio runtime is at work, threads of
//! `spawn_blocking` included: use [`crate::Registry`] there. What was made before may be dropped anywhere.

mod download;
mod list;
mod manifest;
mod reader;
mod registry;
mod repository;
mod runtime;
mod upload;
mod writer;

/// A builder: one of the async client, and the runtime to run it on. Its options are those of the
/// async one, each with an example.
macro_rules! builder {
    (
        $(#[$about:meta])*
        $name:ident of $of:ty $( => $output:ty, $run:literal )? ;
        $( $option:ident($($argument:ident: $type:ty),*), $example:literal; )*
    ) => {
        $(#[$about])*
        #[derive(Debug)]
        #[must_use = "nothing is sent until it is run"]
        pub struct $name {
            inner: $of,
            runtime: $crate::blocking::runtime::Runtime,
        }

        impl $name {
            pub(crate) fn new(
                inner: $of,
                runtime: &$crate::blocking::runtime::Runtime,
            ) -> Self {
                Self { inner, runtime: runtime.clone() }
            }

            $(
                #[doc = concat!(
                    "As [`", stringify!($of), "::", stringify!($option), "`].\n\n```\n",
                    "# include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/doctest_blocking.rs\"))",
                    ".run(|registry, repo| {\n", $example, "\n# drop(registry);\n# Ok(()) });\n```"
                )]
                pub fn $option(self, $($argument: $type),*) -> Self {
                    Self { inner: self.inner.$option($($argument),*), ..self }
                }
            )*

            $(
                #[doc = concat!(
                    "Sends it and waits for the outcome.\n\n```\n",
                    "# include!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/doctest_blocking.rs\"))",
                    ".run(|registry, repo| {\n", $run, "\n# drop(registry);\n# Ok(()) });\n```\n\n",
                    "# Errors\n\nThose of [`", stringify!($of), "`], and ",
                    "[`InvalidInput`](crate::ErrorKind::InvalidInput) inside of async code."
                )]
                pub fn run(self) -> $crate::Result<$output> {
                    self.runtime.run(self.inner)
                }
            )?
        }
    };
}
use builder;

#[cfg(feature = "fs")]
#[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
pub use self::download::reopen;
#[cfg(feature = "preview")]
#[cfg_attr(docsrs, doc(cfg(feature = "preview")))]
pub use self::manifest::RestoreManifest;
pub use self::{
    download::{BlobReader, Download, DownloadRange, PartialReader},
    list::{ListPager, Pages},
    manifest::{GetManifest, PutManifest, TagManifest},
    reader::{reader, sized_reader},
    registry::Registry,
    repository::Repository,
    upload::{Mount, Upload, UploadSession},
    writer::UploadWriter,
};
