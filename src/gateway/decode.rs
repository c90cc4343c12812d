//! Content codings of a backend's answer: exactly the ones listed here are undone, whole, with their
//! checksums, under a bound on size and ratio. Everything else ends the answer.
//!
//! Encoded bytes come in piece by piece, decoded bytes go out; memory is bounded by the ratio times
//! one piece. A second gzip member or zstd frame is decoded like the first, so that nothing rides
//! behind the end. Source: RFC 9110 §8.4, RFC 1950–1952, RFC 7932, RFC 8878.

use std::io::{self, Write};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

/// How much is decoded at a time, so that a bomb is seen before it has unfolded.
const PIECE: usize = 4 * 1024;

/// Decoded bytes that are allowed whatever the ratio: a short answer of blanks is no bomb.
const SLACK: u64 = 64 * 1024;

/// Largest zstd window, as RFC 8878 §3.1.1.1.2 recommends: 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body could not be decoded. Never says what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    /// A coding that is not decoded, or several.
    #[error("content coding is not decoded")]
    Coding,
    /// The encoded bytes are broken, or something follows their end.
    #[error("content coding is corrupt")]
    Corrupt,
    /// They end in the middle.
    #[error("content coding is incomplete")]
    Incomplete,
    /// Larger than the limit.
    #[error("body too large")]
    Size,
    /// Unfolds more than the limit allows.
    #[error("body unfolds too much")]
    Ratio,
}

impl DecodeError {
    /// The stable code for logs and metrics.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Coding => "coding",
            Self::Corrupt => "coding-corrupt",
            Self::Incomplete => "coding-incomplete",
            Self::Size => "size",
            Self::Ratio => "ratio",
        }
    }
}

/// Undoes the content coding of one body.
pub(super) struct Decoder {
    coding: Coding,
    bytes: Bytes,
}

