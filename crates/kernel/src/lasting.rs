//! What must stay the same while the settings change: a reload makes the modules anew, and what
//! they keep for everybody, such as the only copy of something in memory, must not be made twice.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::hub::Hub;

type Kept = Arc<dyn Any + Send + Sync>;

/// What lasts, by its type and the host that it is for.
#[derive(Default)]
pub(crate) struct Lasting(Mutex<HashMap<(TypeId, Box<str>), Kept>>);

impl Hub {
    /// The only value of this type for the host `domain`, made when it is first asked for. It lasts
    /// as long as the server.
    pub fn lasting<T: Default + Send + Sync + 'static>(&self, domain: &str) -> Arc<T> {
        let mut kept = self.kept().0.lock();
        let value = kept.entry((TypeId::of::<T>(), domain.into()));
        let value = value.or_insert_with(|| Arc::new(T::default()));
        Arc::clone(value).downcast().expect("it is kept under its type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_type_for_each_host() {
        let lasting = Lasting::default();
        let mut kept = lasting.0.lock();
        let key = |domain: &str| (TypeId::of::<u8>(), Box::<str>::from(domain));
        let one = Arc::clone(kept.entry(key("a")).or_insert_with(|| Arc::new(1_u8)));
        let same = Arc::clone(kept.entry(key("a")).or_insert_with(|| Arc::new(2_u8)));
        let other = Arc::clone(kept.entry(key("b")).or_insert_with(|| Arc::new(3_u8)));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        assert_eq!(same.downcast_ref(), Some(&1_u8));
    }
}
