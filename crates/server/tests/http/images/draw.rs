//! Pictures to upload, and what is hidden in them.

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

/// Something that stands in every metadata of these pictures, and must stand in nothing that is given out.
pub const SECRET: &[u8] = b"37.2636N 127.0286E";

/// Left half red, right half blue; the top row of pixels tells the columns apart.
pub fn flag(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([220, 20, 20]) } else { Rgb([20, 20, 220]) }).into()
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("it is encoded");
    bytes.into_inner()
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    file(&flag(width, height), ImageFormat::Png)
}

pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    file(&flag(width, height), ImageFormat::Jpeg)
}

pub fn webp(width: u32, height: u32) -> Vec<u8> {
    file(&flag(width, height), ImageFormat::WebP)
}

/// Through the middle of which one can see.
pub fn holed_png(width: u32, height: u32) -> Vec<u8> {
    let picture = RgbaImage::from_fn(width, height, |x, _| Rgba([10, 200, 10, if x < width / 2 { 255 } else { 0 }]));
    file(&picture.into(), ImageFormat::Png)
}

/// Two frames that are repeated for ever.
pub fn gif(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder.set_repeat(Repeat::Infinite).expect("it is encoded");
    for shade in [0, 200] {
        let frame = RgbaImage::from_pixel(width, height, Rgba([shade, 100, 100, 255]));
        encoder
            .encode_frame(Frame::from_parts(frame, 0, 0, Delay::from_numer_denom_ms(100, 1)))
            .expect("it is encoded");
    }
    drop(encoder);
    bytes
}

/// EXIF data that say how to turn the picture, and hold the secret.
pub fn exif(orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    // A place, as a text behind the directory.
    let length = u8::try_from(SECRET.len()).expect("it is short");
    tiff.extend([0x25, 0x88, 2, 0, length, 0, 0, 0, 38, 0, 0, 0]);
    tiff.extend([0, 0, 0, 0]);
    tiff.extend(SECRET);
    tiff
}

fn segment(code: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 2).expect("it is short").to_be_bytes();
    [&[0xff, code], &length[..], data].concat()
}

/// With everything that a camera and programs put into a JPEG.
pub fn jpeg_with_metadata(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = jpeg(width, height);
    let (start, rest) = plain.split_at(2);
    [
        start,
        &segment(0xe1, &[b"Exif\0\0", exif(orientation).as_slice()].concat()),
        &segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
        &segment(0xed, &[b"Photoshop 3.0\0", SECRET].concat()),
        &segment(0xe2, &[b"MPF\0", SECRET].concat()),
        &segment(0xfe, SECRET),
        rest,
        // The film of a moving photo.
        SECRET,
    ]
    .concat()
}

/// The sum that a PNG's chunks end with (W3C PNG, annex D).
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 })
    })
}

pub fn png_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("it is short").to_be_bytes();
    let body = [&name[..], data].concat();
    [&length[..], &body, &crc(&body).to_be_bytes()].concat()
}

pub fn png_with_metadata(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = png(width, height);
    // Behind the signature and the head.
    let (start, rest) = plain.split_at(33);
    [
        start,
        &png_chunk(*b"tEXt", &[b"Comment\0", SECRET].concat()),
        &png_chunk(*b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
        &png_chunk(*b"eXIf", &exif(orientation)),
        &png_chunk(*b"prVt", SECRET),
        rest,
        SECRET,
    ]
    .concat()
}

fn riff_chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("it is short").to_le_bytes();
    [&name[..], &length, data, &vec![0; data.len() % 2]].concat()
}

pub fn webp_with_metadata(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = webp(width, height);
    let edge = |pixels: u32| (pixels - 1).to_le_bytes()[..3].to_vec();
    let flags = 0x08 | 0x04;
    let body = [
        b"WEBP".to_vec(),
        riff_chunk(*b"VP8X", &[&[flags, 0, 0, 0][..], &edge(width), &edge(height)].concat()),
        plain[12..].to_vec(),
        riff_chunk(*b"EXIF", &exif(orientation)),
        riff_chunk(*b"XMP ", SECRET),
        riff_chunk(*b"prVt", SECRET),
    ]
    .concat();
    [riff_chunk(*b"RIFF", &body), SECRET.to_vec()].concat()
}

pub fn gif_with_metadata(width: u32, height: u32) -> Vec<u8> {
    let plain = gif(width, height);
    let table = if plain[10] & 0x80 == 0 { 0 } else { 3 << ((plain[10] & 7) + 1) };
    let (start, rest) = plain.split_at(13 + table);
    let length = u8::try_from(SECRET.len()).expect("it is short");
    let block = [&[length], SECRET, &[0]].concat();
    [start, &[&[0x21, 0xfe], &block[..]].concat(), &[b"\x21\xff\x0bXMP DataXMP", &block[..]].concat(), rest, SECRET]
        .concat()
}

/// A head that promises more than any memory holds, and next to nothing behind it.
pub fn png_bomb(width: u32, height: u32) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let nothing = [0x78, 0x9c, 0x03, 0, 0, 0, 0, 1];
    [b"\x89PNG\r\n\x1a\n".to_vec(), png_chunk(*b"IHDR", &head), png_chunk(*b"IDAT", &nothing), png_chunk(*b"IEND", &[])]
        .concat()
}

pub fn jpeg_bomb() -> Vec<u8> {
    let mut bytes = jpeg(16, 16);
    let place = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).expect("a frame");
    bytes[place + 5..place + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    bytes
}

pub fn gif_bomb() -> Vec<u8> {
    let mut bytes = gif(16, 16);
    bytes[6..10].copy_from_slice(&[0x20, 0x4e, 0x20, 0x4e]);
    bytes
}
