//! The policy: one exhaustive function of relation and action.

use std::fmt::Write as _;

use super::{Action, Relation, Relations};

/// Whether any of a caller's relations allows an action.
pub fn allows(relations: Relations, action: Action) -> bool {
    relations.iter().any(|relation| allows_one(relation, action))
}

/// Whether one relation allows an action. The only place where this is decided.
pub const fn allows_one(relation: Relation, action: Action) -> bool {
    use Relation::{Anonymous, GuardianOf, Main, Member, Own, Referred, System, WardOf};
    match action {
        // Anybody.
        Action::ServerRead
        | Action::EmailCheck
        | Action::AccountCreate
        | Action::SignIn
        | Action::SignOut
        | Action::SessionCheck
        | Action::RegionRead
        | Action::AssistantCheck => true,

        // Anybody who is signed in.
        Action::SessionRemember
        | Action::FamilyFind
        | Action::FamilyNameRead
        | Action::JoinRequestList
        | Action::MessageRead
        | Action::NewsRead
        | Action::EventReadAll
        | Action::ImageUpload => !matches!(relation, Anonymous),

        // Operators.
        Action::AccountPrivilege
        | Action::AccountList
        | Action::FamilyList
        | Action::MemberListAll
        | Action::StatusDelete
        | Action::MessageDelete
        | Action::NotificationDelete => matches!(relation, System),

        // One's own account.
        Action::AccountRead
        | Action::AccountUpdate
        | Action::AccountDelete
        | Action::SessionList
        | Action::SessionEnd
        | Action::PasswordChange
        | Action::FamilyLookUp
        | Action::FamilyCreate
        | Action::MemberJoin
        | Action::MemberListOfAccount
        | Action::MemberLeave
        | Action::ReceivableRead
        | Action::MessageSendAs
        | Action::ChatDelete
        | Action::ContactRead
        | Action::ContactUpdate
        | Action::ImageDelete => matches!(relation, System | Own),

        // Only the person himself: an operator does not read letters for others, nor what somebody told the robot.
        Action::MessageMarkRead | Action::MessageWithdraw | Action::ChatRead => matches!(relation, Own),

        // The elder, with his own account.
        Action::Chat => matches!(relation, System | Main),

        // The elder and those who look after him, towards each other.
        Action::MessageSendTo | Action::WeatherRead => matches!(relation, System | Own | GuardianOf | WardOf),

        // The elder and those who look after him, towards each other; and whoever was shown it.
        Action::ImageRead => matches!(relation, System | Own | GuardianOf | WardOf | Referred),

        // The family.
        Action::FamilyRead
        | Action::FamilyUpdate
        | Action::MemberListOfFamily
        | Action::MemberRead
        | Action::MemberUpdate
        | Action::InvitationCreate
        | Action::StatusRead
        | Action::MentalCreate
        | Action::ConversationRead
        | Action::NotificationCreate
        | Action::NotificationRead
        | Action::NotificationMarkRead
        | Action::SettingsRead
        | Action::SettingsUpdate
        | Action::BackgroundAdd
        | Action::BackgroundRead
        | Action::BackgroundDelete
        | Action::EventRead
        | Action::AlarmRead
        | Action::AlarmCall
        | Action::RuleRead
        | Action::RuleUpdate => matches!(relation, System | Main | Member),

        // Those who look after the elder: the robot's screen must not silence what it reports.
        Action::AlarmHandle => matches!(relation, System | Member),

        // The family's elder, in whose name the robot speaks.
        Action::FamilyDelete
        | Action::MemberKick
        | Action::JoinRequestApprove
        | Action::StatusReport
        | Action::RobotReport
        | Action::AlarmAnswer => {
            matches!(relation, System | Main)
        }

        // The family's elder refuses, the asker withdraws.
        Action::JoinRequestDelete => matches!(relation, System | Main | Own),
    }
}

/// The whole policy as a table, as it is checked in.
pub fn matrix() -> String {
    let mut head = format!("{:<24}", "");
    for relation in Relation::ALL {
        let _ = write!(head, " {:<11}", relation.name());
    }
    let mut table = head.trim_end().to_owned() + "\n";
    for action in Action::ALL {
        let mut line = format!("{:<24}", action.name());
        for relation in Relation::ALL {
            let _ = write!(line, " {:<11}", if allows_one(*relation, *action) { "yes" } else { "-" });
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of policy is a readable difference of this file. Accept one with `CAREBOT_ACCEPT=1`.
    #[test]
    fn the_policy_is_the_checked_in_matrix() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/access_matrix.txt");
        if std::env::var_os("CAREBOT_ACCEPT").is_some() {
            std::fs::write(path, matrix()).expect("the matrix is written");
        }
        let accepted = std::fs::read_to_string(path).expect("the matrix is there");
        assert_eq!(matrix(), accepted, "the policy changed; accept it with CAREBOT_ACCEPT=1");
    }

    #[test]
    fn a_set_is_allowed_what_one_of_its_relations_is() {
        let both = Relations::of(Relation::Unapproved).with(Relation::Own);
        assert!(allows(both, Action::JoinRequestDelete));
        assert!(!allows(both, Action::StatusRead));
        assert!(!allows(Relations::default(), Action::ServerRead));
    }
}
