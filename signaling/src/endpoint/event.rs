//! What an endpoint says to its owner, and what it asks its shell to send.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::Message;

use super::ids::{ConnectionId, LegId, ListenerId, ProfileId, QueryId, RequestId, Source};

/// Something that the owner of a leg (or the resolver) should know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new call. All that the endpoint can judge has been judged, and 100 Trying has been sent.
    Invite {
        /// The new leg.
        leg: LegId,
        /// Where it came from.
        source: Source,
        /// The INVITE.
        request: Message,
    },
    /// A provisional response other than 100 to our INVITE.
    Provisional {
        /// Our leg.
        leg: LegId,
        /// The response.
        response: Message,
    },
    /// The first 2xx to our INVITE; the owner calls `ack`. Copies are acknowledged again inside, and a 2xx of
    /// another fork is acknowledged and ended with BYE inside.
    Answered {
        /// Our leg.
        leg: LegId,
        /// The response.
        response: Message,
    },
    /// Our INVITE came to nothing. The leg's `Ended` follows.
    Failed {
        /// Our leg.
        leg: LegId,
        /// The status: the peer's, 408 for [`FailureOrigin::Timeout`], 503 for the others.
        status: u16,
        /// Who says so.
        origin: FailureOrigin,
        /// The peer's response, already acknowledged.
        response: Option<Message>,
    },
    /// The peer acknowledged our 2xx to an INVITE or re-INVITE. The ACK may carry an answer.
    Acknowledged {
        /// The leg.
        leg: LegId,
        /// The ACK.
        request: Message,
    },
    /// 64·T1 passed since our 2xx, and no ACK came. The owner hangs up.
    AckMissing {
        /// The leg.
        leg: LegId,
    },
    /// The caller gave up before a final answer; 200 and 487 are already sent, and `Ended` follows.
    Cancelled {
        /// The leg.
        leg: LegId,
        /// The CANCEL, which may carry a Reason.
        request: Option<Message>,
    },
    /// The peer hung up; the BYE is already answered, and `Ended` follows.
    Bye {
        /// The leg.
        leg: LegId,
        /// The BYE.
        request: Message,
    },
    /// A request inside the call: re-INVITE, UPDATE, INFO, REFER, MESSAGE, NOTIFY, OPTIONS … The owner must
    /// `respond`. Glare and overlapping have been refused already.
    Request {
        /// The leg.
        leg: LegId,
        /// To respond by.
        id: RequestId,
        /// The request.
        request: Message,
    },
    /// The peer cancelled a re-INVITE; 200 and 487 are already sent, and `id` is void.
    RequestCancelled {
        /// The leg.
        leg: LegId,
        /// The re-INVITE's.
        id: RequestId,
    },
    /// The final answer to a request of ours. On a 2xx to a re-INVITE the owner calls `ack(Some(id))`.
    Response {
        /// The leg.
        leg: LegId,
        /// What `request` returned.
        id: RequestId,
        /// The peer's response; `None` when it was made here.
        response: Option<Message>,
        /// Its status; 408 after silence, 503 when nothing could be sent.
        status: u16,
    },
    /// Nothing of the leg remains; its id is void.
    Ended {
        /// The leg.
        leg: LegId,
    },
    /// The shell resolves `host` to addresses and answers by `handle_resolved`.
    Resolve {
        /// To answer by.
        query: QueryId,
        /// A host name.
        host: String,
    },
}

/// Who says that a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureOrigin {
    /// The peer, by a final response.
    Peer,
    /// Nobody: timer B, or a CANCEL without consequence.
    Timeout,
    /// The transport below: refused, unreachable, no listener that fits.
    Transport,
    /// The resolver: no such host, or no answer in time.
    Resolution,
}

/// What the shell does with sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// Send a datagram.
    Datagram {
        /// From this listener's socket.
        listener: ListenerId,
        /// To this address.
        destination: SocketAddr,
        /// These octets.
        bytes: Bytes,
    },
    /// Open a stream, and call `handle_connected` or `handle_connect_failed`.
    Connect {
        /// Its id.
        connection: ConnectionId,
        /// The profile it belongs to (interface, DSCP).
        profile: ProfileId,
        /// To this address.
        destination: SocketAddr,
    },
    /// Write to a stream.
    Stream {
        /// The stream.
        connection: ConnectionId,
        /// These octets.
        bytes: Bytes,
    },
    /// Close a stream; `handle_closed` need not follow.
    Close {
        /// The stream.
        connection: ConnectionId,
    },
}

impl Event {
    /// The leg that it is about.
    pub fn leg(&self) -> Option<LegId> {
        match self {
            Event::Invite { leg, .. }
            | Event::Provisional { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Failed { leg, .. }
            | Event::Acknowledged { leg, .. }
            | Event::AckMissing { leg }
            | Event::Cancelled { leg, .. }
            | Event::Bye { leg, .. }
            | Event::Request { leg, .. }
            | Event::RequestCancelled { leg, .. }
            | Event::Response { leg, .. }
            | Event::Ended { leg } => Some(*leg),
            Event::Resolve { .. } => None,
        }
    }
}
