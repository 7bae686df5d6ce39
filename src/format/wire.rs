//! The few ways in which numbers and strings are written. See "Notation" in `format-spec/README.md`.

use crate::format::{Reject, Time};

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// How much was written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// A variable-length number: seven bits a byte, lowest first.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// A signed number, zigzag-coded.
    pub fn signed(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// A time: signed seconds, nanoseconds.
    pub fn time(&mut self, time: Time) {
        self.signed(time.seconds);
        self.varint(time.nanos.into());
    }
}

/// Takes fields from bytes that may be anything.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Refuses what is left.
    pub fn end(self) -> Result<(), Reject> {
        if self.rest.is_empty() { Ok(()) } else { Err(Reject::TrailingBytes(self.rest.len())) }
    }

    /// This many bytes.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Reject> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Reject::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Reject> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Reject::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Reject> {
        Ok(self.array::<1>()?[0])
    }

    /// One byte that is 0 or 1.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, Reject> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Reject::Unknown { field, value: other.into() }),
        }
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, Reject> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, Reject> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A variable-length number in its shortest form.
    pub fn varint(&mut self) -> Result<u64, Reject> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Reject::Broken("number above 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    return Err(Reject::Broken("number not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(Reject::Broken("number above 64 bits"))
    }

    /// A variable-length number with a limit.
    pub fn bounded(&mut self, field: &'static str, limit: u64) -> Result<u64, Reject> {
        let value = self.varint()?;
        if value > limit { Err(Reject::TooLarge { field, value, limit }) } else { Ok(value) }
    }

    /// A count of things of which each takes at least one byte, so that it can be allocated for.
    pub fn count(&mut self, field: &'static str, limit: u64) -> Result<usize, Reject> {
        let count = self.bounded(field, limit)? as usize;
        if count > self.rest.len() { Err(Reject::Truncated) } else { Ok(count) }
    }

    /// A signed number.
    pub fn signed(&mut self) -> Result<i64, Reject> {
        let value = self.varint()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// A length of at most `limit`, and that many bytes.
    pub fn bytes(&mut self, field: &'static str, limit: u64) -> Result<&'a [u8], Reject> {
        let len = self.bounded(field, limit)?;
        self.raw(len as usize)
    }

    /// A length and that much UTF-8.
    pub fn text(&mut self, field: &'static str, limit: u64) -> Result<String, Reject> {
        let bytes = self.bytes(field, limit)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Reject::Broken("text is not UTF-8"))
    }

    /// A time.
    pub fn time(&mut self) -> Result<Time, Reject> {
        let seconds = self.signed()?;
        let nanos = self.bounded("nanoseconds", 999_999_999)? as u32;
        Ok(Time { seconds, nanos })
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
