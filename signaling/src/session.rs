//! A session: one INVITE, the dialogs that grow from it, and everything said in them until the BYE.
//!
//! ```text
//!  we call   ──INVITE──▶ Calling ──1xx──▶ Proceeding ──2xx──▶ Confirmed ──BYE out──▶ Leaving ──answer──▶ Over
//!                          │ hangup: CANCEL  │ hangup           ▲   │ │                                  ▲
//!                          │ follows the 1xx ▼                  │   │ └──BYE in──────────────────────────┤
//!                          └──────────▶ Cancelling ──2xx: ACK, BYE; 487; 64·T1───────────────────────────┤
//!  they call ──INVITE──▶ Called ──our 2xx───────────────────────┘   └ hangup before ACK ▶ Lingering ─ACK─▶ Leaving
//!                          └──our refusal, CANCEL, BYE───────────────────────────────────────────────────┘
//! ```
//!
//! A session decides and the endpoint does: it is fed messages that belong to it and pushes [`Order`]s. Copies of
//! messages never come here; the transactions keep them off (RFC 3261 §17).

pub(crate) mod draft;

pub(crate) mod answer;
mod called;
mod caller;
mod inside;

use clock::Tick;

use crate::Method;
use crate::dialog::Dialog;
use crate::endpoint::{Account, Event, FailureOrigin, Hangup, LegId, Reply, RequestId};
use crate::message::Message;
use crate::random::Token;
use crate::transaction::Timing;

pub(crate) use draft::{Draft, Purpose};

/// Early dialogs of one INVITE that we follow; further forks still ring, unheard.
const EARLY_DIALOGS_MAX: usize = 16;
/// Requests of one leg that wait for the peer's answer.
const OURS_MAX: usize = 16;
/// Requests of the peer that wait for the owner's answer.
const THEIRS_MAX: usize = 16;

/// Headers as owners give them.
pub(crate) type Headers = Vec<(String, String)>;

/// What a session wants done, in this order.
#[derive(Debug)]
pub(crate) enum Order {
    /// Find the way and begin a client transaction.
    Send { purpose: Purpose, draft: Box<Draft> },
    /// Find the way and send the ACK for a 2xx, again for each copy that `client` hears of.
    Ack { client: u64, draft: Box<Draft> },
    /// Cancel the INVITE of that client transaction.
    Cancel { client: u64, headers: Headers },
    /// Forget a client transaction whose answer will not come.
    Abandon { client: u64 },
    /// Nobody waits for that re-INVITE's answer any more.
    Orphan { client: u64 },
    /// Forget a question to the resolver.
    Forget { query: u64 },
    /// Answer the request of that server transaction; a 2xx to INVITE is resent until `StopAnswer`.
    Respond { server: u64, reply: Reply },
    /// The ACK has come, or nobody needs it any more.
    StopAnswer { server: u64 },
    /// Tell the owner.
    Emit(Box<Event>),
    /// Forget this leg.
    End,
}

/// The final answer to a request of ours, with what was sent and its transaction.
#[derive(Debug)]
pub(crate) struct Final {
    pub(crate) purpose: Purpose,
    pub(crate) client: u64,
    pub(crate) draft: Box<Draft>,
    pub(crate) response: Message,
}

/// State of one leg.
#[derive(Debug)]
pub(crate) struct Session {
    leg: LegId,
    timing: Timing,
    call_id: Box<str>,
    local_tag: Token,
    /// We sent the first INVITE, and so own the Call-ID (RFC 3261 §14.1).
    is_caller: bool,
    /// Answers challenges to requests of this leg.
    account: Option<Account>,
    stage: Stage,
    /// One when called or confirmed; when calling, one for each fork that rang.
    dialogs: Vec<Dialog>,
    ours: Vec<Ours>,
    theirs: Vec<Theirs>,
    /// Our 2xx whose ACK has not come.
    unacked: Option<Unacked>,
    /// The peer's 2xx that the owner has not acknowledged.
    to_ack: Vec<ToAck>,
}

