//! The program acr-emulator with a data folder, layouts, rights and limits.
#![cfg(unix)]

#[cfg(test)]
mod authority;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod data;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod options;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod sink;
#[cfg(test)]
mod support;
