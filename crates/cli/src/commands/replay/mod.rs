//! `carebot replay`: sends recorded readings as a robot would.

mod readings;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::readings::{Kind, Reading};
use crate::arguments::Common;
use crate::client::Client;
use crate::failure::{Failure, Result};
use crate::output::Progress;
use crate::{logging, output, secret, setup, signals};

/// Refused readings that are told one by one.
const TOLD: usize = 20;

/// Sends a file of readings to a server, as a robot would
#[derive(Debug, Args)]
#[command(
    long_about = "Sends a file of readings to a running server, as a robot would: signs in, reports one reading after the \
                  other in the order of the file, and reads the newest back at the end.\n\n\
                  The file is CSV with the columns reported_at (UTC), kind (home or health), temperature_c, \
                  humidity_percent, dust_level_ug_m3, ethanol_ppm and heart_rate_bpm. Lines that begin with # are \
                  comments. An invented one stands in the project: examples/readings.csv.\n\n\
                  The server stamps a report with the time it comes in; the file's own times only matter for --speed.",
    after_help = "Examples:\n  \
                  printf '%s\\n' 'the password' | carebot replay examples/readings.csv --url http://localhost:8000 \\\n      \
                  --email elder@example.org --password-stdin\n  \
                  .. --speed 60          an hour of the file in a minute\n  \
                  .. --from 120          goes on at line 120 of the file\n\n\
                  Exit code: 0 when every reading is stored and reads back as it was sent, else 1."
)]
pub struct Flags {
    /// The readings
    file: PathBuf,
    /// The server
    #[arg(long, default_value = "http://localhost:8000")]
    url: String,
    /// The family the readings are of. Without it, the account's own
    #[arg(long, value_name = "ID")]
    family: Option<String>,
    /// The account the robot signs in with: that of the family's elder
    #[arg(long)]
    email: String,
    /// Reads the account's password from the first line of standard input
    #[arg(long, required = true)]
    password_stdin: bool,
    /// So many times faster than the readings were made
    #[arg(long, value_name = "TIMES", conflicts_with = "at_once", value_parser = speed)]
    speed: Option<f64>,
    /// As fast as the server takes them (the default)
    #[arg(long)]
    at_once: bool,
    /// So many at the same time, which is faster and may change their order
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// Begins at this line of the file
    #[arg(long, value_name = "LINE", default_value_t = 1)]
    from: usize,
    /// Ends after so many readings
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "a number greater than 0, such as 60".to_owned())
}

/// Runs the command.
pub fn run(common: &Common, flags: &Flags) -> Result {
    logging::for_command(common.verbose);
    let mut readings = readings::read(&flags.file)?;
    readings.retain(|reading| reading.line >= flags.from);
    readings.truncate(flags.limit.unwrap_or(usize::MAX));
    if readings.is_empty() {
        return Err(Failure::new("there is no reading to send").next("Check the file, --from and --limit."));
    }
    let mut client = Client::new(&flags.url)?;
    let password = secret::from_stdin()?;
    setup::runtime(2)?.block_on(async {
        let stop = signals::stop()?;
        let account = client.sign_in(&flags.email, &password).await?;
        let done = replay(&client, &account, readings, flags, &stop).await;
        // A robot leaves no session behind; that it could not must not hide what went wrong before.
        if let Err(failure) = client.sign_out().await {
            tracing::warn!("the session stays until it has idled too long: {failure}");
        }
        done
    })
}

async fn replay(
    client: &Client,
    account: &Value,
    readings: Vec<Reading>,
    flags: &Flags,
    stop: &CancellationToken,
) -> Result {
    let family = match &flags.family {
        Some(family) => family.clone(),
        None => own_family(client, account).await?,
    };
    let (count, last_line) = (readings.len(), readings.last().map_or(0, |reading| reading.line));
    output::line(&format!("sending {count} readings to {} for family {}", flags.url, output::plain(&family)));
    let mut tally = Tally::default();
    let started = Instant::now();
    let next_line = send_all(client, &family, readings, flags, (stop, &mut tally)).await?;
    tally.show(started.elapsed());
    if let Some(line) = next_line {
        return Err(
            Failure::new(format!("stopped before line {line} of {last_line}")).next(format!("--from {line} goes on."))
        );
    }
    let is_equal = confirm(client, &family, &tally, flags.parallel == 1).await?;
    if tally.refused == 0 && is_equal { Ok(()) } else { Err(Failure::quiet()) }
}

async fn own_family(client: &Client, account: &Value) -> Result<String> {
    let reply = client.post("families/check-exist", &json!({ "id": account["id"] })).await?;
    let found = reply.expect("the account's own family").map_err(|failure| {
        failure.next(
            "Sign in as the elder of a family, or name the family with --family; `carebot family list` shows all.",
        )
    })?;
    found["family_id"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new("the server did not name the account's family"))
}

