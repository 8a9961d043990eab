//! Order without a sort of its own for every type: the standard library compiles one, some five
//! kilobytes of code, wherever a list is sorted and wherever a map or a set is collected. Together
//! that was a twentieth of the binary. Nothing here is for long lists, and none of ours is long.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A map of these; of two with the same key, the later.
pub fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    // One after the other, unlike `collect`.
    map.extend(pairs);
    map
}

/// A set of these.
pub fn set<T: Ord>(members: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(members);
    set
}

/// Sorts; equal ones stay as they were.
pub fn sort<T: Ord>(items: &mut Vec<T>) {
    sort_by(items, T::cmp);
}

/// Sorts by comparison; equal ones stay as they were.
pub fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    sort_places(&mut order, &|a, b| compare(&items[a], &items[b]));
    let mut rest: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|place| rest[place].take()));
}

/// Sorts by a key; equal ones stay as they were.
pub fn sort_by_key<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    sort_by(items, |a, b| key(a).cmp(&key(b)));
}

/// The one that is compiled.
fn sort_places(order: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    order.sort_by(|a, b| compare(*a, *b));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_the_standard_library_does_it(pairs in prop::collection::vec((0..9, 0..9), 0..40)) {
            prop_assert_eq!(map(pairs.clone()), pairs.iter().copied().collect());
            prop_assert_eq!(set(pairs.clone()), pairs.iter().copied().collect());
            let (mut ours, mut theirs) = (pairs.clone(), pairs.clone());
            sort_by_key(&mut ours, |pair| pair.0);
            theirs.sort_by_key(|pair| pair.0);
            prop_assert_eq!(&ours, &theirs);
            sort(&mut ours);
            theirs.sort();
            prop_assert_eq!(ours, theirs);
        }
    }
}
