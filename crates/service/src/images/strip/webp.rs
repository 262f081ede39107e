//! WebP: a RIFF file (RFC 9649).

use super::{Reader, Stripped, exif};

/// The bits of the `VP8X` chunk that say that there are EXIF and XMP chunks.
const METADATA: u8 = 0x08 | 0x04;
/// The bytes of a frame of an animation before its own chunks.
const FRAME: usize = 16;

/// EXIF, XMP and unknown chunks go, also those in the frames of an animation, and what stands behind the end.
pub fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader { rest: bytes.strip_prefix(b"RIFF")? };
    let size = reader.le_u32()?;
    let mut body = Reader { rest: reader.take(size)?.strip_prefix(b"WEBP")? };
    let mut kept = b"RIFF\0\0\0\0WEBP".to_vec();
    kept.reserve(bytes.len());
    let (mut found, mut animated, mut has_data) = (None, false, false);
    while !body.rest.is_empty() {
        let (name, data) = chunk(&mut body)?;
        match name {
            b"VP8X" => {
                let (flags, rest) = data.split_first()?;
                push(&mut kept, name, &[&[flags & !METADATA], rest].concat());
            }
            b"VP8 " | b"VP8L" => {
                has_data = true;
                push(&mut kept, name, data);
            }
            b"ALPH" | b"ANIM" | b"ICCP" => push(&mut kept, name, data),
            b"ANMF" => {
                (animated, has_data) = (true, true);
                push(&mut kept, name, &frame(data)?);
            }
            b"EXIF" => found = Some(exif(data)),
            _ => {}
        }
    }
    let size = u32::try_from(kept.len() - 8).ok()?;
    kept[4..8].copy_from_slice(&size.to_le_bytes());
    has_data.then_some(Stripped { bytes: kept, exif: found, animated })
}

fn chunk<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let name = reader.take(4)?;
    let length = reader.le_u32()?;
    let data = reader.take(length)?;
    // Filled up to an even length; some programs forget that at the end of the file.
    if length % 2 == 1 && !reader.rest.is_empty() {
        reader.take(1)?;
    }
    Some((name, data))
}

fn push(kept: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    kept.extend(name);
    // As long as it came in, or shorter.
    kept.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
    kept.extend(data);
    if data.len() % 2 == 1 {
        kept.push(0);
    }
}

fn frame(data: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader { rest: data };
    let mut kept = reader.take(FRAME)?.to_vec();
    while !reader.rest.is_empty() {
        let (name, data) = chunk(&mut reader)?;
        if matches!(name, b"ALPH" | b"VP8 " | b"VP8L") {
            push(&mut kept, name, data);
        }
    }
    Some(kept)
}
