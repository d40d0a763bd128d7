//! What a back-to-back user agent decides: channels, applications, originate, bridge, media plans.
