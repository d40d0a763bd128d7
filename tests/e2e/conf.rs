//! The configuration that a test generates: one profile, one context, FreeSWITCH's own form.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::site::Site;

/// A configuration directory being put together.
pub struct Conf {
    profile_params: Vec<(&'static str, String)>,
    switch_params: Vec<(&'static str, String)>,
    gateways: String,
    extensions: String,
}

/// The fields of the records that tests read, in the order in which [`crate::records`] names them.
pub const RECORD_TEMPLATE: &str = r#""${caller_id_name}","${caller_id_number}","${destination_number}","${context}","${start_stamp}","${answer_stamp}","${end_stamp}","${duration}","${billsec}","${hangup_cause}","${uuid}","${bleg_uuid}","${accountcode}","${read_codec}","${write_codec}""#;

impl Conf {
    /// One profile at the site's address, context `transit`, no extension yet.
    pub fn new(site: &Site) -> Conf {
        let ip = site.switch().ip().to_string();
        Conf {
            profile_params: vec![
                ("sip-ip", ip.clone()),
                ("rtp-ip", ip),
                ("sip-port", site.switch().port().to_string()),
                ("dialplan", "XML".to_owned()),
                ("context", "transit".to_owned()),
                ("auth-calls", "false".to_owned()),
                ("codec-prefs", "PCMU,PCMA".to_owned()),
                ("inbound-late-negotiation", "true".to_owned()),
            ],
            switch_params: vec![
                ("rtp-start-port", site.rtp_ports().0.to_string()),
                ("rtp-end-port", site.rtp_ports().1.to_string()),
                ("max-sessions", "1000".to_owned()),
                ("sessions-per-second", "1000".to_owned()),
            ],
            gateways: String::new(),
            extensions: String::new(),
        }
    }

    /// Sets a parameter of the profile.
    pub fn profile(mut self, name: &'static str, value: &str) -> Conf {
        set(&mut self.profile_params, name, value);
        self
    }

    /// Sets a parameter of switch.conf.
    pub fn switch(mut self, name: &'static str, value: &str) -> Conf {
        set(&mut self.switch_params, name, value);
        self
    }

    /// Adds a gateway that does not register; `proxy` may carry a port.
    pub fn gateway(mut self, name: &str, proxy: &str) -> Conf {
        let _ = writeln!(
            self.gateways,
            r#"<gateway name="{name}"><param name="proxy" value="{proxy}"/><param name="register" value="false"/></gateway>"#
        );
        self
    }

    /// Adds an extension for `number` with these applications and data.
    pub fn extension(mut self, number: &str, actions: &[(&str, &str)]) -> Conf {
        let out = &mut self.extensions;
        let _ = writeln!(out, r#"<extension name="to {number}">"#);
        let _ = writeln!(out, r#"<condition field="destination_number" expression="^{number}$">"#);
        for (application, data) in actions {
            let data = escape(data);
            let _ = writeln!(out, r#"<action application="{application}" data="{data}"/>"#);
        }
        let _ = writeln!(out, "</condition></extension>");
        self
    }

    /// Writes the directory and says where it is.
    pub fn write(&self, site: &Site) -> PathBuf {
        let directory = site.directory().join("conf");
        std::fs::create_dir_all(&directory).expect("a configuration directory");
        let records = site.directory().join("log");
        std::fs::create_dir_all(&records).expect("a directory for records");
        let document = format!(
            r#"<?xml version="1.0"?>
<document type="freeswitch/xml">
<section name="configuration">
<configuration name="switch.conf"><settings>
{switch}</settings></configuration>
<configuration name="sofia.conf"><profiles><profile name="transit"><gateways>
{gateways}</gateways><settings>
{profile}</settings></profile></profiles></configuration>
<configuration name="cdr_csv.conf"><settings>
<param name="log-base" value="{records}"/>
<param name="legs" value="ab"/>
<param name="default-template" value="test"/>
<param name="master-file-only" value="true"/>
</settings><templates>
<template name="test">{template}</template>
</templates></configuration>
</section>
<section name="dialplan"><context name="transit">
{extensions}</context></section>
</document>
"#,
            switch = params(&self.switch_params),
            profile = params(&self.profile_params),
            records = records.display(),
            template = RECORD_TEMPLATE,
            gateways = self.gateways,
            extensions = self.extensions,
        );
        std::fs::write(directory.join("freeswitch.xml"), document).expect("a configuration file");
        directory
    }
}

fn set(params: &mut Vec<(&'static str, String)>, name: &'static str, value: &str) {
    params.retain(|(other, _)| *other != name);
    params.push((name, value.to_owned()));
}

fn params(params: &[(&'static str, String)]) -> String {
    params.iter().fold(String::new(), |mut out, (name, value)| {
        let value = escape(value);
        let _ = writeln!(out, r#"<param name="{name}" value="{value}"/>"#);
        out
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