#[derive(Debug)]
enum Stage {
    /// Our INVITE has no response yet. With headers: the owner has hung up, and the CANCEL waits for one.
    Calling { hangup: Option<Headers> },
    /// Our INVITE has a provisional response.
    Proceeding,
    /// Our CANCEL is out; the INVITE's final answer is still to come.
    Cancelling { headers: Headers, give_up_at: Tick },
    /// The peer's INVITE waits for the owner's final answer.
    Called { server: u64, cseq: u32 },
    /// A 2xx has been sent or received.
    Confirmed,
    /// The owner has hung up, but the BYE must wait for the ACK to our 2xx (RFC 3261 §15).
    Lingering { headers: Headers },
    /// Our BYE is out.
    Leaving,
    /// Nothing is left.
    Over,
}

/// A request of ours without final answer.
#[derive(Debug)]
struct Ours {
    purpose: Purpose,
    method: Method,
    has_body: bool,
    /// It has been sent a second time with credentials.
    authorized: bool,
    /// It has been refused with 491 once.
    glared: bool,
    flight: Flight,
}

/// Where a request of ours is.
#[derive(Debug)]
enum Flight {
    /// On its way to the endpoint.
    Ordered,
    /// Its destination is being resolved.
    Resolving { query: u64 },
    /// In a client transaction.
    Sent { client: u64 },
    /// Waiting to be sent again after glare (RFC 3261 §14.1).
    Resting { until: Tick, draft: Box<Draft> },
}

/// A request of the peer that the owner has not answered.
#[derive(Debug)]
struct Theirs {
    server: u64,
    method: Method,
    cseq: u32,
    has_body: bool,
    /// Where the peer wants its requests once this one is accepted.
    target: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Unacked {
    server: u64,
    cseq: u32,
    /// It answered the INVITE that began the leg.
    first: bool,
}

#[derive(Debug)]
struct ToAck {
    client: u64,
    id: Option<RequestId>,
    remote_tag: Box<str>,
    cseq: u32,
    authorization: Option<(crate::HeaderName, String)>,
}

impl Session {
    /// The Call-ID.
    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// Our tag, by which the endpoint finds the leg.
    pub(crate) fn local_tag(&self) -> Token {
        self.local_tag
    }

    /// The confirmed dialog, or the one that spoke last.
    pub(crate) fn dialog(&self) -> Option<&Dialog> {
        self.dialogs.last()
    }

    /// How many dialogs stand.
    pub(crate) fn dialogs_len(&self) -> usize {
        self.dialogs.len()
    }

    /// The owner hangs up.
    pub(crate) fn hangup(&mut self, now: Tick, headers: Headers, out: &mut Vec<Order>) -> Hangup {
        match &mut self.stage {
            Stage::Calling { hangup: hangup @ None } => {
                let Some(ours) = self.ours.iter().find(|ours| ours.purpose == Purpose::Invite) else {
                    self.end(out);
                    return Hangup::Nothing;
                };
                if let Flight::Sent { .. } = ours.flight {
                    *hangup = Some(headers);
                    return Hangup::CancelPending;
                }
                self.end(out);
                Hangup::Nothing
            }
            Stage::Proceeding => {
                self.cancel(now, headers, out);
                Hangup::SentCancel
            }
            Stage::Called { server, .. } => {
                let reply = Reply { headers, ..Reply::new(480) };
                out.push(Order::Respond { server: *server, reply });
                self.end(out);
                Hangup::Refused
            }
            Stage::Confirmed if self.unacked.is_some_and(|unacked| unacked.first) => {
                self.stage = Stage::Lingering { headers };
                Hangup::ByePending
            }
            Stage::Confirmed => {
                self.leave(headers, out);
                Hangup::SentBye
            }
            Stage::Calling { hangup: Some(_) }
            | Stage::Cancelling { .. }
            | Stage::Lingering { .. }
            | Stage::Leaving
            | Stage::Over => Hangup::Nothing,
        }
    }

