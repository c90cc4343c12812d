//! Where a connection comes from, in a balancer's words: the PROXY protocol, v1 and v2.
//!
//! Only peers that the settings list are listened to, and from them a header is required: whether a
//! connection has one is never guessed. It is read byte by byte, so that nothing behind it is taken.
//! Source: The PROXY protocol, HAProxy Technologies, versions 1 & 2 (2020/03/05), §2.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ppp::v2::{Command, Protocol};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What is read before it is known which version speaks. Each header is longer.
const BEGINNING: usize = 12;

/// Bytes of version 2 in front of the addresses.
const FIXED: usize = 16;

/// Longest header of version 1, with its line end. Source: §2.1.
const LONGEST_LINE: usize = 107;

/// Longest header of version 2 that is read: two Unix addresses, and room for what balancers say
/// about TLS. Source: §2.2, which allows 64 KiB.
const LONGEST: usize = 2048;

/// Why a connection of a balancer is not served. Never says what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unannounced {
    /// It begins with something else.
    Missing,
    /// It is no header as the protocol has it.
    Malformed,
    /// It is longer than is read.
    TooLong,
    /// The connection ended before it was whole.
    Ended,
}

impl Unannounced {
    /// The stable code for metrics.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Missing => "proxy-missing",
            Self::Malformed => "proxy-malformed",
            Self::TooLong => "proxy-too-long",
            Self::Ended => "proxy-ended",
        }
    }
}

impl From<io::Error> for Unannounced {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}

/// Reads the header, and nothing behind it. Returns whose connection it is; the balancer's own where it
/// says so, or does not know.
pub(super) async fn announced<S: AsyncRead + Unpin>(
    stream: &mut S,
    balancer: SocketAddr,
) -> Result<SocketAddr, Unannounced> {
    let mut header = Vec::with_capacity(LONGEST_LINE);
    while header.len() < BEGINNING {
        header.push(stream.read_u8().await?);
        let is_begun = [v1::PROTOCOL_PREFIX.as_bytes(), v2::PROTOCOL_PREFIX]
            .iter()
            .any(|prefix| prefix.iter().zip(&header).all(|(expected, read)| expected == read));
        if !is_begun {
            return Err(Unannounced::Missing);
        }
    }
    let said = if header.starts_with(v2::PROTOCOL_PREFIX) {
        binary(stream, header).await
    } else {
        line(stream, header).await
    };
    said.map(|said| said.unwrap_or(balancer))
}

async fn line<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut header: Vec<u8>,
) -> Result<Option<SocketAddr>, Unannounced> {
    while !header.ends_with(b"\r\n") {
        if header.len() >= LONGEST_LINE {
            return Err(Unannounced::TooLong);
        }
        header.push(stream.read_u8().await?);
    }
    // Ports with a sign are read by the library, and are none.
    if header.contains(&b'+') {
        return Err(Unannounced::Malformed);
    }
    let header = v1::Header::try_from(&header[..]).map_err(|_| Unannounced::Malformed)?;
    Ok(match header.addresses {
        // Whatever stands behind it is to be ignored. Source: §2.1.
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(said) => Some((IpAddr::V4(said.source_address), said.source_port)),
        v1::Addresses::Tcp6(said) => Some((IpAddr::V6(said.source_address), said.source_port)),
    }
    .map(SocketAddr::from))
}

