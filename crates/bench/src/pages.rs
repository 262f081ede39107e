//! The pages for people, and the board of somebody who looks after two hundred homes.

use std::path::Path;

use carebot_database::ambient::{Clock as _, SystemClock};
use carebot_testkit::mariadb::Server as MariaDb;

use crate::Result;
use crate::arguments::Arguments;
use crate::scene::{Data, Engine, Scene};
use crate::{seed, single};

/// How often each is asked for.
const TIMES: usize = 200;
/// So many homes has who looks after many.
const HOMES: usize = 200;

/// Measures on the engines that are wanted, and gives what there is to say, as a table in Markdown.
pub async fn run(arguments: &Arguments, program: &Path, folder: &Path, mariadb: Option<&MariaDb>) -> Result<String> {
    let mut text = single::HEAD.to_owned();
    for engine in &arguments.engines {
        eprintln!("filling {} with {} reports", engine.name(), Data::Spread.name());
        let scene = Scene::make(*engine, Data::Spread, "", folder, mariadb).await?;
        let nurse = seed::nurse(&scene.db, &scene.seeded, HOMES, SystemClock.now()).await?;
        let mut server = scene.start_server(program, folder)?;
        server.first_answer("/healthz").await?;
        let family = scene.seeded.users[0].family;
        let own = format!("/app/families/{family}");
        let who = (&server, mariadb.filter(|_| *engine == Engine::MariaDb));
        for (what, path) in [
            ("home of a family", own.clone()),
            ("trends of a day", format!("{own}/trends")),
            ("trends of a year", format!("{own}/trends?span=year")),
            ("alarms", format!("{own}/alarms")),
            ("rules", format!("{own}/rules")),
            ("messages", format!("{own}/messages")),
            ("people", format!("{own}/people")),
            ("account", "/app/account".to_owned()),
            ("board of 200 homes", "/app/board".to_owned()),
        ] {
            let took = single::ask(who, &nurse, TIMES, |_| async { Ok(path.clone()) }).await?;
            text += &took.line(*engine, what);
        }
        server.stop().await?;
        scene.db.close().await;
    }
    Ok(text)
}
