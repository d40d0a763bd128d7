//! What a world consists of: phones, dialplan, workers, network. Builds the switch's configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clock::{Now, Wall};
use dialplan::{CompileOptions, Dialplan};
use engine::stream_table::TableSettings;
use link::{AddressId, Prompt, WorkerId};
use signaling::{Endpoint, ListenerId, ListenerSettings, ProfileId, ProfileSettings, Transport};
use switch::{Configuration, Gateway, Limits, Profile, Switch};

use crate::fault::Fault;
use crate::media_worker::{MediaWorker, Sockets};
use crate::network::{Network, Quality};
use crate::phone::{Carrier, Phone};
use crate::random::Random;
use crate::voice::Voice;
use crate::world::World;

/// The switch's address.
pub const SWITCH: &str = "192.0.2.1:5060";
/// The same over IPv6.
pub const SWITCH_SIX: &str = "[2001:db8::1]:5060";

/// Packets of each prompt.
pub const PROMPT_PACKETS: u32 = 10;

/// What one action of an extension is: application and data.
pub type Line = (String, String);

type Change = Box<dyn FnOnce(&mut Configuration)>;

/// A world to be.
pub struct Setup {
    seed: u64,
    phones: Vec<(Carrier, bool)>,
    extensions: Vec<(String, Vec<Line>)>,
    quality: Quality,
    workers: u16,
    ports: (u16, u16),
    stock: usize,
    taken: Vec<u16>,
    change: Option<Change>,
    /// Faults of the environment are let in.
    breakable: bool,
}

/// Addresses that the world knows before it is built: SIP address of a phone.
pub fn phone_address(index: usize, is_ipv6: bool) -> SocketAddr {
    let text = if is_ipv6 {
        format!("[2001:db8::{:x}]:5060", 0x100 + index)
    } else {
        format!("198.51.100.{}:5060", index + 1)
    };
    text.parse().expect("an address by construction")
}

/// The dial string of a phone.
pub fn dial(user: &str, phone: usize) -> String {
    format!("sofia/main/{user}@{}", phone_address(phone, false))
}

impl Setup {
    /// An empty world of one seed.
    pub fn new(seed: u64) -> Setup {
        Setup {
            seed,
            phones: Vec::new(),
            extensions: Vec::new(),
            quality: Quality::CLEAN,
            workers: 1,
            ports: (20_000, 20_199),
            stock: 8,
            taken: Vec::new(),
            change: None,
            breakable: true,
        }
    }

    /// So many phones with UDP and IPv4.
    #[must_use]
    pub fn phones(mut self, count: usize) -> Setup {
        self.phones.extend((0..count).map(|_| (Carrier::Udp, false)));
        self
    }

    /// A phone of another kind.
    #[must_use]
    pub fn phone(mut self, carrier: Carrier, is_ipv6: bool) -> Setup {
        self.phones.push((carrier, is_ipv6));
        self
    }

    /// An extension: what happens when this number is dialled.
    #[must_use]
    pub fn extension(mut self, number: &str, actions: &[(&str, &str)]) -> Setup {
        let actions = actions.iter().map(|(app, data)| ((*app).to_owned(), (*data).to_owned())).collect();
        self.extensions.push((number.to_owned(), actions));
        self
    }

    /// Another network.
    #[must_use]
    pub fn quality(mut self, quality: Quality) -> Setup {
        self.quality = quality;
        self
    }

    /// So many media workers.
    #[must_use]
    pub fn workers(mut self, workers: u16) -> Setup {
        self.workers = workers;
        self
    }

    /// RTP ports from `start` to `end`, of which so many are kept ready.
    #[must_use]
    pub fn ports(mut self, start: u16, end: u16, stock: usize) -> Setup {
        (self.ports, self.stock) = ((start, end), stock);
        self
    }

    /// Ports that other programs have.
    #[must_use]
    pub fn taken(mut self, ports: &[u16]) -> Setup {
        self.taken = ports.to_vec();
        self
    }

