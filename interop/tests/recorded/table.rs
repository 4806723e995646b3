//! What a replay found.

use std::collections::BTreeMap;

/// What had to be rewritten to be valid, and how often.
pub(crate) type Rewritten = BTreeMap<&'static str, usize>;

/// The sums of a replay.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) recordings: usize,
    pub(crate) exchanges: usize,
    pub(crate) checked: usize,
    pub(crate) challenges: usize,
    pub(crate) refused: usize,
    pub(crate) not_ours: BTreeMap<&'static str, usize>,
    pub(crate) by_operation: BTreeMap<String, usize>,
    pub(crate) rewritten: Rewritten,
    pub(crate) implied: usize,
    pub(crate) unverifiable: Vec<String>,
    pub(crate) failed: Vec<String>,
}

impl Table {
    /// Every exchange is in one column.
    pub(crate) fn is_complete(&self) -> bool {
        let not_ours: usize = self.not_ours.values().sum();
        let counted = self.checked + self.challenges + self.refused + not_ours + self.failed.len();
        counted == self.exchanges
    }

    pub(crate) fn print(&self) {
        println!("recordings                        {:>6}", self.recordings);
        println!("exchanges                         {:>6}", self.exchanges);
        println!("checked                           {:>6}", self.checked);
        println!("challenges on the way, answered   {:>6}", self.challenges);
        println!("arguments that our types refuse   {:>6}", self.refused);
        for (why, times) in &self.not_ours {
            println!("not ours                          {times:>6}  {why}");
        }
        println!("failed                            {:>6}", self.failed.len());
        println!("answers that recordings imply     {:>6}", self.implied);
        for (what, times) in &self.rewritten {
            println!("rewritten to valid ones           {times:>6}  {what}");
        }
        for (operation, times) in &self.by_operation {
            println!("checked by                        {times:>6}  {operation}");
        }
        println!("bodies that cannot be verified    {:>6}", self.unverifiable.len());
        for line in &self.unverifiable {
            println!("UNVERIFIABLE {line}");
        }
        for line in &self.failed {
            println!("FAILED {line}");
        }
    }
}
