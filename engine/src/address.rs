//! Socket addresses as the kernel writes them (`sockaddr_in`, `sockaddr_in6`), read and written as plain bytes.
//!
//! Both back ends keep a peer's address in the [`NAME_BYTES`] in front of each packet, where the kernel put it
//! and from where it takes the destination, so that no address is copied into a structure of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The larger of the two: `sizeof(struct sockaddr_in6)`.
pub(crate) const NAME_BYTES: usize = 28;

/// `sizeof(struct sockaddr_in)`.
const NAME_BYTES_V4: usize = 16;

/// Reads what the kernel wrote; `None` for another family, or when the name is cut short.
pub(crate) fn read_name(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(*name.first_chunk()?);
    let port = u16::from_be_bytes([*name.get(2)?, *name.get(3)?]);
    match i32::from(family) {
        libc::AF_INET => {
            let octets: [u8; 4] = *name.get(4..)?.first_chunk()?;
            Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from(octets), port)))
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = *name.get(8..)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*name.get(24..)?.first_chunk()?);
            Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
        }
        _ => None,
    }
}

/// Writes a destination for the kernel to read; the result is its length in bytes.
pub(crate) fn write_name(name: &mut [u8; NAME_BYTES], to: SocketAddr) -> u32 {
    name[2..4].copy_from_slice(&to.port().to_be_bytes());
    match to {
        SocketAddr::V4(to) => {
            name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            name[4..8].copy_from_slice(&to.ip().octets());
            name[8..16].fill(0);
            NAME_BYTES_V4 as u32
        }
        SocketAddr::V6(to) => {
            name[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
            name[4..8].fill(0);
            name[8..24].copy_from_slice(&to.ip().octets());
            name[24..28].copy_from_slice(&to.scope_id().to_ne_bytes());
            NAME_BYTES as u32
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_written_for_the_kernel_reads_the_same() {
        for text in ["127.0.0.1:16384", "255.1.2.3:65535", "[::1]:40000", "[fe80::1%7]:5"] {
            let address: SocketAddr = text.parse().expect("a socket address");
            let mut name = [0xff; NAME_BYTES];
            let len = write_name(&mut name, address) as usize;
            assert_eq!(read_name(&name[..len]), Some(address), "{text}");
        }
    }

    #[test]
    fn the_layout_is_the_one_of_the_c_library() {
        let address: SocketAddr = "10.20.30.40:5060".parse().expect("a socket address");
        let mut name = [0; NAME_BYTES];
        assert_eq!(write_name(&mut name, address), size_of::<libc::sockaddr_in>() as u32);
        assert_eq!(&name[2..8], &[0x13, 0xc4, 10, 20, 30, 40]);
        assert_eq!(NAME_BYTES, size_of::<libc::sockaddr_in6>());
        let theirs = socket2::SockAddr::from("[fe80::1%7]:5060".parse::<SocketAddr>().expect("an address"));
        assert_eq!(theirs.len() as usize, NAME_BYTES);
    }

    #[test]
    fn a_short_or_foreign_name_is_none() {
        let mut name = [0; NAME_BYTES];
        let len = write_name(&mut name, "[::1]:1".parse().expect("an address")) as usize;
        for cut in 0..len {
            assert_eq!(read_name(&name[..cut]), None, "cut to {cut}");
        }
        name[..2].copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
        assert_eq!(read_name(&name), None);
    }
}
