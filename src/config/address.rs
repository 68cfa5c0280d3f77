//! Addresses as flags and files write them.

/// Host and port of `host:port`, where an address of version 6 is in brackets.
pub(crate) fn split_address(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']').map(|host| (host, port)),
        None => (!host.contains(':')).then_some((host, port)),
    }
}
