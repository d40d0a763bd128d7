//! What attackers send to media ports: malformed, forged and foreign packets (faults.md M1 to M13).

use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::phones::{self, Side};

/// Largest UDP payload that fits an Ethernet frame.
const DATAGRAM_LEN_MAX: usize = 1_472;

/// Pseudo-random numbers that are the same for the same seed (Knuth's MMIX constants).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// A stranger's sockets. None of them may ever get anything.
pub struct Strangers {
    sockets: Vec<UdpSocket>,
}

impl Strangers {
    /// Sockets at these addresses, which must be free; port 0 for any.
    pub fn at(addresses: &[SocketAddr]) -> Strangers {
        let sockets = addresses.iter().map(|address| {
            let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
            socket.set_nonblocking(true).expect("nonblocking");
            socket
        });
        Strangers { sockets: sockets.collect() }
    }

    /// Two ports of each of these hosts.
    pub fn of_hosts(hosts: &[IpAddr]) -> Strangers {
        let addresses: Vec<SocketAddr> =
            hosts.iter().flat_map(|host| [SocketAddr::new(*host, 0); 2]).collect();
        Strangers::at(&addresses)
    }

    /// Sends `packet` from each of them to each of `ports`.
    pub fn send(&self, ports: &[SocketAddr], packet: &[u8]) {
        for socket in &self.sockets {
            for port in ports {
                // Whether the packet leaves is not the question; what comes of it is.
                let _ = socket.send_to(packet, port);
            }
        }
    }

    /// Sends `packet` from one of them, another one with each `turn`.
    pub fn send_one(&self, turn: usize, port: SocketAddr, packet: &[u8]) {
        let _ = self.sockets[turn % self.sockets.len()].send_to(packet, port);
    }

    /// How many packets have come to them.
    pub fn received(&self) -> usize {
        let mut buffer = [0; 2_048];
        let count = |socket: &UdpSocket| std::iter::from_fn(|| socket.recv_from(&mut buffer).ok()).count();
        self.sockets.iter().map(count).sum()
    }
}

/// An RTP packet (RFC 3550 §5.1).
pub fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// What a stranger sends who has seen the victim's stream: its SSRC, and the sequence number and timestamp that come
/// next, but another payload.
pub fn forged(side: Side, index: u32) -> Vec<u8> {
    let mut packet = phones::packet(side, 0, index).to_vec();
    packet[12..].fill(0xee);
    packet
}

/// A telephone-event (RFC 4733 §2.3): the end of digit 9.
pub fn digit(sequence: u16) -> Vec<u8> {
    rtp(101 | 0x80, sequence, 4_000, 0xd161_7000, &[9, 0x8a, 0x03, 0x20])
}

/// A STUN binding request (RFC 8489 §5) with the attributes of ICE: user name, priority, use-candidate, a controlling
/// side; and the responses that nobody has asked for.
pub fn stun(random: &mut Random) -> Vec<Vec<u8>> {
    let message = |kind: u16, attributes: &[u8], transaction: Vec<u8>| {
        let mut packet = kind.to_be_bytes().to_vec();
        packet.extend((attributes.len() as u16).to_be_bytes());
        packet.extend(0x2112_a442_u32.to_be_bytes());
        packet.extend(transaction);
        packet.extend(attributes);
        packet
    };
    let mut attributes = vec![0x00, 0x06, 0x00, 0x04];
    attributes.extend(b"me:u");
    attributes.extend([0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff]);
    attributes.extend([0x00, 0x25, 0x00, 0x00]);
    attributes.extend([0x80, 0x2a, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8]);
    [(0x0001, &attributes[..]), (0x0001, &[]), (0x0101, &[]), (0x0111, &[]), (0x0003, &[]), (0x0011, &[])]
        .into_iter()
        .map(|(kind, attributes)| message(kind, attributes, random.bytes(12)))
        .collect()
}

/// DTLS records: a ClientHello that claims more than it holds, alerts, an application record (RFC 6347 §4.1).
pub fn dtls(random: &mut Random) -> Vec<Vec<u8>> {
    let record = |kind: u8, length: u16, body: &[u8]| {
        let mut packet = vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend(body);
        packet
    };
    let mut hello = vec![1, 0, 0x40, 0, 0, 0, 0, 0, 0, 0x40, 0, 0xfe, 0xfd];
    hello.extend(random.bytes(32));
    hello.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    vec![
        record(22, hello.len() as u16, &hello),
        record(22, 0xffff, &hello),
        record(21, 2, &[2, 40]),
        record(21, 2, &[1, 0]),
        record(20, 1, &[1]),
        record(23, 32, &random.bytes(32)),
    ]
}

