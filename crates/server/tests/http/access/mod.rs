//! Who may do what, seen from outside: every operation of the document, asked for by every relation.

mod cases;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use carebot_model::access::{Action, Relation, rules};
use carebot_testkit::app::{Operation, operations};

use self::cases::{CASES, Case};
use self::world::World;
use crate::prelude::*;

/// What only the pages for people offer: their own tests ask who may.
const ONLY_ON_PAGES: &[Action] = &[Action::InvitationCreate, Action::MessageWithdraw];

both_engines! {
    /// A change is a readable difference of `access.txt`. Accept one with `CAREBOT_ACCEPT=1`.
    async fn every_operation_answers_every_relation_as_the_table_says(t: TestDb) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/access.txt");
        let app = TestApp::new(&t).await;
        let table = walk(&app).await;
        if std::env::var_os("CAREBOT_ACCEPT").is_some() {
            std::fs::write(path, &table).expect("the table is written");
        }
        let accepted = std::fs::read_to_string(path).unwrap_or_default();
        let changed: Vec<&str> = table.lines().filter(|line| !accepted.lines().any(|other| other == *line)).collect();
        assert!(table == accepted, "accept it with CAREBOT_ACCEPT=1 if this is meant:\n{}", changed.join("\n"));
    }
}

#[test]
fn every_operation_and_every_action_is_walked() {
    let walked: BTreeSet<&str> = CASES.iter().map(|case| case.operation).collect();
    let documented: BTreeSet<String> = operations().iter().map(ToString::to_string).collect();
    let missing: Vec<_> = documented.iter().filter(|operation| !walked.contains(operation.as_str())).collect();
    assert!(missing.is_empty(), "no valid request in access/cases.rs for {missing:?}");
    let unknown: Vec<_> = walked.iter().filter(|operation| !documented.contains(**operation)).collect();
    assert!(unknown.is_empty(), "not in the document: {unknown:?}");
    let mut actions: BTreeSet<&str> = CASES.iter().map(|case| case.action().name()).collect();
    actions.extend(ONLY_ON_PAGES.iter().map(|action| action.name()));
    let unused: Vec<_> = Action::ALL.iter().filter(|action| !actions.contains(action.name())).collect();
    assert!(unused.is_empty(), "no operation is walked for {unused:?}");
}

impl Case {
    fn documented(&self) -> &'static Operation {
        let found = operations().iter().find(|operation| operation.to_string() == self.operation);
        found.unwrap_or_else(|| panic!("{} is not in the document", self.operation))
    }

    /// What the policy is asked about: what the document says, unless this variant of the request asks for something else.
    fn action(&self) -> Action {
        let named = || Action::parse(&self.documented().action).expect("the document names an action");
        self.asks.unwrap_or_else(named)
    }
}

async fn walk(app: &TestApp) -> String {
    let mut table = format!("{:<62}", "");
    for relation in Relation::ALL {
        let _ = write!(table, " {:<11}", relation.name());
    }
    let mut world = World::new(app).await;
    for case in CASES {
        let _ = write!(table, "\n{:<62}", format!("{} {}", case.operation, case.variant).trim_end());
        for relation in Relation::ALL {
            let status = ask(&mut world, case, *relation).await;
            let shown = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let _ = write!(table, " {shown:<11}");
        }
    }
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

/// The status that a relation gets, or nothing if it makes no sense here.
async fn ask(world: &mut World<'_>, case: &Case, relation: Relation) -> Option<u16> {
    if case.senseless.iter().any(|(senseless, _)| *senseless == relation) {
        return None;
    }
    let at = world.at(case.about, relation)?;
    let (line, body) = case.request(world, &at);
    if relation == Relation::System {
        case.documented().check_body(&body);
    }
    let before = world.rows().await;
    let reply = if case.operation == "POST /upload" {
        let request = world.app.request(&line).by(at.caller.as_ref());
        request.file("x.png", &crate::images::png(8, 8)).send().await
    } else {
        world.app.call(&line, at.caller.as_ref(), body).await
    };
    let status = effective(&reply);
    let allowed = rules::allows(at.relations, case.action());
    // A picture is no text.
    let text = String::from_utf8_lossy(&reply.unpacked()).into_owned();
    let told = format!("{line} as {}: {} {text}", relation.name(), reply.status);
    match (allowed, status) {
        (false, 401 | 403 | 404) => {
            assert_eq!(world.rows().await, before, "a refused request changed something: {told}");
        }
        (false, _) => panic!("the policy forbids it: {told}"),
        (true, 200..300) => {
            if !line.starts_with("GET ") {
                *world = World::new(world.app).await;
            }
        }
        // Needs a provider that is off; the document has it, or the reply would have been refused already.
        (true, 418 | 500) if cases::NEEDS_A_PROVIDER.contains(&case.action()) => {}
        (true, _) => panic!("the policy allows it: {told}"),
    }
    Some(status)
}

/// The status; of an answer that judges each element by itself, that of its one element.
fn effective(reply: &Reply) -> u16 {
    if reply.status != 200 || !reply.header("content-type").starts_with("application/json") {
        return reply.status;
    }
    reply.json()["result"][0]["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(reply.status)
}