    /// The configuration is changed before the switch sees it.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(&mut Configuration) + 'static) -> Setup {
        self.change = Some(Box::new(change));
        self
    }

    /// A world in which no fault is ever switched on: it tests the simulator, or counts on everything being right.
    #[must_use]
    pub fn unbreakable(mut self) -> Setup {
        self.breakable = false;
        self
    }

    /// Its configuration alone, for a reload.
    pub fn into_configuration(mut self) -> Configuration {
        let mut configuration = self.configuration();
        if let Some(change) = self.change.take() {
            change(&mut configuration);
        }
        configuration
    }

    /// Builds it.
    pub fn build(mut self) -> World {
        let random = Random::new(self.seed);
        let fault = if self.breakable { Fault::from_environment() } else { None };
        let mut configuration = self.configuration();
        if let Some(change) = self.change.take() {
            change(&mut configuration);
        }
        let switch: SocketAddr = SWITCH.parse().expect("an address by construction");
        let six: SocketAddr = SWITCH_SIX.parse().expect("an address by construction");
        let listeners = vec![
            (ListenerId(1), Transport::Udp, switch),
            (ListenerId(2), Transport::Tcp, switch),
            (ListenerId(3), Transport::Udp, six),
        ];
        let endpoint = Endpoint::new(profiles(&listeners), random.fork(1).number());
        let switch = Switch::new(Arc::new(configuration), endpoint, random.fork(2).number());
        let mut sockets = Sockets::new();
        let workers = (0..self.workers).map(|worker| self.worker(worker, fault, &random)).collect();
        let phones = self.phones.iter().enumerate().map(|(index, (carrier, is_ipv6))| {
            let target = if *is_ipv6 { six } else { SWITCH.parse().expect("an address by construction") };
            let random = random.fork(100 + index as u64);
            let mut phone = Phone::new(index, phone_address(index, *is_ipv6), target, *carrier, random);
            phone.expects_order = self.quality.keeps_order();
            phone
        });
        let phones = phones.collect();
        let network = Network::new(random.fork(3), self.quality);
        sockets.clear();
        let now = Now { tick: crate::world::START, wall: Wall::from_micros(1_795_168_800_000_000) };
        World::assemble(crate::world::Parts {
            seed: self.seed,
            now,
            random: random.fork(4),
            switch,
            listeners,
            workers,
            sockets,
            phones,
            network,
            prompts: prompts(),
            fault,
        })
    }

    fn worker(&self, worker: u16, fault: Option<Fault>, random: &Random) -> MediaWorker {
        let settings = TableSettings {
            worker: WorkerId(worker),
            workers: self.workers,
            addresses: media_addresses(),
            port_start: self.ports.0,
            port_end: self.ports.1,
            stock_per_address: self.stock,
            streams_max: 64,
            packets_max: 32,
            ..TableSettings::default()
        };
        let random = random.fork(50 + u64::from(worker));
        MediaWorker::new(usize::from(worker), settings, self.taken.clone(), fault, random)
    }

    fn configuration(&self) -> Configuration {
        let mut main = Profile::new(ProfileId(0), "main", "192.0.2.1");
        main.media_addresses = vec![AddressId(0)];
        let mut six = Profile::new(ProfileId(1), "six", "[2001:db8::1]");
        six.media_addresses = vec![AddressId(1)];
        Configuration {
            profiles: vec![main, six],
            gateways: Vec::new(),
            dialplan: Arc::new(self.dialplan()),
            globals: BTreeMap::new(),
            access_lists: BTreeMap::new(),
            limits: Limits { sessions_per_second_max: 1_000, ..Limits::default() },
            time_zone: None,
        }
    }

    fn dialplan(&self) -> Dialplan {
        let mut xml = String::from("<document><section name=\"dialplan\"><context name=\"default\">\n");
        for (number, actions) in &self.extensions {
            xml.push_str(&format!(
                "<extension name=\"{number}\"><condition field=\"destination_number\" expression=\"^{number}$\">\n"
            ));
            for (application, data) in actions {
                let data = escaped(data);
                xml.push_str(&format!("<action application=\"{application}\" data=\"{data}\"/>\n"));
            }
            xml.push_str("</condition></extension>\n");
        }
        xml.push_str("</context></section></document>\n");
        let mut problems = config::Problems::new();
        let document = config::parse_plain("world.xml", xml.as_bytes(), &mut problems);
        let document = document
            .unwrap_or_else(|| panic!("the world's dialplan is not well-formed: {problems:?}\n{xml}"));
        let section = document.section("dialplan").expect("written above");
        Dialplan::compile(section, &CompileOptions::default(), &mut problems)
    }
}

/// A gateway of this world, for `Setup::change`.
pub fn gateway(name: &str, phone: usize) -> Gateway {
    Gateway {
        name: name.to_owned(),
        profile: ProfileId(0),
        proxy: phone_address(phone, false).to_string(),
        outbound_proxy: None,
        transport: Transport::Udp,
        from_user: "crosspoint".to_owned(),
        from_domain: "192.0.2.1".to_owned(),
        caller_id_in_from: true,
        credentials: None,
        register: false,
        destination_prefix: String::new(),
        extension: None,
        context: None,
        contact_params: String::new(),
        inbound_variables: Vec::new(),
        outbound_variables: Vec::new(),
    }
}

fn profiles(listeners: &[(ListenerId, Transport, SocketAddr)]) -> Vec<ProfileSettings> {
    let mut main = ProfileSettings::new(ProfileId(0), "main");
    let mut six = ProfileSettings::new(ProfileId(1), "six");
    for (id, transport, local) in listeners {
        let profile = if local.is_ipv4() { &mut main } else { &mut six };
        profile.listeners.push(ListenerSettings::new(*id, *transport, *local));
    }
    vec![main, six]
}

fn media_addresses() -> Vec<IpAddr> {
    [SWITCH, SWITCH_SIX]
        .map(|text| text.parse::<SocketAddr>().expect("an address by construction").ip())
        .to_vec()
}

/// `prompt-1.wav` to `prompt-3.wav`, each of [`PROMPT_PACKETS`] packets; every packet tells its prompt and place.
fn prompts() -> BTreeMap<String, Arc<Prompt>> {
    static PROMPTS: OnceLock<BTreeMap<String, Arc<Prompt>>> = OnceLock::new();
    let prompt = |number: u16| {
        let samples = Voice::of_prompt(number).samples(PROMPT_PACKETS);
        (format!("prompt-{number}.wav"), Arc::new(Prompt { samples }))
    };
    PROMPTS.get_or_init(|| (1..=3).map(prompt).collect()).clone()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Milliseconds of one prompt.
pub const PROMPT_LENGTH: Duration = Duration::from_millis(20 * PROMPT_PACKETS as u64);
