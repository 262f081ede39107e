//! Passwords on their way in and out of the command line.

use std::io::{self, BufRead as _, IsTerminal as _};

use carebot_database::ambient::{Rng, SystemRng};

use crate::failure::{Failure, Result};
use crate::output;

/// Letters and digits that cannot be mistaken for each other. Thirty-two, so that a random byte has no favourites.
const LETTERS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
/// Four groups of four: 80 bits.
const GROUPS: usize = 4;

/// A new random password that can be read aloud: `k7mp-x2fq-vdwt-b4hn`.
pub fn generate() -> String {
    let mut bytes = [0; GROUPS * 4];
    SystemRng.fill(&mut bytes);
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// Reads a password: the first line of standard input, without its line end.
pub fn from_stdin() -> Result<String> {
    if io::stdin().is_terminal() {
        output::note("Password (it is shown while you type), then Enter:");
    }
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_line(&mut text)
        .map_err(|error| Failure::new(format!("the password can not be read from standard input: {error}")))?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(Failure::usage("standard input has no password")
            .next("Pass it like this: printf '%s\\n' 'the password' | carebot .. --password-stdin"));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), 19);
        assert!(one.bytes().all(|byte| byte == b'-' || LETTERS.contains(&byte)), "{one}");
    }
}
