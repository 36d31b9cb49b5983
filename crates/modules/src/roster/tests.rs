use waxwing_jid::Jid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::config::Config;
use waxwing_kernel::directory::{Flags, Resource};
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::module::Mount;
use waxwing_kernel::wire::Transport;
use waxwing_kernel::{Limits, Sites};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::domains::roster::Roster as Rows;
use waxwing_store::{Db, Location};

use super::*;

static MOUNTS: &[Mount] = &[Mount::of::<Roster>()];

struct World {
    hub: Hub,
    site: Arc<Site>,
}

struct Client {
    hub: Hub,
    party: Party,
}

impl World {
    async fn new(limits: Limits) -> Self {
        let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
        db.migrate(Accounts::TABLES).await.unwrap();
        db.migrate(Rows::TABLES).await.unwrap();
        for jid in ["romeo@localhost", "juliet@localhost"] {
            Accounts::new(db.clone()).create(jid, 0, &[]).await.unwrap();
        }
        let metrics = Arc::new(Metrics::new("0", "test"));
        let hub = Hub::new(db, Clock::simulated(1_000, 1), limits, metrics);
        let sections: Vec<_> = MOUNTS.iter().map(|mount| &mount.section).collect();
        let config = Config::defaults(&sections);
        let jid = BareJid::new("localhost").unwrap();
        let site = Arc::new(Site::start(&hub, &jid, &config.hosts[0], MOUNTS).unwrap());
        hub.serve(Sites::new(vec![Arc::clone(&site)]));
        Self { hub, site }
    }

    /// A session that is available.
    async fn bind(&self, jid: &str) -> Client {
        let jid = Jid::new(jid).unwrap();
        let account = self.hub.account(&jid.bare()).await.unwrap();
        let mailbox = Mailbox::new(100);
        let presence = Stanza::presence(PresenceType::Available).from(jid.clone());
        let resource = Resource {
            jid: jid.clone(),
            mailbox: mailbox.clone(),
            presence: Some(presence),
            priority: 0,
            flags: Flags::default(),
            is_live: true,
            transport: Transport::Memory,
            since_millis: 0,
            client: None,
            interests: None,
        };
        self.hub.directory().bind(resource, 10).unwrap();
        let party = Party { mailbox: Some(mailbox), ..Party::new(jid, account) };
        Client { hub: self.hub.clone(), party }
    }

    async fn state(&self, owner: &str, contact: &str) -> State {
        let owner = BareJid::new(owner).unwrap();
        let account = self.hub.account(&owner).await.unwrap().unwrap();
        account.fact(self.site.roster).state(&BareJid::new(contact).unwrap())
    }
}

impl Client {
    async fn send(&self, to: &str, xml: &str) {
        let mut stanza = Stanza::parse(xml).unwrap().from(self.party.jid.clone());
        stanza.head.to = Some(Jid::new(to).unwrap());
        let mut effects = Effects::default();
        self.hub.route(&self.party, stanza, &mut effects).await;
        self.hub.perform(effects).await;
    }

    /// Asks the own account.
    async fn ask(&self, kind: &str, query: &str) -> Vec<String> {
        let xml = format!(
            "<iq xmlns='jabber:client' type='{kind}' id='1'>\
             <query xmlns='jabber:iq:roster'{query}</query></iq>"
        );
        self.send(self.party.jid.bare().as_str(), &xml).await;
        self.received()
    }

    /// Sets one item and gives what came of it.
    async fn set(&self, item: &str) -> Vec<String> {
        self.ask("set", &format!(">{item}")).await
    }

    /// The children of what came, with the kind where that says everything.
    fn received(&self) -> Vec<String> {
        let mailbox = self.party.mailbox.as_ref().unwrap();
        let mut all = Vec::new();
        while let Some(delivery) = mailbox.try_next_delivery() {
            let mut text = String::new();
            match delivery.stanza.error() {
                Some(error) => text.push_str(error.condition.name()),
                None if delivery.stanza.body.is_empty() => {
                    text.push_str(delivery.stanza.head.kind.type_name().unwrap_or("available"));
                }
                None => delivery.stanza.body.write(&mut text),
            }
            let ver = text.find(" ver='").zip(text.find("'>"));
            if let Some((start, end)) = ver.filter(|(start, end)| start < end) {
                text.replace_range(start..=end, "");
            }
            all.push(text);
        }
        all
    }
}

fn push(item: &str) -> String {
    format!("<query xmlns='jabber:iq:roster'>{item}</query>")
}

#[tokio::test]
async fn section_2_3_an_item_is_added_changed_and_pushed_before_the_result() {
    let world = World::new(Limits::default()).await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let silent = world.bind("romeo@localhost/tomb").await;
    assert_eq!(romeo.ask("get", ">").await, ["<query xmlns='jabber:iq:roster'></query>"]);

    let item = "<item jid='Juliet@localhost' name='J' subscription='both' ask='subscribe' \
                approved='true'><group>A</group><group>B</group></item>";
    let stored = "<item jid='juliet@localhost' name='J' subscription='none'>\
                  <group>A</group><group>B</group></item>";
    assert_eq!(romeo.set(item).await, [push(stored), "result".into()]);
    let renamed = "<item jid='juliet@localhost' name='Jule' subscription='none'/>";
    let answers = romeo.set("<item jid='juliet@localhost' name='Jule'/>").await;
    assert_eq!(answers, [push(renamed), "result".into()]);
    assert!(silent.received().is_empty(), "it never asked for the roster");
    assert_eq!(silent.ask("get", ">").await, [push(renamed)]);
}

