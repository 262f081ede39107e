//! The tables.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::Result;
use crate::arguments::Arguments;
use crate::raw_sqlite;
use crate::run::{Cell, Finding, Findings, Sample};
use crate::scene::{Data, Engine};
use crate::sysbench;
use crate::work::Work;

const BEGIN: &str = "<!-- benchmark: begin -->";
/// What the cheapest possible answer is called.
const BARE: &str = "axum's shortest hello";
const END: &str = "<!-- benchmark: end -->";

/// Microseconds of processor time that the cheapest possible answer cost where the targets were set.
const BARE_CPU: f64 = 6.0;
/// Memory that an idle server may have, and one under load, in KiB.
const MEMORY: (u64, u64) = (30 << 10, 128 << 10);
/// Milliseconds to the first answer on an existing SQLite file.
const START: f64 = 200.0;
/// What the newest of a million reports of one family may cost more than the newest of a thousand.
const MILLION: f64 = 1.5;

/// All tables as Markdown.
pub fn tables(findings: &Findings, arguments: &Arguments) -> String {
    let mut text = String::new();
    // Writing to memory does not fail.
    let _ = machine(&mut text, findings, arguments);
    for &engine in &arguments.engines {
        let _ = workloads(&mut text, findings, engine);
    }
    let _ = comparisons(&mut text, findings);
    let _ = ratios(&mut text, findings);
    let _ = memory(&mut text, findings);
    let _ = starts(&mut text, findings);
    text
}

/// Puts the tables between the markers of a document.
pub fn write(path: &Path, tables: &str) -> Result {
    let document = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    fs::write(
        path,
        between(&document, tables).ok_or_else(|| format!("{} lacks the markers {BEGIN} and {END}", path.display()))?,
    )?;
    Ok(())
}

fn between(document: &str, tables: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", tables.trim()))
}

/// Digits as figures need them: three that count.
fn figure(value: f64) -> String {
    if value >= 1_000.0 {
        thousands(&format!("{value:.0}"))
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, figure)
}

/// A verdict beside a target.
fn verdict(value: f64, target: f64) -> &'static str {
    if value <= target { "yes" } else { "**no**" }
}

fn machine(text: &mut String, findings: &Findings, arguments: &Arguments) -> std::fmt::Result {
    let seconds = arguments.window.as_secs_f64();
    writeln!(
        text,
        "Medians of {} rounds of {seconds} s each, {} connections that each wait for their answer; server, database and load \
         generator share the machine. \"Least\" is the least processor time of any round:\n",
        arguments.rounds, arguments.clients
    )?;
    for line in &findings.machine {
        writeln!(text, "- {line}")?;
    }
    writeln!(text)
}

fn workloads(text: &mut String, findings: &Findings, engine: Engine) -> std::fmt::Result {
    let database = engine == Engine::MariaDb;
    writeln!(text, "### {}\n", engine.name())?;
    let column = if database { " database CPU us | both |" } else { "" };
    let bare = findings.cells.get(&Cell::Http).map(|found| found.median.cpu());
    if let Some(bare) = bare {
        writeln!(
            text,
            "The targets were set on a machine on which the cheapest possible answer costs {BARE_CPU} us; here {BARE} costs {} us. \
             \"Hellos\" is the processor time divided by that, beside the target divided by {BARE_CPU}: what is left when the machine's speed is \
             taken out.\n",
            figure(bare)
        )?;
    }
    writeln!(
        text,
        "| request | reports in the table | requests/s | p50 us | p99 us | server CPU us |{column} least | target | met | hellos | target | met | the original |"
    )?;
    writeln!(
        text,
        "|---|---|---:|---:|---:|---:|{}---:|---:|---|---:|---:|---|---:|",
        if database { "---:|---:|" } else { "" }
    )?;
    for (cell, Finding { median: sample, least_cpu }) in &findings.cells {
        let Cell::Server(of, work, data) = *cell else { continue };
        if of != engine {
            continue;
        }
        let rows = if work.is_about(Data::OneFamily) { data.name() } else { "" };
        let Sample { per_second, p50, p99, server_cpu, database_cpu } = *sample;
        write!(
            text,
            "| {} | {rows} | {} | {} | {} | {} |",
            work.name(),
            figure(per_second),
            optional(p50),
            optional(p99),
            optional(server_cpu)
        )?;
        if database {
            write!(text, " {} | {} |", optional(database_cpu), figure(sample.cpu()))?;
        }
        write!(text, " {} |", figure(*least_cpu))?;
        match work.target(engine) {
            Some(target) => {
                write!(text, " {} | {} |", figure(target.cpu), verdict(sample.cpu(), target.cpu))?;
                match bare {
                    Some(bare) => {
                        let (hellos, most) = (sample.cpu() / bare, target.cpu / BARE_CPU);
                        write!(text, " {} | {} | {} |", figure(hellos), figure(most), verdict(hellos, most))?;
                    }
                    None => write!(text, " | | |")?,
                }
                writeln!(text, " {} |", optional(target.original))?;
            }
            None => writeln!(text, " | | | | | |")?,
        }
    }
    writeln!(text)
}

