//! Uploads of objects of any length: in one go, or in parts.
//!
//! Promise: an object appears whole or not at all; one part is in memory at a time; an upload that is dropped is called off.
//! Left out on purpose: going on with an upload that was cut off by the end of the process. Its parts stay with the server.

use std::io::{self, Write};

use rusty_s3::actions::{AbortMultipartUpload, CompleteMultipartUpload, CreateMultipartUpload, UploadPart};

use crate::http::{Body, Method};
use crate::s3::error::Error;
use crate::s3::{Client, Headers, again, bare, check, texts, xml};

/// Length of a part; objects that are not longer go up in one go.
pub const PART_BYTES: u64 = 16 << 20;
/// Most parts of an object. Of objects that would have more, parts are longer.
const PARTS_MAX: u64 = 10_000;

/// An object on its way up.
pub struct Upload<'c> {
    client: &'c Client,
    key: String,
    headers: Headers,
    bytes: u64,
    part_bytes: usize,
    part: Vec<u8>,
    begun: Option<Parts>,
}

struct Parts {
    upload: String,
    etags: Vec<String>,
}

impl<'c> Upload<'c> {
    /// Begins an object that will have so many bytes.
    pub fn new(client: &'c Client, key: &str, headers: Headers, bytes: u64) -> Result<Self, Error> {
        check(key)?;
        let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_MAX)) as usize;
        Ok(Self { client, key: key.to_owned(), headers, bytes, part_bytes, part: Vec::new(), begun: None })
    }

    /// Makes it an object.
    pub fn finish(mut self) -> Result<(), Error> {
        if self.begun.is_none() {
            self.expect(self.part.len() as u64)?;
            return self.client.put(&self.key, &self.headers, &self.part);
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        if let Some(parts) = &self.begun {
            self.client.complete(&self.key, parts)?;
        }
        // Not every server says in its answer what became of it.
        let there = self.client.head(&self.key)?.bytes;
        self.begun = None;
        self.expect(there)
    }

    fn expect(&self, bytes: u64) -> Result<(), Error> {
        if bytes == self.bytes {
            return Ok(());
        }
        let reason = format!("it has {bytes} bytes, and not {}", self.bytes);
        Err(Error::Answer { what: self.key.clone(), reason })
    }

    /// Sends what is there as the next part.
    fn send(&mut self) -> Result<(), Error> {
        let parts = match self.begun.take() {
            Some(parts) => parts,
            None => Parts { upload: self.client.begin(&self.key, &self.headers)?, etags: Vec::new() },
        };
        let parts = self.begun.insert(parts);
        let etag = self.client.part(&self.key, parts, &self.part)?;
        parts.etags.push(etag);
        self.part.clear();
        Ok(())
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only when more comes: what fills a single part goes up in one go.
        if self.part.len() == self.part_bytes {
            self.send().map_err(io::Error::other)?;
        }
        let taken = bytes.len().min(self.part_bytes - self.part.len());
        self.part.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(parts) = self.begun.take() {
            // The error that led here is the one to tell.
            let _as_far_as_can_be = self.client.call_off(&self.key, &parts);
        }
    }
}

impl Client {
    fn begin(&self, key: &str, headers: &Headers) -> Result<String, Error> {
        let headers = texts(headers)?;
        again(|| {
            let mut action = CreateMultipartUpload::new(&self.bucket, Some(&self.credentials), key);
            let text = xml(self.ask(&mut action, Method::POST, &headers, Body::Empty)?)?;
            let parsed = CreateMultipartUpload::parse_response(&text);
            let parsed = parsed.map_err(|error| Error::Answer { what: key.to_owned(), reason: error.to_string() })?;
            Ok(parsed.upload_id().to_owned())
        })
    }

    fn part(&self, key: &str, parts: &Parts, bytes: &[u8]) -> Result<String, Error> {
        let bad = |reason: String| Error::Answer { what: key.to_owned(), reason };
        let number = u16::try_from(parts.etags.len() + 1).map_err(|_| bad("it has too many parts".to_owned()))?;
        again(|| {
            let mut action = UploadPart::new(&self.bucket, Some(&self.credentials), key, number, &parts.upload);
            let answer = self.ask(&mut action, Method::PUT, &[], Body::Bytes(bytes))?;
            let etag = answer.headers.get("etag").and_then(|etag| etag.to_str().ok()).map(bare);
            etag.filter(|etag| !etag.is_empty()).ok_or_else(|| bad("a part has no tag".to_owned()))
        })
    }

    fn complete(&self, key: &str, parts: &Parts) -> Result<(), Error> {
        let quoted: Vec<String> = parts.etags.iter().map(|etag| format!("\"{etag}\"")).collect();
        again(|| {
            let etags = quoted.iter().map(String::as_str);
            let mut action =
                CompleteMultipartUpload::new(&self.bucket, Some(&self.credentials), key, &parts.upload, etags);
            let body = action.clone().body();
            let text = xml(self.ask(&mut action, Method::POST, &[], Body::Bytes(body.as_bytes()))?)?;
            // A success is promised before it is one: the answer may hold an error all the same.
            match Error::within(&text, self.bucket.name()) {
                Some(error) => Err(error),
                None => Ok(()),
            }
        })
    }

    fn call_off(&self, key: &str, parts: &Parts) -> Result<(), Error> {
        let mut action = AbortMultipartUpload::new(&self.bucket, Some(&self.credentials), key, &parts.upload);
        self.ask(&mut action, Method::DELETE, &[], Body::Empty).map(drop)
    }
}
