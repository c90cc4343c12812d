//! Pictures without what is told beside the picture: place, time, camera, names, comments, thumbnails
//! of what was cut away, and whatever rides behind the end.
//!
//! By allow-list: only what is needed to draw the picture is written. A colour profile is not, since
//! it holds texts of its own; nor is the orientation, which stands among the metadata. Bytes in, bytes
//! out; what is no whole picture of its type gives none.
//! Source: ITU-T T.81 Annex B; W3C PNG (Third Edition) §5, §11; RFC 9649 §2.

use crate::terms::Picture;

/// The picture alone. `None`: it is no whole picture of this kind.
#[must_use]
pub fn alone(kind: Picture, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Picture::Jpeg => jpeg(bytes),
        Picture::Png => png(bytes),
        Picture::WebP => webp(bytes),
    }
}

/// Reads from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

fn jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    const START: [u8; 2] = [0xff, 0xd8];
    const END: u8 = 0xd9;
    let mut rest = Reader(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    if rest.array()? != START {
        return None;
    }
    out.extend_from_slice(&START);
    let mut is_drawn = false;
    loop {
        let [0xff, mut marker] = rest.array()? else { return None };
        // Fill bytes may stand before a marker.
        while marker == 0xff {
            [marker] = rest.array()?;
        }
        if marker == END {
            out.extend_from_slice(&[0xff, END]);
            // What rides behind the end (another picture, a film) is not of this one.
            return is_drawn.then_some(out);
        }
        let length = rest.array()?;
        let content = rest.take(usize::from(u16::from_be_bytes(length)).checked_sub(2)?)?;
        let is_kept = match marker {
            // Frames, tables, restarts, scans. The others are lossless or differential, and not drawn
            // by anybody.
            0xc0..=0xc2 | 0xc4 | 0xda | 0xdb | 0xdd => true,
            // JFIF, without a thumbnail; Adobe's word on colours. Both of one length only.
            0xe0 => {
                content.len() == 14 && content.starts_with(b"JFIF\0") && content.ends_with(&[0, 0])
            }
            0xee => content.len() == 12 && content.starts_with(b"Adobe"),
            // EXIF, XMP, IPTC, profiles, makers' notes, comments.
            0xe1..=0xed | 0xef | 0xfe => false,
            _ => return None,
        };
        if is_kept {
            out.extend_from_slice(&[0xff, marker]);
            out.extend_from_slice(&length);
            out.extend_from_slice(content);
        }
        if marker == 0xda {
            let scan = scan_length(rest.0)?;
            out.extend_from_slice(rest.take(scan)?);
            is_drawn = true;
        }
    }
}

/// The length of entropy-coded data: up to the next marker that is no restart.
fn scan_length(bytes: &[u8]) -> Option<usize> {
    let is_end = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
    bytes.windows(2).position(is_end)
}

