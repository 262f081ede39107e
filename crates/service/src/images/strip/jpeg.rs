//! JPEG: a list of segments (ITU-T T.81, annex B), among them scans that run until the next marker.

use super::{Reader, Stripped, exif};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const COMMENT: u8 = 0xfe;

/// Keeps frames, tables and scans, the JFIF head without its thumbnail, the colour profile and Adobe's note on how colours
/// are stored. What stands behind the end goes: previews, depth maps, the film of a moving photo.
pub fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader { rest: bytes.strip_prefix(&[0xff, SOI])? };
    let mut kept = vec![0xff, SOI];
    kept.reserve(bytes.len());
    let (mut found, mut scanned) = (None, false);
    loop {
        match marker(&mut reader)? {
            EOI if scanned => {
                kept.extend([0xff, EOI]);
                return Some(Stripped { bytes: kept, exif: found, animated: false });
            }
            EOI | SOI => return None,
            // Stand alone, and mean nothing between segments.
            0x01 | 0xd0..=0xd7 => {}
            code => {
                let length = reader.be_u16()?.checked_sub(2)?;
                let data = reader.take(length)?;
                match code {
                    0xe0 if data.starts_with(b"JFIF\0") && data.len() >= 14 => {
                        segment(&mut kept, code, &[&data[..12], &[0, 0]].concat());
                    }
                    0xe1 if found.is_none() && data.starts_with(b"Exif\0\0") => found = Some(exif(data)),
                    0xe2 if data.starts_with(b"ICC_PROFILE\0") => segment(&mut kept, code, data),
                    0xee if data.starts_with(b"Adobe") => segment(&mut kept, code, data),
                    0xe0..=0xef | COMMENT => {}
                    _ => segment(&mut kept, code, data),
                }
                if code == SOS {
                    scanned = true;
                    let length = scan(reader.rest)?;
                    kept.extend(reader.take(length)?);
                }
            }
        }
    }
}

/// The code of the next marker, which may be preceded by filling.
fn marker(reader: &mut Reader<'_>) -> Option<u8> {
    if reader.byte()? != 0xff {
        return None;
    }
    loop {
        match reader.byte()? {
            0xff => {}
            0 => return None,
            code => return Some(code),
        }
    }
}

fn segment(kept: &mut Vec<u8>, code: u8, data: &[u8]) {
    // As long as it came in, or shorter.
    let length = u16::try_from(data.len() + 2).unwrap_or(u16::MAX);
    kept.extend([0xff, code]);
    kept.extend(length.to_be_bytes());
    kept.extend(data);
}

/// How far a scan goes: to the next marker that is none of its own. `None` if there is none.
fn scan(rest: &[u8]) -> Option<usize> {
    rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7))
}
