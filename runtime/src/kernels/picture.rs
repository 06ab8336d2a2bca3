//! JPEG and PNG files as bytes of red, green and blue, or of grey. The decoders are two crates in safe Rust; what they do not do is
//! here: the order of colours, grey, and turning a photograph the way its camera was held.

use crate::error::Result;
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What the bytes of a pixel are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One byte.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// A decoded picture.
struct Picture {
    height: usize,
    width: usize,
    /// Bytes of a pixel: grey, grey and alpha, three colours, three colours and alpha.
    channels: usize,
    pixels: Vec<u8>,
}

/// Larger pictures are refused, since a few bytes can claim any size.
pub(super) const LONGEST: usize = 1 << 20;
pub(super) const MOST: usize = 1 << 30;

enum Coded<'a> {
    Jpeg(Box<JpegDecoder<ZCursor<&'a [u8]>>>),
    Png(Box<png::Reader<Cursor<&'a [u8]>>>),
}

fn bad(kind: &str, why: impl std::fmt::Display) -> crate::Error {
    err!(Argument, "the {kind} picture cannot be decoded: {why}")
}

fn open(bytes: &[u8], colour: Colour) -> Result<Coded<'_>> {
    if bytes.starts_with(&[0xff, 0xd8]) {
        let to = if colour == Colour::Grey { ColorSpace::Luma } else { ColorSpace::RGB };
        let longest = usize::from(u16::MAX);
        let options = DecoderOptions::default()
            .set_max_width(longest)
            .set_max_height(longest)
            .jpeg_set_out_colorspace(to);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode_headers().map_err(|e| bad("JPEG", e))?;
        return Ok(Coded::Jpeg(Box::new(decoder)));
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MOST });
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        return Ok(Coded::Png(Box::new(decoder.read_info().map_err(|e| bad("PNG", e))?)));
    }
    bail!(Argument, "a JPEG or PNG picture is wanted, got {} bytes of something else", bytes.len())
}

impl Coded<'_> {
    /// Height and width as stored.
    fn stored(&self) -> Result<(usize, usize)> {
        let (w, h) = match self {
            Coded::Jpeg(d) => d.dimensions().ok_or_else(|| bad("JPEG", "it has no size"))?,
            Coded::Png(d) => (d.info().width as usize, d.info().height as usize),
        };
        if h == 0 || w == 0 || h > LONGEST || w > LONGEST || h * w > MOST {
            bail!(
                Argument,
                "a picture of {w}x{h} pixels is not decoded, want at most {LONGEST} along a side and {MOST} in all"
            );
        }
        Ok((h, w))
    }

    /// How the camera was held, 1 to 8 as Exif says: 5 to 8 exchange height and width.
    fn orientation(&self) -> u16 {
        match self {
            Coded::Jpeg(d) => d.exif().and_then(|e| orientation(e)).unwrap_or(1),
            Coded::Png(_) => 1,
        }
    }

    fn read(self) -> Result<Picture> {
        let (height, width) = self.stored()?;
        let (channels, pixels) = match self {
            Coded::Jpeg(mut d) => {
                let pixels = d.decode().map_err(|e| bad("JPEG", e))?;
                (pixels.len() / (height * width), pixels)
            }
            Coded::Png(mut d) => {
                let size = d.output_buffer_size().ok_or_else(|| bad("PNG", "it is too large"))?;
                let mut pixels = vec![0; size];
                let info = d.next_frame(&mut pixels).map_err(|e| bad("PNG", e))?;
                pixels.truncate(info.buffer_size());
                (info.color_type.samples(), pixels)
            }
        };
        if !(1..=4).contains(&channels) || pixels.len() != height * width * channels {
            bail!(Argument, "the picture has {} bytes, want those of {width}x{height} pixels", pixels.len());
        }
        Ok(Picture { height, width, channels, pixels })
    }
}

/// The orientation in a block of Exif data: entry 0x112 of its first directory.
fn orientation(exif: &[u8]) -> Option<u16> {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |i: usize| {
        let b = <[u8; 2]>::try_from(exif.get(i..i.checked_add(2)?)?).ok()?;
        Some(if little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) })
    };
    let offset = <[u8; 4]>::try_from(exif.get(4..8)?).ok()?;
    let first = if little { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) } as usize;
    let entries = (0..usize::from(u16_at(first)?)).map(|i| first + 2 + 12 * i);
    let found = entries.take_while(|&at| at + 12 <= exif.len()).find(|&at| u16_at(at) == Some(0x112))?;
    u16_at(found + 8).filter(|o| (1..=8).contains(o))
}

/// Height and width of a coded picture, once turned upright.
pub fn size(bytes: &[u8]) -> Result<(usize, usize)> {
    let coded = open(bytes, Colour::Rgb)?;
    let (h, w) = coded.stored()?;
    Ok(if coded.orientation() >= 5 { (w, h) } else { (h, w) })
}

