//! Where the engines' languages differ.

/// An engine's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// MariaDB 10.3 and later.
    MariaDb,
}

impl Dialect {
    /// The engine's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::MariaDb => "mariadb",
        }
    }

    /// The engine's word for a placeholder `{{..}}` of a migration, `None` if there is no such placeholder.
    ///
    /// Columns that are compared pin their collation, so that neither letter case, blanks nor a server's defaults matter.
    pub fn word(self, placeholder: &str) -> Option<String> {
        let (name, size) = placeholder.split_once(':').unwrap_or((placeholder, ""));
        let sqlite = self == Self::Sqlite;
        let word = match name {
            "id" | "name" | "text" | "date" if sqlite => "TEXT".to_owned(),
            "int" | "time" | "row" | "bigint" | "flag" if sqlite => "INTEGER".to_owned(),
            "real" if sqlite => "REAL".to_owned(),
            "hash" if sqlite => "BLOB".to_owned(),
            "long_text" => "TEXT".to_owned(),
            "id" => "CHAR(16) CHARACTER SET ascii COLLATE ascii_bin".to_owned(),
            "name" => "VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin".to_owned(),
            "text" => format!("VARCHAR({})", size.parse::<u32>().ok()?),
            "date" => "CHAR(10) CHARACTER SET ascii COLLATE ascii_bin".to_owned(),
            "int" => "INT".to_owned(),
            "time" | "row" | "bigint" => "BIGINT".to_owned(),
            "flag" => "TINYINT(1)".to_owned(),
            "real" => "DOUBLE".to_owned(),
            "hash" => "BINARY(32)".to_owned(),
            "clustered" if sqlite => "STRICT, WITHOUT ROWID".to_owned(),
            // Not utf8mb4_bin, for which blanks at the end of a text do not count.
            "clustered" => "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin".to_owned(),
            _ => return None,
        };
        Some(word)
    }
}
