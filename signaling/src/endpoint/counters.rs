//! What an endpoint counts. Whatever is dropped, refused or repaired has a name here.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Sums since the endpoint was made.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Each counter's name and sum, always in the same order.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Datagrams that came in.
    datagrams_received,
    /// Requests that came in, copies included.
    requests_received,
    /// Responses that came in, copies included.
    responses_received,
    /// Requests that went out for the first time.
    requests_sent,
    /// Responses that went out for the first time.
    responses_sent,
    /// Messages that went out again.
    retransmissions_sent,
    /// Requests that came in again.
    retransmissions_received,
    /// Keep-alives (RFC 5626 §3.5.1).
    keep_alives,
    /// Octets for a listener or a connection that is not known; a reload takes them away.
    unknown_socket,
    /// Messages that could not be read.
    malformed,
    /// Those of them that were answered.
    malformed_answered,
    /// Streams closed because no message boundary could be trusted.
    framing_errors,
    /// Requests dropped because their profile had had as many in that second as it takes.
    rate_limited,
    /// Responses that no transaction waits for.
    stray_responses,
    /// ACKs that no transaction and no leg waits for.
    stray_acks,
    /// Requests for a dialog that is not known, refused with 481.
    unknown_dialogs,
    /// Requests refused because they arrived by two ways (482).
    merged_requests,
    /// Requests refused because they had been forwarded too often (483).
    too_many_hops,
    /// Requests of a method that nobody knows or that is not allowed here (405, 489, 501).
    refused_methods,
    /// Requests that need what we cannot do (415, 416, 420).
    unsupported_requests,
    /// INVITEs without a Contact that requests can be sent to (400).
    missing_contacts,
    /// Requests inside a call that came too early or crossed one of ours (491, 500).
    refused_in_dialog,
    /// INVITEs refused with 503 at the limit of legs, transactions or calls in progress.
    invites_over_limit,
    /// Our own calls and requests that a limit stopped.
    requests_over_limit,
    /// Client transactions that nobody answered (timers B and F).
    client_timeouts,
    /// Refusals to INVITE that nobody acknowledged (timer H).
    unacknowledged_refusals,
    /// 2xx to INVITE that nobody acknowledged in 64·T1.
    unacknowledged_answers,
    /// Further forks that answered and were ended with ACK and BYE.
    forks_ended,
    /// Sockets' words that something could not be delivered.
    transport_errors,
    /// Requests that went to a second address or by a second transport after the first had failed.
    failovers,
    /// Responses and ACKs that found no way to their receiver.
    undeliverable,
    /// Connections that peers opened.
    connections_accepted,
    /// Connections that we opened.
    connections_opened,
    /// Connections of ours that did not come up.
    connections_failed,
    /// Connections refused because there were as many as we allow.
    connections_over_limit,
    /// Connections closed because nothing whole came in time.
    connections_idle,
    /// Host names that did not resolve, or not in time.
    unresolved_hosts,
    /// Headers that an owner gave but the endpoint writes itself.
    headers_left_out,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_listed_with_its_sum() {
        let counters = Counters { malformed: 3, ..Counters::default() };
        assert!(counters.iter().any(|counter| counter == ("malformed", 3)));
        assert_eq!(counters.iter().map(|(_, sum)| sum).sum::<u64>(), 3);
    }
}
