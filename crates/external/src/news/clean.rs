//! From headlines with HTML in them to plain text.

/// Without tags, with entities as what they stand for, and single blanks. Feeds encode once too often, so that
/// `&amp;quot;` is met with; a lone `<` stays.
pub fn plain(text: &str) -> String {
    let text = without_tags(&without_entities(&without_tags(text)));
    let text: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn without_tags(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('<') {
        plain.push_str(before);
        let begins = behind.starts_with(|character: char| character.is_ascii_alphabetic() || "/!?".contains(character));
        match behind.split_once('>') {
            Some((_, behind)) if begins => {
                plain.push(' ');
                rest = behind;
            }
            _ => {
                plain.push('<');
                rest = behind;
            }
        }
    }
    plain + rest
}

fn without_entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        // The longest known name has six letters.
        let end = behind.bytes().take(10).position(|byte| byte == b';');
        if let Some((character, end)) = end.and_then(|end| Some((entity(&behind[..end])?, end))) {
            plain.push(character);
            rest = &behind[end + 1..];
        } else {
            plain.push('&');
            rest = behind;
        }
    }
    plain + rest
}

/// The entities that headlines have (HTML 4, section 24).
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "middot" => '·',
        "bull" => '•',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "times" => '×',
        "deg" => '°',
        "rarr" => '→',
        "larr" => '←',
        "uarr" => '↑',
        "darr" => '↓',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_become_plain_text() {
        let cases = [
            ("걷기가 '보약'", "걷기가 '보약'"),
            ("<b>속보</b> 눈&nbsp;내려", "속보 눈 내려"),
            ("&quot;물가&quot; 3&#37; ↑ &hellip;", "\"물가\" 3% ↑ …"),
            ("&lt;b&gt;굵게&lt;/b&gt;", "굵게"),
            ("3 < 5 그리고 a&b", "3 < 5 그리고 a&b"),
            ("<한국경제> 오늘", "<한국경제> 오늘"),
            ("줄\n바꿈\t과\u{0} <br/>끝", "줄 바꿈 과 끝"),
            ("&#xAC00;&#44033;&#x110000;&unknown;", "가각&#x110000;&unknown;"),
            ("&가나다라마바사;", "&가나다라마바사;"),
            ("<script>alert(1)</script", "alert(1)</script"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
