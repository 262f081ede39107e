//! Pictures that people upload.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{AccountId, RowId, Timestamp, wire_enum};

/// The most characters of a picture's name that come from its client; what is added makes it about 30 longer.
pub const CLIENT_NAME_CHARS: usize = 120;

wire_enum!(
    /// What a picture is, told by its bytes and never by its name.
    Format {
        /// JPEG (ITU-T T.81).
        Jpeg = "jpeg",
        /// PNG, also animated.
        Png = "png",
        /// GIF, also animated.
        Gif = "gif",
        /// WebP, also animated.
        Webp = "webp",
    }
);

impl Format {
    /// The format by the first bytes of a file.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    /// The media type: `image/jpeg`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    /// The end of a file's name, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }
}

wire_enum!(
    /// What can refer to a picture. Whoever may read it may see the picture.
    Source {
        /// A picture of a family's album.
        Background = "background",
        /// A notification of a family.
        Notification = "notification",
        /// A message.
        Message = "message",
        /// A report of a fall or another activity.
        Report = "report",
    }
);

/// A stored picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its number.
    pub id: RowId,
    /// Whose it is.
    pub owner: AccountId,
    /// What it is called on the wire; unique among the owner's.
    pub file_name: String,
    /// What it is.
    pub format: Format,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// What its bytes are called in the store. Made by us, never by a client.
    pub object: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// The answer to an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Uploaded {
    /// Who uploaded it.
    pub request_id: AccountId,
    /// What it is called from now on.
    pub file_name: String,
    /// Its media type.
    pub file_type: &'static str,
    /// Where it is: an absolute URL if the server knows its own.
    pub file_path: String,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deleted {
    /// Who deleted it.
    pub request_id: AccountId,
    /// What it was called.
    pub file_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_told_by_the_bytes() {
        assert_eq!(Format::of(b"\xff\xd8\xff\xe0"), Some(Format::Jpeg));
        assert_eq!(Format::of(b"\x89PNG\r\n\x1a\n"), Some(Format::Png));
        assert_eq!((Format::of(b"GIF87a"), Format::of(b"GIF89a")), (Some(Format::Gif), Some(Format::Gif)));
        assert_eq!(Format::of(b"RIFF\0\0\0\0WEBPVP8 "), Some(Format::Webp));
        for other in [&b""[..], b"\xff\xd8", b"GIF88a", b"RIFF\0\0\0\0WAVE", b"BM", b"<svg", b"%PDF-1.7", b"II*\0"] {
            assert_eq!(Format::of(other), None, "{other:?}");
        }
    }
}
