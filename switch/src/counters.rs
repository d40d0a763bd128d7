//! Named counters of the switch: whatever is refused, dropped or went wrong raises one.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// All of them by name.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Channels that came into being.
    channels_created,
    /// Channels of which nothing remains.
    channels_ended,
    /// Inbound calls refused because as many channels exist as may.
    refused_sessions_max,
    /// Inbound calls refused because too many came within a second.
    refused_sessions_per_second,
    /// Inbound calls refused while draining.
    refused_draining,
    /// Inbound calls refused by an access list.
    refused_access,
    /// Inbound calls for which no media port was free.
    refused_no_port,
    /// Inbound calls that were asked to authenticate.
    challenged,
    /// Stories that panicked.
    story_panics,
    /// Applications that would have run on top of a story, but there were too many.
    interjections_dropped,
    /// Questions refused because too many were open.
    asks_refused,
    /// Answers that came when nobody waited any more.
    late_answers,
    /// Commands a worker refused.
    commands_refused,
    /// Events lost because no reader took them.
    events_dropped,
}
