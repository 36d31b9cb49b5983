//! The seats of many, in lists that nobody changes while a message goes to them.
//!
//! A message that waits for its commit holds the lists that it is for. If all seats were in one
//! list, whoever comes or goes meanwhile would have all of them copied; so there are many short
//! ones, and one of them is copied.

use std::sync::Arc;

use super::outcome::Place;

/// How many seats one list has, at most.
const LENGTH: usize = 64;

/// Lists of seats.
#[derive(Default)]
pub struct Places(Vec<Arc<Vec<Place>>>);

impl Places {
    /// The lists as they are now.
    pub fn lists(&self) -> impl Iterator<Item = Arc<Vec<Place>>> {
        self.0.iter().map(Arc::clone)
    }

    /// One more, behind all others.
    pub fn push(&mut self, place: Place) {
        match self.0.last_mut() {
            Some(last) if last.len() < LENGTH => Arc::make_mut(last).push(place),
            _ => self.0.push(Arc::new(vec![place])),
        }
    }

    /// Only those that are to stay. The lists of others are not copied; two of them become one when
    /// they have grown so short.
    pub fn retain(&mut self, keep: impl Fn(&Place) -> bool) {
        let mut index = 0;
        while index < self.0.len() {
            if !self.0[index].iter().all(&keep) {
                Arc::make_mut(&mut self.0[index]).retain(&keep);
                if self.is_short(index) {
                    let list = self.0.remove(index);
                    if index > 0 && !list.is_empty() {
                        Arc::make_mut(&mut self.0[index - 1]).extend(list.iter().cloned());
                    }
                    continue;
                }
            }
            index += 1;
        }
    }

    /// Whether a list has so few that the one before it can take them, or none.
    fn is_short(&self, index: usize) -> bool {
        let length = self.0[index].len();
        let before = index.checked_sub(1).map_or(LENGTH, |before| self.0[before].len());
        length == 0 || before + length <= LENGTH / 2
    }
}

impl FromIterator<Place> for Places {
    fn from_iter<I: IntoIterator<Item = Place>>(places: I) -> Self {
        let mut all = Self::default();
        places.into_iter().for_each(|place| all.push(place));
        all
    }
}

#[cfg(test)]
mod tests {
    use waxwing_jid::Jid;
    use waxwing_kernel::crowd::Seat;
    use waxwing_kernel::stage::Party;

    use super::*;

    fn place(occupant: u64) -> Place {
        let jid = Jid::new(&format!("p{occupant}@localhost/d")).unwrap();
        Place { occupant, seat: Seat::of(&Party::new(jid, None)) }
    }

    fn numbers(lists: &[Arc<Vec<Place>>]) -> Vec<u64> {
        lists.iter().flat_map(|list| list.iter().map(|place| place.occupant)).collect()
    }

    /// Issues of cost: a message on its way has one list copied by who comes or goes, not all.
    #[test]
    fn who_comes_or_goes_while_a_message_is_on_its_way_has_little_copied() {
        let mut places: Places = (0..1_000).map(place).collect();
        for step in 0..500 {
            let held: Vec<_> = places.lists().collect();
            let before = numbers(&held);
            match step % 2 {
                0 => places.push(place(1_000 + step)),
                _ => places.retain(|place| place.occupant != step * 7 % 1_000),
            }
            let now: Vec<_> = places.lists().collect();
            let is_new = |list: &&Arc<Vec<Place>>| !held.iter().any(|it| Arc::ptr_eq(it, list));
            let copied: usize = now.iter().filter(is_new).map(|list| list.len()).sum();
            assert!(copied <= LENGTH, "{copied}");
            assert_eq!(numbers(&held), before, "the message goes to whom it was for");
        }
    }

    #[test]
    fn nobody_is_lost_and_lists_do_not_become_many() {
        let mut places: Places = (0..1_000).map(place).collect();
        places.retain(|place| place.occupant % 10 == 3);
        let lists: Vec<_> = places.lists().collect();
        assert_eq!(numbers(&lists), (0..100).map(|tenth| tenth * 10 + 3).collect::<Vec<_>>());
        assert!(lists.len() <= 8, "{}", lists.len());
        places.retain(|_| false);
        assert_eq!(places.lists().count(), 0);
        places.push(place(7));
        assert_eq!(numbers(&places.lists().collect::<Vec<_>>()), [7]);
    }
}
