//! The fake obeys the specification of the wire.

#[cfg(test)]
mod support;

#[cfg(test)]
mod deleted;
#[cfg(test)]
mod download;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod manifest;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod order;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod race;
#[cfg(test)]
mod rights;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stalled;
#[cfg(test)]
mod upload;
#[cfg(test)]
mod wire;
