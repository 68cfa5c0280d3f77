//! Names of cipher suites and curves, as operators write them.

/// The cipher suites there are, by the names of the IANA; those of TLS 1.3 first.
pub(crate) const SUITES: [&str; 9] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Those that nats-server has besides: with CBC, RC4 or RSA for the exchange of keys.
const WEAK_SUITES: [&str; 14] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
];

/// The curves there are, by nats-server's names.
pub(crate) const CURVES: [&str; 3] = ["X25519", "CurveP256", "CurveP384"];

/// Those that nats-server has besides.
const OTHER_CURVES: [&str; 2] = ["CurveP521", "X25519MLKEM768"];

/// What there is of a name that an operator has written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Found {
    /// It is this one.
    Present(&'static str),
    /// nats-server has it, and midge has not.
    Absent,
    /// Neither has it.
    Unknown,
}

/// Finds a cipher suite. ChaCha20 may lack the end of its name, as in nats-server up to 2.10.
pub(crate) fn find_suite(name: &str) -> Found {
    let name = name.to_ascii_uppercase();
    let is_short = name.ends_with("_POLY1305");
    let is_it = |suite: &&&str| match suite.strip_suffix("_SHA256") {
        Some(short) if is_short => short == name,
        _ => **suite == name,
    };
    match SUITES.iter().find(is_it) {
        Some(suite) => Found::Present(suite),
        None if WEAK_SUITES.contains(&&*name) => Found::Absent,
        None => Found::Unknown,
    }
}

/// Finds a curve.
pub(crate) fn find_curve(name: &str) -> Found {
    let is_it = |known: &&&str| known.eq_ignore_ascii_case(name);
    match CURVES.iter().find(is_it) {
        Some(curve) => Found::Present(curve),
        None if OTHER_CURVES.iter().any(|known| is_it(&known)) => Found::Absent,
        None => Found::Unknown,
    }
}
