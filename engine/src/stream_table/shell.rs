//! What passes between the stream table and the shell that moves its bytes.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;

use link::Socket;

use crate::slot::Slot;

/// Bytes of the largest packet that the table makes itself: an RTP header and 120 ms of G.711.
pub const PACKET_BYTES_MAX: usize = 12 + 120 * 8;

/// What becomes of a received packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a packet that is not sent is lost"]
pub enum Verdict {
    /// Nothing is sent; the table has counted it.
    Drop(DropReason),
    /// The buffer that was handed in, all of it as it now is, leaves by `slot`.
    Forward {
        /// The socket to send from.
        slot: Slot,
        /// Where to.
        to: SocketAddr,
    },
}

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DropReason {
    /// Its socket has no stream: a port in stock, or a slot that was given up.
    NoStream,
    /// It came from an address that neither SDP named nor learning proved.
    Foreign,
    /// Not RTP (or RTCP) where that was expected.
    Malformed,
    /// It did not fit the shell's buffer.
    Truncated,
    /// A payload type that was not negotiated.
    PayloadType,
    /// RTCP where none is to be passed on.
    Rtcp,
    /// The plan takes nothing from this peer now.
    OnHold,
    /// The partner is missing.
    NoPartner,
    /// The plan sends nothing to the partner's peer now, or a prompt is being played to it.
    PartnerBusy,
    /// It is not known where the partner's peer receives, or it must not be sent to.
    NoDestination,
    /// The partner's peer has never been heard and has had its share for this second.
    Unproven,
    /// It came behind packets of its source that began where another source (or a prompt) had ended: its number is taken.
    Late,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [DropReason; 12] = [
        DropReason::NoStream,
        DropReason::Foreign,
        DropReason::Malformed,
        DropReason::Truncated,
        DropReason::PayloadType,
        DropReason::Rtcp,
        DropReason::OnHold,
        DropReason::NoPartner,
        DropReason::PartnerBusy,
        DropReason::NoDestination,
        DropReason::Unproven,
        DropReason::Late,
    ];

    /// The counter's name.
    pub const fn name(self) -> &'static str {
        match self {
            DropReason::NoStream => "no_stream",
            DropReason::Foreign => "foreign",
            DropReason::Malformed => "malformed",
            DropReason::Truncated => "truncated",
            DropReason::PayloadType => "payload_type",
            DropReason::Rtcp => "rtcp",
            DropReason::OnHold => "on_hold",
            DropReason::NoPartner => "no_partner",
            DropReason::PartnerBusy => "partner_busy",
            DropReason::NoDestination => "no_destination",
            DropReason::Unproven => "unproven",
            DropReason::Late => "late",
        }
    }
}

/// What the shell is to do. Actions are carried out in order; see the head of [`stream_table`](super).
#[derive(Debug)]
pub enum Action {
    /// Open a UDP socket bound to `local` and nothing else, begin to receive, then call
    /// [`bound`](super::StreamTable::bound). Binding must fail when the port is taken.
    Bind {
        /// Its name from now on.
        slot: Slot,
        /// Address and port.
        local: SocketAddr,
    },
    /// Close the socket of `slot`, then call [`unbound`](super::StreamTable::unbound).
    Unbind {
        /// Which.
        slot: Slot,
    },
    /// Send a packet of the table's own making, then give the buffer back with
    /// [`recycle`](super::StreamTable::recycle).
    Send {
        /// The socket to send from.
        slot: Slot,
        /// Where to.
        to: SocketAddr,
        /// What.
        packet: PacketBuf,
    },
    /// Packets from `peer` are all that counts from now on: the socket may be connected. What comes from elsewhere
    /// may still be handed in, and should be, so that it is counted.
    Settled {
        /// Which.
        slot: Slot,
        /// The only source that counts.
        peer: SocketAddr,
    },
    /// Others than the peer have to be heard again: the socket must be unconnected.
    Unsettled {
        /// Which.
        slot: Slot,
    },
    /// The stream leaves this worker. End the receive without losing what was received (hand it in; what still lies in
    /// the socket stays there), unconnect, then give the descriptor to
    /// [`taken_out`](super::StreamTable::taken_out). Until then the slot must be able to send.
    TakeOut {
        /// Which.
        slot: Slot,
    },
    /// Take up a bound socket that another worker gave out, begin to receive, then call
    /// [`bound`](super::StreamTable::bound).
    PutIn {
        /// Its name from now on.
        slot: Slot,
        /// Where it is bound.
        local: SocketAddr,
        /// The descriptor. `None` in a simulated world; elsewhere it is missing, and the answer is an error.
        socket: Option<Socket>,
    },
}

/// Why a socket could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    /// Another program has the port.
    #[error("the port is taken")]
    InUse,
    /// This machine does not have the address now.
    #[error("the address is not one of this machine's")]
    NoAddress,
    /// No descriptors, or no memory, are left.
    #[error("the system has no more sockets for us")]
    NoResources,
    /// Anything else.
    #[error("the system refused")]
    Refused,
}

/// A packet of the table's own making, in memory that stays where it is while the buffer is moved about.
pub struct PacketBuf {
    bytes: Box<[u8; PACKET_BYTES_MAX]>,
    len: usize,
}

impl PacketBuf {
    pub(super) fn new() -> PacketBuf {
        PacketBuf { bytes: Box::new([0; PACKET_BYTES_MAX]), len: 0 }
    }

    /// Gives the packet a length, at most [`PACKET_BYTES_MAX`], and shows it for writing.
    pub(super) fn fill(&mut self, len: usize) -> &mut [u8] {
        self.len = len.min(PACKET_BYTES_MAX);
        &mut self.bytes[..self.len]
    }
}

impl Deref for PacketBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for PacketBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketBuf({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_drop_reason_stands_at_its_number() {
        for (number, reason) in DropReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
