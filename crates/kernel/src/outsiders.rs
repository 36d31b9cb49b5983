//! Sessions on other servers, as far as accounts of ours were shown that they are there: whom a
//! node of an account tells what is new (XEP-0060 §9.2, XEP-0163 §4).
//!
//! What is known of them is what their presence said, and ends with it. A server that vanishes says
//! nothing; so there is room for so many, and who came first is forgotten first.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use waxwing_jid::{BareJid, Jid};

use crate::interests::Interests;

/// Sessions of one account elsewhere that are known, and accounts of ours that one may be shown to.
const SESSIONS: usize = 32;
const ACCOUNTS: usize = 1000;

/// The sessions on other servers that are known.
#[derive(Default)]
pub struct Outsiders(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By their accounts.
    all: HashMap<Box<str>, Vec<Outsider>>,
    /// In the order in which they came, and some that have gone.
    order: VecDeque<(Jid, u64)>,
    count: usize,
    last: u64,
}

struct Outsider {
    jid: Jid,
    number: u64,
    interests: Option<Arc<Interests>>,
    /// Accounts that were shown its presence, and whether it was told what they have for it.
    shown: Vec<(BareJid, bool)>,
}

impl Outsiders {
    /// The session `jid` shows an account of ours that it is there. There is `room` for so many.
    pub fn meet(&self, jid: &Jid, account: &BareJid, room: usize) {
        let mut known = self.0.lock();
        if let Some(outsider) = known.find(jid) {
            let is_new = outsider.shown.iter().all(|(shown, _)| shown != account);
            if is_new && outsider.shown.len() < ACCOUNTS {
                outsider.shown.push((account.clone(), false));
            }
            return;
        }
        known.make_room(jid.bare_str(), room);
        known.last += 1;
        let number = known.last;
        let shown = vec![(account.clone(), false)];
        let outsider = Outsider { jid: jid.clone(), number, interests: None, shown };
        known.all.entry(jid.bare_str().into()).or_default().push(outsider);
        known.order.push_back((jid.clone(), number));
        known.count += 1;
    }

    /// The session `jid` shows an account of ours that it has gone.
    pub fn part(&self, jid: &Jid, account: &BareJid) {
        let mut known = self.0.lock();
        let Some(outsider) = known.find(jid) else { return };
        outsider.shown.retain(|(shown, _)| shown != account);
        if outsider.shown.is_empty() {
            let number = outsider.number;
            known.remove(jid, number);
        }
    }

    /// The session `jid` cannot be reached any more.
    pub fn forget(&self, jid: &Jid) {
        let mut known = self.0.lock();
        if let Some(number) = known.find(jid).map(|outsider| outsider.number) {
            known.remove(jid, number);
        }
    }

    /// Notes what a session wants to hear of. Gives the accounts that it was shown to and what each
    /// has not told it yet.
    pub(crate) fn learn(&self, jid: &Jid, now: &Arc<Interests>) -> Vec<(BareJid, Vec<Box<str>>)> {
        let mut known = self.0.lock();
        let Some(outsider) = known.find(jid) else { return Vec::new() };
        let before = outsider.interests.replace(Arc::clone(now));
        let is_added = |node: &&str| !before.as_ref().is_some_and(|before| before.wants(node));
        let added: Vec<Box<str>> = now.nodes().filter(is_added).map(Box::from).collect();
        let mut news = Vec::new();
        for (account, is_told) in &mut outsider.shown {
            let nodes = match std::mem::replace(is_told, true) {
                true => added.clone(),
                false => now.nodes().map(Box::from).collect(),
            };
            if !nodes.is_empty() {
                news.push((account.clone(), nodes));
            }
        }
        news
    }

    /// The sessions of an account elsewhere that want to hear of something, and of what.
    pub fn interested(&self, account: &BareJid) -> Vec<(Jid, Arc<Interests>)> {
        let known = self.0.lock();
        let held = known.all.get(account.as_str()).into_iter().flatten();
        held.filter_map(|it| Some((it.jid.clone(), Arc::clone(it.interests.as_ref()?)))).collect()
    }

