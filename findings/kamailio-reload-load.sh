#!/bin/sh
# Kamailio 5.6.3 (Debian 12), module dispatcher.
#
# `dispatcher.reload` forgets how many calls a node has, although the calls are up and the list says the same as before. With
# ALGORITHM 10 (call load) and maxload=2 a third call is refused; after a reload the node gets two more. The calls of before are still in
# the module's table: when they end, the load is counted down below what the node really has.
#
# The output that was seen, of one node that answers every call:
#
#   four calls: 200 200 503 503, load 2
#   dispatcher.reload: load 0
#   two more calls: 200 200, load 2, the node has 4
#   the first two end: load 0, the node has 2
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download kamailio=5.6.3-2
dpkg-deb --extract kamailio_*.deb root
export LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu/kamailio"

echo '1 sip:127.0.0.1:39071 0 0 duid=a;maxload=2' > nodes
cat > kamailio.cfg <<CONFIG
listen=udp:127.0.0.1:39070
children=1
disable_tcp=yes
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "ctl.so"
loadmodule "dispatcher.so"
modparam("ctl", "binrpc", "unix:$folder/control")
modparam("dispatcher", "list_file", "$folder/nodes")
modparam("dispatcher", "ds_hash_size", 4)
request_route {
	if (is_method("BYE")) {
		ds_load_unset();
	} else if (is_method("INVITE")) {
		if (!ds_select_dst("1", "10")) {
			sl_reply("503", "Full");
			exit;
		}
	}
	t_on_reply("DONE");
	t_relay();
}
onreply_route[DONE] {
	if (status =~ "2..") {
		ds_load_update();
	}
}
CONFIG
root/usr/sbin/kamailio -L "$folder/root/usr/lib/x86_64-linux-gnu/kamailio/modules" -f "$folder/kamailio.cfg" -Y "$folder" \
	-DD -E > log 2>&1 &
server=$!
cat > calls.py <<'PY'
import re, socket, subprocess, sys, threading

KAMAILIO, NODE = ("127.0.0.1", 39070), ("127.0.0.1", 39071)
up = set()


def lines(message, names):
    return "".join(line + "\r\n" for line in message.split("\r\n") if line.split(":")[0] in names)


def node():
    """Answers every request with 200."""
    while True:
        data, sender = of_node.recvfrom(65535)
        request = data.decode()
        call = re.search(r"Call-ID: (\S+)", request)[1]
        method = request.split(" ")[0]
        if method == "ACK":
            continue
        up.add(call) if method == "INVITE" else up.discard(call)
        head = lines(request, {"Via", "From", "Call-ID", "CSeq"})
        to = re.search(r"To: (\S+)", request)[1].split(";")[0]
        of_node.sendto(f"SIP/2.0 200 OK\r\n{head}To: {to};tag=n\r\nContact: <sip:127.0.0.1:39071>\r\n"
                       f"Content-Length: 0\r\n\r\n".encode(), sender)


def asks(method, number, tag=""):
    """Sends a request and returns the status of its final response."""
    sequence = {"INVITE": 1, "BYE": 2}[method]
    caller.sendto(f"{method} sip:any@127.0.0.1:39071 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{caller.getsockname()[1]};"
                  f"branch=z9hG4bK{method}{number}\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=c{number}\r\n"
                  f"To: <sip:any@127.0.0.1>{tag}\r\nCall-ID: call-{number}\r\nCSeq: {sequence} {method}\r\n"
                  f"Contact: <sip:a@127.0.0.1:{caller.getsockname()[1]}>\r\nContent-Length: 0\r\n\r\n".encode(), KAMAILIO)
    while True:
        response = caller.recv(65535).decode()
        if f"Call-ID: call-{number}\r" in response and method in response and not response.startswith("SIP/2.0 1"):
            return response.split(" ")[1]


def console(*command):
    return subprocess.run(["root/usr/sbin/kamcmd", "-s", f"unix:{sys.argv[1]}/control", *command],
                          check=True, capture_output=True, text=True).stdout


def load():
    return int(re.search(r"DLGLOAD: *(-?\d+)", console("dispatcher.list"))[1])


of_node, caller = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
of_node.bind(NODE)
caller.bind(("127.0.0.1", 0))
caller.settimeout(10)
threading.Thread(target=node, daemon=True).start()

first = " ".join(asks("INVITE", number) for number in range(4))
told = [f"four calls: {first}, load {load()}"]
console("dispatcher.reload")
told.append(f"dispatcher.reload: load {load()}")
more = " ".join(asks("INVITE", number) for number in range(4, 6))
told.append(f"two more calls: {more}, load {load()}, the node has {len(up)}")
for number in range(2):
    asks("BYE", number, ";tag=n")
told.append(f"the first two end: load {load()}, the node has {len(up)}")
print("\n".join(told))
seen = ["four calls: 200 200 503 503, load 2", "dispatcher.reload: load 0", "two more calls: 200 200, load 2, the node has 4",
        "the first two end: load 0, the node has 2"]
sys.exit(told != seen)
PY
sleep 3
python3 calls.py "$folder"
