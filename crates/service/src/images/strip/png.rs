//! PNG: a list of chunks (W3C PNG, third edition, section 5).

use super::{Reader, Stripped, exif};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// The picture, its colours and size, and the frames of an animation.
const NEEDED: [&[u8; 4]; 18] = [
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI",
    b"sBIT", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
];

/// Texts, time, EXIF and private chunks go, and what stands behind the end.
pub fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader { rest: bytes.strip_prefix(SIGNATURE)? };
    let mut kept = SIGNATURE.to_vec();
    kept.reserve(bytes.len());
    let (mut found, mut animated, mut has_data) = (None, false, false);
    loop {
        let whole = reader.rest;
        let length = reader.be_u32()?;
        let name = reader.take(4)?;
        let data = reader.take(length)?;
        reader.take(4)?;
        if NEEDED.iter().any(|needed| *needed == name) {
            kept.extend(&whole[..length + 12]);
        }
        match name {
            b"eXIf" => found = Some(exif(data)),
            b"acTL" => animated = true,
            b"IDAT" => has_data = true,
            b"IEND" if has_data => return Some(Stripped { bytes: kept, exif: found, animated }),
            _ => {}
        }
    }
}
