//! GIF: a list of blocks (GIF89a specification).

use super::{Reader, Stripped};

const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;
const GRAPHIC_CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;

/// Keeps the frames, how long and how they are shown, and how often the animation is repeated. Comments, texts and what
/// programs store go, and what stands behind the end.
pub fn strip(bytes: &[u8]) -> Option<Stripped> {
    let mut reader = Reader { rest: bytes };
    let mut kept = Vec::with_capacity(bytes.len());
    let head = reader.take(13)?;
    kept.extend(head);
    kept.extend(reader.take(table(head[10]))?);
    let mut frames = 0_u32;
    loop {
        match reader.byte()? {
            IMAGE => {
                let place = reader.take(9)?;
                kept.push(IMAGE);
                kept.extend(place);
                kept.extend(reader.take(table(place[8]))?);
                kept.push(reader.byte()?);
                kept.extend(blocks(&mut reader)?);
                frames += 1;
            }
            EXTENSION => {
                let label = reader.byte()?;
                let data = blocks(&mut reader)?;
                match label {
                    GRAPHIC_CONTROL => {
                        kept.extend([EXTENSION, label]);
                        kept.extend(data);
                    }
                    APPLICATION => {
                        if let Some(repeat) = repeat(data) {
                            kept.extend([EXTENSION, label]);
                            kept.extend(repeat);
                        }
                    }
                    _ => {}
                }
            }
            TRAILER if frames > 0 => {
                kept.push(TRAILER);
                return Some(Stripped { bytes: kept, exif: None, animated: frames > 1 });
            }
            _ => return None,
        }
    }
}

/// The length of the colour table that a byte of flags announces.
fn table(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// A list of blocks, each after its length, up to an empty one, which is part of it.
fn blocks<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let whole = reader.rest;
    loop {
        let length = usize::from(reader.byte()?);
        reader.take(length)?;
        if length == 0 {
            return whole.get(..whole.len() - reader.rest.len());
        }
    }
}

/// The blocks of an application that only say how often to repeat.
fn repeat(data: &[u8]) -> Option<Vec<u8>> {
    let rest = data.strip_prefix(b"\x0bNETSCAPE2.0").or_else(|| data.strip_prefix(b"\x0bANIMEXTS1.0"))?;
    match rest {
        [3, 1, low, high, ..] => Some([&data[..12], &[3, 1, *low, *high, 0]].concat()),
        _ => None,
    }
}
