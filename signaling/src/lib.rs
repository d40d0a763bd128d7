//! SIP and SDP without sockets: messages, transactions, dialogs, the endpoint.

pub mod transaction;
