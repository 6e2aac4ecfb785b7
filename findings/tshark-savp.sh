#!/bin/sh
# tshark 4.0.17 (Debian 12).
#
# RTP in clear whose SDP says SAVP is listed by `-z rtp,streams` with its codec and no loss, as if all were well, but the payload is
# taken for ciphertext: the field rtp.payload is empty, and nothing that plays or decodes audio gets any. A capture that was decrypted
# on its way to the file therefore cannot be heard together with the SDP of its call, unless the profile in it is changed to RTP/AVP.
#
# The output that was seen:
#
#   RTP/AVP: g711U 3 packets, 160 octets of audio in each
#   RTP/SAVP: g711U 3 packets, 0 octets of audio in each
#   UDP/TLS/RTP/SAVPF: g711U 3 packets, 0 octets of audio in each
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
version=4.0.17-0+deb12u3
apt-get -qq download "tshark=$version" "libwireshark16=$version" "libwiretap13=$version" "libwsutil14=$version" "wireshark-common=$version" \
	"libwireshark-data=$version" $(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
	--no-enhances "libwireshark16" | sed -n 's/^\(lib[^ :]*\)$/\1/p' | grep -v -e '^libc6' -e '^libwireshark' -e '^libws' -e '^libwiretap' | sort -u)
for package in *.deb; do dpkg-deb --extract "$package" root; done
libraries=$folder/root/usr/lib/x86_64-linux-gnu
export WIRESHARK_DATA_DIR="$folder/root/usr/share/wireshark"

# Writes an offer, an answer and three packets of PCMU between 192.0.2.1 and 192.0.2.2 for this profile.
cat > capture.py <<'CAPTURE'
import struct, sys

profile, name = sys.argv[1:]

def udp(ends, ports, payload):
    ip = struct.pack('>BBHHHBBH', 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    return ip + b''.join(bytes([192, 0, 2, end]) for end in ends) + struct.pack('>HHHH', *ports, 8 + len(payload), 0) + payload

def sip(start, end, port, tag):
    body = '\r\n'.join(['v=0', f'o=- 1 1 IN IP4 192.0.2.{end}', 's=-', f'c=IN IP4 192.0.2.{end}', 't=0 0',
                        f'm=audio {port} {profile} 0', 'a=rtpmap:0 PCMU/8000', ''])
    head = [start, 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1', 'From: <sip:a@192.0.2.1>;tag=1', 'To: <sip:b@192.0.2.2>' + tag,
            'Call-ID: 1', 'CSeq: 1 INVITE', 'Content-Type: application/sdp', f'Content-Length: {len(body)}', '', body]
    return '\r\n'.join(head).encode()

packets = [udp((1, 2), (5060, 5060), sip('INVITE sip:b@192.0.2.2 SIP/2.0', 1, 20000, '')),
           udp((2, 1), (5060, 5060), sip('SIP/2.0 200 OK', 2, 30000, ';tag=2'))]
packets += [udp((1, 2), (20000, 30000), struct.pack('>BBHII', 0x80, 0, n, 160 * n, 7) + bytes(160)) for n in range(3)]
with open(name, 'wb') as file:
    file.write(struct.pack('<IHHiIII', 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
    for number, packet in enumerate(packets):
        file.write(struct.pack('<IIII', 1, number * 20000, len(packet), len(packet)) + packet)
CAPTURE

tshark() { LD_LIBRARY_PATH=$libraries "$folder/root/usr/bin/tshark" "$@" 2>/dev/null; }

# Prints how tshark reads the call with this profile.
read_with() {
	python3 capture.py "$1" call.pcap
	stream=$(tshark -r call.pcap -q -z rtp,streams | awk '$3 == "192.0.2.1" { print $8, $9, "packets" }')
	audio=$(tshark -r call.pcap -T fields -e rtp.payload | tail -1 | tr -d '\n' | wc -c)
	echo "$1: $stream, $((audio / 2)) octets of audio in each"
}

for profile in RTP/AVP RTP/SAVP UDP/TLS/RTP/SAVPF; do read_with "$profile"; done | tee seen
cat > expected <<'EXPECTED'
RTP/AVP: g711U 3 packets, 160 octets of audio in each
RTP/SAVP: g711U 3 packets, 0 octets of audio in each
UDP/TLS/RTP/SAVPF: g711U 3 packets, 0 octets of audio in each
EXPECTED
cmp seen expected
