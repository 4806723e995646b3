//! What may go wrong.

use proptest::prelude::*;

use crate::fault::FaultPlan;

/// A plan of faults, known by its seed: shrinking tries other plans, not smaller ones. Its
/// text, which a failing test prints, brings exactly this plan back.
pub fn fault_plan() -> impl Strategy<Value = FaultPlan> {
    any::<u64>().prop_map(FaultPlan::seeded)
}
