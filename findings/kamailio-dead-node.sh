#!/bin/sh
# Kamailio 5.6.3 (Debian 12), module dispatcher.
#
# With `ds_ping_reply_codes` = "class=4" a node that is dead counts as one that answers: Kamailio makes a 408 (Request Timeout) for its
# own probe, and takes it for an answer of the node. With the codes named one by one (code=404) the node is left out. contrib/kamailio names
# them for that reason.
#
# The output that was seen, for a port at which nobody listens:
#
#   class=2;class=4: AP
#   class=2;code=404: IP
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download kamailio=5.6.3-2
dpkg-deb --extract kamailio_*.deb root
export LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu/kamailio"

echo '1 sip:127.0.0.1:39' > nodes

# Prints the state of the node after its first probes.
state() {
	cat > kamailio.cfg <<CONFIG
listen=udp:127.0.0.1:39060
children=1
disable_tcp=yes
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "ctl.so"
loadmodule "dispatcher.so"
modparam("ctl", "binrpc", "unix:$folder/control")
modparam("tm", "fr_timer", 1000)
modparam("dispatcher", "list_file", "$folder/nodes")
modparam("dispatcher", "ds_ping_interval", 1)
modparam("dispatcher", "ds_probing_mode", 1)
modparam("dispatcher", "ds_probing_threshold", 1)
modparam("dispatcher", "ds_ping_reply_codes", "$1")
request_route { sl_reply("404", "Not Found"); }
CONFIG
	root/usr/sbin/kamailio -L "$folder/root/usr/lib/x86_64-linux-gnu/kamailio/modules" -f "$folder/kamailio.cfg" -Y "$folder" \
		-DD -E > log 2>&1 &
	server=$!
	sleep 5
	root/usr/sbin/kamcmd -s "unix:$folder/control" dispatcher.list | sed -n 's/.*FLAGS: *//p'
	kill "$server"
	wait "$server" 2>/dev/null || true
	server=
}

whole=$(state 'class=2;class=4')
single=$(state 'class=2;code=404')
echo "class=2;class=4: $whole"
echo "class=2;code=404: $single"
test "$whole" = AP && test "$single" = IP