/// Forged RTCP of a stream: BYE, a sender report, a receiver report of total loss, NACK, REMB, PLI (RFC 3550 §6, RFC
/// 4585 §6).
pub fn rtcp(side: Side) -> Vec<Vec<u8>> {
    let ssrc = &phones::packet(side, 0, 0)[8..12];
    let packet = |count: u8, kind: u8, body: &[&[u8]]| {
        let body = body.concat();
        let mut packet = vec![0x80 | count, kind];
        packet.extend((body.len() as u16 / 4).to_be_bytes());
        packet.extend(body);
        packet
    };
    let block = [ssrc, &[0xff; 20]].concat();
    let bye = packet(1, 203, &[ssrc]);
    vec![
        bye.clone(),
        [packet(0, 201, &[ssrc]), bye].concat(),
        packet(1, 200, &[ssrc, &[0xff; 20], &block]),
        packet(1, 201, &[ssrc, &block]),
        packet(1, 205, &[ssrc, ssrc, &[0, 0, 0xff, 0xff]]),
        packet(15, 206, &[ssrc, &[0; 4], b"REMB", &[1, 0, 0, 1], ssrc]),
        packet(1, 206, &[ssrc, ssrc]),
    ]
}

/// Packets that are nothing proper: 126 or more, each wrong in a way of its own.
pub fn malformed(random: &mut Random) -> Vec<Vec<u8>> {
    let good = rtp(0, 1, 160, 0xbad0_bad0, &[0x55; 160]);
    let mut packets: Vec<Vec<u8>> = (0..24).map(|length| good[..length.min(12)].to_vec()).collect();
    // Every version, with and without padding, extension and contributing sources that are not there.
    for first in [0x00, 0x10, 0x40, 0x60, 0xc0, 0xff, 0xa0, 0x90, 0xb0, 0x8f, 0xbf, 0x9f] {
        for length in [12, 13, 16, 172] {
            let mut packet = good[..length].to_vec();
            packet[0] = first;
            packets.push(packet);
        }
    }
    // Padding of nothing, of all and of more; extensions longer than the packet.
    for padding in [0, 160, 161, 255] {
        let mut packet = good.clone();
        packet[0] = 0xa0;
        packet[171] = padding;
        packets.push(packet);
    }
    for words in [0_u16, 39, 40, 0x7fff, 0xffff] {
        let mut packet = good.clone();
        packet[0] = 0x90;
        packet[12..16].copy_from_slice(&[0xbe, 0xde, (words >> 8) as u8, words as u8]);
        packets.push(packet);
    }
    // Payload types that nobody has negotiated, those where RTCP is taken for RTP included.
    for payload_type in [1, 2, 13, 34, 64, 71, 72, 76, 77, 95, 96, 127] {
        let mut packet = good.clone();
        packet[1] = payload_type;
        packets.push(packet);
    }
    // RTCP whose lengths lie.
    for (kind, words) in [(200, 0), (200, 0xffff_u16), (201, 7), (202, 1), (203, 0x8000), (204, 2), (207, 9)]
    {
        packets.push(vec![0x9f, kind, (words >> 8) as u8, words as u8, 1, 2, 3, 4]);
    }
    packets.extend(stun(random));
    packets.extend(dtls(random));
    // ZRTP, TURN channel data, UDPTL with an absurd error correction count, SIP, zeros, ones.
    packets.push([&[0x10, 0, 0, 1][..], b"ZRTP", &[0xff; 20]].concat());
    packets.push(vec![0x40, 0x00, 0xff, 0xff, 1, 2, 3, 4]);
    packets.push([&[0, 1, 0xff, 0xff][..], &[0x80; 60]].concat());
    packets.push(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n".to_vec());
    packets.push(vec![0; DATAGRAM_LEN_MAX]);
    packets.push(vec![0xff; DATAGRAM_LEN_MAX]);
    packets.extend((0..24).map(|_| junk(random)));
    packets
}

/// Anything of any length, at times with the first octet of RTP.
pub fn junk(random: &mut Random) -> Vec<u8> {
    let length = random.below(DATAGRAM_LEN_MAX);
    let mut packet = random.bytes(length);
    if let (Some(first), true) = (packet.first_mut(), random.below(3) == 0) {
        *first = 0x80;
    }
    packet
}