#[tokio::test]
async fn section_2_3_3_errors() {
    let world = World::new(Limits { roster_items: 1, ..Limits::default() }).await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let long = "x".repeat(1024);
    let rows = [
        ("", "bad-request"),
        ("<item jid='a@b'/><item jid='c@d'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@b'/>", "jid-malformed"),
        ("<item jid='a@b/c'/>", "jid-malformed"),
        ("<item jid='romeo@localhost'/>", "not-allowed"),
        (&format!("<item jid='a@b' name='{long}'/>"), "not-acceptable"),
        ("<item jid='a@b'><group/></item>", "not-acceptable"),
        (&format!("<item jid='a@b'><group>{long}</group></item>"), "not-acceptable"),
        ("<item jid='a@b'><group>A</group><group>A</group></item>", "bad-request"),
        ("<item jid='a@b' subscription='remove'/>", "item-not-found"),
        ("<item jid='a@b'/>", "result"),
        ("<item jid='c@d'/>", "resource-constraint"),
    ];
    for (item, expected) in rows {
        assert_eq!(romeo.set(item).await, [expected], "{item}");
    }
    let many: String = (0..65).map(|n| format!("<group>{n}</group>")).collect();
    assert_eq!(romeo.set(&format!("<item jid='a@b'>{many}</item>")).await, ["not-acceptable"]);
}

#[tokio::test]
async fn section_2_3_3_strangers_may_not_and_learn_nothing() {
    let world = World::new(Limits::default()).await;
    let juliet = world.bind("juliet@localhost/balcony").await;
    let xml = "<iq xmlns='jabber:client' type='set' id='1'><query xmlns='jabber:iq:roster'>\
               <item jid='juliet@localhost'/></query></iq>";
    for to in ["romeo@localhost", "nobody@localhost"] {
        juliet.send(to, xml).await;
        assert_eq!(juliet.received(), ["forbidden"]);
        juliet.send(to, &xml.replace("'set'", "'get'")).await;
        assert_eq!(juliet.received(), ["service-unavailable"]);
    }
}

#[tokio::test]
async fn section_2_6_an_unchanged_roster_is_not_sent_again() {
    let world = World::new(Limits::default()).await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    assert_eq!(romeo.ask("get", " ver='0'>").await, ["result"]);
    romeo.set("<item jid='a@b'/>").await;
    let full = push("<item jid='a@b' subscription='none'/>");
    for ver in ["", "0", "no-number"] {
        assert_eq!(romeo.ask("get", &format!(" ver='{ver}'>")).await, std::slice::from_ref(&full));
    }
    let account = romeo.party.account.clone().unwrap();
    let version = account.fact(world.site.roster).version();
    assert_eq!(romeo.ask("get", &format!(" ver='{version}'>")).await, ["result"]);
}

/// Juliet and Romeo see each other.
async fn lovers(world: &World) -> (Client, Client) {
    let romeo = world.bind("romeo@localhost/orchard").await;
    let juliet = world.bind("juliet@localhost/balcony").await;
    for (owner, other) in [(&romeo, &juliet), (&juliet, &romeo)] {
        let account = owner.party.account.as_ref().unwrap();
        let turn = account.turn().await;
        let mut draft = turn.fact(world.site.roster).draft(account.jid(), 1);
        let subscription = waxwing_kernel::presence::rules::Subscription::Both;
        let contact = Contact { subscription, ..Contact::new(other.party.jid.bare()) };
        draft.put(contact, &Limits::default()).unwrap();
        let (roster, writes) = draft.finish();
        world.hub.db().batch(writes).await.unwrap();
        turn.publish(world.site.roster, roster);
    }
    (romeo, juliet)
}

#[tokio::test]
async fn section_2_5_2_who_is_removed_is_told() {
    let world = World::new(Limits::default()).await;
    let (romeo, juliet) = lovers(&world).await;
    juliet.ask("get", " ver='1'>").await;
    romeo.ask("get", " ver='1'>").await;
    let answers = romeo.set("<item jid='juliet@localhost' subscription='remove'/>").await;
    let removed = push("<item jid='juliet@localhost' subscription='remove'/>");
    // Juliet's resource goes out of Romeo's sight.
    assert_eq!(answers, [removed, "unavailable".into(), "result".into()]);
    let expected = [
        "unsubscribe".to_owned(),
        push("<item jid='romeo@localhost' subscription='to'/>"),
        "unsubscribed".into(),
        push("<item jid='romeo@localhost' subscription='none'/>"),
        "unavailable".into(),
    ];
    assert_eq!(juliet.received(), expected);
    assert_eq!(world.state("romeo@localhost", "juliet@localhost").await, State::default());
    assert_eq!(world.state("juliet@localhost", "romeo@localhost").await, State::default());
}

#[tokio::test]
async fn contacts_are_told_when_an_account_is_erased() {
    let world = World::new(Limits::default()).await;
    let (romeo, juliet) = lovers(&world).await;
    let happening = Happening {
        hub: world.hub.clone(),
        site: Arc::clone(&world.site),
        party: romeo.party.clone(),
        account: romeo.party.account.clone().unwrap(),
        presence: None,
    };
    let effects = Arc::new(Roster).take_leave(happening).await;
    world.hub.perform(effects).await;
    assert_eq!(world.state("juliet@localhost", "romeo@localhost").await, State::default());
    assert_eq!(juliet.received(), ["unavailable"], "it did not ask for its roster");
}

#[tokio::test]
async fn what_cannot_be_stored_is_neither_pushed_nor_confirmed() {
    let world = World::new(Limits::default()).await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    romeo.ask("get", ">").await;
    world.hub.db().clone().close().await.unwrap();
    assert_eq!(romeo.set("<item jid='a@b'/>").await, ["internal-server-error"]);
    assert_eq!(romeo.ask("get", ">").await, [push("")]);
}
