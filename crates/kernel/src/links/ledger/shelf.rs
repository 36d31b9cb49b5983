//! Where entries stand: with room for so many of each class, of which the one goes first that was
//! touched longest ago. No class takes room from another.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How well a domain is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Somebody said to be it.
    Claimed,
    /// Somebody here wrote to it.
    Tried,
    /// It has proven itself.
    Proven,
    /// There is a link, or one is being made. As many as links may be.
    Living,
}

/// Entries by name.
pub(super) struct Shelf<T> {
    entries: HashMap<Arc<str>, Slot<T>>,
    /// Those that may have to go, by class and age.
    ages: [BTreeMap<u64, Arc<str>>; 3],
    room: usize,
    next: u64,
}

struct Slot<T> {
    class: Class,
    age: u64,
    value: T,
}

impl<T: Default> Shelf<T> {
    pub(super) fn new(room: usize) -> Self {
        Self { entries: HashMap::new(), ages: Default::default(), room, next: 0 }
    }

    /// Has room for so many, all classes together but the living.
    pub(super) fn bound(&mut self, room: usize) {
        self.room = room;
        [Class::Claimed, Class::Tried, Class::Proven]
            .into_iter()
            .for_each(|class| self.tidy(class));
    }

    pub(super) fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name).map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.entries.get_mut(name).map(|slot| &mut slot.value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &T)> {
        self.entries.iter().map(|(name, slot)| (name, &slot.value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut T)> {
        self.entries.iter_mut().map(|(name, slot)| (name, &mut slot.value))
    }

    /// The entry of this name, which is of this class, or better as it was.
    pub(super) fn at_least(&mut self, name: &str, class: Class) -> &mut T {
        let known = self.entries.get(name).map(|slot| slot.class);
        self.assign(name, known.map_or(class, |known| known.max(class)));
        &mut self.entries.get_mut(name).expect("it was put there").value
    }

    /// Puts the entry of this name, made if there is none, into a class, as the newest of it.
    pub(super) fn assign(&mut self, name: &str, class: Class) {
        let name = match self.entries.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let age = self.next;
        self.next += 1;
        let fresh = || Slot { class, age, value: T::default() };
        let slot = self.entries.entry(Arc::clone(&name)).or_insert_with(fresh);
        let before = (slot.class, slot.age);
        (slot.class, slot.age) = (class, age);
        if let Some(ages) = self.ages.get_mut(before.0 as usize) {
            ages.remove(&before.1);
        }
        if let Some(ages) = self.ages.get_mut(class as usize) {
            ages.insert(age, name);
            self.tidy(class);
        }
    }

    /// Lets those go for which there is no room. The newest stays in any case.
    fn tidy(&mut self, class: Class) {
        let room = match class {
            Class::Claimed => self.room / 8,
            Class::Tried => self.room / 8 * 3,
            Class::Proven => self.room / 2,
            Class::Living => return,
        };
        let ages = &mut self.ages[class as usize];
        while ages.len() > room.max(1) {
            let Some((_, name)) = ages.pop_first() else { return };
            self.entries.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(shelf: &Shelf<u8>) -> Vec<String> {
        let mut names: Vec<String> = shelf.iter().map(|(name, _)| name.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn whoever_merely_claims_takes_nobodys_room() {
        let mut shelf = Shelf::<u8>::new(16);
        *shelf.at_least("proven", Class::Proven) = 7;
        shelf.at_least("tried", Class::Tried);
        shelf.at_least("living", Class::Living);
        for number in 0..1000 {
            shelf.at_least(&format!("{number}.evil"), Class::Claimed);
        }
        assert_eq!(names(&shelf), ["998.evil", "999.evil", "living", "proven", "tried"]);
        assert_eq!(shelf.get("proven"), Some(&7));
        assert!(shelf.ages.iter().map(BTreeMap::len).sum::<usize>() == 4);
    }

    #[test]
    fn the_longest_untouched_goes_first() {
        let mut shelf = Shelf::<u8>::new(8);
        for name in ["a", "b", "c", "a", "d"] {
            shelf.at_least(name, Class::Tried);
        }
        assert_eq!(names(&shelf), ["a", "c", "d"]);
        shelf.bound(0);
        assert_eq!(names(&shelf), ["d"]);
    }

    #[test]
    fn a_claim_takes_nothing_from_who_is_known_better() {
        let mut shelf = Shelf::<u8>::new(8);
        shelf.at_least("a", Class::Living);
        shelf.at_least("a", Class::Claimed);
        assert!(shelf.ages.iter().all(BTreeMap::is_empty));
        shelf.assign("a", Class::Proven);
        shelf.at_least("a", Class::Claimed);
        assert_eq!(shelf.ages[Class::Proven as usize].len(), 1);
        for number in 0..100 {
            shelf.assign(&number.to_string(), Class::Living);
        }
        assert_eq!(shelf.iter().count(), 101);
    }
}
