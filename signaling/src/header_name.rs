//! Names of header fields, their canonical spelling and compact forms (RFC 3261 §7.3.3).

use core::fmt;

macro_rules! header_names {
    ($($variant:ident = $name:literal $(/ $compact:literal)?, $standard:literal;)*) => {
        /// A header field that we know by name, or [`HeaderName::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum HeaderName {
            $(
                #[doc = concat!("`", $name, "`, ", $standard, ".")]
                $variant,
            )*
            /// A name that is not in this list. Such headers are reached by their text.
            Other,
        }

        /// Each known name with its canonical spelling.
        const NAMES: &[(&str, HeaderName)] = &[$(($name, HeaderName::$variant),)*];

        /// Each compact form.
        const COMPACT: &[(char, HeaderName)] = &[$($(($compact, HeaderName::$variant),)?)*];
    };
}

header_names! {
    Accept = "Accept", "RFC 3261 §20.1";
    AcceptContact = "Accept-Contact" / 'a', "RFC 3841";
    AcceptEncoding = "Accept-Encoding", "RFC 3261 §20.2";
    AcceptLanguage = "Accept-Language", "RFC 3261 §20.3";
    AlertInfo = "Alert-Info", "RFC 3261 §20.4";
    Allow = "Allow", "RFC 3261 §20.5";
    AllowEvents = "Allow-Events" / 'u', "RFC 6665";
    AuthenticationInfo = "Authentication-Info", "RFC 3261 §20.6";
    Authorization = "Authorization", "RFC 3261 §20.7";
    CallId = "Call-ID" / 'i', "RFC 3261 §20.8";
    CallInfo = "Call-Info", "RFC 3261 §20.9";
    Contact = "Contact" / 'm', "RFC 3261 §20.10";
    ContentDisposition = "Content-Disposition", "RFC 3261 §20.11";
    ContentEncoding = "Content-Encoding" / 'e', "RFC 3261 §20.12";
    ContentLanguage = "Content-Language", "RFC 3261 §20.13";
    ContentLength = "Content-Length" / 'l', "RFC 3261 §20.14";
    ContentType = "Content-Type" / 'c', "RFC 3261 §20.15";
    CSeq = "CSeq", "RFC 3261 §20.16";
    Date = "Date", "RFC 3261 §20.17";
    Diversion = "Diversion", "RFC 5806";
    ErrorInfo = "Error-Info", "RFC 3261 §20.18";
    Event = "Event" / 'o', "RFC 6665";
    Expires = "Expires", "RFC 3261 §20.19";
    From = "From" / 'f', "RFC 3261 §20.20";
    Geolocation = "Geolocation", "RFC 6442";
    HistoryInfo = "History-Info", "RFC 7044";
    Identity = "Identity" / 'y', "RFC 8224";
    InReplyTo = "In-Reply-To", "RFC 3261 §20.21";
    Join = "Join", "RFC 3911";
    MaxForwards = "Max-Forwards", "RFC 3261 §20.22";
    MimeVersion = "MIME-Version", "RFC 3261 §20.24";
    MinExpires = "Min-Expires", "RFC 3261 §20.23";
    MinSe = "Min-SE", "RFC 4028";
    Organization = "Organization", "RFC 3261 §20.25";
    PAccessNetworkInfo = "P-Access-Network-Info", "RFC 7315";
    PAssertedIdentity = "P-Asserted-Identity", "RFC 3325";
    PAssociatedUri = "P-Associated-URI", "RFC 7315";
    PCalledPartyId = "P-Called-Party-ID", "RFC 7315";
    PChargingVector = "P-Charging-Vector", "RFC 7315";
    PEarlyMedia = "P-Early-Media", "RFC 5009";
    PPreferredIdentity = "P-Preferred-Identity", "RFC 3325";
    Path = "Path", "RFC 3327";
    Priority = "Priority", "RFC 3261 §20.26";
    Privacy = "Privacy", "RFC 3323";
    ProxyAuthenticate = "Proxy-Authenticate", "RFC 3261 §20.27";
    ProxyAuthorization = "Proxy-Authorization", "RFC 3261 §20.28";
    ProxyRequire = "Proxy-Require", "RFC 3261 §20.29";
    RAck = "RAck", "RFC 3262";
    Reason = "Reason", "RFC 3326";
    RecordRoute = "Record-Route", "RFC 3261 §20.30";
    ReferSub = "Refer-Sub", "RFC 4488";
    ReferTo = "Refer-To" / 'r', "RFC 3515";
    ReferredBy = "Referred-By" / 'b', "RFC 3892";
    RejectContact = "Reject-Contact" / 'j', "RFC 3841";
    RemotePartyId = "Remote-Party-ID", "draft-ietf-sip-privacy-04";
    Replaces = "Replaces", "RFC 3891";
    ReplyTo = "Reply-To", "RFC 3261 §20.31";
    RequestDisposition = "Request-Disposition" / 'd', "RFC 3841";
    Require = "Require", "RFC 3261 §20.32";
    ResourcePriority = "Resource-Priority", "RFC 4412";
    RetryAfter = "Retry-After", "RFC 3261 §20.33";
    Route = "Route", "RFC 3261 §20.34";
    RSeq = "RSeq", "RFC 3262";
    Server = "Server", "RFC 3261 §20.35";
    ServiceRoute = "Service-Route", "RFC 3608";
    SessionExpires = "Session-Expires" / 'x', "RFC 4028";
    SessionId = "Session-ID", "RFC 7989";
    SipETag = "SIP-ETag", "RFC 3903";
    SipIfMatch = "SIP-If-Match", "RFC 3903";
    Subject = "Subject" / 's', "RFC 3261 §20.36";
    SubscriptionState = "Subscription-State", "RFC 6665";
    Supported = "Supported" / 'k', "RFC 3261 §20.37";
    TargetDialog = "Target-Dialog", "RFC 4538";
    Timestamp = "Timestamp", "RFC 3261 §20.38";
    To = "To" / 't', "RFC 3261 §20.39";
    Unsupported = "Unsupported", "RFC 3261 §20.40";
    UserAgent = "User-Agent", "RFC 3261 §20.41";
    UserToUser = "User-to-User", "RFC 7433";
    Via = "Via" / 'v', "RFC 3261 §20.42";
    Warning = "Warning", "RFC 3261 §20.43";
    WwwAuthenticate = "WWW-Authenticate", "RFC 3261 §20.44";
}

