//! What the settings say.

use std::time::Duration;

use super::{Anonymous, BlobDelivery, FakeRegistryBuilder, User};
use crate::{access::Wildcards, jwt_shape::JwtShape, profile::Profile, scope_map::ScopeMap};

impl FakeRegistryBuilder {
    /// What the owner of an Entra token may do; `None` for an unknown one.
    pub(crate) fn entra_rights(&self, token: &str) -> Option<&ScopeMap> {
        let known = self.entra_tokens.iter().find(|(known, _)| known == token);
        known.map(|(_, rights)| rights)
    }

    /// What a user may do; `None` for an unknown one or a wrong password.
    pub(crate) fn user_rights(&self, name: &str, password: &str) -> Option<&ScopeMap> {
        self.find_user(name, password).map(|user| &user.rights)
    }

    /// Whether a user may go without a token; `None` as for [`Self::user_rights`].
    pub(crate) fn is_admin(&self, name: &str, password: &str) -> Option<bool> {
        self.find_user(name, password).map(|user| user.is_admin)
    }

    fn find_user(&self, name: &str, password: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name && user.password == password)
    }

    pub(crate) fn wildcards(&self) -> Wildcards {
        self.wildcards
    }

    pub(crate) fn token_shape(&self) -> JwtShape {
        self.jwt_shape
    }

    pub(crate) fn anonymous_pull(&self) -> bool {
        self.anonymous == Anonymous::Pull
    }

    pub(crate) fn is_oci(&self) -> bool {
        self.profile == Profile::Oci
    }

    pub(crate) fn serves_referrers(&self) -> bool {
        self.referrers
    }

    pub(crate) fn redirects(&self) -> bool {
        self.blobs == BlobDelivery::Redirect
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            access: seconds(self.access_token_lifetime),
            refresh: seconds(self.refresh_token_lifetime),
            link: seconds(self.link_lifetime),
        }
    }
}

/// The lifetimes in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access: i64,
    pub(crate) refresh: i64,
    pub(crate) link: i64,
}

/// A duration in whole seconds.
pub(crate) fn seconds(lifetime: Duration) -> i64 {
    i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)
}