async fn binary<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut header: Vec<u8>,
) -> Result<Option<SocketAddr>, Unannounced> {
    header.resize(FIXED, 0);
    stream.read_exact(&mut header[BEGINNING..]).await?;
    let length = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
    if FIXED + length > LONGEST {
        return Err(Unannounced::TooLong);
    }
    header.resize(FIXED + length, 0);
    stream.read_exact(&mut header[FIXED..]).await?;
    let header = v2::Header::try_from(&header[..]).map_err(|_| Unannounced::Malformed)?;
    // The balancer's own connection, to see whether anybody is here; the rest is to be ignored.
    // Source: §2.2.
    if header.command == Command::Local {
        return Ok(None);
    }
    // What more it says is not used, but it must be what the protocol calls so.
    if header.protocol == Protocol::Datagram || header.tlvs().any(|said| said.is_err()) {
        return Err(Unannounced::Malformed);
    }
    Ok(match header.addresses {
        // Sockets of one machine, and what the balancer does not know: its own address stands for it.
        v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        v2::Addresses::IPv4(said) => Some((IpAddr::V4(said.source_address), said.source_port)),
        v2::Addresses::IPv6(said) => Some((IpAddr::V6(said.source_address), said.source_port)),
    }
    .map(SocketAddr::from))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::{LONGEST, Unannounced, announced};

    const BALANCER: &str = "192.0.2.1:99";

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, rest].concat()
    }

    /// What is made of these bytes, sent in pieces of this size, and what is left of the stream.
    async fn read(bytes: &[u8], piece: usize) -> (Result<SocketAddr, Unannounced>, Vec<u8>) {
        let (mut client, mut server) = tokio::io::duplex(piece);
        let bytes = bytes.to_vec();
        let sends = tokio::spawn(async move {
            for piece in bytes.chunks(piece) {
                if client.write_all(piece).await.is_err() {
                    return;
                }
            }
        });
        let balancer = BALANCER.parse().expect("an address");
        let found = announced(&mut server, balancer).await;
        let mut left = Vec::new();
        if found.is_ok() {
            server.read_to_end(&mut left).await.expect("from memory");
        }
        drop(server);
        sends.await.expect("no panic");
        (found, left)
    }

    #[tokio::test]
    async fn a_header_says_whose_connection_it_is_however_it_is_split() {
        let v4 = [203, 0, 113, 7, 192, 0, 2, 1, 0x30, 0x39, 1, 0xbb];
        let v6 =
            [&[0x20, 1, 0xd, 0xb8][..], &[0; 11], &[7], &[0; 16], &[0x30, 0x39, 1, 0xbb]].concat();
        let with_more = [&v4[..], &[4, 0, 2, 0, 0], &[0x20, 0, 5, 1, 0, 0, 0, 0]].concat();
        let longest = [&v4[..], &[4, 7, 0xe1], &vec![0; 0x7e1]].concat();
        let cases = [
            (b"PROXY TCP4 203.0.113.7 192.0.2.1 12345 443\r\n".to_vec(), "203.0.113.7:12345"),
            (b"PROXY TCP6 2001:db8::7 ::1 12345 443\r\n".to_vec(), "[2001:db8::7]:12345"),
            (b"PROXY UNKNOWN\r\n".to_vec(), BALANCER),
            (b"PROXY UNKNOWN ff:: 1.2.3.4 anything 99999\r\n".to_vec(), BALANCER),
            (binary(0x21, 0x11, &v4), "203.0.113.7:12345"),
            (binary(0x21, 0x21, &v6), "[2001:db8::7]:12345"),
            (binary(0x21, 0x11, &with_more), "203.0.113.7:12345"),
            (binary(0x21, 0x11, &longest), "203.0.113.7:12345"),
            // The balancer's own: whatever addresses stand there.
            (binary(0x20, 0x11, &v4), BALANCER),
            (binary(0x20, 0, &[]), BALANCER),
            (binary(0x21, 0, &[1, 0, 1, 9]), BALANCER),
            (binary(0x21, 0x31, &[b'/'; 216]), BALANCER),
        ];
        for (header, expected) in cases {
            assert!(header.len() <= LONGEST);
            for piece in [1, 3, 16, 4096] {
                let (found, left) = read(&[&header[..], b"\x16\x03\x01"].concat(), piece).await;
                let expected = expected.parse().expect("an address");
                assert_eq!(found, Ok(expected), "{}", header.escape_ascii());
                assert_eq!(left, b"\x16\x03\x01", "nothing behind the header is taken");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_not_guessed_at() {
        let v4 = [203, 0, 113, 7, 192, 0, 2, 1, 0x30, 0x39, 1, 0xbb];
        let unended = [&v4[..], &[4, 0, 9, 0, 0]].concat();
        let line = |text: &str| text.as_bytes().to_vec();
        let cases = [
            (line("\x16\x03\x01\x02\0\x01\0\x01"), Unannounced::Missing),
            (line("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Unannounced::Missing),
            (line("PROXZ TCP4 203.0.113.7 192.0.2.1 1 2\r\n"), Unannounced::Missing),
            (line("proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n"), Unannounced::Missing),
            (line("\r\n\r\n\0\r\nQUIX\n"), Unannounced::Missing),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n\r\n"), Unannounced::Malformed),
            (line("PROXY  TCP4 203.0.113.7 192.0.2.1 1 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.07 192.0.2.1 1 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 +1 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 70000 2\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n"), Unannounced::Malformed),
            (line("PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n"), Unannounced::Malformed),
            (line("PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n"), Unannounced::Malformed),
            (line(&format!("PROXY UNKNOWN {}\r\n", "x".repeat(200))), Unannounced::TooLong),
            (line("PROXY TCP4 203.0.113.7 192"), Unannounced::Ended),
            (binary(0x21, 0x11, &v4[..11]), Unannounced::Malformed),
            (binary(0x21, 0x11, &v4)[..20].to_vec(), Unannounced::Ended),
            (binary(0x21, 0x12, &v4), Unannounced::Malformed),
            (binary(0x21, 0x41, &v4), Unannounced::Malformed),
            (binary(0x11, 0x11, &v4), Unannounced::Malformed),
            (binary(0x22, 0x11, &v4), Unannounced::Malformed),
            (binary(0x21, 0x11, &unended), Unannounced::Malformed),
            (binary(0x21, 0x11, &vec![0; LONGEST]), Unannounced::TooLong),
        ];
        for (header, expected) in cases {
            for piece in [1, 4096] {
                let (found, _) = read(&header, piece).await;
                assert_eq!(found, Err(expected), "{}", header.escape_ascii());
            }
        }
    }
}