/// Decodes into `out`, rows of pixels, as large as [`size`] said. Alpha is dropped, 16 bits lose their lower 8.
pub fn decode(bytes: &[u8], colour: Colour, out: &mut [u8]) -> Result<()> {
    let coded = open(bytes, colour)?;
    let turned = coded.orientation();
    let p = coded.read()?;
    let of = if colour == Colour::Grey { 1 } else { 3 };
    if out.len() != p.height * p.width * of {
        bail!(Argument, "the picture is {}x{} pixels, want {} bytes of it", p.width, p.height, out.len());
    }
    let (h, w) = (p.height, p.width);
    let upright = if turned >= 5 { h } else { w };
    for (i, to) in out.chunks_exact_mut(of).enumerate() {
        let (y, x) = (i / upright, i % upright);
        let (y, x) = match turned {
            2 => (y, w - 1 - x),
            3 => (h - 1 - y, w - 1 - x),
            4 => (h - 1 - y, x),
            5 => (x, y),
            6 => (h - 1 - x, y),
            7 => (h - 1 - x, w - 1 - y),
            8 => (x, w - 1 - y),
            _ => (y, x),
        };
        put(&p.pixels[(y * w + x) * p.channels..(y * w + x + 1) * p.channels], colour, to);
    }
    Ok(())
}

#[inline(always)]
fn put(pixel: &[u8], colour: Colour, to: &mut [u8]) {
    match (pixel, colour) {
        (&[v] | &[v, _], _) => to.fill(v),
        // Luma of ITU-R BT.601, cut off: of 16384 drawn colours MXNet gives the same for all.
        (&[r, g, b, ..], Colour::Grey) => {
            to[0] = ((9797 * u32::from(r) + 19234 * u32::from(g) + 3737 * u32::from(b)) >> 15) as u8
        }
        (&[r, g, b, ..], Colour::Rgb) => to.copy_from_slice(&[r, g, b]),
        (&[r, g, b, ..], Colour::Bgr) => to.copy_from_slice(&[b, g, r]),
        (&[], _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], colour: Colour) -> Result<(usize, usize, Vec<u8>)> {
        let (h, w) = size(bytes)?;
        let mut out = vec![0; h * w * if colour == Colour::Grey { 1 } else { 3 }];
        decode(bytes, colour, &mut out)?;
        Ok((h, w, out))
    }

    fn coded(width: u32, height: u32, kind: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut e = png::Encoder::new(&mut file, width, height);
        e.set_color(kind);
        e.set_depth(depth);
        if kind == png::ColorType::Indexed {
            e.set_palette(&[1, 2, 3, 250, 10, 20][..]);
        }
        e.write_header().unwrap().write_image_data(data).unwrap();
        file
    }

    #[test]
    fn png_of_every_kind() {
        use png::BitDepth::*;
        use png::ColorType::*;
        let colours = coded(2, 1, Rgb, Eight, &[255, 0, 10, 0, 200, 30]);
        assert_eq!(decoded(&colours, Colour::Rgb).unwrap(), (1, 2, vec![255, 0, 10, 0, 200, 30]));
        assert_eq!(decoded(&colours, Colour::Bgr).unwrap().2, [10, 0, 255, 30, 200, 0]);
        assert_eq!(decoded(&colours, Colour::Grey).unwrap().2, [77, 120]);
        let alpha = coded(1, 2, Rgba, Eight, &[1, 2, 3, 0, 4, 5, 6, 255]);
        assert_eq!(decoded(&alpha, Colour::Rgb).unwrap(), (2, 1, vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(
            decoded(&coded(2, 1, Grayscale, Sixteen, &[7, 200, 9, 1]), Colour::Grey).unwrap().2,
            [7, 9]
        );
        assert_eq!(decoded(&coded(1, 1, GrayscaleAlpha, Eight, &[8, 90]), Colour::Rgb).unwrap().2, [8; 3]);
        assert_eq!(
            decoded(&coded(2, 1, Indexed, One, &[0b0100_0000]), Colour::Rgb).unwrap().2,
            [1, 2, 3, 250, 10, 20]
        );
        assert_eq!(
            decoded(&coded(3, 1, Grayscale, Two, &[0b0001_1100]), Colour::Grey).unwrap().2,
            [0, 85, 255]
        );
    }

    #[test]
    fn broken_files_are_errors() {
        let whole = coded(4, 4, png::ColorType::Rgb, png::BitDepth::Eight, &[9; 48]);
        for cut in [0, 1, 8, 20, 33, whole.len() / 2] {
            assert!(decoded(&whole[..cut], Colour::Rgb).is_err(), "{cut} bytes");
        }
        let mut wide = whole.clone();
        wide[16..20].copy_from_slice(&u32::to_be_bytes(1 << 30));
        assert!(decoded(&wide, Colour::Rgb).is_err());
        for bytes in [&b"not a picture"[..], &[0xff, 0xd8], &[0xff, 0xd8, 0xff, 0xe0, 0, 16, 1], &[0x89]] {
            assert!(decoded(bytes, Colour::Grey).is_err());
        }
    }

    #[test]
    fn exif_tells_how_the_camera_was_held() {
        let little = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
        assert_eq!((orientation(little), orientation(big)), (Some(6), Some(8)));
        for cut in 0..little.len() - 4 {
            assert!(orientation(&little[..cut]).is_none_or(|o| o == 6));
        }
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), None);
    }
}
