//! Pictures as JPEG and PNG files, by two crates in safe Rust.

use crate::error::Result;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Rows of pixels: grey, or red, green and blue.
#[derive(Clone, Copy)]
pub struct Pixels<'a> {
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// 1 or 3 bytes of a pixel.
    pub channels: usize,
    /// All of them.
    pub bytes: &'a [u8],
}

impl Pixels<'_> {
    /// The sides, as a file holds them.
    fn sides<T: TryFrom<usize>>(&self, kind: &str) -> Result<(T, T)> {
        let (h, w) = (self.height, self.width);
        let fits = (h > 0 && w > 0).then(|| Some((T::try_from(w).ok()?, T::try_from(h).ok()?))).flatten();
        fits.ok_or_else(|| err!(Shape, "a {kind} file cannot hold {w}x{h} pixels"))
    }

    fn check(&self) -> Result<()> {
        let want = self.height.checked_mul(self.width).and_then(|n| n.checked_mul(self.channels));
        if !matches!(self.channels, 1 | 3) || want != Some(self.bytes.len()) {
            bail!(
                Shape,
                "pixels of 1 or 3 bytes are wanted, got {} bytes of {}",
                self.bytes.len(),
                self.channels
            );
        }
        Ok(())
    }
}

/// A JPEG file. Above quality 90 colours keep their full resolution.
pub fn jpeg(p: Pixels<'_>, quality: u8) -> Result<Vec<u8>> {
    p.check()?;
    let (width, height) = p.sides::<u16>("JPEG")?;
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality.clamp(1, 100));
    encoder.set_sampling_factor(if quality > 90 { SamplingFactor::R_4_4_4 } else { SamplingFactor::R_4_2_0 });
    let colour = if p.channels == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder
        .encode(p.bytes, width, height, colour)
        .map_err(|e| err!(Argument, "the picture cannot be encoded: {e}"))?;
    Ok(file)
}

/// A PNG file; `level` from 0 for large and fast to 9 for small.
pub fn png(p: Pixels<'_>, level: u8) -> Result<Vec<u8>> {
    p.check()?;
    let (width, height) = p.sides::<u32>("PNG")?;
    let failed = |e: png::EncodingError| err!(Argument, "the picture cannot be encoded: {e}");
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(if p.channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(match level {
        0 => png::Compression::NoCompression,
        1..=3 => png::Compression::Fast,
        4..=6 => png::Compression::Balanced,
        _ => png::Compression::High,
    });
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(p.bytes).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{Colour, decode, size};

    fn decoded(file: &[u8], colour: Colour) -> (usize, usize, Vec<u8>) {
        let (h, w) = size(file).unwrap();
        let mut out = vec![0; h * w * if colour == Colour::Grey { 1 } else { 3 }];
        decode(file, colour, &mut out).unwrap();
        (h, w, out)
    }

    #[test]
    fn what_is_written_is_read() {
        let ramp: Vec<u8> = (0..13 * 17)
            .flat_map(|i| [40 + (i % 17) * 12, 60 + (i / 17) * 10, 200 - (i % 17) * 5])
            .map(|v: i32| v as u8)
            .collect();
        let p = Pixels { height: 13, width: 17, channels: 3, bytes: &ramp };
        for level in [0, 1, 5, 9] {
            assert_eq!(decoded(&png(p, level).unwrap(), Colour::Rgb), (13, 17, ramp.clone()));
        }
        for (quality, off) in [(100, 3), (95, 6), (50, 40)] {
            let (h, w, back) = decoded(&jpeg(p, quality).unwrap(), Colour::Rgb);
            let worst = back.iter().zip(&ramp).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
            assert!((h, w) == (13, 17) && worst <= off, "quality {quality}: {worst}");
        }
        let grey = Pixels { height: 3, width: 2, channels: 1, bytes: &[0, 50, 100, 150, 200, 250] };
        assert_eq!(decoded(&png(grey, 3).unwrap(), Colour::Grey).2, grey.bytes);
        assert_eq!(decoded(&jpeg(grey, 100).unwrap(), Colour::Grey).2.len(), 6);
    }

    #[test]
    fn what_no_file_can_hold_is_refused() {
        let p = |height, width, channels, bytes| Pixels { height, width, channels, bytes };
        assert!(jpeg(p(0, 4, 3, &[]), 95).is_err());
        assert!(png(p(2, 2, 2, &[0; 8]), 3).is_err());
        assert!(png(p(2, 2, 3, &[0; 8]), 3).is_err());
        assert!(jpeg(p(1, 70000, 1, &[0; 70000]), 95).is_err());
    }
}