    /// The endpoint has found out where a request is.
    pub(crate) fn note_query(&mut self, purpose: Purpose, query: u64) {
        self.note_flight(purpose, Flight::Resolving { query });
    }

    /// The endpoint has begun a client transaction for a request.
    pub(crate) fn note_sent(&mut self, purpose: Purpose, client: u64) {
        self.note_flight(purpose, Flight::Sent { client });
    }

    /// A request of ours came to nothing: no answer, no way to send it, no such host.
    pub(crate) fn handle_failure(&mut self, purpose: Purpose, origin: FailureOrigin, out: &mut Vec<Order>) {
        let Some(ours) = self.take_ours(purpose) else { return };
        let status = match origin {
            FailureOrigin::Timeout => 408,
            FailureOrigin::Peer | FailureOrigin::Transport | FailureOrigin::Resolution => 503,
        };
        match ours.purpose {
            Purpose::Invite => self.fail(status, origin, None, out),
            Purpose::Bye => self.end(out),
            Purpose::Request(id) if self.is_wanted() => {
                self.emit(Event::Response { leg: self.leg, id, response: None, status }, out);
            }
            Purpose::Request(_) | Purpose::Unowned => {}
        }
    }

    /// Whether the owner still wants to hear what becomes of the leg: he has not hung up.
    pub(crate) fn is_wanted(&self) -> bool {
        match self.stage {
            Stage::Calling { hangup: None } | Stage::Proceeding | Stage::Called { .. } | Stage::Confirmed => {
                true
            }
            Stage::Calling { hangup: Some(_) }
            | Stage::Cancelling { .. }
            | Stage::Lingering { .. }
            | Stage::Leaving
            | Stage::Over => false,
        }
    }

    /// Runs what is due.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Tick,
        random: &mut crate::random::Random,
        out: &mut Vec<Order>,
    ) {
        if let Stage::Cancelling { give_up_at, .. } = self.stage
            && give_up_at <= now
        {
            if let Some(client) = self.invite_client() {
                out.push(Order::Abandon { client });
            }
            return self.fail(408, FailureOrigin::Timeout, None, out);
        }
        self.wake_rested(now, random, out);
    }

    /// When to call `handle_timeout`, and what for.
    pub(crate) fn next_deadline(&self) -> Option<(Tick, &'static str)> {
        let cancel = match self.stage {
            Stage::Cancelling { give_up_at, .. } => Some((give_up_at, "cancel")),
            Stage::Calling { .. }
            | Stage::Proceeding
            | Stage::Called { .. }
            | Stage::Confirmed
            | Stage::Lingering { .. }
            | Stage::Leaving
            | Stage::Over => None,
        };
        let glare = self.ours.iter().filter_map(|ours| match ours.flight {
            Flight::Resting { until, .. } => Some((until, "glare")),
            Flight::Ordered | Flight::Resolving { .. } | Flight::Sent { .. } => None,
        });
        cancel.into_iter().chain(glare).min()
    }

    /// Sends CANCEL; the INVITE's answer is awaited for 64·T1 (RFC 3261 §9.1).
    fn cancel(&mut self, now: Tick, headers: Headers, out: &mut Vec<Order>) {
        if let Some(client) = self.invite_client() {
            out.push(Order::Cancel { client, headers: headers.clone() });
        }
        self.stage = Stage::Cancelling { headers, give_up_at: now + self.timing.t1x64() };
    }

    /// Sends BYE. What the owner has not acknowledged is acknowledged first: the peer needs it to stop resending.
    fn leave(&mut self, headers: Headers, out: &mut Vec<Order>) {
        self.ack_rest(out);
        self.refuse_rest(out);
        self.drop_unsent(out);
        let Some(dialog) = self.dialogs.first_mut() else { return self.end(out) };
        let draft = Draft { headers, ..dialog.request(Method::Bye) };
        self.stage = Stage::Leaving;
        self.send(Purpose::Bye, draft, out);
    }

