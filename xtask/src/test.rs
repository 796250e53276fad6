//! `cargo xtask test [NAME]`: builds all that the tests need and runs every test of the workspace.
//!
//! One profile (`fast`) and one target folder, so that nothing is compiled twice. It never asks a
//! question and works with no standard input.

use std::time::Instant;

use crate::environment;
use crate::shell::{self, Outcome, cargo, root, target_dir};

/// Debian packages of the whole-program tests, each with the path that shows it is there.
const PACKAGES: &[(&str, &str)] = &[
    ("/usr/share/doc/python3-venv", "python3-venv"),
    ("/usr/sbin/nginx", "nginx-light"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/htpasswd", "apache2-utils"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/nghttp", "nghttp2-client"),
    ("/usr/bin/testssl", "testssl.sh"),
    ("/usr/bin/chromium", "chromium"),
    ("/usr/bin/pebble", "pebble"),
    ("/usr/sbin/haproxy", "haproxy"),
    ("/usr/sbin/apache2", "apache2"),
    ("/usr/bin/uwsgi-core", "uwsgi-core"),
    (
        "/usr/lib/uwsgi/plugins/python311_plugin.so",
        "uwsgi-plugin-python3",
    ),
    ("/usr/sbin/php-fpm8.2", "php8.2-fpm"),
    ("/usr/sbin/dnsmasq", "dnsmasq-base"),
];

/// The profile that tests are built with.
const PROFILE: &str = "fast";

/// Runs everything; `args` are passed on to the test programs (a name to filter by).
pub(crate) fn run(args: &[String]) -> Outcome {
    let begun = Instant::now();
    environment::debian_packages(PACKAGES);
    let root = root();
    let python = environment::venv(
        &root.join(".test/venv"),
        &root.join("tests/requirements.txt"),
    )?;
    shell::run(cargo().args(["build", "--profile", PROFILE, "--workspace"]))?;

    let mut command = cargo();
    command
        .args([
            "test",
            "--profile",
            PROFILE,
            "--workspace",
            "--no-fail-fast",
        ])
        .args(args)
        .env(
            "QUAICH_TEST_BINARY",
            target_dir().join(PROFILE).join("quaich"),
        )
        .env("QUAICH_TEST_PYTHON", python);
    let mut sum = Summary::default();
    let ended_well = shell::watch(&mut command, |line| sum.read(line))?;
    println!("\n{} in {} s", sum.in_words(), begun.elapsed().as_secs());
    if ended_well {
        Ok(())
    } else {
        Err(sum.failures())
    }
}

/// The totals of all test programs of one run.
#[derive(Default)]
struct Summary {
    passed: u64,
    failed: u64,
    ignored: u64,
    failures: Vec<String>,
}

impl Summary {
    /// Takes one line of a test program's output.
    fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.passed += count(counts, "passed");
            self.failed += count(counts, "failed");
            self.ignored += count(counts, "ignored");
        } else if let Some(name) = line
            .strip_prefix("test ")
            .and_then(|l| l.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_string());
        }
    }

    fn in_words(&self) -> String {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        format!(
            "all tests: {verdict}. {} passed; {} failed; {} ignored",
            self.passed, self.failed, self.ignored
        )
    }

    fn failures(&self) -> String {
        match self.failures.as_slice() {
            [] => "the tests did not run to their end".to_string(),
            names => format!("failed: {}", names.join(", ")),
        }
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; ...`.
fn count(line: &str, word: &str) -> u64 {
    let mut last = 0;
    for part in line.split([' ', ';']) {
        match part.parse() {
            Ok(number) => last = number,
            Err(_) if part == word => return last,
            Err(_) => {}
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_the_results_of_several_programs() {
        let mut sum = Summary::default();
        sum.read("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        sum.read("test http1::refuses ... FAILED");
        sum.read("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out");
        assert_eq!((sum.passed, sum.failed, sum.ignored), (5, 1, 1));
        assert_eq!(sum.failures(), "failed: http1::refuses");
    }
}
