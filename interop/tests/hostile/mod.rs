pub(crate) mod log;
pub(crate) mod server;
