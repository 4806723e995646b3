//! The emulator answers as recorded registries did: each recorded request is asked again in the
//! situation it was asked in, and the shapes of the two answers are compared.
//!
//! `differences.txt` lists what is known to differ, each with its reason; a new difference and
//! one that is gone both fail the test.

#[cfg(test)]
mod ask;
#[cfg(test)]
mod content;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod situation;

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        env,
    };

    use crate::{recording, shape, situation};

    /// What is known to differ: operation, status and code, difference, a recording, reason.
    const KNOWN: &str = include_str!("differences.txt");

    #[tokio::test]
    async fn answers_have_the_shapes_of_recorded_ones() {
        let Some(folder) = recording::folder() else {
            assert!(env::var_os("CI").is_none(), "no recordings; set ACR_RECORDINGS");
            report("No recordings here: nothing was compared; set ACR_RECORDINGS.\n");
            return;
        };
        let recordings = recording::load(&folder);
        assert!(!recordings.is_empty(), "no recordings in {}", folder.display());
        let mut compared: BTreeMap<(String, String), (BTreeSet<&str>, usize)> = BTreeMap::new();
        let mut found: BTreeMap<(String, String, String), BTreeSet<&str>> = BTreeMap::new();
        for recording in &recordings {
            let era = recording.era();
            for exchange in &recording.exchanges {
                let got = Box::pin(situation::replay(exchange, era)).await;
                let outcome = format!("{} {}", exchange.status, exchange.code());
                let key = (exchange.operation.clone(), outcome);
                let differences = shape::differences(recording, exchange, &got);
                let (names, total) = compared.entry(key.clone()).or_default();
                names.insert(&recording.name);
                *total += 1;
                for difference in differences {
                    let key = (key.0.clone(), key.1.clone(), difference);
                    found.entry(key).or_default().insert(&recording.name);
                }
            }
        }
        let mut table =
            "| operation | outcome | recordings | exchanges | differences |\n".to_owned();
        table.push_str("|---|---|---|---|---|\n");
        for ((operation, outcome), (names, total)) in &compared {
            let differences = found.keys().filter(|(o, c, _)| o == operation && c == outcome);
            let differences = differences.count();
            let names = names.len();
            table += &format!("| {operation} | {outcome} | {names} | {total} | {differences} |\n");
        }
        report(&table);
        let known = known();
        let mut wrong = Vec::new();
        for ((operation, outcome, difference), names) in &found {
            let is_known = known.iter().any(|known| known.is(operation, outcome, difference));
            if !is_known {
                let example = names.first().unwrap();
                let count = names.len();
                wrong.push(format!(
                    "new: {operation} | {outcome} | {difference} | {example} | ({count} times)"
                ));
            }
        }
        for known in known {
            let is_here = recordings.iter().any(|recording| recording.name == known.example);
            let is_found = found.iter().any(|((operation, outcome, difference), names)| {
                known.is(operation, outcome, difference) && names.contains(known.example)
            });
            if is_here && !is_found {
                wrong.push(format!("gone: {known:?}"));
            }
        }
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// What was compared, for people: `target/tmp/fidelity.md`.
    fn report(text: &str) {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(folder.join("fidelity.md"), text).unwrap();
    }

    /// A difference that is known.
    #[derive(Debug)]
    struct Known {
        /// `any` stands for all operations.
        operation: &'static str,
        /// `any` stands for all outcomes.
        outcome: &'static str,
        difference: &'static str,
        /// A recording that shows it.
        example: &'static str,
    }

    impl Known {
        fn is(&self, operation: &str, outcome: &str, difference: &str) -> bool {
            (self.operation == operation || self.operation == "any")
                && (self.outcome == outcome || self.outcome == "any")
                && self.difference == difference
        }
    }

    /// The known differences; none without a reason.
    fn known() -> Vec<Known> {
        let lines = KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let known = lines.map(|line| {
            let fields: Vec<_> = line.split(" | ").collect();
            let [operation, outcome, difference, example, reason] = fields[..] else {
                panic!("not five fields: {line}");
            };
            assert!(reason.len() > 10, "no reason: {line}");
            Known { operation, outcome, difference, example }
        });
        known.collect()
    }
}
