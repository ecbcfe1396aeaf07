//! What one run is to do.

use std::time::{Duration, Instant};

pub(crate) const USAGE: &str = "\
usage: torture (--quick | --full MINUTES) [--only NAME] [--seed N] [--case NAME]

  --quick          every harness once, with its least counts: at most five minutes on two cores
  --full MINUTES   as long as asked, in equal shares, with one seed after another; never less than the least counts
  --only NAME      one harness alone
  --seed N         what decides everything; 1 unless given
  --case NAME      one case alone, as a failure names it, of the harnesses whose cases have names";

/// What one run is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How much: the least counts once, or as long as asked.
    pub(crate) extent: Extent,
    only: Option<String>,
    /// What decides everything (T1).
    pub(crate) seed: u64,
    /// The one case that is wanted.
    pub(crate) case: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Quick,
    /// Until then.
    Full {
        until: Instant,
    },
}

impl Plan {
    pub(crate) fn parse(args: &[String], known: &[&str]) -> Result<Self, String> {
        let mut extent = None;
        let (mut only, mut seed, mut case) = (None, 1, None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--quick" => extent = Some(Extent::Quick),
                "--full" => {
                    let minutes = number(arg, value()?)?;
                    let until = Instant::now().checked_add(Duration::from_secs(minutes.saturating_mul(60)));
                    extent = Some(Extent::Full { until: until.ok_or("--full wants fewer minutes")? });
                }
                "--only" => only = Some(value()?.clone()),
                "--seed" => seed = number(arg, value()?)?,
                "--case" => case = Some(value()?.clone()),
                other => return Err(format!("what is {other}?")),
            }
        }
        if let Some(name) = only.as_deref().filter(|name| !known.contains(name)) {
            return Err(format!("no harness is called {name}; there are: {}", known.join(", ")));
        }
        Ok(Self { extent: extent.ok_or("say --quick or --full MINUTES")?, only, seed, case })
    }

    /// The plan of the next of so many harnesses that are left: its share of the time.
    pub(crate) fn share(&self, left: usize) -> Self {
        let extent = match self.extent {
            Extent::Quick => Extent::Quick,
            Extent::Full { until } => {
                let now = Instant::now();
                let share = until.saturating_duration_since(now) / u32::try_from(left).unwrap_or(u32::MAX).max(1);
                Extent::Full { until: now + share }
            }
        };
        Self { extent, ..self.clone() }
    }

    /// Whether a harness that has done `count` of what it does, of which `least` are wanted, has done enough.
    pub(crate) fn is_enough(&self, count: u64, least: u64) -> bool {
        let is_over = match self.extent {
            Extent::Quick => true,
            Extent::Full { until } => Instant::now() >= until,
        };
        is_over && count >= least
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }
}

fn number(arg: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{arg} wants a whole number, not {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Plan, String> {
        Plan::parse(&args.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &["crash", "tamper"])
    }

    #[test]
    fn harnesses_share_the_time() {
        let plan = parse("--full 10").unwrap();
        let Extent::Full { until } = plan.share(2).extent else { panic!("a share of something else") };
        let left = until.saturating_duration_since(Instant::now());
        assert!((290..=300).contains(&left.as_secs()), "{left:?}");
        assert_eq!(parse("--quick").unwrap().share(2).extent, Extent::Quick);
    }

    /// A run that was given too little time for its counts would fail for that alone.
    #[test]
    fn enough_is_the_least_count_and_the_time() {
        let (quick, over, long) = (parse("--quick").unwrap(), parse("--full 0").unwrap(), parse("--full 10").unwrap());
        for (count, least, expected) in [(9, 10, [false, false, false]), (10, 10, [true, true, false])] {
            assert_eq!([&quick, &over, &long].map(|plan| plan.is_enough(count, least)), expected, "{count} of {least}");
        }
    }

    #[test]
    fn arguments_become_a_plan_or_a_reason() {
        let plan = parse("--quick --only crash --seed 9").unwrap();
        assert_eq!((plan.extent, plan.seed), (Extent::Quick, 9));
        assert!(plan.wants("crash") && !plan.wants("tamper"));
        assert_eq!(parse("--quick --case flip:3:0@/shop").unwrap().case.as_deref(), Some("flip:3:0@/shop"));
        assert!(parse("--full 2").unwrap().wants("tamper"));
        for (args, expected) in [
            ("", "say --quick"),
            ("--quick --only crush", "no harness is called crush; there are: crash, tamper"),
            ("--full soon", "--full wants a whole number"),
            ("--quick --seed", "--seed wants a value"),
            ("--quick --case", "--case wants a value"),
            ("--quack", "what is --quack?"),
        ] {
            assert!(parse(args).unwrap_err().starts_with(expected), "{args}");
        }
    }
}
