-- Prosody for `cargo xtask bench`: plain TCP on loopback, no limits, no archive, the modules that
-- Waxwing has too. PORT_* and FOLDER are replaced.
run_as_root = true
data_path = "FOLDER/data"
pidfile = "FOLDER/prosody.pid"
log = { warn = "*console" }
network_backend = "epoll"
authentication = "internal_hashed"
allow_registration = true
c2s_require_encryption = false
c2s_ports = { PORT_TCP }
c2s_interfaces = { "127.0.0.1" }
http_ports = { PORT_HTTP }
http_interfaces = { "127.0.0.1" }
https_ports = {}
consider_websocket_secure = true
modules_enabled = {
  "blocklist", "carbons", "csi_simple", "disco", "lastactivity", "offline", "ping", "private",
  "register_ibr", "roster", "saslauth", "smacks", "time", "vcard_legacy", "version", "websocket",
}
modules_disabled = { "s2s" }
VirtualHost "localhost"