/// Longest known name.
const NAME_BYTES_MAX: usize = 24;

/// The known names in order of length, so that a look-up compares with the few of its own length only.
const BY_LENGTH: [(&str, HeaderName); NAMES.len()] = {
    let mut sorted = [("", HeaderName::Other); NAMES.len()];
    let (mut filled, mut len) = (0, 0);
    while len < NAME_BYTES_MAX {
        let mut at = 0;
        while at < NAMES.len() {
            if NAMES[at].0.len() == len {
                sorted[filled] = NAMES[at];
                filled += 1;
            }
            at += 1;
        }
        len += 1;
    }
    assert!(filled == NAMES.len(), "NAME_BYTES_MAX is too small");
    sorted
};

/// Where the names of each length begin in [`BY_LENGTH`].
const STARTS: [usize; NAME_BYTES_MAX + 1] = {
    let mut starts = [0; NAME_BYTES_MAX + 1];
    let mut len = 0;
    while len <= NAME_BYTES_MAX {
        let mut at = 0;
        while at < BY_LENGTH.len() && BY_LENGTH[at].0.len() < len {
            at += 1;
        }
        starts[len] = at;
        len += 1;
    }
    starts
};

impl HeaderName {
    /// The header that `name` names, in its full or compact form, in any case; [`HeaderName::Other`] when unknown.
    pub fn parse(name: &str) -> HeaderName {
        if let &[letter] = name.as_bytes() {
            let letter = char::from(letter.to_ascii_lowercase());
            return COMPACT.iter().find(|known| known.0 == letter).map_or(HeaderName::Other, |known| known.1);
        }
        if name.len() >= NAME_BYTES_MAX {
            return HeaderName::Other;
        }
        let same_length = &BY_LENGTH[STARTS[name.len()]..STARTS[name.len() + 1]];
        same_length
            .iter()
            .find(|known| known.0.eq_ignore_ascii_case(name))
            .map_or(HeaderName::Other, |known| known.1)
    }

    /// Its canonical spelling; empty for [`HeaderName::Other`].
    pub const fn as_str(self) -> &'static str {
        match self {
            HeaderName::Other => "",
            known => NAMES[known as usize].0,
        }
    }

    /// Whether a message may hold the header once only and we would be misled by a second one (RFC 3261 §7.3.1).
    pub(crate) const fn is_single(self) -> bool {
        matches!(
            self,
            HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::MaxForwards
                | HeaderName::ContentLength
                | HeaderName::ContentType
        )
    }
}

impl AsRef<str> for HeaderName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_known_name_is_found_in_every_case() {
        for &(name, header) in NAMES {
            assert_eq!(HeaderName::parse(name), header);
            assert_eq!(HeaderName::parse(&name.to_ascii_uppercase()), header);
            assert_eq!(HeaderName::parse(&name.to_ascii_lowercase()), header);
            assert_eq!(header.as_str(), name);
        }
    }

    #[test]
    fn compact_forms_name_the_same_header_in_both_cases() {
        for (compact, name) in [
            ("v", HeaderName::Via),
            ("V", HeaderName::Via),
            ("i", HeaderName::CallId),
            ("m", HeaderName::Contact),
            ("L", HeaderName::ContentLength),
            ("k", HeaderName::Supported),
            ("x", HeaderName::SessionExpires),
            ("b", HeaderName::ReferredBy),
        ] {
            assert_eq!(HeaderName::parse(compact), name);
        }
    }

    #[test]
    fn what_is_unknown_stays_unknown() {
        for name in
            ["", "q", "C%6Fntact", "X-Via", "Via ", "a-header-name-that-is-longer-than-all-known", "é"]
        {
            assert_eq!(HeaderName::parse(name), HeaderName::Other, "{name}");
        }
    }
}