    /// Our INVITE failed for good.
    fn fail(&mut self, status: u16, origin: FailureOrigin, response: Option<Message>, out: &mut Vec<Order>) {
        self.emit(Event::Failed { leg: self.leg, status, origin, response }, out);
        self.end(out);
    }

    /// The leg is over; requests of ours are forgotten.
    fn end(&mut self, out: &mut Vec<Order>) {
        self.ack_rest(out);
        self.refuse_rest(out);
        self.drop_unsent(out);
        if let Some(unacked) = self.unacked.take() {
            out.push(Order::StopAnswer { server: unacked.server });
        }
        for ours in self.ours.drain(..).filter(|ours| ours.method == Method::Invite) {
            if let Flight::Sent { client } = ours.flight {
                out.push(Order::Orphan { client });
            }
        }
        self.stage = Stage::Over;
        self.emit(Event::Ended { leg: self.leg }, out);
        out.push(Order::End);
    }

    /// Requests of the peer that wait for the owner get 487 when the call ends (RFC 3261 §15.1.2).
    fn refuse_rest(&mut self, out: &mut Vec<Order>) {
        for theirs in self.theirs.drain(..) {
            out.push(Order::Respond { server: theirs.server, reply: Reply::new(487) });
        }
    }

    /// Requests of ours that have not left, because of a resolver or of glare, stay here.
    fn drop_unsent(&mut self, out: &mut Vec<Order>) {
        self.ours.retain(|ours| match ours.flight {
            Flight::Resolving { query } => {
                out.push(Order::Forget { query });
                false
            }
            Flight::Resting { .. } => false,
            Flight::Ordered | Flight::Sent { .. } => true,
        });
    }

    /// Acknowledges each 2xx that the owner has not.
    fn ack_rest(&mut self, out: &mut Vec<Order>) {
        for to_ack in std::mem::take(&mut self.to_ack) {
            self.ack_one(to_ack, None, out);
        }
    }

    fn ack_one(&self, to_ack: ToAck, body: Option<crate::endpoint::Body>, out: &mut Vec<Order>) {
        let dialog = self.dialogs.iter().find(|dialog| *dialog.remote_tag() == *to_ack.remote_tag);
        let Some(dialog) = dialog else { return };
        let draft = Draft { body, authorization: to_ack.authorization, ..dialog.ack(to_ack.cseq) };
        out.push(Order::Ack { client: to_ack.client, draft: Box::new(draft) });
    }

    /// Orders a request and keeps watch over it.
    fn send(&mut self, purpose: Purpose, draft: Draft, out: &mut Vec<Order>) {
        self.ours.push(Ours {
            purpose,
            method: draft.method.clone(),
            has_body: draft.body.is_some(),
            authorized: false,
            glared: false,
            flight: Flight::Ordered,
        });
        out.push(Order::Send { purpose, draft: Box::new(draft) });
    }

    fn emit(&self, event: Event, out: &mut Vec<Order>) {
        out.push(Order::Emit(Box::new(event)));
    }

    fn note_flight(&mut self, purpose: Purpose, flight: Flight) {
        if let Some(ours) = self.ours.iter_mut().find(|ours| ours.purpose == purpose) {
            ours.flight = flight;
        }
    }

    fn take_ours(&mut self, purpose: Purpose) -> Option<Ours> {
        let at = self.ours.iter().position(|ours| ours.purpose == purpose)?;
        Some(self.ours.remove(at))
    }

    fn invite_client(&self) -> Option<u64> {
        let ours = self.ours.iter().find(|ours| ours.purpose == Purpose::Invite)?;
        match ours.flight {
            Flight::Sent { client } => Some(client),
            Flight::Ordered | Flight::Resolving { .. } | Flight::Resting { .. } => None,
        }
    }
}
