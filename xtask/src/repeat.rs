//! Runs tests that failed once more, alone.

use std::collections::BTreeSet;

use crate::Failure;
use crate::run::all_or_what_failed;

/// A test program that failed.
pub struct Failed<'a> {
    /// The tests that failed, if they may run again; none if the program did not come to its end.
    tests: Vec<String>,
    why: Failure,
    run: Run<'a>,
}

/// Runs the test of this name.
type Run<'a> = Box<dyn Fn(&str) -> Result<(), Failure> + Send + 'a>;

impl<'a> Failed<'a> {
    /// A program that failed because of `why` and printed the lines `told`. `run` runs one of its tests.
    pub fn new(told: &[String], why: Failure, run: impl Fn(&str) -> Result<(), Failure> + Send + 'a) -> Self {
        let why = format!("{why}\n{}", what_failing_tests_told(told).join("\n"));
        // Another run of a property's test draws other values, and proves nothing.
        let is_by_chance = why.contains(OF_A_PROPERTY);
        Self { tests: if is_by_chance { Vec::new() } else { failing_tests(told) }, why, run: Box::new(run) }
    }

    /// A program that could not be run.
    pub fn to_run(why: Failure) -> Self {
        Self { tests: Vec::new(), why, run: Box::new(|_| Ok(())) }
    }
}

/// Runs each test that failed once more, with nothing beside it: other tests, the browsers of four at once among them, can starve one on
/// two cores. A test that passes now is reported as one that does not bear a busy machine. Returns the failures that stay.
///
/// More failures than `MAX_REPEATED`, and the end of a program, are no matter of load: then nothing is run again.
pub fn alone(failed: &[Failed]) -> Result<(), Failure> {
    let count: usize = failed.iter().map(|failed| failed.tests.len()).sum();
    let is_a_matter_of_load = count <= MAX_REPEATED && failed.iter().all(|failed| !failed.tests.is_empty());
    all_or_what_failed(failed.iter().map(|failed| {
        if !is_a_matter_of_load {
            return Err(failed.why.clone());
        }
        let again = failed.tests.iter().try_for_each(|test| (failed.run)(test));
        again.map_err(|again| format!("{}\nAnd alone: {again}", failed.why))?;
        println!("FAILED BESIDE OTHER TESTS, AND PASSED ALONE: {}\n{}", failed.tests.join(", "), failed.why);
        Ok(())
    }))
}

/// The words before the values that a test of proptest fails with.
const OF_A_PROPERTY: &str = "minimal failing input:";

/// So many tests are run again.
const MAX_REPEATED: usize = 3;

/// The tests whose failure a program has told, in the format of libtest. A test that ran in a process of its own is told twice.
fn failing_tests(told: &[String]) -> Vec<String> {
    let name = |line: &String| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
    let tests: BTreeSet<_> = told.iter().filter_map(name).collect();
    tests.into_iter().collect()
}

/// Returns the lines that libtest prints of the tests that failed: their output, and then their names once more.
fn what_failing_tests_told(told: &[String]) -> &[String] {
    let start = told.iter().position(|line| line == "failures:").unwrap_or(told.len());
    &told[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a program of which these tests failed.
    fn told(failing: &[&str]) -> Vec<String> {
        let lines = failing.iter().map(|test| format!("test {test} ... FAILED"));
        lines.chain(["failures:".to_owned(), "    a gap of 80 ms".to_owned()]).collect()
    }

    #[test]
    fn a_test_that_passes_alone_is_no_failure_and_one_that_fails_again_is() {
        let run = |test: &str| if test == "weak" { Ok(()) } else { Err(format!("{test} failed again")) };
        assert_eq!(alone(&[Failed::new(&told(&["weak"]), "1".to_owned(), run)]), Ok(()));
        let both =
            [Failed::new(&told(&["weak"]), "1".to_owned(), run), Failed::new(&told(&["broken"]), "2".to_owned(), run)];
        assert!(alone(&both).unwrap_err().ends_with("And alone: broken failed again"));
    }

    #[test]
    fn neither_many_failures_nor_a_program_that_ends_are_repeated() {
        let fails = |tests: &[&str]| alone(&[Failed::new(&told(tests), "why".to_owned(), |_| Ok(()))]).is_err();
        assert!(fails(&["a", "b", "c", "d"]) && fails(&[]) && !fails(&["a", "b", "c"]));
        assert!(alone(&[Failed::to_run("it is not there".to_owned())]).is_err());
        let of_a_property = [told(&["a"]), vec!["minimal failing input: 7".to_owned()]].concat();
        assert!(alone(&[Failed::new(&of_a_property, "why".to_owned(), |_| Ok(()))]).is_err());
    }

    #[test]
    fn the_tests_that_failed_and_what_they_told_are_found_in_the_output() {
        let told = [
            "running 2 tests",
            "test a_call ... ok",
            "test as_root::a_flood ... FAILED",
            "test as_root::a_flood ... FAILED",
            "failures:",
            "---- as_root::a_flood stdout ----",
            "a gap of 80 ms",
            "failures:",
            "    as_root::a_flood",
        ]
        .map(str::to_owned);
        assert_eq!(failing_tests(&told), ["as_root::a_flood"]);
        assert_eq!(what_failing_tests_told(&told), &told[4..]);
        assert!(failing_tests(&told[..2]).is_empty() && what_failing_tests_told(&told[..2]).is_empty());
    }
}
