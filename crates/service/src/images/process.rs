//! From the bytes that came in to the bytes that are stored, and to thumbnails. Pure functions; they take long and much
//! memory, so [`Images`](super::Images) runs them off the asynchronous threads, a few at a time.

use std::io::Cursor;

use bytes::Bytes;
use carebot_model::images::Format;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits};

use super::strip::{Stripped, strip};

/// What a pixel may take while it is decoded: red, green, blue and opacity of 8 bits. A picture of 16 bits may have half as
/// many pixels.
const BYTES_PER_PIXEL: u64 = 4;
/// What decoders need besides, for tables and lines.
const BESIDES: u64 = 32 << 20;
/// The quality of a picture that had to be turned around (of 100): no loss that can be seen.
const TURNED_QUALITY: u8 = 92;
/// The quality of a thumbnail.
const THUMBNAIL_QUALITY: u8 = 82;

/// Why a picture is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is none of the formats, or broken.
    NotAPicture,
    /// It has too many pixels.
    TooManyPixels,
}

/// A picture as it is stored.
#[derive(Debug)]
pub struct Clean {
    /// What it is.
    pub format: Format,
    /// Its file.
    pub bytes: Bytes,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(_) => Self::TooManyPixels,
            _ => Self::NotAPicture,
        }
    }
}

const fn of(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Gif => ImageFormat::Gif,
        Format::Webp => ImageFormat::WebP,
    }
}

/// Reads the head of a file without metadata: its width and height in pixels. Nothing is decoded.
///
/// # Errors
/// [`Fault::TooManyPixels`] if it has more than `most`, [`Fault::NotAPicture`] if it has none.
fn size(format: Format, bytes: &[u8], most: u64) -> Result<(u32, u32), Fault> {
    let (width, height) = ImageReader::with_format(Cursor::new(bytes), of(format)).into_dimensions()?;
    match u64::from(width) * u64::from(height) {
        0 => Err(Fault::NotAPicture),
        pixels if pixels > most => Err(Fault::TooManyPixels),
        _ => Ok((width, height)),
    }
}

/// Decodes a file without metadata, of an animation the first frame. Also its colour profile.
fn decode(format: Format, bytes: &[u8], most: u64) -> Result<(DynamicImage, Option<Vec<u8>>), Fault> {
    size(format, bytes, most)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), of(format));
    let mut limits = Limits::default();
    limits.max_alloc = Some(most.saturating_mul(BYTES_PER_PIXEL).saturating_add(BESIDES));
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let profile = decoder.icc_profile().ok().flatten();
    Ok((DynamicImage::from_decoder(decoder)?, profile))
}

/// A file whose metadata are out and whose head was read, but that was not decoded yet.
#[derive(Debug)]
pub struct Opened {
    format: Format,
    stripped: Stripped,
    width: u32,
    height: u32,
    most_pixels: u64,
}

/// Takes out all metadata and reads the head. Costs about as much as copying the file.
///
/// # Errors
/// [`Fault`].
pub fn open(bytes: &[u8], most_pixels: u64) -> Result<Opened, Fault> {
    let format = Format::of(bytes).ok_or(Fault::NotAPicture)?;
    let stripped = strip(format, bytes).ok_or(Fault::NotAPicture)?;
    let (width, height) = size(format, &stripped.bytes, most_pixels)?;
    Ok(Opened { format, stripped, width, height, most_pixels })
}

impl Opened {
    /// How many pixels it has.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Decodes it, which is the proof that it is whole, and turns the picture upright. The picture itself is only stored
    /// anew (with some loss in a JPEG) if it had to be turned around.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn finish(self) -> Result<Clean, Fault> {
        let Self { format, stripped: Stripped { bytes, exif, animated }, width, height, most_pixels } = self;
        let (mut picture, profile) = decode(format, &bytes, most_pixels)?;
        let orientation = exif.as_deref().and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
        if orientation == Orientation::NoTransforms || animated {
            return Ok(Clean { format, bytes: bytes.into(), width, height });
        }
        picture.apply_orientation(orientation);
        let bytes = encode(&picture, format, TURNED_QUALITY, profile)?;
        Ok(Clean { format, bytes: bytes.into(), width: picture.width(), height: picture.height() })
    }
}

/// A smaller picture of the given width: JPEG, or PNG where something shows through.
///
/// # Errors
/// [`Fault`], if what is stored is no picture after all.
pub fn thumbnail(format: Format, bytes: &[u8], width: u32, most_pixels: u64) -> Result<(Format, Bytes), Fault> {
    let (picture, profile) = decode(format, bytes, most_pixels)?;
    let small = picture.thumbnail(width, u32::MAX);
    let has_holes = small.color().has_alpha() && small.to_rgba8().pixels().any(|pixel| pixel.0[3] != u8::MAX);
    let (small, format) = match (has_holes, small.color().has_color()) {
        (true, _) => (DynamicImage::from(small.to_rgba8()), Format::Png),
        (false, true) => (DynamicImage::from(small.to_rgb8()), Format::Jpeg),
        (false, false) => (DynamicImage::from(small.to_luma8()), Format::Jpeg),
    };
    Ok((format, encode(&small, format, THUMBNAIL_QUALITY, profile)?.into()))
}

/// Whether a colour profile is about colours of this kind: four letters of its head say (ICC.1:2022, section 7.2).
fn fits(profile: &[u8], colour: ColorType) -> bool {
    let space: &[u8] = if colour.has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(space)
}

fn encode(picture: &DynamicImage, format: Format, quality: u8, profile: Option<Vec<u8>>) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let profile = profile.filter(|profile| fits(profile, picture.color()));
    match format {
        Format::Jpeg => {
            // It knows no opacity and no more than 8 bits.
            let picture = if picture.color().has_color() {
                DynamicImage::from(picture.to_rgb8())
            } else {
                DynamicImage::from(picture.to_luma8())
            };
            write(JpegEncoder::new_with_quality(&mut bytes, quality), &picture, profile)?;
        }
        Format::Png => write(PngEncoder::new(&mut bytes), picture, profile)?,
        Format::Webp => {
            let picture = if picture.color().has_alpha() {
                DynamicImage::from(picture.to_rgba8())
            } else {
                DynamicImage::from(picture.to_rgb8())
            };
            write(WebPEncoder::new_lossless(&mut bytes), &picture, profile)?;
        }
        // A GIF has no EXIF, and so nothing that says which way is up; its thumbnails are of another format.
        Format::Gif => return Err(Fault::NotAPicture),
    }
    Ok(bytes)
}

fn write(mut encoder: impl ImageEncoder, picture: &DynamicImage, profile: Option<Vec<u8>>) -> Result<(), Fault> {
    if let Some(profile) = profile {
        // Without it the colours are a little off, no more.
        let _ = encoder.set_icc_profile(profile);
    }
    picture.write_with_encoder(encoder)?;
    Ok(())
}