enum Coding {
    Identity,
    Gzip(Box<MultiGzDecoder<Sink>>),
    Deflate { inflate: Option<Decompress>, ended: bool },
    Brotli { state: Box<Brotli>, ended: bool },
    Zstd { decoder: zstd::stream::raw::Decoder<'static>, between_frames: bool },
}

type Brotli = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

/// How much went in and came out, and how much may.
#[derive(Clone, Copy)]
struct Bytes {
    taken: u64,
    given: u64,
    limit: u64,
    ratio: u64,
}

impl Bytes {
    fn give(&mut self, more: usize) -> Result<(), DecodeError> {
        self.given = self.given.saturating_add(more as u64);
        if self.given > self.limit {
            return Err(DecodeError::Size);
        }
        if self.given > self.taken.saturating_mul(self.ratio).saturating_add(SLACK) {
            return Err(DecodeError::Ratio);
        }
        Ok(())
    }
}

impl Decoder {
    /// The decoder for an answer with these headers. `limit`: most decoded bytes; `ratio`: most
    /// decoded bytes per encoded one.
    pub(super) fn of(headers: &HeaderMap, limit: u64, ratio: u32) -> Result<Self, DecodeError> {
        let mut codings = headers.get_all(CONTENT_ENCODING).iter();
        let name = codings.next().map_or(Ok("identity"), |value| value.to_str());
        let name = name.map_err(|_| DecodeError::Coding)?.trim().to_ascii_lowercase();
        if codings.next().is_some() {
            return Err(DecodeError::Coding);
        }
        let bytes = Bytes { taken: 0, given: 0, limit, ratio: ratio.into() };
        let coding = match name.as_str() {
            "identity" => Coding::Identity,
            "gzip" | "x-gzip" => Coding::Gzip(Box::new(MultiGzDecoder::new(Sink::new(bytes)))),
            "deflate" => Coding::Deflate { inflate: None, ended: false },
            "br" => {
                let alloc = StandardAlloc::default;
                let state = Brotli::new(alloc(), alloc(), alloc());
                Coding::Brotli { state: Box::new(state), ended: false }
            }
            "zstd" => {
                let mut decoder =
                    zstd::stream::raw::Decoder::new().map_err(|_| DecodeError::Coding)?;
                decoder
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG))
                    .map_err(|_| DecodeError::Coding)?;
                Coding::Zstd { decoder, between_frames: true }
            }
            _ => return Err(DecodeError::Coding),
        };
        Ok(Self { coding, bytes })
    }

    /// Whether what goes in comes out, and no more.
    pub(super) const fn is_identity(&self) -> bool {
        matches!(self.coding, Coding::Identity)
    }

    /// Decodes `encoded`, handing on what comes out in pieces of bounded size.
    pub(super) fn push<E: From<DecodeError>>(
        &mut self,
        encoded: &[u8],
        mut on: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if matches!(self.coding, Coding::Identity) {
            // The usual case: nothing is copied.
            self.bytes.taken += encoded.len() as u64;
            self.bytes.give(encoded.len())?;
            return on(encoded);
        }
        let mut decoded = Vec::new();
        for piece in encoded.chunks(PIECE) {
            self.bytes.taken += piece.len() as u64;
            self.decode(piece, &mut decoded)?;
            if !decoded.is_empty() {
                on(&decoded)?;
                decoded.clear();
            }
        }
        Ok(())
    }

    fn decode(&mut self, piece: &[u8], decoded: &mut Vec<u8>) -> Result<(), DecodeError> {
        let bytes = &mut self.bytes;
        match &mut self.coding {
            Coding::Identity => {
                decoded.extend_from_slice(piece);
                bytes.give(piece.len())
            }
            Coding::Gzip(gzip) => {
                gzip.get_mut().bytes.taken = bytes.taken;
                let written = gzip.write_all(piece).and_then(|()| gzip.flush());
                let sink = gzip.get_mut();
                if let Some(error) = sink.refused {
                    return Err(error);
                }
                written.map_err(|_| DecodeError::Corrupt)?;
                decoded.append(&mut sink.decoded);
                Ok(())
            }
            Coding::Deflate { inflate, ended } => {
                let inflate = inflate.get_or_insert_with(|| Decompress::new(is_zlib(piece)));
                inflate_piece(inflate, ended, piece, decoded, bytes)
            }
            Coding::Brotli { state, ended } => brotli_piece(state, ended, piece, decoded, bytes),
            Coding::Zstd { decoder, between_frames } => {
                zstd_piece(decoder, between_frames, piece, decoded, bytes)
            }
        }
    }

    /// The body is complete: so must be its coding.
    pub(super) fn finish<E: From<DecodeError>>(
        &mut self,
        on: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.coding {
            Coding::Identity => Ok(()),
            Coding::Gzip(gzip) => {
                let finished = gzip.try_finish();
                let sink = gzip.get_mut();
                if let Some(error) = sink.refused {
                    return Err(error.into());
                }
                // It cannot be told whether the checksum was wrong or missing; both end the answer.
                finished.map_err(|_| DecodeError::Incomplete)?;
                on(&sink.decoded)
            }
            Coding::Deflate { ended: true, .. }
            | Coding::Brotli { ended: true, .. }
            | Coding::Zstd { between_frames: true, .. } => Ok(()),
            Coding::Deflate { ended: false, .. }
            | Coding::Brotli { ended: false, .. }
            | Coding::Zstd { between_frames: false, .. } => Err(DecodeError::Incomplete.into()),
        }
    }
}

/// "deflate" is zlib, and some backends send raw deflate. Source: RFC 9110 §8.4.1.2, RFC 1950 §2.2.
fn is_zlib(first: &[u8]) -> bool {
    match *first {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31)
        }
        // One byte is not enough to tell; a zlib header is what the standard asks for.
        [_] | [] => true,
    }
}

