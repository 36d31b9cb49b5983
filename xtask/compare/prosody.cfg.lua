-- Prosody for `cargo xtask compare`: loopback, no limits, the generational collector,
-- and only the modules that the scenarios need, which is less than Waxwing runs.
-- PORT_* and FOLDER are replaced, and lines that end in a word in brackets hold in one case only:
-- with limits, a client may send as many bytes as Waxwing's 2,000 stanzas a second have in that
-- case, with the burst of a second.
run_as_root = true
data_path = "FOLDER/data"
pidfile = "FOLDER/prosody.pid"
log = { warn = "*console" }
network_backend = "epoll"
gc = { mode = "generational" }
authentication = "internal_hashed"
default_storage = "internal"
allow_registration = true
c2s_require_encryption = false
ssl = { certificate = "FOLDER/certificate.pem", key = "FOLDER/key.pem" }
c2s_ports = { PORT_TCP }
c2s_interfaces = { "127.0.0.1" }
c2s_direct_tls_ports = { PORT_TLS }
c2s_direct_tls_interfaces = { "127.0.0.1" }
c2s_direct_tls_ssl = { certificate = "FOLDER/certificate.pem", key = "FOLDER/key.pem" }
http_ports = { PORT_WS }
http_interfaces = { "127.0.0.1" }
https_ports = { PORT_WSS }
https_interfaces = { "127.0.0.1" }
https_ssl = { certificate = "FOLDER/certificate.pem", key = "FOLDER/key.pem" }
consider_websocket_secure = true
modules_enabled = {
	"disco", "ping", "register_ibr", "roster", "saslauth", "tls", "websocket",
	"limits", -- (limited)
	"mam", -- (archived)
}
limits = { c2s = { rate = "800kb/s", burst = "1s" } } -- (limited)
default_archive_policy = true -- (archived)
modules_disabled = { "s2s" }
VirtualHost "localhost"
Component "rooms.localhost" "muc" -- (served)
Component "pubsub.localhost" "pubsub" -- (served)
	admins = { "load0@localhost" } -- (served)
