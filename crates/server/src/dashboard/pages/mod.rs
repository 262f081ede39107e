//! The pages, one file each.

mod account;
mod alarms;
mod album;
mod board;
mod door;
mod export;
mod forgotten;
mod home;
mod invitations;
mod messages;
mod notifications;
mod operator;
mod parcel;
mod people;
mod region;
mod rules;
mod trends;
mod welcome;

use super::Pages;

/// Adds them all.
pub(crate) fn add(pages: Pages) -> Pages {
    let pages = door::add(pages);
    let pages = forgotten::add(pages);
    let pages = account::add(pages);
    let pages = export::add(pages);
    let pages = welcome::add(pages);
    let pages = invitations::add(pages);
    let pages = people::add(pages);
    let pages = messages::add(pages);
    let pages = notifications::add(pages);
    let pages = album::add(pages);
    let pages = alarms::add(pages);
    let pages = rules::add(pages);
    let pages = trends::add(pages);
    let pages = board::add(pages);
    let pages = operator::add(pages);
    home::add(pages)
}
