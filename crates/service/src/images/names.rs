//! What a picture is called, and where it is on the wire.

use carebot_model::images::{CLIENT_NAME_CHARS, Format};
use carebot_model::{AccountId, Timestamp};
use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a picture is called if its client gave it no name that is fit to be one.
const NAMELESS: &str = "image";
/// What is not written as it is in a piece of a path: all but the unreserved characters of RFC 3986, section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A client's name without its extension, fit to stand in a path and to be shown: composed (NFC), without separators of
/// paths, quotes, brackets, control characters and characters that turn the direction of writing around; cut to
/// [`CLIENT_NAME_CHARS`].
pub fn stem(client: &str) -> String {
    let name = client.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    };
    let is_unfit = |c: char| {
        c.is_control()
            || "\"'`<>".contains(c)
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(stem);
    let fit: String = composed.chars().filter(|c| !is_unfit(*c)).collect();
    let cut: String =
        fit.trim_matches(|c: char| c.is_whitespace() || c == '.').chars().take(CLIENT_NAME_CHARS).collect();
    if cut.is_empty() { NAMELESS.to_owned() } else { cut }
}

/// The name on the wire: `생일_20261123_090000_123.jpg`, the time in UTC.
pub fn file_name(stem: &str, at: Timestamp, format: Format) -> String {
    let time = at.civil();
    format!(
        "{stem}_{:04}{:02}{:02}_{:02}{:02}{:02}_{:03}.{}",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        at.millis().rem_euclid(1_000),
        format.extension()
    )
}

/// The path of a picture, percent-encoded.
pub fn path(owner: AccountId, file_name: &str) -> String {
    format!("/access/{owner}/{}", utf8_percent_encode(file_name, ENCODED))
}

/// Whose picture and which one a URL names, if it is one of ours: a path, or one behind one of the addresses that are or
/// were ours. While none is known, any is: a picture that is in use must not be taken for one that nothing refers to.
pub fn named<'a>(url: &str, addresses: impl IntoIterator<Item = &'a str>) -> Option<(AccountId, String)> {
    let url = url.trim();
    let mut addresses = addresses.into_iter().peekable();
    let path = if url.starts_with('/') {
        url
    } else if addresses.peek().is_none() {
        let (_, behind) = url.split_once("://")?;
        &behind[behind.find('/')?..]
    } else {
        addresses.find_map(|address| {
            let (head, rest) = url.split_at_checked(address.len())?;
            (head.eq_ignore_ascii_case(address) && rest.starts_with('/')).then_some(rest)
        })?
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (owner, file_name) = path.strip_prefix("/access/")?.split_once('/')?;
    let file_name = percent_decode_str(file_name).decode_utf8().ok()?;
    Some((AccountId::parse(owner)?, file_name.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_name_becomes_one_that_is_fit() {
        for (client, expected) in [
            ("fall_20260301_120000.jpg", "fall_20260301_120000"),
            ("생일 파티.JPEG", "생일 파티"),
            // Decomposed, as one system's file names come.
            ("\u{1112}\u{1161}\u{11ab}.png", "한"),
            ("a.b.c.webp", "a.b.c"),
            ("noextension", "noextension"),
            ("../../etc/passwd", "passwd"),
            ("C:\\pictures\\grandma.png", "grandma"),
            (".jpg", "jpg"),
            ("...", "image"),
            ("", "image"),
            (" .png", "image"),
            ("a\"b'c\r\nd\0e.png", "abcde"),
            ("x\u{202e}gpj.exe.png", "xgpj.exe"),
            ("<img src=x onerror=alert(1)>.png", "img src=x onerror=alert(1)"),
        ] {
            assert_eq!(stem(client), expected, "{client:?}");
        }
        assert_eq!(stem(&"가".repeat(400)).chars().count(), CLIENT_NAME_CHARS);
    }

    #[test]
    fn the_time_is_part_of_the_name() {
        let at = Timestamp::from_millis(1_772_442_000_007);
        assert_eq!(file_name("생일", at, Format::Jpeg), "생일_20260302_090000_007.jpg");
    }

    #[test]
    fn a_url_of_ours_names_a_picture() {
        let owner = AccountId::parse("U234567890123456").expect("an id");
        let name = "생일 100%_20260302_090000_007.jpg";
        let ours = path(owner, name);
        assert!(ours.is_ascii() && !ours.contains(' '), "{ours}");
        let addresses = || ["https://care.example.org", "https://old.example.org/pictures"];
        assert_eq!(named(&format!("https://anywhere.example.org:8443{ours}"), []), Some((owner, name.to_owned())));
        assert_eq!(named("https://anywhere.example.org", []), None);
        for url in [
            ours.clone(),
            format!("https://care.example.org{ours}"),
            format!("HTTPS://Care.Example.org{ours}?w=320#x"),
            format!(" https://old.example.org/pictures{ours}"),
        ] {
            assert_eq!(named(&url, addresses()), Some((owner, name.to_owned())), "{url}");
        }
        for url in [
            String::new(),
            "/".to_owned(),
            format!("https://care.example.org.evil.example{ours}"),
            format!("https://evil.example{ours}"),
            format!("https://old.example.org{ours}"),
            format!("//care.example.org{ours}"),
            "/access/U234567890123456".to_owned(),
            "/access/U2345/x.jpg".to_owned(),
            "/access/U234567890123456/%ff.jpg".to_owned(),
            "https://가.example".to_owned(),
        ] {
            assert_eq!(named(&url, addresses()), None, "{url}");
        }
    }
}
