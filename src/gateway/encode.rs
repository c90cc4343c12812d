//! Content codings of an answer: minimized bytes in, encoded bytes out, piece by piece.
//!
//! What is encoded is what leaves and nothing else: bytes that were removed never come here, so that
//! no length tells of them. Each piece is flushed, so that a client has it as soon as it has one that
//! is not encoded. Windows are small, since there may be as many of these as requests at once.

use std::io::{self, Write as _};

use brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdEncoder;

use super::codings::Coding;

/// What JSON gets small with at little cost; the levels beyond gain a few percent for twice the time, and
/// brotli from 4 on takes half a megabyte more for each answer.
const GZIP_LEVEL: u32 = 4;
const BROTLI_QUALITY: u32 = 3;
const ZSTD_LEVEL: i32 = 1;

/// Windows of 128 KiB: of zstd, which would take 512 KiB at this level, and of brotli, which would
/// take 4 MiB. gzip has 32 KiB.
const BROTLI_WINDOW_LOG: u32 = 17;
const ZSTD_WINDOW_LOG: u32 = 17;

/// Bytes that brotli collects before it encodes them.
const BROTLI_BUFFER: usize = 4096;

/// Encodes one answer.
pub(super) struct Encoder(Kind);

enum Kind {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(ZstdEncoder<'static, Vec<u8>>),
}

impl Encoder {
    /// Begins an answer.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn new(coding: Coding) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Gzip => Kind::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Coding::Brotli => {
                let (quality, window) = (BROTLI_QUALITY, BROTLI_WINDOW_LOG);
                let encoder = CompressorWriter::new(Vec::new(), BROTLI_BUFFER, quality, window);
                Kind::Brotli(Box::new(encoder))
            }
            Coding::Zstd => {
                let mut encoder = ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                // A body that was damaged on the way is noticed, as with gzip.
                encoder.include_checksum(true)?;
                Kind::Zstd(encoder)
            }
        }))
    }

    /// Encodes a piece. What comes out lets a client read all of it.
    ///
    /// # Errors
    /// The library cannot go on: the answer must break off.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let encoded = match &mut self.0 {
            Kind::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
            Kind::Brotli(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
            Kind::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.flush()?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(encoded))
    }

    /// Encodes the last piece and ends the coding.
    ///
    /// # Errors
    /// As [`piece`](Self::piece).
    pub(super) fn last(self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        match self.0 {
            Kind::Gzip(mut encoder) => {
                encoder.write_all(bytes)?;
                encoder.finish()
            }
            Kind::Brotli(mut encoder) => {
                encoder.write_all(bytes)?;
                Ok(encoder.into_inner())
            }
            Kind::Zstd(mut encoder) => {
                encoder.write_all(bytes)?;
                encoder.finish()
            }
        }
    }
}

/// An answer whose first bytes are at hand.
pub(super) struct Begun {
    /// Encoded, if it is.
    pub(super) first: Vec<u8>,
    pub(super) coding: Option<Coding>,
    /// Encodes the rest, where there is one.
    pub(super) encoder: Option<Encoder>,
}

/// Encodes the first bytes of an answer. Where that fails it is not encoded, which its head may still
/// say.
pub(super) fn begin(first: Vec<u8>, coding: Option<Coding>, is_whole: bool) -> Begun {
    let Some(begun) = coding.and_then(|coding| encoded(&first, coding, is_whole).ok()) else {
        return Begun { first, coding: None, encoder: None };
    };
    begun
}

fn encoded(first: &[u8], coding: Coding, is_whole: bool) -> io::Result<Begun> {
    let mut encoder = Encoder::new(coding)?;
    let (first, encoder) = if is_whole {
        (encoder.last(first)?, None)
    } else {
        (encoder.piece(first)?, Some(encoder))
    };
    Ok(Begun { first, coding: Some(coding), encoder })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::codings::Coding;
    use super::Encoder;

    fn decoded(coding: Coding, encoded: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(encoded).read_to_end(&mut plain),
            Coding::Brotli => brotli::Decompressor::new(encoded, 4096).read_to_end(&mut plain),
            Coding::Zstd => zstd::stream::read::Decoder::new(encoded)?.read_to_end(&mut plain),
        }?;
        Ok(plain)
    }

    /// What can be read of an encoding that has not ended.
    fn begun(coding: Coding, encoded: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut byte = [0];
        let mut reader: Box<dyn std::io::Read> = match coding {
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(encoded)),
            Coding::Brotli => Box::new(brotli::Decompressor::new(encoded, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(encoded).expect("memory")),
        };
        while matches!(reader.read(&mut byte), Ok(1)) {
            plain.push(byte[0]);
        }
        plain
    }

    #[test]
    fn every_coding_can_be_undone_and_each_piece_of_it_at_once() {
        let element = r#"{"id":"u1","name":"Testina Musterfrau"},"#;
        let pieces = [element.repeat(2000), element.to_owned(), String::new(), element.repeat(3)];
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut encoder = Encoder::new(coding).expect("memory");
            let (mut sent, mut plain) = (Vec::new(), String::new());
            for piece in &pieces {
                sent.extend(encoder.piece(piece.as_bytes()).expect("memory"));
                plain.push_str(piece);
                assert_eq!(begun(coding, &sent), plain.as_bytes(), "{coding:?}: at hand");
            }
            sent.extend(encoder.last(b"]").expect("memory"));
            plain.push(']');
            assert_eq!(decoded(coding, &sent).expect("whole"), plain.as_bytes(), "{coding:?}");
            assert!(sent.len() * 10 < plain.len(), "{coding:?}: {}", sent.len());
            let cut = sent.len() - 1;
            assert!(decoded(coding, &sent[..cut]).is_err(), "{coding:?}: a cut can be told");

            let whole = Encoder::new(coding).and_then(|encoder| encoder.last(plain.as_bytes()));
            assert_eq!(decoded(coding, &whole.expect("memory")).expect("whole"), plain.as_bytes());
        }
    }
}