fn png(bytes: &[u8]) -> Option<Vec<u8>> {
    const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
    const KEPT: [&[u8; 4]; 13] = [
        b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD",
        b"acTL", b"fcTL", b"fdAT",
    ];
    let mut rest = Reader(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    if rest.array()? != SIGNATURE {
        return None;
    }
    out.extend_from_slice(&SIGNATURE);
    let (mut is_first, mut is_drawn) = (true, false);
    loop {
        let length: [u8; 4] = rest.array()?;
        let kind: [u8; 4] = rest.array()?;
        let content = rest.take(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        let check: [u8; 4] = rest.array()?;
        // Capital first letter: nobody can draw the picture without it.
        let is_kept = KEPT.contains(&&kind);
        let is_needed = kind[0].is_ascii_uppercase();
        if (is_first && &kind != b"IHDR") || (is_needed && !is_kept) {
            return None;
        }
        is_first = false;
        is_drawn |= &kind == b"IDAT";
        if is_kept {
            for part in [&length[..], &kind, content, &check] {
                out.extend_from_slice(part);
            }
        }
        if &kind == b"IEND" {
            return (is_drawn && content.is_empty()).then_some(out);
        }
    }
}

fn webp(bytes: &[u8]) -> Option<Vec<u8>> {
    /// Flags of a profile, EXIF and XMP.
    const TOLD: u8 = 0x20 | 0x08 | 0x04;
    let mut rest = Reader(bytes);
    if rest.array()? != *b"RIFF" {
        return None;
    }
    let size = usize::try_from(u32::from_le_bytes(rest.array()?)).ok()?;
    let mut rest = Reader(rest.take(size)?);
    if rest.array()? != *b"WEBP" {
        return None;
    }
    let mut body = b"WEBP".to_vec();
    let mut is_drawn = false;
    while !rest.0.is_empty() {
        let kind: [u8; 4] = rest.array()?;
        let length: [u8; 4] = rest.array()?;
        let size = usize::try_from(u32::from_le_bytes(length)).ok()?;
        let content = rest.take(size)?;
        if size % 2 == 1 {
            rest.take(1)?;
        }
        let mut content = content.to_vec();
        match &kind {
            b"VP8X" => *content.first_mut()? &= !TOLD,
            b"VP8 " | b"VP8L" => is_drawn = true,
            b"ALPH" => {}
            // A film holds chunks of its own in each frame.
            b"ANIM" | b"ANMF" => return None,
            _ => continue,
        }
        body.extend_from_slice(&kind);
        body.extend_from_slice(&length);
        body.extend_from_slice(&content);
        if size % 2 == 1 {
            body.push(0);
        }
    }
    let size = u32::try_from(body.len()).ok()?.to_le_bytes();
    is_drawn.then(|| [&b"RIFF"[..], &size, &body].concat())
}

#[cfg(test)]
mod tests {
    use super::alone;
    use crate::terms::Picture;

    fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len() + 2).expect("short").to_be_bytes();
        [&[0xff, marker][..], &length, content].concat()
    }

    fn chunk(kind: &[u8], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("short").to_be_bytes();
        // The checksum is not looked at: what is kept is kept as it is.
        [&length, kind, content, b"crc!"].concat()
    }

    fn riff(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut body = b"WEBP".to_vec();
        for (kind, content) in chunks {
            body.extend_from_slice(*kind);
            body.extend_from_slice(&u32::try_from(content.len()).expect("short").to_le_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(&[0][..content.len() % 2]);
        }
        let size = u32::try_from(body.len()).expect("short").to_le_bytes();
        [&b"RIFF"[..], &size, &body].concat()
    }

    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    const JFIF: &[u8] = b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0";

    /// Of each kind: one that tells, and the same alone.
    fn pictures() -> [(Picture, Vec<u8>, Vec<u8>); 3] {
        let scan = [&segment(0xda, b"scan")[..], b"\x01\xff\x00\x02\xff\xd0\x03"].concat();
        let drawn = [segment(0xdb, b"table"), segment(0xc0, b"frame"), scan.clone()].concat();
        let jpeg = [
            &[0xff, 0xd8][..],
            &segment(0xe0, JFIF),
            &segment(0xe1, b"Exif\0\0CANARY"),
            &segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0CANARY"),
            &segment(0xed, b"Photoshop 3.0\0CANARY"),
            &segment(0xe2, b"ICC_PROFILE\0CANARY"),
            &segment(0xfe, b"CANARY"),
            &segment(0xe0, b"JFXX\0CANARY"),
            &[0xff],
            &drawn,
            &segment(0xe1, b"CANARY"),
            &scan,
            &[0xff, 0xd9],
            b"CANARY",
        ]
        .concat();
        let jpeg_alone =
            [&[0xff, 0xd8][..], &segment(0xe0, JFIF), &drawn, &scan, &[0xff, 0xd9]].concat();

        let (head, data) = (chunk(b"IHDR", b"head"), chunk(b"IDAT", b"data"));
        let end = chunk(b"IEND", b"");
        let png = [
            SIGNATURE,
            &head,
            &chunk(b"tEXt", b"Author\0CANARY"),
            &chunk(b"eXIf", b"CANARY"),
            &chunk(b"iTXt", b"XML:com.adobe.xmp\0CANARY"),
            &chunk(b"prIv", b"CANARY"),
            &data,
            &end,
            b"CANARY",
        ]
        .concat();
        let png_alone = [SIGNATURE, &head, &data, &end].concat();

        let webp = riff(&[
            (b"VP8X", &[0x3c, 0, 0, 0, 1, 0, 0, 1, 0, 0]),
            (b"ICCP", b"CANARY"),
            (b"ALPH", b"abc"),
            (b"VP8 ", b"drawn"),
            (b"EXIF", b"CANARY!"),
            (b"XMP ", b"CANARY"),
        ]);
        let webp = [&webp, &b"CANARY"[..]].concat();
        let webp_alone = riff(&[
            (b"VP8X", &[0x10, 0, 0, 0, 1, 0, 0, 1, 0, 0]),
            (b"ALPH", b"abc"),
            (b"VP8 ", b"drawn"),
        ]);
        [
            (Picture::Jpeg, jpeg, jpeg_alone),
            (Picture::Png, png, png_alone),
            (Picture::WebP, webp, webp_alone),
        ]
    }

    #[test]
    fn nothing_is_told_beside_the_picture() {
        for (kind, told, expected) in pictures() {
            let got = alone(kind, &told).expect("a picture");
            assert_eq!(got, expected, "{kind:?}");
            assert_eq!(alone(kind, &got), Some(got.clone()), "{kind:?} twice");
        }
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_no_picture() {
        for (kind, _, whole) in pictures() {
            for cut in 0..whole.len() {
                assert_eq!(alone(kind, &whole[..cut]), None, "{kind:?} {cut}");
            }
            for (_, other, _) in pictures().into_iter().filter(|(other, ..)| *other != kind) {
                assert_eq!(alone(kind, &other), None, "{kind:?}");
            }
            assert_eq!(Picture::of_media_type(kind.media_type()), Some(kind));
        }
        let film = riff(&[(b"VP8 ", b"x!"), (b"ANMF", b"CANARY")]);
        assert_eq!(alone(Picture::WebP, &film), None);
        let unknown = [SIGNATURE, &chunk(b"IHDR", b""), &chunk(b"NEED", b"CANARY")].concat();
        assert_eq!(alone(Picture::Png, &unknown), None);
        for other in ["image/gif", "image/svg+xml", "image/JPEG", "text/html", ""] {
            assert_eq!(Picture::of_media_type(other), None, "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail(bytes: Vec<u8>, at in 0_usize..64, with: u8) {
            for (kind, mut told, _) in pictures() {
                let _ = alone(kind, &bytes);
                let length = told.len();
                told[at % length] = with;
                let _ = alone(kind, &told);
            }
        }
    }
}
