//! What became of each table, for the operator.

use std::collections::BTreeMap;

use carebot_database::import::Counts;

use crate::output;

fn reasons(counts: &BTreeMap<&'static str, u64>) -> String {
    counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(rule, count)| format!("{rule} {count}"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn why(counts: &Counts) -> String {
    if counts.is_missing {
        return "there is no such table".to_owned();
    }
    let mut told = reasons(&counts.skipped);
    let others: BTreeMap<_, _> = counts
        .noted
        .iter()
        .filter(|(rule, _)| !counts.skipped.contains_key(*rule))
        .map(|(rule, count)| (*rule, *count))
        .collect();
    let others = reasons(&others);
    if !others.is_empty() {
        told = [told, format!("told: {others}")]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
    told
}

/// Shows the table.
pub fn show(tables: &[Counts], dry_run: bool) {
    if dry_run {
        output::line("dry run: nothing was stored; WRITTEN and CHANGED are what would be");
    }
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|counts| {
            let skipped: u64 = counts.skipped.values().sum();
            let numbers = [counts.read, counts.written, counts.changed, counts.already, skipped];
            let mut row = vec![counts.table.to_owned()];
            row.extend(numbers.map(|number| number.to_string()));
            row.push(why(counts));
            row
        })
        .collect();
    output::table(&["TABLE", "READ", "WRITTEN", "CHANGED", "ALREADY THERE", "SKIPPED", "WHY"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_skipping_come_first_and_the_rest_is_told() {
        let mut counts = Counts { table: "homestatus", ..Counts::default() };
        assert_eq!(why(&counts), "");
        counts.noted = BTreeMap::from([("orphan", 2), ("python_text", 7)]);
        assert_eq!(why(&counts), "told: orphan 2, python_text 7");
        counts.skipped = BTreeMap::from([("orphan", 2), ("expired", 1)]);
        assert_eq!(why(&counts), "expired 1, orphan 2; told: python_text 7");
        counts.is_missing = true;
        assert_eq!(why(&counts), "there is no such table");
    }
}
