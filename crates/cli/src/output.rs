//! What a person at the terminal reads.

use std::io::{self, IsTerminal as _, Write as _};

/// Writes a line to standard output. When nobody reads it any more (`carebot openapi | head`) the program ends, as
/// others do.
pub fn line(text: &str) {
    write(&format!("{text}\n"));
}

/// Writes text as it is to standard output; see [`line`].
pub fn write(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { 0 } else { 1 };
        std::process::exit(code);
    }
}

/// Writes a line to standard error, for people. There is nobody to tell that it did not work.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether standard error is a terminal, whose lines can be rewritten and coloured.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal()
}
