//! `ConnectionType`: how a client is connected, which a user may have to be in certain ways.

/// How a client is connected. midge [serves](ConnectionType::is_served) some; users of the others may stand in the
/// settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionType {
    /// By the port for clients.
    Standard,
    /// By WebSocket.
    WebSocket,
    /// As a leaf node.
    LeafNode,
    /// As a leaf node, by WebSocket.
    LeafNodeWebSocket,
    /// By MQTT.
    Mqtt,
    /// By MQTT over WebSocket.
    MqttWebSocket,
    /// From within the process.
    InProcess,
}

impl ConnectionType {
    /// All there are.
    pub const ALL: [ConnectionType; 7] = [
        ConnectionType::Standard,
        ConnectionType::WebSocket,
        ConnectionType::LeafNode,
        ConnectionType::LeafNodeWebSocket,
        ConnectionType::Mqtt,
        ConnectionType::MqttWebSocket,
        ConnectionType::InProcess,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            ConnectionType::Standard => "STANDARD",
            ConnectionType::WebSocket => "WEBSOCKET",
            ConnectionType::LeafNode => "LEAFNODE",
            ConnectionType::LeafNodeWebSocket => "LEAFNODE_WS",
            ConnectionType::Mqtt => "MQTT",
            ConnectionType::MqttWebSocket => "MQTT_WS",
            ConnectionType::InProcess => "IN_PROCESS",
        }
    }

    /// Whether midge has connections of this type.
    pub fn is_served(self) -> bool {
        matches!(self, ConnectionType::Standard | ConnectionType::WebSocket)
    }

    /// The one of this name, in any letter case.
    pub fn named(name: &str) -> Option<ConnectionType> {
        let mut all = ConnectionType::ALL.into_iter();
        all.find(|one| one.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for one in ConnectionType::ALL {
            assert_eq!(ConnectionType::named(one.name()), Some(one));
            assert_eq!(ConnectionType::named(&one.name().to_lowercase()), Some(one));
        }
        assert_eq!(ConnectionType::named("HTTP"), None);
    }
}
