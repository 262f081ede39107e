//! The pictures of the existing image server: `FOLDER/{account}/{name}`.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use carebot_database::ambient::RowIds;
use carebot_database::import::{Counts, Finding, Report, Rule};
use carebot_model::AccountId;
use carebot_service::images::existing::Taken;
use carebot_service::{Error, Service};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, Result};
use crate::output::Progress;

/// What they are called among the tables.
const TABLE: &str = "pictures";

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

/// What lies in a folder, by name: folders, or files.
fn entries(folder: &Path, folders: bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, &error))? {
        let entry = entry.map_err(|error| failed(folder, &error))?;
        let kind = entry.file_type().map_err(|error| failed(folder, &error))?;
        if kind.is_dir() == folders && (folders || kind.is_file()) {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// How many files there are in the folders of accounts.
pub fn count(folder: &Path) -> Result<usize> {
    let mut count = 0;
    for account in entries(folder, true)? {
        count += entries(&folder.join(account), false)?.len();
    }
    Ok(count)
}

/// A file in the report: without the part of its name that somebody has made up. The time that the image server added tells
/// which one it is; without that, its place in the folder does.
fn shown(account: &str, place: usize, name: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let parts: Vec<&str> = stem.rsplitn(4, '_').take(3).collect();
    let is_time = parts.len() == 3
        && [3, 6, 8]
            .iter()
            .zip(&parts)
            .all(|(digits, part)| part.len() == *digits && part.bytes().all(|b| b.is_ascii_digit()));
    match parts.as_slice() {
        [millis, time, day] if is_time => format!("{account}/.._{day}_{time}_{millis}"),
        _ => format!("{account}/file {}", place + 1),
    }
}

/// Takes in every picture that is not here yet; the counts, and whether it came to the end.
pub async fn take_in(
    service: &Service,
    folder: &Path,
    report: &mut Report,
    stop: &CancellationToken,
) -> Result<(Counts, bool)> {
    let mut counts = Counts { table: TABLE, ..Counts::default() };
    let mut progress = Progress::every(Duration::from_secs(2));
    let (started, mut renewed) = (Instant::now(), Instant::now());
    for account in entries(folder, true)? {
        let Some(owner) = AccountId::parse(&account) else {
            skip(&mut counts, report, "a folder that is no account's", Rule::Id, "skipped, with all that is in it")?;
            continue;
        };
        let folder = folder.join(&account);
        for (place, name) in entries(&folder, false)?.into_iter().enumerate() {
            if stop.is_cancelled() {
                progress.clear();
                return Ok((counts, false));
            }
            if renewed.elapsed() >= RowIds::RENEWAL {
                service.renew_node().await?;
                renewed = Instant::now();
            }
            counts.read += 1;
            let path = folder.join(&name);
            match take(service, owner, &path, &name).await? {
                Ok(Taken::Stored) => counts.written += 1,
                Ok(Taken::Already) => counts.already += 1,
                Ok(Taken::NoOwner) => {
                    skip(&mut counts, report, &shown(&account, place, &name), Rule::Orphan, "skipped")?;
                }
                Err(why) => skip(&mut counts, report, &shown(&account, place, &name), Rule::NotAPicture, why)?,
            }
            progress.show(|| {
                #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = counts.read as f64 / started.elapsed().as_secs_f64().max(0.001);
                format!("pictures: {} files, {rate:.0} a second", counts.read)
            });
        }
    }
    progress.clear();
    Ok((counts, true))
}

/// Takes a picture in, or says why not.
async fn take(service: &Service, owner: AccountId, path: &Path, name: &str) -> Result<Result<Taken, &'static str>> {
    if service.has_image(owner, name).await? {
        return Ok(Ok(Taken::Already));
    }
    // What is too large is not even read into memory. One file that cannot be read does not stop the others.
    let bytes = match fs::metadata(path) {
        Ok(file) if file.len() > service.settings().images.max_mib << 20 => return Ok(Err(TOO_LARGE)),
        Ok(_) => fs::read(path),
        Err(error) => Err(error),
    };
    let Ok(bytes) = bytes else { return Ok(Err("skipped: it can not be read")) };
    match service.take_image_in(owner, name, bytes).await {
        Ok(taken) => Ok(Ok(taken)),
        Err(Error::TooLarge(_)) => Ok(Err(TOO_LARGE)),
        Err(Error::TooLong(_)) => Ok(Err("skipped: its name is too long, or none")),
        Err(Error::Invalid(carebot_service::images::TOO_MANY_PIXELS)) => {
            Ok(Err("skipped: it has more pixels than images.max_megapixels"))
        }
        Err(Error::Invalid(_)) => Ok(Err("skipped: no JPEG, PNG, GIF or WebP, or broken")),
        Err(error) => Err(error.into()),
    }
}

const TOO_LARGE: &str = "skipped: larger than images.max_mb";

fn skip(counts: &mut Counts, report: &mut Report, key: &str, rule: Rule, done: &'static str) -> Result {
    *counts.skipped.entry(rule.name()).or_default() += 1;
    let finding = Finding { table: TABLE, key: key.to_owned(), column: None, rule, done: done.into() };
    report.write(&[finding]).map_err(|error| Failure::new(format!("the report can not be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_does_not_tell_what_somebody_called_a_picture() {
        assert_eq!(shown("U1", 0, "할머니 생일_20251123_042945_123.jpg"), "U1/.._20251123_042945_123");
        assert_eq!(shown("U1", 4, "할머니 생일.jpg"), "U1/file 5");
        assert_eq!(shown("U1", 0, "a_b_c.jpg"), "U1/file 1");
    }
}
