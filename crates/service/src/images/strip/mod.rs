//! Takes metadata out of picture files without touching the picture itself: the parts of the container that a viewer needs
//! are copied, everything else (EXIF with place, time and camera, XMP, IPTC, comments, embedded thumbnails, whatever stands
//! behind the end) is left out. What is not on a list of needed parts does not get through.
//!
//! Pure functions that look at every length before they use it. A file that is cut off or does not hold together is `None`.

mod gif;
mod jpeg;
mod png;
mod webp;

use carebot_model::images::Format;

/// A file without metadata.
#[derive(Debug)]
pub struct Stripped {
    /// The file.
    pub bytes: Vec<u8>,
    /// The EXIF data that were left out, from their byte order mark on.
    pub exif: Option<Vec<u8>>,
    /// Whether it has more than one frame.
    pub animated: bool,
}

/// Strips a file of a format; `None` if it is broken.
pub fn strip(format: Format, bytes: &[u8]) -> Option<Stripped> {
    match format {
        Format::Jpeg => jpeg::strip(bytes),
        Format::Png => png::strip(bytes),
        Format::Gif => gif::strip(bytes),
        Format::Webp => webp::strip(bytes),
    }
}

/// Takes bytes from the front of a file.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|taken| taken[0])
    }

    fn be_u16(&mut self) -> Option<usize> {
        self.take(2).map(|taken| usize::from(taken[0]) << 8 | usize::from(taken[1]))
    }

    fn array(&mut self) -> Option<[u8; 4]> {
        self.take(4)?.try_into().ok()
    }

    fn be_u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn le_u32(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

/// EXIF data without the words that some programs put before them.
fn exif(data: &[u8]) -> Vec<u8> {
    data.strip_prefix(b"Exif\0\0").unwrap_or(data).to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..400), head in 0_usize..5) {
            let heads: [&[u8]; 5] = [b"", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBP"];
            let file = [heads[head], &bytes].concat();
            for format in Format::ALL {
                let _ = strip(*format, &file);
            }
        }
    }
}