/// Sends the readings; the line to go on at, if it was interrupted.
async fn send_all(
    client: &Client,
    family: &str,
    readings: Vec<Reading>,
    flags: &Flags,
    (stop, tally): (&CancellationToken, &mut Tally),
) -> Result<Option<usize>> {
    let mut progress = Progress::new();
    let mut under_way = JoinSet::new();
    let (count, first_at, start) = (readings.len(), readings.first().map_or(0, |reading| reading.at), Instant::now());
    let mut next_line = None;
    for reading in readings {
        let line = reading.line;
        // A file whose times go back is sent in its own order all the same.
        let seconds = u32::try_from((reading.at - first_at).max(0)).unwrap_or(u32::MAX);
        let due = flags.speed.map_or(start, |speed| start + Duration::from_secs_f64(f64::from(seconds) / speed));
        tokio::select! {
            biased;
            () = stop.cancelled() => { next_line = Some(line); break; }
            () = tokio::time::sleep_until(due) => {}
        }
        while under_way.len() >= usize::from(flags.parallel)
            && let Some(done) = under_way.join_next().await
        {
            tally.count(done)?;
        }
        let (client, family) = (client.clone(), family.to_owned());
        under_way.spawn(async move { send(&client, &family, reading).await });
        progress.show(|| tally.line(count, start.elapsed()));
    }
    while let Some(done) = under_way.join_next().await {
        tally.count(done)?;
    }
    progress.clear();
    Ok(next_line)
}

/// A reading and, if it was refused, the server's words.
type Sent = (Reading, Option<String>);

async fn send(client: &Client, family: &str, reading: Reading) -> Result<Sent> {
    let at = format!("line {}", reading.line);
    let go_on = |failure: Failure| failure.about(&at).next(format!("--from {} goes on there.", reading.line));
    let path = format!("status/{}", reading.kind.name());
    let reply = client.post(&path, &reading.body(family)).await.map_err(go_on)?;
    match reply.status {
        status if status.is_success() => Ok((reading, None)),
        // These would only be said again, for every reading.
        StatusCode::FORBIDDEN => Err(Failure::new(format!(
            "the account may not report for family {}: {}",
            output::plain(family),
            reply.message()
        ))
        .next("Only the family's elder (main user) and operators may: check --email and --family.")),
        StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            Err(Failure::new(format!("{path}: {}", reply.message())).next("Is --url that of a carebot server?"))
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            Err(go_on(Failure::new(format!("the server stays busy: {}", reply.message()))))
        }
        _ => {
            let words = reply.message();
            Ok((reading, Some(words)))
        }
    }
}

/// What became of the readings.
#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    refused: usize,
    /// The first refusals: line and the server's words.
    told: Vec<(usize, String)>,
    /// The last of each kind that was stored, in the order of the file.
    last: Vec<(Kind, usize, Reading)>,
}

impl Tally {
    fn count(&mut self, done: Result<Result<Sent>, JoinError>) -> Result {
        let (reading, refusal) =
            done.map_err(|error| Failure::new(format!("sending broke down: {error}"))).and_then(|sent| sent)?;
        if let Some(words) = refusal {
            self.refused += 1;
            if self.told.len() < TOLD {
                self.told.push((reading.line, words));
            }
            return Ok(());
        }
        self.stored += 1;
        match self.last.iter_mut().find(|(kind, ..)| *kind == reading.kind) {
            Some((_, stored, last)) => {
                *stored += 1;
                if reading.line > last.line {
                    *last = reading;
                }
            }
            None => self.last.push((reading.kind, 1, reading)),
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn line(&self, count: usize, elapsed: Duration) -> String {
        let done = self.stored + self.refused;
        let percent = done * 100 / count.max(1);
        let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
        format!("{done} of {count} ({percent} %), {} refused, {rate:.0} a second", self.refused)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn show(&mut self, elapsed: Duration) {
        let kinds: Vec<String> = self.last.iter().map(|(kind, count, _)| format!("{} {count}", kind.name())).collect();
        let seconds = elapsed.as_secs_f64();
        let rate = (self.stored + self.refused) as f64 / seconds.max(0.001);
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        output::line(&format!(
            "stored {}{kinds}, refused {}, in {seconds:.1} s ({rate:.0} a second)",
            self.stored, self.refused
        ));
        self.told.sort_unstable();
        for (line, words) in &self.told {
            output::line(&format!("  line {line}: {}", output::plain(words)));
        }
        if self.refused > self.told.len() {
            output::line(&format!("  .. and {} more", self.refused - self.told.len()));
        }
    }
}

/// Reads back the newest of each kind; whether they are what was sent last.
async fn confirm(client: &Client, family: &str, tally: &Tally, is_ordered: bool) -> Result<bool> {
    let mut is_equal = true;
    for (kind, _, reading) in &tally.last {
        let name = kind.name();
        let newest = client.get(&format!("status/{name}/latest/{family}")).await?.expect(&format!("latest {name}"))?;
        let at = newest["reported_at"].as_str().unwrap_or("?");
        let values = reading.shown();
        if !is_ordered {
            output::line(&format!("latest {name}: stored at {at} UTC (sent in parallel: not compared)"));
        } else if reading.is_read_back_as(&newest) {
            output::line(&format!("latest {name}: {values}, stored at {at} UTC, as it was sent"));
        } else {
            is_equal = false;
            output::note(&format!(
                "error: latest {name} is not what was sent last ({values}): {newest}\n  Perhaps another robot reports for this family."
            ));
        }
    }
    Ok(is_equal)
}
