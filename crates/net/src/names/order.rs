//! The order in which servers are tried: RFC 2782, over the records of both services.

/// Something with the place that RFC 2782 gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ranked<T> {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) item: T,
}

/// Puts `ranked` into the order in which they are to be tried. `random(n)` is a number from 0 to
/// `n`, both included. The order in which they were listed changes nothing.
///
/// XEP-0368 §3: "Both 'xmpp-' and 'xmpps-' records SHOULD be treated as the same record with regard
/// to connection order as specified by RFC 2782, in that all priorities and weights are mixed."
pub(super) fn in_order<T: Ord>(
    mut ranked: Vec<Ranked<T>>,
    random: &mut dyn FnMut(u32) -> u32,
) -> Vec<Ranked<T>> {
    // By priority, and within one those of weight 0 first, as RFC 2782 arranges them for the draw.
    ranked.sort_unstable();
    ranked.dedup();
    let mut order = Vec::with_capacity(ranked.len());
    while let Some(first) = ranked.first() {
        let group = ranked.partition_point(|other| other.priority == first.priority);
        let drawn = draw(&ranked[..group], random);
        order.push(ranked.remove(drawn));
    }
    order
}

/// RFC 2782: "choose a uniform random number between 0 and the sum computed (inclusive), and select
/// the RR whose running sum value is the first in the selected order which is greater than or equal
/// to the random number selected."
fn draw<T>(group: &[Ranked<T>], random: &mut dyn FnMut(u32) -> u32) -> usize {
    let sum = group.iter().map(|ranked| u32::from(ranked.weight)).sum();
    let number = if group.len() > 1 { random(sum) } else { 0 };
    let mut running = 0;
    let reaches = |ranked: &Ranked<T>| {
        running += u32::from(ranked.weight);
        running >= number
    };
    group.iter().position(reaches).unwrap_or(group.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(priority: u16, weight: u16, item: &str) -> Ranked<String> {
        Ranked { priority, weight, item: item.to_owned() }
    }

    fn order(ranked: &[Ranked<String>], random: &mut dyn FnMut(u32) -> u32) -> Vec<String> {
        in_order(ranked.to_vec(), random).into_iter().map(|ranked| ranked.item).collect()
    }

    #[test]
    fn the_lowest_priority_comes_first() {
        let all = [ranked(20, 0, "c"), ranked(10, 0, "b"), ranked(5, 0, "a"), ranked(30, 0, "d")];
        assert_eq!(order(&all, &mut |_| 0), ["a", "b", "c", "d"]);
    }

    #[test]
    fn weights_share_the_load() {
        let all = [ranked(1, 30, "b"), ranked(1, 70, "a"), ranked(1, 0, "seldom")];
        // The running sums: seldom 0, b 30, a 100.
        for (number, first) in [(0, "seldom"), (1, "b"), (30, "b"), (31, "a"), (100, "a")] {
            let mut asked = Vec::new();
            let order = order(&all, &mut |sum| {
                asked.push(sum);
                number.min(sum)
            });
            assert_eq!(order[0], first, "{number}");
            assert_eq!(asked[0], 100);
            assert_eq!(order.len(), 3);
        }
    }

    #[test]
    fn the_answer_s_own_order_and_its_doubles_change_nothing() {
        let all = [ranked(1, 10, "a"), ranked(1, 20, "b"), ranked(1, 30, "c")];
        let mut turned = all.to_vec();
        turned.reverse();
        turned.push(all[1].clone());
        for number in 0..=60 {
            let mut random = |sum: u32| number.min(sum);
            assert_eq!(order(&all, &mut random), order(&turned, &mut random));
        }
        let heavy = [ranked(0, u16::MAX, "a"), ranked(0, u16::MAX, "b")];
        assert_eq!(order(&heavy, &mut |sum| sum), ["b", "a"]);
        assert!(order(&[], &mut |sum| sum).is_empty());
    }
}
