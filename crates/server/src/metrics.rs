//! What the operating system says of this process, for `/metrics`.

use std::fs;
use std::time::Duration;

use waxwing_kernel::metrics::Process;

/// Reads `/proc`. What is not there (on other systems) stays zero.
pub(crate) fn process(uptime: Duration) -> Process {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Process {
        resident_bytes: resident(&status),
        open_files: fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64),
        max_files: max_files(&limits),
        cpu_seconds: ticks(&stat) as f64 / rustix::param::clock_ticks_per_second() as f64,
        uptime_seconds: uptime.as_secs_f64(),
    }
}

/// `VmRSS:    1234 kB`
fn resident(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    number(line.and_then(|line| line.split_whitespace().next())) * 1024
}

/// `Max open files  1024  524288  files`: the first number is the one that holds.
fn max_files(limits: &str) -> u64 {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    number(line.and_then(|line| line.split_whitespace().next()))
}

/// Fields 14 and 15 of proc(5) `/proc/pid/stat`, counted behind the parenthesised name.
fn ticks(stat: &str) -> u64 {
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    let mut times = fields.split_whitespace().skip(11);
    number(times.next()) + number(times.next())
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_understood() {
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t  1234 kB\n"), 1234 * 1024);
        assert_eq!(max_files("Max open files            1024      524288    files\n"), 1024);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 1 2 3 4 50 60 7 8 20 0 4 0 9 10 11";
        assert_eq!(ticks(stat), 110);
        assert_eq!(ticks(""), 0);
    }

    #[test]
    fn every_metric_is_in_the_manual() {
        let metrics = waxwing_kernel::metrics::Metrics::new("0", "test");
        let _connected = metrics.connected("tls");
        metrics.session_bound("tls");
        metrics.stream_error("conflict");
        metrics.auth_failed("not-authorized");
        metrics.withheld("links");
        let manual = include_str!("../../../docs/operating.md");
        let text = metrics.to_text(&Process::default());
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for family in families.filter_map(|line| line.split(' ').next()) {
            assert!(manual.contains(family), "{family} is not in docs/operating.md");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_lives() {
        let process = process(Duration::from_secs(3));
        assert!(process.resident_bytes > 100_000 && process.open_files > 2);
        assert!(process.max_files > 2 && process.uptime_seconds > 2.9);
    }
}
