//! A fake of Azure Container Registry on loopback, for clients in any language.
//!
//! Prints one line of JSON when it is ready and runs until SIGTERM or SIGINT:
//!
//! ```text
//! {"endpoint":"https://127.0.0.1:41237","storage":"https://127.0.0.1:35211","ca":"/tmp/…/ca.pem","pid":4711,"entra_token":"…"}
//! ```
//!
//! ```sh
//! cargo install acr-emulator
//! acr-emulator --user me:secret
//! ```
//!
//! `--help` lists every option. It has no features; the registry itself is the library
//! `acr-testkit`, which tests in Rust use without a socket.

#![forbid(unsafe_code)]

mod arguments;
mod ready;
mod settings;
mod sink;
mod start;
mod stop;

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser as _;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    // Exits with code 2 for arguments that are refused.
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if standard error is closed too.
            let _ = writeln!(io::stderr(), "acr-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> io::Result<()> {
    if arguments.sink.sink {
        // One thread: it is given a processor of its own, and must not take the client's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(sink::serve(&arguments));
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(start::serve(arguments))
}
