//! `docs/configuration.md`, made from the settings.

use std::fmt::Write as _;

use super::environment::NOT_SETTINGS;
use super::original::RENAMED;
use super::setting::Setting;
use super::{all_sections, all_settings};

const INTRODUCTION: &str = "\
<!-- Generated from crates/cli/src/config. Do not edit: change the doc comments there and run
     CAREBOT_ACCEPT=1 cargo test -p carebot-cli reference -->

# Configuration

Nothing has to be configured. What can be is listed here. Values come in layers, and a later one wins:

1. the defaults below,
2. `carebot.toml` in the working directory, if it is there, or the file given with `--config`, which must be there,
3. the variables of the original system (at the end of this page),
4. environment variables `CAREBOT_SECTION__FIELD`: two underscores between section and field,
5. flags of the command line: `--set section.field=value` sets any of them, and some have a flag of their own, such as
   `carebot serve --listen`.

`carebot config print` shows the effective values and where each came from, with passwords masked; `carebot config check`
only tells what is wrong. A name that no setting has is an error everywhere, and so is a value that a setting can not have.

In the file a section is a table:

```toml
mode = \"development\"

[server]
listen = \"127.0.0.1:8000\"
trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]
```

In the environment and in flags a list is written with commas, `CAREBOT_SERVER__TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8`, and
truth is `true`, `false`, `on`, `off`, `yes`, `no`, `1` or `0`. A setting that may be left out is unset by an empty value. Times are
whole numbers of the unit that the name ends in. Relative paths start at the working directory.
";

/// The reference of all settings, in Markdown.
pub fn reference_markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    let settings = all_settings();
    for (section, about) in all_sections() {
        let title = if section.is_empty() { "Above all sections".to_owned() } else { format!("`[{section}]`") };
        let _ = write!(text, "\n## {title}\n\n{}\n", paragraphs(about));
        text += "\n| key | environment variable | default | meaning |\n| --- | --- | --- | --- |\n";
        for setting in settings.iter().filter(|setting| setting.section == section) {
            text += &row(setting);
        }
    }
    text += &original_markdown();
    text
}

fn row(setting: &Setting) -> String {
    let default = match (&setting.default_words, &setting.default) {
        (Some(words), _) => (*words).to_owned(),
        (None, Some(value)) => format!("`{value}`"),
        (None, None) => "not set".to_owned(),
    };
    let meaning = paragraphs(setting.documentation).replace("\n\n", "<br>");
    let expectation = setting.expectation();
    let mut characters = expectation.chars();
    let expectation: String = characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect();
    let cells = [
        format!("`{}`", setting.key()),
        format!("`{}`", setting.variable()),
        default,
        format!("{meaning} *{expectation}.*"),
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

/// Doc comment lines as Markdown: the lines of a paragraph joined, an empty line between paragraphs.
fn paragraphs(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    lines.split(|line| line.is_empty()).map(|lines| lines.join(" ")).collect::<Vec<_>>().join("\n\n")
}

/// The variables of the original, and what begins like a setting and is none.
fn original_markdown() -> String {
    let mut text = "\n## Variables of the original system\n\n\
        An installation of the original system can be switched over with the environment it has. An empty variable counts as not set.\n\n\
        | variable | what it does |\n| --- | --- |\n\
        | `DB_HOST`, `DB_PORT` (3306), `DB_USER`, `DB_PASSWORD`, `DB_SCHEMA` | together make `database.url` of MariaDB. Host, user and schema are needed; several hosts are written with commas. Not looked at where `CAREBOT_DATABASE__URL` or a flag names the database, nor by `carebot demo` |\n\
        | `DB_CHARSET` | must be `utf8mb4`, which is used in any case |\n"
        .to_owned();
    for (variable, key) in RENAMED {
        let _ = writeln!(text, "| `{variable}` | `{key}` |");
    }
    text += "| `IS_DEPLOY` | 1 or true: `mode = \"release\"` and `sessions.cookie_domain = \".itdice.net\"`; 0 or false leaves the mode alone |\n\
        | `IS_DEV` | 1 or true: `mode = \"development\"`, unless `IS_DEPLOY` is true; 0 or false leaves the mode alone |\n\
        | `AI_HOST`, `AI_PORT` | `assistant.provider = \"remote\"` and `assistant.url`; the host counts with `IS_DEPLOY` only, else it is localhost |\n\
        | `OPENAI_API_KEY` | `assistant.key` and `assistant.provider = \"openai\"`, unless one of the two above is set |\n\n";
    text += "The web origins that were built into the original are not: name those in use in `cors.origins`.\n\n";
    let code = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "Variables that begin with {} are no settings; they steer the project's own tests.",
        code(&NOT_SETTINGS)
    );
    text
}
