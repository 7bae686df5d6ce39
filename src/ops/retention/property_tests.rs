use proptest::prelude::*;

use super::log::End::{Complete, Incomplete};
use super::log::{Log, SERIES, at, berlin};
use super::*;

fn any_taken() -> impl Strategy<Value = Vec<(i64, bool, Vec<&'static str>)>> {
    let tags = prop::sample::subsequence(vec!["weekly", "yearly", "legal", "daily"], 0..3);
    // Mostly hours apart, now and then a clock that jumps.
    let step = prop_oneof![8 => 0i64..40 * 3600, 1 => -400 * 86_400i64..400 * 86_400];
    prop::collection::vec((step, prop::bool::weighted(0.7), tags), 0..60)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let count = || prop_oneof![Just(0u32), 0u32..8];
    let within = prop::option::weighted(0.3, (0i64..60).prop_map(|days| Span::new().days(days)));
    let keep_tags = prop::sample::subsequence(vec!["legal".to_owned(), "weekly".to_owned()], 0..2);
    (count(), count(), count(), count(), count(), within, keep_tags).prop_map(
        |(last, daily, weekly, monthly, yearly, within, keep_tags)| Policy {
            last,
            daily,
            weekly,
            monthly,
            yearly,
            within,
            keep_tags,
            max_count: None,
        },
    )
}

fn log_of(steps: &[(i64, bool, Vec<&'static str>)]) -> Log {
    let mut log = Log::new(berlin());
    let mut seconds = at("2026-01-01 03:00+01").seconds;
    for (step, complete, given) in steps {
        seconds += step;
        let end = if *complete { Complete } else { Incomplete };
        log.back_up_as(SERIES, Time { seconds, nanos: 0 }, end, given);
    }
    log
}

proptest! {
    #[test]
    fn a_policy_never_drops_the_newest_complete_one_nor_a_tag_that_people_named(
        steps in any_taken(), policy in any_policy(),
    ) {
        let log = log_of(&steps);
        let verdicts = log.judge(&policy);
        let newest = verdicts.iter().rfind(|verdict| verdict.complete);
        prop_assert!(newest.is_none_or(Verdict::stays));
        prop_assert!(verdicts.iter().flat_map(|v| &v.drops).all(|dropped| Tier::of_tag(&dropped.tag).is_some()));
        for (verdict, taken) in verdicts.iter().zip(log.taken()) {
            let mut said: Vec<&str> = verdict.keeps.iter().map(|kept| kept.tag.as_str()).collect();
            said.extend(verdict.drops.iter().map(|dropped| dropped.tag.as_str()));
            said.sort_unstable();
            prop_assert_eq!(said, taken.tags.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    #[test]
    fn judging_what_a_policy_left_changes_nothing_more(steps in any_taken(), policy in any_policy()) {
        let mut log = log_of(&steps);
        let verdicts = log.judge(&policy);
        log.apply(&verdicts);
        let again = log.judge(&policy);
        prop_assert!(!again.iter().any(Verdict::changes), "{:?}", again);
    }

    #[test]
    fn a_tier_keeps_as_many_complete_holders_as_it_may(steps in any_taken(), policy in any_policy()) {
        let log = log_of(&steps);
        let verdicts = log.judge(&policy);
        for tier in TIERS {
            let complete = |verdict: &&Verdict| verdict.complete;
            let kept = verdicts.iter().filter(complete).filter(|v| v.keeps.iter().any(|kept| kept.tag == tier.name()));
            let holders = log.taken().iter().filter(|one| one.complete && one.tags.contains(tier.name())).count();
            prop_assert!(kept.count() >= holders.min(policy.count(tier) as usize));
        }
    }

    #[test]
    fn forgetting_by_id_leaves_no_period_without_a_holder_that_could_have_one(
        steps in any_taken(), named in prop::collection::btree_set(1usize..60, 0..20),
    ) {
        let mut log = log_of(&steps);
        let newest = steps.iter().rposition(|(_, complete, _)| *complete).map_or(0, |at| at + 1);
        let named: Vec<usize> = named.into_iter().filter(|n| *n != newest && *n <= steps.len()).collect();
        log.forget(&named).unwrap();
        let complete: Vec<Taken> = log.taken().into_iter().filter(|one| one.complete).collect();
        for one in &complete {
            for tier in &TIERS[1..] {
                let place = log.calendar.period(*tier, one.started);
                let mut others = complete.iter().filter(|o| log.calendar.period(*tier, o.started) == place);
                prop_assert!(others.any(|other| other.tags.contains(tier.name())), "{:?} of {:?}", tier, one);
            }
        }
    }
}