fn inflate_piece(
    inflate: &mut Decompress,
    ended: &mut bool,
    mut piece: &[u8],
    decoded: &mut Vec<u8>,
    bytes: &mut Bytes,
) -> Result<(), DecodeError> {
    let mut buffer = [0; 16 * 1024];
    loop {
        if *ended {
            return if piece.is_empty() { Ok(()) } else { Err(DecodeError::Corrupt) };
        }
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate
            .decompress(piece, &mut buffer, FlushDecompress::None)
            .map_err(|_| DecodeError::Corrupt)?;
        let taken = count(inflate.total_in() - before_in);
        let given = count(inflate.total_out() - before_out);
        piece = piece.get(taken..).unwrap_or_default();
        bytes.give(given)?;
        decoded.extend_from_slice(buffer.get(..given).unwrap_or_default());
        match status {
            Status::StreamEnd => *ended = true,
            Status::Ok | Status::BufError if piece.is_empty() && given < buffer.len() => {
                return Ok(());
            }
            Status::Ok | Status::BufError if taken == 0 && given == 0 => {
                return Err(DecodeError::Corrupt);
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

fn count(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn brotli_piece(
    state: &mut Brotli,
    ended: &mut bool,
    piece: &[u8],
    decoded: &mut Vec<u8>,
    bytes: &mut Bytes,
) -> Result<(), DecodeError> {
    let mut buffer = [0; 16 * 1024];
    let (mut left, mut at) = (piece.len(), 0);
    loop {
        if *ended {
            return if left == 0 { Ok(()) } else { Err(DecodeError::Corrupt) };
        }
        let (mut room, mut given, mut total) = (buffer.len(), 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut at,
            piece,
            &mut room,
            &mut given,
            &mut buffer,
            &mut total,
            state,
        );
        bytes.give(given)?;
        decoded.extend_from_slice(buffer.get(..given).unwrap_or_default());
        match result {
            BrotliResult::ResultSuccess => *ended = true,
            BrotliResult::NeedsMoreOutput => {}
            BrotliResult::NeedsMoreInput => return Ok(()),
            BrotliResult::ResultFailure => return Err(DecodeError::Corrupt),
        }
    }
}

fn zstd_piece(
    zstd: &mut zstd::stream::raw::Decoder<'static>,
    between_frames: &mut bool,
    piece: &[u8],
    decoded: &mut Vec<u8>,
    bytes: &mut Bytes,
) -> Result<(), DecodeError> {
    let mut buffer = [0; 16 * 1024];
    let mut input = InBuffer::around(piece);
    loop {
        let mut output = OutBuffer::around(&mut buffer[..]);
        let hint = zstd.run(&mut input, &mut output).map_err(|_| DecodeError::Corrupt)?;
        *between_frames = hint == 0;
        let given = output.pos();
        bytes.give(given)?;
        decoded.extend_from_slice(buffer.get(..given).unwrap_or_default());
        if input.pos() == piece.len() && given < buffer.len() {
            return Ok(());
        }
    }
}

/// Takes what gzip decodes, within bounds.
struct Sink {
    decoded: Vec<u8>,
    bytes: Bytes,
    refused: Option<DecodeError>,
}

impl Sink {
    const fn new(bytes: Bytes) -> Self {
        Self { decoded: Vec::new(), bytes, refused: None }
    }
}

impl Write for Sink {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.bytes.give(decoded.len()) {
            self.refused = Some(error);
            return Err(io::ErrorKind::Other.into());
        }
        self.decoded.extend_from_slice(decoded);
        Ok(decoded.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use http::{HeaderMap, HeaderValue};

    use super::{DecodeError, Decoder};

    const BODY: &[u8] = br#"{"name":"Testina Musterfrau","email":"testina@example.invalid"}"#;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(body: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).expect("memory");
        encoder.finish().expect("memory")
    }

    fn brotli(body: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        brotli::CompressorWriter::new(&mut encoded, 4096, 5, 20).write_all(body).expect("memory");
        encoded
    }

    fn zstd(body: &[u8]) -> Vec<u8> {
        zstd::encode_all(body, 3).expect("memory")
    }

    /// Every coding, with its encoder.
    #[expect(clippy::type_complexity, reason = "a table")]
    const CODINGS: [(&str, fn(&[u8]) -> Vec<u8>); 6] = [
        ("identity", <[u8]>::to_vec),
        ("gzip", gzip),
        ("deflate", zlib),
        ("deflate", deflate),
        ("br", brotli),
        ("zstd", zstd),
    ];

    fn headers(codings: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for coding in codings {
            let value = HeaderValue::from_str(coding).expect("visible");
            headers.append(http::header::CONTENT_ENCODING, value);
        }
        headers
    }

    fn decode(coding: &str, encoded: &[u8], chunk: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::of(&headers(&[coding]), 1 << 20, 100)?;
        let mut plain = Vec::new();
        for piece in encoded.chunks(chunk) {
            decoder.push(piece, |part| {
                plain.extend_from_slice(part);
                Ok::<_, DecodeError>(())
            })?;
        }
        decoder.finish(|part| {
            plain.extend_from_slice(part);
            Ok::<_, DecodeError>(())
        })?;
        Ok(plain)
    }

    #[test]
    fn every_coding_is_undone_at_every_chunk_size() {
        for (name, encode) in CODINGS {
            let encoded = encode(BODY);
            for chunk in 1..=encoded.len() {
                // One byte does not tell zlib from raw deflate; backends do not send single bytes.
                if name == "deflate" && chunk == 1 && !super::is_zlib(&encoded) {
                    continue;
                }
                assert_eq!(decode(name, &encoded, chunk).as_deref(), Ok(BODY), "{name} {chunk}");
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_anywhere_is_not_complete() {
        for (name, encode) in CODINGS.into_iter().filter(|(name, _)| *name != "identity") {
            let encoded = encode(BODY);
            for cut in 1..encoded.len() {
                let error = decode(name, &encoded[..cut], 7);
                assert!(error.is_err(), "{name} cut at {cut} of {}: {error:?}", encoded.len());
            }
        }
    }

    #[test]
    fn nothing_rides_behind_the_end() {
        let twice = [BODY, BODY].concat();
        for (name, encode) in CODINGS.into_iter().filter(|(name, _)| *name != "identity") {
            let mut trailing = encode(BODY);
            trailing.extend_from_slice(b"\"CANARY\"");
            assert!(decode(name, &trailing, 4096).is_err(), "{name}: bytes after the end");
            assert!(decode(name, &trailing, 1).is_err() || name == "deflate", "{name}: one by one");

            let second = [encode(BODY), encode(BODY)].concat();
            let expected = match name {
                "gzip" | "zstd" => Ok(twice.as_slice()),
                _ => Err(&DecodeError::Corrupt),
            };
            assert_eq!(decode(name, &second, 4096).as_deref(), expected, "{name}: second member");
        }
    }

    #[test]
    fn a_flipped_bit_is_seen_where_there_is_a_checksum() {
        for (name, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", zlib)] {
            let encoded = encode(BODY);
            let last = encoded.len() - 6;
            let mut flipped = encoded.clone();
            flipped[last] ^= 0x40;
            assert!(decode(name, &flipped, 4096).is_err(), "{name}");
        }
    }

    #[test]
    fn a_bomb_is_refused_early() {
        let bomb = vec![b' '; 64 << 20];
        for (name, encode) in CODINGS {
            let error = decode(name, &encode(&bomb), 64 * 1024);
            assert!(
                matches!(error, Err(DecodeError::Ratio | DecodeError::Size)),
                "{name}: {:?}",
                error.map(|decoded| decoded.len())
            );
        }
    }

    #[test]
    fn unknown_several_and_lying_codings_are_refused() {
        for codings in [
            &["compress"][..],
            &["gzip, gzip"],
            &["gzip", "br"],
            &["identity, gzip"],
            &[""],
            &["GZIP;q=1"],
            &["aes128gcm"],
        ] {
            let refused = Decoder::of(&headers(codings), 1 << 20, 100).err();
            assert_eq!(refused, Some(DecodeError::Coding), "{codings:?}");
        }
        for name in ["gzip", "br", "zstd", "deflate"] {
            assert!(decode(name, BODY, 4096).is_err(), "{name} that is none");
            assert!(decode(name, b"", 4096).is_err() || name == "zstd", "empty {name}");
        }
    }
}
