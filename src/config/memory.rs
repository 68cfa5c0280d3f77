//! How much memory there is for this process.

use std::fs;

/// Files in which the limit of a container stands, as a number of bytes alone.
const LIMITS: [&str; 2] = [
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
];

/// Bytes of memory of the machine, or of the container if that has less; `None` if the system does not
/// tell.
pub(super) fn bytes() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(of_machine);
    let limits = LIMITS.map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.into_iter().chain([machine]).flatten().min()
}

fn of_machine(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_machine_is_read_from_its_first_line() {
        let text = "MemTotal:       24396804 kB\nMemFree:        21914972 kB\n";
        assert_eq!(of_machine(text), Some(24_396_804 * 1024));
        assert_eq!(of_machine("MemFree: 1 kB\n"), None);
    }
}
