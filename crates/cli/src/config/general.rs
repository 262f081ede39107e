//! What stands above all sections.

use super::setting::section;
use super::value::choice;

section! {
    /// Stands at the top of the file, before the first section.
    pub struct General in "" {
        /// Whether the program runs in earnest (`release`) or is worked on (`development`). Development is made for plain
        /// http on localhost: it changes the defaults of the cookie, the allowed origins, the log format and the
        /// documentation page. A server that others can reach runs in release mode.
        mode: Mode = Mode::Release;
    }
}

choice! {
    /// What the program runs for.
    pub enum Mode {
        /// Worked on, on this machine, over plain http.
        Development = "development",
        /// In earnest, over https.
        Release = "release",
    }
}
