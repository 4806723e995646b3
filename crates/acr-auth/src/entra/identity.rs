//! Who a machine can be.

/// Which identity of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManagedIdentity {
    /// The one that lives and dies with the machine.
    #[default]
    SystemAssigned,
    /// A user-assigned one, by its client id.
    ClientId(String),
    /// A user-assigned one, by its object (principal) id.
    ObjectId(String),
    /// A user-assigned one, by its resource id: `/subscriptions/…`.
    ResourceId(String),
}
