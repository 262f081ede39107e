//! What a simulation counted.

use carebot_database::ambient::{Rng, SystemRng};

use super::faults::Broken;
use super::phones::Carriage;

/// A seed that nobody chose.
pub fn any_seed() -> u64 {
    let mut bytes = [0; 4];
    SystemRng.fill(&mut bytes);
    u64::from(u32::from_le_bytes(bytes))
}

/// What became of every alarm.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Simulated time, in milliseconds.
    pub passed: i64,
    /// Critical things that a server acknowledged.
    pub criticals: u64,
    /// Of these, those without an alarm.
    pub without_alarm: u64,
    /// The first of them, for whoever looks for the reason.
    pub lost: Vec<String>,
    /// Of these, those that alarms counted more than once.
    pub counted_twice: u64,
    /// Alarms that were raised.
    pub alarms: u64,
    /// Of these, those of which nobody was told although nobody had seen to them.
    pub untold: u64,
    /// Those that were raised in the last two minutes, and of which nobody was told yet.
    pub young: u64,
    /// The first of the untold.
    pub silent: Vec<String>,
    /// How often a robot had to send again.
    pub resent: u64,
    /// Milliseconds from what a server acknowledged to the first hand-over, sorted.
    pub first: Vec<i64>,
    /// The same, where no provider was down meanwhile and no server dead.
    pub calm_first: Vec<i64>,
    /// Acknowledgements and other things that people did.
    pub acts: u64,
    /// Notices that came although somebody had acknowledged the alarm more than two seconds before.
    pub after_ack: u64,
    /// Chains that do not verify.
    pub broken_chains: u64,
    /// Entries of all chains.
    pub entries: u64,
    /// What the channels saw.
    pub carriage: Carriage,
    /// What broke.
    pub broken: Broken,
    /// How often a clock jumped.
    pub jumps: u64,
    /// How often the providers were down.
    pub outages: u64,
}

/// The value below which so many hundredths lie.
fn percentile(sorted: &[i64], hundredths: usize) -> Option<i64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * hundredths).div_ceil(100)).copied()
}

fn seconds(sorted: &[i64]) -> String {
    let part = |hundredths| {
        percentile(sorted, hundredths)
            .map_or_else(|| "-".to_owned(), |millis| format!("{}.{:03}", millis / 1_000, millis % 1_000))
    };
    format!("p50 {} s, p99 {} s, longest {} s, of {}", part(50), part(99), part(100), sorted.len())
}

impl Report {
    /// Whether nothing was lost and nobody disturbed too often.
    pub fn is_good(&self) -> bool {
        self.without_alarm == 0
            && self.counted_twice == 0
            && self.untold == 0
            && self.broken_chains == 0
            && self.after_ack == 0
            && self.carriage.duplicates * 1_000 <= self.carriage.notices
    }

    /// To be read.
    pub fn lines(&self) -> Vec<String> {
        let Carriage { notices, duplicates, failures, lost_yes } = self.carriage;
        let Broken { crashes, full_disks, lost_answers } = self.broken;
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let share = if notices == 0 { 0.0 } else { duplicates as f64 * 100.0 / notices as f64 };
        let mut lines = vec![
            format!("simulated        {} h {:02} min", self.passed / 3_600_000, self.passed / 60_000 % 60),
            format!(
                "faults           {crashes} servers killed, {full_disks} full disks, {lost_answers} lost answers of commits, {} clock jumps, {} outages of providers, {failures} failed hand-overs, {lost_yes} lost answers of providers",
                self.jumps, self.outages
            ),
            format!("criticals        {} acknowledged (sent again {} times)", self.criticals, self.resent),
            format!("alarms raised    {} (one open alarm takes all of its kind)", self.alarms),
            format!(
                "LOST             {} criticals without an alarm ({} counted twice), {} alarms nobody was told of (and {} of the last two minutes)",
                self.without_alarm, self.counted_twice, self.untold, self.young
            ),
            format!("notices          {notices}, duplicates for a person and step {duplicates} ({share:.2} %)"),
            format!("first hand-over  {} after the acknowledgement of the report", seconds(&self.first)),
            format!("  undisturbed    {}", seconds(&self.calm_first)),
            format!(
                "people           {} acknowledged, cleared or put off; notices more than 2 s after an acknowledgement: {}",
                self.acts, self.after_ack
            ),
            format!("timelines        {} entries, {} chains that do not verify", self.entries, self.broken_chains),
        ];
        lines.extend(self.lost.iter().map(|lost| format!("lost             {lost}")));
        lines.extend(self.silent.iter().map(|silent| format!("nobody was told  {silent}")));
        lines
    }
}
