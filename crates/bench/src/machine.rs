//! The machine that was measured on, so that figures can be compared.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Result;

/// How often the disk is asked.
const WRITES: usize = 200;

/// What is worth knowing of it, as lines of a list.
pub fn describe(folder: &Path, databases: &[String]) -> Result<Vec<String>> {
    let cores = std::thread::available_parallelism()?.get();
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    let (median, worst) = sync_latency(folder)?;
    let mut lines = vec![
        format!("{cores} cores ({model}), {} GiB of memory, Linux {kernel}", kib.div_ceil(1 << 20)),
        format!(
            "disk: writing 4 KiB and waiting for it (`fdatasync`) takes {median:.0} us, 1 of 100 times {worst:.0} us or more"
        ),
    ];
    lines.extend(databases.iter().cloned());
    lines.push(format!("built with {}", rustc()));
    Ok(lines)
}

fn rustc() -> String {
    let output = Command::new("rustc").arg("--version").stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    // "rustc 1.95.0 (hash date)": the version is enough.
    let version: Vec<&str> = text.split_whitespace().take(2).collect();
    if version.is_empty() { "an unknown compiler".to_owned() } else { version.join(" ") }
}

/// Median and 99th percentile in microseconds.
fn sync_latency(folder: &Path) -> Result<(f64, f64)> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let block = [7_u8; 4096];
    // Room first: growing a file costs more than writing it.
    file.set_len(4096 * u64::try_from(WRITES)?)?;
    file.sync_all()?;
    let mut times = Vec::new();
    for _ in 0..WRITES {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    fs::remove_file(path)?;
    times.sort_unstable_by(f64::total_cmp);
    Ok((times[WRITES / 2], times[WRITES * 99 / 100]))
}
