//! A profile at work: its settings, what it has counted, its listeners.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use clock::Tick;

use super::ids::{ListenerId, ProfileId, Transport};
use super::settings::{ListenerSettings, ProfileSettings};
use crate::Method;
use crate::transaction::Timing;

/// All profiles of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    list: Vec<Profile>,
    listeners: BTreeMap<ListenerId, usize>,
}

/// One profile.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) settings: ProfileSettings,
    pub(super) timing: Timing,
    /// Value of Allow.
    pub(super) allow: String,
    /// Value of Supported.
    pub(super) supported: String,
    /// Transactions that exist now.
    pub(super) transactions: usize,
    /// INVITEs that have no final answer.
    pub(super) proceeding: u32,
    /// A reload has taken it away; legs that it has may end in peace.
    pub(super) is_retired: bool,
    window: Window,
}

/// Requests in the present second.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    second: u64,
    requests: u32,
}

impl Profiles {
    /// Takes the profiles of a (new) configuration. What goes on in one that stays is kept; one that is gone stays, too,
    /// as long as it `is_used` or has transactions.
    pub(super) fn set(&mut self, settings: Vec<ProfileSettings>, is_used: impl Fn(ProfileId) -> bool) {
        for profile in &mut self.list {
            profile.is_retired = true;
        }
        for settings in settings {
            let fresh = Profile::new(settings);
            match self.list.iter_mut().find(|known| known.settings.id == fresh.settings.id) {
                Some(known) => {
                    let (transactions, proceeding) = (known.transactions, known.proceeding);
                    *known = Profile { transactions, proceeding, window: known.window, ..fresh };
                }
                None => self.list.push(fresh),
            }
        }
        self.list.retain(|profile| {
            !profile.is_retired || profile.transactions > 0 || is_used(profile.settings.id)
        });
        self.listeners.clear();
        for (at, profile) in self.list.iter().enumerate().filter(|(_, profile)| !profile.is_retired) {
            self.listeners.extend(profile.settings.listeners.iter().map(|listener| (listener.id, at)));
        }
    }

    /// The profile of that id.
    pub(super) fn get(&self, id: ProfileId) -> Option<&Profile> {
        self.list.iter().find(|profile| profile.settings.id == id)
    }

    /// The profile of that id.
    pub(super) fn get_mut(&mut self, id: ProfileId) -> Option<&mut Profile> {
        self.list.iter_mut().find(|profile| profile.settings.id == id)
    }

    /// Transactions of all profiles.
    pub(super) fn transactions(&self) -> usize {
        self.list.iter().map(|profile| profile.transactions).sum()
    }

    /// INVITEs of all profiles that have no final answer.
    pub(super) fn proceeding(&self) -> usize {
        self.list.iter().map(|profile| profile.proceeding as usize).sum()
    }

    /// The profile that `listener` belongs to.
    pub(super) fn of_listener(&self, listener: ListenerId) -> Option<&Profile> {
        self.listeners.get(&listener).map(|at| &self.list[*at])
    }

    /// Whether a listener is bound there.
    pub(super) fn listen_at(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let mut listeners = self.list.iter().flat_map(|profile| &profile.settings.listeners);
        listeners.any(|listener| listener.local.port() == port && listener.local.ip() == ip)
    }
}

impl Profile {
    fn new(settings: ProfileSettings) -> Profile {
        Profile {
            timing: settings.timing(),
            allow: allow_without(&settings, None),
            supported: settings.supported.join(", "),
            settings,
            transactions: 0,
            proceeding: 0,
            is_retired: false,
            window: Window::default(),
        }
    }

    /// The id.
    pub(super) fn id(&self) -> ProfileId {
        self.settings.id
    }

    /// Value of Allow outside a call, where `method` is not taken.
    pub(super) fn allow_without(&self, method: &Method) -> String {
        allow_without(&self.settings, Some(method))
    }

    /// Whether peers may use `method`.
    pub(super) fn allows(&self, method: &Method) -> bool {
        self.settings.allow.contains(method)
    }

