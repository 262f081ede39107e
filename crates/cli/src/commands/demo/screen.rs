//! What the demonstration shows, in Korean and English.

use std::path::Path;

use unicode_width::UnicodeWidthStr as _;

use super::day::Person;
use super::people::People;
use crate::output;

/// Where everything is, who is there and what to try.
pub fn welcome(url: &str, database: &Path, people: &People, since: &str) {
    let folder = database.parent().unwrap_or(Path::new("."));
    let jar = quoted(&folder.join("cookies.txt").display().to_string());
    output::line("");
    output::line("carebot 데모가 실행 중입니다. · The carebot demo is running.");
    output::line("");
    entry("주소 · Address", url);
    entry("문서 · Documentation", &format!("{url}/docs"));
    entry("자료 · Data", &database.display().to_string());
    output::line("");
    output::line("  계정과 비밀번호 · Accounts and passwords");
    for account in &people.accounts {
        let who = match account.person {
            Person::Elder => "어르신(로봇) · elder, robot",
            Person::Daughter => "딸(보호자) · daughter, guardian",
            Person::Son => "아들(보호자) · son, guardian",
        };
        entry(&format!("  {who}"), &format!("{:<22} {}", account.email, account.password));
    }
    output::line("");
    output::line("  다른 터미널에 복사해 보세요 · Copy these into another terminal:");
    output::line("");
    if let Some(guardian) = people.accounts.iter().find(|account| account.person == Person::Daughter) {
        let body = format!(r#"{{"email":"{}","password":"{}"}}"#, guardian.email, guardian.password);
        output::line(&format!(
            "curl -sSw '\\n' -c {jar} -H 'Content-Type: application/json' -d '{body}' {url}/auth/login"
        ));
    }
    let family = &people.family;
    output::line(&format!("curl -sSw '\\n' -b {jar} {url}/status/home/latest/{family}"));
    output::line(&format!("curl -sSw '\\n' -b {jar} '{url}/status/home/{family}?start={since}&order=desc'"));
    output::line("");
    output::line(
        "  이 폴더 밖에는 아무것도 쓰지 않습니다. 다시 실행하면 새 데이터베이스를 만듭니다. 폴더는 언제든 지워도 됩니다.",
    );
    output::line(
        "  Nothing is written outside of that folder. Another run makes a new database. The folder may be deleted.",
    );
    output::line("  끝내려면 Ctrl-C를 누르세요. · Ctrl-C ends it.");
    output::line("");
}

fn entry(name: &str, value: &str) {
    let padding = " ".repeat(36_usize.saturating_sub(name.width()));
    output::line(&format!("  {name}{padding}{value}"));
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("/tmp/a-b/c.txt"), "/tmp/a-b/c.txt");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