    /// Whether the session `jid` wants to hear of a node.
    pub fn wants(&self, jid: &Jid, node: &str) -> bool {
        let mut known = self.0.lock();
        let interests = known.find(jid).and_then(|outsider| outsider.interests.clone());
        interests.is_some_and(|interests| interests.wants(node))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.0.lock().count
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Known {
    fn find(&mut self, jid: &Jid) -> Option<&mut Outsider> {
        self.all.get_mut(jid.bare_str())?.iter_mut().find(|outsider| outsider.jid == *jid)
    }

    fn remove(&mut self, jid: &Jid, number: u64) {
        let Some(held) = self.all.get_mut(jid.bare_str()) else { return };
        let before = held.len();
        held.retain(|outsider| outsider.number != number);
        self.count -= before - held.len();
        if held.is_empty() {
            self.all.remove(jid.bare_str());
        }
    }

    /// Forgets who came first, of the account and of all.
    fn make_room(&mut self, account: &str, room: usize) {
        let held = self.all.get(account);
        let oldest = held.filter(|held| held.len() >= SESSIONS).and_then(|held| held.first());
        if let Some((jid, number)) = oldest.map(|oldest| (oldest.jid.clone(), oldest.number)) {
            self.remove(&jid, number);
        }
        while self.count >= room.max(1) {
            let Some((jid, number)) = self.order.pop_front() else { break };
            self.remove(&jid, number);
        }
        // Those that have gone leave their places behind.
        if self.order.len() > 2 * self.count + SESSIONS {
            let all = &self.all;
            self.order.retain(|(jid, number)| {
                let held = all.get(jid.bare_str()).into_iter().flatten();
                { held }.any(|outsider| outsider.number == *number)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        Jid::new(text).unwrap()
    }

    fn bare(text: &str) -> BareJid {
        BareJid::new(text).unwrap()
    }

    fn interests(nodes: &[&str]) -> Arc<Interests> {
        let features: Vec<String> = nodes.iter().map(|node| format!("{node}+notify")).collect();
        Arc::new(Interests::of(features.iter().map(String::as_str)))
    }

    /// The accounts that have something, and of how many nodes.
    fn told(news: &[(BareJid, Vec<Box<str>>)]) -> Vec<(&str, usize)> {
        news.iter().map(|(account, nodes)| (account.as_str(), nodes.len())).collect()
    }

    #[test]
    fn everybody_who_is_shown_a_session_tells_it_once() {
        let known = Outsiders::default();
        let (there, us, you) = (jid("c@b.example/1"), bare("us@a.example"), bare("you@a.example"));
        known.meet(&there, &us, 10);
        let now = interests(&["urn:x", "urn:y"]);
        assert_eq!(told(&known.learn(&there, &now)), [("us@a.example", 2)]);
        assert!(known.learn(&there, &now).is_empty(), "it says the same again");
        known.meet(&there, &you, 10);
        let more = interests(&["urn:x", "urn:y", "urn:z"]);
        assert_eq!(told(&known.learn(&there, &more)), [("us@a.example", 1), ("you@a.example", 3)]);
        assert!(known.wants(&there, "urn:z") && !known.wants(&there, "urn:a"));
        assert_eq!(known.interested(&there.bare()).len(), 1);
    }

    #[test]
    fn who_has_gone_for_all_is_forgotten() {
        let known = Outsiders::default();
        let (there, us, you) = (jid("c@b.example/1"), bare("us@a.example"), bare("you@a.example"));
        known.meet(&there, &us, 10);
        known.meet(&there, &you, 10);
        known.part(&there, &us);
        assert_eq!(known.len(), 1);
        known.part(&there, &you);
        assert!(known.is_empty());
        assert!(known.learn(&there, &interests(&["urn:x"])).is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_and_who_came_first_goes_first() {
        let known = Outsiders::default();
        let us = bare("us@a.example");
        for number in 0..1000 {
            known.meet(&jid(&format!("c{number}@b.example/1")), &us, 10);
        }
        assert_eq!(known.len(), 10);
        known.learn(&jid("c999@b.example/1"), &interests(&["urn:x"]));
        assert_eq!(known.interested(&bare("c999@b.example")).len(), 1);
        for number in 0..1000 {
            let there = jid(&format!("d@b.example/{number}"));
            known.meet(&there, &us, 10_000);
            known.part(&there, &us);
        }
        assert!(known.0.lock().order.len() < 100, "who has gone leaves nothing behind");
        for number in 0..100 {
            known.meet(&jid(&format!("e@b.example/{number}")), &us, 10_000);
        }
        assert_eq!(known.len(), 10 + SESSIONS);
    }
}
