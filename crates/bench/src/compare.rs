//! Two builds against each other.
//!
//! On a machine that is not quiet, processor time per request drifts by more than a change is worth. What two servers
//! use within the same fifth of a second can be compared all the same; of many such pairs the median ratio counts.

use std::path::Path;

use crate::Result;
use crate::arguments::Arguments;
use crate::run::{self, Sample, ask};
use crate::scene::{Data, Engine, Scene};
use crate::work::Work;

/// Pairs in the place of one round, each that much shorter.
const PAIRS: u32 = 10;

/// Measures, and prints a line for every workload.
pub async fn run(arguments: &Arguments, other: &Path) -> Result {
    let short = Arguments { window: arguments.window / PAIRS, ..arguments.clone() };
    let folder = run::new_folder()?;
    let mariadb = if arguments.engines.contains(&Engine::MariaDb) { Some(run::start_mariadb()?) } else { None };
    let this = std::env::current_exe()?;
    println!(
        "processor time of server and database in us: the other build, this one, and this one's part of the other's (half of the pairs lie between)"
    );
    for &engine in &arguments.engines {
        let mut sides = Vec::new();
        for (program, suffix) in [(other, "_other"), (this.as_path(), "_this")] {
            let scene = Scene::make(engine, Data::Thousand, suffix, folder.path(), mariadb.as_ref()).await?;
            let mut server = scene.start_server(program, folder.path())?;
            server.first_answer("/readyz").await?;
            sides.push((scene, server));
        }
        for work in Work::ALL.into_iter().filter(|work| arguments.wants(work.name())) {
            let (mut costs, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
            for pair in 0..arguments.rounds * PAIRS as usize {
                let mut found = [0.0; 2];
                // Who comes first changes, so that neither always follows on the other.
                for side in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
                    let (scene, server) = &sides[side];
                    let sample: Sample = ask(work, scene, server, mariadb.as_ref(), &short).await?;
                    found[side] = sample.cpu();
                    costs[side].push(sample.cpu());
                }
                ratios.push(found[1] / found[0]);
            }
            let [before, after] = costs.map(|mut costs| part(&mut costs, 50));
            let [low, middle, high] = [25, 50, 75].map(|percent| part(&mut ratios, percent));
            println!(
                "{} {}: {before:.1} -> {after:.1}, {middle:.3} ({low:.3} to {high:.3})",
                engine.name(),
                work.name()
            );
        }
        for (scene, server) in sides {
            server.stop().await?;
            scene.db.close().await;
        }
    }
    Ok(())
}

/// The value that so many percent of the others do not exceed.
fn part(values: &mut [f64], percent: usize) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() * percent / 100).copied().unwrap_or(f64::NAN)
}