    /// Whether INVITEs in progress have reached their limit.
    pub(super) fn is_busy(&self) -> bool {
        self.settings.max_proceeding != 0 && self.proceeding >= self.settings.max_proceeding
    }

    /// Takes note of a request; says whether this second still has room for it.
    pub(super) fn admit(&mut self, now: Tick) -> bool {
        let second = now.as_millis() / 1_000;
        if self.window.second != second {
            self.window = Window { second, requests: 0 };
        }
        self.window.requests = self.window.requests.saturating_add(1);
        let max = self.settings.max_recv_requests_per_second;
        max == 0 || self.window.requests <= max
    }

    /// The listener of that id.
    pub(super) fn listener(&self, id: ListenerId) -> Option<&ListenerSettings> {
        self.settings.listeners.iter().find(|listener| listener.id == id)
    }

    /// The listener by which requests to `destination` leave: `preferred` if it fits, else the first that fits.
    pub(super) fn listener_for(
        &self,
        transport: Transport,
        destination: IpAddr,
        preferred: Option<ListenerId>,
    ) -> Option<&ListenerSettings> {
        let fits = |listener: &&ListenerSettings| {
            listener.transport == transport && is_same_family(listener.local, destination)
        };
        let mut fitting = self.settings.listeners.iter().filter(fits);
        let preferred = preferred.and_then(|id| fitting.clone().find(|listener| listener.id == id));
        preferred.or_else(|| fitting.next())
    }

    /// The listener whose address is told over a stream to `destination`, be it for want of a better one a UDP one.
    pub(super) fn stream_identity(&self, destination: IpAddr) -> Option<&ListenerSettings> {
        self.listener_for(Transport::Tcp, destination, None)
            .or_else(|| self.listener_for(Transport::Udp, destination, None))
    }
}

fn is_same_family(local: SocketAddr, destination: IpAddr) -> bool {
    local.is_ipv4() == destination.is_ipv4()
}

fn allow_without(settings: &ProfileSettings, method: Option<&Method>) -> String {
    let allowed = settings.allow.iter().filter(|allowed| Some(*allowed) != method).map(Method::as_str);
    allowed.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(id: u16, listeners: &[u32]) -> ProfileSettings {
        let listener =
            |id: &u32| ListenerSettings::new(ListenerId(*id), Transport::Udp, ([127, 0, 0, 1], 5060).into());
        ProfileSettings {
            listeners: listeners.iter().map(listener).collect(),
            max_recv_requests_per_second: 2,
            ..ProfileSettings::new(ProfileId(id), "p")
        }
    }

    #[test]
    fn a_profile_that_a_reload_takes_away_stays_while_it_has_transactions() {
        let mut profiles = Profiles::default();
        profiles.set(vec![settings(1, &[10]), settings(2, &[20])], |_| false);
        profiles.get_mut(ProfileId(1)).expect("there").transactions = 1;
        profiles.set(vec![settings(2, &[21])], |_| false);
        assert!(profiles.get(ProfileId(1)).expect("retired").is_retired);
        assert!(profiles.of_listener(ListenerId(10)).is_none());
        assert_eq!(profiles.of_listener(ListenerId(21)).map(Profile::id), Some(ProfileId(2)));
        profiles.get_mut(ProfileId(1)).expect("there").transactions = 0;
        profiles.set(vec![settings(2, &[21])], |id| id == ProfileId(1));
        assert!(profiles.get(ProfileId(1)).is_some());
        profiles.set(vec![settings(2, &[21])], |_| false);
        assert!(profiles.get(ProfileId(1)).is_none());
    }

    #[test]
    fn a_second_has_room_for_so_many_requests_and_the_next_one_again() {
        let mut profile = Profile::new(settings(1, &[10]));
        let admitted = [100, 200, 300, 1_000].map(|ms| profile.admit(Tick::from_millis(ms)));
        assert_eq!(admitted, [true, true, false, true]);
    }
}
