//! Blocks for what midge does not do yet: checked as far as names and types go, then refused by name.
//!
//! To ignore them would be worse: a broker that is told to look accounts up elsewhere, or to connect to others,
//! must not start without. A cluster with no routes is another matter, since it is a cluster of one: many
//! files have such a block, that of nats-server's container image among them.

use super::nearest::nearest;
use super::reader::{Reader, go_type};
use crate::config::language::{Kind, Map, Pair, Value};

/// What a key of a block may hold.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Text,
    Switch,
    Integer,
    /// `host:port` or a port.
    Address,
    /// Text, or a list of texts.
    Texts,
    /// Text or a whole number.
    TextOrInteger,
    /// Another block.
    Block(&'static Block),
    /// A list of blocks.
    Blocks(&'static Block),
    /// A block, or something that is not looked at.
    BlockOrElse(&'static Block),
    /// Anything.
    Any,
}

/// The keys of a block, each with all its names.
pub(super) struct Block {
    /// What stands before `unknown field`.
    context: &'static str,
    keys: &'static [(&'static [&'static str], Shape)],
}

use Shape::{
    Address, Any, Block as B, BlockOrElse, Blocks, Integer, Switch, Text, TextOrInteger, Texts,
};

pub(super) static TLS: Block = Block {
    context: "error parsing tls config, ",
    keys: &[
        (&["cert_file"], Text),
        (&["key_file"], Text),
        (&["ca_file"], Text),
        (&["verify"], Switch),
        (&["verify_and_map"], Switch),
        (&["verify_cert_and_check_known_urls"], Switch),
        (&["insecure"], Switch),
        (&["cipher_suites"], Texts),
        (&["curve_preferences"], Texts),
        (&["timeout"], Any),
        (&["connection_rate_limit"], Integer),
        (&["pinned_certs"], Texts),
        (&["min_version"], Any),
        (&["handshake_first", "first", "immediate"], Any),
        (&["certs", "certificates"], Any),
        (&["allow_insecure_cipher_suites"], Switch),
        (&["ocsp_peer"], Any),
        (&["cert_store"], Text),
        (&["cert_match"], Text),
        (&["cert_match_by"], Text),
        (&["ca_certs_match"], Any),
        (&["cert_match_skip_invalid"], Switch),
    ],
};

static PERMISSIONS: Block = Block {
    context: "",
    keys: &[
        (&["publish", "pub", "import"], Any),
        (&["subscribe", "sub", "export"], Any),
        (&["allow_responses", "publish_allow_responses"], Any),
    ],
};

static USER: Block = Block {
    context: "",
    keys: &[
        (&["user", "username"], Text),
        (&["pass", "password"], Text),
        (&["nkey"], Text),
        (&["account"], Text),
        (
            &["permissions", "permission", "authorization"],
            B(&PERMISSIONS),
        ),
        (
            &["allowed_connection_types", "connection_types", "clients"],
            Texts,
        ),
        (&["proxy_required"], Switch),
    ],
};

static LINK_AUTHORIZATION: Block = Block {
    context: "",
    keys: &[
        (&["user", "username"], Text),
        (&["pass", "password"], Text),
        (&["token"], Text),
        (&["nkey"], Text),
        (&["account"], Text),
        (&["timeout"], Any),
        (&["users"], Blocks(&USER)),
        (&["proxy_required"], Switch),
        (&["permissions", "default_permissions"], Any),
    ],
};

pub(super) static CLUSTER: Block = Block {
    context: "",
    keys: &[
        (&["name"], Text),
        (&["listen"], Address),
        (&["port"], Integer),
        (&["host", "net"], Text),
        (&["authorization"], B(&LINK_AUTHORIZATION)),
        (&["permissions"], B(&PERMISSIONS)),
        (&["routes"], Texts),
        (&["tls"], B(&TLS)),
        (&["cluster_advertise", "advertise"], Text),
        (&["no_advertise"], Switch),
        (&["connect_retries"], Integer),
        (&["connect_backoff"], Switch),
        (&["pool_size"], Integer),
        (&["accounts"], Texts),
        (&["compression"], Any),
        (&["ping_interval"], TextOrInteger),
        (&["ping_max"], Integer),
        (&["write_deadline"], TextOrInteger),
        (&["write_timeout"], Text),
    ],
};

static REMOTE: Block = Block {
    context: "",
    keys: &[
        (&["url", "urls"], Texts),
        (&["account", "local"], Text),
        (&["credentials", "creds"], Text),
        (&["nkey", "seed"], Text),
        (&["tls"], B(&TLS)),
        (&["hub"], Switch),
        (&["deny_imports", "deny_import"], Texts),
        (&["deny_exports", "deny_export"], Texts),
        (&["no_randomize", "dont_randomize"], Switch),
        (
            &[
                "ws_compression",
                "ws_compress",
                "websocket_compression",
                "websocket_compress",
            ],
            Switch,
        ),
        (&["ws_no_masking", "websocket_no_masking"], Switch),
        (&["jetstream_cluster_migrate"], Any),
        (&["first_info_timeout"], TextOrInteger),
        (&["dial_timeout"], TextOrInteger),
        (&["compression"], Any),
        (&["disabled"], Switch),
        (
            &["request_isolation", "isolate", "isolate_leafnode_interest"],
            Switch,
        ),
        (&["proxy"], Any),
        (&["ignore_discovered_servers"], Switch),
    ],
};

pub(super) static LEAFNODES: Block = Block {
    context: "",
    keys: &[
        (&["listen"], Address),
        (&["port"], Integer),
        (&["host", "net"], Text),
        (&["authorization"], B(&LINK_AUTHORIZATION)),
        (&["tls"], B(&TLS)),
        (&["advertise", "leafnode_advertise"], Text),
        (&["no_advertise"], Switch),
        (&["min_version", "minimum_version"], Text),
        (
            &["reconnect", "reconnect_delay", "reconnect_interval"],
            TextOrInteger,
        ),
        (&["remotes"], Blocks(&REMOTE)),
        (&["compression"], Any),
        (&["isolate_leafnode_interest", "isolate"], Switch),
        (&["write_deadline"], TextOrInteger),
        (&["write_timeout"], Text),
        (&["dial_timeout"], TextOrInteger),
    ],
};

pub(super) static GATEWAY: Block = Block {
    context: "",
    keys: &[
        (&["name"], Text),
        (&["listen"], Address),
        (&["port"], Integer),
        (&["host", "net"], Text),
        (&["authorization"], B(&LINK_AUTHORIZATION)),
        (&["tls"], B(&TLS)),
        (&["advertise"], Text),
        (&["connect_retries"], Integer),
        (&["connect_backoff"], Switch),
        (&["gateways"], Blocks(&REMOTE_GATEWAY)),
        (&["reject_unknown", "reject_unknown_cluster"], Switch),
        (&["write_deadline"], TextOrInteger),
        (&["write_timeout"], Text),
    ],
};

static REMOTE_GATEWAY: Block = Block {
    context: "",
    keys: &[
        (&["name"], Text),
        (&["url", "urls"], Texts),
        (&["tls"], B(&TLS)),
    ],
};

/// Why a cluster without routes has no effect.
const ALONE: &str =
    "this server runs alone and does not listen for routes; only the name of a cluster is used";

/// What a name at the top is for, and what it may hold.
pub(super) struct Unsupported {
    pub(super) names: &'static [&'static str],
    /// What is told of a value that is no map, before its type.
    no_map: &'static str,
    shape: Shape,
    purpose: &'static str,
}

pub(super) static UNSUPPORTED: &[Unsupported] = &[
    Unsupported {
        names: &["cluster"],
        no_map: "Expected map to define cluster, got ",
        shape: B(&CLUSTER),
        purpose: "this server runs alone and cannot connect to routes",
    },
    Unsupported {
        names: &["leafnodes", "leaf"],
        no_map: "Expected map to define a leafnode, got ",
        shape: B(&LEAFNODES),
        purpose: "leaf nodes are not implemented",
    },
    Unsupported {
        names: &["gateway"],
        no_map: "Expected gateway to be a map, got ",
        shape: B(&GATEWAY),
        purpose: "gateways are not implemented",
    },
    Unsupported {
        names: &["default_sentinel"],
        no_map: "",
        shape: Text,
        purpose: "each client presents a JWT of its own",
    },
    Unsupported {
        names: &["proxies"],
        no_map: "",
        shape: BlockOrElse(&PROXIES),
        purpose: "trusted proxies are not implemented",
    },
    Unsupported {
        names: &["feature_flags"],
        no_map: "",
        shape: Any,
        purpose: "midge has no feature flags",
    },
];

static PROXIES: Block = Block {
    context: "",
    keys: &[(&["trusted"], Any)],
};

static JETSTREAM: Block = Block {
    context: "",
    keys: &[
        (&["enabled", "enable"], Switch),
        (&["store_dir", "storedir"], Text),
        (&["max_memory_store", "max_mem_store", "max_mem"], Integer),
        (&["max_file_store", "max_file"], Integer),
        (&["domain"], Text),
        (&["key", "ek", "encryption_key"], Text),
        (&["prev_key", "prev_ek", "prev_encryption_key"], Text),
        (&["cipher"], Text),
        (&["extension_hint"], Text),
        (&["limits"], Any),
        (&["tpm"], Any),
        (&["unique_tag"], Text),
        (&["max_outstanding_catchup"], Integer),
        (&["max_buffered_size"], Integer),
        (&["max_buffered_msgs"], Integer),
        (&["request_queue_limit"], Integer),
        (&["strict"], Switch),
        (&["sync", "sync_interval"], Any),
        (&["meta_compact"], Any),
        (&["meta_compact_size"], Any),
        (&["meta_compact_sync"], Any),
    ],
};

static MQTT: Block = Block {
    context: "",
    keys: &[
        (&["listen"], Address),
        (&["port"], Integer),
        (&["host", "net"], Text),
        (&["tls"], B(&TLS)),
        (&["authorization", "authentication"], B(&LINK_AUTHORIZATION)),
        (&["no_auth_user"], Text),
        (&["ack_wait", "ackwait"], TextOrInteger),
        (&["js_api_timeout", "api_timeout"], TextOrInteger),
        (&["max_ack_pending", "max_pending", "max_inflight"], Integer),
        (&["js_domain"], Text),
        (&["stream_replicas"], Integer),
        (&["consumer_replicas"], Integer),
        (&["consumer_memory_storage"], Switch),
        (
            &["consumer_inactive_threshold", "consumer_auto_cleanup"],
            TextOrInteger,
        ),
        (&["reject_qos2_publish"], Switch),
        (&["downgrade_qos2_subscribe"], Switch),
    ],
};

/// The pair of a block for a cluster that has its name.
pub(super) fn cluster_name(cluster: &Pair) -> Option<&Pair> {
    let map = cluster.value.as_map().filter(|map| !has_routes(map))?;
    map.iter().filter(|pair| is_name(pair)).last()
}

fn is_name(pair: &Pair) -> bool {
    pair.key.eq_ignore_ascii_case("name")
}

/// Whether a block for a cluster names others to connect to. What is no list names one.
fn has_routes(cluster: &Map) -> bool {
    let is_routes = |pair: &&Pair| pair.key.eq_ignore_ascii_case("routes");
    let mut routes = cluster.iter().filter(is_routes);
    routes.any(|pair| pair.value.as_list().is_none_or(|list| !list.is_empty()))
}

impl Block {
    /// All names of its keys.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys
            .iter()
            .flat_map(|(names, _)| names.iter().copied())
    }
}

impl Reader<'_> {
    /// Checks a block for what midge has not yet, and refuses it.
    pub(super) fn refuse_option(&mut self, pair: &Pair, option: &Unsupported) {
        let kind = &pair.value.kind;
        if !option.no_map.is_empty() && !matches!(kind, Kind::Map(_)) {
            let text = format!("{}{}", option.no_map, go_type(kind));
            self.report.error(&pair.at, text);
        } else {
            self.shape(pair, option.shape);
        }
        match kind {
            Kind::Map(map) if option.names[0] == "cluster" && !has_routes(map) => {
                let name = cluster_name(pair);
                let text = name.and_then(|name| name.value.as_text());
                let text = text.filter(|name| !name.is_empty()).map(str::to_owned);
                self.options.config.cluster_name = text;
                if name.is_none() || map.iter().any(|pair| !is_name(pair)) {
                    self.ignore(pair, ALONE);
                }
            }
            _ => self.refuse(pair, option.purpose),
        }
    }

    /// Says that something is not done yet, and what is so instead.
    pub(super) fn refuse(&mut self, pair: &Pair, purpose: &str) {
        let text = format!("{:?} is not supported yet: {purpose}; remove it", pair.key);
        self.report.error(&pair.at, text);
    }

    /// JetStream is accepted, and there is none.
    pub(super) fn jetstream(&mut self, pair: &Pair) {
        let is_on = match &pair.value.kind {
            Kind::Bool(is_on) => *is_on,
            Kind::Map(map) => {
                self.block(map, &JETSTREAM);
                let enabled = map.get("enabled").or_else(|| map.get("enable"));
                enabled.is_none_or(|pair| pair.value.kind != Kind::Bool(false))
            }
            Kind::Text => match pair.value.text.to_ascii_lowercase().as_str() {
                "enabled" | "enable" => true,
                "disabled" | "disable" => false,
                _ => {
                    let text = format!(
                        "Expected 'enabled' or 'disabled' for string value, got '{}'",
                        pair.value.text
                    );
                    return self.report.error(&pair.at, text);
                }
            },
            other => {
                let text = format!(
                    "Expected map, bool or string to define JetStream, got {}",
                    go_type(other)
                );
                return self.report.error(&pair.at, text);
            }
        };
        if is_on {
            self.ignore(pair, "JetStream is not supported: nothing is stored");
        }
    }

    /// MQTT is accepted, and there is none.
    pub(super) fn mqtt(&mut self, pair: &Pair) {
        match &pair.value.kind {
            Kind::Map(map) => self.block(map, &MQTT),
            other => {
                let text = format!("Expected mqtt to be a map, got {}", go_type(other));
                return self.report.error(&pair.at, text);
            }
        }
        self.ignore(pair, "MQTT is not supported");
    }

    /// Says that something has no effect.
    pub(super) fn ignore(&mut self, pair: &Pair, why: &str) {
        let text = format!("{:?} has no effect: {why}", pair.key);
        self.report.notice(&pair.at, text);
    }

    /// Checks the names and types of a block.
    pub(super) fn block(&mut self, map: &Map, block: &Block) {
        for pair in map.iter() {
            let found = block.keys.iter().find(|(names, _)| {
                names
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&pair.key))
            });
            match found {
                Some((_, shape)) => self.shape(pair, *shape),
                None if pair.used => {}
                None => {
                    self.unknown(pair, block.context, block.names());
                }
            }
        }
    }

    /// Says that there is no such option, and which may have been meant.
    pub(super) fn unknown<'k>(
        &mut self,
        pair: &Pair,
        context: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        let mut text = format!("{context}unknown field {:?}", pair.key);
        if let Some(name) = nearest(&pair.key, known) {
            text.push_str("; did you mean ");
            text.push_str(name);
            text.push('?');
        }
        self.report.error(&pair.at, text);
    }

    fn shape(&mut self, pair: &Pair, shape: Shape) {
        match shape {
            Text => {
                let _ = self.text(pair);
            }
            Switch => {
                let _ = self.switch(pair);
            }
            Integer => {
                let _ = self.integer(pair);
            }
            Address => {
                let _ = self.address(pair);
            }
            Texts => {
                let _ = self.texts(pair);
            }
            TextOrInteger if matches!(pair.value.kind, Kind::Text) => {}
            TextOrInteger => {
                let _ = self.integer(pair);
            }
            B(block) => {
                if let Some(map) = self.map(pair) {
                    self.block(map, block);
                }
            }
            BlockOrElse(block) => {
                if let Kind::Map(map) = &pair.value.kind {
                    self.block(map, block);
                }
            }
            Blocks(block) => {
                let Some(list) = pair.value.as_list() else {
                    let text = format!(
                        "Expected {} field to be an array, got {}",
                        pair.key, pair.value.text
                    );
                    return self.report.error(&pair.at, text);
                };
                for value in list {
                    self.entry(value, block);
                }
            }
            Any => {}
        }
    }

    fn entry(&mut self, value: &Value, block: &Block) {
        match &value.kind {
            Kind::Map(map) => self.block(map, block),
            _ => self.report.error(
                &value.at,
                format!("Expected a map in {{ }}, got {}", value.kind),
            ),
        }
    }
}
