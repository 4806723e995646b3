//! Vocabularies of the server: text with constants, never closed enums.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

macro_rules! open_text {
    ($(#[$doc:meta])* $name:ident { $($constant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Cow<'static, str>);

        impl $name {
            $(#[doc = concat!("`", $text, "`")] pub const $constant: Self = Self(Cow::Borrowed($text));)*

            /// The text on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Those that are documented or were seen.
            pub fn known() -> &'static [Self] {
                const KNOWN: &[$name] = &[$($name::$constant,)*];
                KNOWN
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Cow::Owned(text.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Cow::Owned(text))
            }
        }

        impl From<&Self> for $name {
            fn from(text: &Self) -> Self {
                text.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, text: &str) -> bool {
                self.0 == text
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, text: &&str) -> bool {
                self.0 == *text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

open_text! {
    /// The media type of a manifest or descriptor.
    ///
    /// ```
    /// use acr_core::oci::MediaType;
    ///
    /// assert_eq!(MediaType::from("application/vnd.oci.image.index.v1+json"), MediaType::OCI_INDEX);
    /// // What is not known is no error.
    /// assert!(!MediaType::known().contains(&MediaType::from("application/vnd.example.new")));
    /// ```
    MediaType {
        OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json",
        OCI_INDEX = "application/vnd.oci.image.index.v1+json",
        OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json",
        OCI_CONFIG = "application/vnd.oci.image.config.v1+json",
        OCI_EMPTY = "application/vnd.oci.empty.v1+json",
        DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json",
        DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json",
        DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json",
        DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws",
        DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json",
        ORAS_ARTIFACT = "application/vnd.cncf.oras.artifact.manifest.v1+json",
    }
}

open_text! {
    /// The processor architecture of an image, in Go's words.
    ///
    /// ```
    /// use acr_core::oci::Architecture;
    ///
    /// assert_eq!(Architecture::ARM64.as_str(), "arm64");
    /// assert_eq!(Architecture::from("loongarch64").to_string(), "loongarch64");
    /// ```
    Architecture {
        I386 = "386",
        AMD64 = "amd64",
        ARM = "arm",
        ARM64 = "arm64",
        MIPS = "mips",
        MIPS64 = "mips64",
        MIPS64LE = "mips64le",
        MIPSLE = "mipsle",
        PPC64 = "ppc64",
        PPC64LE = "ppc64le",
        RISCV64 = "riscv64",
        S390X = "s390x",
        WASM = "wasm",
        UNKNOWN = "unknown",
    }
}

open_text! {
    /// The operating system of an image, in Go's words.
    ///
    /// ```
    /// use acr_core::oci::OperatingSystem;
    ///
    /// assert_eq!(OperatingSystem::from("linux"), OperatingSystem::LINUX);
    /// ```
    OperatingSystem {
        AIX = "aix",
        ANDROID = "android",
        DARWIN = "darwin",
        DRAGONFLY = "dragonfly",
        FREEBSD = "freebsd",
        ILLUMOS = "illumos",
        IOS = "ios",
        JS = "js",
        LINUX = "linux",
        NETBSD = "netbsd",
        OPENBSD = "openbsd",
        PLAN9 = "plan9",
        SOLARIS = "solaris",
        WINDOWS = "windows",
        UNKNOWN = "unknown",
    }
}