fn comparisons(text: &mut String, findings: &Findings) -> std::fmt::Result {
    let alone: Vec<(&'static str, &Finding)> = findings
        .cells
        .iter()
        .filter_map(|(cell, finding)| match cell {
            Cell::Sysbench(which) => Some((which.name(), finding)),
            Cell::Raw(which) => Some((which.name(), finding)),
            Cell::Http => Some((BARE, finding)),
            Cell::Server(..) => None,
        })
        .collect();
    if alone.is_empty() {
        return Ok(());
    }
    writeln!(text, "### What stands behind it, alone\n")?;
    writeln!(
        text,
        "The engines without a server in front of them (sysbench with as many threads as the benchmark has connections, \
        SQLite on one thread), and an HTTP server without anything behind it.\n"
    )?;
    writeln!(text, "| | per second | p50 us | p99 us | its CPU us | least |\n|---|---:|---:|---:|---:|---:|")?;
    for (name, Finding { median, least_cpu }) in alone {
        let (p50, p99) = (optional(median.p50), optional(median.p99));
        let (rate, cpu, least) = (figure(median.per_second), figure(median.cpu()), figure(*least_cpu));
        writeln!(text, "| {name} | {rate} | {p50} | {p99} | {cpu} | {least} |")?;
    }
    writeln!(text)
}

fn ratios(text: &mut String, findings: &Findings) -> std::fmt::Result {
    let rate = |cell| findings.cells.get(&cell).map(|found| found.median.per_second);
    let cpu = |cell| findings.cells.get(&cell).map(|found| found.median.cpu());
    let server = |engine, work| Cell::Server(engine, work, Data::Thousand);
    let mut rows: Vec<(String, Option<f64>, String)> = Vec::new();
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        for work in [Work::Latest, Work::Post] {
            let value =
                rate(server(engine, work)).zip(rate(server(engine, Work::Hello))).map(|(one, other)| one / other);
            rows.push((format!("{}: {}, of the hello's requests/s", engine.name(), work.name()), value, String::new()));
        }
    }
    for (work, test) in [
        (Work::Latest, sysbench::Test::PointSelect),
        (Work::Post, sysbench::Test::Insert),
        (Work::Post, sysbench::Test::InsertOwnKey),
    ] {
        let value = rate(server(Engine::MariaDb, work)).zip(rate(Cell::Sysbench(test))).map(|(one, other)| one / other);
        rows.push((format!("MariaDB: {}, of the rate of {}", work.name(), test.name()), value, String::new()));
    }
    for (work, test) in [(Work::Latest, raw_sqlite::Test::PointSelect), (Work::Post, raw_sqlite::Test::Insert)] {
        let value = rate(server(Engine::Sqlite, work)).zip(rate(Cell::Raw(test))).map(|(one, other)| one / other);
        rows.push((format!("SQLite: {}, of the rate of {}", work.name(), test.name()), value, String::new()));
    }
    for engine in [Engine::Sqlite, Engine::MariaDb] {
        let million = cpu(Cell::Server(engine, Work::Latest, Data::OneFamily));
        let value = million.zip(cpu(server(engine, Work::Latest))).map(|(million, thousand)| million / thousand);
        let met = value.map_or(String::new(), |value| format!("target {MILLION}: {}", verdict(value, MILLION)));
        rows.push((
            format!("{}: CPU of the newest of 1,000,000 reports of one family, of that of 1,000", engine.name()),
            value,
            met,
        ));
    }
    if rows.iter().all(|(_, value, _)| value.is_none()) {
        return Ok(());
    }
    writeln!(text, "### Ratios\n\n| | ratio | |\n|---|---:|---|")?;
    for (name, value, note) in rows {
        if let Some(value) = value {
            writeln!(text, "| {name} | {value:.2} | {note} |")?;
        }
    }
    writeln!(text)
}

fn memory(text: &mut String, findings: &Findings) -> std::fmt::Result {
    writeln!(text, "### Memory of the server in MiB\n")?;
    writeln!(
        text,
        "Resident, and of that what is its own; the rest is the program's code and, with SQLite, pages of the database file.\n"
    )?;
    writeln!(
        text,
        "| | reports | idle | own | target 30 | after the load | own | peak | target 128 |\n|---|---|---:|---:|---|---:|---:|---:|---|"
    )?;
    let mib = |kib: u64| format!("{}.{}", kib >> 10, ((kib & 1023) * 10) >> 10);
    for found in &findings.footprints {
        let (idle, after) = (found.idle, found.after);
        let met = |kib: u64, most: u64| if kib <= most { "yes" } else { "**no**" };
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            found.engine.name(),
            found.data.name(),
            mib(idle.resident),
            mib(idle.anonymous),
            met(idle.resident, MEMORY.0),
            mib(after.resident),
            mib(after.anonymous),
            mib(after.peak),
            met(after.peak, MEMORY.1)
        )?;
    }
    writeln!(text)
}

fn starts(text: &mut String, findings: &Findings) -> std::fmt::Result {
    writeln!(text, "### From the start of the process to its first answer in milliseconds\n")?;
    writeln!(
        text,
        "Medians of ten starts on an existing database.\n\n| | reports | `/healthz` | `/readyz` | target |\n|---|---|---:|---:|---|"
    )?;
    for start in &findings.starts {
        let (healthy, ready) = (start.healthy.as_secs_f64() * 1e3, start.ready.as_secs_f64() * 1e3);
        let met =
            if start.engine == Engine::Sqlite { format!("{START}: {}", verdict(ready, START)) } else { String::new() };
        writeln!(text, "| {} | {} | {healthy:.1} | {ready:.1} | {met} |", start.engine.name(), start.data.name())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_go_between_the_markers_and_the_prose_stays() {
        let document = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nProse.\n");
        let once = between(&document, "\nnew\n").expect("the markers are there");
        assert_eq!(once, format!("# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\nProse.\n"));
        assert_eq!(between(&once, "new").as_deref(), Some(once.as_str()));
        assert!(between("no markers", "new").is_none());
    }

    #[test]
    fn figures_have_the_digits_that_count() {
        for (value, expected) in [
            (0.5, "0.50"),
            (9.994, "9.99"),
            (12.34, "12.3"),
            (999.4, "999"),
            (1_234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(figure(value), expected);
        }
    }
}
