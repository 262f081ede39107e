//! Server-sent events, as far as chat completions use them: the `data` lines (HTML living standard, section 9.2.6).

use crate::{ProviderError, Result};

/// The longest line; longer ones are no chat.
const LINE: usize = 256 * 1024;

/// Puts `data` lines together from pieces of a body that end anywhere.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// The `data` of the lines that are complete with this piece.
    ///
    /// # Errors
    /// [`ProviderError::Malformed`] for a line without an end or that is not UTF-8.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<String>> {
        self.rest.extend_from_slice(piece);
        let mut complete = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            complete.extend(data(&line)?);
        }
        if self.rest.len() > LINE {
            return Err(ProviderError::Malformed("a line without an end".into()));
        }
        Ok(complete)
    }

    /// What stood behind the last line's end.
    ///
    /// # Errors
    /// As [`Lines::push`].
    pub fn finish(self) -> Result<Option<String>> {
        data(&self.rest)
    }
}

fn data(line: &[u8]) -> Result<Option<String>> {
    let line = std::str::from_utf8(line).map_err(|_| ProviderError::Malformed("a line that is not UTF-8".into()))?;
    let value = line.trim_end_matches(['\r', '\n']).strip_prefix("data:");
    Ok(value.map(|value| value.strip_prefix(' ').unwrap_or(value).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_together_wherever_they_were_cut() {
        let text = "event: x\r\ndata: {\"a\":\"안녕\"}\r\n\r\n: comment\ndata:[DONE]\n".as_bytes();
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let mut found = lines.push(&text[..cut]).expect("good");
            found.extend(lines.push(&text[cut..]).expect("good"));
            assert_eq!(found, ["{\"a\":\"안녕\"}", "[DONE]"], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let mut lines = Lines::default();
        let outcome = (0..100).try_for_each(|_| lines.push(&[b'x'; 8 * 1024]).map(drop));
        assert!(matches!(outcome, Err(ProviderError::Malformed(_))));
    }
}
