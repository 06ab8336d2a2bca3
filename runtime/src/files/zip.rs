//! Zip archives, as far as `.npz` files need them: entries are written as they are, and read as they are or deflated.
//! Layout: PKWARE's APPNOTE, sections 4.3 and 4.4. Every length is checked before it is believed.

use crate::error::{Error, Result};
use std::borrow::Cow;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Deflate cannot do better than this.
const MOST_PER_BYTE: usize = 1032;

fn broken(what: &str) -> Error {
    err!(Io, "zip: {what}")
}

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut c, mut k) = (i as u32, 0);
        while k < 8 {
            c = if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 };
            k += 1;
        }
        table[i] = c;
        i += 1;
    }
    table
}

static CRC: [u32; 256] = crc_table();

/// CRC-32 as zip wants it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |c, &b| CRC[((c ^ u32::from(b)) & 0xff) as usize] ^ (c >> 8))
}

/// An archive that grows.
#[derive(Default)]
pub(super) struct Writer {
    out: Vec<u8>,
    central: Vec<u8>,
    count: u16,
}

impl Writer {
    /// Adds an entry.
    pub(super) fn add(&mut self, name: &str, data: &[u8]) -> Result<()> {
        let (at, size) = (u32::try_from(self.out.len()), u32::try_from(data.len()));
        let (Ok(at), Ok(size), Ok(length), Some(count)) =
            (at, size, u16::try_from(name.len()), self.count.checked_add(1))
        else {
            bail!(Io, "a .npz file ends at 4 GiB and 65535 arrays; safetensors have no such limit");
        };
        self.count = count;
        // Needs version 2.0; no flags but that the name is UTF-8; stored; 1 January 1980.
        let mut head = Vec::new();
        for half in [20u16, 1 << 11, 0, 0, 0x21] {
            head.extend(half.to_le_bytes());
        }
        for word in [crc(data), size, size] {
            head.extend(word.to_le_bytes());
        }
        head.extend(length.to_le_bytes());
        head.extend([0, 0]);
        self.out.extend(LOCAL.to_le_bytes());
        self.out.extend(&head);
        self.out.extend(name.bytes());
        self.out.extend(data);
        self.central.extend(CENTRAL.to_le_bytes());
        self.central.extend(20u16.to_le_bytes());
        self.central.extend(&head);
        self.central.extend([0; 10]);
        self.central.extend(at.to_le_bytes());
        self.central.extend(name.bytes());
        Ok(())
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let (at, size) = (u32::try_from(self.out.len()), u32::try_from(self.central.len()));
        let (Ok(at), Ok(size)) = (at, size) else { bail!(Io, "a .npz file ends at 4 GiB") };
        self.out.extend(&self.central);
        self.out.extend(END.to_le_bytes());
        self.out.extend([0; 4]);
        for half in [self.count, self.count] {
            self.out.extend(half.to_le_bytes());
        }
        for word in [size, at] {
            self.out.extend(word.to_le_bytes());
        }
        self.out.extend([0, 0]);
        Ok(self.out)
    }
}

/// One entry of an archive.
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) name: String,
    method: u16,
    crc: u32,
    size: usize,
    packed: &'a [u8],
}

fn u16_at(bytes: &[u8], at: usize) -> Result<usize> {
    let found = bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u16::from_le_bytes(*b));
    found.map(usize::from).ok_or_else(|| broken("it ends too early"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    let found = bytes.get(at..).and_then(|b| b.first_chunk()).map(|b| u32::from_le_bytes(*b));
    found.ok_or_else(|| broken("it ends too early"))
}

fn part(bytes: &[u8], at: usize, length: usize) -> Result<&[u8]> {
    let end = at.checked_add(length);
    end.and_then(|end| bytes.get(at..end)).ok_or_else(|| broken("it ends too early"))
}

/// The entries of an archive, as its directory at the end lists them.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>> {
    // The record at the end is followed by a comment of at most 64 KiB.
    let last = bytes.len().checked_sub(22).ok_or_else(|| broken("it is shorter than its directory"))?;
    let first = last.saturating_sub(0xffff);
    let end = (first..=last).rev().find(|&at| u32_at(bytes, at).is_ok_and(|m| m == END));
    let end = end.ok_or_else(|| broken("it has no directory"))?;
    let (count, mut at) = (u16_at(bytes, end + 10)?, u32_at(bytes, end + 16)? as usize);
    let mut found = Vec::new();
    for _ in 0..count {
        let head = part(bytes, at, 46)?;
        if u32_at(head, 0)? != CENTRAL {
            return Err(broken("its directory is broken"));
        }
        let (packed, size) = (u32_at(head, 20)?, u32_at(head, 24)?);
        let local = u32_at(head, 42)? as usize;
        if packed == u32::MAX || size == u32::MAX || local == u32::MAX as usize {
            return Err(broken("entries beyond 4 GiB are not read"));
        }
        let lengths = [u16_at(head, 28)?, u16_at(head, 30)?, u16_at(head, 32)?];
        let name = String::from_utf8_lossy(part(bytes, at + 46, lengths[0])?).into_owned();
        if u32_at(bytes, local)? != LOCAL {
            return Err(broken(&format!("'{name}' is not where the directory says")));
        }
        let data = local + 30 + u16_at(bytes, local + 26)? + u16_at(bytes, local + 28)?;
        found.push(Entry {
            method: u16_at(head, 10)? as u16,
            crc: u32_at(head, 16)?,
            size: size as usize,
            packed: part(bytes, data, packed as usize)?,
            name,
        });
        at += 46 + lengths.iter().sum::<usize>();
    }
    Ok(found)
}

impl<'a> Entry<'a> {
    /// Its content.
    pub(super) fn bytes(&self) -> Result<Cow<'a, [u8]>> {
        let name = &self.name;
        let bytes: Cow<'a, [u8]> = match self.method {
            0 => self.packed.into(),
            8 if self.size / MOST_PER_BYTE > self.packed.len() => {
                return Err(broken(&format!("'{name}' cannot be as long as it says")));
            }
            8 => match miniz_oxide::inflate::decompress_to_vec_with_limit(self.packed, self.size) {
                Ok(bytes) => bytes.into(),
                Err(e) => return Err(broken(&format!("'{name}' cannot be unpacked: {e}"))),
            },
            other => return Err(broken(&format!("'{name}' is packed in way {other}, want 0 or 8"))),
        };
        if bytes.len() != self.size || crc(&bytes) != self.crc {
            return Err(broken(&format!("'{name}' is damaged")));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_damage_is_seen() {
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        let mut w = Writer::default();
        w.add("a.npy", b"hello").unwrap();
        w.add("b.npy", b"").unwrap();
        let mut bytes = w.finish().unwrap();
        let all = entries(&bytes).unwrap();
        assert_eq!((all.len(), &*all[0].name, &*all[0].bytes().unwrap()), (2, "a.npy", &b"hello"[..]));
        bytes[36] ^= 1;
        assert!(entries(&bytes).unwrap()[0].bytes().unwrap_err().to_string().contains("damaged"));
    }
}
