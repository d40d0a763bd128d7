//! What the tests of this room are made of: a core without sockets, and channels without dialogs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use clock::Wall;
use config::{MemoryFiles, Problems};
use dialplan::{CompileOptions, Dialplan};
use signaling::{Endpoint, ProfileId};

use crate::channel::{Birth, Channel};
use crate::core::Core;
use crate::media::Media;
use crate::settings::{Configuration, Limits, Profile};
use crate::{CallerProfile, ChannelId, Variables};

/// A core with one profile and an empty dialplan.
pub(crate) fn core() -> Rc<RefCell<Core>> {
    let files = MemoryFiles::new().with(
        "/freeswitch.xml",
        "<document><section name=\"dialplan\"><context name=\"c\"/></section></document>",
    );
    let loaded =
        config::load(&files, "/freeswitch.xml", config::Globals::new(), &config::LoadOptions::default());
    let document = loaded.document.expect("the document is well-formed");
    let section = document.section("dialplan").expect("it has a dialplan");
    let dialplan = Dialplan::compile(section, &CompileOptions::default(), &mut Problems::new());
    let configuration = Configuration {
        profiles: vec![Profile::new(ProfileId(0), "p", "192.0.2.1")],
        gateways: Vec::new(),
        dialplan: Arc::new(dialplan),
        globals: BTreeMap::new(),
        access_lists: BTreeMap::new(),
        limits: Limits::default(),
        time_zone: None,
    };
    Rc::new(RefCell::new(Core::new(Arc::new(configuration), Endpoint::new(Vec::new(), 1), 1)))
}

/// A channel of that core, called rather than calling, so that nothing happens by itself.
pub(crate) fn channel(core: &Rc<RefCell<Core>>) -> ChannelId {
    let mut core = core.borrow_mut();
    let id = core.next_channel_id();
    let uuid = core.random.uuid();
    let configuration = core.configuration.clone();
    let channel = Channel::new(Birth {
        id,
        uuid,
        inbound: false,
        name: format!("test/{}", id.0),
        profile: CallerProfile::default(),
        variables: Variables::default(),
        media: Media::for_inbound(&configuration.profiles[0]),
        dialplan: configuration.dialplan.clone(),
        max_forwards: 70,
        now: Wall::default(),
    });
    core.enter(channel, crate::story::Beginning::Called);
    id
}
