//! The PROXY protocol, versions 1 and 2: a TCP proxy names its client ahead of the stream.
//!
//! Source: "The PROXY protocol", HAProxy, sections 2.1 and 2.2.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

/// §2.2: what version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// §2.1: "a 107-byte buffer is always enough to store all the line".
const LINE_BYTES_MAX: usize = 107;
/// More extensions than any proxy sends.
const HEADER_BYTES_MAX: usize = 4096;
/// §2.2.5: the extension that tells about TLS, and its bit for "the client connected over it".
const SSL: u8 = 0x20;
const CLIENT_SSL: u8 = 0x01;

/// Whom the proxy speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// None: for itself, as in a health check.
    pub(crate) client: Option<SocketAddr>,
    /// The client's TLS ends at the proxy.
    pub(crate) is_secure: bool,
}

/// Reads the header and not a byte more.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        return read_binary(stream).await;
    }
    if !start.starts_with(b"PROXY ") {
        return Err(wrong());
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE_BYTES_MAX {
            return Err(wrong());
        }
        line.push(stream.read_u8().await?);
    }
    std::str::from_utf8(&line).ok().and_then(line_origin).ok_or_else(wrong)
}

fn wrong() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "not a PROXY protocol header")
}

/// §2.1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, or `PROXY UNKNOWN` and anything.
fn line_origin(line: &str) -> Option<Origin> {
    let mut words = line.trim_end().split(' ').skip(1);
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Origin::default());
    }
    let ip: IpAddr = words.next()?.parse().ok()?;
    let port = words.nth(1)?.parse().ok()?;
    let is_right = match family {
        "TCP4" => ip.is_ipv4(),
        "TCP6" => ip.is_ipv6(),
        _ => false,
    };
    let client = Some(SocketAddr::new(ip.to_canonical(), port));
    is_right.then_some(Origin { client, is_secure: false })
}

/// §2.2, behind the signature.
async fn read_binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Origin> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || length > HEADER_BYTES_MAX {
        return Err(wrong());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (command & 0x0F, family) {
        (0, _) => Ok(Origin::default()),
        (1, 0x11) => binary_origin::<4>(&rest).ok_or_else(wrong),
        (1, 0x21) => binary_origin::<16>(&rest).ok_or_else(wrong),
        // "the receiver should ignore address information" of families it does not know.
        (1, _) => Ok(Origin::default()),
        _ => Err(wrong()),
    }
}

/// Addresses of `N` bytes, ports, then extensions.
fn binary_origin<const N: usize>(bytes: &[u8]) -> Option<Origin> {
    let (ip, rest) = bytes.split_first_chunk::<N>()?;
    let (_, rest) = rest.split_first_chunk::<N>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let (_, extensions) = rest.split_first_chunk::<2>()?;
    let ip = match ip.as_slice().try_into().map(Ipv4Addr::from_octets) {
        Ok(ip) => IpAddr::V4(ip),
        Err(_) => IpAddr::V6(Ipv6Addr::from_octets(ip.as_slice().try_into().ok()?)),
    };
    let client = Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)));
    Some(Origin { client, is_secure: tells_tls(extensions)? })
}

/// Walks the extensions: type, length, value.
fn tells_tls(mut extensions: &[u8]) -> Option<bool> {
    let mut is_secure = false;
    while let Some((&[kind, high, low], rest)) = extensions.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, next) = rest.split_at_checked(length)?;
        if kind == SSL {
            is_secure = value.first().is_some_and(|client| client & CLIENT_SSL != 0);
        }
        extensions = next;
    }
    extensions.is_empty().then_some(is_secure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a header says, and what is left behind it.
    async fn ask(bytes: &[u8]) -> Result<(String, usize), ErrorKind> {
        let mut stream = bytes;
        let origin = read(&mut stream).await.map_err(|error| error.kind())?;
        let client = origin.client.map_or("none".to_owned(), |client| client.to_string());
        Ok((format!("{client} {}", origin.is_secure), stream.len()))
    }

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"<stream>"].concat()
    }

    #[tokio::test]
    async fn lines_name_the_client() {
        let four = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n<stream>";
        assert_eq!(ask(four).await, Ok(("192.0.2.1:56324 false".to_owned(), 8)));
        let six = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
        assert_eq!(ask(six).await, Ok(("[2001:db8::1]:1 false".to_owned(), 0)));
        assert_eq!(ask(b"PROXY UNKNOWN\r\nx").await, Ok(("none false".to_owned(), 1)));
        for wrong in [
            &b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.1 x 443\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
            b"<?xml version='1.0'?><stream:stream>",
            &[b"PROXY ", &[b'x'; 200][..]].concat(),
        ] {
            assert_eq!(ask(wrong).await, Err(ErrorKind::InvalidData));
        }
        assert_eq!(ask(b"PROXY TCP4 192").await, Err(ErrorKind::UnexpectedEof));
    }

    #[tokio::test]
    async fn binary_headers_name_the_client_and_its_tls() {
        let four = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 4, 1, 0xBB];
        let told = |text: &str| Ok((text.to_owned(), 8));
        assert_eq!(ask(&binary(0x21, 0x11, &four)).await, told("192.0.2.1:56324 false"));
        let tls = [&four[..], &[4, 0, 1, 0], &[SSL, 0, 5, 1, 0, 0, 0, 0]].concat();
        assert_eq!(ask(&binary(0x21, 0x11, &tls)).await, told("192.0.2.1:56324 true"));
        let plain = [&four[..], &[SSL, 0, 5, 0, 0, 0, 0, 0]].concat();
        assert_eq!(ask(&binary(0x21, 0x11, &plain)).await, told("192.0.2.1:56324 false"));
        let ip = "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets();
        let six = [&ip[..], &ip, &[0, 7, 0, 8]].concat();
        assert_eq!(ask(&binary(0x21, 0x21, &six)).await, told("[2001:db8::1]:7 false"));
        assert_eq!(ask(&binary(0x20, 0x00, &[])).await, told("none false"));
        assert_eq!(ask(&binary(0x21, 0x31, &[0; 216])).await, told("none false"));
        let cut = [&four[..], &[SSL, 0, 50, 1]].concat();
        for wrong in [
            binary(0x21, 0x11, &four[..11]),
            binary(0x11, 0x11, &four),
            binary(0x22, 0x11, &four),
            binary(0x21, 0x11, &cut),
            binary(0x21, 0x11, &[0; 5000]),
        ] {
            assert_eq!(ask(&wrong).await, Err(ErrorKind::InvalidData));
        }
    }
}
