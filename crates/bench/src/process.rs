//! What processes cost: processor time and memory, from Linux's `/proc`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::Result;

/// The processor time of every thread of a process up to a moment, in nanoseconds (`/proc/PID/task/TID/schedstat`:
/// exact, where `/proc/PID/stat` counts hundredths of a second).
#[derive(Clone, Debug)]
pub struct CpuTime {
    pid: u32,
    threads: HashMap<String, u64>,
}

impl CpuTime {
    /// Up to now.
    pub fn now(pid: u32) -> Result<Self> {
        let mut threads = HashMap::new();
        let folder = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| {
            format!("the processor time of process {pid} can not be read (this needs Linux): {error}")
        })?;
        for thread in folder {
            let thread = thread?;
            // A thread that has just ended.
            let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanos = text
                .split_whitespace()
                .next()
                .and_then(|word| word.parse().ok())
                .ok_or("schedstat has another form")?;
            threads.insert(thread.file_name().to_string_lossy().into_owned(), nanos);
        }
        Ok(Self { pid, threads })
    }

    /// What the process has used since. Of threads that ended meanwhile it does not know the last bit.
    pub fn elapsed(&self) -> Result<Duration> {
        let now = Self::now(self.pid)?;
        let used =
            |(thread, nanos): (&String, &u64)| nanos.saturating_sub(self.threads.get(thread).copied().unwrap_or(0));
        Ok(Duration::from_nanos(now.threads.iter().map(used).sum()))
    }
}

/// The processor time of the calling thread.
pub fn own_thread() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos =
        text.split_whitespace().next().and_then(|word| word.parse().ok()).ok_or("schedstat has another form")?;
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a process in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// In use now.
    pub resident: u64,
    /// The most there ever was.
    pub peak: u64,
    /// What of `resident` is its own and not pages of files, such as the mapped database.
    pub anonymous: u64,
}

impl Memory {
    /// Now.
    pub fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Ok(Self { resident: field("VmRSS"), peak: field("VmHWM"), anonymous: field("RssAnon") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_shows_in_processor_time_and_memory() {
        let before = CpuTime::now(std::process::id()).expect("Linux");
        let own = own_thread().expect("Linux");
        let mut bytes = vec![1_u8; 8 << 20];
        // Until the kernel has noted something: it does so at every tick and every change of threads.
        while own_thread().expect("Linux") == own {
            for byte in &mut bytes {
                *byte = byte.wrapping_mul(3);
            }
        }
        assert!(before.elapsed().expect("Linux") > Duration::ZERO);
        assert!(Memory::of(std::process::id()).expect("Linux").peak >= 8 << 10, "{}", bytes[0]);
    }
}
