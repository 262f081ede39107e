//! The ways out, against receivers on this machine that read what arrives as real ones do.

use carebot_external::channels::addresses::Policy;
use carebot_external::channels::{Notice, Timeouts, Undelivered};
use carebot_model::Timestamp;

use crate::prelude::*;

mod mail;
mod push;
mod webhook;

/// For receivers on this machine.
const OPEN: Policy = Policy { allow_private: true };
/// For everybody else's.
const STRICT: Policy = Policy { allow_private: false };
/// What an address holds and nobody may read.
const SECRET_PATH: &str = "s3cr3t-p4th";
/// A header that rides along behind the content type of an answer.
const WAIT: &str = "text/plain\r\nretry-after: 120";
const ELSEWHERE: &str = "text/plain\r\nlocation: /elsewhere";

/// 2026-03-03, midnight in Korea.
fn now() -> Timestamp {
    Timestamp::from_millis(1_772_463_600_000)
}

/// Ten minutes old.
fn notice() -> Notice {
    Notice {
        id: "d3b07384-d113-4ec6-9b9f-5a2c1e7f0a11".into(),
        topic: "alarm-1772463000000".into(),
        title: "낙상이 감지되었습니다".into(),
        body: "김영희 님이 거실에서 넘어지신 것 같습니다.\n응답이 없습니다.".into(),
        link: Some("https://care.example/alarms/17".into()),
        is_urgent: true,
        data: json!({"rule": "fall", "severity": "crit"}),
        at: now().plus_millis(-600_000),
    }
}

/// Patient, for what is meant to be answered.
fn patient() -> Timeouts {
    Timeouts { connect: Duration::from_secs(20), whole: Duration::from_secs(20) }
}

/// For what is not.
fn impatient() -> Timeouts {
    Timeouts { whole: Duration::from_secs(2), ..patient() }
}

/// What a status means, without the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Delivered,
    Gone,
    Refused,
    Later(Option<u64>),
}

fn meaning(result: &Result<(), Undelivered>) -> Means {
    match result {
        Ok(()) => Means::Delivered,
        Err(Undelivered::Gone) => Means::Gone,
        Err(Undelivered::Refused(_)) => Means::Refused,
        Err(Undelivered::Later { after, .. }) => Means::Later(after.map(|after| after.as_secs())),
    }
}

#[test]
fn every_channel_can_be_shared() {
    fn is_shared<T: Send + Sync + std::fmt::Debug + 'static>() {}
    is_shared::<carebot_external::channels::push::Push>();
    is_shared::<carebot_external::channels::webhook::Webhooks>();
    is_shared::<carebot_external::channels::mail::Mailer>();
}
